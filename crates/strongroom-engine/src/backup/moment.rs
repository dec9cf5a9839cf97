//! The moment of a backup: at which time it is read, and from when on the oplog is kept.
//!
//! The catalogue (which collections, options and indexes there are) cannot be read in the past, so it is listed
//! first, and the moment is put after it, provided that nothing in the oplog changed it in between.

use std::sync::{Mutex, PoisonError};

use super::settings::{Options, Wanted};
use crate::deployment::{Deployment, Described, ReadAt};
use crate::error::{Code, Error, Result};
use crate::members::Topology;
use crate::moment::ClusterTime;
use crate::selection::Filter;

/// How often the catalogue is listed while it keeps changing. After that the replay of the oplog makes it exact.
const LISTINGS_MAX: u32 = 3;

/// When a backup is read.
#[derive(Debug)]
pub(super) struct Moment {
    /// What every reader tries.
    pub(super) at: ReadAt,
    /// The moment that the oplog leads on from, where there is one.
    pub(super) from: Option<ClusterTime>,
    /// Where the capture of the oplog begins: with the oldest transaction that is under way at `from`.
    pub(super) capture_from: Option<ClusterTime>,
    /// Whether the catalogue is that of the moment, as far as no replay makes it so.
    settled: bool,
    /// The newest entry at the end of each read that was not at the snapshot's moment.
    newest: Mutex<Option<ClusterTime>>,
}

impl Moment {
    fn none() -> Self {
        Self { at: ReadAt::Now, from: None, capture_from: None, settled: false, newest: Mutex::default() }
    }

    /// The cluster time that readers read at, if they do.
    pub(super) fn snapshot(&self) -> Option<ClusterTime> {
        match self.at {
            ReadAt::Snapshot(time) => Some(time),
            ReadAt::Now | ReadAt::Committed => None,
        }
    }

    /// How to read what cannot be read at `at`.
    pub(super) fn plainly(&self, at: ReadAt) -> ReadAt {
        match at {
            ReadAt::Now => ReadAt::Now,
            ReadAt::Committed | ReadAt::Snapshot(_) => ReadAt::Committed,
        }
    }

    /// Whether the backup is exact at the moment if nothing was read but at it.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }

    /// Takes note that documents were just read as they are now, where a majority has them.
    pub(super) async fn read_plainly(&self, deployment: &Deployment) -> Result<()> {
        self.reach(deployment, ReadAt::Committed).await
    }

    /// Takes note that a change of the catalogue was seen, which a majority need not have yet.
    pub(super) async fn saw_change(&self, deployment: &Deployment) -> Result<()> {
        self.reach(deployment, ReadAt::Now).await
    }

    async fn reach(&self, deployment: &Deployment, at: ReadAt) -> Result<()> {
        if self.from.is_some() {
            let now = deployment.newest(at).await?;
            let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            *newest = newest.max(Some(now));
        }
        Ok(())
    }

    /// The moment that the oplog must reach, if it is needed.
    pub(super) fn to_reach(&self) -> Option<ClusterTime> {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lists the catalogue and finds the moment that it belongs to.
pub(super) async fn settle(deployment: &Deployment, options: &Options) -> Result<(Vec<Described>, Moment)> {
    let wanted =
        match deployment.source().topology {
            // What cannot be read in the past is made exact by the oplog, but a part of a collection.
            Topology::ReplicaSet
                if options.consistency == Wanted::Snapshot && !deployment.reads_the_past() =>
            {
                if options.query.is_none() { Wanted::Oplog } else { Wanted::None }
            }
            Topology::ReplicaSet => options.consistency,
            Topology::Standalone | Topology::Sharded if options.consistency == Wanted::Oplog => {
                return Err(Error::new(Code::Usage, "only a replica set has an oplog to keep")
                    .help("Leave --consistency out, or make the server a replica set of one member."));
            }
            Topology::Standalone | Topology::Sharded => Wanted::None,
        };
    if wanted == Wanted::Oplog && options.query.is_some() {
        return Err(Error::new(Code::Usage, "a backup of what a query finds keeps no oplog")
            .help("Leave --consistency oplog out: it is read at one moment where the server can."));
    }
    if wanted == Wanted::None {
        return Ok((list(deployment, &options.filter).await?, Moment::none()));
    }
    // What is under way at the moment began after this, or is known to be under way.
    let begin = deployment.newest(ReadAt::Committed).await?;
    let oldest = deployment.oldest_transaction().await?;
    let begin = deployment.entry_before(oldest.map_or(begin, |oldest| oldest.min(begin))).await?;
    let mut listings = 0;
    loop {
        let before = deployment.newest(ReadAt::Committed).await?;
        let namespaces = list(deployment, &options.filter).await?;
        let after = deployment.newest(ReadAt::Committed).await?;
        let changed = deployment.catalog_changed_since(before).await?;
        listings += 1;
        if changed && listings < LISTINGS_MAX && wanted == Wanted::Snapshot {
            continue;
        }
        // A catalogue that keeps changing is as listed after `before`: the replay from there makes it exact.
        let replayed = changed || wanted == Wanted::Oplog;
        let from = if replayed { before } else { after };
        // Of a part of a collection the oplog would replay the whole.
        let captures = options.query.is_none();
        let moment = Moment {
            at: if wanted == Wanted::Snapshot { ReadAt::Snapshot(from) } else { ReadAt::Committed },
            from: captures.then_some(from),
            capture_from: captures.then_some(begin),
            settled: !replayed,
            newest: Mutex::default(),
        };
        if changed {
            moment.saw_change(deployment).await?;
        } else if replayed {
            moment.read_plainly(deployment).await?;
        }
        return Ok((namespaces, moment));
    }
}

async fn list(deployment: &Deployment, filter: &Filter) -> Result<Vec<Described>> {
    deployment.namespaces(|db, collection| filter.accepts(db, collection)).await
}
