//! How a scan goes on after a setback: decided here, done by the cursor. Pure.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::deployment::{Find, Position, ReadAt, Scan, Setback};
use crate::error::{Code, Error};

use super::moment::plainly;

/// A scan is taken up again for a good minute without a batch in between: time for a member to restart.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(32), 9);

/// A wait to its limit counts for so many failures.
const STALL_FAILURES: u32 = 3;
/// From so many failures on without a batch in between another member is read if this one does not answer: one that
/// restarts at once is gone on with, since on another one the scan begins anew.
const ELSEWHERE_FROM: u32 = 2;
/// The same if it answers, but the scan still does not go on.
const INSIST_FROM: u32 = 6;

/// Whether to go on with another member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elsewhere {
    /// Not yet.
    No,
    /// If this one cannot be read any more.
    IfLost,
    /// Whatever this one says.
    Insist,
}

/// Where a scan stands, and what it was through.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    pub(super) find: Find,
    /// Whether any of it was not read at the snapshot's moment.
    pub(super) plainly: bool,
    /// Whether documents may be handed out twice: not those of a ring, where order and number count, and only where
    /// the oplog leaves one of them.
    may_repeat: bool,
    /// After the last batch that was handed out.
    position: Option<Position>,
    /// Batches up to this record were handed out already: the scan had to begin anew.
    skip: Option<i64>,
    failures: u32,
    /// Whether what was last asked for came damaged once.
    was_damaged: bool,
    /// Whether something was handed out.
    begun: bool,
}

/// What to do after a setback.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Go on at once.
    GoOn,
    /// Go on after a pause.
    Wait {
        /// How long.
        pause: Duration,
        /// What went wrong.
        why: String,
    },
    /// There is nothing to go on with: the collection was dropped.
    Dropped,
}

/// Why a scan does not go on.
#[derive(Debug)]
pub(super) enum Stop {
    /// What was read must be read again from its start: at the same moment, or as it is now.
    Again {
        why: Error,
        as_it_is: bool,
    },
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Stop {
    pub(super) fn context(self, context: String) -> Self {
        match self {
            Self::Again { why, as_it_is } => Self::Again { why: why.context(context), as_it_is },
            Self::Failed(error) => Self::Failed(error.context(context)),
        }
    }
}

impl Progress {
    pub(super) fn new(find: Find, may_repeat: bool) -> Self {
        let position = match &find.scan {
            Scan::Natural(after) => after.clone(),
            Scan::Ids(..) | Scan::Matching(_) => None,
        };
        let plainly = !matches!(find.at, ReadAt::Snapshot(_));
        Self {
            find,
            plainly,
            may_repeat,
            position,
            skip: None,
            failures: 0,
            was_damaged: false,
            begun: false,
        }
    }

    /// Takes note of a batch that came, and of where the scan stands after it; whether it is to be handed out. One
    /// that reaches beyond what was handed out is handed out whole: what stands in it twice has the same `_id`
    /// twice, and the replay of the oplog leaves one.
    pub(super) fn is_new(&mut self, stands: Option<Position>) -> bool {
        if let (Some(skip), Some(record)) = (self.skip, stands.as_ref().and_then(Position::record)) {
            if record <= skip {
                return false;
            }
            self.skip = None;
        }
        self.position = stands.or(self.position.take());
        (self.failures, self.was_damaged, self.begun) = (0, false, true);
        true
    }

