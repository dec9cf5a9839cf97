//! Plans: what is backed up where, when, and for how long it is kept.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strongroom_engine::backup::ConsistencyMode;
use strongroom_engine::bucket::Sse;
use strongroom_engine::{Bytes, Compression, Period, PlanName};
use utoipa::ToSchema;

use super::change::Change;
use super::deployment::Problem;
use super::{BackupKey, ChangeId, DeploymentId, Few, Int, Labels, Line, LocationId, Name, PlanId};
use crate::retention::Retention;
use crate::schedule::{Occurrence, QuietHours, Schedule};

/// A pattern of namespaces, as `--include` takes it.
pub type Pattern = Line<1, 255>;

/// What is set when a plan is made, or replaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPlan {
    /// The name by which people know it.
    #[schema(inline)]
    pub name: Name,
    /// The deployment that is backed up.
    #[schema(inline)]
    pub deployment: DeploymentId,
    /// Where backups are stored.
    #[schema(inline)]
    pub location: LocationId,
    /// The folder of its backups in the location; none: made from the name. It never changes afterwards.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$")]
    pub folder: Option<PlanName>,
    /// When it runs.
    pub schedule: Schedule,
    /// What is backed up, and how.
    #[serde(default)]
    pub backup: BackupSettings,
    /// How long backups are kept. Without rules they are never deleted.
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

/// What is backed up, and how. The values are those of the command line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BackupSettings {
    /// Namespaces to back up, such as `shop.*`; none: all.
    #[schema(inline, value_type = Vec<Pattern>, max_items = 100)]
    pub include: Few<Pattern, 100>,
    /// Namespaces to leave out.
    #[schema(inline, value_type = Vec<Pattern>, max_items = 100)]
    pub exclude: Few<Pattern, 100>,
    /// The encryption to ask for with every object, sent exactly so whatever the bucket says: `none`, `AES256`,
    /// `aws:kms`, `aws:kms:KEY`, `aws:kms:dsse` or `aws:kms:dsse:KEY`.
    #[schema(value_type = String, max_length = 2048, example = "AES256")]
    pub encryption: Sse,
    /// The moment that a backup holds: `snapshot`, `oplog` or `none`.
    #[schema(value_type = String, max_length = 10, example = "snapshot")]
    pub consistency: ConsistencyMode,
    /// How segments are compressed: `zstd`, `zstd:LEVEL`, `gzip`, `gzip:LEVEL` or `none`.
    #[serde(with = "compression_text")]
    #[schema(value_type = String, max_length = 10, example = "zstd:3")]
    pub compression: Compression,
    /// Collections read at once; none: a quarter of the cores of the machine.
    #[schema(inline)]
    pub readers: Option<Int<1, 64>>,
    /// Secondaries that lag further behind the newest write are not read, such as `30s`.
    #[schema(value_type = String, max_length = 20, example = "30s")]
    pub max_lag: Period,
    /// Bytes of documents to read in a second at most, such as `50MB`; none: as fast as it goes.
    #[schema(value_type = Option<String>, max_length = 20, example = "50MB")]
    pub max_rate: Option<Bytes>,
}

/// A compression as the text that a person writes; its own form in data is that of manifests.
mod compression_text {
    use serde::{Deserialize, Deserializer, Serializer};
    use strongroom_engine::Compression;

    pub(super) fn serialize<S: Serializer>(value: &Compression, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Compression, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Default for BackupSettings {
    fn default() -> Self {
        let engine = strongroom_engine::backup::Options::default();
        Self {
            include: Few::default(),
            exclude: Few::default(),
            encryption: engine.sse,
            consistency: engine.consistency,
            compression: engine.compression,
            readers: None,
            max_lag: engine.max_lag,
            max_rate: None,
        }
    }
}

/// How runs are started and tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Running {
    /// An occurrence that could not start within so many minutes is missed; none: 60, or half the time to the next one if
    /// that is shorter.
    #[schema(inline)]
    pub start_within_minutes: Option<Int<1, 10_080>>,
    /// Whether one run makes up for occurrences that were missed.
    pub catch_up: bool,
    /// How many times a run is tried, the first time included. What only a person can put right is not tried again.
    #[schema(inline)]
    pub attempts: Int<1, 20>,
    /// The pause before the second try, in seconds. It doubles with each, up to an hour.
    #[schema(inline)]
    pub retry_after_seconds: Int<1, 3600>,
    /// A run that has not ended after so many minutes, all tries together, is stopped and fails; none: no limit.
    #[schema(inline)]
    pub deadline_minutes: Option<Int<1, 43_200>>,
    /// When it starts no runs; what was due then starts at the end of it.
    pub quiet_hours: Option<QuietHours>,
}

impl Default for Running {
    fn default() -> Self {
        Self {
            start_within_minutes: None,
            catch_up: true,
            attempts: Int::of(3),
            retry_after_seconds: Int::of(60),
            deadline_minutes: None,
            quiet_hours: None,
        }
    }
}

/// A series of backups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// Its id.
    #[schema(inline)]
    pub id: PlanId,
    /// What was set.
    pub settings: NewPlan,
    /// The folder of its backups in the location.
    #[schema(value_type = String, max_length = 64)]
    pub folder: PlanName,
    /// How it stands.
    pub status: PlanStatus,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// Counts its changes; its ETag.
    pub version: u64,
}

/// How a plan stands. It is kept as runs end, never computed from them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanStatus {
    /// When it runs next; none: never again, or it is paused.
    pub next_due: Option<DateTime<Utc>>,
    /// The newest good backup.
    #[schema(inline)]
    pub last_good: Option<BackupKey>,
    /// When the newest good backup ended.
    pub last_good_at: Option<DateTime<Utc>>,
    /// When a backup of it was last verified or restored without a fault.
    pub last_proven_at: Option<DateTime<Utc>>,
    /// Why the last run failed; none: it did not.
    pub last_problem: Option<Problem>,
    /// Runs that failed since the newest good backup.
    pub failed_since_good: u64,
    /// Why its bucket would refuse what it stores, with the statement that does; none: nothing known would.
    pub refused_by_bucket: Option<Problem>,
    /// Changes that loosen it and have not taken effect.
    #[schema(inline, max_items = 200)]
    pub waiting_changes: Vec<ChangeId>,
}

/// A plan after a change, and what of the change waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanChanged {
    /// The plan as it is now: what tightens holds already.
    pub plan: Plan,
    /// What loosens, and when it takes effect; none: all of the change holds.
    pub waiting: Option<Change>,
}

/// What settings of a plan would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanPreview {
    /// The folder that its backups would have in the location.
    #[schema(value_type = String, max_length = 64)]
    pub folder: PlanName,
    /// When it would run next.
    #[schema(max_items = 20)]
    pub occurrences: Vec<Occurrence>,
    /// What would go wrong, as far as it is known now.
    #[schema(max_items = 20)]
    pub warnings: Vec<Problem>,
}
