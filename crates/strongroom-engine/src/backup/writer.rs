//! Documents in, stored segments out. Memory is bounded by two segments: one being filled, one being stored.

use std::collections::VecDeque;
use std::sync::Arc;

use mongo_archive::{Crc64, Namespace as ArchiveNamespace};
use tokio::task::JoinHandle;

use super::cut::Cutter;
use super::segment::{Finished, SegmentWriter};
use super::sink::Sink;
use crate::error::{Code, Error, Result};
use crate::job::Job;
use crate::manifest::Segment;

/// Room for what the archive and a compressor put around documents.
const FRAMES_BYTES: u64 = 256 * 1024;

/// The segments of one stretch, one after the other.
pub(super) struct StretchWriter {
    sink: Arc<Sink>,
    /// The stretch's number in the archive.
    stretch: usize,
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

impl StretchWriter {
    /// For the stretch with this number in the archive, in segments of `segment_bytes` of documents on average; the
    /// prelude's number is 0.
    pub(super) fn new(sink: Arc<Sink>, segment_bytes: u64, stretch: usize, first_part: usize) -> Self {
        Self {
            cutter: Cutter::new(segment_bytes),
            sink,
            stretch,
            part: first_part,
            current: None,
            crc: Crc64::new(),
            open: None,
            finished: VecDeque::new(),
            uploading: None,
            segments: Vec::new(),
        }
    }

    /// The part number after the last one that was used.
    pub(super) fn next_part(&self) -> usize {
        self.part
    }

    /// The job that it works for.
    pub(super) fn job(&self) -> &Job {
        &self.sink.job
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
            None => SegmentWriter::new(self.sink.compression, self.sink.buffers.take(self.room()))?,
        };
        self.open.insert(open).begin_block(*place, namespace)
    }

    /// What a segment takes at most, unless it is one longer document. What compression leaves unused of it is never
    /// touched, so it costs no memory.
    fn room(&self) -> usize {
        usize::try_from(self.cutter.most() + FRAMES_BYTES).unwrap_or(0)
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

    /// Ends a range of a namespace; the CRC of its documents.
    pub(super) fn end_range(&mut self) -> Result<Crc64> {
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
            self.sink.job.check()?;
            let (sink, stretch, part) = (self.sink.clone(), self.stretch, self.part);
            self.part += 1;
            self.uploading = Some(tokio::spawn(async move {
                let body = finished.body.clone();
                let stored = sink.store_segment(stretch, part, finished).await;
                sink.buffers.give_back(body);
                stored
            }));
        }
        Ok(())
    }

    /// Waits for the upload under way.
    pub(super) async fn wait(&mut self) -> Result<()> {
        if let Some(upload) = &mut self.uploading {
            // Whoever stops waiting leaves it here, so that it can be waited for before the end.
            let ended = upload.await;
            self.uploading = None;
            let stored =
                ended.map_err(|e| Error::new(Code::Internal, "an upload ended abruptly").caused_by(e))??;
            self.segments.push(stored);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{document, sink};
    use super::*;

    fn name() -> ArchiveNamespace {
        ArchiveNamespace { db: "shop".into(), collection: "orders".into() }
    }

    #[tokio::test]
    async fn segments_are_stored_in_order_and_add_up() {
        let (folder, sink) = sink();
        let mut writer = StretchWriter::new(sink, 1000, 3, 2);
        writer.begin_namespace(5, name()).unwrap();
        let mut all = Crc64::new();
        for number in 0..100 {
            let document = document(number);
            all.update(&document);
            writer.document(&document).unwrap();
            if writer.has_finished() {
                writer.store_finished().await.unwrap();
            }
        }
        assert_eq!(writer.end_namespace().unwrap().value(), all.value());
        writer.end_segment().unwrap();
        writer.store_finished().await.unwrap();
        writer.wait().await.unwrap();
        let next = writer.next_part();
        let segments = writer.into_segments();
        assert_eq!(next, 2 + segments.len());
        let names: Vec<_> = segments.iter().map(|s| s.key.rsplit('/').next().unwrap().to_owned()).collect();
        assert_eq!(names[..2], ["00003-00002.bson", "00003-00003.bson"]);
        assert!(names.is_sorted() && names.len() > 2);
        let contents = || segments.iter().flat_map(|s| &s.contents);
        assert!(contents().all(|content| content.namespace == 5 && content.bytes <= 1375));
        assert_eq!(contents().map(|content| content.documents).sum::<u64>(), 100);
        for segment in &segments {
            let stored = std::fs::read(folder.path().join(&segment.key)).unwrap();
            assert_eq!(hex::encode(crate::hash::sha256(&stored)), segment.sha256);
        }
    }

    #[tokio::test]
    async fn a_range_ends_without_the_end_of_its_collection() {
        let mut lengths = Vec::new();
        for whole in [false, true] {
            let (_folder, sink) = sink();
            let mut writer = StretchWriter::new(sink, 1000, 1, 0);
            writer.begin_namespace(0, name()).unwrap();
            writer.document(&document(1)).unwrap();
            let crc = if whole { writer.end_namespace() } else { writer.end_range() }.unwrap();
            let mut expected = Crc64::new();
            expected.update(&document(1));
            assert_eq!(crc.value(), expected.value());
            writer.end_segment().unwrap();
            writer.store_finished().await.unwrap();
            writer.wait().await.unwrap();
            lengths.push(writer.into_segments()[0].raw_bytes);
        }
        assert!(lengths[0] < lengths[1], "the end of a collection takes bytes of its own: {lengths:?}");
    }

    #[tokio::test]
    async fn nothing_is_sent_once_the_job_is_cancelled() {
        let (folder, sink) = sink();
        sink.job.cancel.cancel();
        let mut writer = StretchWriter::new(sink, 1000, 1, 0);
        writer.begin_namespace(0, name()).unwrap();
        writer.end_namespace().unwrap();
        writer.end_segment().unwrap();
        assert_eq!(writer.store_finished().await.unwrap_err().code(), Code::Cancelled);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
