//! How the bucket itself is to be set, whatever the policies. Pure.

use serde_json::{Value, json};

use crate::bucket::Sse;
use crate::bucket::facts::LifecycleRule;
use crate::guard::settings::{Retention, Settings};

/// The name of the lifecycle rule.
pub(crate) const LIFECYCLE_ID: &str = "strongroom-leftovers";
/// After so many days S3 gives up uploads in parts that nobody ended. Strongroom makes none.
pub(crate) const ABORT_DAYS: i32 = 7;
/// After so many days S3 deletes what was overwritten or hidden by a delete marker. Strongroom does neither.
pub(crate) const NONCURRENT_DAYS: i32 = 30;

/// The settings of the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wish {
    /// What the lifecycle rule is for: the prefix with a slash, or nothing.
    pub(crate) prefix: String,
    pub(crate) sse: Sse,
    pub(crate) versioned: bool,
    pub(crate) object_lock: Option<Retention>,
}

impl Wish {
    pub(crate) fn of(settings: &Settings) -> Self {
        let prefix = settings.below();
        Self {
            prefix,
            sse: settings.sse.clone(),
            versioned: settings.versioned,
            object_lock: settings.object_lock,
        }
    }

    /// The lifecycle rule that deletes leftovers.
    pub(crate) fn own_rule(&self) -> LifecycleRule {
        LifecycleRule {
            id: LIFECYCLE_ID.into(),
            enabled: true,
            prefix: self.prefix.clone(),
            abort_days: Some(ABORT_DAYS),
            noncurrent_days: self.versioned.then_some(NONCURRENT_DAYS),
            expired_markers: self.versioned,
            expire_days: None,
        }
    }

    /// As S3's API writes it. A bucket key saves most requests to KMS.
    pub(crate) fn encryption_rule(&self) -> Value {
        let mut default = json!({"SSEAlgorithm": self.sse.header().unwrap_or("AES256")});
        if let Some(key) = self.sse.kms_key() {
            default["KMSMasterKeyID"] = json!(key);
        }
        let mut rule = json!({"ApplyServerSideEncryptionByDefault": default});
        if self.sse.takes_bucket_key() {
            rule["BucketKeyEnabled"] = json!(true);
        }
        rule
    }

    /// As S3's API writes it.
    pub(crate) fn lifecycle_rule(&self) -> Value {
        let mut rule = json!({
            "ID": LIFECYCLE_ID,
            "Status": "Enabled",
            "Filter": {"Prefix": self.prefix},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_DAYS},
        });
        if self.versioned {
            rule["NoncurrentVersionExpiration"] = json!({"NoncurrentDays": NONCURRENT_DAYS});
            rule["Expiration"] = json!({"ExpiredObjectDeleteMarker": true});
        }
        rule
    }
}

/// As S3's API writes it: all four on.
pub(crate) fn public_access_block() -> Value {
    json!({"BlockPublicAcls": true, "IgnorePublicAcls": true, "BlockPublicPolicy": true, "RestrictPublicBuckets": true})
}
