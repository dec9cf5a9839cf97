//! The course of things: backups come, expire and go, day by day.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::{DayStored, Foreseen, Stored, Subject};
use crate::retention::{Dated, Retention, Standing, judge};
use crate::schedule::{Zone, start_of_day};

/// How many judgements one simulation may take, so that a request costs a second or two at most.
const JUDGEMENTS_MAX: usize = 10_000_000;

/// Backups that are there, and those to come.
pub(super) struct Course<'a> {
    retention: &'a Retention,
    zone: Zone,
    grace: TimeDelta,
    now: DateTime<Utc>,
    backups: Vec<Stored>,
    /// How many of the backups are there already.
    there: usize,
    /// Whether nothing can expire.
    keeps_all: bool,
}

/// What was seen on the way.
pub(super) struct Seen {
    /// What is there at the end, newest first.
    pub(super) there: Vec<Foreseen>,
    /// What expired, in its order.
    pub(super) expired: Vec<Foreseen>,
    pub(super) days: Vec<DayStored>,
    pub(super) stretches: Vec<Stretch>,
    /// Backups that were made.
    pub(super) made: Vec<(NaiveDate, u64)>,
    /// Backups that were deleted.
    pub(super) swept: Vec<Gone>,
}

/// A part of a day at whose end so much was stored.
pub(super) struct Stretch {
    pub(super) date: NaiveDate,
    pub(super) seconds: u64,
    pub(super) bytes: u64,
}

/// A backup that was deleted.
pub(super) struct Gone {
    pub(super) date: NaiveDate,
    pub(super) bytes: u64,
    pub(super) age: TimeDelta,
}

/// How things are on the way. Numbers are places in the list of backups.
#[derive(Default)]
struct State {
    kept: Vec<usize>,
    expired: Vec<(usize, Foreseen)>,
    /// Places in the list of those that expired.
    in_grace: Vec<usize>,
    judgements: usize,
}

impl State {
    fn in_grace(&self) -> impl Iterator<Item = &Foreseen> {
        self.in_grace.iter().filter_map(|place| self.expired.get(*place)).map(|(_, foreseen)| foreseen)
    }
}

impl<'a> Course<'a> {
    pub(super) fn new(subject: &Subject<'a>, to_come: &[Stored], now: DateTime<Utc>) -> Self {
        let hours = i64::try_from(subject.grace_hours.get()).unwrap_or(i64::MAX);
        let discarded = |stored: &Stored| stored.backup.standing == Standing::Discarded;
        Self {
            keeps_all: subject.retention.keeps_all() && !subject.backups.iter().any(discarded),
            retention: subject.retention,
            zone: subject.schedule.zone(),
            grace: TimeDelta::hours(hours),
            now,
            there: subject.backups.len(),
            backups: [subject.backups, to_come].concat(),
        }
    }

