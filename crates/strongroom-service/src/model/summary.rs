//! How everything stands, for a first page.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Name, PlanId, Run};

/// How everything stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Summary {
    /// Whether no run starts, whatever plans say.
    pub paused: bool,
    /// Plans by how they stand.
    pub plans: PlanCounts,
    /// Runs that wait.
    pub queued: u64,
    /// Runs that a worker has.
    pub running: u64,
    /// Changes that loosen something and have not taken effect; counting ends at 200.
    #[schema(maximum = 200)]
    pub waiting_changes: u64,
    /// The newest runs, newest first.
    #[schema(max_items = 10)]
    pub last_runs: Vec<Run>,
    /// The plans that run next, soonest first.
    #[schema(max_items = 10)]
    pub next_runs: Vec<NextRun>,
    /// How backups ended on each of the last 30 days (UTC) that had any, oldest first.
    #[schema(max_items = 31)]
    pub days: Vec<DayCount>,
}

/// Plans by how they stand. A plan can be counted in several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlanCounts {
    /// All of them.
    pub total: u64,
    /// Those that start no runs by themselves.
    pub paused: u64,
    /// Those whose last runs failed, since the newest good backup.
    pub failing: u64,
    /// Those that have no good backup.
    pub without_backup: u64,
    /// Those whose bucket would refuse what they store.
    pub refused_by_bucket: u64,
}

/// When a plan runs next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NextRun {
    /// The plan.
    #[schema(inline)]
    pub plan: PlanId,
    /// Its name.
    #[schema(inline)]
    pub name: Name,
    /// When.
    pub at: DateTime<Utc>,
}

/// How the backups of a day ended. It is kept as runs end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DayCount {
    /// The day (UTC).
    pub day: NaiveDate,
    /// Those that were made.
    pub succeeded: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were stopped by a person.
    pub cancelled: u64,
    /// Those that never began.
    pub skipped: u64,
    /// Bytes that were stored.
    pub stored_bytes: u64,
}
