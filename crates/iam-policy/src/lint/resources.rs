//! Rules about resources, and about actions on them.

use super::view::{View, without_region};
use super::{Finding, Severity};
use crate::policy::Effect;
use crate::service::{Action, ResourceType};

pub(super) fn with_region(view: &View<'_>) -> Vec<Finding> {
    let faults = view.resources.iter().filter_map(|resource| Some((resource, without_region(resource)?)));
    let place = view.resource_place();
    faults
        .map(|(resource, meant)| {
            let message = format!(
                "`{resource}` matches nothing: ARNs of buckets and objects have neither region nor account"
            );
            Finding::new("BUCKET_WITH_REGION", &place, message, format!("Write `{meant}`."))
        })
        .collect()
}

/// Actions that none of the statement's resources can match.
pub(super) fn mismatches(view: &View<'_>) -> Vec<Finding> {
    if view.has_not_action() || view.has_not_resource() || view.resources.is_empty() {
        return Vec::new();
    }
    let idle = view.patterns().filter_map(|(pattern, covered)| {
        let first = covered.first()?;
        // Whether actions of other services are among them is not known.
        let known = pattern.contains(':');
        let reached = covered.iter().any(|action| view.reaches(action));
        (known && !reached).then(|| mismatch(view, pattern, first))
    });
    idle.collect()
}

fn mismatch(view: &View<'_>, pattern: &str, action: &Action) -> Finding {
    let verb = if view.is(Effect::Allow) { "allows" } else { "denies" };
    let listed: Vec<String> = view.resources.iter().take(3).map(|resource| format!("`{resource}`")).collect();
    let listed = listed.join(", ");
    let Some(of) = main_type(action) else {
        let message = format!(
            "`{pattern}` has no effect on {listed}: it works on no resource, so the statement {verb} nothing of it"
        );
        return Finding::new(
            "RESOURCE_MISMATCH",
            &view.action_place(),
            message,
            format!("Put `{pattern}` into a statement with \"Resource\": \"*\"."),
        );
    };
    let message = format!(
        "`{pattern}` has no effect on {listed}: it works on {} ({}), so the statement {verb} nothing of it",
        with_article(of.name),
        of.arn
    );
    let form = view.resources.iter().find_map(|resource| rewritten(resource, of.name));
    let form = form.unwrap_or_else(|| of.arn.to_owned());
    let help = format!("Add `{form}` to the Resource, or move `{pattern}` to a statement about it.");
    Finding::new("RESOURCE_MISMATCH", &view.action_place(), message, help)
}

/// The kind of resource that an action is mostly asked for on.
fn main_type(action: &Action) -> Option<&'static ResourceType> {
    let common = action.types().find(|of| matches!(of.name, "bucket" | "object" | "key"));
    common.or_else(|| action.types().next())
}

fn with_article(name: &str) -> String {
    let article = if name.starts_with(['a', 'o']) { "an" } else { "a" };
    format!("{article} {name}")
}

/// A bucket's ARN made one of its objects, or the reverse.
fn rewritten(resource: &str, wanted: &str) -> Option<String> {
    let parts: Vec<&str> = resource.splitn(6, ':').collect();
    let ["arn", partition, "s3", _, _, name] = parts[..] else { return None };
    let bucket = name.split('/').next().filter(|bucket| !bucket.is_empty())?;
    match wanted {
        "bucket" => Some(format!("arn:{partition}:s3:::{bucket}")),
        "object" => Some(format!("arn:{partition}:s3:::{bucket}/*")),
        _ => None,
    }
}

/// `bucket*` where objects are meant.
pub(super) fn without_slash(view: &View<'_>) -> Vec<Finding> {
    let object = |action: &Action| action.resource_types().any(|of| of == "object");
    if view.has_not_resource() || !view.covered().any(object) {
        return Vec::new();
    }
    let severity = if view.is(Effect::Allow) { Severity::Warning } else { Severity::Note };
    let place = view.resource_place();
    let faults = view.resources.iter().filter_map(|resource| Some((resource, open_ended(resource)?)));
    faults
        .map(|(resource, bucket)| {
            let message =
                format!("`{resource}` also covers every other bucket whose name begins with `{bucket}`");
            let arn = resource.trim_end_matches('*');
            let help = format!(
                "Write `{arn}` for the bucket and `{arn}/*` for its objects; name other buckets one by one."
            );
            Finding::new("NO_OBJECT_SLASH", &place, message, help).with(severity)
        })
        .collect()
}

/// The bucket's name in `arn:aws:s3:::bucket*`.
fn open_ended(resource: &str) -> Option<&str> {
    let parts: Vec<&str> = resource.splitn(6, ':').collect();
    let ["arn", _, "s3", "", "", name] = parts[..] else { return None };
    let bucket = name.strip_suffix('*')?.trim_end_matches('*');
    (!bucket.is_empty() && !bucket.contains('/')).then_some(bucket)
}
