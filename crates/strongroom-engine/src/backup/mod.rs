//! A backup: share the work out, read, write segments, commit with the manifest.
//!
//! Until the manifest is stored there is no backup. Whatever goes wrong before that, the segments stored so
//! far are deleted again, where the identity may delete.

mod assemble;
mod before;
mod capture;
mod cursor;
mod cut;
mod load;
mod moment;
mod pace;
mod plan;
mod reader;
mod sample;
mod segment;
mod settings;
mod sink;
mod writer;

pub use plan::{Part, Plan, Run, SEGMENT_BYTES};
pub use sample::sample;
pub use settings::{Options, Wanted};

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use tokio::task::JoinSet;

use crate::bucket::{ObjectStore, Sse};
use crate::clock::Clock;
use crate::deployment::{Deployment, Described, ReadAt, Split};
use crate::error::{Code, Error, Result};
use crate::job::Job;
use crate::layout::BackupId;
use crate::location::Location;
use crate::manifest::Manifest;
use crate::progress::{Event, Phase};
use crate::quantity::Bytes;
use assemble::Parts;
use capture::Capture;
use moment::Moment;
use pace::Pace;
use reader::RunRead;
use segment::{Finished, Memory};
use sink::Sink;

/// Makes one backup and gives its manifest. Needs a multi-threaded runtime.
///
/// # Errors
/// As the deployment or the store fails, and [`Code::Cancelled`]; then there is no backup.
pub async fn run(
    deployment: Deployment,
    store: Arc<dyn ObjectStore>,
    options: Options,
    job: Job,
) -> Result<Manifest> {
    let Job { observer, cancel, clock } = job;
    if options.sse != Sse::None && matches!(store.location(), Location::Folder(_)) {
        return Err(Error::new(Code::Usage, "a folder has no server-side encryption")
            .help("Leave --sse out, or back up to an s3:// location."));
    }
    let started_at = clock.now();
    let id = BackupId::new(started_at, rand::random());
    before::introduce(&deployment, &*observer);
    observer.observe(&Event::Phase { phase: Phase::Inspecting });
    before::check_oplog(&deployment, options.consistency).await?;
    let (namespaces, moment) = tokio::select! {
        settled = moment::settle(&deployment, &options) => settled?,
        () = cancel.cancelled() => return Err(cancelled()),
    };
    if namespaces.is_empty() && !options.filter.is_everything() {
        return Err(Error::new(Code::Usage, "no collection matches --include and --exclude")
            .help("Patterns are matched with database.collection, `*` stands for anything."));
    }
    before::check_collections(&deployment, &namespaces, &*observer).await?;
    let plan = Plan::of(&namespaces, &splits(&deployment, &namespaces, &options, moment.at).await);
    observer.observe(&planned(&namespaces));
    let sink = Sink {
        store,
        plan: options.plan.clone(),
        id,
        compression: options.compression,
        sse: options.sse.clone(),
        attempted: Mutex::default(),
        stop: cancel.child_token(),
        memory: Memory::default(),
        observer,
    };
    let work = Arc::new(Work {
        queue: plan.order(),
        moment,
        next: AtomicUsize::new(0),
        pace: Pace::new(options.max_rate.map(Bytes::get), sink.stop.clone()),
        deployment,
        sink,
        options,
        namespaces,
        plan,
    });
    let watching = load::watched(&work);
    let outcome = finish(&work, started_at, &*clock).await;
    drop(watching);
    work.deployment.close().await;
    if outcome.is_err() {
        work.sink.clean_up().await;
    }
    outcome
}

fn planned(namespaces: &[Described]) -> Event {
    Event::Planned {
        namespaces: namespaces.len() as u64,
        documents: namespaces.iter().map(|n| n.documents).sum(),
        bytes: namespaces.iter().map(|n| n.bytes).sum(),
    }
}

/// Where to cut the collections that one reader would be left with; one that cannot be cut is read whole.
async fn splits(
    deployment: &Deployment,
    namespaces: &[Described],
    options: &Options,
    at: ReadAt,
) -> BTreeMap<usize, Split> {
    let mut splits = BTreeMap::new();
    if options.query.is_some() {
        return splits;
    }
    for (place, parts) in plan::parts(namespaces, options.readers) {
        let split = match at {
            // By place documents at the bounds may come twice, and nothing would put that right.
            ReadAt::Now => deployment.split_by_id(&namespaces[place], parts, at).await,
            ReadAt::Committed | ReadAt::Snapshot(_) => deployment.split(&namespaces[place], parts, at).await,
        };
        if let Ok(split) = split {
            splits.insert(place, split);
        }
    }
    splits
}

