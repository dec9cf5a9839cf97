//! What has to go when everything that was created here is removed again.

use iam_policy::Kind;
use iam_policy::edit;
use serde_json::Value;

use super::bucket::{is_own, statements, unreadable};
use super::{Effect, Facts, Plan, change};
use crate::bucket::facts::{BucketFacts, Seen};
use crate::error::Result;
use crate::guard::policy::{Attached, documents};
use crate::guard::provision::policy_arn;
use crate::guard::settings::Settings;
use crate::guard::steps::{BucketStep, IdentityStep};
use crate::guard::wish;

/// Undoes what was made: identities first, so that nothing is left that could still write.
///
/// # Errors
/// As [`plan`](super::plan).
pub fn destruction(settings: &Settings, facts: &Facts) -> Result<Plan> {
    let mut plan = Plan::default();
    for (name, found) in &facts.identities {
        let arn = policy_arn(settings, name);
        let remove = |subject: String, step: IdentityStep| change(subject, Effect::Remove, step);
        if let Some(user) = &found.user {
            let subject = format!("user {name} and its access keys ({})", user.access_keys.len());
            plan.changes.push(remove(subject, IdentityStep::DeleteUser { name: name.clone() }));
        }
        if found.group.is_some() {
            plan.changes.push(remove(
                format!("group {name}"),
                IdentityStep::DeleteGroup { name: name.clone(), arn: arn.clone() },
            ));
        }
        if found.role.is_some() {
            plan.changes.push(remove(
                format!("role {name}"),
                IdentityStep::DeleteRole { name: name.clone(), arn: arn.clone() },
            ));
        }
        if found.policy.is_some() {
            plan.changes.push(remove(format!("policy {name}"), IdentityStep::DeletePolicy { arn }));
        }
    }
    if let Some(bucket) = &facts.bucket {
        plan.undo_bucket(settings, bucket)?;
    }
    Ok(plan)
}

impl Plan {
    fn undo_bucket(&mut self, settings: &Settings, found: &BucketFacts) -> Result<()> {
        if found.made_here == Seen::Is(true) {
            self.changes.push(change(
                format!("bucket {}", settings.bucket),
                Effect::Remove,
                BucketStep::Delete,
            ));
            return Ok(());
        }
        self.notes.push(format!(
            "bucket {} was not created by strongroom: it stays with its settings, only strongroom's own statements and rules are removed",
            settings.bucket
        ));
        if let Some(Some(text)) = self.look("the bucket policy", &found.policy)?.cloned() {
            let wanted = documents(settings).into_iter().find(|d| d.attached == Attached::Bucket);
            let ours = wanted.as_ref().map(statements).unwrap_or_default();
            let gone = |s: &Value| is_own(s) || ours.iter().any(|own| edit::same_statement(own, s));
            let left = edit::remove(&text, Kind::Resource, gone).map_err(|e| unreadable(&e))?;
            let before: Option<Value> = serde_json::from_str(&text).ok();
            self.policy_change("bucket policy", before.as_ref(), left.as_ref(), BucketStep::Policy);
        }
        let rules = found.lifecycle.known().map(Vec::as_slice).unwrap_or_default();
        if rules.iter().any(|rule| rule.id == wish::LIFECYCLE_ID) {
            let subject = format!("lifecycle rule {}", wish::LIFECYCLE_ID);
            self.changes.push(change(subject, Effect::Remove, BucketStep::Lifecycle(None)));
        }
        Ok(())
    }
}
