//! One reader's work on one stretch: cursors in, segments out.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::block_in_place;

use super::cursor::Cursor;
use super::moment::{Moment, plainly};
use super::pace::Pace;
use super::reach::Reach;
use super::read::{NamespaceRead, StretchRead};
use super::resume::Stop;
use super::segment::archived;
use super::sink::Sink;
use super::stretches::{Range, Stretch, Stretches};
use super::writer::StretchWriter;
use crate::deployment::{Batch, Bound, Deployment, Described, Position, ReadAt, Scan, Turn, id_of};
use crate::error::{Code, Error, Result};
use crate::progress::{Event, Warning};
use crate::selection::Query;

/// How often a stretch is read again from its start.
const READ_AGAIN_MAX: u32 = 3;

/// How the reading of a stretch ended.
pub(super) enum Ended {
    /// It was read to its end.
    Read(StretchRead),
    /// It is a range between places of a member that was lost, and nothing of it is stored any more.
    Meaningless {
        /// Its place in the list of stretches.
        place: usize,
        /// The part number after the last one that was used.
        parts: usize,
    },
}

/// What the readers of one backup share.
pub(super) struct Reader {
    pub(super) deployment: Arc<Deployment>,
    pub(super) namespaces: Arc<[Described]>,
    pub(super) stretches: Arc<Stretches>,
    pub(super) query: Option<Query>,
    pub(super) moment: Moment,
    /// The first part number of every stretch.
    pub(super) first_part: usize,
    pub(super) reach: Arc<Reach>,
    pub(super) pace: Arc<Pace>,
    pub(super) sink: Arc<Sink>,
    /// Names of collections of which the server lost the snapshot's moment.
    pub(super) late: Mutex<BTreeSet<String>>,
}

impl Ended {
    /// Its place in the list of stretches.
    pub(super) fn place(&self) -> usize {
        match self {
            Self::Read(read) => read.place,
            Self::Meaningless { place, .. } => *place,
        }
    }

    /// The part number after the last one that was used.
    pub(super) fn parts(&self) -> usize {
        match self {
            Self::Read(read) => read.next_part,
            Self::Meaningless { parts, .. } => *parts,
        }
    }
}

impl Reader {
    /// Says once what could not be read at the snapshot's moment, as the server no longer had it.
    pub(super) fn tell_what_came_late(&self) {
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(example) = late.first().cloned() {
            self.sink.job.warn(Warning::SnapshotGone { namespaces: late.len() as u64, example });
        }
    }

    /// Reads the stretch at `place`. Where a cursor is lost that cannot be taken up, what was stored of this stretch
    /// is taken back and it is read again, as it is then or at the same moment.
    pub(super) async fn read(&self, place: usize) -> Result<Ended> {
        self.read_from(place, self.stretches.list[place].range.as_ref(), self.first_part).await
    }

    /// Reads the whole of a collection whose ranges meant nothing any more, as the stretch at `place`, which is the
    /// first of them.
    pub(super) async fn read_whole(&self, place: usize, first_part: usize) -> Result<Ended> {
        self.read_from(place, Some(&Range::Natural { after: None, last: None }), first_part).await
    }

    async fn read_from(&self, place: usize, range: Option<&Range>, mut first_part: usize) -> Result<Ended> {
        let mut at = self.moment.at;
        let mut again = 0;
        loop {
            let (stop, parts) = match self.attempt(place, range, at, first_part).await {
                Ok(read) => return Ok(Ended::Read(read)),
                Err(failed) => failed,
            };
            match stop {
                Stop::Again { why, as_it_is } if again < READ_AGAIN_MAX => {
                    let namespace = self.namespaces[self.stretches.list[place].namespaces[0]].name();
                    let reason = why.message().to_owned();
                    self.sink.job.warn(Warning::ReadAgain { namespace, reason });
                    self.sink.take_back_stretch(self.stretches.number(place), parts).await;
                    if range.is_some_and(Range::is_by_place) && self.deployment.turn() != Turn::FIRST {
                        return Ok(Ended::Meaningless { place, parts });
                    }
                    at = if as_it_is { plainly(at) } else { at };
                    (first_part, again) = (parts, again + 1);
                }
                Stop::Again { why, .. } => return Err(why),
                Stop::Failed(error) => return Err(error),
            }
        }
    }