/// Everything that the readers of one backup share.
struct Work {
    deployment: Deployment,
    sink: Sink,
    options: Options,
    namespaces: Vec<Described>,
    plan: Plan,
    moment: Moment,
    pace: Pace,
    /// Places of runs, in the order they are to be taken.
    queue: Vec<usize>,
    next: AtomicUsize,
}

async fn finish(work: &Arc<Work>, started_at: DateTime<Utc>, clock: &dyn Clock) -> Result<Manifest> {
    work.sink.observer.observe(&Event::Phase { phase: Phase::Reading });
    let capture = match (work.moment.capture_from, work.moment.from) {
        (Some(begin), Some(from)) => Some(Capture::start(work.clone(), begin, from)),
        _ => None,
    };
    let read = read_all(work).await;
    let captured = match capture {
        Some(capture) => capture.finish(work.moment.to_reach()).await.map(Some),
        None => Ok(None),
    };
    let (runs, captured) = match (read, captured) {
        (Ok(runs), Ok(captured)) => (runs, captured),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => return Err(error),
        (Err(one), Err(other)) => return Err(more_telling(Some(one), other)),
    };
    work.sink.observer.observe(&Event::Phase { phase: Phase::Committing });
    let parts = Parts {
        prelude: work.sink.store_segment(0, 0, work.prelude(captured.is_some())?).await?,
        read: assemble::gather(work, runs).await?,
        captured,
    };
    let manifest = assemble::manifest(work, parts, started_at, clock.now())?;
    work.sink.leave_restore_note().await?;
    work.sink.commit(&manifest).await?;
    Ok(manifest)
}

/// Lets the readers take runs until none is left; the answer is in the order of the archive.
async fn read_all(work: &Arc<Work>) -> Result<Vec<RunRead>> {
    let mut readers = JoinSet::new();
    for _ in 0..work.options.readers.clamp(1, work.queue.len().max(1)) {
        readers.spawn(read_runs(work.clone()));
    }
    let mut runs = Vec::new();
    let mut failure = None;
    while let Some(ended) = readers.join_next().await {
        match ended {
            Ok(Ok(read)) => runs.extend(read),
            Ok(Err(error)) => failure = Some(more_telling(failure, error)),
            Err(panic) => {
                failure = Some(Error::new(Code::Internal, "a reader ended abruptly").caused_by(panic));
            }
        }
        if failure.is_some() {
            work.sink.stop.cancel();
        }
    }
    runs.sort_by_key(|run: &RunRead| run.place);
    failure.map_or(Ok(runs), Err)
}

/// The first failure stops the other readers, which then say `cancelled`: that is not the news.
fn more_telling(known: Option<Error>, error: Error) -> Error {
    match known {
        Some(known) if known.code() != Code::Cancelled => known,
        _ => error,
    }
}

async fn read_runs(work: Arc<Work>) -> Result<Vec<RunRead>> {
    let mut read = Vec::new();
    while let Some(&place) = work.queue.get(work.next.fetch_add(1, Ordering::Relaxed)) {
        read.push(reader::read(&work, place).await?);
    }
    Ok(read)
}

impl Work {
    fn prelude(&self, oplog: bool) -> Result<Finished> {
        let source = self.deployment.source();
        let header = mongo_archive::Header::new(
            // Blocks of a namespace stand together, whatever the number of readers was.
            1,
            &source.server_version,
            concat!("strongroom-", env!("CARGO_PKG_VERSION")),
        );
        let metadata = self.namespaces.iter().map(|n| mongo_archive::Metadata {
            db: n.db.clone(),
            collection: n.collection.clone(),
            metadata: n.metadata.clone(),
            kind: n.kind.as_str().into(),
            // As mongodump writes it.
            size: 0,
        });
        let (db, collection) = capture::ARCHIVED;
        let oplog = oplog.then(|| mongo_archive::Metadata {
            db: db.into(),
            collection: collection.into(),
            metadata: String::new(),
            kind: String::new(),
            size: 0,
        });
        let metadata = metadata.chain(oplog).collect();
        segment::prelude(self.options.compression, &mongo_archive::Prelude { header, metadata })
    }
}

fn cancelled() -> Error {
    Error::new(Code::Cancelled, "the backup was cancelled: there is no backup of this run")
}
