//! What is learnt of a bucket and of identities: plain values, for whoever judges them.

use serde::Serialize;

/// What was learnt of one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen<T> {
    /// It is so.
    Is(T),
    /// The credentials may not look.
    Denied(String),
    /// The server does not know this setting.
    NotOffered,
}

impl<T> Seen<T> {
    /// The value, where it could be seen.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Denied(_) | Self::NotOffered => None,
        }
    }

    /// The same of another kind.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::Is(value) => Seen::Is(change(value)),
            Self::Denied(why) => Seen::Denied(why),
            Self::NotOffered => Seen::NotOffered,
        }
    }
}

/// Block Public Access.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PublicAccessBlock {
    /// Public ACLs are refused.
    pub block_public_acls: bool,
    /// Public ACLs that are there do not count.
    pub ignore_public_acls: bool,
    /// Public policies are refused.
    pub block_public_policy: bool,
    /// Public policies that are there do not count.
    pub restrict_public_buckets: bool,
}

impl PublicAccessBlock {
    /// All four on.
    pub const ALL: Self = Self {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    };
}

/// What the bucket encrypts with where a request asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DefaultEncryption {
    /// `AES256`, `aws:kms` or `aws:kms:dsse`.
    pub mode: String,
    /// The KMS key.
    pub kms_key_id: Option<String>,
    /// Whether a bucket key saves requests to KMS.
    pub bucket_key: bool,
}

/// What lifecycle rules do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LifecycleRule {
    /// Its name.
    pub id: String,
    /// Whether it is on.
    pub enabled: bool,
    /// What it is for.
    pub prefix: String,
    /// Days after which unfinished uploads go.
    pub abort_days: Option<i32>,
    /// Days after which versions that are not current go.
    pub noncurrent_days: Option<i32>,
    /// Whether delete markers without versions go.
    pub expired_markers: bool,
    /// Days after which current objects go: backups among them.
    pub expire_days: Option<i32>,
}

/// Object Lock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ObjectLock {
    /// `GOVERNANCE` or `COMPLIANCE`, where new versions are locked.
    pub mode: Option<String>,
    /// For how many days.
    pub days: Option<i32>,
    /// Or years.
    pub years: Option<i32>,
}

/// What is known of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketFacts {
    /// Whether it carries the tag of buckets made by `provision`.
    pub made_here: Seen<bool>,
    /// None: none is set.
    pub public_access_block: Seen<Option<PublicAccessBlock>>,
    /// `BucketOwnerEnforced`: ACLs are off.
    pub ownership: Seen<Option<String>>,
    /// None: none is set.
    pub encryption: Seen<Option<DefaultEncryption>>,
    /// `Enabled`, `Suspended`, or none.
    pub versioning: Seen<Option<String>>,
    /// All rules.
    pub lifecycle: Seen<Vec<LifecycleRule>>,
    /// None: Object Lock is off.
    pub object_lock: Seen<Option<ObjectLock>>,
    /// The bucket policy's text.
    pub policy: Seen<Option<String>>,
    /// Whether S3 calls the bucket policy public.
    pub policy_public: Seen<bool>,
}

/// A managed policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedPolicy {
    /// Its ARN.
    pub arn: String,
    /// The version in force.
    pub text: String,
}

/// What is known of the identity that `provision` makes: of one name, each part there or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdentityFacts {
    /// The managed policy of that name.
    pub policy: Option<ManagedPolicy>,
    /// The group of that name.
    pub group: Option<GroupFacts>,
    /// The user of that name.
    pub user: Option<UserFacts>,
    /// The role of that name.
    pub role: Option<RoleFacts>,
}

/// A group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupFacts {
    /// ARNs of the policies attached to it.
    pub policies: Vec<String>,
    /// Names of its users.
    pub users: Vec<String>,
}

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFacts {
    /// Ids of its access keys.
    pub access_keys: Vec<String>,
}

/// A role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoleFacts {
    /// The policy that says who may assume it.
    pub trust: String,
    /// ARNs of the policies attached to it.
    pub policies: Vec<String>,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// Its account's number.
    pub account: String,
    /// Its ARN.
    pub arn: String,
}
