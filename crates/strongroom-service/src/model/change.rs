//! Changes that loosen something. They wait, are shown, and can be called back.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{BackupKey, ChangeId, NewPlan, PlanId, Settings, UserId};

/// What a waiting change will do.
#[allow(clippy::large_enum_variant, reason = "it is handled by itself, and never many at a time")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Loosening {
    /// A plan gets other settings.
    ChangePlan(ChangePlan),
    /// A plan is deleted.
    DeletePlan(DeletePlan),
    /// A hold is lifted.
    LiftHold(LiftHold),
    /// The service gets other settings.
    ChangeSettings(ChangeSettings),
}

/// A plan gets other settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChangePlan {
    /// The plan.
    #[schema(inline)]
    pub plan: PlanId,
    /// All its settings from then on.
    pub settings: NewPlan,
}

/// A plan is deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeletePlan {
    /// The plan.
    #[schema(inline)]
    pub plan: PlanId,
    /// What becomes of its backups.
    pub backups: BackupsOfDeleted,
}

/// What becomes of the backups of a plan or deployment that is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BackupsOfDeleted {
    /// They stay, and are never deleted by themselves.
    #[default]
    Keep,
    /// They expire, and are deleted after their grace. Those on hold stay.
    Expire,
}

/// A hold is lifted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LiftHold {
    /// The backup. All its holds are lifted.
    #[schema(inline)]
    pub backup: BackupKey,
}

/// The service gets other settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChangeSettings {
    /// All of them from then on.
    pub settings: Settings,
}

/// Where a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeState {
    /// It waits.
    Waiting,
    /// It took effect.
    Applied,
    /// It was called back.
    CalledBack,
    /// It could not take effect: what it changes had changed or was gone.
    Failed,
}

/// A change that waits, or waited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Its id.
    #[schema(inline)]
    pub id: ChangeId,
    /// What it will do.
    pub what: Loosening,
    /// What is loosened, in words; at most 20.
    #[schema(max_items = 20)]
    pub loosens: Vec<String>,
    /// Where it is.
    pub state: ChangeState,
    /// Who asked for it.
    #[schema(inline)]
    pub requested_by: Option<UserId>,
    /// The second admin who agreed, where the settings want one.
    #[schema(inline)]
    pub approved_by: Option<UserId>,
    /// Whether it still wants a second admin.
    pub approval_wanted: bool,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// It takes effect then, if it is agreed to where that is wanted.
    pub effective_at: DateTime<Utc>,
    /// When it took effect or was called back.
    pub decided_at: Option<DateTime<Utc>>,
}
