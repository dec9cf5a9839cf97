//! The same questions to `iam-rs`, another implementation. Every kind of difference stands in DIFFERENCES.md
//! with AWS's rule that settles it; one that does not stand there fails.

use std::collections::{BTreeMap, BTreeSet};

use iam_policy::{ALL_OPERATORS, Decision, Kind, Named, Policies, Policy, Principal, Request, decide};
use proptest::prelude::*;
use serde_json::{Value, json};

const USER: &str = "arn:aws:iam::111122223333:user/backup";

fn ours(document: &str, action: &str, resource: &str, context: &BTreeMap<&str, Vec<&str>>) -> Decision {
    let policy = Policy::parse(document, Kind::Identity).unwrap();
    let identity = [Named::new("policy", &policy)];
    let mut request = Request::new(Principal::user("111122223333", "backup"), action, resource);
    for (key, values) in context {
        request.context.set_all(key, values.iter().map(ToString::to_string).collect());
    }
    decide(&Policies { identity: &identity, ..Policies::in_account("111122223333") }, &request)
}

fn theirs(document: &str, action: &str, resource: &str, context: &BTreeMap<&str, Vec<&str>>) -> String {
    let Ok(policy) = iam_rs::IAMPolicy::from_json(document) else { return "refuses the policy".into() };
    let mut values = iam_rs::Context::new();
    for (key, seen) in context {
        let value = match seen[..] {
            [one] => typed(key, one),
            _ => iam_rs::ContextValue::StringList(seen.iter().map(ToString::to_string).collect()),
        };
        values.insert((*key).to_owned(), value);
    }
    let principal = iam_rs::Principal::Aws(iam_rs::PrincipalId::String(USER.into()));
    let resource = iam_rs::Arn::parse(resource).unwrap();
    let request = iam_rs::IAMRequest::new_with_context(principal, action, resource, values);
    match iam_rs::evaluate_policy(&policy, &request) {
        Ok(iam_rs::Decision::Allow) => "allows".into(),
        Ok(iam_rs::Decision::Deny) => "denies".into(),
        Ok(iam_rs::Decision::NotApplicable) => "does not allow".into(),
        Err(_) => "fails".into(),
    }
}

/// It wants context values in the type of the key.
fn typed(key: &str, value: &str) -> iam_rs::ContextValue {
    match key {
        "t:bool" => iam_rs::ContextValue::Boolean(value == "true"),
        "t:number" => iam_rs::ContextValue::Number(value.parse().unwrap()),
        "t:date" => iam_rs::ContextValue::DateTime(value.parse().unwrap()),
        _ => iam_rs::ContextValue::String(value.into()),
    }
}

fn in_its_words(decision: Decision) -> &'static str {
    match decision {
        Decision::Allow => "allows",
        Decision::ExplicitDeny => "denies",
        Decision::ImplicitDeny => "does not allow",
        Decision::NotCertain => "is not certain",
    }
}

