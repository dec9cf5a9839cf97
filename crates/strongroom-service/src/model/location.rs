//! Locations: where backups are stored.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strongroom_engine::Location as Place;
use strongroom_engine::bucket::{Checksum, Sse};
use strongroom_engine::guard::{Access, Dialect, Retention as ObjectLock};
use utoipa::ToSchema;

use super::deployment::{RunsAtOnce, one_at_once};
use super::{Labels, Line, LocationId, Name, RunId, Secret};

/// A URL or an ARN.
pub type Address = Line<1, 2048>;
/// A word of AWS: a region, an account, a profile, a key's id.
pub type Word = Line<1, 256>;

/// What is set when a location is made, or replaced.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLocation {
    /// The name by which people know it.
    #[schema(inline)]
    pub name: Name,
    /// `s3://bucket/prefix`, or `file:///path` below a folder that the service's configuration allows.
    #[schema(value_type = String, max_length = 2048, example = "s3://backups/production")]
    pub location: Place,
    /// The URL of an S3-compatible server; none: Amazon's.
    #[schema(inline)]
    pub endpoint: Option<Address>,
    /// The region of the bucket.
    #[schema(inline)]
    pub region: Option<Word>,
    /// The account that must own the bucket: 12 digits.
    #[schema(inline)]
    pub expected_owner: Option<Line<12, 12>>,
    /// What goes with each object for its bytes to be compared: `sha256`, or another where a server refuses that.
    #[serde(default)]
    #[schema(value_type = String, max_length = 20, example = "sha256")]
    pub checksum: Checksum,
    /// How the bucket is kept safe. It decides the policies, and what a proof expects.
    #[serde(default)]
    pub bucket: BucketSettings,
    /// Who stores backups; with the access `classic` or `single` who does everything.
    #[serde(default)]
    pub credentials: NewCredentials,
    /// With the access `split`: who reads backups. Without, nothing is verified or restored.
    pub restorer: Option<NewCredentials>,
    /// With the access `split`: who deletes backups. Without, nothing is swept.
    pub pruner: Option<NewCredentials>,
    /// Words of a person's own.
    #[serde(default)]
    pub labels: Labels,
    /// How many runs may use it at a time.
    #[serde(default = "one_at_once")]
    #[schema(inline)]
    pub runs_at_once: RunsAtOnce,
}

/// How a bucket is kept safe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BucketSettings {
    /// How many identities there are: `classic`, `single` or `split`.
    #[schema(value_type = String, max_length = 10, example = "single")]
    pub access: Access,
    /// Whether the bucket keeps versions.
    pub versioned: bool,
    /// The encryption that the bucket requires: `none`, `AES256`, `aws:kms`, `aws:kms:KEY`, `aws:kms:dsse` or
    /// `aws:kms:dsse:KEY`.
    #[schema(value_type = String, max_length = 2048, example = "AES256")]
    pub encryption: Sse,
    /// Whether the encryption must be asked for with every object, although the bucket's default would encrypt as well.
    pub header_required: bool,
    /// How long every new version is locked, such as `governance:30d`; none: it is not.
    #[schema(value_type = Option<String>, max_length = 30, example = "governance:30d")]
    pub object_lock: Option<ObjectLock>,
    /// How the server reads policies: `aws` or `ceph`.
    #[schema(value_type = String, max_length = 10, example = "aws")]
    pub dialect: Dialect,
}

impl Default for BucketSettings {
    fn default() -> Self {
        Self {
            access: Access::default(),
            versioned: false,
            encryption: Sse::None,
            header_required: false,
            object_lock: None,
            dialect: Dialect::default(),
        }
    }
}

/// Who signs requests, as it is set.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum NewCredentials {
    /// Those of the machine, as every AWS tool finds them: environment, files, role.
    Ambient(Nothing),
    /// An access key.
    Key(NewKey),
    /// A profile in the AWS files of the machine.
    Profile(ProfileCredentials),
    /// A role that the machine's credentials, or a key, may take on.
    Role(NewRole),
}

impl Default for NewCredentials {
    fn default() -> Self {
        Self::Ambient(Nothing {})
    }
}

/// No settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// An access key, as it is set.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// The part that goes with every request.
    #[schema(inline)]
    pub id: Word,
    /// The part that signs. Left out when a location is replaced: the one that is stored stays.
    #[schema(inline)]
    pub secret: Option<Secret>,
}

/// A profile in the AWS files of the machine that the service runs on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileCredentials {
    /// Its name.
    #[schema(inline)]
    pub name: Word,
}

/// A role, as it is set.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRole {
    /// The ARN of the role.
    #[schema(inline)]
    pub arn: Address,
    /// What the role's trust policy wants to hear.
    #[schema(inline)]
    pub external_id: Option<Word>,
    /// The key that takes the role on; none: the machine's credentials do.
    pub key: Option<NewKey>,
}

/// Who signs requests, as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Credentials {
    /// Those of the machine.
    Ambient(Nothing),
    /// An access key.
    Key(ShownKey),
    /// A profile in the AWS files of the machine.
    Profile(ProfileCredentials),
    /// A role.
    Role(ShownRole),
}

/// An access key, without the part that signs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShownKey {
    /// The part that goes with every request.
    #[schema(inline)]
    pub id: Word,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShownRole {
    /// The ARN of the role.
    #[schema(inline)]
    pub arn: Address,
    /// What the role's trust policy wants to hear.
    #[schema(inline)]
    pub external_id: Option<Word>,
    /// The key that takes the role on; none: the machine's credentials do.
    pub key: Option<ShownKey>,
}

/// A bucket and prefix, or a folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Location {
    /// Its id.
    #[schema(inline)]
    pub id: LocationId,
    /// The name by which people know it.
    #[schema(inline)]
    pub name: Name,
    /// `s3://bucket/prefix` or `file:///path`.
    #[schema(value_type = String, max_length = 2048)]
    pub location: Place,
    /// The URL of an S3-compatible server; none: Amazon's.
    #[schema(inline)]
    pub endpoint: Option<Address>,
    /// The region of the bucket.
    #[schema(inline)]
    pub region: Option<Word>,
    /// The account that must own the bucket.
    #[schema(inline)]
    pub expected_owner: Option<Line<12, 12>>,
    /// What goes with each object for its bytes to be compared.
    #[schema(value_type = String, max_length = 20)]
    pub checksum: Checksum,
    /// How the bucket is kept safe.
    pub bucket: BucketSettings,
    /// Who stores backups; with the access `classic` or `single` who does everything.
    pub credentials: Credentials,
    /// With the access `split`: who reads backups.
    pub restorer: Option<Credentials>,
    /// With the access `split`: who deletes backups.
    pub pruner: Option<Credentials>,
    /// Words of a person's own.
    pub labels: Labels,
    /// How many runs may use it at a time.
    #[schema(inline)]
    pub runs_at_once: RunsAtOnce,
    /// What the last proof of its security found; none: it was never proven.
    pub last_proof: Option<Proof>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// Counts its changes; its ETag.
    pub version: u64,
}

/// What a proof of a bucket's security found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Proof {
    /// The run that made it.
    #[schema(inline)]
    pub run: RunId,
    /// When it ended.
    pub at: DateTime<Utc>,
    /// Whether nothing failed.
    pub passed: bool,
    /// Probes that passed.
    pub pass: u64,
    /// Probes that failed.
    pub fail: u64,
    /// Probes that could not tell.
    pub unknown: u64,
    /// Probes of what this server does not offer.
    pub not_offered: u64,
}
