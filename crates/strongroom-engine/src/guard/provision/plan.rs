//! What has to change, from what is there and what is wanted. Pure.

use iam_policy::Kind;
use iam_policy::edit::{self, MergeError, StatementDiff};
use serde::Serialize;
use serde_json::Value;

use super::wish::{self, Wish};
use super::{BucketFacts, IdentityFacts, Seen, policy_arn};
use crate::bucket::Sse;
use crate::bucket::facts::{LifecycleRule, PublicAccessBlock};
use crate::error::{Code, Error, Result};
use crate::guard::policy::{Attached, Document, OWN_SID, documents};
use crate::guard::settings::{Retention, Settings};

/// What was looked at.
#[derive(Debug, Clone)]
pub struct Facts {
    /// None: there is no bucket yet.
    pub bucket: Option<BucketFacts>,
    /// By name.
    pub identities: Vec<(String, IdentityFacts)>,
}

/// What a change does to what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Something new.
    Create,
    /// Something that is there becomes another.
    Change,
    /// Something goes.
    Remove,
}

/// One change.
#[derive(Debug, Clone, Serialize)]
pub struct Change {
    /// What changes, in words.
    pub subject: String,
    /// How.
    pub effect: Effect,
    /// As it is.
    pub before: Option<String>,
    /// As it will be.
    pub after: Option<String>,
    /// Of a policy: statement by statement.
    pub statements: Vec<StatementDiff>,
    /// Whether somebody may do more afterwards than before, or a protection gets weaker.
    pub widens: bool,
    /// How it is done.
    #[serde(skip)]
    pub step: Step,
}

/// One request, or a few that belong together.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Makes the bucket and says who made it; whether with Object Lock.
    CreateBucket(bool),
    /// All of Block Public Access.
    BlockPublicAccess,
    /// ACLs off.
    EnforceOwner,
    /// The default encryption.
    Encrypt(Sse),
    /// Versions on.
    KeepVersions,
    /// The lifecycle rule for leftovers; none takes it away.
    Lifecycle(Option<LifecycleRule>),
    /// The default retention.
    Lock(Retention),
    /// The bucket policy; none takes it away.
    BucketPolicy(Option<String>),
    /// A managed policy: name and text.
    CreatePolicy(String, String),
    /// A new version of one: ARN and text.
    ChangePolicy(String, String),
    /// A group.
    CreateGroup(String),
    /// A policy on a group: name and ARN.
    AttachToGroup(String, String),
    /// A user.
    CreateUser(String),
    /// A user into the group of its name.
    JoinGroup(String),
    /// An access key for a user.
    CreateKey(String),
    /// A role: name and trust policy.
    CreateRole(String, String),
    /// Who may take a role on: name and trust policy.
    ChangeTrust(String, String),
    /// A policy on a role: name and ARN.
    AttachToRole(String, String),
    /// A user with its keys.
    DeleteUser(String),
    /// A group: name and the ARN of its policy.
    DeleteGroup(String, String),
    /// A role: name and the ARN of its policy.
    DeleteRole(String, String),
    /// A managed policy.
    DeletePolicy(String),
    /// The bucket.
    DeleteBucket,
}

/// What is to be done, in order, and what should be known besides.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Plan {
    /// In the order they are made.
    pub changes: Vec<Change>,
    /// What is left as it is although the settings say otherwise, and why.
    pub notes: Vec<String>,
}

/// Compares.
///
/// # Errors
/// [`Code::Denied`] when a setting may not be looked at, for then nothing can be compared; [`Code::Usage`] when what
/// is there cannot be brought together with what is wanted.
pub fn plan(settings: &Settings, facts: &Facts, bucket_only: bool) -> Result<Plan> {
    settings.check()?;
    let mut plan = Plan::default();
    plan.bucket(settings, facts.bucket.as_ref())?;
    if bucket_only {
        return Ok(plan);
    }
    for (name, found) in &facts.identities {
        plan.identity(settings, name, found)?;
    }
    Ok(plan)
}

fn change(subject: impl Into<String>, effect: Effect, step: Step) -> Change {
    Change {
        subject: subject.into(),
        effect,
        before: None,
        after: None,
        statements: Vec::new(),
        widens: false,
        step,
    }
}

impl Change {
    fn between(mut self, before: impl Into<String>, after: impl Into<String>) -> Self {
        self.before = Some(before.into());
        self.after = Some(after.into());
        self
    }
}

