//! The bucket's part of a plan.

use iam_policy::edit::{self, MergeError};
use iam_policy::{Attachment, Kind, size};
use serde_json::Value;

use super::{Effect, Plan, change};
use crate::bucket::facts::{BucketFacts, Seen};
use crate::error::{Code, Error, Result};
use crate::guard::judged::{Judged, settings_judged};
use crate::guard::policy::{Attached, Document, documents, is_own_sid};
use crate::guard::settings::Settings;
use crate::guard::steps::BucketStep;
use crate::guard::wish;

impl Plan {
    pub(super) fn bucket(&mut self, settings: &Settings, found: Option<&BucketFacts>) -> Result<()> {
        let Some(found) = found else {
            let step = BucketStep::Create { object_lock: settings.object_lock.is_some() };
            let mut create = change(format!("bucket {}", settings.bucket), Effect::Create, step);
            create.after = Some(format!("in {}, tagged as created by strongroom", settings.region));
            self.changes.push(create);
            return self.settings(settings, &just_made());
        };
        self.settings(settings, found)
    }

    fn settings(&mut self, settings: &Settings, found: &BucketFacts) -> Result<()> {
        for judged in settings_judged(settings, found, settings.account.as_deref()) {
            self.setting(judged, found)?;
        }
        self.bucket_policy(settings, found)
    }

    fn setting(&mut self, judged: Judged, found: &BucketFacts) -> Result<()> {
        self.notes.extend(judged.note);
        if !judged.setting.has_step() {
            return Ok(());
        }
        let Some(seen) = self.look(judged.setting.subject(), &judged.seen)? else { return Ok(()) };
        let Some(step) = judged.step else { return Ok(()) };
        let mut change = match step {
            BucketStep::Lifecycle(_) => {
                let rules = found.lifecycle.known().map(Vec::as_slice).unwrap_or_default();
                let there = rules.iter().any(|rule| rule.id == wish::LIFECYCLE_ID);
                let effect = if there { Effect::Change } else { Effect::Create };
                let mut rule = change(format!("lifecycle rule {}", wish::LIFECYCLE_ID), effect, step);
                rule.after = Some(judged.wanted);
                rule
            }
            step => change(judged.setting.subject(), Effect::Change, step).between(seen, judged.wanted),
        };
        change.widens = judged.weakens;
        self.changes.push(change);
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
                    edit::merge(kept.as_deref(), Kind::Resource, &statements, is_own_sid)
                        .map_err(|e| taken(&e))?
                        .document,
                )
            }
        };
        if let Some(document) = &merged {
            fits("the bucket policy", document, Attachment::Bucket)?;
        }
        let before: Option<Value> = now.as_deref().and_then(|text| serde_json::from_str(text).ok());
        self.policy_change("bucket policy", before.as_ref(), merged.as_ref(), BucketStep::Policy);
        Ok(())
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

pub(super) fn statements(document: &Document) -> Vec<Value> {
    document.policy["Statement"].as_array().cloned().unwrap_or_default()
}

pub(super) fn is_own(statement: &Value) -> bool {
    statement["Sid"].as_str().is_some_and(is_own_sid)
}

fn has_sid(statements: &[Value], of: &Value) -> bool {
    statements.iter().any(|statement| statement["Sid"] == of["Sid"])
}

pub(super) fn unreadable(error: &iam_policy::PolicyError) -> Error {
    Error::new(Code::Usage, format!("the bucket's policy cannot be read: {error}"))
        .help("Look at it with `aws s3api get-bucket-policy`, and fix it first. Nothing was changed.")
}

fn taken(error: &MergeError) -> Error {
    Error::new(Code::Usage, error.to_string())
        .help("Rename that statement's Sid, or take it out. Nothing was changed.")
}

