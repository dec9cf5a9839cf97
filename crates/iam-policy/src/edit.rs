//! Changing a policy's document: statements put in, taken out, compared.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::parse::PolicyError;
use crate::policy::{Kind, Policy};

/// What became of a statement that was to be put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was put at the end.
    Added,
    /// It took the place of the one with its `Sid`.
    Replaced,
    /// One that says the same was there.
    Present,
}

/// A policy with statements put in.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// The document, indented by two spaces.
    pub text: String,
    /// The document.
    pub document: Value,
    /// The statements that were to be put in, in their order, and what became of them.
    pub changes: Vec<(Value, Change)>,
}

/// Why a policy cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// The text at hand is no policy.
    #[error("cannot read the policy that is there: {0}")]
    Existing(PolicyError),
    /// With the new statements it would be no policy.
    #[error("the changed policy would be malformed: {0}")]
    Malformed(PolicyError),
    /// A statement has the `Sid` of one that says something else, and is not to be replaced.
    #[error("cannot put in the statement `{sid}`: statement {} of the policy has this Sid and says something else", place + 1)]
    Taken {
        /// The `Sid`.
        sid: String,
        /// The place of the one that has it, from 0.
        place: usize,
    },
}

/// How a statement differs between two documents.
#[derive(Debug, Clone, PartialEq)]
pub struct StatementDiff {
    /// Its `Sid`; that of `after` if both have one.
    pub sid: Option<String>,
    /// What it was; none if it was put in.
    pub before: Option<Value>,
    /// What it is; none if it was taken out.
    pub after: Option<Value>,
}

/// Puts statements into a policy, or into a new one. What is there stays, in its order and as it is written: its
/// Version too, so in one of 2008-10-17 or without a Version the new statements have no variables either. Only a
/// statement whose `Sid` is `owned` is replaced. A `Statement` that is one object becomes a list.
///
/// # Errors
/// If the text at hand is no policy of this kind, if a statement would have the `Sid` of another that is not
/// owned, or if the outcome would be malformed.
pub fn merge(
    existing: Option<&str>,
    kind: Kind,
    statements: &[Value],
    owned: impl Fn(&str) -> bool,
) -> Result<Merged, MergeError> {
    let mut document = match existing {
        Some(text) => Policy::parse(text, kind).map_err(MergeError::Existing)?.document,
        None => json!({ "Version": "2012-10-17", "Statement": [] }),
    };
    let mut held = list(&document);
    let mut changes = Vec::new();
    for wanted in statements {
        changes.push((wanted.clone(), put(&mut held, wanted, &owned)?));
    }
    document["Statement"] = Value::Array(held);
    Policy::from_document(document.clone(), kind).map_err(MergeError::Malformed)?;
    Ok(Merged { text: format!("{document:#}"), document, changes })
}

fn put(held: &mut Vec<Value>, wanted: &Value, owned: &impl Fn(&str) -> bool) -> Result<Change, MergeError> {
    let named = sid(wanted).and_then(|name| {
        let place = held.iter().position(|other| sid(other) == Some(name))?;
        Some((name, place))
    });
    let same = held
        .iter()
        .any(|other| same_statement(other, wanted) && (named.is_none() || sid(other) == sid(wanted)));
    match named {
        _ if same => Ok(Change::Present),
        Some((name, place)) if !owned(name) => Err(MergeError::Taken { sid: name.into(), place }),
        Some((_, place)) => {
            held[place] = wanted.clone();
            Ok(Change::Replaced)
        }
        None => {
            held.push(wanted.clone());
            Ok(Change::Added)
        }
    }
}

/// Takes statements out of a policy. The rest stays as it is written; none if no statement is left.
///
/// # Errors
/// If the text is no policy of this kind.
pub fn remove(
    existing: &str,
    kind: Kind,
    gone: impl Fn(&Value) -> bool,
) -> Result<Option<Value>, MergeError> {
    let mut document = Policy::parse(existing, kind).map_err(MergeError::Existing)?.document;
    match &mut document["Statement"] {
        Value::Array(statements) => {
            statements.retain(|statement| !gone(statement));
            if statements.is_empty() {
                return Ok(None);
            }
        }
        one if gone(one) => return Ok(None),
        _ => {}
    }
    Ok(Some(document))
}

