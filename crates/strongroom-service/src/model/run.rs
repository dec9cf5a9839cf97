//! Runs: everything that takes long, with one state machine and one log.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strongroom_engine::restore::{CollectionOptions, Existing, Indexes, Ttl, Users};
use strongroom_engine::{BackupId, ClusterTime, RenameRule};
use utoipa::ToSchema;

use super::deployment::Problem;
use super::location::Proof;
use super::{
    BackupKey, DeploymentId, Few, Int, Line, LocationId, Name, Pattern, PlanId, RunId, Running, UserId,
};

/// What kind of work a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// A backup is made.
    Backup,
    /// A backup is read back and compared with its manifest.
    Verify,
    /// A backup is restored.
    Restore,
    /// A bucket's security is tried out.
    Prove,
    /// Backups that expired, and what dead runs left behind, are deleted.
    Sweep,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It waits for its time, for a worker, or for its next try.
    Queued,
    /// A worker has it.
    Running,
    /// It ended well.
    Succeeded,
    /// It ended, and what was asked for is not done.
    Failed,
    /// It was stopped by a person.
    Cancelled,
    /// It never began: the occurrence was missed, or another run of its plan took its place.
    Skipped,
}

impl RunState {
    /// Its name in data.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }

    /// Whether it is over.
    #[must_use]
    pub fn ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// Why there is a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Its time came.
    Schedule,
    /// It makes up for occurrences that were missed.
    CatchUp,
    /// A person or a token asked for it.
    Request,
    /// The service's own care: retention, leftovers.
    Upkeep,
}

/// What is asked for. Each kind has its own members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RunRequest {
    /// Make a backup as a plan says.
    Backup(BackupRequest),
    /// Read a backup back and compare it with its manifest.
    Verify(VerifyRequest),
    /// Restore a backup.
    Restore(RestoreRequest),
    /// Try out a bucket's security.
    Prove(ProveRequest),
    /// Delete what expired in a location and whose grace is over.
    Sweep(SweepRequest),
}

impl RunRequest {
    /// What kind of work it asks for.
    #[must_use]
    pub fn kind(&self) -> RunKind {
        match self {
            Self::Backup(_) => RunKind::Backup,
            Self::Verify(_) => RunKind::Verify,
            Self::Restore(_) => RunKind::Restore,
            Self::Prove(_) => RunKind::Prove,
            Self::Sweep(_) => RunKind::Sweep,
        }
    }
}

/// Make a backup as a plan says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// The plan.
    #[schema(inline)]
    pub plan: PlanId,
}

/// Read a backup back and compare it with its manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// The backup.
    #[schema(inline)]
    pub backup: BackupKey,
}

/// Restore a backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreRequest {
    /// The backup.
    #[schema(inline)]
    pub backup: BackupKey,
    /// The deployment to restore into.
    #[schema(inline)]
    pub target: DeploymentId,
    /// What to restore, and how.
    #[serde(default)]
    pub settings: RestoreSettings,
    /// The digest of the preview that was looked at. The run does exactly that, and fails if the target has changed.
    #[schema(inline)]
    pub preview: Line<64, 64>,
    /// The name of the target, typed. It is wanted where collections are replaced.
    #[schema(inline)]
    pub confirm_target: Option<Name>,
}

/// What to restore, and how. The values are those of the command line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RestoreSettings {
    /// Namespaces to restore, by their names in the backup; none: all.
    #[schema(inline, value_type = Vec<Pattern>, max_items = 100)]
    pub include: Few<Pattern, 100>,
    /// Namespaces to leave out.
    #[schema(inline, value_type = Vec<Pattern>, max_items = 100)]
    pub exclude: Few<Pattern, 100>,
    /// Other names for namespaces, such as `shop.*=shop_copy.*`.
    #[schema(inline, value_type = Vec<Line<1, 1000>>, max_items = 100)]
    pub rename: Few<RenameRule, 100>,
    /// What to do with collections that exist: `refuse`, `drop` or `keep`.
    #[schema(value_type = String, max_length = 10, example = "refuse")]
    pub existing: Existing,
    /// What to do about options of collections: `keep` or `none`.
    #[schema(value_type = String, max_length = 10, example = "keep")]
    pub collection_options: CollectionOptions,
    /// What to do about indexes: `build`, `none` or `only`.
    #[schema(value_type = String, max_length = 10, example = "build")]
    pub indexes: Indexes,
    /// What to do about users and roles: `merge`, `none` or `only`.
    #[schema(value_type = String, max_length = 10, example = "merge")]
    pub users: Users,
    /// What to do about documents that expire: `keep` or `hold`.
    #[schema(value_type = String, max_length = 10, example = "keep")]
    pub ttl: Ttl,
    /// The moment to restore, such as `1795437296.7`; none: the earliest that is consistent.
    #[schema(value_type = Option<String>, max_length = 40, example = "1795437296.7")]
    pub at: Option<ClusterTime>,
}

/// Try out a bucket's security.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProveRequest {
    /// The location.
    #[schema(inline)]
    pub location: LocationId,
}

