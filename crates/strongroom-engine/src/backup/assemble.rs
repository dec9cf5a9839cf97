//! The parts of a backup, put together into its archive and its manifest.

use std::collections::BTreeMap;

use bytes::BytesMut;
use chrono::{DateTime, Utc};
use mongo_archive::{Header, Metadata, Prelude};
use serde_json::value::RawValue;

use super::capture::{ARCHIVED, Captured};
use super::moment::Moment;
use super::read::{NamespaceRead, StretchRead};
use super::segment::{self, SegmentWriter, archived};
use super::settings::ConsistencyMode;
use super::sink::Sink;
use super::stretches::Stretches;
use crate::deployment::Described;
use crate::error::{Code, Error, Result};
use crate::manifest::{self, Consistency, Manifest, Namespace, OplogWindow, Segment, Selection, Tool};
use crate::members::{Source, Topology};
use crate::moment::ClusterTime;
use crate::names::NamespaceKind;
use crate::summary::{Status, Totals};

/// What was read of the collections, in the order of the archive.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) pieces: Vec<Piece>,
    /// In the order of the list of namespaces.
    pub(super) namespaces: Vec<NamespaceRead>,
}

/// A piece of the archive.
#[derive(Debug)]
pub(super) enum Piece {
    Stored(Segment),
    /// The end of a collection that was read in ranges: still to be stored, in the stretch of its last range.
    End {
        stretch: usize,
        part: usize,
        place: usize,
        crc: u64,
    },
}

/// Joins stretches, which come in the order of the archive. A collection that was read in ranges gets its end here:
/// it says so, with the CRC of all ranges.
pub(super) fn join(stretches: &Stretches, read: Vec<StretchRead>) -> Joined {
    let mut pieces = Vec::new();
    let mut namespaces: BTreeMap<usize, NamespaceRead> = BTreeMap::new();
    let mut read = read.into_iter().peekable();
    while let Some(stretch) = read.next() {
        pieces.extend(stretch.segments.into_iter().map(Piece::Stored));
        for part in stretch.namespaces {
            match namespaces.get_mut(&part.place) {
                Some(whole) => whole.append(&part),
                None => drop(namespaces.insert(part.place, part)),
            }
        }
        let planned = &stretches.list[stretch.place];
        let place = planned.namespaces[0];
        let goes_on = read.peek().is_some_and(|next| stretches.list[next.place].namespaces[0] == place);
        if planned.range.is_some() && !goes_on {
            let crc = namespaces.get(&place).map_or(0, |whole| whole.crc.value());
            let (stretch, part) = (stretches.number(stretch.place), stretch.next_part);
            pieces.push(Piece::End { stretch, part, place, crc });
        }
    }
    Joined { pieces, namespaces: namespaces.into_values().collect() }
}

/// Stores what is not stored yet; all segments in the order of the archive.
async fn store_ends(
    sink: &Sink,
    server_version: &str,
    namespaces: &[Described],
    pieces: Vec<Piece>,
) -> Result<Vec<Segment>> {
    let mut segments = Vec::with_capacity(pieces.len());
    for piece in pieces {
        segments.push(match piece {
            Piece::Stored(segment) => segment,
            Piece::End { stretch, part, place, crc } => {
                let mut writer = SegmentWriter::new(sink.compression, BytesMut::new())?;
                writer.end_namespace(&archived(&namespaces[place], server_version), crc)?;
                sink.store_segment(stretch, part, writer.finish()?).await?
            }
        });
    }
    Ok(segments)
}

/// The archive as it is stored, and what the manifest says of it.
pub(super) struct Archive {
    pub(super) segments: Vec<Segment>,
    pub(super) namespaces: Vec<Namespace>,
    /// Names of namespaces that were not read at the snapshot's moment.
    pub(super) plainly: Vec<String>,
    pub(super) oplog: Option<OplogWindow>,
}

/// Stores what is left of the archive, which is its beginning and the ends of collections, and puts it together.
pub(super) async fn archive(
    sink: &Sink,
    server_version: &str,
    described: &[Described],
    joined: Joined,
    captured: Option<Captured>,
) -> Result<Archive> {
    let plainly = joined.namespaces.iter().filter(|n| n.plainly).map(|n| described[n.place].name()).collect();
    let mut namespaces = namespaces(described, &joined.namespaces)?;
    let prelude = prelude(server_version, described, captured.is_some());
    let prelude = segment::prelude(sink.compression, &prelude)?;
    let mut segments = vec![sink.store_segment(0, 0, prelude).await?];
    segments.extend(store_ends(sink, server_version, described, joined.pieces).await?);
    let mut oplog = None;
    if let Some(captured) = captured {
        namespaces.push(self::oplog(&captured.read)?);
        segments.extend(captured.segments);
        oplog = Some(captured.window);
    }
    Ok(Archive { segments, namespaces, plainly, oplog })
}

