//! The settings of a bucket, judged once for all: what is seen, what is wanted, and the step that sets it. `provision`
//! makes its changes from this, and `prove` its findings. Pure.

use iam_policy::{Decision, Kind, Named, Policies, Policy, Principal, Request, decide};
use serde::Serialize;
use serde_json::Value;

use super::policy::is_own_sid;
use super::settings::{Access, Dialect, Settings};
use super::steps::BucketStep;
use super::wish::{self, Wish};
use crate::bucket::Sse;
use crate::bucket::facts::{BucketFacts, DefaultEncryption, LifecycleRule, PublicAccessBlock, Seen};

/// What follows from one look or one probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it must be.
    Pass,
    /// Not as it must be.
    Fail,
    /// It could not be found out.
    CouldNotTell,
    /// The server cannot do this.
    NotOffered,
}

impl Verdict {
    /// As a person reads it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::CouldNotTell => "could not tell",
            Self::NotOffered => "not offered here",
        }
    }

    /// Its name in data.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::CouldNotTell => "could-not-tell",
            Self::NotOffered => "not-offered",
        }
    }
}

/// A setting of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BucketSetting {
    PublicAccessBlock,
    Ownership,
    Encryption,
    Versioning,
    /// The rule that deletes leftovers.
    Lifecycle,
    /// Rules that delete backups.
    Expiry,
    ObjectLock,
    /// Whether S3 calls the bucket policy public.
    PolicyPublic,
    /// Who else is in the bucket policy.
    OtherPrincipals,
    /// Whether the bucket policy refuses plain HTTP.
    TlsOnly,
}

impl BucketSetting {
    /// What it is called.
    pub(super) fn subject(self) -> &'static str {
        match self {
            Self::PublicAccessBlock => "Block Public Access",
            Self::Ownership => "object ownership",
            Self::Encryption => "default encryption",
            Self::Versioning => "versioning",
            Self::Lifecycle | Self::Expiry => "lifecycle rules",
            Self::ObjectLock => "Object Lock",
            Self::PolicyPublic | Self::OtherPrincipals | Self::TlsOnly => "bucket policy",
        }
    }

    /// Whether it has a step of its own. The others depend on rules and statements that are somebody else's, or on the
    /// bucket policy as a whole.
    pub(super) fn has_step(self) -> bool {
        !matches!(self, Self::Expiry | Self::PolicyPublic | Self::OtherPrincipals | Self::TlsOnly)
    }
}

/// A setting, and what is to be said and done about it.
#[derive(Debug, Clone)]
pub(super) struct Judged {
    pub(super) setting: BucketSetting,
    /// As it is, in words.
    pub(super) seen: Seen<String>,
    /// As it should be, in words.
    pub(super) wanted: String,
    pub(super) verdict: Verdict,
    /// What sets it; also where it is good enough and yet not as the settings say.
    pub(super) step: Option<BucketStep>,
    /// Whether the step makes a protection weaker.
    pub(super) weakens: bool,
    /// What no step changes, and a person should know.
    pub(super) note: Option<String>,
}

/// What is made of a value that was seen.
struct Look {
    seen: String,
    right: bool,
    step: Option<BucketStep>,
    weakens: bool,
    note: Option<String>,
}

impl Look {
    /// A step is there for what is not right.
    fn new(seen: impl Into<String>, right: bool, step: BucketStep) -> Self {
        Self { step: (!right).then_some(step), ..Self::without_step(seen, right) }
    }

    fn without_step(seen: impl Into<String>, right: bool) -> Self {
        Self { seen: seen.into(), right, step: None, weakens: false, note: None }
    }

    fn noting(mut self, note: Option<String>) -> Self {
        self.note = note;
        self
    }
}