    /// On failure also says how many parts were begun, so that a second attempt takes other names.
    async fn attempt(
        &self,
        place: usize,
        range: Option<&Range>,
        at: ReadAt,
        first_part: usize,
    ) -> Result<StretchRead, (Stop, usize)> {
        let (number, segment_bytes) = (self.stretches.number(place), self.stretches.segment_bytes);
        let mut writer = StretchWriter::new(self.sink.clone(), segment_bytes, number, first_part);
        let outcome = self.stretch(&mut writer, &self.stretches.list[place], range, at).await;
        // Whatever happened: an upload under way is waited for, so that its outcome is known.
        let stored = writer.wait().await;
        let next_part = writer.next_part();
        match (outcome, stored) {
            (Ok(namespaces), Ok(())) => {
                Ok(StretchRead { place, namespaces, segments: writer.into_segments(), next_part })
            }
            (Err(stop), _) => Err((stop, next_part)),
            (Ok(_), Err(error)) => Err((error.into(), next_part)),
        }
    }

    async fn stretch(
        &self,
        writer: &mut StretchWriter,
        stretch: &Stretch,
        range: Option<&Range>,
        at: ReadAt,
    ) -> Result<Vec<NamespaceRead>, Stop> {
        let mut namespaces = Vec::new();
        for &place in &stretch.namespaces {
            namespaces.push(self.namespace(writer, place, range, at).await?);
        }
        writer.end_segment()?;
        writer.store_finished().await?;
        Ok(namespaces)
    }

    async fn namespace(
        &self,
        writer: &mut StretchWriter,
        place: usize,
        range: Option<&Range>,
        at: ReadAt,
    ) -> Result<NamespaceRead, Stop> {
        let described = &self.namespaces[place];
        let server_version = &self.deployment.source().server_version;
        writer.begin_namespace(place, archived(described, server_version))?;
        let mut read = NamespaceRead::new(place);
        if described.data_collection().is_some() {
            let (scan, last) = scan(range, self.query.as_ref());
            let replayed = self.moment.from.is_some();
            let mut cursor = Cursor::new(&self.deployment, described, (at, scan), replayed, &self.sink.job);
            let outcome = self.drain(writer, &mut cursor, last, &mut read).await;
            if cursor.has_lost_the_moment() {
                self.late.lock().unwrap_or_else(PoisonError::into_inner).insert(described.name());
            }
            outcome.map_err(|stop| stop.context(format!("reading `{}`", described.name())))?;
            read.plainly = cursor.plainly();
            self.note(place, &cursor).await?;
        }
        read.crc = if range.is_some() { writer.end_range()? } else { writer.end_namespace()? };
        self.sink.job.observe(&Event::Namespace { name: described.name(), documents: read.documents });
        Ok(read)
    }

    /// Takes note of how far the oplog must reach because of what was just read.
    async fn note(&self, place: usize, cursor: &Cursor<'_>) -> Result<()> {
        let noted = async {
            if cursor.was_dropped() {
                self.reach.note(&self.deployment, ReadAt::Now, place).await?;
            }
            if cursor.plainly() {
                self.reach.note(&self.deployment, ReadAt::Committed, place).await?;
            }
            Ok(())
        };
        self.sink.job.unless_cancelled(noted).await
    }

    async fn drain(
        &self,
        writer: &mut StretchWriter,
        cursor: &mut Cursor<'_>,
        end: Option<Bound>,
        read: &mut NamespaceRead,
    ) -> Result<(), Stop> {
        while let Some(batch) = cursor.next().await? {
            if cursor.plainly() {
                self.reach.check()?;
            }
            let last = end.as_ref().filter(|end| reaches(&batch, end));
            let before = (read.documents, read.bytes);
            let mut documents = batch.documents()?;
            let taken = loop {
                let taken = block_in_place(|| take(writer, &mut documents, last, read))?;
                writer.store_finished().await?;
                if taken != Taken::SegmentFull {
                    break taken;
                }
            };
            let (documents, bytes) = (read.documents - before.0, read.bytes - before.1);
            self.sink.job.observe(&Event::Advanced { documents, bytes });
            self.pace.spend(bytes, &self.sink.job.cancel).await;
            if last.is_some() {
                return end_of_range(&taken, cursor.plainly()).map_err(Stop::from);
            }
        }
        Ok(())
    }
}