/// What opens the archive: it names every namespace, with its options and indexes.
pub(super) fn prelude(server_version: &str, namespaces: &[Described], oplog: bool) -> Prelude {
    // Blocks of a namespace stand together, whatever the number of readers was.
    let header = Header::new(1, server_version, concat!("strongroom-", env!("CARGO_PKG_VERSION")));
    let metadata = namespaces.iter().map(|n| Metadata {
        db: n.db.clone(),
        collection: n.collection.clone(),
        metadata: n.metadata.clone(),
        kind: n.kind.as_str().into(),
        // As mongodump writes it.
        size: 0,
    });
    let (db, collection) = ARCHIVED;
    let oplog = oplog.then(|| Metadata {
        db: db.into(),
        collection: collection.into(),
        metadata: String::new(),
        kind: String::new(),
        size: 0,
    });
    Prelude { header, metadata: metadata.chain(oplog).collect() }
}

/// What the manifest says of the namespaces.
pub(super) fn namespaces(described: &[Described], read: &[NamespaceRead]) -> Result<Vec<Namespace>> {
    if described.len() != read.len() {
        return Err(Error::new(Code::Internal, "a namespace was planned and not read"));
    }
    described.iter().zip(read).map(|(described, read)| namespace(described, read)).collect()
}

fn namespace(described: &Described, read: &NamespaceRead) -> Result<Namespace> {
    let name = (described.db.as_str(), described.collection.as_str());
    let entry = entry(name, described.kind, described.metadata.clone(), read)?;
    Ok(Namespace { metadata_bson: described.metadata_bson.clone(), ..entry })
}

/// What the manifest says of the oplog.
fn oplog(read: &NamespaceRead) -> Result<Namespace> {
    entry(ARCHIVED, NamespaceKind::Oplog, "{}".into(), read)
}

fn entry(
    (db, collection): (&str, &str),
    kind: NamespaceKind,
    metadata: String,
    read: &NamespaceRead,
) -> Result<Namespace> {
    let metadata = RawValue::from_string(metadata)
        .map_err(|e| Error::new(Code::Internal, "metadata is not JSON").caused_by(e))?;
    Ok(Namespace {
        db: db.into(),
        collection: collection.into(),
        kind,
        metadata,
        metadata_bson: None,
        documents: read.documents,
        bytes: read.bytes,
        crc64: read.crc.to_string(),
    })
}

/// What the manifest holds beside what the sink knows.
pub(super) struct Contents {
    pub(super) started_at: DateTime<Utc>,
    pub(super) finished_at: DateTime<Utc>,
    pub(super) source: Source,
    pub(super) selection: Selection,
    pub(super) consistency: Consistency,
    pub(super) oplog: Option<OplogWindow>,
    pub(super) namespaces: Vec<Namespace>,
    pub(super) segments: Vec<Segment>,
}

/// The manifest, which makes a backup of it all.
pub(super) fn manifest(sink: &Sink, contents: Contents) -> Manifest {
    let Contents { started_at, finished_at, source, selection, consistency, oplog, namespaces, segments } =
        contents;
    Manifest {
        format: manifest::FORMAT.into(),
        version: manifest::VERSION,
        id: sink.id.to_string(),
        plan: sink.plan.to_string(),
        status: Status::Complete,
        exceptions: Vec::new(),
        tool: Tool { name: "strongroom".into(), version: env!("CARGO_PKG_VERSION").into() },
        started_at,
        finished_at,
        source,
        consistency,
        oplog,
        selection,
        totals: Totals::of(&namespaces, &segments),
        compression: sink.compression,
        encryption: sink.encryption(),
        namespaces,
        segments,
    }
}

/// What moment the backup holds. `plainly` names what was not read at the snapshot's moment, and `reached` is what
/// the oplog leads to because of that.
pub(super) fn consistency(
    moment: &Moment,
    reached: Option<ClusterTime>,
    plainly: Vec<String>,
    (topology, wanted): (Topology, ConsistencyMode),
) -> Consistency {
    match (moment.snapshot(), moment.from, reached) {
        (_, Some(from), Some(at)) => Consistency::Oplog { from, at, read_plainly: plainly },
        (Some(cluster_time), _, None) if moment.settled && plainly.is_empty() => {
            Consistency::Snapshot { cluster_time }
        }
        _ => Consistency::None { reason: reason(topology, wanted).into() },
    }
}