/// What differs from one document to another, statement by statement: those with one `Sid` are held against each
/// other, the others found again by what they say. What is unchanged is left out.
#[must_use]
pub fn diff(before: Option<&Value>, after: &Value) -> Vec<StatementDiff> {
    let mut left: Vec<Option<Value>> = before.map(list).unwrap_or_default().into_iter().map(Some).collect();
    let now = list(after);
    let named = now.iter().map(|new| take(&mut left, |old| sid(old).is_some() && sid(old) == sid(new)));
    let named: Vec<Option<Value>> = named.collect();
    let mut pairs = Vec::new();
    for (new, old) in now.into_iter().zip(named) {
        let old = old.or_else(|| take(&mut left, |old| same_statement(old, &new)));
        pairs.push((old, new));
    }
    let gone = left.into_iter().flatten();
    let gone = gone.map(|old| StatementDiff { sid: owned_sid(&old), before: Some(old), after: None });
    let changed = pairs.into_iter().filter_map(|(old, new)| {
        let unchanged = old.as_ref().is_some_and(|old| same_statement(old, &new) && sid(old) == sid(&new));
        (!unchanged).then(|| StatementDiff { sid: owned_sid(&new), before: old, after: Some(new) })
    });
    gone.chain(changed).collect()
}

/// Takes out the first that fits.
fn take(left: &mut [Option<Value>], fits: impl Fn(&Value) -> bool) -> Option<Value> {
    left.iter_mut().find(|one| one.as_ref().is_some_and(&fits))?.take()
}

/// Whether two statements say the same, their `Sid` aside: a text is a list of one, lists have no order, `true`
/// is `"true"`, an account is its root, names of actions and condition keys are without case, and members have no order.
#[must_use]
pub fn same_statement(a: &Value, b: &Value) -> bool {
    match (a.as_object(), b.as_object()) {
        (Some(a), Some(b)) => meaning(a) == meaning(b),
        _ => a == b,
    }
}

type Meaning<'a> = BTreeMap<&'a str, BTreeMap<String, BTreeSet<String>>>;

/// The parts of an element, and for each the set of its values.
fn meaning(statement: &Map<String, Value>) -> Meaning<'_> {
    let parts = |name: &str, value: &Value| match (name, value) {
        ("Principal" | "NotPrincipal", Value::Object(kinds)) => {
            kinds.iter().map(|(kind, values)| (kind.clone(), principals(values))).collect()
        }
        ("Principal" | "NotPrincipal", one) => BTreeMap::from([("AWS".to_owned(), texts(one))]),
        ("Condition", Value::Object(operators)) => condition(operators),
        ("Action" | "NotAction", values) => {
            let lower = texts(values).into_iter().map(|action| action.to_ascii_lowercase());
            BTreeMap::from([(String::new(), lower.collect())])
        }
        (_, values) => BTreeMap::from([(String::new(), texts(values))]),
    };
    let elements = statement.iter().filter(|(name, _)| *name != "Sid");
    let elements = elements.map(|(name, value)| (name.as_str(), parts(name, value)));
    // A condition block without a key asks for nothing.
    elements.filter(|(name, parts)| *name != "Condition" || !parts.is_empty()).collect()
}

fn condition(operators: &Map<String, Value>) -> BTreeMap<String, BTreeSet<String>> {
    let mut parts = BTreeMap::new();
    for (operator, keys) in operators {
        for (key, values) in keys.as_object().into_iter().flatten() {
            parts.insert(format!("{operator} {}", key.to_ascii_lowercase()), texts(values));
        }
    }
    parts
}

/// An account's number stands for its root's ARN, and S3 stores it so.
fn principals(values: &Value) -> BTreeSet<String> {
    let is_account = |name: &str| name.len() == 12 && name.bytes().all(|b| b.is_ascii_digit());
    let full = |name: String| if is_account(&name) { format!("arn:aws:iam::{name}:root") } else { name };
    texts(values).into_iter().map(full).collect()
}

fn texts(values: &Value) -> BTreeSet<String> {
    let one = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match values {
        Value::Array(values) => values.iter().map(one).collect(),
        value => BTreeSet::from([one(value)]),
    }
}

fn list(document: &Value) -> Vec<Value> {
    match document.get("Statement") {
        Some(Value::Array(statements)) => statements.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    }
}

/// An empty `Sid` names nothing.
fn sid(statement: &Value) -> Option<&str> {
    statement.get("Sid")?.as_str().filter(|sid| !sid.is_empty())
}