    /// Prepares to go on. `random` is evenly spread over 0 to 1.
    pub(super) fn after(&mut self, setback: Setback, random: f64) -> Result<Next, Stop> {
        match setback {
            Setback::TooOld(_) if !self.plainly => {
                self.plainly = true;
                self.find.at = plainly(self.find.at);
                // The rest is read as it is now.
                self.resume(Error::new(Code::SnapshotTooOld, "the snapshot's moment is gone"), true)?;
                Ok(Next::GoOn)
            }
            Setback::Lost(error) | Setback::TooOld(error) => {
                self.failures += if error.code() == Code::Stalled { STALL_FAILURES } else { 1 };
                let Some(pause) = BACKOFF.jittered_pause(self.failures, random) else {
                    return Err(error.context("after several tries to go on").into());
                };
                let why = error.message().to_owned();
                self.resume(error, false)?;
                Ok(Next::Wait { pause, why })
            }
            Setback::Damaged(error) if self.was_damaged => Err(error.context("twice").into()),
            Setback::Damaged(error) => {
                self.was_damaged = true;
                let why = error.message().to_owned();
                self.resume(error, false)?;
                Ok(Next::Wait { pause: BACKOFF.jittered_pause(1, random).unwrap_or_default(), why })
            }
            Setback::PositionGone(error) => {
                self.failures += 1;
                if self.failures > BACKOFF.retries() || !self.may_begin_anew() {
                    return Err(Stop::Again { why: error, as_it_is: true });
                }
                self.skip = self.position.as_ref().and_then(Position::record);
                self.find.scan = Scan::Natural(self.position.as_ref().map(Position::at_the_beginning));
                Ok(Next::GoOn)
            }
            Setback::Elsewhere(why) => Err(Stop::Again { why, as_it_is: false }),
            Setback::CollectionGone(_) => {
                self.plainly = true;
                Ok(Next::Dropped)
            }
            Setback::Final(error) => Err(error.into()),
        }
    }

    /// Records keep their places, so a scan goes on after the last one that was read.
    fn resume(&mut self, why: Error, as_it_is: bool) -> Result<(), Stop> {
        match (&self.find.scan, &self.position) {
            (Scan::Natural(_), Some(position)) => {
                self.find.scan = Scan::Natural(Some(position.clone()));
                Ok(())
            }
            _ if self.begun => Err(Stop::Again { why, as_it_is }),
            _ => Ok(()),
        }
    }

    /// Which other members may be gone on with.
    pub(super) fn elsewhere(&self) -> Elsewhere {
        match self.failures {
            0..ELSEWHERE_FROM => Elsewhere::No,
            ELSEWHERE_FROM..INSIST_FROM => Elsewhere::IfLost,
            INSIST_FROM.. => Elsewhere::Insist,
        }
    }

