//! Reading a policy's text. Source: IAM User Guide, "Grammar of the IAM JSON policy language".

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::condition::{Condition, Written};
use crate::pattern::{Pattern, Reading};
use crate::policy::{Effect, Kind, Listed, Policy, Statement};
use crate::principal::Entry;

/// The longest text that is parsed; AWS's own limits (6,144 characters to 20 KB) are far below.
const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// Why a text is not a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {rule}")]
pub struct PolicyError {
    /// Where: a line and column, or a path such as `Statement[1].Effect`.
    pub place: String,
    /// Which rule is broken.
    pub rule: String,
}

type Outcome<T> = Result<T, PolicyError>;

fn broken(place: impl Into<String>, rule: impl Into<String>) -> PolicyError {
    PolicyError { place: place.into(), rule: rule.into() }
}

impl Policy {
    /// Parses a policy.
    ///
    /// # Errors
    /// With the place and the rule, for text that AWS would call malformed.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, PolicyError> {
        Self::from_document(document(text)?, kind)
    }

    pub(crate) fn from_document(document: Value, kind: Kind) -> Result<Self, PolicyError> {
        let statements = statements(&document, kind)?;
        Ok(Self { kind, document, statements })
    }
}

/// Reads JSON without members that stand twice.
pub(crate) fn document(text: &str) -> Result<Value, PolicyError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(broken("the text", format!("it is longer than {TEXT_BYTES_MAX} bytes")));
    }
    let Strict(document) = serde_json::from_str(text)
        .map_err(|e| broken(format!("line {}, column {}", e.line(), e.column()), e.to_string()))?;
    Ok(document)
}

/// A JSON value without members that stand twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = access.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Strict(value))) = access.next_entry::<String, Strict>()? {
            if members.contains_key(&name) {
                return Err(de::Error::custom(format!("`{name}` stands twice")));
            }
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

fn object<'a>(value: &'a Value, place: &str) -> Outcome<&'a Map<String, Value>> {
    value.as_object().ok_or_else(|| broken(place, "an object is expected"))
}

fn only_known(members: &Map<String, Value>, known: &[&str], place: &str) -> Outcome<()> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(unknown) => Err(broken(place, format!("`{unknown}` is not an element of a policy"))),
        None => Ok(()),
    }
}

fn statements(document: &Value, kind: Kind) -> Outcome<Vec<Statement>> {
    let members = object(document, "the policy")?;
    only_known(members, &["Version", "Id", "Statement"], "the policy")?;
    let variables = match members.get("Version").map(Value::as_str) {
        Some(Some("2012-10-17")) => true,
        Some(Some("2008-10-17")) | None => false,
        _ => return Err(broken("Version", "it is 2012-10-17 or 2008-10-17")),
    };
    if members.get("Id").is_some_and(|id| !id.is_string()) {
        return Err(broken("Id", "a string is expected"));
    }
    let statements = match members.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().collect(),
        Some(statement @ Value::Object(_)) => vec![statement],
        Some(_) => return Err(broken("Statement", "an object or a list of objects is expected")),
        None => return Err(broken("the policy", "it has no Statement")),
    };
    let mut sids = HashSet::new();
    let mut parsed = Vec::new();
    for (i, value) in statements.into_iter().enumerate() {
        let place = format!("Statement[{i}]");
        let statement = statement(value, kind, variables, &place)?;
        if let Some(sid) = &statement.sid
            && !sid.is_empty()
            && !sids.insert(sid.clone())
            && kind != Kind::Resource
        {
            return Err(broken(format!("{place}.Sid"), format!("`{sid}` stands twice")));
        }
        parsed.push(statement);
    }
    Ok(parsed)
}

const ELEMENTS: [&str; 9] = [
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
];

fn statement(value: &Value, kind: Kind, variables: bool, place: &str) -> Outcome<Statement> {
    let members = object(value, place)?;
    only_known(members, &ELEMENTS, place)?;
    let sid = sid(members, kind, place)?;
    let effect = match members.get("Effect").map(Value::as_str) {
        Some(Some("Allow")) => Effect::Allow,
        Some(Some("Deny")) => Effect::Deny,
        _ => return Err(broken(format!("{place}.Effect"), "it is Allow or Deny")),
    };
    let actions = either(members, "Action", "NotAction", place)?
        .ok_or_else(|| broken(place, "it has neither Action nor NotAction"))?;
    let actions = Listed { not: actions.0, entries: action_patterns(actions.1, place)? };
    let resources = match either(members, "Resource", "NotResource", place)? {
        Some((not, value)) => Some(Listed { not, entries: resource_patterns(value, variables, place)? }),
        None => return Err(broken(place, "it has neither Resource nor NotResource")),
    };
    let conditions = match members.get("Condition") {
        Some(block) => conditions(block, variables, &format!("{place}.Condition"))?,
        None => Vec::new(),
    };
    let names_arns = conditions.iter().any(|c: &Condition| c.key().eq_ignore_ascii_case("aws:PrincipalArn"));
    let principal = principal(members, kind, place)?;
    Ok(Statement { sid, effect, principal, actions, resources, conditions, names_arns })
}

fn sid(members: &Map<String, Value>, kind: Kind, place: &str) -> Outcome<Option<String>> {
    let Some(sid) = members.get("Sid") else { return Ok(None) };
    let sid = sid.as_str().ok_or_else(|| broken(format!("{place}.Sid"), "a string is expected"))?;
    if kind != Kind::Resource && !sid.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(broken(format!("{place}.Sid"), "it holds letters and digits only"));
    }
    Ok(Some(sid.into()))
}

