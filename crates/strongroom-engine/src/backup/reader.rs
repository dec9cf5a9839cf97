//! One reader's work on one run: cursors in, segments out.

use std::sync::Arc;

use mongo_archive::{Crc64, Namespace as ArchiveNamespace};
use tokio::task::block_in_place;

use super::cursor::{Cursor, Stop};
use super::plan::{Part, Run};
use super::writer::RunWriter;
use super::{Work, cancelled};
use crate::deployment::{Batch, Bound, Described, Documents, ReadAt, Scan, id_of};
use crate::error::{Code, Error, Result};
use crate::manifest::Segment;
use crate::progress::{Event, Warning};

/// How often a run is read again from its start.
const READ_AGAIN_MAX: u32 = 3;

/// A run, read to its end.
pub(super) struct RunRead {
    pub(super) place: usize,
    pub(super) namespaces: Vec<NamespaceRead>,
    pub(super) segments: Vec<Segment>,
    /// The part number after the last one that was used.
    pub(super) next_part: usize,
}

/// A namespace, or a part of one, read to its end.
pub(super) struct NamespaceRead {
    pub(super) place: usize,
    pub(super) documents: u64,
    pub(super) bytes: u64,
    pub(super) crc: Crc64,
    /// Not at the snapshot's moment.
    pub(super) plainly: bool,
}

/// Reads one run. Where a cursor is lost that cannot be taken up, what was stored of this run is taken back and
/// the run is read again, as it is then.
pub(super) async fn read(work: &Arc<Work>, place: usize) -> Result<RunRead> {
    let mut at = work.moment.at;
    let mut first_part = 0;
    let mut again = 0;
    loop {
        let (stop, parts) = match attempt(work, place, at, first_part).await {
            Ok(read) => return Ok(read),
            Err(failed) => failed,
        };
        match stop {
            Stop::Again(error) if again < READ_AGAIN_MAX => {
                let name = work.namespaces[work.plan.runs[place].namespaces[0]].name();
                let reason = error.message().to_owned();
                work.sink.observer.observe(&Event::Warning(Warning::ReadAgain { namespace: name, reason }));
                work.sink.take_back_run(work.plan.run_number(place), parts).await;
                (at, first_part, again) = (work.moment.plainly(at), parts, again + 1);
            }
            Stop::Again(error) | Stop::Failed(error) => return Err(error),
        }
    }
}

/// On failure also says how many parts were begun, so that a second attempt takes other names.
async fn attempt(
    work: &Arc<Work>,
    place: usize,
    at: ReadAt,
    first_part: usize,
) -> Result<RunRead, (Stop, usize)> {
    let mut writer = RunWriter::new(work.clone(), work.plan.run_number(place), first_part);
    let mut namespaces = Vec::new();
    let outcome = async {
        let run = &work.plan.runs[place];
        for &namespace in &run.namespaces {
            namespaces.push(read_namespace(work, &mut writer, run, namespace, at).await?);
        }
        writer.end_segment()?;
        writer.store_finished().await?;
        Ok::<(), Stop>(())
    }
    .await;
    // Whatever happened: an upload under way is waited for, so that its outcome is known.
    let stored = writer.wait().await;
    let next_part = writer.next_part();
    match (outcome, stored) {
        (Ok(()), Ok(())) => Ok(RunRead { place, namespaces, segments: writer.into_segments(), next_part }),
        (Err(stop), _) => Err((stop, next_part)),
        (Ok(()), Err(error)) => Err((error.into(), next_part)),
    }
}

