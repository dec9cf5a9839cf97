//! What a person can choose for a backup.

use serde::{Deserialize, Serialize};

use crate::bucket::Sse;
use crate::compression::Compression;
use crate::deployment::ConnectOptions;
use crate::layout::PlanName;
use crate::manifest::Selection;
use crate::quantity::{Bytes, Period};
use crate::selection::{Filter, Query};
use crate::settings::{self, choices};
use crate::waits::Waits;

/// What to back up, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Options {
    /// The series the backup belongs to.
    pub plan: PlanName,
    /// Which namespaces.
    pub filter: Filter,
    /// Collections read at once, 1 to 64.
    #[serde(deserialize_with = "settings::at_once")]
    pub readers: usize,
    /// How segments are compressed.
    #[serde(with = "settings::text")]
    pub compression: Compression,
    /// What moment it is to hold, where the deployment has such.
    pub consistency: ConsistencyMode,
    /// Which documents, of every collection that is read; all of them if not said. Then no oplog is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Query>,
    /// The encryption to ask the store for, with every object.
    pub sse: Sse,
    /// Secondaries that lag further behind the newest write are not read.
    pub max_lag: Period,
    /// Bytes of documents to read in a second at most; none: as fast as it goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<Bytes>,
}

/// Collections read at once by default: a quarter of the cores, at least 1 and at most 4.
///
/// One reader keeps about a core of the program and one of the server busy, and half of the machine is left to others.
/// Measured on two cores that the server shared: the 99th percentile of another client's reads of single documents was
/// 16.3 ms beside two readers, 8.3 ms beside one, 11.3 ms beside `mongodump` and 8.0 ms beside none; one reader was as
/// quick as two, and as `mongodump`. `cargo xtask bench` measures it again.
#[must_use]
pub fn readers_default() -> usize {
    const CORES_FOR_EACH: usize = 4;
    const DEFAULT_MAX: usize = 4;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / CORES_FOR_EACH).clamp(1, DEFAULT_MAX)
}

impl Default for Options {
    fn default() -> Self {
        Self {
            plan: PlanName::default(),
            filter: Filter::default(),
            readers: readers_default(),
            compression: Compression::default(),
            consistency: ConsistencyMode::default(),
            query: None,
            sse: Sse::None,
            max_lag: Period::seconds(30),
            max_rate: None,
        }
    }
}

impl Options {
    /// What of it matters for connecting.
    #[must_use]
    pub fn connecting(&self, waits: Waits) -> ConnectOptions {
        ConnectOptions { lag_max: self.max_lag.duration(), waits }
    }

    pub(super) fn selection(&self) -> Selection {
        let query = self.query.as_ref().map(Query::canonical);
        Selection { query, ..self.filter.selection() }
    }
}

/// What moment a backup is to hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConsistencyMode {
    /// All collections read at one cluster time, where the deployment has such; what cannot be read so is made
    /// exact by the oplog.
    #[default]
    Snapshot,
    /// Collections read as they are when their turn comes, all made exact by the oplog, as `mongodump --oplog`.
    Oplog,
    /// Each collection as it is when it is read.
    None,
}

choices!(ConsistencyMode is "a consistency" { Snapshot "snapshot" Oplog "oplog" None "none" });
