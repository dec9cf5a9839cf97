//! A backup: share the work out, read, write segments, commit with the manifest.
//!
//! Until the manifest is stored there is no backup. Whatever goes wrong before that, the segments stored so
//! far are deleted again, where the identity may delete.

mod before;
mod cut;
mod load;
mod pace;
mod plan;
mod reader;
mod sample;
mod segment;
mod sink;

pub use plan::{Plan, Run, SEGMENT_BYTES};
pub use sample::sample;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Clock;
use crate::bucket::{ObjectStore, Sse};
use crate::deployment::{Deployment, Described, ReadAt};
use crate::error::{Code, Error, Result};
use crate::layout::{BackupId, PlanName};
use crate::location::Location;
use crate::manifest::{
    self, Compression, Consistency, Manifest, Namespace, Segment, Status, Tool, Topology, Totals,
};
use crate::progress::{Event, Observer};
use crate::selection::Filter;
use pace::Pace;
use reader::{NamespaceRead, RunRead};
use segment::{Finished, Memory};
use sink::Sink;

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
    /// Whether all collections are to be read at one moment, where the deployment can.
    pub snapshot: bool,
    /// The encryption to ask the store for, with every object.
    pub sse: Sse,
    /// Bytes of documents to read in a second at most; none: as fast as it goes.
    pub rate_max: Option<u64>,
}

/// Makes one backup and gives its manifest. Needs a multi-threaded runtime.
///
/// # Errors
/// As the deployment or the store fails, and [`Code::Cancelled`]; then there is no backup.
pub async fn run(
    deployment: Deployment,
    store: Arc<dyn ObjectStore>,
    options: Options,
    clock: Clock,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Result<Manifest> {
    if options.sse != Sse::None && matches!(store.location(), Location::Folder(_)) {
        return Err(Error::new(Code::Usage, "a folder has no server-side encryption")
            .help("Leave --sse out, or back up to an s3:// location."));
    }
    let started_at = clock();
    let id = BackupId::new(started_at, rand::random());
    before::introduce(&deployment, &*observer);
    observer.observe(&Event::Phase { name: "looking at what there is" });
    let namespaces = deployment.namespaces(|db, collection| options.filter.accepts(db, collection)).await?;
    if namespaces.is_empty() && !options.filter.is_everything() {
        return Err(Error::new(Code::Usage, "no collection matches --include and --exclude")
            .help("Patterns are matched with database.collection, `*` stands for anything."));
    }
    before::check_privileges(&deployment, &namespaces, options.snapshot, &*observer).await?;
    let plan = Plan::of(&namespaces);
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
        at: moment(&deployment, options.snapshot),
        queue: plan.largest_first(),
        next: AtomicUsize::new(0),
        pace: Pace::new(options.rate_max, sink.stop.clone()),
        deployment,
        sink,
        options,
        namespaces,
        plan,
    });
    let watching = load::watched(&work);
    let outcome = finish(&work, started_at, clock).await;
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

fn moment(deployment: &Deployment, snapshot: bool) -> ReadAt {
    match deployment.now() {
        Some(now) if snapshot => ReadAt::Snapshot(now),
        _ => ReadAt::Now,
    }
}

/// Everything that the readers of one backup share.
struct Work {
    deployment: Deployment,
    sink: Sink,
    options: Options,
    namespaces: Vec<Described>,
    plan: Plan,
    at: ReadAt,
    pace: Pace,
    /// Places of runs, in the order they are to be taken.
    queue: Vec<usize>,
    next: AtomicUsize,
}

async fn finish(work: &Arc<Work>, started_at: DateTime<Utc>, clock: Clock) -> Result<Manifest> {
    work.sink.observer.observe(&Event::Phase { name: "reading" });
    let runs = read_all(work).await?;
    work.sink.observer.observe(&Event::Phase { name: "committing" });
    let prelude = work.sink.store_segment(0, 0, work.prelude()?).await?;
    let manifest = assemble(work, prelude, runs, started_at, clock())?;
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
            Err(panic) => failure = Some(Error::new(Code::Internal, "a reader ended abruptly").source(panic)),
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
    fn prelude(&self) -> Result<Finished> {
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
        segment::prelude(
            self.options.compression,
            &mongo_archive::Prelude { header, metadata: metadata.collect() },
        )
    }
}

fn cancelled() -> Error {
    Error::new(Code::Cancelled, "the backup was cancelled: there is no backup of this run")
}

fn assemble(
    work: &Work,
    prelude: Segment,
    runs: Vec<RunRead>,
    started_at: DateTime<Utc>,
    finished_at: DateTime<Utc>,
) -> Result<Manifest> {
    let mut read: Vec<Option<NamespaceRead>> = work.namespaces.iter().map(|_| None).collect();
    let mut segments = vec![prelude];
    for run in runs {
        segments.extend(run.segments);
        for namespace in run.namespaces {
            let place = namespace.place;
            read[place] = Some(namespace);
        }
    }
    let missing = || Error::new(Code::Internal, "a namespace was planned and not read");
    let read: Vec<NamespaceRead> = read.into_iter().collect::<Option<_>>().ok_or_else(missing)?;
    let namespaces: Vec<Namespace> =
        work.namespaces.iter().zip(&read).map(|(n, read)| namespace(n, read)).collect::<Result<_>>()?;
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
        consistency: consistency(work, &read),
        oplog: None,
        selection: work.options.filter.selection(),
        totals: Totals::of(&namespaces, &segments),
        compression: work.options.compression,
        encryption: work.sink.encryption(),
        namespaces,
        segments,
    })
}

fn namespace(described: &Described, read: &NamespaceRead) -> Result<Namespace> {
    let metadata = serde_json::value::RawValue::from_string(described.metadata.clone())
        .map_err(|e| Error::new(Code::Internal, "metadata is not JSON").source(e))?;
    Ok(Namespace {
        db: described.db.clone(),
        collection: described.collection.clone(),
        kind: described.kind,
        metadata,
        documents: read.documents,
        bytes: read.bytes,
        crc64: format!("{:016x}", read.crc64),
    })
}

fn consistency(work: &Work, read: &[NamespaceRead]) -> Consistency {
    let source = work.deployment.source();
    match work.at {
        ReadAt::Snapshot(cluster_time) => {
            let plainly = read.iter().filter(|n| n.plainly);
            let read_plainly: Vec<String> = plainly.map(|n| work.namespaces[n.place].name()).collect();
            if read_plainly.is_empty() {
                Consistency::Snapshot { cluster_time }
            } else {
                Consistency::Oplog { from: cluster_time, at: cluster_time, read_plainly }
            }
        }
        ReadAt::Now => Consistency::None {
            reason: match source.topology {
                Topology::Standalone => "a standalone server has no oplog and cannot be read at one moment",
                Topology::Sharded => "a sharded cluster was read through mongos, collection by collection",
                Topology::ReplicaSet => "it was asked for",
            }
            .into(),
        },
    }
}
