//! Rules about the policy as a whole.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use super::view::View;
use super::{Finding, POLICY, Severity, texts};
use crate::parse::PolicyError;
use crate::policy::{Effect, Kind};
use crate::size::{Attachment, size};

const VERSION: &str = "2012-10-17";

pub(super) fn malformed(error: &PolicyError) -> Finding {
    let message = format!("{}; AWS refuses the whole policy", error.rule);
    let help = format!("Correct {}; other faults are looked for once the policy can be read.", error.place);
    Finding::new("MALFORMED", &error.place, message, help)
}

pub(super) fn too_large(text: &str, kind: Kind) -> Option<Finding> {
    let (attachment, what, unit) = match kind {
        Kind::Identity | Kind::Boundary => {
            (Attachment::Managed, "a managed policy", "characters without white space")
        }
        Kind::Session => (Attachment::Session, "a session policy", "characters without white space"),
        Kind::Resource => (Attachment::Bucket, "a bucket policy", "bytes, white space included"),
    };
    let size = size(text, attachment);
    let message = format!(
        "it has {} {unit}, {} more than the {} that {what} may have",
        size.used,
        size.over(),
        size.limit
    );
    let help = "Join statements that differ in one element only, use wildcards, or split the policy.";
    (size.over() > 0).then(|| Finding::new("TOO_LARGE", POLICY, message, help.into()))
}

/// Looks at the Version, and sets one that AWS does not know to the current one.
pub(super) fn version(document: &Value, repaired: &mut Value) -> Option<Finding> {
    let members = document.as_object()?;
    let old = match members.get("Version") {
        Some(Value::String(version)) if version == VERSION => return None,
        Some(Value::String(version)) if version == "2008-10-17" => "its Version is 2008-10-17",
        Some(other) => {
            repaired["Version"] = VERSION.into();
            return Some(invalid_version(other));
        }
        None => "it has no Version, which means 2008-10-17",
    };
    let variables = members
        .get("Statement")
        .is_some_and(|statements| texts(statements).iter().any(|text| text.contains("${")));
    let (severity, what) = if variables {
        (Severity::Warning, "the variables in it are plain text that no request matches")
    } else {
        (Severity::Note, "a variable such as ${aws:username} would be plain text")
    };
    let help = format!("Write \"Version\": \"{VERSION}\".");
    Some(Finding::new("NO_VERSION", "Version", format!("{old}: {what}"), help).with(severity))
}

fn invalid_version(found: &Value) -> Finding {
    let message = format!("{found} is not a version of the policy language; AWS refuses the policy");
    let help = format!("Write \"{VERSION}\": it names the language's version and is no date to be changed.");
    Finding::new("INVALID_VERSION", "Version", message, help)
}

/// Looks for a Sid that stands twice, and takes it out where it would make the policy malformed.
pub(super) fn sids(document: &Value, repaired: &mut Value, kind: Kind) -> Vec<Finding> {
    let Some(Value::Array(statements)) = document.get("Statement") else { return Vec::new() };
    let (mut seen, mut findings) = (HashSet::new(), Vec::new());
    for (i, statement) in statements.iter().enumerate() {
        let Some(sid) = statement.get("Sid").and_then(Value::as_str) else { continue };
        if sid.is_empty() || seen.insert(sid) {
            continue;
        }
        let (severity, what) = match kind {
            Kind::Resource => {
                (Severity::Warning, "tools that replace statements by Sid change the wrong one")
            }
            _ => (Severity::Error, "IAM refuses the policy"),
        };
        let message = format!("the Sid `{sid}` stands twice: {what}");
        let help = "Give each statement a Sid of its own, or none.".to_owned();
        let place = format!("Statement[{i}].Sid");
        findings.push(Finding::new("DUPLICATE_SID", &place, message, help).with(severity));
        if kind != Kind::Resource
            && let Some(members) = repaired["Statement"][i].as_object_mut()
        {
            members.remove("Sid");
        }
    }
    findings
}

pub(super) fn statements(views: &[View<'_>], kind: Kind) -> Option<Finding> {
    if views.is_empty() {
        let message = "it has no statements, so it neither allows nor denies anything".to_owned();
        let help = "Add a statement, or take the policy away.".to_owned();
        return Some(Finding::new("EMPTY", "Statement", message, help));
    }
    if kind != Kind::Identity || views.iter().any(|view| view.is(Effect::Allow)) {
        return None;
    }
    let message = "all its statements deny: it grants nothing, and binds only whom it is attached to";
    let help = "Attach it beside a policy that allows, add an Allow, or put the Denies into the bucket policy with \
                \"Principal\": \"*\", where they bind everyone.";
    Some(Finding::new("DENY_ONLY", POLICY, message.into(), help.into()))
}

pub(super) fn partitions(document: &Value) -> Option<Finding> {
    let found: BTreeSet<&str> = document
        .get("Statement")
        .map(texts)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|text| text.strip_prefix("arn:")?.split(':').next())
        .filter(|name| name.starts_with("aws") && !name.contains(['*', '?', '$']))
        .collect();
    if found.len() < 2 {
        return None;
    }
    let names: Vec<&str> = found.into_iter().collect();
    let message = format!(
        "it names ARNs of the partitions {}: an account lies in one, so the others match nothing",
        names.join(" and ")
    );
    let help = "Write one policy for each partition.".to_owned();
    Some(Finding::new("MIXED_PARTITIONS", POLICY, message, help))
}
