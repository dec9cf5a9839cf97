//! What a restore will do, to be looked at before it is run.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{BackupKey, DeploymentId, RestoreSettings};

/// Asks what a restore would do. Nothing is changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreQuestion {
    /// The backup.
    #[schema(inline)]
    pub backup: BackupKey,
    /// The deployment to restore into.
    #[schema(inline)]
    pub target: DeploymentId,
    /// What to restore, and how.
    #[serde(default)]
    pub settings: RestoreSettings,
}

/// What a restore will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RestorePreview {
    /// What the restore wants as `preview`, to do exactly this: 64 hexadecimal digits.
    #[schema(min_length = 64, max_length = 64, pattern = "^[0-9a-f]{64}$")]
    pub digest: String,
    /// Whether it can be run. It cannot where a collection exists that nothing was said about.
    pub can_run: bool,
    /// Whether collections of the target are replaced, so that its name has to be typed as `confirm_target`.
    pub replaces: bool,
    /// The version of MongoDB that the target runs.
    #[schema(max_length = 40)]
    pub target_version: String,
    /// The target's replica set, if it is one.
    #[schema(max_length = 200)]
    pub target_set: Option<String>,
    /// How many collections and views there are in all.
    pub namespaces_total: u64,
    /// Documents that are inserted.
    pub documents: u64,
    /// Bytes of documents that are inserted.
    pub bytes: u64,
    /// Bytes that are fetched from the location.
    pub stored_bytes: u64,
    /// What is done with each collection or view: the first 1000, those first that are refused or replaced.
    #[schema(max_items = 1000)]
    pub namespaces: Vec<PreviewedNamespace>,
    /// Documents that expire soon after they are restored, in words; the first 100.
    #[schema(max_items = 100)]
    pub expiring: Vec<String>,
    /// Users, roles and stored functions that come along, in words; the first 1000.
    #[schema(max_items = 1000)]
    pub grants: Vec<String>,
    /// Whether there may be users, roles and stored functions that are not named.
    pub grants_unknown: bool,
}

/// What is done with one collection or view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewedNamespace {
    /// Its name in the backup, as `db.collection`.
    #[schema(max_length = 300)]
    pub name: String,
    /// Its name in the target.
    #[schema(max_length = 300)]
    pub target: String,
    /// What is done: `create`, `replace`, `add`, `refuse`, `merge`, `skip`, `index` or `missing`.
    #[schema(max_length = 10)]
    pub action: String,
    /// Documents to insert.
    pub documents: Option<u64>,
    /// Bytes of them.
    pub bytes: Option<u64>,
}
