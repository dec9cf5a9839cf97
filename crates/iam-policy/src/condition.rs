//! Conditions. Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and "Conditions with
//! multiple context keys or values".

use std::cmp::Ordering;
use std::net::IpAddr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use ipnet::IpNet;

use crate::Truth;
use crate::notes::{Notes, note};
use crate::pattern::{Pattern, Reading};
use crate::request::Context;

/// What an operator compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Text { ignore_case: bool, like: bool },
    Number(Comparison),
    Date(Comparison),
    Bool,
    Binary,
    Ip,
    Arn,
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equals,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, order: Option<Ordering>) -> bool {
        match self {
            Self::Equals => order == Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        }
    }
}

/// `ForAllValues:` and `ForAnyValue:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantifier {
    All,
    Any,
}

const fn text(ignore_case: bool, like: bool) -> Family {
    Family::Text { ignore_case, like }
}

/// Name, what it compares, whether it is negated.
const OPERATORS: [(&str, Family, bool); 27] = [
    ("StringEquals", text(false, false), false),
    ("StringNotEquals", text(false, false), true),
    ("StringEqualsIgnoreCase", text(true, false), false),
    ("StringNotEqualsIgnoreCase", text(true, false), true),
    ("StringLike", text(false, true), false),
    ("StringNotLike", text(false, true), true),
    ("NumericEquals", Family::Number(Comparison::Equals), false),
    ("NumericNotEquals", Family::Number(Comparison::Equals), true),
    ("NumericLessThan", Family::Number(Comparison::Less), false),
    ("NumericLessThanEquals", Family::Number(Comparison::LessOrEqual), false),
    ("NumericGreaterThan", Family::Number(Comparison::Greater), false),
    ("NumericGreaterThanEquals", Family::Number(Comparison::GreaterOrEqual), false),
    ("DateEquals", Family::Date(Comparison::Equals), false),
    ("DateNotEquals", Family::Date(Comparison::Equals), true),
    ("DateLessThan", Family::Date(Comparison::Less), false),
    ("DateLessThanEquals", Family::Date(Comparison::LessOrEqual), false),
    ("DateGreaterThan", Family::Date(Comparison::Greater), false),
    ("DateGreaterThanEquals", Family::Date(Comparison::GreaterOrEqual), false),
    ("Bool", Family::Bool, false),
    ("BinaryEquals", Family::Binary, false),
    ("IpAddress", Family::Ip, false),
    ("NotIpAddress", Family::Ip, true),
    ("ArnEquals", Family::Arn, false),
    ("ArnLike", Family::Arn, false),
    ("ArnNotEquals", Family::Arn, true),
    ("ArnNotLike", Family::Arn, true),
    ("Null", Family::Null, false),
];

/// The names of all operators that AWS documents, without quantifiers and `IfExists`.
pub const ALL_OPERATORS: [&str; 27] = {
    let mut names = [""; 27];
    let mut i = 0;
    while i < names.len() {
        names[i] = OPERATORS[i].0;
        i += 1;
    }
    names
};

/// One key of one operator of a condition block.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    operator: String,
    family: Family,
    negated: bool,
    quantifier: Option<Quantifier>,
    if_exists: bool,
    /// In lower case, as a context holds it.
    looked_up: String,
    key: String,
    values: Vec<Wanted>,
}

/// A value in a policy.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    written: String,
    meaning: Meaning,
}

#[derive(Debug, Clone, PartialEq)]
enum Meaning {
    Text(Pattern),
    Number(f64),
    Date(DateTime<Utc>),
    Bool(bool),
    Net(IpNet),
    /// First five parts of an ARN, and the rest.
    Arn(Vec<Pattern>),
    /// A value that AWS does not say what it does with, such as a number for a string operator.
    Unclear,
}

/// How a value was written in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Text,
    Number,
    Bool,
}

impl Condition {
    /// Reads an operator's name.
    pub(crate) fn new(
        operator: &str,
        key: &str,
        values: &[(String, Written)],
        variables: bool,
    ) -> Result<Self, String> {
        let (quantifier, name) = match operator.split_once(':') {
            Some(("ForAllValues", name)) => (Some(Quantifier::All), name),
            Some(("ForAnyValue", name)) => (Some(Quantifier::Any), name),
            Some((prefix, _)) => {
                return Err(format!("`{prefix}:` is neither ForAllValues: nor ForAnyValue:"));
            }
            None => (None, operator),
        };
        let (base, if_exists) = name.strip_suffix("IfExists").map_or((name, false), |base| (base, true));
        let known = OPERATORS.iter().find(|(known, ..)| *known == base);
        let Some(&(_, family, negated)) = known else {
            return Err(format!("`{operator}` is not a condition operator"));
        };
        if family == Family::Null && (if_exists || quantifier.is_some()) {
            return Err(format!("`{operator}`: Null stands alone"));
        }
        let values = values.iter().map(|(value, how)| Wanted::new(value, *how, family, variables)).collect();
        Ok(Self {
            operator: operator.into(),
            family,
            negated,
            quantifier,
            if_exists,
            looked_up: key.to_ascii_lowercase(),
            key: key.into(),
            values,
        })
    }

