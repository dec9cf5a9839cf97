//! The times of a schedule.

use std::collections::VecDeque;
use std::fmt::Write;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::cron::HORIZON_DAYS;
use super::zone::{Shown, shown};
use super::{Cron, Every, Once, Schedule, is_sane};

/// A time at which a plan runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Occurrence {
    /// When. A plan has no two at the same moment.
    pub at: DateTime<Utc>,
    /// What the clock of the schedule's zone shows then, with its distance from UTC.
    pub local: DateTime<FixedOffset>,
    /// What is unusual about it because clocks change.
    #[schema(max_length = 300)]
    pub note: Option<String>,
}

impl Occurrence {
    fn plain(at: DateTime<Utc>, zone: Tz) -> Self {
        Self { at, local: at.with_timezone(&zone).fixed_offset(), note: None }
    }
}

/// The first occurrence after a moment. None: it never runs again.
#[must_use]
pub fn next_after(schedule: &Schedule, after: DateTime<Utc>) -> Option<Occurrence> {
    Occurrences::after(schedule, after).next()
}

/// Occurrences after `after`, up to and with `until`: the first `limit` of them.
#[must_use]
pub fn between(
    schedule: &Schedule,
    after: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: usize,
) -> Vec<Occurrence> {
    Occurrences::after(schedule, after).take_while(|occurrence| occurrence.at <= until).take(limit).collect()
}

/// The next `count` occurrences, with notes where clocks change.
#[must_use]
pub fn preview(schedule: &Schedule, after: DateTime<Utc>, count: usize) -> Vec<Occurrence> {
    Occurrences::after(schedule, after).take(count).collect()
}

/// The last occurrence at or before a moment.
#[must_use]
pub fn last_until(schedule: &Schedule, until: DateTime<Utc>) -> Option<Occurrence> {
    if !is_sane(until) {
        return None;
    }
    match schedule {
        Schedule::Once(Once { at, zone }) => {
            at.filter(|at| *at <= until).map(|at| Occurrence::plain(at, zone.tz()))
        }
        Schedule::Every(every) => every.step(until, 0),
        Schedule::Cron(cron) => {
            // Where clocks are put back over midnight, times of the next date may have been shown already.
            let first = until.with_timezone(&cron.zone.tz()).date_naive().succ_opt()?;
            std::iter::successors(Some(first), NaiveDate::pred_opt)
                .take(HORIZON_DAYS)
                .find_map(|date| cron.on(date).into_iter().rfind(|occurrence| occurrence.at <= until))
        }
    }
}

/// Occurrences in their order, each moment once. It ends where the schedule does, after 41 years without one, and at the
/// year 9999.
#[derive(Debug, Clone)]
pub struct Occurrences<'a> {
    schedule: &'a Schedule,
    last: DateTime<Utc>,
    /// Of a cron pattern: the date that is looked at next, and what is left of those before.
    date: Option<NaiveDate>,
    left: VecDeque<Occurrence>,
}

impl<'a> Occurrences<'a> {
    /// Those after a moment.
    #[must_use]
    pub fn after(schedule: &'a Schedule, after: DateTime<Utc>) -> Self {
        let date = is_sane(after).then(|| after.with_timezone(&schedule.zone().tz()).date_naive());
        Self { schedule, last: after, date, left: VecDeque::new() }
    }

    /// Where a gap of the clock reaches into the next date, both dates name the moment at its end.
    fn next_of(&mut self, cron: &Cron) -> Option<Occurrence> {
        for _ in 0..HORIZON_DAYS {
            while let Some(occurrence) = self.left.pop_front() {
                if occurrence.at > self.last {
                    return Some(occurrence);
                }
            }
            let date = self.date?;
            self.left = cron.on(date).into();
            self.date = date.succ_opt();
        }
        None
    }
}