/// Which documents of a collection, and the one after which a range ends.
fn scan(range: Option<&Range>, query: Option<&Query>) -> (Scan, Option<Bound>) {
    match (range, query) {
        (Some(Range::Natural { after, last }), _) => {
            let from = Position::after_record(after.as_ref().map(|after| after.record));
            let is_part = after.is_some() || last.is_some();
            (Scan::Natural(is_part.then_some(from)), last.clone())
        }
        (Some(Range::Ids { from, to }), _) => (Scan::Ids(from.clone(), to.clone()), None),
        (None, Some(query)) => (Scan::Matching(query.document().clone()), None),
        (None, None) => (Scan::Natural(None), None),
    }
}

/// Whether the scan has passed the place where the range ends.
fn reaches(batch: &Batch, end: &Bound) -> bool {
    batch.position().and_then(|position| position.record()).is_some_and(|record| record >= end.record)
}

/// At the snapshot's moment the last document of a range is there. Read plainly it may be deleted by now, and the
/// next range's first documents come twice: the same `_id` twice, of which the replay leaves one.
fn end_of_range(taken: &Taken, plainly: bool) -> Result<()> {
    if *taken == Taken::Last || plainly {
        return Ok(());
    }
    Err(Error::new(Code::Internal, "the document between two ranges did not come along"))
}

/// Why no more documents were taken.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    /// A segment is finished, and wants to be stored first.
    SegmentFull,
    /// The last document of the range came.
    Last,
    /// There were no more.
    All,
}

/// Takes documents in until a segment is finished, or up to `last`, or all of them.
fn take<'a>(
    writer: &mut StretchWriter,
    documents: &mut impl Iterator<Item = Result<&'a [u8]>>,
    last: Option<&Bound>,
    read: &mut NamespaceRead,
) -> Result<Taken> {
    for document in documents {
        let document = document?;
        writer.document(document)?;
        read.count(document);
        if last.is_some_and(|last| id_of(document).is_some_and(|id| id == last.id)) {
            return Ok(Taken::Last);
        }
        if writer.has_finished() {
            return Ok(Taken::SegmentFull);
        }
    }
    Ok(Taken::All)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{collection, document, sink};
    use super::*;

    fn bound(number: i64) -> Bound {
        Bound { record: number, id: bson::rawdoc! { "_id": number } }
    }

    /// Numbers of documents offered and taken, and why it ended.
    fn taken(segment_bytes: u64, offered: std::ops::Range<i64>, last: Option<&Bound>) -> (u64, Taken) {
        let (_folder, sink) = sink();
        let mut writer = StretchWriter::new(sink, segment_bytes, 1, 0);
        writer.begin_namespace(0, archived(&collection("orders", 0), "6.0.5")).unwrap();
        let documents: Vec<_> = offered.map(document).collect();
        let mut read = NamespaceRead::new(0);
        let mut offered = documents.iter().map(|document| Ok(document.as_slice()));
        let taken = take(&mut writer, &mut offered, last, &mut read).unwrap();
        assert_eq!(read.bytes, read.documents * document(0).len() as u64);
        (read.documents, taken)
    }

    #[test]
    fn documents_are_taken_up_to_the_ranges_last_one_or_a_segments_end() {
        assert_eq!(taken(1_000_000, 0..10, None), (10, Taken::All));
        assert_eq!(taken(1_000_000, 0..10, Some(&bound(6))), (7, Taken::Last));
        assert_eq!(taken(1_000_000, 0..10, Some(&bound(60))), (10, Taken::All));
        let (documents, why) = taken(500, 0..100, None);
        assert_eq!(why, Taken::SegmentFull);
        assert!(documents < 15, "{documents} of about nine");
    }

    #[test]
    fn a_missing_last_document_is_an_error_at_the_snapshots_moment_only() {
        for (taken, plainly, fine) in
            [(Taken::Last, false, true), (Taken::All, false, false), (Taken::All, true, true)]
        {
            assert_eq!(end_of_range(&taken, plainly).is_ok(), fine, "{taken:?} {plainly}");
        }
    }

    #[test]
    fn a_range_is_scanned_from_its_first_to_its_last_document() {
        let range = Range::Natural { after: Some(bound(3)), last: Some(bound(9)) };
        let (from, last) = scan(Some(&range), None);
        assert!(matches!(from, Scan::Natural(Some(position)) if position.record() == Some(3)));
        assert_eq!(last, Some(bound(9)));
        let query: Query = r#"{"paid": true}"#.parse().unwrap();
        assert!(matches!(scan(None, Some(&query)), (Scan::Matching(_), None)));
        assert!(matches!(scan(None, None), (Scan::Natural(None), None)));
    }
}
