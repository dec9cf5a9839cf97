//! Deployments: what is backed up, and restored into.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DeploymentId, Int, Labels, Name, Secret};

/// How many runs there may be of one deployment, location or worker at a time.
pub type RunsAtOnce = Int<1, 64>;

/// What is set when a deployment is made.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDeployment {
    /// The name by which people know it, and which they type before they overwrite it.
    #[schema(inline)]
    pub name: Name,
    /// The MongoDB connection string.
    #[schema(inline)]
    pub uri: Secret,
    /// Words of a person's own, by which lists are filtered.
    #[serde(default)]
    pub labels: Labels,
    /// How many runs may read or write it at a time.
    #[serde(default = "one_at_once")]
    #[schema(inline)]
    pub runs_at_once: RunsAtOnce,
}

/// What of a deployment is to be changed; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentChange {
    /// The name by which people know it.
    #[schema(inline)]
    pub name: Option<Name>,
    /// The MongoDB connection string.
    #[schema(inline)]
    pub uri: Option<Secret>,
    /// Words of a person's own; all of them are replaced.
    pub labels: Option<Labels>,
    /// How many runs may read or write it at a time.
    #[schema(inline)]
    pub runs_at_once: Option<RunsAtOnce>,
}

/// A MongoDB server, replica set or cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Deployment {
    /// Its id.
    #[schema(inline)]
    pub id: DeploymentId,
    /// The name by which people know it.
    #[schema(inline)]
    pub name: Name,
    /// The connection string without user, password and options.
    #[schema(max_length = 4096)]
    pub address: String,
    /// Words of a person's own.
    pub labels: Labels,
    /// How many runs may read or write it at a time.
    #[schema(inline)]
    pub runs_at_once: RunsAtOnce,
    /// What the last test found; none: it was never tested.
    pub last_test: Option<DeploymentTest>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// Counts its changes; its ETag.
    pub version: u64,
}

/// What a test of a deployment found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeploymentTest {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// Why it cannot be backed up; none: it can.
    pub problem: Option<Problem>,
    /// `standalone`, `replica-set` or `sharded`; none: no server answered.
    #[schema(max_length = 20)]
    pub topology: Option<String>,
    /// The version of MongoDB.
    #[schema(max_length = 60)]
    pub server_version: Option<String>,
    /// Databases that can be seen.
    pub databases: Option<u64>,
    /// Bytes of documents, by the server's statistics.
    pub bytes: Option<u64>,
    /// What the user lacks for a backup: privileges in the words of MongoDB.
    #[schema(max_items = 100)]
    pub missing_privileges: Vec<String>,
    /// The mongosh command that grants what is missing.
    #[schema(max_length = 100000)]
    pub grant: Option<String>,
}

/// Why something failed, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The stable code, such as `SR-DENIED`.
    #[schema(max_length = 40)]
    pub code: String,
    /// What failed, and why.
    #[schema(max_length = 16384)]
    pub message: String,
    /// What to do.
    #[schema(max_length = 16384)]
    pub help: Option<String>,
}

pub(super) fn one_at_once() -> RunsAtOnce {
    Int::of(1)
}