/// AWS takes policies up to a size: of what is there and what is added together.
pub(super) fn fits(what: &str, document: &Value, attachment: Attachment) -> Result<()> {
    let size = size(&document.to_string(), attachment);
    if size.used <= size.limit {
        return Ok(());
    }
    let over = size.used - size.limit;
    Err(Error::new(
        Code::Usage,
        format!(
            "{what} would have {} characters, {over} more than the {} that AWS takes",
            size.used, size.limit
        ),
    )
    .help("Shorten the prefix, or take statements out that are there. Nothing was changed."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bucket::facts::{DefaultEncryption, LifecycleRule, ObjectLock};
    use crate::guard::provision::{Facts, plan};
    use crate::guard::steps::Step;

    fn settings() -> Settings {
        Settings { versioned: true, ..Settings::new("backups", "shop") }
    }

    /// A bucket where nothing is set, but for what is changed.
    fn planned(settings: &Settings, change: impl FnOnce(&mut BucketFacts)) -> Result<Plan> {
        let mut bucket = just_made();
        change(&mut bucket);
        plan(settings, &Facts { bucket: Some(bucket), identities: Vec::new() }, true)
    }

    fn subjects(plan: &Plan) -> Vec<&str> {
        plan.changes.iter().map(|change| change.subject.as_str()).collect()
    }

    #[test]
    fn what_may_not_be_looked_at_is_not_changed_blindly() {
        let refused =
            planned(&settings(), |b| b.policy = Seen::Denied("s3:GetBucketPolicy".into())).unwrap_err();
        assert_eq!(refused.code(), Code::Denied);
        assert!(refused.message().contains("s3:GetBucketPolicy"));
        let absent = planned(&settings(), |b| b.ownership = Seen::NotOffered).unwrap();
        assert!(!subjects(&absent).contains(&"object ownership"));
        assert!(absent.notes[0].contains("not offered"));
    }

    #[test]
    fn stronger_encryption_is_left_and_a_shorter_lock_is_called_weaker() {
        let kms = DefaultEncryption { mode: "aws:kms".into(), kms_key_id: None, bucket_key: true };
        let left = planned(&settings(), |b| b.encryption = Seen::Is(Some(kms))).unwrap();
        assert!(!subjects(&left).contains(&"default encryption"));
        let locked = Settings { object_lock: "governance:10d".parse().ok(), ..settings() };
        for (mode, days, widens) in
            [("GOVERNANCE", 5, false), ("GOVERNANCE", 30, true), ("COMPLIANCE", 5, true)]
        {
            let lock = ObjectLock { mode: Some(mode.into()), days: Some(days), years: None };
            let plan = planned(&locked, |b| b.object_lock = Seen::Is(Some(lock))).unwrap();
            let change = plan.changes.iter().find(|change| change.subject == "Object Lock").unwrap();
            assert_eq!(change.widens, widens, "{mode} {days}");
        }
    }

    #[test]
    fn statements_of_others_stay_and_own_ones_that_are_not_wanted_any_more_go() {
        let other = json!({"Sid": "Reports", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::backups/*"});
        let old = json!({"Sid": "StrongroomDenyOld", "Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::backups/*"});
        let there = json!({"Version": "2012-10-17", "Statement": [other, old]}).to_string();
        let plan = planned(&settings(), |b| b.policy = Seen::Is(Some(there))).unwrap();
        let change = plan.changes.iter().find(|change| change.subject == "bucket policy").unwrap();
        let Step::Bucket(BucketStep::Policy(Some(text))) = &change.step else { panic!("{change:?}") };
        let after: Value = serde_json::from_str(text).unwrap();
        let sids: Vec<&str> =
            after["Statement"].as_array().unwrap().iter().map(|s| s["Sid"].as_str().unwrap()).collect();
        assert_eq!(sids[0], "Reports");
        assert!(!sids.contains(&"StrongroomDenyOld") && sids.contains(&"StrongroomDenyPlainHttp"));
        assert!(change.widens, "a Deny that goes lets more through, and is said to");
    }

    #[test]
    fn a_rule_that_deletes_backups_is_told_and_the_own_rule_is_made_once() {
        let own = planned(&settings(), |_| {}).unwrap();
        let rule = own.changes.iter().find_map(|change| match &change.step {
            Step::Bucket(BucketStep::Lifecycle(rule)) => rule.clone(),
            _ => None,
        });
        let rule = rule.unwrap();
        let tidy = LifecycleRule {
            id: "tidy".into(),
            enabled: true,
            prefix: "sh".into(),
            expire_days: Some(7),
            ..LifecycleRule::default()
        };
        let again = planned(&settings(), |b| b.lifecycle = Seen::Is(vec![rule, tidy])).unwrap();
        assert!(subjects(&again).iter().all(|subject| !subject.contains("lifecycle")));
        assert!(again.notes.iter().any(|note| note.contains("`tidy` deletes objects")));
    }
}
