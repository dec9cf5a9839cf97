//! Rules about names of actions.

use super::Finding;
use super::view::View;
use crate::service::{self, Action};

/// Actions that their service does not have.
pub(super) fn unknown(view: &View<'_>) -> Vec<Finding> {
    let nameless = |(pattern, covered): &(&str, &[&Action])| {
        let known = pattern.split_once(':').is_some_and(|(service, _)| service::is_known(service));
        known && covered.is_empty()
    };
    view.patterns().filter(nameless).map(|(pattern, _)| finding(view, pattern)).collect()
}

fn finding(view: &View<'_>, pattern: &str) -> Finding {
    let (service, name) = pattern.split_once(':').unwrap_or_default();
    let message = if service::api_name(service, name).is_some() {
        format!("`{pattern}` is a call of S3's API and no action: it matches no request")
    } else if pattern.contains(['*', '?']) {
        format!("`{pattern}` covers no action of {service} (as of {}): it matches no request", service::DATE)
    } else {
        format!("{service} has no action `{pattern}` (as of {}): it matches no request", service::DATE)
    };
    let help = match service::nearest(pattern) {
        Some(meant) if service::api_name(service, name).is_some() => {
            format!("Write `{meant}`, the action that permits this call.")
        }
        Some(meant) => format!("Write `{meant}`, if that is meant."),
        None => "Take the name from the service's page in the Service Authorization Reference.".into(),
    };
    Finding::new("UNKNOWN_ACTION", &view.action_place(), message, help)
}