fn judged<T>(
    setting: BucketSetting,
    wanted: impl Into<String>,
    seen: &Seen<T>,
    look: impl FnOnce(&T) -> Look,
) -> Judged {
    let wanted = wanted.into();
    let nothing = |seen, verdict| Judged {
        setting,
        seen,
        wanted: wanted.clone(),
        verdict,
        step: None,
        weakens: false,
        note: None,
    };
    match seen {
        Seen::Denied(action) => nothing(Seen::Denied(action.clone()), Verdict::CouldNotTell),
        Seen::NotOffered => nothing(Seen::NotOffered, Verdict::NotOffered),
        Seen::Is(value) => {
            let Look { seen, right, step, weakens, note } = look(value);
            let verdict = if right { Verdict::Pass } else { Verdict::Fail };
            Judged { step, weakens, note, ..nothing(Seen::Is(seen), verdict) }
        }
    }
}

/// Judges every setting that these settings speak of. `account` owns the bucket, where it is known.
pub(super) fn settings_judged(
    settings: &Settings,
    facts: &BucketFacts,
    account: Option<&str>,
) -> Vec<Judged> {
    let wish = Wish::of(settings);
    let mut all = vec![
        public_access_block(facts),
        ownership(facts),
        encryption(&wish, facts),
        versioning(&wish, facts),
        lifecycle(&wish, facts),
        expiry(&wish, facts),
    ];
    all.extend(object_lock(&wish, facts));
    all.extend([policy_public(facts), other_principals(facts, account)]);
    if settings.access != Access::Classic && settings.dialect == Dialect::Aws {
        all.push(tls_only(settings, facts));
    }
    all
}

fn public_access_block(facts: &BucketFacts) -> Judged {
    judged(BucketSetting::PublicAccessBlock, "all four on", &facts.public_access_block, |block| {
        let seen = match block {
            None => "not set".to_owned(),
            Some(block) if *block == PublicAccessBlock::ALL => "all four on".into(),
            Some(block) => format!("off: {}", parts_off(block).join(", ")),
        };
        Look::new(seen, *block == Some(PublicAccessBlock::ALL), BucketStep::BlockPublicAccess)
    })
}

fn parts_off(block: &PublicAccessBlock) -> Vec<&'static str> {
    let parts = [
        ("BlockPublicAcls", block.block_public_acls),
        ("IgnorePublicAcls", block.ignore_public_acls),
        ("BlockPublicPolicy", block.block_public_policy),
        ("RestrictPublicBuckets", block.restrict_public_buckets),
    ];
    parts.into_iter().filter(|(_, on)| !on).map(|(name, _)| name).collect()
}

fn ownership(facts: &BucketFacts) -> Judged {
    const WANTED: &str = "BucketOwnerEnforced";
    judged(BucketSetting::Ownership, WANTED, &facts.ownership, |ownership| {
        let seen = ownership.as_deref().unwrap_or("not set");
        Look::new(seen, seen == WANTED, BucketStep::EnforceOwner)
    })
}

fn encryption(wish: &Wish, facts: &BucketFacts) -> Judged {
    let mode = wish.sse.header().unwrap_or("AES256");
    let with_key =
        |mode: &str, key: Option<&str>| key.map_or(mode.to_owned(), |key| format!("{mode} with {key}"));
    let sse = if wish.sse == Sse::None { Sse::Aes256 } else { wish.sse.clone() };
    let wanted = with_key(mode, wish.sse.kms_key());
    judged(BucketSetting::Encryption, wanted, &facts.encryption, |found| {
        let Some(found) = found else { return Look::new("none", false, BucketStep::Encrypt(sse)) };
        let seen = with_key(&found.mode, found.kms_key_id.as_deref());
        // KMS is more than was asked for, not less.
        if mode == "AES256" && found.mode.starts_with("aws:kms") {
            let note = format!(
                "default encryption is {}, which is stronger than AES256: it is left as it is",
                found.mode
            );
            return Look::without_step(seen, true).noting(Some(note));
        }
        let right = found.mode == mode && same_key(wish, found);
        let saves_requests = found.bucket_key || !wish.sse.takes_bucket_key();
        let step = (!right || !saves_requests).then_some(BucketStep::Encrypt(sse));
        Look { step, ..Look::without_step(seen, right) }
    })
}

