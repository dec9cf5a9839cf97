//! The parts of a backup, put together into its manifest.

use std::collections::BTreeMap;

use bytes::BytesMut;
use chrono::{DateTime, Utc};
use mongo_archive::Crc64;
use serde_json::value::RawValue;

use super::Work;
use super::capture::{ARCHIVED, Captured};
use super::reader::{NamespaceRead, RunRead, archived};
use super::segment::SegmentWriter;
use super::settings::Wanted;
use crate::deployment::Described;
use crate::error::{Code, Error, Result};
use crate::manifest::{self, Consistency, Manifest, Namespace, Segment, Status, Tool, Totals};
use crate::members::Topology;
use crate::names::NamespaceKind;

/// Everything that was stored but for the manifest.
pub(super) struct Parts {
    pub(super) prelude: Segment,
    pub(super) read: Read,
    pub(super) captured: Option<Captured>,
}

/// What was read of the collections.
pub(super) struct Read {
    segments: Vec<Segment>,
    /// In the order of the list that was planned.
    namespaces: Vec<NamespaceRead>,
}

/// Puts the runs together, which come in the order of the archive. A collection that was read in parts gets its end
/// here: a segment that says so, with the CRC of all parts.
pub(super) async fn gather(work: &Work, runs: Vec<RunRead>) -> Result<Read> {
    let mut segments = Vec::new();
    let mut read: BTreeMap<usize, NamespaceRead> = BTreeMap::new();
    let mut runs = runs.into_iter().peekable();
    while let Some(run) = runs.next() {
        segments.extend(run.segments);
        for part in run.namespaces {
            match read.get_mut(&part.place) {
                Some(whole) => whole.append(&part),
                None => drop(read.insert(part.place, part)),
            }
        }
        let planned = &work.plan.runs[run.place];
        let place = planned.namespaces[0];
        let goes_on = runs.peek().is_some_and(|next| work.plan.runs[next.place].namespaces[0] == place);
        if planned.part.is_some() && !goes_on {
            let crc = read.get(&place).map_or_else(Crc64::new, |whole| whole.crc.clone());
            segments.push(store_end(work, (run.place, run.next_part), place, &crc).await?);
        }
    }
    let namespaces: Vec<NamespaceRead> = read.into_values().collect();
    if namespaces.len() == work.namespaces.len() {
        Ok(Read { segments, namespaces })
    } else {
        Err(Error::new(Code::Internal, "a namespace was planned and not read"))
    }
}

async fn store_end(work: &Work, (last, part): (usize, usize), place: usize, crc: &Crc64) -> Result<Segment> {
    let mut writer = SegmentWriter::new(work.sink.compression, BytesMut::new())?;
    writer.end_namespace(&archived(&work.namespaces[place]), crc.value())?;
    work.sink.store_segment(work.plan.run_number(last), part, writer.finish()?).await
}

impl NamespaceRead {
    /// What comes after it in the archive.
    fn append(&mut self, next: &Self) {
        self.documents += next.documents;
        self.bytes += next.bytes;
        self.crc.append(&next.crc);
        self.plainly |= next.plainly;
    }
}

/// The manifest, which makes a backup of it all.
pub(super) fn manifest(
    work: &Work,
    parts: Parts,
    started_at: DateTime<Utc>,
    finished_at: DateTime<Utc>,
) -> Result<Manifest> {
    let Parts { prelude, read, captured } = parts;
    let consistency = consistency(work, &read.namespaces);
    let mut namespaces: Vec<Namespace> = work
        .namespaces
        .iter()
        .zip(&read.namespaces)
        .map(|(n, read)| namespace(n, read))
        .collect::<Result<_>>()?;
    let mut segments = vec![prelude];
    segments.extend(read.segments);
    let mut window = None;
    if let Some(captured) = captured {
        namespaces.push(oplog(&captured.read)?);
        segments.extend(captured.segments);
        window = Some(captured.window);
    }
    Ok(Manifest {
        format: manifest::FORMAT.into(),
        version: manifest::VERSION,
        id: work.sink.id.to_string(),
        plan: work.options.plan.to_string(),
        status: Status::Complete,
        exceptions: Vec::new(),
        tool: Tool { name: "strongroom".into(), version: env!("CARGO_PKG_VERSION").into() },
        started_at,
        finished_at,
        source: work.deployment.source().clone(),
        consistency,
        oplog: window,
        selection: work.options.selection(),
        totals: Totals::of(&namespaces, &segments),
        compression: work.options.compression,
        encryption: work.sink.encryption(),
        namespaces,
        segments,
    })
}

fn namespace(described: &Described, read: &NamespaceRead) -> Result<Namespace> {
    Ok(Namespace {
        db: described.db.clone(),
        collection: described.collection.clone(),
        kind: described.kind,
        metadata: json(described.metadata.clone())?,
        documents: read.documents,
        bytes: read.bytes,
        crc64: hex(&read.crc),
    })
}

fn oplog(read: &NamespaceRead) -> Result<Namespace> {
    let (db, collection) = ARCHIVED;
    Ok(Namespace {
        db: db.into(),
        collection: collection.into(),
        kind: NamespaceKind::Oplog,
        metadata: json("{}".into())?,
        documents: read.documents,
        bytes: read.bytes,
        crc64: hex(&read.crc),
    })
}

fn hex(crc: &Crc64) -> String {
    format!("{:016x}", crc.value())
}

fn json(text: String) -> Result<Box<RawValue>> {
    RawValue::from_string(text).map_err(|e| Error::new(Code::Internal, "metadata is not JSON").caused_by(e))
}

fn consistency(work: &Work, read: &[NamespaceRead]) -> Consistency {
    let plainly =
        || read.iter().filter(|n| n.plainly).map(|n| work.namespaces[n.place].name()).collect::<Vec<_>>();
    match (work.moment.snapshot(), work.moment.from, work.moment.to_reach()) {
        (_, Some(from), Some(at)) => Consistency::Oplog { from, at, read_plainly: plainly() },
        (Some(cluster_time), _, None) if work.moment.is_settled() && plainly().is_empty() => {
            Consistency::Snapshot { cluster_time }
        }
        _ => Consistency::None { reason: reason(work) },
    }
}

fn reason(work: &Work) -> String {
    match work.deployment.source().topology {
        Topology::Standalone => "a standalone server has no oplog and cannot be read at one moment",
        Topology::Sharded => "a sharded cluster was read through mongos, collection by collection",
        Topology::ReplicaSet if work.options.consistency == Wanted::None => "it was asked for",
        Topology::ReplicaSet => {
            "some collections could not be read at one moment, and a backup of what a query finds keeps no oplog"
        }
    }
    .into()
}