    fn date(&self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.zone.tz()).date_naive()
    }

    /// Now, each midnight, and the end.
    fn looks(&self, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let dates = self.date(self.now).iter_days().skip(1);
        let midnights = dates.map(|date| start_of_day(self.zone, date)).take_while(|at| *at < until);
        let between = midnights.filter(|at| *at > self.now);
        std::iter::once(self.now).chain(between).chain([until]).collect()
    }

    pub(super) fn run(&self, until: DateTime<Utc>) -> Result<Seen, String> {
        let dated: Vec<_> = self.backups.iter().map(|stored| Dated::of(&stored.backup, self.zone)).collect();
        let mut state = State { kept: (0..self.there).collect(), ..State::default() };
        let (mut days, mut stretches, mut swept) = (Vec::new(), Vec::new(), Vec::new());
        let (mut came, mut before) = (self.there, self.now);
        for at in self.looks(until) {
            let arrived = self.backups[came..].iter().take_while(|stored| stored.backup.at <= at).count();
            state.kept.extend(came..came + arrived);
            came += arrived;
            self.expire(&mut state, &dated, at)?;
            swept.extend(self.sweep(&mut state, at));
            if at > before {
                // Midnight is the end of the day before.
                let date = self.date(at - TimeDelta::milliseconds(1));
                let kept = state.kept.iter().map(|place| self.backups[*place].bytes);
                let bytes =
                    kept.chain(state.in_grace().map(|foreseen| foreseen.bytes)).fold(0, u64::saturating_add);
                days.push(DayStored {
                    date,
                    backups: (state.kept.len() + state.in_grace.len()) as u64,
                    bytes,
                });
                stretches.push(Stretch { date, seconds: (at - before).num_seconds().unsigned_abs(), bytes });
            }
            before = at;
        }
        let made =
            self.backups[self.there..].iter().map(|stored| (self.date(stored.backup.at), stored.bytes));
        let there = self.there_at(&state, &dated, until);
        let expired = state.expired.into_iter().map(|(_, foreseen)| foreseen).collect();
        Ok(Seen { there, expired, days, stretches, made: made.collect(), swept })
    }

    fn expire(&self, state: &mut State, dated: &[Dated<'_>], at: DateTime<Utc>) -> Result<(), String> {
        if self.keeps_all {
            return Ok(());
        }
        state.judgements += state.kept.len();
        if state.judgements > JUDGEMENTS_MAX {
            return Err(
                "so many backups over so many days are too much to look at; give an earlier date".into()
            );
        }
        let kept: Vec<_> = state.kept.iter().map(|place| &dated[*place]).collect();
        let judged = judge(&kept, self.retention, at);
        for (place, judged) in std::mem::take(&mut state.kept).into_iter().zip(judged) {
            if judged.keep {
                state.kept.push(place);
                continue;
            }
            let swept_at = self.backups[place].sweep_after.unwrap_or(at + self.grace);
            let (reasons, expired_at) = (judged.words(), Some(at));
            let foreseen = Foreseen { reasons, expired_at, swept_at: Some(swept_at), ..self.foreseen(place) };
            state.in_grace.push(state.expired.len());
            state.expired.push((place, foreseen));
        }
        Ok(())
    }

    /// Deletes what has had its grace.
    fn sweep(&self, state: &mut State, at: DateTime<Utc>) -> Vec<Gone> {
        let expired = &state.expired;
        let is_over = |place: &mut usize| expired[*place].1.swept_at.is_some_and(|swept| swept <= at);
        let over = state.in_grace.extract_if(.., is_over);
        let gone = |place: usize| {
            let (backup, foreseen) = &expired[place];
            let (swept_at, stored) = (foreseen.swept_at.unwrap_or(at).max(self.now), &self.backups[*backup]);
            Gone { date: self.date(swept_at), bytes: stored.bytes, age: swept_at - stored.backup.at }
        };
        over.map(gone).collect()
    }

    fn foreseen(&self, place: usize) -> Foreseen {
        let stored = &self.backups[place];
        let id = (place < self.there).then(|| stored.backup.id.clone());
        let (at, bytes) = (stored.backup.at, stored.bytes);
        Foreseen { id, at, bytes, reasons: Vec::new(), expired_at: None, swept_at: None }
    }

    /// What is there at the end, newest first.
    fn there_at(&self, state: &State, dated: &[Dated<'_>], until: DateTime<Utc>) -> Vec<Foreseen> {
        let kept: Vec<_> = state.kept.iter().map(|place| &dated[*place]).collect();
        let judged = judge(&kept, self.retention, until);
        let kept = state.kept.iter().zip(judged);
        let kept = kept.map(|(place, judged)| Foreseen { reasons: judged.words(), ..self.foreseen(*place) });
        let mut there: Vec<_> = kept.chain(state.in_grace().cloned()).collect();
        there.sort_by_key(|foreseen| std::cmp::Reverse(foreseen.at));
        there
    }
}
