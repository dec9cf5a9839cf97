//! Policies and exactly what is found in them: the faults are those of published policies, made small.
#![allow(clippy::needless_pass_by_value, reason = "tables of policies read better without references")]

use std::fs;
use std::path::Path;

use iam_policy::edit::{Change, merge, same_statement};
use iam_policy::{Finding, Kind, RULES, Severity, lint};
use proptest::prelude::*;
use serde_json::{Value, json};

const ALL: [Kind; 4] = [Kind::Identity, Kind::Resource, Kind::Boundary, Kind::Session];

fn policy(statements: &Value) -> String {
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

fn statement(effect: &str, action: Value, resource: Value) -> Value {
    json!({ "Effect": effect, "Action": action, "Resource": resource })
}

fn allow(action: Value, resource: Value) -> Value {
    statement("Allow", action, resource)
}

fn with(mut statement: Value, element: &str, value: Value) -> Value {
    statement[element] = value;
    statement
}

/// Rule, severity, place.
fn found(text: &str, kind: Kind) -> Vec<(&'static str, Severity, String)> {
    lint(text, kind).into_iter().map(|finding| (finding.rule, finding.severity, finding.place)).collect()
}

#[track_caller]
fn expect(text: &str, kind: Kind, wanted: &[(&str, Severity, &str)]) -> Vec<Finding> {
    let found = found(text, kind);
    let found: Vec<_> =
        found.iter().map(|(rule, severity, place)| (*rule, *severity, place.as_str())).collect();
    let findings = lint(text, kind);
    assert_eq!(found, wanted, "{text}\n{findings:#?}");
    for finding in &findings {
        assert!(finding.message.len() > 20 && !finding.message.ends_with('.'), "{finding:?}");
        assert!(finding.help.len() > 10 && finding.help.ends_with('.'), "{finding:?}");
    }
    findings
}

#[track_caller]
fn in_identity(statements: Value, wanted: &[(&str, Severity, &str)]) -> Vec<Finding> {
    expect(&policy(&statements), Kind::Identity, wanted)
}

#[track_caller]
fn in_bucket(statements: Value, wanted: &[(&str, Severity, &str)]) -> Vec<Finding> {
    expect(&policy(&statements), Kind::Resource, wanted)
}

const OBJECTS: &str = "arn:aws:s3:::b/*";
const BUCKET: &str = "arn:aws:s3:::b";
const SSE: &str = "s3:x-amz-server-side-encryption";
use Severity::{Error, Note, Warning};

#[test]
fn a_wrong_version_is_found_and_the_rest_is_looked_at() {
    let text = json!({ "Version": "2021-10-17", "Statement": [allow(json!(["s3:PutObject", "s3:PutObjectAcl"]), json!(OBJECTS))] });
    expect(
        &text.to_string(),
        Kind::Identity,
        &[("INVALID_VERSION", Error, "Version"), ("ACL_ACTION", Warning, "Statement[0].Action")],
    );
    let old = json!({ "Statement": allow(json!("s3:GetObject"), json!("arn:aws:s3:::b/${aws:username}/*")) });
    expect(&old.to_string(), Kind::Identity, &[("NO_VERSION", Warning, "Version")]);
    let old = json!({ "Version": "2008-10-17", "Statement": allow(json!("s3:GetObject"), json!(OBJECTS)) });
    expect(&old.to_string(), Kind::Identity, &[("NO_VERSION", Note, "Version")]);
}

#[test]
fn what_is_no_policy_says_where() {
    expect("{\n \"Version\": }", Kind::Identity, &[("MALFORMED", Error, "line 2, column 13")]);
    expect("", Kind::Identity, &[("MALFORMED", Error, "line 1, column 0")]);
    let effect = json!([{ "Effect": "allow", "Action": "s3:GetObject", "Resource": OBJECTS }]);
    in_identity(effect, &[("MALFORMED", Error, "Statement[0].Effect")]);
    in_identity(json!([]), &[("EMPTY", Warning, "Statement")]);
    let named = |sid: &str| with(allow(json!("s3:GetObject"), json!(OBJECTS)), "Sid", json!(sid));
    in_identity(json!([named("A"), named("B"), named("A")]), &[("DUPLICATE_SID", Error, "Statement[2].Sid")]);
    let ours = |statement: Value| with(statement, "Principal", json!({ "AWS": "111122223333" }));
    in_bucket(json!([ours(named("A")), ours(named("A"))]), &[("DUPLICATE_SID", Warning, "Statement[1].Sid")]);
}

#[test]
fn names_of_calls_are_no_actions() {
    let barman = json!(["s3:PutObject", "s3:ListObjectsV2", "s3:UploadPart", "s3:HeadBucket"]);
    let unknown = ("UNKNOWN_ACTION", Error, "Statement[0].Action");
    let findings = in_identity(json!([allow(barman, json!([BUCKET, OBJECTS]))]), &[unknown; 3]);
    assert!(findings[0].help.contains("`s3:ListBucket`"));
    assert!(findings[1].help.contains("`s3:PutObject`"));
    assert!(findings[2].help.contains("`s3:ListBucket`"));
    let typos = json!(["s3:GetObjcet", "s3:Head*", "ec2:Nothing", "S3:getobject"]);
    let findings = in_identity(json!([allow(typos, json!(OBJECTS))]), &[unknown; 2]);
    assert!(findings[0].help.contains("`s3:GetObject`"));
    let not = json!([{ "Effect": "Deny", "NotAction": "s3:Objects", "Resource": "*" }, allow(json!("s3:GetObject"), json!(OBJECTS))]);
    in_identity(not, &[("UNKNOWN_ACTION", Error, "Statement[0].NotAction")]);
}

#[test]
fn actions_need_resources_of_their_kind() {
    let mismatch = ("RESOURCE_MISMATCH", Error, "Statement[0].Action");
    let location = in_identity(json!([allow(json!("s3:GetBucketLocation"), json!(OBJECTS))]), &[mismatch]);
    assert!(location[0].help.contains("`arn:aws:s3:::b`"), "{location:?}");
    let put =
        in_identity(json!([allow(json!(["s3:PutObject", "s3:ListBucket"]), json!(BUCKET))]), &[mismatch]);
    assert!(put[0].help.contains("`arn:aws:s3:::b/*`"), "{put:?}");
    let listing = in_identity(json!([allow(json!("s3:ListAllMyBuckets"), json!(BUCKET))]), &[mismatch]);
    assert!(listing[0].help.contains("\"*\""), "{listing:?}");
    let everyone = |statement| with(statement, "Principal", json!("*"));
    in_bucket(json!([everyone(statement("Deny", json!("s3:DeleteBucket"), json!(OBJECTS)))]), &[mismatch]);
    in_identity(json!([allow(json!("kms:Decrypt"), json!(OBJECTS))]), &[mismatch]);
    for (action, resource) in [
        ("s3:ListAllMyBuckets", "arn:aws:s3:::*"),
        ("s3:Get*", BUCKET),
        ("s3:GetObject", "arn:aws:s3:eu-west-1:111122223333:accesspoint/a/object/*"),
        ("kms:Decrypt", "arn:aws:kms:eu-west-1:111122223333:key/1234"),
        ("sts:AssumeRole", "arn:aws:iam::111122223333:role/team/backup"),
        ("s3:CreateJob", "*"),
    ] {
        in_identity(json!([allow(json!(action), json!(resource))]), &[]);
    }
}

#[test]
fn arns_that_are_not_what_they_seem() {
    let region = in_identity(
        json!([allow(json!("s3:GetObject"), json!("arn:aws:s3:us-east-1:111122223333:b/*"))]),
        &[("BUCKET_WITH_REGION", Error, "Statement[0].Resource")],
    );
    assert!(region[0].help.contains("`arn:aws:s3:::b/*`"));
    in_identity(
        json!([allow(json!("s3:GetObject"), json!("arn:aws:s3:::b*"))]),
        &[("NO_OBJECT_SLASH", Warning, "Statement[0].Resource")],
    );
    in_identity(json!([allow(json!("s3:ListBucket"), json!("arn:aws:s3:::b*"))]), &[]);
    in_identity(
        json!([allow(json!("s3:GetObject"), json!([OBJECTS, "arn:aws-cn:s3:::b/*"]))]),
        &[("MIXED_PARTITIONS", Warning, "the policy")],
    );
}

#[test]
fn conditions_need_keys_that_the_actions_have() {
    let list =
        |condition| json!([with(allow(json!("s3:ListBucket"), json!(BUCKET)), "Condition", condition)]);
    let place = "Statement[0].Condition.StringLike.s3:Prefixes";
    let unknown = in_identity(
        list(json!({ "StringLike": { "s3:Prefixes": "p/*" } })),
        &[("UNKNOWN_CONDITION_KEY", Error, place)],
    );
    assert!(
        unknown[0].help.contains("`s3:prefix`") && unknown[0].message.contains("allows nothing"),
        "{unknown:?}"
    );
    in_identity(
        list(json!({ "Bool": { "SecureTransport": "true" } })),
        &[("UNKNOWN_CONDITION_KEY", Error, "Statement[0].Condition.Bool.SecureTransport")],
    );
    let near = in_identity(
        list(json!({ "StringEquals": { "aws:PrincipalOrg": "o-1" } })),
        &[("UNKNOWN_CONDITION_KEY", Warning, "Statement[0].Condition.StringEquals.aws:PrincipalOrg")],
    );
    assert!(near[0].help.contains("`aws:PrincipalOrgID`"), "{near:?}");
    let get = allow(json!(["s3:GetObject", "s3:PutObject"]), json!(OBJECTS));
    let prefix = json!({ "StringLike": { "s3:prefix": "p/*" } });
    in_identity(
        json!([with(get, "Condition", prefix.clone())]),
        &[("KEY_NOT_FOR_ACTION", Warning, "Statement[0].Condition.StringLike.s3:prefix")],
    );
    let both = allow(json!(["s3:GetObject", "s3:ListBucket"]), json!([BUCKET, OBJECTS]));
    in_identity(json!([with(both, "Condition", prefix)]), &[]);
    in_identity(list(json!({ "StringLike": { "S3:Prefix": "p/*", "aws:PrincipalTag/team": "a" } })), &[]);
}

#[test]
fn operators_fit_the_keys() {
    let list =
        |condition| json!([with(allow(json!("s3:ListBucket"), json!(BUCKET)), "Condition", condition)]);
    for (operator, key, value, fits) in [
        ("NumericLessThan", "s3:prefix", json!("1"), false),
        ("NumericLessThan", "s3:max-keys", json!(10), true),
        ("NumericLessThan", "s3:max-keys", json!("ten"), false),
        ("StringEquals", "s3:max-keys", json!("10"), false),
        ("StringLike", "aws:SourceIp", json!("203.0.113.*"), false),
        ("IpAddress", "aws:SourceIp", json!("203.0.113.0/24"), true),
        ("StringEquals", "aws:Ec2InstanceSourcePrivateIPv4", json!("${aws:VpcSourceIp}"), true),
        ("Bool", "aws:SecureTransport", json!(true), true),
        ("StringEquals", "aws:SecureTransport", json!("true"), true),
        ("Bool", "aws:username", json!("true"), false),
        ("DateLessThan", "aws:CurrentTime", json!("2026-06-14"), true),
        ("DateLessThan", "aws:CurrentTime", json!("tomorrow"), false),
        ("NumericLessThan", "aws:EpochTime", json!("1781395200"), true),
        ("ArnLike", "aws:PrincipalArn", json!("arn:aws:iam::*:role/x"), true),
        ("ArnLike", "aws:PrincipalArn", json!("backup"), false),
        ("StringLike", "aws:PrincipalArn", json!("arn:aws:iam::*:role/x"), true),
        ("StringEquals", "s3:prefix", json!(7), false),
        ("Null", "aws:SourceIp", json!("true"), true),
    ] {
        let place = format!("Statement[0].Condition.{operator}.{key}");
        let wanted = [("MISMATCHED_TYPE", Warning, place.as_str())];
        in_identity(list(json!({ operator: { key: value } })), if fits { &[] } else { &wanted });
    }
}

#[test]
fn too_much_is_allowed() {
    in_identity(json!([allow(json!("s3:*"), json!("*"))]), &[("ALLOW_ALL", Error, "Statement[0].Action")]);
    in_identity(json!([allow(json!("*"), json!(OBJECTS))]), &[("ALLOW_ALL", Warning, "Statement[0].Action")]);
    expect(&policy(&json!([allow(json!("*"), json!("*"))])), Kind::Boundary, &[]);
    in_identity(
        json!([allow(json!("s3:DeleteObject"), json!("*"))]),
        &[("RESOURCE_STAR", Warning, "Statement[0].Resource")],
    );
    in_identity(json!([allow(json!("s3:GetObject"), json!("*"))]), &[]);
    in_identity(
        json!([{ "Effect": "Allow", "NotAction": "iam:*", "Resource": OBJECTS }]),
        &[("NOT_ACTION_ALLOW", Warning, "Statement[0].NotAction")],
    );
    in_identity(
        json!([allow(json!(["s3:PutObject*", "s3:GetObject*", "s3:Get*Acl"]), json!(OBJECTS))]),
        &[("ACL_ACTION", Warning, "Statement[0].Action"), ("ACL_ACTION", Note, "Statement[0].Action")],
    );
}

#[test]
fn everyone_is_allowed() {
    let read = || allow(json!("s3:GetObject"), json!(OBJECTS));
    let public = |severity| [("PUBLIC_ALLOW", severity, "Statement[0].Principal")];
    let open = || with(read(), "Principal", json!({ "AWS": "*" }));
    in_bucket(json!([open()]), &public(Error));
    for (condition, severity) in [
        (json!({ "StringEquals": { "aws:PrincipalOrgID": "o-1" } }), None),
        (json!({ "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::111122223333:role/*" } }), None),
        (json!({ "IpAddress": { "aws:SourceIp": ["203.0.113.0/24"] } }), None),
        (json!({ "StringEquals": { "aws:SourceVpce": "vpce-1" } }), None),
        (json!({ "IpAddress": { "aws:SourceIp": "0.0.0.0/0" } }), Some(Warning)),
        (json!({ "ArnLike": { "aws:PrincipalArn": "arn:aws:iam::*:role/backup" } }), Some(Warning)),
        (json!({ "StringNotEquals": { "aws:PrincipalOrgID": "o-1" } }), Some(Warning)),
        (json!({ "StringEqualsIfExists": { "aws:PrincipalOrgID": "o-1" } }), Some(Warning)),
        (json!({ "Bool": { "aws:SecureTransport": "true" } }), Some(Warning)),
    ] {
        let wanted: Vec<_> = severity.map(public).into_iter().flatten().collect();
        in_bucket(json!([with(open(), "Condition", condition)]), &wanted);
    }
    in_bucket(
        json!([with(read(), "NotPrincipal", json!({ "AWS": "111122223333" }))]),
        &[("NOT_PRINCIPAL_ALLOW", Error, "Statement[0].NotPrincipal")],
    );
    in_bucket(json!([with(read(), "Principal", json!({ "AWS": "111122223333" }))]), &[]);
}