async fn read_namespace(
    work: &Work,
    writer: &mut RunWriter,
    run: &Run,
    place: usize,
    at: ReadAt,
) -> Result<NamespaceRead, Stop> {
    let described = &work.namespaces[place];
    writer.begin_namespace(place, archived(described))?;
    let mut read = NamespaceRead { place, documents: 0, bytes: 0, crc: Crc64::new(), plainly: false };
    if described.data_collection().is_some() {
        let (scan, end) = scan(work, run);
        let mut cursor = Cursor::new(work, described, at, scan);
        let outcome = drain(work, writer, &mut cursor, end, &mut read).await;
        outcome.map_err(|stop| stop.context(format!("reading `{}`", described.name())))?;
        read.plainly = cursor.plainly();
        if read.plainly {
            tokio::select! {
                noted = work.moment.read_plainly(&work.deployment) => noted?,
                () = work.sink.stop.cancelled() => return Err(cancelled().into()),
            }
        }
    }
    read.crc = if run.part.is_some() { writer.end_part()? } else { writer.end_namespace()? };
    work.sink.observer.observe(&Event::Namespace { name: described.name(), documents: read.documents });
    Ok(read)
}

pub(super) fn archived(described: &Described) -> ArchiveNamespace {
    let collection = described.data_collection().unwrap_or_else(|| described.collection.clone());
    ArchiveNamespace { db: described.db.clone(), collection }
}

/// Which documents of the run's collection, and the one after which a part ends.
fn scan(work: &Work, run: &Run) -> (Scan, Option<Bound>) {
    match (&run.part, &work.options.query) {
        (Some(Part::Natural { after, last }), _) => {
            (Scan::Natural(after.as_ref().map(Bound::position)), last.clone())
        }
        (Some(Part::Ids { from, to }), _) => (Scan::Ids(from.clone(), to.clone()), None),
        (None, Some(query)) => (Scan::Matching(query.document().clone()), None),
        (None, None) => (Scan::Natural(None), None),
    }
}

async fn drain(
    work: &Work,
    writer: &mut RunWriter,
    cursor: &mut Cursor<'_>,
    end: Option<Bound>,
    read: &mut NamespaceRead,
) -> Result<(), Stop> {
    while let Some(batch) = cursor.next().await? {
        let last = end.as_ref().filter(|end| reaches(&batch, end));
        let mut documents = batch.documents()?;
        let mut taken = Taken::default();
        while !taken.all {
            block_in_place(|| take(writer, &mut documents, last, &mut taken))?;
            writer.store_finished().await?;
        }
        read.documents += taken.documents;
        read.bytes += taken.bytes;
        work.sink.observer.observe(&Event::Advanced { documents: taken.documents, bytes: taken.bytes });
        work.pace.spend(taken.bytes).await;
        if last.is_some() {
            // At the snapshot's moment the document is there. Read plainly it may be deleted by now, and the next
            // part's first documents come twice: the same `_id` twice, of which the replay leaves one.
            return if taken.met_last || cursor.plainly() {
                Ok(())
            } else {
                Err(Error::new(Code::Internal, "the document between two parts did not come along").into())
            };
        }
    }
    Ok(())
}

/// Whether the scan has passed the place where the part ends.
fn reaches(batch: &Batch, end: &Bound) -> bool {
    batch.position().and_then(|position| position.record()).is_some_and(|record| record >= end.record)
}

/// What was taken of a batch.
#[derive(Default)]
struct Taken {
    documents: u64,
    bytes: u64,
    met_last: bool,
    /// Nothing more of it is wanted.
    all: bool,
}

/// Takes documents in until a segment is finished, or up to `last`, or all of them.
fn take(
    writer: &mut RunWriter,
    documents: &mut Documents<'_>,
    last: Option<&Bound>,
    taken: &mut Taken,
) -> Result<()> {
    for document in documents {
        let document = document?;
        writer.document(document)?;
        taken.documents += 1;
        taken.bytes += document.len() as u64;
        if let Some(last) = last
            && id_of(document).is_some_and(|id| id == last.id)
        {
            (taken.met_last, taken.all) = (true, true);
            return Ok(());
        }
        if writer.has_finished() {
            return Ok(());
        }
    }
    taken.all = true;
    Ok(())
}

impl Stop {
    fn context(self, context: String) -> Self {
        match self {
            Self::Again(error) => Self::Again(error.context(context)),
            Self::Failed(error) => Self::Failed(error.context(context)),
        }
    }
}
