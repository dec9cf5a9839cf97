//! The moment of a backup: at which time it is read, and from when on the oplog is kept.
//!
//! The catalogue (which collections, options and indexes there are) cannot be read in the past, so it is listed
//! first, and the moment is put after it, provided that nothing in the oplog changed it in between.

use serde::Serialize;

use super::settings::{ConsistencyMode, Options};
use crate::deployment::{Catalogue, Deployment, ReadAt};
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::members::Topology;
use crate::moment::ClusterTime;
use crate::names::Authorization;
use crate::selection::Filter;

/// How often the catalogue is listed while it keeps changing. After that the replay of the oplog makes it exact.
const LISTINGS_MAX: u32 = 3;

/// When a backup is read: decided before the first document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// What every reader tries.
    pub at: ReadAt,
    /// The moment that the oplog leads on from, where it is kept.
    pub from: Option<ClusterTime>,
    /// Where the capture of the oplog begins: with the oldest transaction that is under way at `from`.
    pub capture_from: Option<ClusterTime>,
    /// The moment that the oplog must reach in any case, because the catalogue or the data was read as it was then.
    pub reach: Option<ClusterTime>,
    /// Whether the catalogue is that of the moment without a replay.
    pub settled: bool,
}

impl Moment {
    const NONE: Self = Self { at: ReadAt::Now, from: None, capture_from: None, reach: None, settled: false };

    /// The cluster time that readers read at, if they do.
    pub(super) fn snapshot(&self) -> Option<ClusterTime> {
        match self.at {
            ReadAt::Snapshot(time) => Some(time),
            ReadAt::Now | ReadAt::Committed => None,
        }
    }
}

/// How to read what cannot be read at `at`.
pub(super) fn plainly(at: ReadAt) -> ReadAt {
    match at {
        ReadAt::Now => ReadAt::Now,
        ReadAt::Committed | ReadAt::Snapshot(_) => ReadAt::Committed,
    }
}

/// Lists the catalogue and finds the moment that it belongs to.
pub(super) async fn settle(deployment: &Deployment, options: &Options) -> Result<(Catalogue, Moment)> {
    let topology = deployment.source().topology;
    let wanted =
        possible(options.consistency, topology, deployment.reads_the_past(), options.query.is_some())?;
    if wanted == ConsistencyMode::None {
        return Ok((list(deployment, &options.filter).await?, Moment::NONE));
    }
    let begin = begin_of_capture(deployment).await?;
    let listing = settled_listing(deployment, &options.filter, wanted).await?;
    let mut moment = listing.moment(wanted);
    // Of a part of a collection the oplog would replay the whole, so none is kept.
    if options.query.is_none() {
        moment = Moment { capture_from: Some(begin), ..moment };
        moment.reach = listing.reach(deployment, wanted).await?;
    } else {
        moment.from = None;
    }
    Ok((listing.catalogue, moment))
}

/// What of `wanted` can be had.
fn possible(
    wanted: ConsistencyMode,
    topology: Topology,
    reads_the_past: bool,
    queried: bool,
) -> Result<ConsistencyMode> {
    match (topology, wanted) {
        (Topology::Standalone | Topology::Sharded, ConsistencyMode::Oplog) => {
            Err(Error::new(Code::Usage, "only a replica set has an oplog to keep").help(help![
                "Leave ",
                Setting::Consistency,
                " out, or make the server a replica set of one member."
            ]))
        }
        (Topology::Standalone | Topology::Sharded, _) => Ok(ConsistencyMode::None),
        (Topology::ReplicaSet, ConsistencyMode::Oplog) if queried => {
            Err(Error::new(Code::Usage, "a backup of what a query finds keeps no oplog").help(help![
                "Leave ",
                Setting::Consistency.to("oplog"),
                " out: the documents are read at one moment where the server can."
            ]))
        }
        // What cannot be read in the past is made exact by the oplog, but not a part of a collection.
        (Topology::ReplicaSet, ConsistencyMode::Snapshot) if !reads_the_past => {
            Ok(if queried { ConsistencyMode::None } else { ConsistencyMode::Oplog })
        }
        (Topology::ReplicaSet, _) => Ok(wanted),
    }
}

/// An entry from which on the oplog holds every transaction whole that is under way now, or begins later.
async fn begin_of_capture(deployment: &Deployment) -> Result<ClusterTime> {
    let newest = deployment.newest(ReadAt::Committed).await?;
    let oldest = deployment.oldest_transaction().await?;
    deployment.entry_before(oldest.map_or(newest, |oldest| oldest.min(newest))).await
}

/// The catalogue, and what is known of when it was so.
#[derive(Debug)]
struct Listing {
    catalogue: Catalogue,
    before: ClusterTime,
    after: ClusterTime,
    /// Whether the catalogue changed in between.
    changed: bool,
}

