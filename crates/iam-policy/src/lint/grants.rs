//! Rules about Allows that give more than was meant.

use ipnet::IpNet;

use super::view::View;
use super::{Finding, Severity};
use crate::condition::{Condition, Quantifier};
use crate::policy::{Effect, Kind};
use crate::principal::Entry;
use crate::service::{Access, Action};

pub(super) fn all(view: &View<'_>, kind: Kind) -> Vec<Finding> {
    if !view.is(Effect::Allow) {
        return Vec::new();
    }
    let mut findings = Vec::from_iter(everyone(view));
    // A boundary or a session policy limits and gives nothing: there it is common to allow much.
    if matches!(kind, Kind::Identity | Kind::Resource) {
        let everything = everything(view);
        if everything.is_none() && kind == Kind::Identity {
            findings.extend(every_object(view));
        }
        findings.extend(everything);
        findings.extend(not_action(view));
        findings.extend(acls(view));
    }
    findings
}

fn everyone(view: &View<'_>) -> Option<Finding> {
    let principal = view.statement.principal.as_ref()?;
    if principal.not {
        let message =
            "an Allow with NotPrincipal allows everyone else, anonymous requests included".to_owned();
        let help = "Name in Principal who is allowed; NotPrincipal belongs with Deny.".to_owned();
        let place = format!("{}.NotPrincipal", view.place);
        return Some(Finding::new("NOT_PRINCIPAL_ALLOW", &place, message, help));
    }
    let conditions = view.statement.conditions();
    if !principal.entries.contains(&Entry::Everyone) || conditions.iter().any(pins) {
        return None;
    }
    let (severity, what) = if conditions.is_empty() {
        (Severity::Error, "everyone, anonymous requests included, is allowed what this statement lists")
    } else {
        (
            Severity::Warning,
            "everyone is allowed it whose request meets the conditions, and none says who that is",
        )
    };
    let help = "Name accounts, users or roles in Principal, or add a condition on aws:PrincipalOrgID, \
                aws:PrincipalArn, aws:SourceVpce, aws:SourceIp or the like.";
    let place = format!("{}.Principal", view.place);
    Some(Finding::new("PUBLIC_ALLOW", &place, what.into(), help.into()).with(severity))
}

/// Keys that say who asks or from where. Source: Amazon S3 User Guide, "The meaning of public".
const WHO: [&str; 18] = [
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceIp",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:SourceVpc",
    "aws:SourceVpcArn",
    "aws:SourceVpce",
    "aws:VpceAccount",
    "aws:VpceOrgID",
    "aws:VpceOrgPaths",
    "aws:userid",
    "s3:DataAccessPointAccount",
    "s3:DataAccessPointArn",
];

/// Whether a condition holds for named ones only.
fn pins(condition: &Condition) -> bool {
    let who = WHO.iter().chain(&["kms:CallerAccount"]).any(|key| key.eq_ignore_ascii_case(condition.key()));
    let missing = condition.is_if_exists() || condition.quantifier() == Some(Quantifier::All);
    let null = condition.operator() == "Null";
    who && !missing && !null && !condition.is_negated() && condition.values().all(narrow)
}

fn narrow(value: &str) -> bool {
    if let Ok(net) = value.parse::<IpNet>() {
        return net.prefix_len() >= NARROW_BITS;
    }
    let parts: Vec<&str> = value.splitn(6, ':').collect();
    let fixed = |text: &str| !text.is_empty() && !text.contains(['*', '?']);
    match parts[..] {
        // ARNs of buckets have no account, and names of their own.
        ["arn", _, _, _, "", name] => !name.starts_with(['*', '?']),
        ["arn", _, _, _, account, _] => fixed(account),
        // `o-…/*` and the like.
        _ => !value.is_empty() && !value.starts_with(['*', '?']) && !value.starts_with("arn:"),
    }
}

/// A wider range of addresses is nearly everyone.
const NARROW_BITS: u8 = 8;

