//! One reader's work on one run: cursors in, segments out. Memory is bounded by two segments (one being
//! filled, one being stored) and one reply of the server.

use std::collections::VecDeque;
use std::sync::Arc;

use mongo_archive::{Crc64, Namespace as ArchiveNamespace};
use tokio::task::{JoinHandle, block_in_place};

use super::cut::Cutter;
use super::plan::batch_documents;
use super::segment::{Finished, SegmentWriter};
use super::{Work, cancelled};
use crate::deployment::{Batch, Batches, Described, ReadAt};
use crate::error::{Code, Error, Result};
use crate::manifest::{Compression, Segment};
use crate::progress::Event;

/// The bytes of documents that a reply should hold: enough that round trips do not count, and little enough that
/// its memory is used again and stays in the processor's cache.
const REPLY_BYTES: u64 = 1024 * 1024;

/// A run, read to its end.
pub(super) struct RunRead {
    pub(super) place: usize,
    pub(super) namespaces: Vec<NamespaceRead>,
    pub(super) segments: Vec<Segment>,
}

/// A namespace, read to its end.
pub(super) struct NamespaceRead {
    pub(super) place: usize,
    pub(super) documents: u64,
    pub(super) bytes: u64,
    pub(super) crc64: u64,
    /// Not at the snapshot's moment, although one was wanted.
    pub(super) plainly: bool,
}

/// Reads one run. If the moment of the snapshot leaves the server's history on the way, what was stored of
/// this run is taken back and the run is read again as it is now.
pub(super) async fn read(work: &Arc<Work>, place: usize) -> Result<RunRead> {
    match attempt(work, place, work.at, 0).await {
        Err((error, parts)) if error.code() == Code::SnapshotTooOld => {
            let first = work.namespaces[work.plan.runs[place].namespaces[0]].name();
            let message = format!(
                "`{first}` could not be read at the snapshot's moment to its end; it is read as it is now"
            );
            work.sink.observer.observe(&Event::Warning { message });
            work.sink.take_back_run(place, parts).await?;
            attempt(work, place, ReadAt::Now, parts).await.map_err(|(error, _)| error)
        }
        other => other.map_err(|(error, _)| error),
    }
}

/// On failure also says how many parts were begun, so that a second attempt takes other names.
async fn attempt(
    work: &Arc<Work>,
    place: usize,
    at: ReadAt,
    first_part: usize,
) -> Result<RunRead, (Error, usize)> {
    let mut writer = RunWriter::new(work.clone(), place, first_part);
    let mut namespaces = Vec::new();
    let outcome = async {
        for &namespace in &work.plan.runs[place].namespaces {
            namespaces.push(read_namespace(work, &mut writer, namespace, at).await?);
        }
        writer.end_segment()?;
        writer.store_finished().await
    }
    .await;
    // Whatever happened: an upload under way is waited for, so that its outcome is known.
    let stored = writer.wait().await;
    match outcome.and(stored) {
        Ok(()) => Ok(RunRead { place, namespaces, segments: writer.segments }),
        Err(error) => Err((error, writer.part)),
    }
}

async fn read_namespace(
    work: &Work,
    writer: &mut RunWriter,
    place: usize,
    at: ReadAt,
) -> Result<NamespaceRead> {
    let described = &work.namespaces[place];
    writer.begin_namespace(place, described)?;
    let mut read = NamespaceRead { place, documents: 0, bytes: 0, crc64: 0, plainly: work.at != at };
    if let Some(collection) = described.data_collection() {
        let (mut batches, plainly) = open(work, described, &collection, at).await?;
        read.plainly |= plainly;
        while let Some(batch) = next(work, &mut batches).await.map_err(|e| e.context(reading(described)))? {
            let (documents, bytes) = block_in_place(|| writer.take(&batch))?;
            read.documents += documents;
            read.bytes += bytes;
            work.sink.observer.observe(&Event::Advanced { documents, bytes });
            writer.store_finished().await?;
            work.pace.spend(bytes).await;
        }
    }
    read.crc64 = writer.end_namespace()?;
    work.sink.observer.observe(&Event::Namespace { name: described.name(), documents: read.documents });
    Ok(read)
}

fn reading(described: &Described) -> String {
    format!("reading `{}`", described.name())
}

/// Opens a cursor at the wanted moment, or now where this collection cannot be read in the past: MongoDB
/// refuses that for capped collections (MongoDB manual, "Read Concern snapshot").
async fn open(work: &Work, described: &Described, collection: &str, at: ReadAt) -> Result<(Batches, bool)> {
    let documents = batch_documents(described, REPLY_BYTES);
    if matches!(at, ReadAt::Snapshot(_)) && !described.capped {
        match work.deployment.read(&described.db, collection, at, documents).await {
            Err(error) if error.code() == Code::SnapshotTooOld => {}
            other => return other.map(|batches| (batches, false)),
        }
    }
    let batches = work.deployment.read(&described.db, collection, ReadAt::Now, documents).await?;
    Ok((batches, matches!(at, ReadAt::Snapshot(_))))
}