/// What each kind of operator is asked with: a key, wanted values, values to be seen.
fn questions(operator: &str) -> (&'static str, &'static [&'static str], &'static [&'static str]) {
    match operator {
        o if o.starts_with("Numeric") => ("t:number", &["10", "2.5"], &["9", "10", "100"]),
        o if o.starts_with("Date") => (
            "t:date",
            &["2026-01-01T00:00:00Z", "2026-01-01"],
            &["2025-12-31T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"],
        ),
        "Bool" => ("t:bool", &["true", "false"], &["true", "false"]),
        "Null" => ("t:text", &["true", "false"], &["x"]),
        "IpAddress" | "NotIpAddress" => (
            "t:ip",
            &["203.0.113.0/24", "203.0.113.7", "2001:db8::/32"],
            &["203.0.113.7", "198.51.100.1", "2001:db8::1"],
        ),
        o if o.starts_with("Arn") => (
            "t:arn",
            &["arn:aws:s3:::b*", "arn:aws:iam::*:user/backup", "arn:aws:s*:::b"],
            &["arn:aws:s3:::b", "arn:aws:s3:::bx", USER],
        ),
        _ => (
            "t:text",
            &["ab", "a*", "A?", "${aws:username}", "${*}"],
            &["ab", "AB", "a*", "abc", "backup", "*"],
        ),
    }
}

/// A difference, without the values: operator, whether the key is there, whether a variable or wildcard is used.
fn kind(operator: &str, wanted: &str, seen: Option<&str>, ours: Decision, theirs: &str) -> String {
    let family = match operator.trim_end_matches("IfExists") {
        o if o.starts_with("Arn") => "Arn",
        o if o.starts_with("Date") => "Date",
        o if o.starts_with("Numeric") => "Numeric",
        o if o.ends_with("IpAddress") => "IpAddress",
        o => o,
    };
    let what = if wanted.contains("${") {
        "a variable"
    } else if wanted.contains(['*', '?']) {
        "a wildcard"
    } else {
        "a plain value"
    };
    let presence = if seen.is_some() { "present" } else { "missing" };
    format!("{family}, {what}, key {presence}: AWS {}, iam-rs {theirs}", in_its_words(ours))
}

fn known() -> BTreeSet<String> {
    let table = include_str!("../../DIFFERENCES.md");
    table
        .lines()
        .filter_map(|line| Some(line.strip_prefix("| ")?.split_once(" |")?.0.to_owned()))
        .filter(|entry| entry != "difference")
        .collect()
}

#[test]
fn every_difference_in_conditions_is_written_down_with_its_rule() {
    let mut found = BTreeSet::new();
    for base in ALL_OPERATORS {
        for operator in [base.to_owned(), format!("{base}IfExists")] {
            if operator == "NullIfExists" {
                continue;
            }
            let (key, wanted, seen) = questions(base);
            for wanted in wanted {
                for seen in seen.iter().map(Some).chain([None]) {
                    let document = json!({ "Version": "2012-10-17", "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": { &operator: { key: wanted } } }] }).to_string();
                    let mut context = BTreeMap::from([("aws:username", vec!["backup"])]);
                    context.extend(seen.map(|seen| (key, vec![*seen])));
                    let (action, resource) = ("s3:GetObject", "arn:aws:s3:::b/k");
                    let (ours, theirs) = (
                        ours(&document, action, resource, &context),
                        theirs(&document, action, resource, &context),
                    );
                    if in_its_words(ours) != theirs {
                        found.insert(kind(&operator, wanted, seen.copied(), ours, &theirs));
                    }
                }
            }
        }
    }
    let known = known();
    let news: Vec<&String> = found.difference(&known).collect();
    assert!(news.is_empty(), "not in DIFFERENCES.md:\n{news:#?}");
    let conditions = |entry: &&String| entry.contains(", key ");
    let gone: Vec<&String> = known.difference(&found).filter(conditions).collect();
    assert!(gone.is_empty(), "in DIFFERENCES.md, and no difference any more:\n{gone:#?}");
}

fn statement() -> impl Strategy<Value = Value> {
    let actions = vec!["s3:GetObject", "s3:Get*", "s3:Put?bject", "*", "s3:*", "s3:ListBucket"];
    let resources = vec![
        "arn:aws:s3:::b/*",
        "arn:aws:s3:::b/a?c",
        "*",
        "arn:aws:s3:::b*",
        "arn:aws:s3:::b/abc",
        "arn:aws:s3:::c/*",
    ];
    let any = || prop::bool::weighted(0.2);
    (
        prop::bool::ANY,
        any(),
        prop::sample::subsequence(actions, 1..3),
        any(),
        prop::sample::subsequence(resources, 1..3),
    )
        .prop_map(|(allow, not_action, action, not_resource, resource)| {
            let mut statement = json!({ "Effect": if allow { "Allow" } else { "Deny" } });
            statement[if not_action { "NotAction" } else { "Action" }] = json!(action);
            statement[if not_resource { "NotResource" } else { "Resource" }] = json!(resource);
            statement
        })
}

proptest! {
    #[test]
    fn statements_without_conditions_agree(
        statements in prop::collection::vec(statement(), 1..4),
        action in prop::sample::select(vec!["s3:GetObject", "s3:PutObject", "s3:ListBucket"]),
        resource in prop::sample::select(vec!["arn:aws:s3:::b/abc", "arn:aws:s3:::b", "arn:aws:s3:::c/a/b", "arn:aws:s3:::bb/abc"]),
    ) {
        let document = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        let context = BTreeMap::new();
        let (ours, theirs) = (ours(&document, action, resource, &context), theirs(&document, action, resource, &context));
        prop_assert_eq!(in_its_words(ours), theirs, "{} {} {}", document, action, resource);
    }
}