fn owned_sid(statement: &Value) -> Option<String> {
    sid(statement).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(sid: Option<&str>, action: &str) -> Value {
        let mut statement = json!({ "Effect": "Allow", "Action": action, "Resource": "*" });
        if let Some(sid) = sid {
            statement["Sid"] = sid.into();
        }
        statement
    }

    #[test]
    fn what_is_there_stays_as_it_is_written() {
        let existing = r#"{"Statement": {"Resource": "*", "Effect": "Allow", "Action": "s3:A"}, "Version": "2008-10-17", "Id": "x"}"#;
        let new = [allow(Some("New"), "s3:B"), allow(Some("Old"), "S3:a")];
        let merged = merge(Some(existing), Kind::Identity, &new, |_| false).unwrap();
        assert_eq!(
            merged.document.to_string(),
            r#"{"Statement":[{"Resource":"*","Effect":"Allow","Action":"s3:A"},{"Effect":"Allow","Action":"s3:B","Resource":"*","Sid":"New"}],"Version":"2008-10-17","Id":"x"}"#
        );
        assert!(merged.text.starts_with("{\n  \"Statement\": [\n    {\n"));
        let changes: Vec<Change> = merged.changes.iter().map(|(_, change)| *change).collect();
        assert_eq!(changes, [Change::Added, Change::Present]);
        let again = merge(Some(&merged.text), Kind::Identity, &new, |_| false).unwrap();
        assert_eq!(again.document, merged.document);
        assert_eq!(
            merge(None, Kind::Identity, &new[..1], |_| false).unwrap().document["Version"],
            "2012-10-17"
        );
    }

    #[test]
    fn a_sid_is_replaced_only_by_its_owner() {
        let before = merge(None, Kind::Identity, &[allow(Some("A"), "s3:A"), allow(None, "s3:B")], |_| false);
        let before = before.unwrap();
        let new = [allow(Some("A"), "s3:C")];
        let refused = merge(Some(&before.text), Kind::Identity, &new, |_| false).unwrap_err();
        assert_eq!(refused, MergeError::Taken { sid: "A".into(), place: 0 });
        let after = merge(Some(&before.text), Kind::Identity, &new, |sid| sid == "A").unwrap();
        assert_eq!(after.changes[0].1, Change::Replaced);
        assert_eq!(after.document["Statement"][0]["Action"], "s3:C");
        assert_eq!(after.document["Statement"][1], before.document["Statement"][1]);
        let principal = merge(None, Kind::Resource, &new, |_| false);
        assert!(matches!(principal, Err(MergeError::Malformed(_))));
        assert!(matches!(merge(Some("x"), Kind::Identity, &[], |_| false), Err(MergeError::Existing(_))));
    }

    #[test]
    fn statements_are_taken_out() {
        let both = merge(None, Kind::Identity, &[allow(Some("A"), "s3:A"), allow(None, "s3:B")], |_| false);
        let text = both.unwrap().text;
        let left = remove(&text, Kind::Identity, |statement| statement["Sid"] == "A").unwrap().unwrap();
        assert_eq!(left["Statement"], json!([allow(None, "s3:B")]));
        assert_eq!(remove(&text, Kind::Identity, |_| true).unwrap(), None);
        let one = r#"{"Statement": {"Effect": "Allow", "Action": "s3:A", "Resource": "*"}}"#;
        assert_eq!(remove(one, Kind::Identity, |_| true).unwrap(), None);
        assert!(remove(one, Kind::Identity, |_| false).unwrap().unwrap()["Statement"].is_object());
    }

    #[test]
    fn differences_are_those_of_meaning() {
        let same = |a: Value, b: Value| same_statement(&a, &b);
        assert!(same(
            json!({"Sid": "A", "Action": ["s3:A", "s3:B"], "Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": false}}}),
            json!({"Principal": {"AWS": ["*"]}, "Action": ["S3:b", "s3:a"], "Condition": {"Bool": {"aws:securetransport": ["false"]}}}),
        ));
        assert!(!same(json!({"Resource": "arn:aws:s3:::b/A"}), json!({"Resource": "arn:aws:s3:::b/a"})));
        let account = |name: &str| json!({ "Principal": { "AWS": name } });
        assert!(same(account("111122223333"), account("arn:aws:iam::111122223333:root")));
        assert!(!same(json!({"Action": "s3:A"}), json!({"NotAction": "s3:A"})));
        let before =
            json!({"Statement": [allow(Some("A"), "s3:A"), allow(None, "s3:B"), allow(Some("C"), "s3:C")]});
        let after =
            json!({"Statement": [allow(None, "s3:b"), allow(Some("A"), "s3:X"), allow(None, "s3:D")]});
        let found = diff(Some(&before), &after);
        let found: Vec<_> =
            found.iter().map(|d| (d.sid.as_deref(), d.before.is_some(), d.after.is_some())).collect();
        assert_eq!(found, [(Some("C"), true, false), (Some("A"), true, true), (None, false, true)]);
        assert_eq!(diff(None, &after).len(), 3);
        assert!(diff(Some(&after), &after).is_empty());
    }
}
