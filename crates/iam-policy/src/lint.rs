//! What is wrong with a policy that parses, or why it does not. Sources: IAM User Guide, "IAM JSON policy elements
//! reference"; Amazon S3 User Guide, "Policies and permissions in Amazon S3"; the tables of [`crate::service`].

mod actions;
mod conditions;
mod encryption;
mod grants;
mod resources;
mod view;
mod whole;

use serde::Serialize;
use serde_json::Value;

use self::view::View;
use crate::parse;
use crate::policy::{Kind, Policy};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Severity {
    /// Good to know.
    Note,
    /// It probably does something else than was meant, or too much.
    Warning,
    /// AWS refuses it, it has no effect, or it is open to all.
    Error,
}

/// Something that was found in a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule's name, one of [`RULES`]; it never changes its meaning.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Where: `Statement[1].Action`, counted from 0, or a line and column.
    pub place: String,
    /// What is wrong and what follows from it.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// All rules: name, how bad what they find mostly is, and what that is.
pub const RULES: [(&str, Severity, &str); 24] = [
    ("MALFORMED", Severity::Error, "text that is no policy, with the place and the rule that is broken"),
    ("TOO_LARGE", Severity::Error, "a policy above AWS's limit for its kind"),
    ("INVALID_VERSION", Severity::Error, "a Version that AWS does not know"),
    ("NO_VERSION", Severity::Note, "no Version or the old one, in which variables are plain text"),
    ("EMPTY", Severity::Warning, "a policy without statements"),
    ("DUPLICATE_SID", Severity::Error, "a Sid that stands twice"),
    ("DENY_ONLY", Severity::Warning, "an identity policy that only denies, and so grants nothing"),
    ("MIXED_PARTITIONS", Severity::Warning, "ARNs of several partitions, such as aws and aws-cn"),
    ("UNKNOWN_ACTION", Severity::Error, "an action that the service does not have"),
    ("RESOURCE_MISMATCH", Severity::Error, "an action that none of the statement's resources can match"),
    ("BUCKET_WITH_REGION", Severity::Error, "the ARN of a bucket or object with a region or account"),
    (
        "NO_OBJECT_SLASH",
        Severity::Warning,
        "`bucket*` for the objects of a bucket: it covers other buckets too",
    ),
    ("UNKNOWN_CONDITION_KEY", Severity::Error, "a condition key that nobody sets"),
    ("KEY_NOT_FOR_ACTION", Severity::Warning, "a condition key that the statement's actions never have"),
    ("MISMATCHED_TYPE", Severity::Warning, "an operator or a value of another type than the condition key"),
    ("PUBLIC_ALLOW", Severity::Error, "an Allow for everyone"),
    ("NOT_PRINCIPAL_ALLOW", Severity::Error, "an Allow for everyone but a few"),
    ("NOT_ACTION_ALLOW", Severity::Warning, "an Allow of everything but a few actions"),
    ("ALLOW_ALL", Severity::Warning, "an Allow of every action"),
    ("RESOURCE_STAR", Severity::Warning, "an Allow to change the objects of every bucket"),
    ("ACL_ACTION", Severity::Warning, "an Allow to change or read ACLs"),
    ("IF_EXISTS_TRAP", Severity::Warning, "a negated …IfExists in a Deny, which denies a missing header too"),
    ("REDUNDANT_NULL", Severity::Note, "a Deny on a missing key that another Deny covers already"),
    ("SSE_C_OPEN", Severity::Warning, "an encryption rule that lets customer-provided keys pass"),
];

impl Finding {
    /// With the rule's own severity.
    fn new(rule: &'static str, place: &str, message: String, help: String) -> Self {
        let listed = RULES.iter().find(|(name, ..)| *name == rule);
        let severity = listed.map_or(Severity::Error, |(_, severity, _)| *severity);
        Self { rule, severity, place: place.into(), message, help }
    }

    fn with(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }
}

/// A longer text is not looked into: it is many times above every limit, and looking would take long.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Where a finding is that concerns all of a policy.
const POLICY: &str = "the policy";

/// Finds what is wrong with a policy of this kind. Actions and keys of other services than S3, KMS and STS are
/// not judged.
#[must_use]
pub fn lint(text: &str, kind: Kind) -> Vec<Finding> {
    let mut findings: Vec<Finding> = whole::too_large(text, kind).into_iter().collect();
    if text.len() > TEXT_BYTES_MAX {
        return findings;
    }
    let document = match parse::document(text) {
        Ok(document) => document,
        Err(error) => {
            findings.push(whole::malformed(&error));
            return findings;
        }
    };
    let mut repaired = document.clone();
    findings.extend(whole::version(&document, &mut repaired));
    findings.extend(whole::sids(&document, &mut repaired, kind));
    match Policy::from_document(repaired, kind) {
        Ok(policy) => findings.extend(look(&policy)),
        Err(error) => findings.push(whole::malformed(&error)),
    }
    findings
}

fn look(policy: &Policy) -> Vec<Finding> {
    let views = View::all(policy);
    let mut findings = Vec::from_iter(whole::statements(&views, policy.kind()));
    findings.extend(whole::partitions(policy.document()));
    for view in &views {
        findings.extend(actions::unknown(view));
        findings.extend(resources::with_region(view));
        findings.extend(resources::mismatches(view));
        findings.extend(resources::without_slash(view));
        findings.extend(conditions::keys(view));
        findings.extend(conditions::types(view));
        findings.extend(grants::all(view, policy.kind()));
        findings.extend(encryption::if_exists(view));
        findings.extend(encryption::redundant(view, &views));
        findings.extend(encryption::customer_keys(view, &views));
    }
    findings
}

/// Every text in a value.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(members) => members.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}