fn deny_put(condition: Value) -> Value {
    with(statement("Deny", json!("s3:PutObject"), json!(OBJECTS)), "Condition", condition)
}

#[test]
fn rules_for_encryption_have_their_traps() {
    let everyone = |statement: Value| with(statement, "Principal", json!("*"));
    let if_exists = json!({ "StringNotEqualsIfExists": { SSE: "AES256" } });
    let place = format!("Statement[0].Condition.StringNotEqualsIfExists.{SSE}");
    let trap = in_bucket(json!([everyone(deny_put(if_exists))]), &[("IF_EXISTS_TRAP", Warning, &place)]);
    assert!(trap[0].help.contains(r#""Null": {"s3:x-amz-server-side-encryption": "false"}"#), "{trap:?}");

    let missing = || everyone(deny_put(json!({ "Null": { SSE: true } })));
    let other = || everyone(deny_put(json!({ "StringNotEquals": { SSE: "AES256" } })));
    let place = format!("Statement[0].Condition.Null.{SSE}");
    in_bucket(json!([missing(), other()]), &[("REDUNDANT_NULL", Note, &place)]);
    in_bucket(json!([missing()]), &[]);
    in_bucket(json!([missing(), with(other(), "Resource", json!("arn:aws:s3:::b/p/*"))]), &[]);
    in_bucket(json!([missing(), with(other(), "Principal", json!({ "AWS": "111122223333" }))]), &[]);

    let relaxed = json!({ "Null": { SSE: "false" }, "StringNotEquals": { SSE: ["AES256"] } });
    let relaxed = || everyone(deny_put(relaxed.clone()));
    let place = format!("Statement[0].Condition.StringNotEquals.{SSE}");
    in_bucket(json!([relaxed()]), &[("SSE_C_OPEN", Warning, &place)]);
    let customer = json!({ "Null": { format!("{SSE}-customer-algorithm"): "false" } });
    in_bucket(json!([relaxed(), everyone(deny_put(customer.clone()))]), &[]);
    let elsewhere = with(everyone(deny_put(customer)), "Resource", json!("arn:aws:s3:::b/p/*"));
    in_bucket(json!([relaxed(), elsewhere]), &[("SSE_C_OPEN", Warning, &place)]);
}

#[test]
fn an_identity_policy_that_only_denies_grants_nothing() {
    let missing = deny_put(json!({ "Null": { SSE: true } }));
    let other = deny_put(json!({ "StringNotEquals": { SSE: "AES256" } }));
    let place = format!("Statement[0].Condition.Null.{SSE}");
    in_identity(
        json!([missing, other]),
        &[("DENY_ONLY", Warning, "the policy"), ("REDUNDANT_NULL", Note, &place)],
    );
}

#[test]
fn a_policy_has_its_size() {
    let resources: Vec<String> = (0..300).map(|i| format!("arn:aws:s3:::bucket-{i:04}/*")).collect();
    let text = policy(&json!([allow(json!("s3:GetObject"), json!(resources))]));
    let large = expect(&text, Kind::Identity, &[("TOO_LARGE", Error, "the policy")]);
    assert!(large[0].message.contains(&format!("{} more than the 6144", text.len() - 6144)), "{large:?}");
    assert!(found(&text, Kind::Session).iter().any(|(rule, ..)| *rule == "TOO_LARGE"));
    let spaced = text.replace(',', ",\n                                                                 ");
    let bucket = spaced.replace("\"Effect\"", "\"Principal\": {\"AWS\": \"111122223333\"}, \"Effect\"");
    expect(&bucket, Kind::Resource, &[("TOO_LARGE", Error, "the policy")]);
    assert_eq!(lint(&" ".repeat(1 << 20), Kind::Resource).len(), 1);
}

/// A policy of a file in `tests/corpus`.
fn corpus(file: &str, name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(file);
    let group: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    group["policies"][name].clone()
}

#[test]
fn the_pair_to_start_from_is_clean() {
    expect(&corpus("starting-pair.json", "writer").to_string(), Kind::Identity, &[]);
    expect(&corpus("starting-pair.json", "bucket").to_string(), Kind::Resource, &[]);
}

#[test]
fn the_seed_lets_acls_be_changed() {
    let place = "Statement[1].Action";
    for name in ["first", "second"] {
        let text = corpus("seed-policies.json", name).to_string();
        expect(&text, Kind::Identity, &[("ACL_ACTION", Note, place), ("ACL_ACTION", Warning, place)]);
    }
}

#[test]
fn every_rule_is_listed_once() {
    let names: std::collections::BTreeSet<&str> = RULES.iter().map(|(name, ..)| *name).collect();
    assert_eq!(names.len(), RULES.len());
    let source = include_str!("lint.rs");
    let untested: Vec<&&str> =
        names.iter().filter(|name| !source.contains(&format!("(\"{name}\""))).collect();
    assert!(untested.is_empty(), "no policy here has {untested:?}");
}

fn json_value() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "Version",
        "2012-10-17",
        "Statement",
        "Effect",
        "Allow",
        "Deny",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Principal",
        "AWS",
        "Condition",
        "Null",
        "StringNotEqualsIfExists",
        "Sid",
        "s3:*",
        "*",
        "s3:?",
        "s3:PutObject",
        "arn:aws:s3:::b",
        "arn:aws:s3:::b/*",
        "arn:aws:s3:é:ü:*",
        "arn:*:${x",
        "true",
        SSE,
        "aws:TagKeys",
        "é:é",
    ]);
    let text = prop_oneof![word.clone().prop_map(str::to_owned), ".{0,12}"];
    let leaf = prop_oneof![
        text.clone().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((text.clone(), inner), 0..6)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Statements with any text in the elements that are looked into.
fn odd_statement() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        prop::sample::select(vec![
            "s3:PutObject",
            "s3:*Acl",
            "*",
            "s3:Head*",
            "arn:aws:s3:::b*",
            "arn:aws:s3:é::ü",
            "arn:aws:s3:::${a}"
        ])
        .prop_map(str::to_owned),
        "[a-z0-9:*?]{0,8}",
        "arn:[a-zé*:/${}]{0,16}",
    ];
    let texts = prop::collection::vec(text.clone(), 0..3);
    let operator = prop::sample::select(vec![
        "Null",
        "StringNotEqualsIfExists",
        "ArnLike",
        "NumericEquals",
        "IpAddress",
    ]);
    (any::<bool>(), texts.clone(), texts.clone(), prop::option::of((operator, text, texts))).prop_map(
        |(allow, action, resource, condition)| {
            let effect = if allow { "Allow" } else { "Deny" };
            let mut made = statement(effect, json!(action), json!(resource));
            if let Some((operator, key, values)) = condition {
                made["Condition"] = json!({ operator: { key: values } });
            }
            made
        },
    )
}

