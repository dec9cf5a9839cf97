//! Documents: from segments into the target, several segments at once, each document as it was.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use mongo_archive::Crc64;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::archive::Chunk;
use super::spool::Spool;
use super::{Backup, Restored, Source, Work, cancelled, replay};
use crate::deployment::{InsertBuffer, Inserted};
use crate::error::{Code, Error, Result};
use crate::manifest::{Manifest, Segment};
use crate::progress::Event;
use crate::segments::{self, Found, Names, Step, Walk};

/// A piece of work: segments that are taken in order, and whose documents are meant.
struct Lane {
    /// Places of segments in the manifest.
    segments: Vec<usize>,
    /// Places of namespaces to insert.
    namespaces: Arc<HashSet<usize>>,
    ordered: bool,
}

/// What became of a lane's documents.
#[derive(Default)]
struct Done {
    documents: u64,
    /// For each namespace: how many were refused, and the first reason.
    refused: BTreeMap<usize, (u64, String)>,
    /// By place of the segment.
    crcs: Vec<(usize, Vec<(usize, Crc64)>)>,
}

/// Inserts all documents of the plan; what came of it, and the oplog that came along.
pub(super) async fn insert(work: &Arc<Work>) -> Result<(Restored, Spool)> {
    let planned = work.plan.namespaces.iter().filter(|planned| planned.action.inserts()).map(|p| p.place);
    let places: HashSet<usize> = planned.filter(|&place| work.data_target(place).is_some()).collect();
    let (done, oplog) = match &*work.source {
        Source::Backup(backup) => (from_segments(work, backup, &places).await?, Spool::default()),
        Source::Archive(_) => from_stream(work, places).await?,
    };
    Ok((report(work, &done), oplog))
}

/// Inserts on their way side by side.
struct Writers {
    limit: usize,
    running: JoinSet<Result<Done>>,
    all: Done,
}

impl Writers {
    fn new(work: &Work) -> Self {
        Self { limit: work.options.writers.max(1), running: JoinSet::new(), all: Done::default() }
    }

    /// Begins with one more, once there is room.
    async fn begin(&mut self, writing: impl Future<Output = Result<Done>> + Send + 'static) -> Result<()> {
        while self.running.len() >= self.limit {
            self.join().await?;
        }
        self.running.spawn(writing);
        Ok(())
    }

    async fn join(&mut self) -> Result<()> {
        let Some(ended) = self.running.join_next().await else { return Ok(()) };
        let done =
            ended.map_err(|e| Error::new(Code::Internal, "a writer ended abruptly").caused_by(e))??;
        self.all.add(done);
        Ok(())
    }

    async fn finish(mut self) -> Result<Done> {
        while !self.running.is_empty() {
            self.join().await?;
        }
        Ok(self.all)
    }
}

async fn from_segments(work: &Arc<Work>, backup: &Backup, places: &HashSet<usize>) -> Result<Done> {
    let names = Arc::new(Names::of(&backup.manifest.namespaces));
    let mut writers = Writers::new(work);
    for lane in lanes(work, &backup.manifest, places) {
        writers.begin(run(work.clone(), backup.clone(), names.clone(), lane)).await?;
    }
    let mut done = writers.finish().await?;
    compare(&backup.manifest, &mut done)?;
    Ok(done)
}

/// The stream is read in one place; what it brings is inserted side by side, but for capped collections, whose
/// order is their content.
async fn from_stream(work: &Arc<Work>, places: HashSet<usize>) -> Result<(Done, Spool)> {
    let (sender, mut chunks) = mpsc::channel(1);
    let reader = work.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let Source::Archive(archive) = &*reader.source else { return Ok(Spool::default()) };
        archive.read(&places, &mut |chunk| sender.blocking_send(chunk).map_err(|_| cancelled()))
    });
    let mut writers = Writers::new(work);
    loop {
        let chunk = tokio::select! {
            chunk = chunks.recv() => chunk,
            () = work.cancel.cancelled() => return Err(cancelled()),
        };
        let Some(chunk) = chunk else { break };
        if work.metadata[chunk.place].capped() {
            let done = insert_chunk(work.clone(), chunk, true).await?;
            writers.all.add(done);
        } else {
            writers.begin(insert_chunk(work.clone(), chunk, false)).await?;
        }
    }
    let oplog =
        reading.await.map_err(|e| Error::new(Code::Internal, "the reader ended abruptly").caused_by(e))??;
    Ok((writers.finish().await?, oplog))
}

async fn insert_chunk(work: Arc<Work>, chunk: Chunk, ordered: bool) -> Result<Done> {
    let mut done = Done::default();
    let Some(mut open) = Open::of(&work, chunk.place, ordered) else { return Ok(done) };
    for document in chunk.documents() {
        open.take(&work, document, &mut done).await?;
    }
    open.send(&work, &mut done).await?;
    Ok(done)
}

/// Segments may come in any order, but not those of a capped collection, whose order is its content.
fn lanes(work: &Work, manifest: &Manifest, places: &HashSet<usize>) -> Vec<Lane> {
    let (capped, free): (HashSet<usize>, HashSet<usize>) =
        places.iter().partition(|&&place| work.metadata[place].capped());
    let holding = |wanted: &HashSet<usize>| {
        let holds = |s: &Segment| s.contents.iter().any(|c| c.documents > 0 && wanted.contains(&c.namespace));
        let places = manifest.segments.iter().enumerate().filter(move |(_, s)| holds(s));
        places.map(|(place, _)| place).collect::<Vec<_>>()
    };
    let free = Arc::new(free);
    let mut lanes: Vec<Lane> = holding(&free)
        .into_iter()
        .map(|segment| Lane { segments: vec![segment], namespaces: free.clone(), ordered: false })
        .collect();
    lanes.extend(capped.into_iter().map(|place| {
        let namespaces = Arc::new(HashSet::from([place]));
        Lane { segments: holding(&namespaces), namespaces, ordered: true }
    }));
    lanes
}

