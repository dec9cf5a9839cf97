//! Rules about conditions.

use super::view::View;
use super::{Finding, Severity};
use crate::Truth;
use crate::condition::{Condition, Family};
use crate::policy::Effect;
use crate::request::Context;
use crate::service::{self, KeyType};

/// Keys that nobody sets, and keys that these actions never have.
pub(super) fn keys(view: &View<'_>) -> Vec<Finding> {
    let conditions = view.statement.conditions();
    conditions
        .iter()
        .filter_map(|condition| unknown(view, condition).or_else(|| idle(view, condition)))
        .collect()
}

pub(super) fn place(view: &View<'_>, condition: &Condition) -> String {
    format!("{}.Condition.{}.{}", view.place, condition.operator(), condition.key())
}

fn unknown(view: &View<'_>, condition: &Condition) -> Option<Finding> {
    let key = condition.key();
    let service = key.split_once(':').map(|(service, _)| service);
    let judged = service.is_none_or(|name| name.eq_ignore_ascii_case("aws") || service::is_known(name));
    if !judged || service::key_type(key).is_some() {
        return None;
    }
    let message =
        format!("no request has the key `{key}` (as of {}): {}", service::DATE, outcome(view, condition));
    let help = match service::nearest_key(key) {
        Some(meant) => format!("Write `{meant}`, if that is meant."),
        None => "Take the key from the service's page in the Service Authorization Reference, or from \"AWS global \
                 condition context keys\"."
            .into(),
    };
    let found = Finding::new("UNKNOWN_CONDITION_KEY", &place(view, condition), message, help);
    // Keys that all services know come more often than the tables here.
    let global = service.is_some_and(|name| name.eq_ignore_ascii_case("aws"));
    Some(if global { found.with(Severity::Warning) } else { found })
}

/// What comes of a condition whose key is always missing.
fn outcome(view: &View<'_>, condition: &Condition) -> &'static str {
    match (condition.matches(&Context::default(), &mut None), view.statement.effect()) {
        (Truth::No, Effect::Allow) => "the condition never holds, so the statement allows nothing",
        (Truth::No, Effect::Deny) => "the condition never holds, so the statement denies nothing",
        (Truth::Yes, _) => "the condition always holds, so it limits nothing",
        (Truth::Unknown, _) => "what follows is not documented",
    }
}

fn idle(view: &View<'_>, condition: &Condition) -> Option<Finding> {
    let key = condition.key();
    service::key_type(key)?;
    // The keys of other services' actions are not known here.
    let known =
        |pattern: &&str| pattern.split_once(':').is_none_or(|(service, _)| service::is_known(service));
    if view.covered().next().is_none()
        || !view.actions.iter().all(known)
        || view.covered().any(|action| action.takes_key(key))
    {
        return None;
    }
    let which = match view.actions[..] {
        [one] => format!("`{one}`"),
        _ => "the statement's actions".to_owned(),
    };
    let message = format!("requests for {which} never have the key `{key}`: {}", outcome(view, condition));
    let takers: Vec<&str> = service::actions()
        .filter(|action| action.takes_key(key))
        .map(service::Action::name)
        .take(4)
        .collect();
    let help = match takers[..] {
        [] => "Take the key out.".to_owned(),
        _ => format!("Take the key out, or use it with actions that have it, such as {}.", takers.join(", ")),
    };
    Some(Finding::new("KEY_NOT_FOR_ACTION", &place(view, condition), message, help))
}

/// Operators and values of another type than the key.
pub(super) fn types(view: &View<'_>) -> Vec<Finding> {
    let conditions = view.statement.conditions();
    conditions
        .iter()
        .filter_map(|condition| value_type(view, condition).or_else(|| key_type(view, condition)))
        .collect()
}

fn value_type(view: &View<'_>, condition: &Condition) -> Option<Finding> {
    let value = condition.unclear()?;
    let (wanted, example) = match condition.family() {
        Family::Text { .. } => ("text in quotes", "\"10\""),
        Family::Number(_) => ("a number", "\"10\""),
        Family::Date(_) => ("a date", "\"2026-01-31T00:00:00Z\""),
        Family::Bool | Family::Null => ("true or false", "\"true\""),
        Family::Ip => ("an address or a range of them", "\"203.0.113.0/24\""),
        Family::Arn => ("an ARN of six parts", "\"arn:aws:iam::111122223333:user/*\""),
        Family::Binary => return None,
    };
    let message = format!("{} compares with {wanted}, and `{value}` is none", condition.operator());
    let help = format!("Write a value such as {example}.");
    Some(Finding::new("MISMATCHED_TYPE", &place(view, condition), message, help))
}

fn key_type(view: &View<'_>, condition: &Condition) -> Option<Finding> {
    let of = service::key_type(condition.key())?;
    if fits(condition, of) {
        return None;
    }
    let (what, operators) = match of {
        KeyType::String | KeyType::Strings => ("text", "StringEquals or StringLike"),
        KeyType::Number => ("a number", "NumericEquals, NumericLessThan and the like"),
        KeyType::Bool => ("true or false", "Bool"),
        KeyType::Date => ("a time", "DateLessThan, DateGreaterThan and the like"),
        KeyType::Arn | KeyType::Arns => ("an ARN", "ArnLike or StringLike"),
        KeyType::Ip => ("an address", "IpAddress or NotIpAddress"),
    };
    let message =
        format!("`{}` is {what}, which {} does not compare as such", condition.key(), condition.operator());
    Some(Finding::new("MISMATCHED_TYPE", &place(view, condition), message, format!("Use {operators}.")))
}

/// Whether an operator is documented for keys of this type, or at least does what one would think.
fn fits(condition: &Condition, of: KeyType) -> bool {
    let boolean = |value: &str| value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false");
    match condition.family() {
        Family::Null | Family::Binary => true,
        Family::Text { .. } => match of {
            KeyType::String | KeyType::Strings | KeyType::Arn | KeyType::Arns => true,
            KeyType::Bool => condition.values().all(boolean),
            // One address of the request against another: AWS's own examples do so.
            KeyType::Ip => condition.values().all(|value| value.starts_with("${")),
            KeyType::Number | KeyType::Date => false,
        },
        // Times may be written as seconds.
        Family::Number(_) => matches!(of, KeyType::Number | KeyType::Date),
        Family::Date(_) => of == KeyType::Date,
        Family::Bool => of == KeyType::Bool,
        Family::Ip => of == KeyType::Ip,
        // Some keys that are called text hold ARNs, and the values say so.
        Family::Arn => {
            matches!(of, KeyType::Arn | KeyType::Arns | KeyType::String | KeyType::Strings)
        }
    }
}
