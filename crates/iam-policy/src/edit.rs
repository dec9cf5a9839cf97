//! Statements added to a policy that is there, and two policies compared, without losing or moving anything.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::parse::PolicyError;
use crate::policy::{Kind, Policy};

/// What became of a statement that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new, and stands at the end.
    Added,
    /// It took the place of one with the same `Sid`.
    Replaced,
    /// One that says the same was there.
    Present,
}

/// A policy with statements added.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// The whole policy.
    pub document: Value,
    /// What became of each statement, in the order they were given.
    pub changes: Vec<Change>,
}

/// Why statements cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// What is there is not a policy.
    #[error(transparent)]
    Malformed(#[from] PolicyError),
    /// Another statement has this `Sid`.
    #[error("the policy has a statement with Sid `{0}` that says something else")]
    Taken(String),
}

/// Adds statements to a policy. What is there keeps its place and its text. A statement with the `Sid` of one that
/// is there takes its place if `own` says that this `Sid` may be replaced.
///
/// # Errors
/// [`MergeError`]; then nothing was changed.
pub fn merge(
    existing: Option<&str>,
    kind: Kind,
    statements: &[Value],
    own: impl Fn(&str) -> bool,
) -> Result<Merged, MergeError> {
    let mut document = match existing {
        Some(text) => Policy::parse(text, kind)?.document().clone(),
        None => json!({"Version": "2012-10-17", "Statement": []}),
    };
    let mut all = listed(&document);
    let mut changes = Vec::new();
    for statement in statements {
        changes.push(add(&mut all, statement, &own)?);
    }
    document["Statement"] = Value::Array(all);
    Ok(Merged { document, changes })
}

fn add(all: &mut Vec<Value>, statement: &Value, own: &impl Fn(&str) -> bool) -> Result<Change, MergeError> {
    if all.iter().any(|there| same_statement(there, statement)) {
        return Ok(Change::Present);
    }
    let place = sid(statement).and_then(|name| all.iter().position(|there| sid(there) == Some(name)));
    match (place, sid(statement)) {
        (Some(place), Some(name)) if own(name) => {
            all[place] = statement.clone();
            Ok(Change::Replaced)
        }
        (Some(_), Some(name)) => Err(MergeError::Taken(name.into())),
        _ => {
            all.push(statement.clone());
            Ok(Change::Added)
        }
    }
}

/// Takes statements out of a policy; none where no statement is left.
///
/// # Errors
/// [`PolicyError`] where it is not a policy.
pub fn remove(
    existing: &str,
    kind: Kind,
    gone: impl Fn(&Value) -> bool,
) -> Result<Option<Value>, PolicyError> {
    let mut document = Policy::parse(existing, kind)?.document().clone();
    let mut all = listed(&document);
    all.retain(|statement| !gone(statement));
    if all.is_empty() {
        return Ok(None);
    }
    document["Statement"] = Value::Array(all);
    Ok(Some(document))
}

/// One statement that differs between two policies.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StatementDiff {
    /// Its `Sid`.
    pub sid: Option<String>,
    /// As it was; none if it is new.
    pub before: Option<Value>,
    /// As it will be; none if it goes.
    pub after: Option<Value>,
}

/// What differs, statement by statement: first what changed or goes, in the order it stood, then what is new.
#[must_use]
pub fn diff(before: Option<&Value>, after: Option<&Value>) -> Vec<StatementDiff> {
    let old = before.map(listed).unwrap_or_default();
    let mut new = after.map(listed).unwrap_or_default();
    let mut left: Vec<Value> = Vec::new();
    for statement in old {
        match new.iter().position(|other| same_statement(&statement, other)) {
            Some(place) => drop(new.remove(place)),
            None => left.push(statement),
        }
    }
    let mut differences = Vec::new();
    for statement in left {
        let name = sid(&statement).map(str::to_owned);
        let place = name.as_deref().and_then(|name| new.iter().position(|other| sid(other) == Some(name)));
        let after = place.map(|place| new.remove(place));
        differences.push(StatementDiff { sid: name, before: Some(statement), after });
    }
    let added = new.into_iter().map(|statement| StatementDiff {
        sid: sid(&statement).map(str::to_owned),
        before: None,
        after: Some(statement),
    });
    differences.extend(added);
    differences
}

/// Whether two statements say the same: a text is a list of one, the order of lists and members is of no meaning,
/// `true` is `"true"`, actions are without case.
#[must_use]
pub fn same_statement(one: &Value, other: &Value) -> bool {
    normal("", one) == normal("", other)
}