fn same_key(wish: &Wish, found: &DefaultEncryption) -> bool {
    wish.sse.kms_key().is_none_or(|key| found.kms_key_id.as_deref() == Some(key))
}

fn versioning(wish: &Wish, facts: &BucketFacts) -> Judged {
    let wanted = if wish.versioned { "Enabled" } else { "off" };
    judged(BucketSetting::Versioning, wanted, &facts.versioning, |found| {
        let seen = found.as_deref().unwrap_or("off");
        if wish.versioned {
            return Look::new(seen, seen == wanted, BucketStep::KeepVersions);
        }
        // S3 cannot switch it off again, and who suspends it gives protection up.
        let note = format!(
            "versioning is {seen}: it is left as it is, but these policies are for a bucket without versions; say that \
             the bucket keeps versions"
        );
        let right = seen == wanted;
        Look::without_step(seen, right).noting((!right).then_some(note))
    })
}

fn lifecycle(wish: &Wish, facts: &BucketFacts) -> Judged {
    let wanted = match wish.versioned {
        true => format!(
            "unfinished uploads are deleted after {} days, old versions after {}",
            wish::ABORT_DAYS,
            wish::NONCURRENT_DAYS
        ),
        false => format!("unfinished uploads are deleted after {} days", wish::ABORT_DAYS),
    };
    judged(BucketSetting::Lifecycle, wanted, &facts.lifecycle, |rules| {
        let here = || rules.iter().filter(|rule| rule.enabled && wish.prefix.starts_with(&rule.prefix));
        let aborts = here().any(|rule| rule.abort_days.is_some());
        let expires = here().any(|rule| rule.noncurrent_days.is_some());
        let seen = match (aborts, expires) {
            (true, true) => "unfinished uploads and old versions are deleted",
            (true, false) => "unfinished uploads are deleted, old versions stay",
            (false, true) => "old versions are deleted, unfinished uploads stay",
            (false, false) => "unfinished uploads and old versions stay",
        };
        let own = wish.own_rule();
        let step = (!rules.contains(&own)).then_some(BucketStep::Lifecycle(Some(own)));
        Look { step, ..Look::without_step(seen, aborts && (expires || !wish.versioned)) }
    })
}

fn expiry(wish: &Wish, facts: &BucketFacts) -> Judged {
    let overlaps = |of: &str| of.starts_with(&wish.prefix) || wish.prefix.starts_with(of);
    let deletes =
        |rule: &&LifecycleRule| rule.enabled && rule.expire_days.is_some() && overlaps(&rule.prefix);
    judged(BucketSetting::Expiry, "no rule deletes backups", &facts.lifecycle, |rules| {
        let notes: Vec<String> = rules.iter().filter(deletes).map(expiring).collect();
        let seen = if notes.is_empty() { "no rule deletes backups".to_owned() } else { notes.join("; ") };
        Look::without_step(seen, notes.is_empty()).noting((!notes.is_empty()).then(|| notes.join("; ")))
    })
}

fn expiring(rule: &LifecycleRule) -> String {
    let (id, prefix, days) = (&rule.id, &rule.prefix, rule.expire_days.unwrap_or_default());
    format!("lifecycle rule `{id}` deletes objects below `{prefix}` after {days} days, backups among them")
}

fn object_lock(wish: &Wish, facts: &BucketFacts) -> Option<Judged> {
    let wanted = wish.object_lock?;
    let words = format!("{}, {} days", wanted.mode.as_str(), wanted.days);
    Some(judged(BucketSetting::ObjectLock, words, &facts.object_lock, |lock| {
        let step = BucketStep::Lock(wanted);
        let Some(lock) = lock else { return Look::new("off", false, step) };
        let days = lock.days.or(lock.years.map(|years| years.saturating_mul(365)));
        let Some((mode, days)) = lock.mode.as_deref().zip(days) else {
            return Look::new("no default retention", false, step);
        };
        let longer = i64::from(days) - i64::from(wanted.days);
        let stricter = mode == "COMPLIANCE" && wanted.mode.as_str() != "COMPLIANCE";
        let same_mode = mode == wanted.mode.as_str();
        Look {
            step: (!same_mode || longer != 0).then_some(step),
            weakens: stricter || longer > 0,
            ..Look::without_step(format!("{mode}, {days} days"), longer >= 0 && (same_mode || stricter))
        }
    }))
}