impl Plan {
    /// What a setting is, where it can be changed.
    fn look<'a, T>(&mut self, what: &str, seen: &'a Seen<T>) -> Result<Option<&'a T>> {
        match seen {
            Seen::Is(value) => Ok(Some(value)),
            Seen::NotOffered => {
                self.notes.push(format!("{what}: not offered by this server, left out"));
                Ok(None)
            }
            Seen::Denied(action) => Err(Error::new(
                Code::Denied,
                format!("{what} may not be looked at: `{action}` is not allowed, so nothing can be compared"),
            )
            .help("Use the credentials of an admin of this account (AWS_PROFILE); docs/IAM.md lists what provision needs. Nothing was changed.")),
        }
    }

    fn bucket(&mut self, settings: &Settings, found: Option<&BucketFacts>) -> Result<()> {
        let wish = Wish::of(settings);
        let name = &settings.bucket;
        let Some(found) = found else {
            let lock = settings.object_lock.is_some();
            let mut create = change(format!("bucket {name}"), Effect::Create, Step::CreateBucket(lock));
            create.after = Some(format!("in {}, tagged as made by strongroom", settings.region));
            self.changes.push(create);
            return self.settings(settings, &wish, &just_made());
        };
        self.settings(settings, &wish, found)
    }

    fn settings(&mut self, settings: &Settings, wish: &Wish, found: &BucketFacts) -> Result<()> {
        if let Some(block) = self.look("Block Public Access", &found.public_access_block)?
            && *block != Some(PublicAccessBlock::ALL)
        {
            let before = block.map_or("not set", |_| "partly off");
            self.changes.push(
                change("Block Public Access", Effect::Change, Step::BlockPublicAccess)
                    .between(before, "all four on"),
            );
        }
        if let Some(ownership) = self.look("object ownership", &found.ownership)?
            && ownership.as_deref() != Some("BucketOwnerEnforced")
        {
            let before = ownership.as_deref().unwrap_or("not set");
            self.changes.push(
                change("object ownership", Effect::Change, Step::EnforceOwner)
                    .between(before, "BucketOwnerEnforced (ACLs off)"),
            );
        }
        self.encryption(wish, found)?;
        self.versioning(settings, found)?;
        self.lifecycle(wish, found)?;
        self.object_lock(settings, found)?;
        self.bucket_policy(settings, found)
    }

    fn encryption(&mut self, wish: &Wish, found: &BucketFacts) -> Result<()> {
        let Some(now) = self.look("default encryption", &found.encryption)? else { return Ok(()) };
        let wanted = wish.sse.header().unwrap_or("AES256");
        let (mode, key) =
            now.as_ref().map_or(("none", None), |now| (now.mode.as_str(), now.kms_key_id.as_deref()));
        let same_key = wish.sse.kms_key().is_none_or(|wanted| Some(wanted) == key);
        let same_bucket_key = now.as_ref().is_some_and(|now| now.bucket_key) || !wish.bucket_key();
        if mode == wanted && same_key && same_bucket_key {
            return Ok(());
        }
        if mode.starts_with("aws:kms") && wanted == "AES256" {
            self.notes
                .push(format!("default encryption is {mode}, which is stronger than AES256: left as it is"));
            return Ok(());
        }
        let sse = if wish.sse == Sse::None { Sse::Aes256 } else { wish.sse.clone() };
        let with_key =
            |mode: &str, key: Option<&str>| key.map_or(mode.to_owned(), |key| format!("{mode} with {key}"));
        let before = with_key(mode, key);
        let after = with_key(wanted, wish.sse.kms_key());
        self.changes
            .push(change("default encryption", Effect::Change, Step::Encrypt(sse)).between(before, after));
        Ok(())
    }

    fn versioning(&mut self, settings: &Settings, found: &BucketFacts) -> Result<()> {
        let Some(now) = self.look("versioning", &found.versioning)? else { return Ok(()) };
        match (now.as_deref(), settings.versioned) {
            (Some("Enabled"), true) | (None, false) => {}
            (now, true) => {
                let step = change("versioning", Effect::Change, Step::KeepVersions);
                self.changes.push(step.between(now.unwrap_or("off"), "Enabled"));
            }
            (Some(now), false) => self.notes.push(format!(
                "versioning is {now}: it is left so, but these policies are for a bucket without versions; add --versioned"
            )),
        }
        Ok(())
    }

    fn lifecycle(&mut self, wish: &Wish, found: &BucketFacts) -> Result<()> {
        let Some(rules) = self.look("lifecycle rules", &found.lifecycle)? else { return Ok(()) };
        let wanted = LifecycleRule {
            id: wish::LIFECYCLE_ID.into(),
            enabled: true,
            prefix: wish.prefix.clone(),
            abort_days: Some(wish::ABORT_DAYS),
            noncurrent_days: wish.versioned.then_some(wish::NONCURRENT_DAYS),
            expired_markers: wish.versioned,
            expire_days: None,
        };
        for rule in rules
            .iter()
            .filter(|rule| rule.enabled && rule.expire_days.is_some() && overlap(&rule.prefix, &wish.prefix))
        {
            self.notes.push(format!(
                "lifecycle rule `{}` deletes objects below `{}` after {} days: backups among them",
                rule.id,
                rule.prefix,
                rule.expire_days.unwrap_or_default()
            ));
        }
        let own = rules.iter().find(|rule| rule.id == wish::LIFECYCLE_ID);
        if own == Some(&wanted) {
            return Ok(());
        }
        let effect = if own.is_some() { Effect::Change } else { Effect::Create };
        let mut change =
            change(format!("lifecycle rule {}", wish::LIFECYCLE_ID), effect, Step::Lifecycle(Some(wanted)));
        change.after = Some(match wish.versioned {
            true => format!(
                "uploads nobody ended go after {} days, versions that are not current after {}",
                wish::ABORT_DAYS,
                wish::NONCURRENT_DAYS
            ),
            false => format!("uploads nobody ended go after {} days", wish::ABORT_DAYS),
        });
        self.changes.push(change);
        Ok(())
    }

    fn object_lock(&mut self, settings: &Settings, found: &BucketFacts) -> Result<()> {
        let Some(wanted) = settings.object_lock else { return Ok(()) };
        let Some(now) = self.look("Object Lock", &found.object_lock)?.cloned() else { return Ok(()) };
        let days =
            now.as_ref().and_then(|lock| lock.days.or(lock.years.map(|years| years.saturating_mul(365))));
        let mode = now.as_ref().and_then(|lock| lock.mode.clone());
        let before = match (&mode, days) {
            (Some(mode), Some(days)) => format!("{mode}, {days} days"),
            _ => "no default retention".into(),
        };
        if mode.as_deref() == Some(wanted.mode.as_str()) && days == i32::try_from(wanted.days).ok() {
            return Ok(());
        }
        let weaker = mode.as_deref() == Some("COMPLIANCE") && wanted.mode.as_str() != "COMPLIANCE"
            || days.is_some_and(|days| i64::from(days) > i64::from(wanted.days));
        let after = format!("{}, {} days", wanted.mode.as_str(), wanted.days);
        let mut step = change("Object Lock", Effect::Change, Step::Lock(wanted)).between(before, after);
        step.widens = weaker;
        self.changes.push(step);
        Ok(())
    }

    fn bucket_policy(&mut self, settings: &Settings, found: &BucketFacts) -> Result<()> {
        let Some(now) = self.look("the bucket policy", &found.policy)?.cloned() else { return Ok(()) };
        let wanted = documents(settings).into_iter().find(|document| document.attached == Attached::Bucket);
        let statements = wanted.as_ref().map(statements).unwrap_or_default();
        // Own statements of other settings go; what others wrote stays.
        let kept = match &now {
            None => None,
            Some(text) => edit::remove(text, Kind::Resource, |s| is_own(s) && !has_sid(&statements, s))
                .map_err(|e| unreadable(&e))?,
        };
        let merged = match (&kept, statements.is_empty()) {
            (None, true) => None,
            (kept, _) => {
                let kept = kept.as_ref().map(Value::to_string);
                Some(
                    edit::merge(kept.as_deref(), Kind::Resource, &statements, own)
                        .map_err(|e| taken(&e))?
                        .document,
                )
            }
        };
        let before: Option<Value> = now.as_deref().and_then(|text| serde_json::from_str(text).ok());
        self.policy_change("bucket policy", before.as_ref(), merged.as_ref(), Step::BucketPolicy);
        Ok(())
    }

    fn policy_change(
        &mut self,
        subject: &str,
        before: Option<&Value>,
        after: Option<&Value>,
        step: impl FnOnce(Option<String>) -> Step,
    ) {
        let statements = edit::diff(before, after);
        if statements.is_empty() {
            return;
        }
        let effect = match (before, after) {
            (None, _) => Effect::Create,
            (_, None) => Effect::Remove,
            _ => Effect::Change,
        };
        let mut change = change(subject, effect, step(after.map(Value::to_string)));
        change.widens = before.is_some() && statements.iter().any(widens);
        change.statements = statements;
        self.changes.push(change);
    }

    fn identity(&mut self, settings: &Settings, name: &str, found: &IdentityFacts) -> Result<()> {
        let documents = documents(settings);
        let wanted = documents
            .iter()
            .find(|d| matches!(&d.attached, Attached::Identity { name: of, .. } if of == name));
        let Some(wanted) = wanted else { return Ok(()) };
        let arn = policy_arn(settings, name);
        match &found.policy {
            None => {
                let step = |text: Option<String>| Step::CreatePolicy(name.into(), text.unwrap_or_default());
                self.policy_change(&format!("policy {name}"), None, Some(&wanted.policy), step);
            }
            Some(there) => {
                let before: Value = serde_json::from_str(&there.text).unwrap_or_default();
                let step = |text: Option<String>| Step::ChangePolicy(arn.clone(), text.unwrap_or_default());
                self.policy_change(&format!("policy {name}"), Some(&before), Some(&wanted.policy), step);
            }
        }
        let trust =
            documents.iter().find(|d| matches!(&d.attached, Attached::Trust { name: of } if of == name));
        match trust {
            Some(trust) => self.role(name, &arn, trust, found),
            None => self.user(name, &arn, found),
        }
        Ok(())
    }

    fn user(&mut self, name: &str, arn: &str, found: &IdentityFacts) {
        let (attached, members) = match &found.group {
            None => {
                self.changes.push(change(
                    format!("group {name}"),
                    Effect::Create,
                    Step::CreateGroup(name.into()),
                ));
                (false, false)
            }
            Some((policies, users)) => (policies.iter().any(|p| p == arn), users.iter().any(|u| u == name)),
        };
        if !attached {
            let step = Step::AttachToGroup(name.into(), arn.into());
            let mut attach = change(format!("policy {name} on group {name}"), Effect::Create, step);
            attach.widens = found.group.as_ref().is_some_and(|(_, users)| !users.is_empty());
            self.changes.push(attach);
        }
        if found.user.is_none() {
            self.changes.push(change(format!("user {name}"), Effect::Create, Step::CreateUser(name.into())));
        }
        if !members {
            self.changes.push(change(
                format!("user {name} in group {name}"),
                Effect::Create,
                Step::JoinGroup(name.into()),
            ));
        }
        match found.user.as_deref() {
            None | Some([]) => {
                self.changes.push(change(
                    format!("access key of user {name}"),
                    Effect::Create,
                    Step::CreateKey(name.into()),
                ));
            }
            Some(keys) => self.notes.push(format!(
                "user {name} has the access key {}; its secret is not shown again (--new-key makes another)",
                keys.join(" and ")
            )),
        }
    }

    fn role(&mut self, name: &str, arn: &str, trust: &Document, found: &IdentityFacts) {
        let text = trust.policy.to_string();
        let subject = format!("role {name}, and who may take it on");
        match &found.role {
            None => {
                let step = |_: Option<String>| Step::CreateRole(name.into(), text.clone());
                self.policy_change(&subject, None, Some(&trust.policy), step);
            }
            Some((now, _)) => {
                let before: Value = serde_json::from_str(now).unwrap_or_default();
                let step = |_: Option<String>| Step::ChangeTrust(name.into(), text.clone());
                self.policy_change(&subject, Some(&before), Some(&trust.policy), step);
            }
        }
        if !found.role.as_ref().is_some_and(|(_, attached)| attached.iter().any(|p| p == arn)) {
            let step = Step::AttachToRole(name.into(), arn.into());
            self.changes.push(change(format!("policy {name} on role {name}"), Effect::Create, step));
        }
    }

    /// A further access key for each user.
    pub fn add_keys(&mut self, facts: &Facts) {
        for (name, found) in &facts.identities {
            if found.user.as_ref().is_some_and(|keys| !keys.is_empty()) {
                self.changes.push(change(
                    format!("another access key of user {name}"),
                    Effect::Create,
                    Step::CreateKey(name.clone()),
                ));
            }
        }
    }
}