    /// The operator as written, with quantifier and `IfExists`.
    #[must_use]
    pub fn operator(&self) -> &str {
        &self.operator
    }

    /// The key as written.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The values as written.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|value| value.written.as_str())
    }

    pub(crate) fn family(&self) -> Family {
        self.family
    }

    pub(crate) fn is_negated(&self) -> bool {
        self.negated
    }

    pub(crate) fn is_if_exists(&self) -> bool {
        self.if_exists
    }

    pub(crate) fn quantifier(&self) -> Option<Quantifier> {
        self.quantifier
    }

    /// The first value that is none of the operator's type.
    pub(crate) fn unclear(&self) -> Option<&str> {
        self.values.iter().find(|value| value.meaning == Meaning::Unclear).map(|value| value.written.as_str())
    }

    /// Whether it is `Null` with just this value.
    pub(crate) fn is_null(&self, wanted: bool) -> bool {
        let fits = |value: &Wanted| value.meaning == Meaning::Bool(wanted);
        self.family == Family::Null && !self.values.is_empty() && self.values.iter().all(fits)
    }

    /// The condition, and what is seen of its key, in words.
    pub(crate) fn describe(&self, context: &Context) -> String {
        let seen = match context.get(&self.looked_up) {
            None => "it is missing".to_owned(),
            Some(values) => format!("it is {}", values.join(", ")),
        };
        let wanted: Vec<&str> = self.values().collect();
        format!("{} {} [{}]: {seen}", self.operator, self.key, wanted.join(", "))
    }

    pub(crate) fn matches(&self, context: &Context, notes: &mut Notes<'_>) -> Truth {
        let seen = context.get(&self.looked_up);
        let truth = self.judge(seen, context);
        if truth != Truth::Yes {
            let verdict = if truth == Truth::Unknown { " (AWS does not say what follows)" } else { "" };
            note(notes, || format!("{}{verdict}", self.describe(context)));
        }
        truth
    }

    fn judge(&self, seen: Option<&[String]>, context: &Context) -> Truth {
        if self.values.is_empty() {
            return Truth::Unknown;
        }
        if self.family == Family::Null {
            return self.judge_null(seen);
        }
        let Some(seen) = seen else {
            return match (self.if_exists, self.quantifier) {
                (true, _) | (false, Some(Quantifier::All)) => Truth::Yes,
                (false, Some(Quantifier::Any)) => Truth::No,
                (false, None) => self.negated.into(),
            };
        };
        match self.quantifier {
            Some(Quantifier::All) if seen.iter().all(String::is_empty) => Truth::Yes,
            Some(Quantifier::All) => {
                seen.iter().map(|value| self.one(value, context)).fold(Truth::Yes, Truth::and)
            }
            Some(Quantifier::Any) => {
                seen.iter().map(|value| self.one(value, context)).fold(Truth::No, Truth::or)
            }
            None => match seen {
                [value] => self.one(value, context),
                // Several values, or none, for an operator that compares one.
                _ => Truth::Unknown,
            },
        }
    }

    fn judge_null(&self, seen: Option<&[String]>) -> Truth {
        let missing = seen.is_none();
        let holds = |value: &Wanted| match value.meaning {
            Meaning::Bool(wanted) => Truth::from(wanted == missing),
            _ => Truth::Unknown,
        };
        self.values.iter().map(holds).fold(Truth::No, Truth::or)
    }

    /// One value of the request against all values of the policy: any may match, or none if negated.
    fn one(&self, value: &str, context: &Context) -> Truth {
        let mut any = Truth::No;
        for wanted in &self.values {
            any = any.or(wanted.matches(value, self.family, context));
        }
        if self.negated { any.not() } else { any }
    }
}

