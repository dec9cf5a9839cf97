//! Deployments and their members, as they are described in manifests and events.

use serde::{Deserialize, Serialize};

/// The deployment that was read, and why this member of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Source {
    /// The shape of the deployment.
    pub topology: Topology,
    /// The replica set's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_name: Option<String>,
    /// MongoDB's version.
    pub server_version: String,
    /// The feature compatibility version, where the user may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feature_compatibility_version: Option<String>,
    /// The member that was read, as `host:port`.
    pub member: String,
    /// What that member was.
    pub member_role: String,
    /// How far it lagged behind the primary, in seconds, where that could be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<f64>,
    /// Why this member was read.
    pub member_reason: String,
    /// Every member of a replica set that is known, and why it was read or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
}

/// A member of a replica set, as it was when the backup began or, if it took the place of one that was lost, then.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// `host:port`.
    pub name: String,
    /// What it was.
    pub state: MemberState,
    /// Whether it is kept from clients.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Seconds between the newest write known and the newest that it held, where that could be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_seconds: Option<f64>,
    /// Whether it was read.
    pub taken: bool,
    /// Why it was read, or why not.
    pub reason: String,
}

/// What a member of a replica set can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberState {
    /// The one that takes writes.
    Primary,
    /// One that follows the primary.
    Secondary,
    /// One that votes and holds no data.
    Arbiter,
    /// One that is starting, catching up or rolling back, and cannot be read.
    Recovering,
    /// One that could not be asked.
    Unreachable,
}

impl MemberState {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Arbiter => "arbiter",
            Self::Recovering => "recovering",
            Self::Unreachable => "unreachable",
        }
    }
}

/// The shape of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topology {
    /// One server without an oplog.
    Standalone,
    /// A replica set of one or more members.
    ReplicaSet,
    /// A sharded cluster behind mongos.
    Sharded,
}