fn policy_public(facts: &BucketFacts) -> Judged {
    judged(BucketSetting::PolicyPublic, "not public", &facts.policy_public, |public| {
        let note = "S3 calls the bucket policy public: remove its Allow for everybody".to_owned();
        Look::without_step(if *public { "public" } else { "not public" }, !public)
            .noting(public.then_some(note))
    })
}

/// Whom else the bucket policy lets in: other accounts, or everybody.
fn other_principals(facts: &BucketFacts, account: Option<&str>) -> Judged {
    judged(BucketSetting::OtherPrincipals, "no Allow for others", &facts.policy, |text| {
        let others = others(text.as_deref().unwrap_or_default(), account);
        if others.is_empty() {
            return Look::without_step("no Allow for others", true);
        }
        let others = others.join(", ");
        let note =
            format!("the bucket policy lets {others} in: remove these statements, unless you want them");
        Look::without_step(format!("Allow for {others}"), false).noting(Some(note))
    })
}

fn others(policy: &str, account: Option<&str>) -> Vec<String> {
    let document: Value = serde_json::from_str(policy).unwrap_or_default();
    let statements = match &document["Statement"] {
        Value::Array(statements) => statements.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    let own = |statement: &&Value| statement["Sid"].as_str().is_some_and(is_own_sid);
    let foreign = statements.iter().filter(|statement| !own(statement));
    let allows = foreign.filter(|statement| statement["Effect"] == "Allow");
    allows.flat_map(principals).filter(|principal| !is_of(principal, account)).collect()
}

fn principals(statement: &Value) -> Vec<String> {
    fn texts(value: &Value) -> Vec<String> {
        match value {
            Value::String(text) => vec![text.clone()],
            Value::Array(values) => values.iter().flat_map(texts).collect(),
            Value::Object(members) => members.values().flat_map(texts).collect(),
            _ => Vec::new(),
        }
    }
    match statement.get("NotPrincipal") {
        Some(_) => vec!["everybody with exceptions (NotPrincipal)".into()],
        None => texts(&statement["Principal"]),
    }
}

fn is_of(principal: &str, account: Option<&str>) -> bool {
    account.is_some_and(|account| principal == account || principal.split(':').nth(4) == Some(account))
}

fn tls_only(settings: &Settings, facts: &BucketFacts) -> Judged {
    judged(BucketSetting::TlsOnly, "a Deny on aws:SecureTransport", &facts.policy, |text| {
        let policy = text.as_deref().and_then(|text| Policy::parse(text, Kind::Resource).ok());
        let Some(policy) = policy else { return Look::without_step("no bucket policy", false) };
        let denied = refuses_plain_http(settings, &policy);
        Look::without_step(if denied { "plain HTTP is refused" } else { "plain HTTP is not refused" }, denied)
    })
}

fn refuses_plain_http(settings: &Settings, policy: &Policy) -> bool {
    /// Any account's number does: the owner of a bucket is bound by a Deny for everybody.
    const OWNER: &str = "111122223333";
    let owner = Principal::Root { account: OWNER.into() };
    let mut request = Request::new(owner, "s3:GetObject", &settings.object_arn("x"));
    request.context.set("aws:SecureTransport", "false");
    let policies =
        Policies { resource: Some(Named::new("bucket policy", policy)), ..Policies::in_account(OWNER) };
    decide(&policies, &request) == Decision::ExplicitDeny
}