fn normal(element: &str, value: &Value) -> Value {
    match value {
        Value::Object(members) if element == "Principal" && members.len() == 1 && is_everyone(members) => {
            json!(["*"])
        }
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| name.as_str());
            let normal = sorted.into_iter().map(|(name, value)| (name.clone(), normal(name, value)));
            Value::Object(normal.collect::<Map<_, _>>())
        }
        Value::Array(values) => {
            let texts: BTreeSet<String> = values.iter().map(|value| text(element, value)).collect();
            json!(texts)
        }
        one => json!([text(element, one)]),
    }
}

fn is_everyone(members: &Map<String, Value>) -> bool {
    members.get("AWS").is_some_and(|value| normal("AWS", value) == json!(["*"]))
}

fn text(element: &str, value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    if element.ends_with("Action") { text.to_ascii_lowercase() } else { text }
}

fn sid(statement: &Value) -> Option<&str> {
    statement.get("Sid").and_then(Value::as_str).filter(|sid| !sid.is_empty())
}

fn listed(document: &Value) -> Vec<Value> {
    match document.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        Some(statement) => vec![statement.clone()],
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(sid: &str, action: &str) -> Value {
        json!({"Sid": sid, "Effect": "Allow", "Action": action, "Resource": "arn:aws:s3:::b/*"})
    }

    #[test]
    fn what_is_there_stays_where_it_is() {
        let there = json!({"Version": "2008-10-17", "Id": "x", "Statement": [statement("A", "s3:GetObject"), statement("B", "s3:PutObject")]});
        let new = [statement("C", "s3:ListBucket"), statement("B", "s3:putobject")];
        let merged = merge(Some(&there.to_string()), Kind::Identity, &new, |_| false).unwrap();
        assert_eq!(merged.changes, [Change::Added, Change::Present]);
        assert_eq!(merged.document["Id"], "x");
        assert_eq!(merged.document["Version"], "2008-10-17");
        let names: Vec<_> = listed(&merged.document).iter().map(|s| sid(s).unwrap().to_owned()).collect();
        assert_eq!(names, ["A", "B", "C"]);
    }

    #[test]
    fn only_ones_own_statements_are_replaced() {
        let there = json!({"Statement": statement("B", "s3:PutObject")}).to_string();
        let new = [statement("B", "s3:GetObject")];
        let refused = merge(Some(&there), Kind::Identity, &new, |_| false);
        assert_eq!(refused, Err(MergeError::Taken("B".into())));
        let replaced = merge(Some(&there), Kind::Identity, &new, |sid| sid == "B").unwrap();
        assert_eq!(
            (replaced.changes, &replaced.document["Statement"]),
            (vec![Change::Replaced], &json!(new))
        );
    }

    #[test]
    fn ways_of_writing_the_same_are_the_same() {
        let one = json!({"Effect": "Deny", "Principal": "*", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": "arn:aws:s3:::b/*",
                         "Condition": {"Null": {"k": true}}});
        let other = json!({"Effect": "Deny", "Action": ["s3:GetObject", "S3:putObject"], "Principal": {"AWS": ["*"]},
                           "Condition": {"Null": {"k": ["true"]}}, "Resource": ["arn:aws:s3:::b/*"]});
        assert!(same_statement(&one, &other));
        assert!(!same_statement(&one, &json!({"Effect": "Deny"})));
    }

    #[test]
    fn differences_are_told_statement_by_statement() {
        let before = json!({"Statement": [statement("A", "s3:GetObject"), statement("B", "s3:PutObject")]});
        let after = json!({"Statement": [statement("B", "s3:DeleteObject"), statement("C", "s3:GetObject")]});
        let told = diff(Some(&before), Some(&after));
        let brief: Vec<_> =
            told.iter().map(|d| (d.sid.as_deref().unwrap(), d.before.is_some(), d.after.is_some())).collect();
        assert_eq!(brief, [("A", true, false), ("B", true, true), ("C", false, true)]);
        assert_eq!(diff(Some(&before), Some(&before)), []);
        assert_eq!(remove(&before.to_string(), Kind::Identity, |s| sid(s) == Some("A")).unwrap().unwrap()["Statement"].as_array().unwrap().len(), 1);
        assert_eq!(remove(&before.to_string(), Kind::Identity, |_| true).unwrap(), None);
    }
}
