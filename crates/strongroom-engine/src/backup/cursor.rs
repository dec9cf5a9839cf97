//! A cursor that is taken up where it stopped: when the connection breaks, when a member restarts, and when the
//! moment of the snapshot leaves the server's history.

use tokio_util::task::AbortOnDropHandle;

use super::lost;
use super::moment::plainly;
use super::resume::{Next, Progress, Stop};
use super::stretches::batch_documents;
use crate::deployment::{
    Batch, Batches, CollectionId, Deployment, Described, Find, ReadAt, Scan, Setback, Turn,
};
use crate::error::{Code, Error, Result};
use crate::job::Job;
use crate::progress::Warning;

/// The bytes of documents that a reply should hold: enough that round trips do not count, and little enough that
/// its memory is used again and stays in the processor's cache.
const REPLY_BYTES: u64 = 1024 * 1024;

/// What a server's cursor said, and the cursor.
type Reply = (Batches, Result<Option<Batch>, Setback>);

async fn next_of(mut batches: Batches) -> Reply {
    let reply = batches.next().await;
    (batches, reply)
}

/// A scan of one collection, or a range of it, to its end.
pub(super) struct Cursor<'a> {
    deployment: &'a Deployment,
    described: &'a Described,
    job: &'a Job,
    progress: Progress,
    /// How it was read at first.
    began_at: ReadAt,
    /// The reply that was asked for while the one before it is worked on.
    coming: Option<AbortOnDropHandle<Reply>>,
    was_dropped: bool,
    /// The member that was asked last.
    turn: Turn,
}

impl<'a> Cursor<'a> {
    /// `replayed` says whether a replay of the oplog makes exact what is not read at the snapshot's moment.
    pub(super) fn new(
        deployment: &'a Deployment,
        described: &'a Described,
        (at, scan): (ReadAt, Scan),
        replayed: bool,
        job: &'a Job,
    ) -> Self {
        // MongoDB refuses to read capped collections in the past (its manual, "Read Concern snapshot").
        let at = if described.capped { plainly(at) } else { at };
        let collection = deployment.collection_id(described);
        let by_place = matches!(collection, CollectionId::Uuid(_)) && !described.clustered;
        let batch_documents = batch_documents(described, REPLY_BYTES);
        let is_raw = described.is_raw;
        let began_at = at;
        let find = Find { db: described.db.clone(), collection, at, scan, is_raw, batch_documents };
        let progress = Progress::new(find, replayed && by_place && !described.capped);
        let (coming, was_dropped, turn) = (None, false, Turn::FIRST);
        Self { deployment, described, job, progress, began_at, coming, was_dropped, turn }
    }

    /// Whether any of it was not read at the snapshot's moment.
    pub(super) fn plainly(&self) -> bool {
        self.progress.plainly
    }

    /// Whether the server lost the snapshot's moment before the end, so that the rest is read as it is now.
    pub(super) fn has_lost_the_moment(&self) -> bool {
        self.progress.find.at != self.began_at
    }

    /// Whether the collection was dropped while it was read.
    pub(super) fn was_dropped(&self) -> bool {
        self.was_dropped
    }

    /// The next batch; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>, Stop> {
        loop {
            let job = self.job;
            match job.unless_cancelled(async { Ok(self.step().await) }).await? {
                Ok(Some(batch)) => {
                    if self.progress.is_new(batch.position()) {
                        return Ok(Some(batch));
                    }
                }
                Ok(None) => return Ok(None),
                Err(setback) => {
                    if self.is_over(setback).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The next reply, and behind it the request for the one after it, so that the server is never waited for
    /// longer than it takes.
    async fn step(&mut self) -> Result<Option<Batch>, Setback> {
        let (batches, reply) = match self.coming.take() {
            Some(coming) => coming.await.map_err(|e| {
                Setback::Final(Error::new(Code::Internal, "a read ended abruptly").caused_by(e))
            })?,
            None => {
                self.turn = self.deployment.turn();
                next_of(self.deployment.read(&self.progress.find).await?).await
            }
        };
        if let Ok(Some(_)) = reply {
            self.coming = Some(AbortOnDropHandle::new(tokio::spawn(next_of(batches))));
        }
        reply
    }

    /// Prepares to go on; whether there is nothing to go on with.
    async fn is_over(&mut self, setback: Setback) -> Result<bool, Stop> {
        self.job.check()?;
        match self.progress.after(setback, rand::random())? {
            Next::GoOn => {}
            Next::Wait { pause, why } => {
                self.deployment.retries("reading", &self.described.name(), &why, pause);
                lost::tell(self.deployment, self.job);
                let recovering = async {
                    tokio::time::sleep(pause).await;
                    lost::go_elsewhere(self.deployment, self.turn, self.progress.elsewhere(), self.job).await;
                    Ok(())
                };
                self.job.unless_cancelled(recovering).await?;
            }
            Next::Dropped => {
                self.job.warn(Warning::DroppedWhileRead { namespace: self.described.name() });
                self.was_dropped = true;
            }
        }
        Ok(self.was_dropped)
    }
}