fn sound_statement() -> impl Strategy<Value = Value> {
    let actions = prop::sample::subsequence(vec!["s3:GetObject", "s3:PutObject", "s3:ListBucket"], 1..3);
    (prop::option::of("[A-C]"), actions).prop_map(|(sid, actions)| {
        let statement = allow(json!(actions), json!("*"));
        match sid {
            Some(sid) => with(statement, "Sid", json!(sid)),
            None => statement,
        }
    })
}

/// Statements whose Sids differ.
fn sound_statements() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(sound_statement(), 0..5).prop_map(|mut statements| {
        let mut seen = Vec::new();
        statements.retain(|statement| {
            let sid = statement.get("Sid").cloned();
            let new = sid.is_none() || !seen.contains(&sid);
            seen.push(sid);
            new
        });
        statements
    })
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(value in json_value(), statements in prop::collection::vec(odd_statement(), 0..4), text in ".{0,80}") {
        for kind in ALL {
            for text in [&value.to_string(), &policy(&value), &policy(&json!(statements)), &text] {
                let rules: Vec<&str> = RULES.iter().map(|(name, ..)| *name).collect();
                prop_assert!(lint(text, kind).iter().all(|finding| rules.contains(&finding.rule)));
            }
        }
    }

    #[test]
    fn merging_keeps_what_is_there_in_order(before in sound_statements(), new in sound_statements()) {
        let text = policy(&json!(before));
        let Ok(merged) = merge(Some(&text), Kind::Identity, &new, |_| false) else {
            let taken = |one: &Value| one.get("Sid").is_some() && before.iter().any(|other| {
                other.get("Sid") == one.get("Sid") && !same_statement(other, one)
            });
            prop_assert!(new.iter().any(taken));
            return Ok(());
        };
        let after = merged.document["Statement"].as_array().unwrap();
        prop_assert_eq!(&after[..before.len()], &before[..]);
        let added = merged.changes.iter().filter(|change| **change == Change::Added).count();
        prop_assert_eq!(after.len(), before.len() + added);
        prop_assert!(new.iter().all(|one| after.iter().any(|held| same_statement(held, one))));
        let again = merge(Some(&merged.document.to_string()), Kind::Identity, &new, |_| false).unwrap();
        prop_assert_eq!(again.document, merged.document);
    }
}
