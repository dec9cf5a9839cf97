//! Which occurrence is to be run now, and which were missed.
//!
//! A plan keeps a mark: occurrences up to it are dealt with. A look takes what is due since, and moves the mark. If the
//! clock was put back behind the mark, the mark goes back too, so that nothing is left out when it had been wrong before;
//! what has a run already is known by its time, so that nothing is run twice.

use std::collections::BTreeSet;
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Occurrences, QuietHours, Schedule, last_until, next_after, starts_at};
use crate::model::Running;

/// What a decision is made from.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// When the plan runs.
    pub schedule: &'a Schedule,
    /// How runs are started.
    pub running: &'a Running,
    /// The quiet hours of the whole service.
    pub quiet: Option<&'a QuietHours>,
    /// Occurrences up to here are dealt with. At first, and when the plan is resumed or its schedule changes:
    /// [`Schedule::counts_from`].
    pub mark: DateTime<Utc>,
    /// Times of occurrences after the mark that have a run already. There are some only if the clock was put back.
    pub taken: &'a BTreeSet<DateTime<Utc>>,
    /// The time.
    pub now: DateTime<Utc>,
}

/// What is to be done, all of it in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The mark from now on.
    pub mark: DateTime<Utc>,
    /// The one occurrence that is to be run now.
    pub run: Option<Due>,
    /// Occurrences that are not run.
    pub missed: Option<Gap>,
    /// When to look again: the next occurrence, or when quiet hours end. None: the plan never runs again.
    pub next: Option<DateTime<Utc>>,
    /// By how much the clock was put back behind the mark. It is worth a word in the log if that is more than seconds.
    pub clock_went_back: Option<TimeDelta>,
}

/// An occurrence that is to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Its time. No two runs of a plan have the same.
    pub scheduled_for: DateTime<Utc>,
    /// Whether it is late, and makes up for those that were missed.
    pub catch_up: bool,
}

/// Occurrences that are not run. Its text says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// How many. Counting ends at [`Gap::MAX`].
    pub count: u64,
    /// The time of the first.
    pub first: DateTime<Utc>,
    /// The time of the last.
    pub last: DateTime<Utc>,
}

impl Gap {
    /// As many as are counted.
    pub const MAX: u64 = 100_000;
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |time: DateTime<Utc>| time.format("%Y-%m-%d %H:%M UTC").to_string();
        if self.count == 1 {
            return write!(f, "the run of {} could not start in time", at(self.first));
        }
        let least = if self.count >= Self::MAX { "at least " } else { "" };
        let (count, first, last) = (self.count, at(self.first), at(self.last));
        write!(f, "{least}{count} runs from {first} to {last} could not start in time")
    }
}

/// For how long after its time an occurrence may still start: as set, or an hour, or half the time to the next one.
#[must_use]
pub fn start_within(schedule: &Schedule, running: &Running, at: DateTime<Utc>) -> TimeDelta {
    if let Some(minutes) = running.start_within_minutes {
        return TimeDelta::minutes(minutes.get().cast_signed());
    }
    let hour = TimeDelta::hours(1);
    next_after(schedule, at).map_or(hour, |next| hour.min((next.at - at) / 2))
}

/// Decides for one plan that is not paused.
#[must_use]
pub fn decide(look: &Look<'_>) -> Decision {
    let next = |after| next_after(look.schedule, after).map(|occurrence| occurrence.at);
    if look.now < look.mark {
        let (mark, by) = (look.now, look.mark - look.now);
        return Decision { mark, run: None, missed: None, next: next(mark), clock_went_back: Some(by) };
    }
    let idle = Decision { mark: look.mark, run: None, missed: None, next: None, clock_went_back: None };
    let Some(latest) = latest(look) else {
        let mark = look.taken.range(..=look.now).next_back().map_or(look.mark, |taken| look.mark.max(*taken));
        return Decision { mark, next: next(look.now), ..idle };
    };
    let quiet: Vec<_> = [look.quiet, look.running.quiet_hours.as_ref()].into_iter().flatten().collect();
    let opens = starts_at(look.now, &quiet);
    if opens != Some(look.now) {
        // What comes due until then is for the same start, so the mark stays.
        return Decision { next: opens, ..idle };
    }
    let could_start = starts_at(latest, &quiet).unwrap_or(latest);
    let in_time = look.now - could_start <= start_within(look.schedule, look.running, latest);
    let runs = in_time || look.running.catch_up;
    let run = runs.then_some(Due { scheduled_for: latest, catch_up: !in_time });
    Decision { mark: latest, run, missed: gap(look, latest, runs), next: next(look.now), ..idle }
}

/// The newest occurrence that is due and has no run.
fn latest(look: &Look<'_>) -> Option<DateTime<Utc>> {
    let mut until = look.now;
    loop {
        let last = last_until(look.schedule, until)?.at;
        if last <= look.mark {
            return None;
        }
        if !look.taken.contains(&last) {
            return Some(last);
        }
        until = last - TimeDelta::milliseconds(1);
    }
}

/// What is due and not run: all but the latest, or that too.
fn gap(look: &Look<'_>, latest: DateTime<Utc>, latest_runs: bool) -> Option<Gap> {
    let due = Occurrences::after(look.schedule, look.mark)
        .map(|occurrence| occurrence.at)
        .take_while(|at| *at < latest || (*at == latest && !latest_runs))
        .filter(|at| !look.taken.contains(at));
    let counted = due.take(usize::try_from(Gap::MAX).unwrap_or(usize::MAX));
    let gap = counted.fold(None, |gap: Option<Gap>, at| {
        Some(gap.map_or(Gap { count: 1, first: at, last: at }, |gap| Gap {
            count: gap.count + 1,
            last: at,
            ..gap
        }))
    })?;
    if gap.count < Gap::MAX {
        return Some(gap);
    }
    let before = if latest_runs { latest - TimeDelta::milliseconds(1) } else { latest };
    let last = last_until(look.schedule, before).map_or(gap.last, |occurrence| occurrence.at);
    Some(Gap { last, ..gap })
}

#[cfg(test)]
mod tests;