impl Iterator for Occurrences<'_> {
    type Item = Occurrence;

    fn next(&mut self) -> Option<Occurrence> {
        if !is_sane(self.last) {
            return None;
        }
        let next = match self.schedule {
            Schedule::Once(Once { at, zone }) => {
                at.filter(|at| *at > self.last).map(|at| Occurrence::plain(at, zone.tz()))
            }
            Schedule::Every(every) => every.step(self.last, 1),
            Schedule::Cron(cron) => self.next_of(cron),
        }?;
        self.last = next.at;
        Some(next)
    }
}

impl Every {
    fn period(&self) -> i64 {
        i64::try_from(self.hours.get()).unwrap_or(i64::MAX / 3_600_000) * 3_600_000
    }

    /// The last one at or before a moment, or the one that comes `further` on.
    fn step(&self, at: DateTime<Utc>, further: i64) -> Option<Occurrence> {
        let passed = at.timestamp_millis() - self.anchor.timestamp_millis();
        let number = passed.div_euclid(self.period()) + further;
        let moment = |number: i64| {
            self.anchor.checked_add_signed(TimeDelta::try_milliseconds(number * self.period())?)
        };
        let here = Occurrence::plain(moment(number).filter(|at| is_sane(*at))?, self.zone.tz());
        let before = Occurrence::plain(moment(number - 1)?, self.zone.tz());
        let moved = here.local.offset() != before.local.offset();
        let note = moved.then(|| {
            format!(
                "clocks have changed since the run before, which was at {}",
                clock(before.local.naive_local())
            )
        });
        Some(Occurrence { note, ..here })
    }
}

impl Cron {
    /// The occurrences of a date, each moment once.
    fn on(&self, date: NaiveDate) -> Vec<Occurrence> {
        if !self.pattern.is_on(date) {
            return Vec::new();
        }
        let zone = self.zone.tz();
        let all: Vec<(NaiveTime, Shown)> = self
            .pattern
            .times()
            .iter()
            .filter_map(|time| Some((*time, shown(zone, date.and_time(*time))?)))
            .collect();
        all.chunk_by(|(_, one), (_, other)| one.moment() == other.moment()).filter_map(together).collect()
    }
}

/// Times of a date that come at one moment.
fn together(times: &[(NaiveTime, Shown)]) -> Option<Occurrence> {
    let at = times.first()?.1.moment();
    Some(Occurrence { at: at.to_utc(), local: at.fixed_offset(), note: note(times, at) })
}

fn note(times: &[(NaiveTime, Shown)], at: &DateTime<Tz>) -> Option<String> {
    let begin = times.iter().find_map(|(_, shown)| match shown {
        Shown::Skipped(begin, _) => Some(*begin),
        Shown::Once(_) | Shown::Twice(_) => None,
    });
    if let Some(begin) = begin {
        let skipped = times.iter().filter(|(_, shown)| matches!(shown, Shown::Skipped(..)));
        let skipped: Vec<_> = skipped.map(|(time, _)| time.format("%H:%M").to_string()).collect();
        let end = clock(at.naive_local());
        let verb = if skipped.len() == 1 { "does" } else { "do" };
        return Some(format!(
            "{} {verb} not exist on this day, since the clock goes from {} to {end}: it runs at {end}",
            listed(&skipped),
            clock(begin)
        ));
    }
    let (time, shown) = times.first()?;
    let twice = matches!(shown, Shown::Twice(_));
    twice.then(|| {
        format!(
            "{} comes twice on this day, since the clock goes back: it runs the first time",
            time.format("%H:%M")
        )
    })
}

fn clock(at: NaiveDateTime) -> String {
    at.format("%H:%M").to_string()
}

/// `a`, `a and b`, or `a, b and 5 more`.
fn listed(words: &[String]) -> String {
    const SHOWN: usize = 3;
    let mut text = String::new();
    for (place, word) in words.iter().take(SHOWN).enumerate() {
        let joint = match place {
            0 => "",
            _ if place + 1 == words.len() => " and ",
            _ => ", ",
        };
        let _ = write!(text, "{joint}{word}");
    }
    if words.len() > SHOWN {
        let _ = write!(text, " and {} more", words.len() - SHOWN);
    }
    text
}

#[cfg(test)]
mod tests;
