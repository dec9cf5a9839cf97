//! A plan, carried out.

use std::time::Duration;

use super::plan::{Change, Plan};
use crate::bucket::AccessKey;
use crate::bucket::admin::Admin;
use crate::bucket::facts::{BucketFacts, Seen};
use crate::error::{Code, Error, Result};
use crate::guard::steps::{BucketStep, IdentityStep, Step};
use crate::guard::wish;
use crate::help::Help;
use crate::job::Job;
use crate::progress::{Event, Phase};

/// A key that was made, for the one moment it can be shown.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Whose.
    pub user: String,
    /// The key.
    pub key: AccessKey,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Applied {
    /// Subjects of the changes that were made.
    pub done: Vec<String>,
    /// Subjects of the changes that the server turned out not to offer.
    pub skipped: Vec<String>,
    /// Keys that were made.
    pub keys: Vec<NewKey>,
    /// Why the next change could not be made; none if all were.
    pub stopped: Option<Error>,
}

/// How long a cancelled job waits for the change that is under way: each is whole or not made.
const LAST_CHANGE: Duration = Duration::from_secs(30);

/// Makes the changes one after the other, and stops at the first that fails, or before the next one when the job is
/// cancelled. The same call again goes on from there, because it looks at what is there anew.
pub async fn apply(admin: &Admin, plan: &Plan, job: &Job) -> Applied {
    job.observe(&Event::Began { backup: None, plan: None });
    job.phase(Phase::Provisioning);
    let mut applied = Applied::default();
    let mut facts = None;
    for (place, change) in plan.changes.iter().enumerate() {
        if facts.as_ref().is_some_and(|facts| !is_offered(&change.step, facts)) {
            applied.skipped.push(change.subject.clone());
            continue;
        }
        match job.answered_within(LAST_CHANGE, make(admin, &change.step)).await.flatten() {
            Ok(key) => {
                job.observe(&Event::Changed { what: change.subject.clone() });
                applied.done.push(change.subject.clone());
                applied.keys.extend(key);
            }
            Err(error) => {
                applied.stopped = Some(stopped(error, change, place, plan));
                break;
            }
        }
        if matches!(change.step, Step::Bucket(BucketStep::Create { .. })) {
            // Only a bucket that is there tells what the server offers.
            facts = admin.facts().await.ok();
        }
    }
    applied
}

fn is_offered(step: &Step, facts: &BucketFacts) -> bool {
    let Step::Bucket(step) = step else { return true };
    match step {
        BucketStep::BlockPublicAccess => facts.public_access_block != Seen::NotOffered,
        BucketStep::EnforceOwner => facts.ownership != Seen::NotOffered,
        BucketStep::Encrypt(_) => facts.encryption != Seen::NotOffered,
        BucketStep::Lifecycle(_) => facts.lifecycle != Seen::NotOffered,
        BucketStep::Lock(_) => facts.object_lock != Seen::NotOffered,
        BucketStep::Policy(_) => facts.policy != Seen::NotOffered,
        BucketStep::Create { .. } | BucketStep::KeepVersions | BucketStep::Delete => true,
    }
}

/// What was done, what was not, and how to go on.
fn stopped(error: Error, change: &Change, done: usize, plan: &Plan) -> Error {
    let left: Vec<&str> = plan.changes[done..].iter().map(|change| change.subject.as_str()).collect();
    let help = error.help_text().cloned().map_or_else(Help::default, |help| help.and(" "));
    error
        .context(format!("{} ({done} of {} changes were made)", change.subject, plan.changes.len()))
        .help(help.and(format!("Not done: {}. The same again goes on from here.", left.join(", "))))
}

async fn make(admin: &Admin, step: &Step) -> Result<Option<NewKey>> {
    match step {
        Step::Bucket(step) => change_bucket(admin, step).await.map(|()| None),
        Step::Identity(step) => change_identity(admin, step).await,
    }
}

async fn change_bucket(admin: &Admin, step: &BucketStep) -> Result<()> {
    match step {
        BucketStep::Create { object_lock } => {
            admin.create_bucket(*object_lock).await?;
            match admin.tag().await {
                // Without tags nobody knows later that it was created here, so it is never deleted.
                Err(error) if error.code() == Code::NotOffered => Ok(()),
                other => other,
            }
        }
        BucketStep::BlockPublicAccess => admin.block_public_access().await,
        BucketStep::EnforceOwner => admin.enforce_owner().await,
        BucketStep::Encrypt(sse) => admin.set_encryption(sse).await,
        BucketStep::KeepVersions => admin.keep_versions().await,
        BucketStep::Lifecycle(rule) => admin.set_lifecycle_rule(wish::LIFECYCLE_ID, rule.as_ref()).await,
        BucketStep::Lock(retention) => admin.lock_objects(retention.mode.as_str(), retention.days).await,
        BucketStep::Policy(text) => admin.set_policy(text.as_deref()).await,
        BucketStep::Delete => admin.delete_bucket().await,
    }
}

async fn change_identity(admin: &Admin, step: &IdentityStep) -> Result<Option<NewKey>> {
    use IdentityStep as Is;
    let changed = match step {
        Is::CreateKey { name } => {
            let key = admin.create_access_key(name).await?;
            return Ok(Some(NewKey { user: name.clone(), key }));
        }
        Is::CreatePolicy { name, text } => admin.create_policy(name, text).await,
        Is::ChangePolicy { arn, text } => admin.change_policy(arn, text).await,
        Is::CreateGroup { name } => admin.create_group(name).await,
        Is::AttachToGroup { name, arn } => admin.attach_to_group(name, arn).await,
        Is::CreateUser { name } => admin.create_user(name).await,
        Is::JoinGroup { name } => admin.join_group(name).await,
        Is::CreateRole { name, trust } => admin.create_role(name, trust).await,
        Is::ChangeTrust { name, trust } => admin.change_trust(name, trust).await,
        Is::AttachToRole { name, arn } => admin.attach_to_role(name, arn).await,
        Is::DeleteUser { name } => admin.delete_user(name).await,
        Is::DeleteGroup { name, arn } => admin.delete_group(name, arn).await,
        Is::DeleteRole { name, arn } => admin.delete_role(name, arn).await,
        Is::DeletePolicy { arn } => admin.delete_policy(arn).await,
    };
    changed.map(|()| None)
}
