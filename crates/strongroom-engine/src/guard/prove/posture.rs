//! The bucket's settings as findings. Pure.

use serde_json::{Value, json};

use super::{Finding, Verdict};
use crate::bucket::administration::{
    GET_BUCKET_ENCRYPTION, GET_BUCKET_LIFECYCLE_CONFIGURATION, GET_BUCKET_OWNERSHIP_CONTROLS,
    GET_BUCKET_POLICY, GET_BUCKET_POLICY_STATUS, GET_BUCKET_VERSIONING, GET_OBJECT_LOCK_CONFIGURATION,
    GET_PUBLIC_ACCESS_BLOCK, HEAD_BUCKET,
};
use crate::bucket::facts::{BucketFacts, Caller, Seen};
use crate::guard::judged::{BucketSetting, Judged, settings_judged};
use crate::guard::policy::{Denial, documents};
use crate::guard::settings::Settings;

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
            request: HEAD_BUCKET.name.into(),
            expected: "readable".into(),
            seen: "these credentials may not read the bucket's settings; an administrator's may".into(),
            verdict: Verdict::CouldNotTell,
            fix: None,
        }];
    };
    let account = settings.account.as_deref().or(caller.map(|caller| caller.account.as_str()));
    let all = settings_judged(settings, facts, account);
    all.into_iter().map(|judged| finding(settings, judged)).collect()
}

fn finding(settings: &Settings, judged: Judged) -> Finding {
    let (id, name, request) = about(judged.setting);
    let fix = (judged.verdict == Verdict::Fail).then(|| fix(settings, &judged));
    let expected = match judged.setting {
        BucketSetting::ObjectLock => format!("at least {}", judged.wanted),
        _ => judged.wanted,
    };
    let seen = match judged.seen {
        Seen::Is(seen) => seen,
        Seen::Denied(action) => format!("{action} is not allowed to these credentials"),
        Seen::NotOffered => "the server does not know this setting".into(),
    };
    Finding { id, name: name.into(), request: request.into(), expected, seen, verdict: judged.verdict, fix }
}

/// The id of the finding, what is proved, and the request.
fn about(setting: BucketSetting) -> (&'static str, &'static str, &'static str) {
    use BucketSetting::{
        Encryption, Expiry, Lifecycle, ObjectLock, OtherPrincipals, Ownership, PolicyPublic,
        PublicAccessBlock, TlsOnly, Versioning,
    };
    let (id, name, operation) = match setting {
        PublicAccessBlock => ("block-public-access", "Block Public Access is on", GET_PUBLIC_ACCESS_BLOCK),
        Ownership => ("ownership", "ACLs are off", GET_BUCKET_OWNERSHIP_CONTROLS),
        Encryption => {
            ("default-encryption", "the bucket encrypts what comes without a header", GET_BUCKET_ENCRYPTION)
        }
        Versioning => ("versioning", "versions are kept as the policies assume", GET_BUCKET_VERSIONING),
        Lifecycle => ("lifecycle", "leftovers do not stay for ever", GET_BUCKET_LIFECYCLE_CONFIGURATION),
        Expiry => ("expiry", "no lifecycle rule deletes backups", GET_BUCKET_LIFECYCLE_CONFIGURATION),
        ObjectLock => ("object-lock", "new versions are locked", GET_OBJECT_LOCK_CONFIGURATION),
        PolicyPublic => {
            ("policy-public", "S3 does not call the bucket policy public", GET_BUCKET_POLICY_STATUS)
        }
        OtherPrincipals => ("other-principals", "the bucket policy lets nobody else in", GET_BUCKET_POLICY),
        TlsOnly => ("tls-only", "the bucket policy refuses plain HTTP from everybody", GET_BUCKET_POLICY),
    };
    (id, name, operation.name)
}

/// What fixes it: a command only where that really does.
fn fix(settings: &Settings, judged: &Judged) -> Value {
    let subject = judged.setting.subject();
    if judged.setting == BucketSetting::TlsOnly {
        let documents = documents(settings);
        let statement = documents.iter().find_map(|document| Denial::PlainHttp.statement(document));
        return statement.cloned().unwrap_or_default();
    }
    match (&judged.step, &judged.note) {
        (Some(_), _) => json!({"setting": subject, "to": judged.wanted, "command": PROVISION}),
        (None, Some(note)) => json!({"setting": subject, "advice": note}),
        (None, None) => json!({"setting": subject, "to": judged.wanted}),
    }
}
