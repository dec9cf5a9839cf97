//! The catalogue of backups.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strongroom_engine::{BackupId, PlanName};
use utoipa::ToSchema;

use super::{BackupKey, DeploymentId, LocationId, PlanId, Reason, RunId, UserId};

/// Where a backup is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupState {
    /// It is kept.
    Kept,
    /// It is to be deleted when its grace is over. Until then it can be kept again.
    Expired,
    /// It was deleted.
    Swept,
    /// It should be in the location, and is not.
    Missing,
}

/// A backup in the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Backup {
    /// Its id.
    #[schema(inline)]
    pub id: BackupKey,
    /// Its name in the location, such as `20261123T020000Z-7f3k`.
    #[schema(value_type = String, max_length = 40)]
    pub name: BackupId,
    /// Its folder in the location.
    #[schema(value_type = String, max_length = 64)]
    pub folder: PlanName,
    /// Where it stands.
    #[schema(inline)]
    pub location: LocationId,
    /// The plan that made it. It may be deleted.
    #[schema(inline)]
    pub plan: Option<PlanId>,
    /// The deployment it was made of. It may be deleted.
    #[schema(inline)]
    pub deployment: Option<DeploymentId>,
    /// The run that made it.
    #[schema(inline)]
    pub run: Option<RunId>,
    /// Whether it was made for an occurrence of its plan, and not because somebody asked.
    pub scheduled: bool,
    /// Where it is in its life.
    pub state: BackupState,
    /// Whether all is in it that should be.
    pub complete: bool,
    /// When reading began.
    pub started_at: DateTime<Utc>,
    /// When it was whole.
    pub finished_at: DateTime<Utc>,
    /// The moment that it holds: a cluster time with a snapshot or an oplog; none: no one moment.
    #[schema(max_length = 40)]
    pub moment: Option<String>,
    /// The version of MongoDB that was read.
    #[schema(max_length = 40)]
    pub server_version: String,
    /// The encryption that the store reported.
    #[schema(max_length = 2048)]
    pub encryption: Option<String>,
    /// Collections and views.
    pub namespaces: u64,
    /// Documents.
    pub documents: u64,
    /// Bytes of documents and what frames them.
    pub raw_bytes: u64,
    /// Bytes as stored.
    pub stored_bytes: u64,
    /// It cannot be deleted before (Object Lock).
    pub locked_until: Option<DateTime<Utc>>,
    /// Why it is kept although retention would not.
    #[schema(max_items = 100)]
    pub holds: Vec<Hold>,
    /// When it was last read back without a fault.
    pub verified_at: Option<DateTime<Utc>>,
    /// When it was last restored without a fault.
    pub restored_at: Option<DateTime<Utc>>,
    /// Why it is kept, or why not: by the last look of retention.
    #[schema(max_items = 200)]
    pub reasons: Vec<String>,
    /// When it expired.
    pub expired_at: Option<DateTime<Utc>>,
    /// Who deleted it; none: it expired by the rules of its plan, and is kept again if they change.
    #[schema(inline)]
    pub expired_by: Option<UserId>,
    /// When its grace is over.
    pub sweep_after: Option<DateTime<Utc>>,
    /// When it was deleted.
    pub swept_at: Option<DateTime<Utc>>,
}

/// Keeps a backup whatever retention says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Hold {
    /// Why, in the person's words.
    #[schema(inline)]
    pub reason: Reason,
    /// Who placed it.
    #[schema(inline)]
    pub by: Option<UserId>,
    /// When it was placed.
    pub at: DateTime<Utc>,
}

/// Places a hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewHold {
    /// Why.
    #[schema(inline)]
    pub reason: Reason,
}
