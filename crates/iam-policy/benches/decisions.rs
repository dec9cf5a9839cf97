//! Decisions per second: one request against a bucket policy of 20 KB and ten identity policies, here and by
//! `iam-rs`, another implementation, with the same policies.
#![allow(clippy::unwrap_used, reason = "a bench may panic, that is how it fails")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use iam_policy::{Decision, Kind, Named, Policies, Policy, Principal, Request, decide};
use serde_json::{Value, json};

const ACCOUNT: &str = "111122223333";
const BUCKET_POLICY_BYTES: usize = 20 * 1024;
const IDENTITY_POLICIES: usize = 10;
const OBJECT: &str = "arn:aws:s3:::backups/team/2026-06-14/segment-0001";

/// Seen by the request: key, value. `iam-rs` wants booleans as such.
const SEEN: [(&str, &str); 6] = [
    ("aws:SecureTransport", "true"),
    ("aws:username", "backup"),
    ("aws:SourceIp", "203.0.113.7"),
    ("s3:x-amz-server-side-encryption", "AES256"),
    ("s3:if-none-match", "*"),
    ("s3:ObjectCreationOperation", "true"),
];

fn document(statements: &[Value]) -> String {
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

/// Denies that guard prefixes of a bucket that many teams share: all are read, none matches the request.
fn bucket_policy() -> String {
    let all = ["arn:aws:s3:::backups", "arn:aws:s3:::backups/*"];
    let key = "s3:x-amz-server-side-encryption";
    let mut statements = vec![
        json!({ "Sid": "DenyPlainHttp", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": all,
            "Condition": { "Bool": { "aws:SecureTransport": "false" } } }),
        json!({ "Sid": "DenyOtherEncryption", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": all[1],
            "Condition": { "Null": { key: "false" }, "StringNotEquals": { key: ["AES256"] } } }),
    ];
    for team in 0.. {
        let guard = json!({ "Sid": format!("Guard{team}"), "Effect": "Deny", "Principal": "*",
            "Action": ["s3:PutObject", "s3:DeleteObject*"], "Resource": format!("arn:aws:s3:::backups/team-{team}/*"),
            "Condition": { "StringNotEquals": { "aws:username": format!("team-{team}") } } });
        statements.push(guard);
        if document(&statements).len() > BUCKET_POLICY_BYTES {
            statements.pop();
            break;
        }
    }
    document(&statements)
}

/// Only the last one allows the request.
fn identity_policy(i: usize) -> String {
    let bucket = if i + 1 == IDENTITY_POLICIES { "backups/team".to_owned() } else { format!("bucket-{i}") };
    document(&[
        json!({ "Sid": "List", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": format!("arn:aws:s3:::{bucket}"),
            "Condition": { "StringLike": { "s3:prefix": ["team/*"] } } }),
        json!({ "Sid": "Write", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": format!("arn:aws:s3:::{bucket}/*"), "Condition": { "IpAddress": { "aws:SourceIp": "203.0.113.0/24" } } }),
    ])
}

fn ours(criterion: &mut Criterion) {
    let bucket = Policy::parse(&bucket_policy(), Kind::Resource).unwrap();
    let identity: Vec<Policy> =
        (0..IDENTITY_POLICIES).map(|i| Policy::parse(&identity_policy(i), Kind::Identity).unwrap()).collect();
    let identity: Vec<Named<'_>> = identity.iter().map(|policy| Named::new("identity", policy)).collect();
    let resource = Some(Named::new("bucket", &bucket));
    let policies = Policies { identity: &identity, resource, ..Policies::in_account(ACCOUNT) };
    let mut request = Request::new(Principal::user(ACCOUNT, "backup"), "s3:PutObject", OBJECT);
    for (key, value) in SEEN {
        request.context.set(key, value);
    }
    assert_eq!(decide(&policies, &request), Decision::Allow);
    let mut group = criterion.benchmark_group("decisions");
    group.throughput(Throughput::Elements(1));
    group.bench_function("iam-policy", |bencher| {
        bencher.iter(|| decide(black_box(&policies), black_box(&request)));
    });
    group.finish();
}

fn theirs(criterion: &mut Criterion) {
    let texts = (0..IDENTITY_POLICIES).map(identity_policy).chain([bucket_policy()]);
    let policies = texts.map(|text| iam_rs::IAMPolicy::from_json(&text).unwrap()).collect();
    let evaluator = iam_rs::PolicyEvaluator::with_policies(policies);
    let mut context = iam_rs::Context::new();
    for (key, value) in SEEN {
        let value = match value {
            "true" => iam_rs::ContextValue::Boolean(true),
            text => iam_rs::ContextValue::String(text.into()),
        };
        context.insert(key.into(), value);
    }
    let user = format!("arn:aws:iam::{ACCOUNT}:user/backup");
    let principal = iam_rs::Principal::Aws(iam_rs::PrincipalId::String(user));
    let resource = iam_rs::Arn::parse(OBJECT).unwrap();
    let request = iam_rs::IAMRequest::new_with_context(principal, "s3:PutObject", resource, context);
    assert_eq!(evaluator.evaluate(&request).unwrap().decision, iam_rs::Decision::Allow);
    let mut group = criterion.benchmark_group("decisions");
    group.throughput(Throughput::Elements(1));
    group.bench_function("iam-rs", |bencher| {
        bencher.iter(|| black_box(&evaluator).evaluate(black_box(&request)));
    });
    group.finish();
}

criterion_group!(benches, ours, theirs);
criterion_main!(benches);
