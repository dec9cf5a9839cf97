//! The bucket's part of a plan.

use iam_policy::edit::{self, MergeError};
use iam_policy::{Attachment, Kind, size};
use serde_json::Value;

use super::{Effect, Plan, Step, change};
use crate::bucket::Sse;
use crate::bucket::facts::{BucketFacts, LifecycleRule, PublicAccessBlock, Seen};
use crate::error::{Code, Error, Result};
use crate::guard::policy::{Attached, Document, OWN_SID, documents};
use crate::guard::provision::wish::{self, Wish};
use crate::guard::settings::Settings;

impl Plan {
    pub(super) fn bucket(&mut self, settings: &Settings, found: Option<&BucketFacts>) -> Result<()> {
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
        let same_bucket_key = now.as_ref().is_some_and(|now| now.bucket_key) || !wish.sse.takes_bucket_key();
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
        if let Some(document) = &merged {
            fits("the bucket policy", document, Attachment::Bucket)?;
        }
        let before: Option<Value> = now.as_deref().and_then(|text| serde_json::from_str(text).ok());
        self.policy_change("bucket policy", before.as_ref(), merged.as_ref(), Step::BucketPolicy);
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

fn overlap(one: &str, other: &str) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

pub(super) fn statements(document: &Document) -> Vec<Value> {
    document.policy["Statement"].as_array().cloned().unwrap_or_default()
}

fn own(sid: &str) -> bool {
    sid.starts_with(OWN_SID)
}

pub(super) fn is_own(statement: &Value) -> bool {
    statement["Sid"].as_str().is_some_and(own)
}

fn has_sid(statements: &[Value], of: &Value) -> bool {
    statements.iter().any(|statement| statement["Sid"] == of["Sid"])
}

pub(super) fn unreadable(error: &iam_policy::PolicyError) -> Error {
    Error::new(Code::Usage, format!("the bucket's policy cannot be read: {error}"))
        .help("Look at it with `aws s3api get-bucket-policy`, and mend it first. Nothing was changed.")
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
    use crate::bucket::facts::{DefaultEncryption, ObjectLock};
    use crate::guard::provision::{Facts, plan};

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
        let Step::BucketPolicy(Some(text)) = &change.step else { panic!("{change:?}") };
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
            Step::Lifecycle(rule) => rule.clone(),
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