/// The value of an element or of its `Not…` form.
fn either<'a>(
    members: &'a Map<String, Value>,
    plain: &str,
    not: &str,
    place: &str,
) -> Outcome<Option<(bool, &'a Value)>> {
    match (members.get(plain), members.get(not)) {
        (Some(_), Some(_)) => Err(broken(place, format!("it has both {plain} and {not}"))),
        (Some(value), None) => Ok(Some((false, value))),
        (None, Some(value)) => Ok(Some((true, value))),
        (None, None) => Ok(None),
    }
}

fn strings<'a>(value: &'a Value, place: &str) -> Outcome<Vec<&'a str>> {
    let text = |value: &'a Value| value.as_str().ok_or_else(|| broken(place, "a string is expected"));
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        value => Ok(vec![text(value)?]),
    }
}

fn action_patterns(value: &Value, place: &str) -> Outcome<Vec<Pattern>> {
    let place = format!("{place}.Action");
    strings(value, &place)?.into_iter().map(|action| action_pattern(action, &place)).collect()
}

fn action_pattern(action: &str, place: &str) -> Outcome<Pattern> {
    let rule = || broken(place, format!("`{action}` is neither `*` nor `service:Action`"));
    if action != "*" {
        let (service, name) = action.split_once(':').ok_or_else(rule)?;
        let fits = |text: &str, more: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        if !fits(service, "-") || !fits(name, "*?") {
            return Err(rule());
        }
    }
    Ok(Pattern::new(action, Reading { wildcards: true, variables: false }).in_lower_case())
}

fn resource_patterns(value: &Value, variables: bool, place: &str) -> Outcome<Vec<Pattern>> {
    let place = format!("{place}.Resource");
    strings(value, &place)?
        .into_iter()
        .map(|resource| resource_pattern(resource, variables, &place))
        .collect()
}

/// Variables stand after the fifth colon only.
fn resource_pattern(resource: &str, variables: bool, place: &str) -> Outcome<Pattern> {
    const WILDCARDS: Reading = Reading { wildcards: true, variables: false };
    if resource == "*" {
        return Ok(Pattern::new(resource, WILDCARDS));
    }
    if !resource.starts_with("arn:") && !resource.starts_with('*') {
        return Err(broken(place, format!("`{resource}` is neither `*` nor an ARN")));
    }
    let fifth = resource.match_indices(':').nth(4).map(|(at, _)| at + 1);
    let Some(fifth) = fifth else {
        if resource.contains('*') {
            return Ok(Pattern::new(resource, WILDCARDS));
        }
        return Err(broken(place, format!("`{resource}` is not an ARN: it has fewer than six parts")));
    };
    let (head, tail) = resource.split_at(fifth);
    let tail = Pattern::new(tail, Reading { wildcards: true, variables });
    Ok(Pattern::new(head, WILDCARDS).followed_by(tail))
}

fn principal(members: &Map<String, Value>, kind: Kind, place: &str) -> Outcome<Option<Listed<Entry>>> {
    let named = either(members, "Principal", "NotPrincipal", place)?;
    match (kind, named) {
        (Kind::Resource, Some((not, value))) => {
            let entries = entries(value, &format!("{place}.Principal"))?;
            Ok(Some(Listed { not, entries }))
        }
        (Kind::Resource, None) => Err(broken(place, "a resource's policy needs a Principal")),
        (_, Some(_)) => Err(broken(place, "a Principal stands in a resource's policy only")),
        (_, None) => Ok(None),
    }
}

fn entries(value: &Value, place: &str) -> Outcome<Vec<Entry>> {
    if value.as_str() == Some("*") {
        return Ok(vec![Entry::Everyone]);
    }
    let mut entries = Vec::new();
    for (kind, values) in object(value, place)? {
        for name in strings(values, place)? {
            entries.push(match kind.as_str() {
                "AWS" => aws_entry(name, place)?,
                "Service" => Entry::Service(name.into()),
                "Federated" | "CanonicalUser" => Entry::Unsupported(name.into()),
                _ => return Err(broken(place, format!("`{kind}` is not a kind of principal"))),
            });
        }
    }
    Ok(entries)
}

fn aws_entry(name: &str, place: &str) -> Outcome<Entry> {
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    if name == "*" {
        return Ok(Entry::Everyone);
    }
    if is_account(name) {
        return Ok(Entry::Account(name.into()));
    }
    let parts: Vec<&str> = name.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "iam" | "sts", "", account, what] if is_account(account) && !name.contains(['*', '?']) => {
            Ok(if what == "root" { Entry::Account(account.into()) } else { Entry::Arn(name.into()) })
        }
        // How other servers name their users: AWS has none such.
        ["arn", _, "iam", "", "", what] if what.starts_with("user/") => Ok(Entry::Unsupported(name.into())),
        _ => Err(broken(
            place,
            format!("`{name}` is not `*`, an account or the ARN of a user, role or session"),
        )),
    }
}

fn conditions(block: &Value, variables: bool, place: &str) -> Outcome<Vec<Condition>> {
    let mut conditions = Vec::new();
    for (operator, keys) in object(block, place)? {
        let place = format!("{place}.{operator}");
        for (key, values) in object(keys, &place)? {
            let values = values_of(values, &format!("{place}.{key}"))?;
            let condition = Condition::new(operator, key, &values, variables);
            conditions.push(condition.map_err(|rule| broken(place.as_str(), rule))?);
        }
    }
    Ok(conditions)
}

fn values_of(value: &Value, place: &str) -> Outcome<Vec<(String, Written)>> {
    let one = |value: &Value| match value {
        Value::String(text) => Ok((text.clone(), Written::Text)),
        Value::Bool(flag) => Ok((flag.to_string(), Written::Bool)),
        Value::Number(number) => Ok((number.to_string(), Written::Number)),
        _ => Err(broken(place, "a string, number or boolean is expected")),
    };
    match value {
        Value::Array(values) => values.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}
