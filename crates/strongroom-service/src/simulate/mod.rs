//! What a plan will have stored on a date, why, and what it will cost.
//!
//! The schedule makes backups, retention judges them once a day and at the end, grace deletes them, and prices are put to
//! what is stored. Nothing is looked at but what is given.

mod course;
mod prices;
mod sizes;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{Backup, BackupKey, Int, PlanId};
use crate::retention::{Candidate, Retention, Standing};
use crate::schedule::Schedule;

pub use prices::{ClassName, Micros, MonthCost, Prices, StorageClass};
pub use sizes::Sizes;

use course::Course;
use sizes::Trend;

/// How many backups may come to be until the date.
pub const OCCURRENCES_MAX: usize = 100_000;
/// How far ahead one can look, in days.
pub const DAYS_MAX: i64 = 3660;
/// How many backups, and how many that expired, an answer lists.
pub const LISTED_MAX: usize = 1000;

/// What is asked, beside the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The moment whose state is asked for; at most 3660 days ahead.
    pub until: DateTime<Utc>,
    /// How large backups will be.
    #[serde(default)]
    pub sizes: Sizes,
    /// What storage costs.
    #[serde(default)]
    pub prices: Prices,
}

/// A plan as it stands, or as it would be with other settings.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// When it runs.
    pub schedule: &'a Schedule,
    /// Whether it starts no runs by itself.
    pub paused: bool,
    /// What it keeps.
    pub retention: &'a Retention,
    /// Backups that are there.
    pub backups: &'a [Stored],
    /// How long a backup that expired stays, in hours.
    pub grace_hours: Int<0, 8760>,
    /// For how many days the location locks every new object; none: not at all.
    pub lock_days: Option<u32>,
}

/// A backup that is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// As retention looks at it.
    pub backup: Candidate,
    /// Bytes as stored.
    pub bytes: u64,
    /// When its grace is over, if it has expired already.
    pub sweep_after: Option<DateTime<Utc>>,
}

impl Stored {
    /// A backup of the catalogue. None: it is gone, or another plan made it.
    #[must_use]
    pub fn of(backup: &Backup, plan: &PlanId) -> Option<Self> {
        let candidate = Candidate::of(backup, plan)?;
        let own = candidate.standing != Standing::Foreign;
        own.then_some(Self { backup: candidate, bytes: backup.stored_bytes, sweep_after: backup.sweep_after })
    }
}

/// What will be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Forecast {
    /// The moment that was asked for.
    pub until: DateTime<Utc>,
    /// How many backups there will be then.
    pub count: u64,
    /// Bytes stored then, those of expired backups in their grace too.
    pub bytes: u64,
    /// The backups that there will be, newest first, at most 1000 of them; those in their grace too.
    #[schema(max_items = 1000)]
    pub backups: Vec<Foreseen>,
    /// How many will have expired by then.
    pub expired_count: u64,
    /// Those that will have expired, the last first, at most 1000 of them.
    #[schema(max_items = 1000)]
    pub expired: Vec<Foreseen>,
    /// What will be stored at the end of each day.
    #[schema(max_items = 3700)]
    pub days: Vec<DayStored>,
    /// What each month will cost.
    #[schema(max_items = 130)]
    pub months: Vec<MonthCost>,
    /// What all of it will cost, in millionths of the currency.
    pub total_micros: u64,
    /// The currency.
    #[schema(max_length = 10)]
    pub currency: String,
    /// By what the sizes were foreseen.
    #[schema(max_length = 300)]
    pub sizes: String,
}

/// A backup that will be, or have been.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Foreseen {
    /// Its id; none: it is yet to be made.
    #[schema(inline)]
    pub id: Option<BackupKey>,
    /// When it was or will be made.
    pub at: DateTime<Utc>,
    /// Bytes as stored.
    pub bytes: u64,
    /// Why it is kept, or why it expired.
    #[schema(max_items = 200)]
    pub reasons: Vec<String>,
    /// The day's end at which it expires; none: it is kept.
    pub expired_at: Option<DateTime<Utc>>,
    /// When it is deleted, its grace over.
    pub swept_at: Option<DateTime<Utc>>,
}

/// What is stored at the end of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DayStored {
    /// The day, in the schedule's zone.
    #[schema(value_type = String, format = Date, example = "2026-11-25")]
    pub date: NaiveDate,
    /// Backups, those in their grace too.
    pub backups: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Foresees what a plan will have stored.
///
/// # Errors
///
/// In words, if the date has passed or is too far ahead, if there would be too many backups, or if the price table does
/// not know the storage class.
pub fn simulate(subject: &Subject<'_>, scenario: &Scenario, now: DateTime<Utc>) -> Result<Forecast, String> {
    if scenario.until <= now {
        return Err("the date has passed; give one that is to come".into());
    }
    if scenario.until - now > TimeDelta::days(DAYS_MAX) {
        return Err(format!("the date is more than {DAYS_MAX} days ahead; give an earlier one"));
    }
    let class = scenario.prices.chosen()?;
    let trend = Trend::of(&scenario.sizes, subject.backups, now);
    let to_come = made(subject, &trend, scenario.until, now)?;
    let course = Course::new(subject, &to_come, now);
    let seen = course.run(scenario.until)?;
    let months = prices::by_month(&seen, class);
    Ok(Forecast {
        until: scenario.until,
        count: seen.there.len() as u64,
        bytes: seen.there.iter().map(|backup| backup.bytes).sum(),
        backups: seen.there.into_iter().take(LISTED_MAX).collect(),
        expired_count: seen.expired.len() as u64,
        expired: seen.expired.into_iter().rev().take(LISTED_MAX).collect(),
        days: seen.days,
        total_micros: months.iter().map(MonthCost::total).fold(0, u64::saturating_add),
        months,
        currency: scenario.prices.currency.to_string(),
        sizes: trend.told(),
    })
}

/// The backups that the schedule will make.
fn made(
    subject: &Subject<'_>,
    trend: &Trend,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<Vec<Stored>, String> {
    if subject.paused {
        return Ok(Vec::new());
    }
    let times = crate::schedule::between(subject.schedule, now, until, OCCURRENCES_MAX + 1);
    if times.len() > OCCURRENCES_MAX {
        return Err(format!("there would be more than {OCCURRENCES_MAX} backups; give an earlier date"));
    }
    let lock = subject.lock_days.map(|days| TimeDelta::days(days.into()));
    let stored = |at: DateTime<Utc>| Stored {
        backup: Candidate {
            id: BackupKey::new(at, 0),
            at,
            standing: Standing::Good,
            requested: false,
            locked_until: lock.and_then(|lock| at.checked_add_signed(lock)),
            holds: Vec::new(),
        },
        bytes: trend.at(at),
        sweep_after: None,
    };
    Ok(times.into_iter().map(|occurrence| stored(occurrence.at)).collect())
}

#[cfg(test)]
mod tests;