async fn run(work: Arc<Work>, backup: Backup, names: Arc<Names>, lane: Lane) -> Result<Done> {
    let mut done = Done::default();
    for &place in &lane.segments {
        let segment = &backup.manifest.segments[place];
        let body = tokio::select! {
            body = segments::fetch(&*backup.store, segment) => body?,
            () = work.cancel.cancelled() => return Err(cancelled()),
        };
        let walk = Walk::new(backup.manifest.compression, &names, &body)?;
        let found = insert_segment(&work, walk, &lane, segment, &mut done).await?;
        let crcs = found.contents.into_iter().filter(|(c, _)| lane.namespaces.contains(&c.namespace));
        done.crcs.push((place, crcs.map(|(content, crc)| (content.namespace, crc)).collect()));
        work.observer
            .observe(&Event::Segment { key: segment.key.clone(), stored_bytes: segment.stored_bytes });
    }
    Ok(done)
}

async fn insert_segment(
    work: &Work,
    mut walk: Walk<'_>,
    lane: &Lane,
    segment: &Segment,
    done: &mut Done,
) -> Result<Found> {
    let mut open: Option<Open> = None;
    while let Some(step) = walk.next().map_err(|e| segments::damaged(segment, e))? {
        match step {
            Step::Begin(place) if lane.namespaces.contains(&place) => {
                open = Open::of(work, place, lane.ordered);
            }
            Step::Begin(_) => open = None,
            Step::Document(document) => {
                if let Some(open) = &mut open {
                    open.take(work, document, done).await?;
                }
            }
            Step::Ended => {}
            Step::End => {
                if let Some(mut open) = open.take() {
                    open.send(work, done).await?;
                }
            }
        }
    }
    walk.finish(segment).map_err(|e| segments::damaged(segment, e))
}

/// A block whose documents are on their way.
struct Open {
    place: usize,
    db: String,
    collection: String,
    buffer: InsertBuffer,
    bytes: u64,
}

impl Open {
    fn of(work: &Work, place: usize, ordered: bool) -> Option<Self> {
        let (db, collection) = work.data_target(place)?;
        let buffer = work.target.buffer(&collection, ordered);
        Some(Self { place, db: db.to_owned(), collection, buffer, bytes: 0 })
    }

    async fn take(&mut self, work: &Work, document: &[u8], done: &mut Done) -> Result<()> {
        if self.buffer.is_full_for(document) {
            self.send(work, done).await?;
        }
        self.buffer.push(document);
        self.bytes += document.len() as u64;
        Ok(())
    }

    async fn send(&mut self, work: &Work, done: &mut Done) -> Result<()> {
        if work.cancel.is_cancelled() {
            return Err(cancelled());
        }
        let Inserted { documents, mut refused } =
            work.target.insert(&self.db, &self.collection, &mut self.buffer).await?;
        done.documents += documents;
        // The replay of the oplog leaves the right one of the two.
        if !refused.is_empty() && replay::may_repeat(work, self.place) {
            refused.retain(|document| !document.is_duplicate());
        }
        if let Some(first) = refused.first() {
            let entry = done.refused.entry(self.place).or_insert_with(|| (0, first.message.clone()));
            entry.0 += refused.len() as u64;
        }
        work.observer.observe(&Event::Advanced { documents, bytes: std::mem::take(&mut self.bytes) });
        Ok(())
    }
}

impl Done {
    fn add(&mut self, other: Self) {
        self.documents += other.documents;
        self.crcs.extend(other.crcs);
        for (place, (refused, message)) in other.refused {
            self.refused.entry(place).or_insert((0, message)).0 += refused;
        }
    }
}

/// The documents of each collection, put together in the archive's order, must be those that were backed up.
fn compare(manifest: &Manifest, all: &mut Done) -> Result<()> {
    all.crcs.sort_by_key(|(segment, _)| *segment);
    let mut sums: BTreeMap<usize, Crc64> = BTreeMap::new();
    for (place, crc) in all.crcs.iter().flat_map(|(_, crcs)| crcs) {
        sums.entry(*place).or_default().append(crc);
    }
    for (place, crc) in sums {
        let namespace = &manifest.namespaces[place];
        if format!("{:016x}", crc.value()) != namespace.crc64 {
            return Err(Error::new(
                Code::Damaged,
                format!("the documents of `{}` are not those that the manifest describes", namespace.name()),
            )
            .help("Do not use what was restored; `strongroom verify` looks for the cause."));
        }
    }
    Ok(())
}

fn report(work: &Work, all: &Done) -> Restored {
    let sentence = |(place, (refused, first)): (&usize, &(u64, String))| {
        let name = work.source.namespaces()[*place].name();
        format!("{refused} documents of `{name}` were refused or changed; the first: {first}")
    };
    Restored {
        documents: all.documents,
        refused: all.refused.values().map(|(refused, _)| refused).sum(),
        exceptions: all.refused.iter().map(sentence).collect(),
        ..Restored::default()
    }
}