/// A bucket that S3 has just made, before any setting: whatever is missing is set.
fn just_made() -> BucketFacts {
    BucketFacts {
        made_here: Seen::Is(true),
        public_access_block: Seen::Is(None),
        ownership: Seen::Is(None),
        encryption: Seen::Is(None),
        versioning: Seen::Is(None),
        lifecycle: Seen::Is(Vec::new()),
        object_lock: Seen::Is(None),
        policy: Seen::Is(None),
        policy_public: Seen::Is(false),
    }
}

fn overlap(one: &str, other: &str) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

fn statements(document: &Document) -> Vec<Value> {
    document.policy["Statement"].as_array().cloned().unwrap_or_default()
}

fn own(sid: &str) -> bool {
    sid.starts_with(OWN_SID)
}

fn is_own(statement: &Value) -> bool {
    statement["Sid"].as_str().is_some_and(own)
}

fn has_sid(statements: &[Value], of: &Value) -> bool {
    statements.iter().any(|statement| statement["Sid"] == of["Sid"])
}

/// More is allowed, or less denied. A statement that changed is taken for the worse.
fn widens(diff: &StatementDiff) -> bool {
    let effect = |statement: &Option<Value>| statement.as_ref().map(|s| s["Effect"] == "Allow");
    matches!(
        (effect(&diff.before), effect(&diff.after)),
        (None, Some(true)) | (Some(false), _) | (Some(true), Some(true))
    )
}