impl Wanted {
    fn new(value: &str, how: Written, family: Family, variables: bool) -> Self {
        let meaning = match family {
            Family::Text { like, .. } if how == Written::Text => {
                Meaning::Text(Pattern::new(value, Reading { wildcards: like, variables }))
            }
            Family::Text { .. } => Meaning::Unclear,
            Family::Number(_) => value.trim().parse().map_or(Meaning::Unclear, Meaning::Number),
            Family::Date(_) => date(value).map_or(Meaning::Unclear, Meaning::Date),
            Family::Bool | Family::Null => boolean(value).map_or(Meaning::Unclear, Meaning::Bool),
            Family::Binary => {
                Meaning::Text(Pattern::new(value, Reading { wildcards: false, variables: false }))
            }
            Family::Ip => net(value).map_or(Meaning::Unclear, Meaning::Net),
            Family::Arn if how == Written::Text => {
                arn_pattern(value, variables).map_or(Meaning::Unclear, Meaning::Arn)
            }
            Family::Arn => Meaning::Unclear,
        };
        Self { written: value.into(), meaning }
    }

    fn matches(&self, value: &str, family: Family, context: &Context) -> Truth {
        match (&self.meaning, family) {
            (Meaning::Text(pattern), Family::Text { ignore_case: true, .. }) => {
                fits(pattern, context, |pattern| pattern.matches_without_case(value))
            }
            (Meaning::Text(pattern), _) => fits(pattern, context, |pattern| pattern.matches(value)),
            (Meaning::Number(wanted), Family::Number(comparison)) => match value.trim().parse::<f64>() {
                Ok(found) => comparison.holds(found.partial_cmp(wanted)).into(),
                Err(_) => Truth::Unknown,
            },
            (Meaning::Date(wanted), Family::Date(comparison)) => match date(value) {
                Some(found) => comparison.holds(Some(found.cmp(wanted))).into(),
                None => Truth::Unknown,
            },
            (Meaning::Bool(wanted), _) => {
                boolean(value).map_or(Truth::Unknown, |found| (found == *wanted).into())
            }
            (Meaning::Net(net), _) => match value.parse::<IpAddr>() {
                Ok(address) => net.contains(&address).into(),
                Err(_) => Truth::Unknown,
            },
            (Meaning::Arn(parts), _) => arn(parts, value, context),
            _ => Truth::Unknown,
        }
    }
}

/// A variable without a value makes a comparison false (so a negated one true); one with many is unclear.
fn fits(pattern: &Pattern, context: &Context, matches: impl Fn(&Pattern) -> bool) -> Truth {
    if !pattern.has_variables() {
        return matches(pattern).into();
    }
    match pattern.resolve(context) {
        Ok(resolved) => matches(&resolved).into(),
        Err(missing) if missing.many => Truth::Unknown,
        Err(_) => Truth::No,
    }
}

const ARN_PARTS: usize = 6;

fn arn_pattern(value: &str, variables: bool) -> Option<Vec<Pattern>> {
    let parts: Vec<Pattern> = split_arn(value)
        .into_iter()
        .map(|part| Pattern::new(part, Reading { wildcards: true, variables }))
        .collect();
    if parts.len() == ARN_PARTS {
        return Some(parts);
    }
    // A lone `*` is taken for any ARN.
    (value == "*").then(Vec::new)
}

/// At the first five colons, but not at those within a variable.
fn split_arn(value: &str) -> Vec<&str> {
    let (mut parts, mut start, mut inside) = (Vec::new(), 0, false);
    for (at, c) in value.char_indices() {
        match c {
            '{' if value[..at].ends_with('$') => inside = true,
            '}' => inside = false,
            ':' if !inside && parts.len() < ARN_PARTS - 1 => {
                parts.push(&value[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&value[start..]);
    parts
}

fn arn(parts: &[Pattern], value: &str, context: &Context) -> Truth {
    let found = split_arn(value);
    if found.len() != ARN_PARTS {
        return Truth::Unknown;
    }
    let pairs = parts.iter().zip(&found);
    pairs.map(|(pattern, part)| fits(pattern, context, |p| p.matches(part))).fold(Truth::Yes, Truth::and)
}

fn boolean(value: &str) -> Option<bool> {
    if value.eq_ignore_ascii_case("true") {
        Some(true)
    } else if value.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// RFC 3339, a date alone, or seconds since 1970.
fn date(value: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc3339(value) {
        return Some(at.to_utc());
    }
    if let Ok(at) = NaiveDateTime::parse_from_str(value, "%Y-%m-%dT%H:%MZ") {
        return Some(at.and_utc());
    }
    if let Ok(day) = NaiveDate::parse_from_str(value, "%Y-%m-%d") {
        return Some(day.and_hms_opt(0, 0, 0)?.and_utc());
    }
    DateTime::from_timestamp(value.parse().ok()?, 0)
}

fn net(value: &str) -> Option<IpNet> {
    value.parse().ok().or_else(|| value.parse::<IpAddr>().ok().map(IpNet::from))
}