/// Delete what expired in a location and whose grace is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepRequest {
    /// The location.
    #[schema(inline)]
    pub location: LocationId,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// Its id.
    #[schema(inline)]
    pub id: RunId,
    /// What is asked for.
    pub request: RunRequest,
    /// Why there is a run.
    pub trigger: Trigger,
    /// Who asked for it.
    #[schema(inline)]
    pub requested_by: Option<UserId>,
    /// The plan it belongs to.
    #[schema(inline)]
    pub plan: Option<PlanId>,
    /// The deployment that is read or written.
    #[schema(inline)]
    pub deployment: Option<DeploymentId>,
    /// The location that is used.
    #[schema(inline)]
    pub location: Option<LocationId>,
    /// Where it is.
    pub state: RunState,
    /// The occurrence of the plan that it is for.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// It does not start before; for a run that waits for its next try, the time of it.
    pub due_at: DateTime<Utc>,
    /// An occurrence that did not start by then is missed; none: it waits for as long as it takes.
    pub start_by: Option<DateTime<Utc>>,
    /// How often it is tried, and for how long.
    pub limits: RunLimits,
    /// How many times it was begun. A try that a worker handed over, since it was stopped, does not count.
    pub attempt: u64,
    /// When it was first begun.
    pub started_at: Option<DateTime<Utc>>,
    /// It is stopped and fails then, if it has not ended; none: it may take as long as it takes.
    pub deadline_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Whether somebody asked for it to stop.
    pub cancel_requested: bool,
    /// The name that the backup it makes has in the location; of the newest try.
    #[schema(value_type = Option<String>, max_length = 40)]
    pub backup_name: Option<BackupId>,
    /// How far it is.
    pub progress: Option<Progress>,
    /// Why it failed or was skipped, or why the last try failed.
    pub problem: Option<Problem>,
    /// What it gave.
    pub outcome: Option<RunOutcome>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// How often a run is tried, and for how long: as its plan said when the run was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunLimits {
    /// How many times it is tried, the first time included. What only a person can put right is not tried again.
    #[schema(inline)]
    pub attempts: Int<1, 20>,
    /// The pause before the second try, in seconds. It doubles with each, up to an hour.
    #[schema(inline)]
    pub retry_after_seconds: Int<1, 3600>,
    /// Minutes after its first beginning at which it is stopped and fails, all tries together; none: no limit.
    #[schema(inline)]
    pub deadline_minutes: Option<Int<1, 43_200>>,
}

impl Default for RunLimits {
    fn default() -> Self {
        Self::of(&Running::default())
    }
}

impl RunLimits {
    /// Those of a plan.
    #[must_use]
    pub fn of(plan: &Running) -> Self {
        let Running { attempts, retry_after_seconds, deadline_minutes, .. } = *plan;
        Self { attempts, retry_after_seconds, deadline_minutes }
    }
}

/// How far a run is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// The step it is at, such as `reading`.
    #[schema(max_length = 60)]
    pub phase: Option<String>,
    /// Documents done.
    pub documents: u64,
    /// Documents there are to do, as far as known.
    pub documents_total: u64,
    /// Bytes of documents done.
    pub bytes: u64,
    /// Bytes of documents there are to do, as far as known.
    pub bytes_total: u64,
    /// Bytes stored or fetched.
    pub stored_bytes: u64,
}

/// What a run gave. Each kind has its own members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RunOutcome {
    /// A backup was made.
    Backup(BackupMade),
    /// A backup was read back.
    Verify(Verified),
    /// A backup was restored.
    Restore(RestoreDone),
    /// A bucket's security was tried out.
    Prove(Proof),
    /// Backups were deleted.
    Sweep(Swept),
}

/// A backup was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BackupMade {
    /// The backup, in the catalogue.
    #[schema(inline)]
    pub backup: BackupKey,
}

/// A backup was read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Verified {
    /// Objects that are not what the manifest says; none: every byte is as it was stored.
    pub problems: u64,
    /// The first of them, at most 20.
    #[schema(max_items = 20)]
    pub first_problems: Vec<String>,
    /// Bytes that were read.
    pub bytes: u64,
}

/// A backup was restored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RestoreDone {
    /// Collections and views that were restored.
    pub namespaces: u64,
    /// Documents that were inserted.
    pub documents: u64,
    /// Documents and other things that the target refused.
    pub refused: u64,
    /// Whether counts and checksums are those of the manifest.
    pub matches: bool,
    /// What the target holds that differs, or that was left out; at most 20.
    #[schema(max_items = 20)]
    pub differences: Vec<String>,
    /// How long it took, in milliseconds: the measured time to recover.
    pub duration_ms: u64,
}

/// Backups were deleted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Swept {
    /// Backups that were deleted.
    pub backups: u64,
    /// Objects that were deleted.
    pub objects: u64,
    /// Bytes that were freed.
    pub bytes: u64,
    /// Backups that are still locked or were refused, and stay for the next sweep.
    pub left: u64,
}

/// A line of a run's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// Its number in the run's log, from 1.
    pub number: u64,
    /// When it was written.
    pub at: DateTime<Utc>,
    /// How serious it is.
    pub level: Level,
    /// The stable code: of an error, or the name of an event such as `phase`.
    #[schema(max_length = 60)]
    pub code: String,
    /// What happened.
    #[schema(max_length = 4000)]
    pub message: String,
}

/// How serious a line of a log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// What happens.
    Info,
    /// What somebody should know though the work goes on.
    Warning,
    /// What ended the work.
    Error,
}
