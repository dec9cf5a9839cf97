//! What a person can choose for a backup.

use std::str::FromStr;

use crate::bucket::Sse;
use crate::compression::Compression;
use crate::error::{Code, Error, Result};
use crate::layout::PlanName;
use crate::manifest::Selection;
use crate::selection::{Filter, Query};

/// What to back up, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The series the backup belongs to.
    pub plan: PlanName,
    /// Which namespaces.
    pub filter: Filter,
    /// Collections read at once, at least 1.
    pub readers: usize,
    /// How segments are compressed.
    pub compression: Compression,
    /// What moment it is to hold, where the deployment has such.
    pub consistency: Wanted,
    /// Which documents, of every collection that is read; all of them if not said. Then no oplog is kept.
    pub query: Option<Query>,
    /// The encryption to ask the store for, with every object.
    pub sse: Sse,
    /// Bytes of documents to read in a second at most; none: as fast as it goes.
    pub rate_max: Option<u64>,
}

impl Options {
    pub(super) fn selection(&self) -> Selection {
        let query = self.query.clone().map(|query| bson::Bson::Document(query).into_canonical_extjson());
        Selection { query, ..self.filter.selection() }
    }
}

/// What moment a backup is to hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wanted {
    /// All collections read at one cluster time, where the deployment has such; what cannot be read so is made
    /// exact by the oplog.
    #[default]
    Snapshot,
    /// Collections read as they are when their turn comes, all made exact by the oplog, as `mongodump --oplog`.
    Oplog,
    /// Each collection as it is when it is read.
    None,
}

impl FromStr for Wanted {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "snapshot" => Ok(Self::Snapshot),
            "oplog" => Ok(Self::Oplog),
            "none" => Ok(Self::None),
            _ => Err(Error::new(Code::Usage, format!("there is no consistency `{name}`"))
                .help("Choose snapshot, oplog or none.")),
        }
    }
}