    fn may_begin_anew(&self) -> bool {
        self.plainly && self.may_repeat && matches!(self.find.scan, Scan::Natural(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::CollectionId;
    use crate::moment::ClusterTime;

    const SNAPSHOT: ReadAt = ReadAt::Snapshot(ClusterTime { seconds: 7, increment: 1 });

    fn natural(at: ReadAt, may_repeat: bool) -> Progress {
        let collection = CollectionId::Uuid([7; 16]);
        let scan = Scan::Natural(None);
        let find = Find { db: "shop".into(), collection, at, scan, is_raw: false, batch_documents: None };
        Progress::new(find, may_repeat)
    }

    fn at(record: i64) -> Option<Position> {
        Some(Position::after_record(Some(record)))
    }

    fn lost() -> Setback {
        Setback::Lost(Error::new(Code::MongoHost, "the connection broke"))
    }

    fn gone() -> Setback {
        Setback::PositionGone(Error::new(Code::Mongo, "the record is gone"))
    }

    #[test]
    fn a_lost_scan_goes_on_after_the_last_batch_and_gives_up_in_the_end() {
        let mut progress = natural(SNAPSHOT, false);
        assert!(progress.is_new(at(10)));
        for _ in 0..BACKOFF.retries() {
            assert!(matches!(progress.after(lost(), 1.0), Ok(Next::Wait { .. })));
        }
        assert!(matches!(&progress.find.scan, Scan::Natural(after) if *after == at(10)));
        assert!(matches!(progress.after(lost(), 1.0), Err(Stop::Failed(_))));
        assert!(progress.is_new(at(20)), "a batch forgives what was before");
        assert!(progress.after(lost(), 1.0).is_ok() && !progress.plainly);
    }

    #[test]
    fn what_comes_damaged_is_fetched_once_more() {
        let damaged = || Setback::Damaged(Error::new(Code::Damaged, "a document came damaged"));
        let mut progress = natural(SNAPSHOT, false);
        for place in [10, 20] {
            assert!(progress.is_new(at(place)));
            assert!(matches!(progress.after(damaged(), 0.5), Ok(Next::Wait { .. })));
            assert!(matches!(&progress.find.scan, Scan::Natural(after) if *after == at(place)));
        }
        let Err(Stop::Failed(error)) = progress.after(damaged(), 0.5) else { panic!("it goes on") };
        assert_eq!(error.code(), Code::Damaged);
    }

    #[test]
    fn without_its_moment_the_rest_is_read_as_it_is_now() {
        let mut progress = natural(SNAPSHOT, false);
        let too_old = || Setback::TooOld(Error::new(Code::SnapshotTooOld, "too old"));
        assert_eq!(progress.after(too_old(), 0.5).unwrap(), Next::GoOn);
        assert_eq!((progress.plainly, progress.find.at), (true, ReadAt::Committed));
        assert!(
            matches!(progress.after(too_old(), 0.5), Ok(Next::Wait { .. })),
            "then it is a setback as others"
        );
    }

    #[test]
    fn a_scan_whose_place_is_gone_begins_anew_only_where_documents_may_come_twice() {
        let mut progress = natural(ReadAt::Committed, true);
        assert!(progress.is_new(at(10)));
        assert_eq!(progress.after(gone(), 0.5).unwrap(), Next::GoOn);
        assert_eq!([at(5), at(10), at(15)].map(|stands| progress.is_new(stands)), [false, false, true]);
        for (read, may_repeat) in [(SNAPSHOT, true), (ReadAt::Committed, false)] {
            let mut progress = natural(read, may_repeat);
            assert!(progress.is_new(at(10)));
            assert!(matches!(progress.after(gone(), 0.5), Err(Stop::Again { .. })));
        }
    }

    #[test]
    fn a_query_that_was_begun_is_read_again_and_a_dropped_collection_is_over() {
        let mut progress = natural(SNAPSHOT, false);
        progress.find.scan = Scan::Matching(bson::doc! { "a": 1 });
        assert!(progress.after(lost(), 0.5).is_ok(), "nothing was handed out yet");
        assert!(progress.is_new(None));
        assert!(matches!(progress.after(lost(), 0.5), Err(Stop::Again { .. })));
        assert_eq!(progress.find.at, SNAPSHOT, "at the same moment");
        let dropped = Setback::CollectionGone(Error::new(Code::Mongo, "no such collection"));
        assert_eq!(progress.after(dropped, 0.5).unwrap(), Next::Dropped);
        assert!(progress.plainly);
    }

    #[test]
    fn another_member_is_gone_on_with_when_this_one_stays_away_and_there_all_is_read_again() {
        let mut progress = natural(SNAPSHOT, false);
        assert!(progress.is_new(at(10)));
        let mut elsewhere = Vec::new();
        for _ in 0..INSIST_FROM {
            elsewhere.push(progress.elsewhere());
            assert!(progress.after(lost(), 0.5).is_ok());
        }
        elsewhere.push(progress.elsewhere());
        assert_eq!(elsewhere[..3], [Elsewhere::No, Elsewhere::No, Elsewhere::IfLost]);
        assert_eq!(elsewhere.last(), Some(&Elsewhere::Insist));
        assert!(progress.is_new(at(20)) && progress.elsewhere() == Elsewhere::No);
        let stalled = Setback::Lost(Error::new(Code::Stalled, "no answer"));
        assert!(progress.after(stalled, 0.5).is_ok());
        assert_eq!(progress.elsewhere(), Elsewhere::IfLost, "it was waited for long enough");
        let moved = Setback::Elsewhere(Error::new(Code::MongoHost, "another member is read"));
        assert!(matches!(progress.after(moved, 0.5), Err(Stop::Again { as_it_is: false, .. })));
    }
}