fn not_action(view: &View<'_>) -> Option<Finding> {
    let listed = view.actions.join(", ");
    let message =
        format!("an Allow with NotAction allows everything but {listed}, in every service, and what comes");
    let help = "List in Action what is needed.".to_owned();
    view.has_not_action().then(|| Finding::new("NOT_ACTION_ALLOW", &view.action_place(), message, help))
}

fn everything(view: &View<'_>) -> Option<Finding> {
    let all = |pattern: &&&str| {
        let name = pattern.rsplit(':').next().unwrap_or_default();
        let s3 = pattern.split_once(':').is_none_or(|(service, _)| service.eq_ignore_ascii_case("s3"));
        s3 && !name.is_empty() && name.chars().all(|c| c == '*')
    };
    let pattern = view.actions.iter().find(all).filter(|_| !view.has_not_action())?;
    let wide = !view.has_not_resource() && view.resources.contains(&"*");
    let (severity, on) = if wide { (Severity::Error, " on everything") } else { (Severity::Warning, "") };
    let message = format!(
        "`{pattern}` allows every action{on}: deleting versions, changing policies, switching encryption and versioning off"
    );
    let help = "List the actions that are needed, such as s3:ListBucket on the bucket and s3:PutObject on its objects.";
    Some(Finding::new("ALLOW_ALL", &view.action_place(), message, help.into()).with(severity))
}

/// Changing objects of every bucket.
fn every_object(view: &View<'_>) -> Option<Finding> {
    let wide = |resource: &&&str| {
        let name = resource.splitn(6, ':').last().unwrap_or_default();
        let bucket = name.split('/').next().unwrap_or_default();
        let s3 = **resource == "*" || resource.split(':').nth(2).is_some_and(|service| service == "s3");
        s3 && !bucket.is_empty() && name.chars().all(|c| matches!(c, '*' | '/'))
    };
    let resource = view.resources.iter().find(wide).filter(|_| !view.has_not_resource())?;
    let writes = |action: &&'static Action| {
        action.service() == "s3"
            && !matches!(action.access(), Access::List | Access::Read)
            && action.resource_types().any(|of| of == "object")
    };
    let first = view.covered().find(writes)?;
    let message = format!("`{}` is allowed on the objects of every bucket (`{resource}`)", first.name());
    let help = "Name the bucket and the prefix: `arn:aws:s3:::BUCKET/PREFIX/*`.".to_owned();
    Some(Finding::new("RESOURCE_STAR", &view.resource_place(), message, help))
}

fn acls(view: &View<'_>) -> Vec<Finding> {
    if view.has_not_action() {
        return Vec::new();
    }
    view.patterns().filter_map(|(pattern, covered)| acl(view, pattern, covered)).collect()
}

/// Wildcards for reading alone are passed over, and so are those for everything, which another rule finds.
fn acl(view: &View<'_>, pattern: &str, covered: &[&Action]) -> Option<Finding> {
    let (_, name) = pattern.split_once(':')?;
    if name.chars().all(|c| c == '*') {
        return None;
    }
    let acls = || covered.iter().filter(|action| action.name().ends_with("Acl"));
    let write = acls().find(|action| action.access() == Access::PermissionsManagement);
    let read = acls().next().filter(|_| name.to_ascii_lowercase().contains("acl"));
    let (action, severity) =
        write.map(|action| (action, Severity::Warning)).or(read.map(|action| (action, Severity::Note)))?;
    let name = action.name();
    let what = if pattern.eq_ignore_ascii_case(name) {
        format!("`{pattern}`")
    } else {
        format!("`{pattern}` covers `{name}`, which")
    };
    let message = match severity {
        Severity::Warning => {
            format!("{what} lets the holder give objects or buckets to others, or to everyone")
        }
        _ => format!("{what} is of use only where ACLs are, and they are off in new buckets"),
    };
    let help = if pattern.eq_ignore_ascii_case(name) {
        "Take it out, and switch ACLs off with BucketOwnerEnforced object ownership.".to_owned()
    } else {
        "List the actions that are needed, and switch ACLs off with BucketOwnerEnforced object ownership."
            .to_owned()
    };
    Some(Finding::new("ACL_ACTION", &view.action_place(), message, help).with(severity))
}
