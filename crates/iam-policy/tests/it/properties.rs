//! What holds for every policy and every request.

use iam_policy::{
    ALL_OPERATORS, Decision, Kind, Named, Policies, Policy, Principal, Request, decide, evaluate,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const KEYS: [&str; 3] = ["s3:prefix", "aws:SourceIp", "aws:TagKeys"];

fn value() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "a",
        "ab",
        "a*",
        "?b",
        "",
        "1",
        "10",
        "true",
        "false",
        "203.0.113.0/24",
        "203.0.113.7",
        "2026-01-01",
        "arn:aws:s3:::b",
        "${aws:username}",
        "${aws:none}",
    ])
    .prop_map(str::to_owned)
}

fn condition() -> impl Strategy<Value = Value> {
    let operator = (
        prop::sample::select(vec!["", "ForAllValues:", "ForAnyValue:"]),
        prop::sample::select(ALL_OPERATORS.to_vec()),
        prop::sample::select(vec!["", "IfExists"]),
    );
    (operator, prop::sample::select(KEYS.to_vec()), prop::collection::vec(value(), 0..3)).prop_map(
        |((quantifier, operator, if_exists), key, values)| {
            let name = if operator == "Null" {
                operator.to_owned()
            } else {
                format!("{quantifier}{operator}{if_exists}")
            };
            json!({ name: { key: values } })
        },
    )
}

fn statement() -> impl Strategy<Value = Value> {
    let action = prop::sample::select(vec!["s3:GetObject", "s3:Get*", "s3:Put?bject", "*", "s3:*"]);
    let resource = prop::sample::select(vec![
        "arn:aws:s3:::b/*",
        "arn:aws:s3:::b/a*c",
        "*",
        "arn:aws:s3:::c/${aws:username}/*",
    ]);
    (prop::bool::ANY, prop::bool::ANY, action, prop::bool::ANY, resource, prop::option::of(condition()))
        .prop_map(|(allow, not_action, action, not_resource, resource, condition)| {
            let effect = if allow { "Allow" } else { "Deny" };
            let mut statement = json!({ "Effect": effect });
            statement[if not_action { "NotAction" } else { "Action" }] = json!(action);
            statement[if not_resource { "NotResource" } else { "Resource" }] = json!([resource]);
            if let Some(condition) = condition {
                statement["Condition"] = condition;
            }
            statement
        })
}

fn statements() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(statement(), 1..5)
}

fn request() -> impl Strategy<Value = Request> {
    let action = prop::sample::select(vec!["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]);
    let resource =
        prop::sample::select(vec!["arn:aws:s3:::b/abc", "arn:aws:s3:::b/x", "arn:aws:s3:::c/backup/y"]);
    let context = prop::collection::vec(
        (prop::sample::select(KEYS.to_vec()), prop::collection::vec(value(), 0..3)),
        0..3,
    );
    (action, resource, context).prop_map(|(action, resource, context)| {
        let mut request = Request::new(Principal::user("111122223333", "backup"), action, resource);
        for (key, values) in context {
            request.context.set_all(key, values);
        }
        request
    })
}

fn parse(statements: &[Value]) -> Policy {
    Policy::parse(&json!({ "Version": "2012-10-17", "Statement": statements }).to_string(), Kind::Identity)
        .unwrap()
}

fn judge(statements: &[Value], request: &Request) -> Decision {
    let policy = parse(statements);
    let identity = [Named::new("policy", &policy)];
    let policies = Policies { identity: &identity, ..Policies::in_account("111122223333") };
    let decision = decide(&policies, request);
    assert_eq!(evaluate(&policies, request).decision, decision);
    decision
}

fn permissiveness(decision: Decision) -> u8 {
    match decision {
        Decision::ExplicitDeny | Decision::ImplicitDeny => 0,
        Decision::NotCertain => 1,
        Decision::Allow => 2,
    }
}

proptest! {
    #[test]
    fn the_order_of_statements_does_not_matter(statements in statements(), request in request()) {
        let mut turned = statements.clone();
        turned.reverse();
        prop_assert_eq!(judge(&statements, &request), judge(&turned, &request));
    }

    #[test]
    fn one_more_deny_never_allows_more(statements in statements(), mut more in statement(), request in request()) {
        more["Effect"] = json!("Deny");
        let before = judge(&statements, &request);
        let after = judge(&[statements, vec![more]].concat(), &request);
        prop_assert!(permissiveness(after) <= permissiveness(before), "{before} became {after}");
    }

    #[test]
    fn one_more_allow_never_allows_less(statements in statements(), mut more in statement(), request in request()) {
        more["Effect"] = json!("Allow");
        let before = judge(&statements, &request);
        let after = judge(&[statements, vec![more]].concat(), &request);
        prop_assert!(permissiveness(after) >= permissiveness(before), "{before} became {after}");
    }

    #[test]
    fn a_policy_prints_as_it_was_written(statements in statements()) {
        let policy = parse(&statements);
        for text in [policy.to_compact(), policy.to_pretty()] {
            let again = Policy::parse(&text, Kind::Identity).unwrap();
            prop_assert_eq!(&again, &policy);
            prop_assert_eq!(again.to_compact(), policy.to_compact());
        }
    }

    #[test]
    fn made_up_text_never_panics(text in ".{0,200}") {
        let _either = Policy::parse(&text, Kind::Resource);
    }

    #[test]
    fn wildcards_agree_with_a_naive_match(pattern in "[ab*?]{0,8}", text in "[ab]{0,8}") {
        let statement = json!({ "Effect": "Allow", "Action": "*", "Resource": "*", "Condition": { "StringLike": { "aws:x": pattern } } });
        let mut request = Request::new(Principal::user("1", "u"), "s3:GetObject", "arn:aws:s3:::b/k");
        request.context.set("aws:x", text.as_str());
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        let policy = parse(&[statement]);
        let identity = [Named::new("policy", &policy)];
        let found = decide(&Policies { identity: &identity, ..Policies::in_account("1") }, &request);
        prop_assert_eq!(found == Decision::Allow, naive(&chars(&pattern), &chars(&text)));
    }
}

/// Slow and obvious.
fn naive(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|taken| naive(rest, &text[taken..])),
        Some(('?', rest)) => !text.is_empty() && naive(rest, &text[1..]),
        Some((c, rest)) => text.first() == Some(c) && naive(rest, &text[1..]),
    }
}

#[test]
fn texts_lists_and_booleans_print_as_they_were_written() {
    let text = r#"{"Version":"2012-10-17","Id":"x","Statement":{"Resource":["*"],"Effect":"Deny","Action":"s3:*","Condition":{"Null":{"s3:x-amz-server-side-encryption":true},"NumericLessThan":{"s3:max-keys":10}}}}"#;
    assert_eq!(Policy::parse(text, Kind::Identity).unwrap().to_compact(), text);
}
