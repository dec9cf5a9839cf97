//! Documents: from segments into the target, several segments at once, each document as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::archive::{Chunk, Rest, Wish};
use super::item::{Action, Item};
use super::tally::Tally;
use super::{Backup, Source};
use crate::deployment::{InsertBuffer, Inserted, Receiver, Target};
use crate::error::{Code, Error, Result};
use crate::job::Job;
use crate::manifest::{Manifest, Segment};
use crate::names::{Name, STORED_FUNCTIONS};
use crate::progress::Event;
use crate::segments::{self, Found, Names, Step, Walk};

/// Where the documents of one namespace go.
#[derive(Debug, Clone)]
pub(super) struct Destination {
    to: Name,
    receiver: Receiver,
    /// Users and roles are kept until they are merged.
    is_kept: bool,
    /// A document may come twice: it was deleted and inserted again while it was read. The replay of the oplog leaves
    /// the right one of the two.
    may_repeat: bool,
}

/// How long writers may take to end after a failure.
const ENDED_WITHIN: Duration = Duration::from_secs(5);

/// By the number of the namespace in the source's list of contents.
type Destinations = BTreeMap<usize, Destination>;

/// What every writer needs.
#[derive(Clone)]
struct Writing {
    target: Target,
    destinations: Arc<Destinations>,
    job: Job,
}

/// A piece of work: segments that are taken in order, and whose documents are meant.
struct Lane {
    /// Numbers of segments in the manifest.
    segments: Vec<usize>,
    destinations: Arc<Destinations>,
}

/// Inserts all documents of these items; what came of it, and what came along.
pub(super) async fn insert(
    source: &Arc<Source>,
    target: &Target,
    items: &[Item],
    replays: bool,
    writers: usize,
    job: &Job,
) -> Result<(Tally, Rest)> {
    let destinations = Arc::new(destinations(source, items, replays));
    // The first failure stops the other writers.
    let job = Job { cancel: job.cancel.child_token(), ..job.clone() };
    let stop = job.cancel.clone();
    let writing = Writing { target: target.clone(), destinations, job };
    let mut writers = Writers { limit: writers.max(1), running: JoinSet::new(), all: Tally::default() };
    let inserted = match &**source {
        Source::Backup(backup) => {
            from_segments(writing, backup, &mut writers).await.map(|tally| (tally, Rest::default()))
        }
        Source::Archive(_) => {
            let placeless = items.iter().filter(|item| item.has_no_place()).map(|item| item.number);
            from_stream(writing, source.clone(), placeless.collect(), &mut writers).await
        }
    };
    if inserted.is_err() {
        stop.cancel();
        writers.end().await;
    }
    inserted
}

fn destinations(source: &Source, items: &[Item], replays: bool) -> Destinations {
    let inserted = items.iter().filter(|item| item.action.inserts());
    inserted
        .filter_map(|item| {
            let may_repeat = replays && item.action.creates() && source.is_read_later(&item.from);
            let is_kept = item.action == Action::Merge;
            Some((
                item.number,
                Destination { to: item.data_to()?, receiver: receiver(item), is_kept, may_repeat },
            ))
        })
        .collect()
}

/// The order of a capped collection is its content. A collection of stored functions cannot be dropped, and anybody may
/// add to one that was emptied.
fn receiver(item: &Item) -> Receiver {
    let is_ours = item.action.creates() && item.to.collection != STORED_FUNCTIONS;
    Receiver { is_ordered: item.metadata.capped(), is_ours }
}

/// Inserts on their way side by side.
struct Writers {
    limit: usize,
    running: JoinSet<Result<Tally>>,
    all: Tally,
}

impl Writers {
    /// Begins with one more, once there is room.
    async fn begin(&mut self, writing: impl Future<Output = Result<Tally>> + Send + 'static) -> Result<()> {
        while self.running.len() >= self.limit {
            self.join().await?;
        }
        self.running.spawn(writing);
        Ok(())
    }

    async fn join(&mut self) -> Result<()> {
        let Some(ended) = self.running.join_next().await else { return Ok(()) };
        let tally =
            ended.map_err(|e| Error::new(Code::Internal, "a writer ended abruptly").caused_by(e))??;
        self.all.add(tally);
        Ok(())
    }

    async fn finish(&mut self) -> Result<Tally> {
        while !self.running.is_empty() {
            self.join().await?;
        }
        Ok(std::mem::take(&mut self.all))
    }

    /// Waits for inserts that were sent: the server carries them out, whatever comes after them.
    async fn end(&mut self) {
        let ending = async { while self.running.join_next().await.is_some() {} };
        // One that does not answer is not waited for any longer.
        let _ = tokio::time::timeout(ENDED_WITHIN, ending).await;
    }
}

async fn from_segments(writing: Writing, backup: &Backup, writers: &mut Writers) -> Result<Tally> {
    let names = Arc::new(Names::of(&backup.manifest.namespaces));
    for lane in lanes(&backup.manifest, &writing.destinations) {
        writers.begin(run(writing.clone(), backup.clone(), names.clone(), lane)).await?;
    }
    let mut tally = writers.finish().await?;
    tally.compare(&backup.manifest.namespaces)?;
    Ok(tally)
}

