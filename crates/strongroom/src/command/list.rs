//! `strongroom list`.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use strongroom_engine::catalog::{self, Entry, Place};
use strongroom_engine::{Clock, Code, Error, PlanName, Result, Status, Summary, bucket};

use crate::cli::List;
use crate::clock::SystemClock;
use crate::output::Output;
use crate::words::{count, in_line, size};

/// A backup that is running writes its next object sooner.
const SILENT: TimeDelta = TimeDelta::hours(1);

pub(crate) async fn run(options: List, output: &Output) -> Result<()> {
    let store = bucket::open(&options.place.location, options.place.store.options(output.observer()))?;
    let entries = catalog::list(&*store, options.place.plan.as_ref()).await?;
    drop(store);
    output.answer(&Answer::of(&entries), &Text { entries: &entries, now: SystemClock.now() })?;
    match unlisted(&entries).count() as u64 {
        0 => Ok(()),
        plans => {
            let message = format!("the backups of {} could not be listed", count(plans, "plan"));
            Err(Error::new(Code::Incomplete, message).help(
                "Which, and why, is listed above. Allow this identity to list there, or list one plan with --plan.",
            ))
        }
    }
}

fn unlisted(entries: &[Entry]) -> impl Iterator<Item = (&PlanName, &Error)> {
    entries.iter().filter_map(|entry| match entry {
        Entry::Unlisted(plan, error) => Some((plan, error)),
        _ => None,
    })
}

#[derive(Serialize)]
struct Answer<'a> {
    backups: Vec<&'a Summary>,
    /// Places that look like backups and are none.
    others: Vec<Other>,
    /// Plans whose backups could not be listed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unlisted: Vec<Unlisted<'a>>,
}

#[derive(Serialize)]
struct Unlisted<'a> {
    plan: &'a str,
    error: Why,
}

#[derive(Serialize)]
struct Other {
    id: String,
    plan: String,
    state: &'static str,
    /// When the newest object of an unfinished one was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_written: Option<DateTime<Utc>>,
    /// Why an unreadable one cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Why>,
}

#[derive(Serialize)]
struct Why {
    code: &'static str,
    message: String,
}

impl Why {
    fn of(error: &Error) -> Self {
        Self { code: error.code().as_str(), message: error.message().to_owned() }
    }

    fn of_entry(entry: &Entry) -> Option<Self> {
        match entry {
            Entry::Unreadable(_, error) => Some(Self::of(error)),
            _ => None,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, in_line(&self.message))
    }
}

impl<'a> Answer<'a> {
    fn of(entries: &'a [Entry]) -> Self {
        let unlisted =
            unlisted(entries).map(|(plan, error)| Unlisted { plan: plan.as_str(), error: Why::of(error) });
        let mut answer = Self { backups: Vec::new(), others: Vec::new(), unlisted: unlisted.collect() };
        for entry in entries {
            match entry {
                Entry::Backup(summary) => answer.backups.push(summary),
                other => answer.others.extend(state(other).map(|(place, state)| Other {
                    id: place.id.to_string(),
                    plan: place.plan.to_string(),
                    state,
                    last_written: last_written(other),
                    error: Why::of_entry(other),
                })),
            }
        }
        answer
    }
}

fn state(entry: &Entry) -> Option<(&Place, &'static str)> {
    match entry {
        Entry::Backup(_) | Entry::Unlisted(..) => None,
        Entry::Unfinished(place, _) => Some((place, "unfinished")),
        Entry::LogOnly(place, _) => Some((place, "failed")),
        Entry::Deleting(place) => Some((place, "deleting")),
        Entry::Unreadable(place, _) => Some((place, "unreadable")),
    }
}

fn last_written(entry: &Entry) -> Option<DateTime<Utc>> {
    match entry {
        Entry::Unfinished(_, at) => *at,
        _ => None,
    }
}

/// Whether something that is unfinished is probably still being written.
fn age(written: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let age = (now - written).max(TimeDelta::zero());
    let amount = |value: i64, unit| count(value.unsigned_abs(), unit);
    let long = match (age.num_days(), age.num_hours(), age.num_minutes()) {
        (0, 0, 0) => amount(age.num_seconds(), "second"),
        (0, 0, minutes) => amount(minutes, "minute"),
        (0, hours, _) => amount(hours, "hour"),
        (days, ..) => amount(days, "day"),
    };
    let state = if age < SILENT { "probably running" } else { "probably dead" };
    format!(", last written {long} ago: {state}")
}

struct Text<'a> {
    entries: &'a [Entry],
    now: DateTime<Utc>,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.entries.is_empty() {
            return writeln!(f, "no backups");
        }
        writeln!(f, "{:<22} {:<12} {:>12} {:>10}  STATE", "BACKUP", "PLAN", "DOCUMENTS", "STORED")?;
        for entry in self.entries {
            match (entry, state(entry)) {
                (Entry::Backup(summary), _) => {
                    let totals = summary.totals;
                    let status = match summary.status {
                        Status::Complete => "complete",
                        Status::Incomplete => "incomplete",
                    };
                    let stored = size(totals.stored_bytes);
                    let (id, plan) = (&summary.id, &summary.plan);
                    writeln!(f, "{id:<22} {plan:<12} {:>12} {stored:>10}  {status}", totals.documents)?;
                }
                (_, Some((place, state))) => {
                    let (id, plan) = (place.id.as_str(), place.plan.as_str());
                    let why = Why::of_entry(entry).map(|why| format!(" ({why})"));
                    let age = last_written(entry).map(|at| age(at, self.now));
                    let why = why.or(age).unwrap_or_default();
                    writeln!(f, "{id:<22} {plan:<12} {:>12} {:>10}  not a backup: {state}{why}", "", "")?;
                }
                (_, None) => {}
            }
        }
        unlisted(self.entries)
            .try_for_each(|(plan, error)| writeln!(f, "plan {plan} could not be listed ({})", Why::of(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_old_an_unfinished_one_is_tells_whether_it_runs() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for (seconds, said) in [
            // The clock of the store may be ahead.
            (-5, "0 seconds ago: probably running"),
            (1, "1 second ago: probably running"),
            (40, "40 seconds ago: probably running"),
            (3599, "59 minutes ago: probably running"),
            (3600, "1 hour ago: probably dead"),
            (3 * 86_400, "3 days ago: probably dead"),
        ] {
            assert_eq!(age(now - TimeDelta::seconds(seconds), now), format!(", last written {said}"));
        }
    }
}
