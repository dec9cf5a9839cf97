//! Cases in JSON files, each by AWS's documented rule.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use iam_policy::{Decision, Kind, Named, Policies, Policy, Principal, Request, decide, evaluate};
use serde::Deserialize;
use serde_json::Value;

const ACCOUNT: &str = "111122223333";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    source: String,
    #[serde(default)]
    policies: BTreeMap<String, Value>,
    #[serde(default)]
    cases: Vec<Case>,
    #[serde(default)]
    conditions: Vec<ConditionCase>,
    #[serde(default)]
    malformed: Vec<Malformed>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    principal: Option<String>,
    #[serde(default)]
    identity: Vec<String>,
    bucket: Option<String>,
    boundary: Option<String>,
    session: Option<String>,
    action: String,
    resource: String,
    #[serde(default)]
    context: BTreeMap<String, Value>,
    expect: String,
    by: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionCase {
    name: String,
    condition: Value,
    context: BTreeMap<String, Value>,
    matches: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Malformed {
    name: String,
    kind: String,
    text: String,
}

fn principal(name: Option<&str>) -> Principal {
    let account = ACCOUNT.to_owned();
    match name.unwrap_or("user") {
        "user" => Principal::user(ACCOUNT, "backup"),
        "other" => Principal::user(ACCOUNT, "other"),
        "stranger" => Principal::user("999988887777", "stranger"),
        "root" => Principal::Root { account },
        "anonymous" => Principal::Anonymous,
        "session" => Principal::RoleSession { account, role: "team/r".into(), session: "s".into() },
        "federated" => Principal::FederatedUser { account, name: "f".into() },
        "service" => Principal::Service("logging.s3.amazonaws.com".into()),
        other => panic!("no principal `{other}`"),
    }
}

fn decision(name: &str) -> Decision {
    match name {
        "allow" => Decision::Allow,
        "explicit-deny" => Decision::ExplicitDeny,
        "implicit-deny" => Decision::ImplicitDeny,
        "not-certain" => Decision::NotCertain,
        other => panic!("no decision `{other}`"),
    }
}

fn fill(request: &mut Request, context: &BTreeMap<String, Value>) {
    for (key, value) in context {
        match value {
            Value::Array(values) => {
                let values = values.iter().map(|v| v.as_str().unwrap().to_owned()).collect();
                request.context.set_all(key, values);
            }
            value => request.context.set(key, value.as_str().unwrap()),
        }
    }
}

fn run(group: &Group, case: &Case) -> Result<(), String> {
    let parse = |name: &String, kind| {
        let document = group.policies.get(name).unwrap_or_else(|| panic!("no policy `{name}`"));
        Policy::parse(&document.to_string(), kind).unwrap_or_else(|e| panic!("`{name}`: {e}"))
    };
    let one = |name: &Option<String>, kind| name.as_ref().map(|name| parse(name, kind));
    let identity: Vec<Policy> = case.identity.iter().map(|name| parse(name, Kind::Identity)).collect();
    let identity: Vec<Named<'_>> =
        identity.iter().zip(&case.identity).map(|(policy, name)| Named::new(name, policy)).collect();
    let (bucket, boundary, session) = (
        one(&case.bucket, Kind::Resource),
        one(&case.boundary, Kind::Boundary),
        one(&case.session, Kind::Session),
    );
    let policies = Policies {
        account: ACCOUNT,
        identity: &identity,
        resource: bucket.as_ref().map(|p| Named::new("bucket", p)),
        boundary: boundary.as_ref().map(|p| Named::new("boundary", p)),
        session: session.as_ref().map(|p| Named::new("session", p)),
    };
    let mut request = Request::new(principal(case.principal.as_deref()), &case.action, &case.resource);
    fill(&mut request, &case.context);
    let evaluation = evaluate(&policies, &request);
    assert_eq!(evaluation.decision, decide(&policies, &request));
    if evaluation.decision != decision(&case.expect) {
        let reasons: Vec<String> = evaluation.reasons.iter().map(ToString::to_string).collect();
        return Err(format!("{}: {}; {}", case.name, evaluation.decision, reasons.join(" | ")));
    }
    match &case.by {
        Some(sid) if !evaluation.deciding().any(|r| r.sid.as_ref() == Some(sid)) => {
            Err(format!("{}: `{sid}` is not among the reasons", case.name))
        }
        _ => Ok(()),
    }
}

fn run_condition(case: &ConditionCase) -> Result<(), String> {
    let statement =
        serde_json::json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": case.condition});
    let document = serde_json::json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    let policy = Policy::parse(&document, Kind::Identity).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let identity = [Named::new("policy", &policy)];
    let policies = Policies { identity: &identity, ..Policies::in_account(ACCOUNT) };
    let mut request = Request::new(principal(None), "s3:GetObject", "arn:aws:s3:::b/k");
    fill(&mut request, &case.context);
    let expected = match &case.matches {
        Value::Bool(true) => Decision::Allow,
        Value::Bool(false) => Decision::ImplicitDeny,
        _ => Decision::NotCertain,
    };
    let found = decide(&policies, &request);
    if found == expected { Ok(()) } else { Err(format!("{}: {found}", case.name)) }
}

fn run_malformed(case: &Malformed) -> Result<(), String> {
    let kind = if case.kind == "resource" { Kind::Resource } else { Kind::Identity };
    match Policy::parse(&case.text, kind) {
        Ok(_) => Err(format!("{}: it was taken", case.name)),
        Err(error) if error.place.is_empty() || error.rule.is_empty() => {
            Err(format!("{}: {error}", case.name))
        }
        Err(_) => Ok(()),
    }
}

#[test]
fn every_case_of_the_corpus_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut outcomes = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let group: Group = serde_json::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(!group.source.is_empty());
        outcomes.extend(group.cases.iter().map(|case| run(&group, case)));
        outcomes.extend(group.conditions.iter().map(run_condition));
        outcomes.extend(group.malformed.iter().map(run_malformed));
    }
    let failed: Vec<String> = outcomes.iter().filter_map(|o| o.as_ref().err().cloned()).collect();
    assert!(failed.is_empty(), "{} of {} cases:\n{}", failed.len(), outcomes.len(), failed.join("\n"));
    assert!(outcomes.len() >= 150, "only {} cases", outcomes.len());
}