/// The stream is read in one place; what it brings is inserted side by side, but for capped collections.
async fn from_stream(
    writing: Writing,
    source: Arc<Source>,
    placeless: BTreeSet<usize>,
    writers: &mut Writers,
) -> Result<(Tally, Rest)> {
    let (sender, mut chunks) = mpsc::channel(1);
    let wanted = writing.destinations.clone();
    let reading = tokio::task::spawn_blocking(move || {
        let Source::Archive(archive) = &*source else { return Ok(Rest::default()) };
        let wish = |number| match (wanted.contains_key(&number), placeless.contains(&number)) {
            (true, _) => Wish::Take,
            (false, true) => Wish::Count,
            (false, false) => Wish::Leave,
        };
        let unwanted = |_| Error::new(Code::Cancelled, "nobody takes the documents any more");
        archive.read(&wish, &mut |chunk| sender.blocking_send(chunk).map_err(unwanted))
    });
    while let Some(chunk) = writing.job.unless_cancelled(async { Ok(chunks.recv().await) }).await? {
        if writing.destinations.get(&chunk.namespace).is_some_and(|to| to.receiver.is_ordered) {
            let tally = insert_chunk(writing.clone(), chunk).await?;
            writers.all.add(tally);
        } else {
            writers.begin(insert_chunk(writing.clone(), chunk)).await?;
        }
    }
    let rest =
        reading.await.map_err(|e| Error::new(Code::Internal, "the reader ended abruptly").caused_by(e))??;
    Ok((writers.finish().await?, rest))
}

async fn insert_chunk(writing: Writing, chunk: Chunk) -> Result<Tally> {
    let mut tally = Tally::default();
    let Some(destination) = writing.destinations.get(&chunk.namespace) else { return Ok(tally) };
    let mut open = Open::of(&writing, chunk.namespace, destination);
    for document in chunk.documents() {
        open.take(&writing, document, &mut tally).await?;
    }
    open.send(&writing, &mut tally).await?;
    Ok(tally)
}

/// Segments may come in any order, but not those of a capped collection.
fn lanes(manifest: &Manifest, destinations: &Destinations) -> Vec<Lane> {
    let (capped, free): (Destinations, Destinations) =
        destinations.clone().into_iter().partition(|(_, destination)| destination.receiver.is_ordered);
    let holding = |wanted: &Destinations| {
        let holds =
            |s: &Segment| s.contents.iter().any(|c| c.documents > 0 && wanted.contains_key(&c.namespace));
        let segments = manifest.segments.iter().enumerate().filter(move |(_, s)| holds(s));
        segments.map(|(number, _)| number).collect::<Vec<_>>()
    };
    let free = Arc::new(free);
    let mut lanes: Vec<Lane> = holding(&free)
        .into_iter()
        .map(|segment| Lane { segments: vec![segment], destinations: free.clone() })
        .collect();
    lanes.extend(capped.into_iter().map(|one| {
        let destinations = Arc::new(Destinations::from([one]));
        Lane { segments: holding(&destinations), destinations }
    }));
    lanes
}

async fn run(writing: Writing, backup: Backup, names: Arc<Names>, lane: Lane) -> Result<Tally> {
    let mut tally = Tally::default();
    for &number in &lane.segments {
        let segment = &backup.manifest.segments[number];
        let body =
            writing.job.unless_cancelled(segments::fetch(&*backup.store, segment, &writing.job)).await?;
        let walk = Walk::new(backup.manifest.compression, &names, segment, &body)?;
        let found = insert_segment(&writing, walk, &lane, segment, &mut tally).await?;
        let sums = found.contents.into_iter().map(|(content, sum)| (content.namespace, sum));
        tally.segment(number, sums.filter(|(place, _)| lane.destinations.contains_key(place)).collect());
        writing.job.observe(&Event::Segment { key: segment.key.clone(), stored_bytes: segment.stored_bytes });
    }
    Ok(tally)
}

async fn insert_segment(
    writing: &Writing,
    mut walk: Walk<'_>,
    lane: &Lane,
    segment: &Segment,
    tally: &mut Tally,
) -> Result<Found> {
    let mut open: Option<Open> = None;
    while let Some(step) = walk.next().map_err(|e| segments::damaged(segment, e))? {
        match step {
            Step::Begin(number) => {
                let destination = lane.destinations.get(&number);
                open = destination.map(|destination| Open::of(writing, number, destination));
            }
            Step::Document(document) => {
                if let Some(open) = &mut open {
                    open.take(writing, document, tally).await?;
                }
            }
            Step::Ended => {}
            Step::End => {
                if let Some(mut open) = open.take() {
                    open.send(writing, tally).await?;
                }
            }
        }
    }
    walk.finish(segment).map_err(|e| segments::damaged(segment, e))
}

/// A block whose documents are on their way.
struct Open {
    number: usize,
    destination: Destination,
    buffer: InsertBuffer,
    bytes: u64,
}

impl Open {
    fn of(writing: &Writing, number: usize, destination: &Destination) -> Self {
        let buffer = writing.target.buffer(&destination.to, destination.receiver);
        Self { number, destination: destination.clone(), buffer, bytes: 0 }
    }

    async fn take(&mut self, writing: &Writing, document: &[u8], tally: &mut Tally) -> Result<()> {
        if self.destination.is_kept {
            writing.job.observe(&Event::Advanced { documents: 1, bytes: document.len() as u64 });
            return tally.kept.push(&self.destination.to, document);
        }
        if self.buffer.is_full_for(document) {
            self.send(writing, tally).await?;
        }
        self.buffer.push(document);
        self.bytes += document.len() as u64;
        Ok(())
    }

    async fn send(&mut self, writing: &Writing, tally: &mut Tally) -> Result<()> {
        writing.job.check()?;
        let may_repeat = self.destination.may_repeat;
        let Inserted { documents, mut refused } = writing.target.insert(&mut self.buffer).await?;
        tally.insert(self.number, documents);
        if may_repeat {
            refused.retain(|document| !document.is_duplicate());
        }
        if let Some(first) = refused.first() {
            tally.refuse(self.number, refused.len() as u64, &first.message);
        }
        writing.job.observe(&Event::Advanced { documents, bytes: std::mem::take(&mut self.bytes) });
        Ok(())
    }
}