fn reason(topology: Topology, wanted: ConsistencyMode) -> &'static str {
    match topology {
        Topology::Standalone => "a standalone server has no oplog and cannot be read at one moment",
        Topology::Sharded => "a sharded cluster was read through mongos, collection by collection",
        Topology::ReplicaSet if wanted == ConsistencyMode::None => "it was asked for",
        Topology::ReplicaSet => {
            "some collections could not be read at one moment, and a backup of what a query finds keeps no oplog"
        }
    }
}

#[cfg(test)]
mod tests {
    use mongo_archive::Crc64;

    use super::super::testing::{collection, document};
    use super::*;
    use crate::deployment::{Bound, ReadAt, Split};

    fn crc(numbers: &[i64]) -> Crc64 {
        let mut crc = Crc64::new();
        numbers.iter().for_each(|number| crc.update(&document(*number)));
        crc
    }

    fn read(place: usize, namespace: usize, numbers: &[i64]) -> StretchRead {
        let mut read = NamespaceRead::new(namespace);
        numbers.iter().for_each(|number| read.count(&document(*number)));
        read.crc = crc(numbers);
        let segment = Segment {
            key: format!("{place}"),
            version_id: None,
            stored_bytes: 0,
            raw_bytes: 0,
            sha256: String::new(),
            contents: Vec::new(),
        };
        StretchRead { place, namespaces: vec![read], segments: vec![segment], next_part: 1 }
    }

    #[test]
    fn a_collection_read_in_ranges_gets_one_end_behind_its_last_range() {
        let bound = |record| Bound { record, id: bson::rawdoc! { "_id": record } };
        let described = [collection("a", 1 << 30), collection("b", 1 << 30)];
        let splits = BTreeMap::from([(0, Split::Natural(vec![bound(2), bound(4)]))]);
        let stretches = Stretches::of(&described, &splits);
        let joined = join(
            &stretches,
            vec![read(0, 0, &[1, 2]), read(1, 0, &[3, 4]), read(2, 0, &[5]), read(3, 1, &[6])],
        );
        let pieces: Vec<String> = joined
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Stored(segment) => segment.key.clone(),
                Piece::End { stretch, part, place, crc } => format!("end {stretch} {part} {place} {crc:x}"),
            })
            .collect();
        let whole = crc(&[1, 2, 3, 4, 5]).value();
        assert_eq!(pieces, ["0", "1", "2", &format!("end 3 1 0 {whole:x}"), "3"]);
        let listed = namespaces(&described, &joined.namespaces).unwrap();
        assert_eq!((listed[0].documents, listed[1].documents), (5, 1));
        assert_eq!(listed[0].crc64, format!("{whole:016x}"));
    }

    #[test]
    fn buckets_are_named_as_mongorestore_expects_them_of_the_servers_version() {
        let series = |is_raw| Described { kind: NamespaceKind::Timeseries, is_raw, ..collection("w", 1) };
        for (version, is_raw, expected) in [
            ("6.0.5", false, "system.buckets.w"),
            ("8.2.1", true, "system.buckets.w"),
            ("8.3.0", false, "w"),
            ("9.0.1", true, "w"),
        ] {
            assert_eq!(archived(&series(is_raw), version).collection, expected, "{version}");
        }
        assert_eq!(archived(&collection("a", 1), "9.0.1").collection, "a");
    }

    #[test]
    fn a_namespace_that_was_not_read_is_never_passed_over() {
        let described = [collection("a", 1), collection("b", 1)];
        assert_eq!(namespaces(&described, &[NamespaceRead::new(0)]).unwrap_err().code(), Code::Internal);
    }

    #[test]
    fn a_backup_says_which_moment_it_holds() {
        let time = |seconds| ClusterTime { seconds, increment: 1 };
        let moment = Moment {
            at: ReadAt::Snapshot(time(1)),
            from: Some(time(1)),
            capture_from: Some(time(1)),
            reach: None,
            settled: true,
        };
        let set = (Topology::ReplicaSet, ConsistencyMode::Snapshot);
        let snapshot = consistency(&moment, None, Vec::new(), set);
        assert_eq!(snapshot, Consistency::Snapshot { cluster_time: time(1) });
        let ring = vec!["shop.ring".to_owned()];
        let replayed = consistency(&moment, Some(time(3)), ring.clone(), set);
        assert_eq!(replayed, Consistency::Oplog { from: time(1), at: time(3), read_plainly: ring.clone() });
        let no_oplog = Moment { from: None, capture_from: None, ..moment };
        let torn = consistency(&no_oplog, None, ring, set);
        assert!(matches!(torn, Consistency::None { reason } if reason.contains("query")));
    }
}
