//! How far the oplog must lead, and whether it can: what was not read at the moment is made exact by a replay up to
//! where it was read, and an entry that cannot be replayed may stand before that.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::moment::Moment;
use crate::deployment::{Deployment, Described, ReadAt};
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::moment::ClusterTime;

/// What readers and the capture of the oplog tell each other.
#[derive(Debug)]
pub(super) struct Reach {
    is_kept: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The newest entry at the end of each read that was not at the moment.
    needed: Option<ClusterTime>,
    /// The same of what comes first: the listing and, where all else is read at a moment, capped collections.
    needed_first: Option<ClusterTime>,
    /// Places of these capped collections, until they are read.
    rings: BTreeSet<usize>,
    wall: Option<Wall>,
    /// Whether somebody met the wall.
    is_hit: bool,
}

/// The first entry that cannot be replayed.
#[derive(Debug, Clone)]
struct Wall {
    at: ClusterTime,
    cause: String,
}

impl Reach {
    pub(super) fn new(moment: &Moment, namespaces: &[Described]) -> Self {
        let first = moment.snapshot().is_some();
        let rings = namespaces.iter().enumerate().filter(|(_, namespace)| first && namespace.capped);
        let state = State {
            needed: moment.reach,
            needed_first: moment.reach.filter(|_| first),
            rings: rings.map(|(place, _)| place).collect(),
            wall: None,
            is_hit: false,
        };
        Self { is_kept: moment.from.is_some(), state: Mutex::new(state) }
    }

    /// Notes that the namespace at `place` was just read as it is now: [`ReadAt::Committed`] where a majority of the
    /// set has it, [`ReadAt::Now`] where it need not have it yet.
    ///
    /// # Errors
    /// As the server fails, and [`Code::Mongo`] if the oplog cannot lead that far.
    pub(super) async fn note(&self, deployment: &Deployment, at: ReadAt, place: usize) -> Result<()> {
        if !self.is_kept {
            return Ok(());
        }
        let now = deployment.newest(at).await?;
        self.state().read(place, now)
    }

    /// Asked while something is read as it is now: whether that is of any use.
    ///
    /// # Errors
    /// [`Code::Mongo`] if the oplog ends before.
    pub(super) fn check(&self) -> Result<()> {
        self.state().check()
    }

    /// Notes that the committed entry of `at` cannot be replayed, because of `cause`.
    ///
    /// # Errors
    /// [`Code::Mongo`] if it would have to be.
    pub(super) fn ends_before(&self, at: ClusterTime, cause: &str) -> Result<()> {
        self.state().ends_before(Wall { at, cause: cause.to_owned() })
    }

    /// The moment that the oplog must reach, if it is needed.
    pub(super) fn needed(&self) -> Option<ClusterTime> {
        self.state().needed
    }

    /// Why another moment is to be tried: the oplog ends too early, and little was done until then. Only what comes first
    /// was read as it is now, or the attempt `was_short`.
    pub(super) fn wants_another_moment(&self, was_short: bool) -> Option<String> {
        self.state().wants_another_moment(was_short)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn read(&mut self, place: usize, now: ClusterTime) -> Result<()> {
        self.needed = self.needed.max(Some(now));
        if self.rings.remove(&place) {
            self.needed_first = self.needed_first.max(Some(now));
        }
        self.compare()
    }

    fn ends_before(&mut self, wall: Wall) -> Result<()> {
        self.wall = Some(wall);
        self.compare()
    }

    fn compare(&mut self) -> Result<()> {
        match (&self.wall, self.needed) {
            (Some(wall), Some(needed)) if needed >= wall.at => {
                self.is_hit = true;
                Err(no_moment(needed, &wall.cause))
            }
            _ => Ok(()),
        }
    }

    /// The entry is committed, so what is read now is read after it.
    fn check(&mut self) -> Result<()> {
        match &self.wall {
            Some(wall) => {
                self.is_hit = true;
                Err(no_moment("the end of this", &wall.cause))
            }
            None => Ok(()),
        }
    }

    fn wants_another_moment(&self, was_short: bool) -> Option<String> {
        let wall = self.wall.as_ref().filter(|_| self.is_hit)?;
        let is_early = !self.rings.is_empty() || self.needed_first.is_some_and(|needed| needed >= wall.at);
        (is_early || was_short).then(|| wall.cause.clone())
    }
}

/// The oplog is needed up to `needed`, but `cause`.
pub(super) fn no_moment(needed: impl fmt::Display, cause: &str) -> Error {
    Error::new(Code::Mongo, format!("no consistent moment: the oplog is needed up to {needed}, but {cause}"))
        .help(help![
            "Back up again when no such change is under way and all members are up; a larger oplog or more ",
            Setting::Readers,
            " may help too."
        ])
}

#[cfg(test)]
mod tests {
    use super::super::testing::collection;
    use super::*;