/// Lists the catalogue; again if it changes meanwhile and only a replay would make that right.
async fn settled_listing(
    deployment: &Deployment,
    filter: &Filter,
    wanted: ConsistencyMode,
) -> Result<Listing> {
    let mut listing = list_once(deployment, filter).await?;
    for _ in 1..LISTINGS_MAX {
        if !listing.changed || wanted != ConsistencyMode::Snapshot {
            break;
        }
        listing = list_once(deployment, filter).await?;
    }
    Ok(listing)
}

async fn list_once(deployment: &Deployment, filter: &Filter) -> Result<Listing> {
    let before = deployment.newest(ReadAt::Committed).await?;
    let catalogue = list(deployment, filter).await?;
    let after = deployment.newest(ReadAt::Committed).await?;
    let changed = deployment.catalog_changed_since(before).await?;
    Ok(Listing { catalogue, before, after, changed })
}

/// In the order of the archive.
async fn list(deployment: &Deployment, filter: &Filter) -> Result<Catalogue> {
    let mut catalogue = deployment.namespaces(filter).await?;
    catalogue.namespaces.sort_by_key(|n| Authorization::rank(&n.db, &n.collection));
    Ok(catalogue)
}

impl Listing {
    /// Whether the backup is exact only after a replay.
    fn is_replayed(&self, wanted: ConsistencyMode) -> bool {
        self.changed || wanted == ConsistencyMode::Oplog
    }

    /// A catalogue that keeps changing is as listed after `before`: the replay from there makes it exact.
    fn moment(&self, wanted: ConsistencyMode) -> Moment {
        let replayed = self.is_replayed(wanted);
        let from = if replayed { self.before } else { self.after };
        let at = if wanted == ConsistencyMode::Snapshot { ReadAt::Snapshot(from) } else { ReadAt::Committed };
        Moment { at, from: Some(from), settled: !replayed, ..Moment::NONE }
    }

    /// The moment that the oplog must reach because of the listing alone. A change of the catalogue that was seen
    /// need not be on a majority of the set's members yet.
    async fn reach(&self, deployment: &Deployment, wanted: ConsistencyMode) -> Result<Option<ClusterTime>> {
        let at = match (self.changed, self.is_replayed(wanted)) {
            (true, _) => ReadAt::Now,
            (false, true) => ReadAt::Committed,
            (false, false) => return Ok(None),
        };
        deployment.newest(at).await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: u32) -> ClusterTime {
        ClusterTime { seconds, increment: 1 }
    }

    #[test]
    fn what_cannot_be_had_is_replaced_or_refused() {
        let set = |wanted, past, queried| possible(wanted, Topology::ReplicaSet, past, queried).ok();
        assert_eq!(set(ConsistencyMode::Snapshot, true, false), Some(ConsistencyMode::Snapshot));
        assert_eq!(set(ConsistencyMode::Snapshot, true, true), Some(ConsistencyMode::Snapshot));
        assert_eq!(
            set(ConsistencyMode::Snapshot, false, false),
            Some(ConsistencyMode::Oplog),
            "the oplog makes it exact"
        );
        assert_eq!(
            set(ConsistencyMode::Snapshot, false, true),
            Some(ConsistencyMode::None),
            "there is no oplog of a query"
        );
        assert_eq!(set(ConsistencyMode::Oplog, true, false), Some(ConsistencyMode::Oplog));
        assert_eq!(set(ConsistencyMode::Oplog, true, true), None);
        for topology in [Topology::Standalone, Topology::Sharded] {
            assert_eq!(
                possible(ConsistencyMode::Snapshot, topology, false, false).unwrap(),
                ConsistencyMode::None
            );
            assert_eq!(
                possible(ConsistencyMode::Oplog, topology, false, false).unwrap_err().code(),
                Code::Usage
            );
        }
    }

    #[test]
    fn the_moment_is_after_the_listing_unless_the_catalogue_changed() {
        let listing =
            |changed| Listing { catalogue: Catalogue::default(), before: time(1), after: time(2), changed };
        let quiet = listing(false).moment(ConsistencyMode::Snapshot);
        assert_eq!((quiet.at, quiet.from, quiet.settled), (ReadAt::Snapshot(time(2)), Some(time(2)), true));
        let changed = listing(true).moment(ConsistencyMode::Snapshot);
        assert_eq!((changed.at, changed.settled), (ReadAt::Snapshot(time(1)), false));
        let by_oplog = listing(false).moment(ConsistencyMode::Oplog);
        assert_eq!((by_oplog.at, by_oplog.from), (ReadAt::Committed, Some(time(1))));
    }
}