async fn next(work: &Work, batches: &mut Batches) -> Result<Option<Batch>> {
    tokio::select! {
        batch = batches.next() => batch,
        () = work.sink.stop.cancelled() => Err(cancelled()),
    }
}

/// The segments of one run, one after the other.
struct RunWriter {
    work: Arc<Work>,
    run: usize,
    /// The next segment's part number.
    part: usize,
    cutter: Cutter,
    /// The namespace whose block is open, or will be reopened in the next segment.
    current: Option<(usize, ArchiveNamespace)>,
    /// Of the namespace's documents in the blocks that have ended.
    crc: Crc64,
    open: Option<SegmentWriter>,
    finished: VecDeque<Finished>,
    uploading: Option<JoinHandle<Result<Segment>>>,
    segments: Vec<Segment>,
}

impl RunWriter {
    fn new(work: Arc<Work>, place: usize, first_part: usize) -> Self {
        Self {
            cutter: Cutter::new(work.plan.segment_bytes),
            // Run 0 is the prelude's.
            run: place + 1,
            part: first_part,
            current: None,
            crc: Crc64::new(),
            open: None,
            finished: VecDeque::new(),
            uploading: None,
            segments: Vec::new(),
            work,
        }
    }

    fn begin_namespace(&mut self, place: usize, described: &Described) -> Result<()> {
        let collection = described.data_collection().unwrap_or_else(|| described.collection.clone());
        self.current = Some((place, ArchiveNamespace { db: described.db.clone(), collection }));
        self.begin_block()
    }

    fn begin_block(&mut self) -> Result<()> {
        let Some((place, namespace)) = &self.current else { return Ok(()) };
        let open = match self.open.take() {
            Some(open) => open,
            None => SegmentWriter::new(self.work.sink.compression, self.work.sink.memory.take(self.room()))?,
        };
        self.open.insert(open).begin_block(*place, namespace)
    }

    /// What a segment takes at most, but for the last document of one; compressed it is a good deal less.
    fn room(&self) -> usize {
        match self.work.sink.compression {
            Compression::None => usize::try_from(2 * self.work.plan.segment_bytes).unwrap_or(0),
            Compression::Zstd { .. } | Compression::Gzip { .. } => 0,
        }
    }

    /// Takes a batch in; how many documents and bytes that were.
    fn take(&mut self, batch: &Batch) -> Result<(u64, u64)> {
        let (mut documents, mut bytes) = (0, 0);
        for document in batch.documents()? {
            let document = document?;
            if self.cutter.must_end_before(document) {
                self.next_segment()?;
            }
            self.segment()?.document(document)?;
            documents += 1;
            bytes += document.len() as u64;
            if self.cutter.ends_after(document) {
                self.next_segment()?;
            }
        }
        Ok((documents, bytes))
    }

    fn segment(&mut self) -> Result<&mut SegmentWriter> {
        self.open.as_mut().ok_or_else(|| Error::new(Code::Internal, "a document came outside of a segment"))
    }

    fn next_segment(&mut self) -> Result<()> {
        let block = self.segment()?.end_block()?;
        self.crc.append(&block);
        self.end_segment()?;
        self.begin_block()
    }

    /// Ends the namespace; the CRC of all its documents.
    fn end_namespace(&mut self) -> Result<u64> {
        let block = self.segment()?.end_block()?;
        self.crc.append(&block);
        let crc = std::mem::take(&mut self.crc).value();
        if let (Some((_, namespace)), Some(open)) = (self.current.take(), &mut self.open) {
            open.end_namespace(&namespace, crc)?;
        }
        Ok(crc)
    }

    fn end_segment(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            self.finished.push_back(open.finish()?);
            self.cutter.restart();
        }
        Ok(())
    }

    /// Sends what is finished, one segment at a time, while reading goes on.
    async fn store_finished(&mut self) -> Result<()> {
        while let Some(finished) = self.finished.pop_front() {
            self.wait().await?;
            if self.work.sink.stop.is_cancelled() {
                return Err(cancelled());
            }
            let (work, run, part) = (self.work.clone(), self.run, self.part);
            self.part += 1;
            self.uploading = Some(tokio::spawn(async move {
                let body = finished.body.clone();
                let stored = work.sink.store_segment(run, part, finished).await;
                work.sink.memory.give_back(body);
                stored
            }));
        }
        Ok(())
    }

    /// Waits for the upload under way.
    async fn wait(&mut self) -> Result<()> {
        if let Some(upload) = self.uploading.take() {
            let ended = upload.await;
            let stored =
                ended.map_err(|e| Error::new(Code::Internal, "an upload ended abruptly").source(e))??;
            self.segments.push(stored);
        }
        Ok(())
    }
}
