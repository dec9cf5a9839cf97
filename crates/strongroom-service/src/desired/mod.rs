//! What a file says that there should be: deployments, locations and plans, by their names.
//!
//! `apply` reads such a file, compares it with what the service has ([`steps`]), and takes the steps through the API;
//! `export` writes one ([`Desired::of`], [`write()`]). Secrets are never in it: it names the environment's variable or the
//! file that holds each.

mod difference;
mod existing;
mod file;
mod secret;

use serde::{Deserialize, Serialize};
use strongroom_engine::bucket::Checksum;
use strongroom_engine::{Location as Place, PlanName};

use crate::model::{
    Address, BackupSettings, BucketSettings, Few, Labels, Line, Name, Nothing, ProfileCredentials, Running,
    RunsAtOnce, Word,
};
use crate::retention::Retention;
use crate::schedule::Schedule;

pub use difference::{Action, Choice, Field, Kind, Step, steps};
pub use existing::Existing;
pub use file::{FILE_MAX, Resolve, read, write};
pub use secret::SecretFrom;

/// How many of a kind a file may have.
pub const EACH_MAX: usize = 10_000;

/// What there should be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Desired {
    /// What is backed up.
    pub deployments: Few<DesiredDeployment, EACH_MAX>,
    /// Where backups are stored.
    pub locations: Few<DesiredLocation, EACH_MAX>,
    /// What is backed up where, when, and for how long it is kept.
    pub plans: Few<DesiredPlan, EACH_MAX>,
}

/// A deployment, as [`crate::model::NewDeployment`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DesiredDeployment {
    /// The name by which it is known here too.
    pub name: Name,
    /// Where the connection string is found.
    pub uri: SecretFrom,
    /// Words of a person's own.
    #[serde(default)]
    pub labels: Labels,
    /// How many runs may read or write it at a time.
    #[serde(default = "one_at_once")]
    pub runs_at_once: RunsAtOnce,
}

/// A location, as [`crate::model::NewLocation`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DesiredLocation {
    /// The name by which it is known here too.
    pub name: Name,
    /// `s3://bucket/prefix` or `file:///path`.
    pub location: Place,
    /// The URL of an S3-compatible server.
    #[serde(default)]
    pub endpoint: Option<Address>,
    /// The region of the bucket.
    #[serde(default)]
    pub region: Option<Word>,
    /// The account that must own the bucket: 12 digits, in quotes.
    #[serde(default)]
    pub expected_owner: Option<Line<12, 12>>,
    /// What goes with each object for its bytes to be compared.
    #[serde(default)]
    pub checksum: Checksum,
    /// How the bucket is kept safe.
    #[serde(default)]
    pub bucket: BucketSettings,
    /// Who stores backups.
    #[serde(default)]
    pub credentials: DesiredCredentials,
    /// With the access `split`: who reads backups.
    #[serde(default)]
    pub restorer: Option<DesiredCredentials>,
    /// With the access `split`: who deletes backups.
    #[serde(default)]
    pub pruner: Option<DesiredCredentials>,
    /// Words of a person's own.
    #[serde(default)]
    pub labels: Labels,
    /// How many runs may use it at a time.
    #[serde(default = "one_at_once")]
    pub runs_at_once: RunsAtOnce,
}

/// Who signs requests, as [`crate::model::NewCredentials`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DesiredCredentials {
    /// Those of the machine.
    Ambient(Nothing),
    /// An access key.
    Key(DesiredKey),
    /// A profile in the AWS files of the machine.
    Profile(ProfileCredentials),
    /// A role.
    Role(DesiredRole),
}

impl Default for DesiredCredentials {
    fn default() -> Self {
        Self::Ambient(Nothing {})
    }
}

/// An access key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DesiredKey {
    /// The part that goes with every request.
    pub id: Word,
    /// Where the part that signs is found. None: the one that the service has stays.
    #[serde(default)]
    pub secret: Option<SecretFrom>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DesiredRole {
    /// The ARN of the role.
    pub arn: Address,
    /// What the role's trust policy wants to hear.
    #[serde(default)]
    pub external_id: Option<Word>,
    /// The key that takes the role on; none: the machine's credentials do.
    #[serde(default)]
    pub key: Option<DesiredKey>,
}

/// A plan, as [`crate::model::NewPlan`], with names for what it refers to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DesiredPlan {
    /// The name by which it is known here too.
    pub name: Name,
    /// The name of the deployment.
    pub deployment: Name,
    /// The name of the location.
    pub location: Name,
    /// The folder of its backups; none: made from the name when the plan is made. It never changes afterwards.
    #[serde(default)]
    pub folder: Option<PlanName>,
    /// When it runs.
    pub schedule: Schedule,
    /// What is backed up, and how.
    #[serde(default)]
    pub backup: BackupSettings,
    /// How long backups are kept.
    #[serde(default)]
    pub retention: Retention,
    /// How runs are started and tried again.
    #[serde(default)]
    pub running: Running,
    /// Words of a person's own.
    #[serde(default)]
    pub labels: Labels,
    /// Whether it starts no runs by itself.
    #[serde(default)]
    pub paused: bool,
}

fn one_at_once() -> RunsAtOnce {
    RunsAtOnce::of(1)
}

#[cfg(test)]
mod tests;