    fn time(seconds: u32) -> ClusterTime {
        ClusterTime { seconds, increment: 1 }
    }

    /// Of a ring at place 1 and a collection at place 0, read at time 10.
    fn reach(at: ReadAt, listed: Option<ClusterTime>) -> Reach {
        let mut namespaces = [collection("orders", 1), collection("ring", 1)];
        namespaces[1].capped = true;
        let moment =
            Moment { at, from: Some(time(10)), capture_from: Some(time(9)), reach: listed, settled: true };
        Reach::new(&moment, &namespaces)
    }

    fn snapshot() -> Reach {
        reach(ReadAt::Snapshot(time(10)), None)
    }

    #[test]
    fn a_wall_before_the_rings_were_read_wants_another_moment() {
        let before = snapshot();
        before.ends_before(time(12), "it was renamed").unwrap();
        assert_eq!(before.wants_another_moment(true), None, "nobody met it yet");
        let error = before.check().unwrap_err();
        assert!(error.message().contains("but it was renamed"), "{error}");
        assert_eq!(before.wants_another_moment(false).as_deref(), Some("it was renamed"));

        let at_the_end = snapshot();
        at_the_end.ends_before(time(12), "it was renamed").unwrap();
        assert!(at_the_end.state().read(1, time(12)).is_err());
        assert!(at_the_end.wants_another_moment(false).is_some());

        let seen_later = snapshot();
        seen_later.state().read(1, time(13)).unwrap();
        assert!(seen_later.ends_before(time(12), "it was renamed").is_err());
        assert!(seen_later.wants_another_moment(false).is_some());
    }

    #[test]
    fn a_wall_behind_all_that_needs_the_oplog_is_none() {
        let reach = snapshot();
        reach.state().read(1, time(11)).unwrap();
        reach.ends_before(time(12), "it was renamed").unwrap();
        assert_eq!((reach.needed(), reach.wants_another_moment(true)), (Some(time(11)), None));
    }

    #[test]
    fn what_is_read_as_it_is_now_behind_the_wall_wants_another_moment_only_if_little_was_done() {
        let reach = snapshot();
        reach.state().read(1, time(11)).unwrap();
        reach.ends_before(time(12), "it was renamed").unwrap();
        assert!(reach.check().is_err() && reach.state().read(0, time(20)).is_err());
        assert_eq!(reach.wants_another_moment(false), None);
        assert!(reach.wants_another_moment(true).is_some());
    }

    #[test]
    fn a_listing_that_the_oplog_does_not_lead_to_wants_another_moment() {
        let reach = reach(ReadAt::Snapshot(time(10)), Some(time(14)));
        assert!(reach.ends_before(time(12), "it was renamed").is_err());
        assert!(reach.wants_another_moment(false).is_some());
    }

    #[test]
    fn where_all_is_read_as_it_is_now_nothing_comes_first() {
        let reach = reach(ReadAt::Committed, Some(time(11)));
        reach.ends_before(time(12), "it was renamed").unwrap();
        assert!(reach.check().is_err());
        assert_eq!(reach.wants_another_moment(false), None);
    }
}