fn unreadable(error: &iam_policy::PolicyError) -> Error {
    Error::new(Code::Usage, format!("the bucket's policy cannot be read: {error}"))
        .help("Look at it with `aws s3api get-bucket-policy`, and mend it first. Nothing was changed.")
}

fn taken(error: &MergeError) -> Error {
    Error::new(Code::Usage, error.to_string())
        .help("Rename that statement's Sid, or take it out. Nothing was changed.")
}

/// What `--destroy` does: identities first, so that nothing is left that could still write.
///
/// # Errors
/// As [`plan`].
pub fn destruction(settings: &Settings, facts: &Facts) -> Result<Plan> {
    let mut plan = Plan::default();
    for (name, found) in &facts.identities {
        let arn = policy_arn(settings, name);
        let remove = |subject: String, step: Step| change(subject, Effect::Remove, step);
        if let Some(keys) = &found.user {
            let subject = format!("user {name} and its {} access keys", keys.len());
            plan.changes.push(remove(subject, Step::DeleteUser(name.clone())));
        }
        if found.group.is_some() {
            plan.changes.push(remove(format!("group {name}"), Step::DeleteGroup(name.clone(), arn.clone())));
        }
        if found.role.is_some() {
            plan.changes.push(remove(format!("role {name}"), Step::DeleteRole(name.clone(), arn.clone())));
        }
        if found.policy.is_some() {
            plan.changes.push(remove(format!("policy {name}"), Step::DeletePolicy(arn)));
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
                Step::DeleteBucket,
            ));
            return Ok(());
        }
        self.notes.push(format!(
            "bucket {} was not made by strongroom: it stays, with its settings; only statements and rules of strongroom's go",
            settings.bucket
        ));
        if let Some(Some(text)) = self.look("the bucket policy", &found.policy)?.cloned() {
            let wanted = documents(settings).into_iter().find(|d| d.attached == Attached::Bucket);
            let ours = wanted.as_ref().map(statements).unwrap_or_default();
            let gone = |s: &Value| is_own(s) || ours.iter().any(|own| edit::same_statement(own, s));
            let left = edit::remove(&text, Kind::Resource, gone).map_err(|e| unreadable(&e))?;
            let before: Option<Value> = serde_json::from_str(&text).ok();
            self.policy_change("bucket policy", before.as_ref(), left.as_ref(), Step::BucketPolicy);
        }
        let rules = found.lifecycle.known().map(Vec::as_slice).unwrap_or_default();
        if rules.iter().any(|rule| rule.id == wish::LIFECYCLE_ID) {
            let subject = format!("lifecycle rule {}", wish::LIFECYCLE_ID);
            self.changes.push(change(subject, Effect::Remove, Step::Lifecycle(None)));
        }
        Ok(())
    }
}
