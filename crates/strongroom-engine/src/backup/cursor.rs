//! A cursor that is taken up where it stopped: when the connection breaks, when a member restarts, and when the
//! moment of the snapshot leaves the server's history.

use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::plan::batch_documents;
use super::{Work, cancelled};
use crate::backoff::Backoff;
use crate::deployment::{Batch, Batches, CollectionId, Described, Find, Position, ReadAt, Scan, Setback};
use crate::error::{Code, Error, Result};
use crate::progress::{Event, Warning};

/// The bytes of documents that a reply should hold: enough that round trips do not count, and little enough that
/// its memory is used again and stays in the processor's cache.
const REPLY_BYTES: u64 = 1024 * 1024;
/// A scan is taken up again for a good minute without a batch in between: time for a member to restart.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(32), 9);

/// What a server's cursor said, and the cursor.
type Reply = (Batches, Result<Option<Batch>, Setback>);

async fn next_of(mut batches: Batches) -> Reply {
    let reply = batches.next().await;
    (batches, reply)
}

/// A scan of one collection, or a part of it, to its end.
pub(super) struct Cursor<'a> {
    work: &'a Work,
    described: &'a Described,
    find: Find,
    /// The reply that was asked for while the one before it is worked on.
    coming: Option<AbortOnDropHandle<Reply>>,
    /// After the last batch that was handed out.
    position: Option<Position>,
    /// Batches up to this record were handed out already: the scan had to begin anew.
    skip: Option<i64>,
    tries: u32,
    /// Whether something was handed out.
    begun: bool,
    plainly: bool,
}

/// Why a cursor does not go on.
pub(super) enum Stop {
    /// What was read must be read again from its start.
    Again(Error),
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<'a> Cursor<'a> {
    pub(super) fn new(work: &'a Work, described: &'a Described, at: ReadAt, scan: Scan) -> Self {
        // MongoDB refuses to read capped collections in the past (its manual, "Read Concern snapshot").
        let at = if described.capped { work.moment.plainly(at) } else { at };
        let position = match &scan {
            Scan::Natural(after) => after.clone(),
            Scan::Ids(..) | Scan::Matching(_) => None,
        };
        let find = Find {
            db: described.db.clone(),
            collection: work.deployment.collection_id(described),
            at,
            scan,
            batch_documents: batch_documents(described, REPLY_BYTES),
        };
        let plainly = !matches!(at, ReadAt::Snapshot(_));
        Self { work, described, find, coming: None, position, skip: None, tries: 0, begun: false, plainly }
    }

    /// Whether any of it was not read at the snapshot's moment.
    pub(super) fn plainly(&self) -> bool {
        self.plainly
    }

    /// The next batch; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>, Stop> {
        loop {
            match self.step().await {
                Ok(Some(batch)) if self.is_known(&batch) => {}
                Ok(Some(batch)) => {
                    self.position = batch.position().or(self.position.take());
                    (self.tries, self.begun) = (0, true);
                    return Ok(Some(batch));
                }
                Ok(None) => return Ok(None),
                Err(setback) if self.work.sink.stop.is_cancelled() => {
                    drop(setback);
                    return Err(cancelled().into());
                }
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
        let stop = self.work.sink.stop.clone();
        let step = async {
            let (batches, reply) = match self.coming.take() {
                Some(coming) => coming.await.map_err(|e| {
                    Setback::Final(Error::new(Code::Internal, "a read ended abruptly").caused_by(e))
                })?,
                None => next_of(self.work.deployment.read(&self.find).await?).await,
            };
            if let Ok(Some(_)) = reply {
                self.coming = Some(AbortOnDropHandle::new(tokio::spawn(next_of(batches))));
            }
            reply
        };
        tokio::select! {
            step = step => step,
            () = stop.cancelled() => Err(Setback::Final(cancelled())),
        }
    }

    /// A batch that reaches beyond what was handed out is handed out whole: what stands in it twice has the same
    /// `_id` twice, and the replay of the oplog leaves one.
    fn is_known(&mut self, batch: &Batch) -> bool {
        let (Some(skip), Some(stands)) = (self.skip, batch.position().and_then(|p| p.record())) else {
            return false;
        };
        if stands > skip {
            self.skip = None;
        }
        stands <= skip
    }

    /// Prepares to go on; whether there is nothing to go on with.
    async fn is_over(&mut self, setback: Setback) -> Result<bool, Stop> {
        match setback {
            Setback::TooOld(_) if !self.plainly => {
                self.warn(Warning::SnapshotGone { namespace: self.described.name() });
                self.plainly = true;
                self.find.at = self.work.moment.plainly(self.find.at);
                self.resume(Error::new(Code::SnapshotTooOld, "the snapshot's moment is gone"))?;
                Ok(false)
            }
            Setback::Lost(error) | Setback::TooOld(error) => {
                self.tries += 1;
                let Some(pause) = BACKOFF.jittered_pause(self.tries, rand::random()) else {
                    return Err(error.context(format!("after {} tries to go on", BACKOFF.retries())).into());
                };
                wait(self.work, pause).await?;
                self.resume(error)?;
                Ok(false)
            }
            Setback::PositionGone(error) => {
                self.tries += 1;
                if self.tries > BACKOFF.retries() || !self.may_repeat() {
                    return Err(Stop::Again(error));
                }
                self.skip = self.position.as_ref().and_then(Position::record);
                self.find.scan = Scan::Natural(None);
                Ok(false)
            }
            Setback::CollectionGone(_) => {
                self.warn(Warning::DroppedWhileRead { namespace: self.described.name() });
                self.plainly = true;
                self.work.moment.saw_change(&self.work.deployment).await?;
                Ok(true)
            }
            other => Err(other.into_error().into()),
        }
    }

    /// Records keep their places, so a scan goes on after the last one that was read.
    fn resume(&mut self, why: Error) -> Result<(), Stop> {
        match (&self.find.scan, &self.position) {
            (Scan::Natural(_), Some(position)) => {
                self.find.scan = Scan::Natural(Some(position.clone()));
                Ok(())
            }
            _ if self.begun => Err(Stop::Again(why)),
            _ => Ok(()),
        }
    }

    /// Whether documents may be handed out twice: not those of a ring, where order and number count, and only where
    /// the oplog puts it right.
    fn may_repeat(&self) -> bool {
        self.plainly
            && self.work.moment.from.is_some()
            && !self.described.capped
            && !self.described.clustered
            && matches!(self.find.collection, CollectionId::Uuid(_))
            && matches!(self.find.scan, Scan::Natural(_))
    }

    fn warn(&self, warning: Warning) {
        self.work.sink.observer.observe(&Event::Warning(warning));
    }
}

async fn wait(work: &Work, pause: Duration) -> Result<(), Stop> {
    tokio::select! {
        () = tokio::time::sleep(pause) => Ok(()),
        () = work.sink.stop.cancelled() => Err(cancelled().into()),
    }
}
