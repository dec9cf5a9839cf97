//! Rules about Denies on the encryption headers. Source: Amazon S3 User Guide, "Protecting data with server-side
//! encryption"; IAM User Guide, "Condition operators", on missing keys.

use super::Finding;
use super::conditions::place;
use super::view::View;
use crate::condition::{Condition, Quantifier};
use crate::policy::Effect;

const HEADER: &str = "s3:x-amz-server-side-encryption";
const CUSTOMER: &str = "s3:x-amz-server-side-encryption-customer-algorithm";

fn on<'a>(view: &'a View<'_>, key: &str) -> impl Iterator<Item = &'a Condition> {
    view.statement.conditions().iter().filter(move |condition| condition.key().eq_ignore_ascii_case(key))
}

/// Whether a Deny asks that the key be there at all.
fn only_present(view: &View<'_>, key: &str) -> bool {
    on(view, key).any(|condition| condition.is_null(false))
}

/// A negated …IfExists is true on a missing key, just as without IfExists.
pub(super) fn if_exists(view: &View<'_>) -> Option<Finding> {
    let trap = on(view, HEADER).find(|condition| condition.is_if_exists() && condition.is_negated())?;
    if !view.is(Effect::Deny) || only_present(view, HEADER) {
        return None;
    }
    let message = format!(
        "{} is true when the header is missing, so requests without it are denied too; IfExists changes nothing here",
        trap.operator()
    );
    let operator = trap.operator().trim_end_matches("IfExists");
    let values: Vec<String> = trap.values().map(|value| format!("\"{value}\"")).collect();
    let help = format!(
        "To let requests without the header pass, write \"Condition\": {{\"Null\": {{\"{HEADER}\": \"false\"}}, \"{operator}\": \
         {{\"{HEADER}\": [{}]}}}}; to deny them, write {operator}.",
        values.join(", ")
    );
    Some(Finding::new("IF_EXISTS_TRAP", &place(view, trap), message, help))
}

/// A Deny on a missing key, beside one with a negated operator on it.
pub(super) fn redundant(view: &View<'_>, views: &[View<'_>]) -> Option<Finding> {
    let [null] = view.statement.conditions() else { return None };
    if !view.is(Effect::Deny) || !null.is_null(true) {
        return None;
    }
    let negated = |other: &&View<'_>| match other.statement.conditions() {
        [one] => {
            one.is_negated()
                && one.quantifier() != Some(Quantifier::Any)
                && one.key().eq_ignore_ascii_case(null.key())
        }
        _ => false,
    };
    let other = views.iter().filter(negated).find(|other| other.is(Effect::Deny) && other.covers(view))?;
    let operator = other.statement.conditions().first().map_or("", Condition::operator);
    let message = format!(
        "{} denies requests without `{}` already: {operator} is true on a missing key",
        other.place,
        null.key()
    );
    let help = "Take this statement out on AWS; keep it for servers on which a negated operator is false on a missing \
                key, such as Ceph's gateway.";
    Some(Finding::new("REDUNDANT_NULL", &place(view, null), message, help.into()))
}

/// A Deny of other encryption that lets requests without the header pass, and so those with a customer's key,
/// which never have it.
pub(super) fn customer_keys(view: &View<'_>, views: &[View<'_>]) -> Option<Finding> {
    let rule = on(view, HEADER).find(|condition| condition.is_negated())?;
    if !view.is(Effect::Deny) || !only_present(view, HEADER) {
        return None;
    }
    let closes =
        |other: &View<'_>| other.is(Effect::Deny) && only_present(other, CUSTOMER) && other.covers(view);
    if views.iter().any(closes) {
        return None;
    }
    let message = "requests without this header pass, and those that bring their own key (SSE-C) have none: what they \
                   write can only be read with that key";
    let help = format!(
        "Add a Deny of the same actions and resources with \"Condition\": {{\"Null\": {{\"{CUSTOMER}\": \"false\"}}}}."
    );
    Some(Finding::new("SSE_C_OPEN", &place(view, rule), message.into(), help))
}
