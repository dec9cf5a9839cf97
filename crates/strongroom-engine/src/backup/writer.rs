//! Documents in, stored segments out. Memory is bounded by two segments: one being filled, one being stored.

use std::collections::VecDeque;
use std::sync::Arc;

use mongo_archive::{Crc64, Namespace as ArchiveNamespace};
use tokio::task::JoinHandle;

use super::cut::Cutter;
use super::segment::{Finished, SegmentWriter};
use super::{Work, cancelled};
use crate::error::{Code, Error, Result};
use crate::manifest::Segment;

/// The segments of one run, one after the other.
pub(super) struct RunWriter {
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
    /// For the run with this number in the archive; the prelude's is 0.
    pub(super) fn new(work: Arc<Work>, run: usize, first_part: usize) -> Self {
        Self {
            cutter: Cutter::new(work.plan.segment_bytes),
            run,
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

    /// The part number after the last one that was used.
    pub(super) fn next_part(&self) -> usize {
        self.part
    }

    /// What was stored, in order.
    pub(super) fn into_segments(self) -> Vec<Segment> {
        self.segments
    }

    /// Begins the block of the namespace at `place` in the manifest's list.
    pub(super) fn begin_namespace(&mut self, place: usize, namespace: ArchiveNamespace) -> Result<()> {
        self.current = Some((place, namespace));
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

    /// What a segment takes at most, but for the last document of one. What compression leaves unused of it is never
    /// touched, so it costs no memory.
    fn room(&self) -> usize {
        usize::try_from(2 * self.work.plan.segment_bytes).unwrap_or(0)
    }

    /// Takes a document in.
    pub(super) fn document(&mut self, document: &[u8]) -> Result<()> {
        if self.cutter.must_end_before(document) {
            self.next_segment()?;
        }
        self.segment()?.document(document)?;
        if self.cutter.ends_after(document) {
            self.next_segment()?;
        }
        Ok(())
    }

    /// Whether a segment is finished and should be stored before more is taken in: so there are never more than two.
    pub(super) fn has_finished(&self) -> bool {
        !self.finished.is_empty()
    }

    /// The segment that is open, or the next one, in which the block goes on.
    fn segment(&mut self) -> Result<&mut SegmentWriter> {
        if self.open.is_none() {
            self.begin_block()?;
        }
        self.open.as_mut().ok_or_else(|| Error::new(Code::Internal, "a document came outside of a segment"))
    }

    fn next_segment(&mut self) -> Result<()> {
        let block = self.segment()?.end_block()?;
        self.crc.append(&block);
        self.end_segment()
    }

    /// Ends the namespace, and says so in the archive; the CRC of all its documents.
    pub(super) fn end_namespace(&mut self) -> Result<Crc64> {
        let crc = self.end_block()?;
        if let (Some((_, namespace)), Some(open)) = (self.current.take(), &mut self.open) {
            open.end_namespace(&namespace, crc.value())?;
        }
        Ok(crc)
    }

    /// Ends a part of a namespace; the CRC of its documents.
    pub(super) fn end_part(&mut self) -> Result<Crc64> {
        let crc = if self.open.is_some() { self.end_block()? } else { std::mem::take(&mut self.crc) };
        self.current = None;
        Ok(crc)
    }

    fn end_block(&mut self) -> Result<Crc64> {
        let block = self.segment()?.end_block()?;
        self.crc.append(&block);
        Ok(std::mem::take(&mut self.crc))
    }

    /// Ends the segment that is open, if any.
    pub(super) fn end_segment(&mut self) -> Result<()> {
        if let Some(open) = self.open.take() {
            self.finished.push_back(open.finish()?);
            self.cutter.restart();
        }
        Ok(())
    }

    /// Sends what is finished, one segment at a time, while reading goes on.
    pub(super) async fn store_finished(&mut self) -> Result<()> {
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
    pub(super) async fn wait(&mut self) -> Result<()> {
        if let Some(upload) = &mut self.uploading {
            // Whoever gives up waiting leaves it here, so that it can be waited for before the end.
            let ended = upload.await;
            self.uploading = None;
            let stored =
                ended.map_err(|e| Error::new(Code::Internal, "an upload ended abruptly").caused_by(e))??;
            self.segments.push(stored);
        }
        Ok(())
    }
}
