//! The bucket's settings, held against what they should be. Pure.

use iam_policy::{Decision, Kind, Named, Policies, Policy, Principal, Request, decide};
use serde_json::{Value, json};

use super::{Finding, Verdict};
use crate::bucket::Sse;
use crate::bucket::facts::{BucketFacts, Caller, PublicAccessBlock, Seen};
use crate::guard::policy::{Denial, documents};
use crate::guard::settings::{Access, Dialect, Settings};

/// The command that sets what is not as it should be.
pub(super) const PROVISION: &str = "strongroom bucket provision";

/// A finding for each setting.
pub(super) fn findings(
    settings: &Settings,
    facts: Option<&BucketFacts>,
    caller: Option<&Caller>,
) -> Vec<Finding> {
    let Some(facts) = facts else {
        return vec![Finding {
            id: "settings",
            name: "the bucket's settings".into(),
            request: "HeadBucket".into(),
            expected: "readable".into(),
            seen: "these credentials may not read the bucket's settings; an admin's may".into(),
            verdict: Verdict::CouldNotTell,
            fix: None,
        }];
    };
    let mut findings = vec![
        public_access_block(facts),
        ownership(facts),
        encryption(settings, facts),
        versioning(settings, facts),
        leftovers(settings, facts),
        expiry(settings, facts),
        policy_public(facts),
        others(settings, facts, caller),
    ];
    if settings.object_lock.is_some() {
        findings.push(object_lock(settings, facts));
    }
    if settings.access != Access::Classic && settings.dialect == Dialect::Aws {
        findings.push(tls_only(settings, facts));
    }
    findings
}

/// A setting as it was seen: what it is in words, and whether that is right.
fn setting<T>(
    (id, name, request, expected): (&'static str, &str, &str, String),
    seen: &Seen<T>,
    fix: Value,
    judge: impl FnOnce(&T) -> (String, bool),
) -> Finding {
    let (seen, verdict) = match seen {
        Seen::Is(value) => {
            let (seen, right) = judge(value);
            (seen, if right { Verdict::Pass } else { Verdict::Fail })
        }
        Seen::Denied(action) => {
            (format!("{action} is not allowed to these credentials"), Verdict::CouldNotTell)
        }
        Seen::NotOffered => ("the server does not know this setting".into(), Verdict::NotOffered),
    };
    let fix = (verdict == Verdict::Fail).then_some(fix);
    Finding { id, name: name.into(), request: request.into(), expected, seen, verdict, fix }
}

fn provision(setting: &str, to: impl Into<Value>) -> Value {
    json!({"setting": setting, "to": to.into(), "command": PROVISION})
}

fn public_access_block(facts: &BucketFacts) -> Finding {
    let about = (
        "block-public-access",
        "Block Public Access is on",
        "GetPublicAccessBlock",
        "all four on".to_owned(),
    );
    setting(about, &facts.public_access_block, provision("Block Public Access", "all four on"), |block| {
        match block {
            None => ("not set".into(), false),
            Some(block) if *block == PublicAccessBlock::ALL => ("all four on".into(), true),
            Some(block) => {
                let off: Vec<&str> = [
                    ("BlockPublicAcls", block.block_public_acls),
                    ("IgnorePublicAcls", block.ignore_public_acls),
                    ("BlockPublicPolicy", block.block_public_policy),
                    ("RestrictPublicBuckets", block.restrict_public_buckets),
                ]
                .into_iter()
                .filter(|(_, on)| !on)
                .map(|(name, _)| name)
                .collect();
                (format!("off: {}", off.join(", ")), false)
            }
        }
    })
}

fn ownership(facts: &BucketFacts) -> Finding {
    let about = ("ownership", "ACLs are off", "GetBucketOwnershipControls", "BucketOwnerEnforced".to_owned());
    setting(about, &facts.ownership, provision("object ownership", "BucketOwnerEnforced"), |ownership| {
        let ownership = ownership.as_deref().unwrap_or("not set");
        (ownership.into(), ownership == "BucketOwnerEnforced")
    })
}

fn encryption(settings: &Settings, facts: &BucketFacts) -> Finding {
    let wanted = settings.sse.header().unwrap_or("AES256");
    let expected = if settings.sse == Sse::None { "any".to_owned() } else { wanted.to_owned() };
    let about = (
        "default-encryption",
        "the bucket encrypts what comes without a header",
        "GetBucketEncryption",
        expected,
    );
    setting(about, &facts.encryption, provision("default encryption", wanted), |found| match found {
        None => ("none".into(), false),
        Some(found) => {
            let key = settings.sse.kms_key().is_none_or(|key| found.kms_key_id.as_deref() == Some(key));
            // KMS is more than was asked for, not less.
            let mode = found.mode == wanted || (wanted == "AES256" && found.mode.starts_with("aws:kms"));
            let seen = found
                .kms_key_id
                .as_ref()
                .map_or(found.mode.clone(), |key| format!("{} with {key}", found.mode));
            (seen, mode && key)
        }
    })
}

fn versioning(settings: &Settings, facts: &BucketFacts) -> Finding {
    let expected = if settings.versioned { "Enabled" } else { "off" };
    let about = (
        "versioning",
        "versions are kept as the policies suppose",
        "GetBucketVersioning",
        expected.to_owned(),
    );
    setting(about, &facts.versioning, provision("versioning", expected), |found| {
        let found = found.as_deref().unwrap_or("off");
        (found.into(), found == expected)
    })
}

fn leftovers(settings: &Settings, facts: &BucketFacts) -> Finding {
    let expected =
        if settings.versioned { "unfinished uploads and old versions go" } else { "unfinished uploads go" };
    let about = (
        "lifecycle",
        "leftovers do not stay for ever",
        "GetBucketLifecycleConfiguration",
        expected.to_owned(),
    );
    let prefix = settings.below();
    setting(about, &facts.lifecycle, provision("lifecycle rule", "strongroom-leftovers"), |rules| {
        let here = || rules.iter().filter(|rule| rule.enabled && prefix.starts_with(&rule.prefix));
        let aborts = here().any(|rule| rule.abort_days.is_some());
        let expires = here().any(|rule| rule.noncurrent_days.is_some());
        let seen = match (aborts, expires) {
            (true, true) => "unfinished uploads and old versions go",
            (true, false) => "unfinished uploads go, old versions stay",
            (false, true) => "old versions go, unfinished uploads stay",
            (false, false) => "nothing goes",
        };
        (seen.into(), aborts && (expires || !settings.versioned))
    })
}

fn expiry(settings: &Settings, facts: &BucketFacts) -> Finding {
    let about =
        ("expiry", "no lifecycle rule deletes backups", "GetBucketLifecycleConfiguration", "none".to_owned());
    let prefix = settings.below();
    let fix = json!({"setting": "lifecycle rules", "to": "without the rule that deletes backups; let Strongroom delete them"});
    setting(about, &facts.lifecycle, fix, |rules| {
        let overlaps = |of: &str| of.starts_with(&prefix) || prefix.starts_with(of);
        let deletes =
            rules.iter().find(|rule| rule.enabled && rule.expire_days.is_some() && overlaps(&rule.prefix));
        match deletes {
            Some(rule) => (
                format!("rule `{}` deletes after {} days", rule.id, rule.expire_days.unwrap_or_default()),
                false,
            ),
            None => ("none".into(), true),
        }
    })
}

fn policy_public(facts: &BucketFacts) -> Finding {
    let about = (
        "policy-public",
        "S3 does not call the bucket policy public",
        "GetBucketPolicyStatus",
        "not public".to_owned(),
    );
    setting(
        about,
        &facts.policy_public,
        provision("bucket policy", "without an Allow for everybody"),
        |public| (if *public { "public" } else { "not public" }.into(), !public),
    )
}

fn object_lock(settings: &Settings, facts: &BucketFacts) -> Finding {
    let wanted =
        settings.object_lock.map(|r| format!("{}, {} days", r.mode.as_str(), r.days)).unwrap_or_default();
    let about = (
        "object-lock",
        "new versions are locked",
        "GetObjectLockConfiguration",
        format!("at least {wanted}"),
    );
    setting(about, &facts.object_lock, provision("Object Lock", wanted), |lock| {
        let Some(lock) = lock else { return ("off".into(), false) };
        let days = lock.days.or(lock.years.map(|years| years.saturating_mul(365))).unwrap_or(0);
        let mode = lock.mode.as_deref().unwrap_or("no default retention");
        let enough = settings.object_lock.is_some_and(|wanted| {
            i64::from(days) >= i64::from(wanted.days)
                && (mode == wanted.mode.as_str() || mode == "COMPLIANCE")
        });
        (format!("{mode}, {days} days"), enough)
    })
}

/// The bucket policy, where it can be read and understood.
fn policy(facts: &BucketFacts) -> Seen<Option<Policy>> {
    match &facts.policy {
        Seen::Is(Some(text)) => Seen::Is(Policy::parse(text, Kind::Resource).ok()),
        Seen::Is(None) => Seen::Is(None),
        Seen::Denied(action) => Seen::Denied(action.clone()),
        Seen::NotOffered => Seen::NotOffered,
    }
}

fn tls_only(settings: &Settings, facts: &BucketFacts) -> Finding {
    let about = (
        "tls-only",
        "the bucket policy refuses plain HTTP, whoever asks",
        "GetBucketPolicy",
        "a Deny on aws:SecureTransport".to_owned(),
    );
    let fix = documents(settings)
        .into_iter()
        .filter_map(|d| d.policy["Statement"].as_array().cloned())
        .flatten()
        .find(|s| s["Sid"] == Denial::PlainHttp.sid().as_str())
        .unwrap_or_default();
    setting(about, &policy(facts), fix, |policy| {
        let Some(policy) = policy else { return ("no bucket policy".into(), false) };
        let mut request = Request::new(
            Principal::Root { account: OWNER.into() },
            "s3:GetObject",
            &settings.object_arn("x"),
        );
        request.context.set("aws:SecureTransport", "false");
        let policies =
            Policies { resource: Some(Named::new("bucket policy", policy)), ..Policies::in_account(OWNER) };
        let denied = decide(&policies, &request) == Decision::ExplicitDeny;
        (if denied { "plain HTTP is refused" } else { "plain HTTP is not refused" }.into(), denied)
    })
}

/// Any account's number does: the owner of a bucket is bound by a Deny for everybody.
const OWNER: &str = "111122223333";

/// Whom else the bucket policy lets in: other accounts, or everybody.
fn others(settings: &Settings, facts: &BucketFacts, caller: Option<&Caller>) -> Finding {
    let about = (
        "other-principals",
        "the bucket policy lets nobody else in",
        "GetBucketPolicy",
        "no Allow for others".to_owned(),
    );
    let fix = json!({"setting": "bucket policy", "to": "without the Allow for others"});
    let own = settings.account.as_deref().or(caller.map(|caller| caller.account.as_str()));
    setting(about, &facts.policy, fix, |text| {
        let document: Value =
            text.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let statements = match &document["Statement"] {
            Value::Array(statements) => statements.clone(),
            Value::Null => Vec::new(),
            one => vec![one.clone()],
        };
        let strangers: Vec<String> = statements
            .iter()
            .filter(|s| s["Effect"] == "Allow")
            .flat_map(principals)
            .filter(|p| !is_of(p, own))
            .collect();
        match strangers.is_empty() {
            true => ("no Allow for others".into(), true),
            false => (format!("Allow for {}", strangers.join(", ")), false),
        }
    })
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
        Some(_) => vec!["everybody but some (NotPrincipal)".into()],
        None => texts(&statement["Principal"]),
    }
}

fn is_of(principal: &str, account: Option<&str>) -> bool {
    account.is_some_and(|account| principal == account || principal.split(':').nth(4) == Some(account))
}
