//! How long backups are kept.
//!
//! [`apply`] judges all backups of a plan at once. It depends on nothing but what it is given: the same backups, rules,
//! zone and time give the same answer, in whatever order they come.

mod judge;
mod reason;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::{Backup, BackupKey, BackupState, Int, PlanId};

pub(crate) use judge::{Dated, judge};
pub use judge::{Judged, apply};
pub use reason::{Reason, Unit};

/// How many backups a rule keeps.
pub type Keep = Int<1, 10_000>;

/// How long backups of a plan are kept. A backup is kept if any rule keeps it. Without rules nothing is ever deleted.
///
/// Rules count good backups of the plan only: those that are complete. Whatever they say, the newest good backup is never
/// deleted, nor one that is held or locked, nor one that the plan did not make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// The newest so many.
    #[schema(inline)]
    pub last: Option<Keep>,
    /// Those that are not older than so many days of 24 hours.
    #[schema(inline)]
    pub max_age_days: Option<Int<1, 36_500>>,
    /// The newest of each of so many hours. Hours, days, weeks, months and years are those of the schedule's time zone,
    /// and only those count that have a backup: a pause costs none.
    #[schema(inline)]
    pub hourly: Option<Keep>,
    /// The newest of each of so many days.
    #[schema(inline)]
    pub daily: Option<Keep>,
    /// The newest of each of so many weeks; a week begins on Monday.
    #[schema(inline)]
    pub weekly: Option<Keep>,
    /// The newest of each of so many months.
    #[schema(inline)]
    pub monthly: Option<Keep>,
    /// The newest of each of so many years.
    #[schema(inline)]
    pub yearly: Option<Keep>,
    /// Whether backups that somebody asked for, beside the schedule, are never deleted by these rules, and not counted
    /// by them. Otherwise they are as all others.
    pub keeps_requested: bool,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            last: None,
            max_age_days: None,
            hourly: None,
            daily: None,
            weekly: None,
            monthly: None,
            yearly: None,
            keeps_requested: true,
        }
    }
}

/// One rule of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    Last(u64),
    Age(u64),
    Each(Unit, u64),
}

impl Retention {
    /// Whether there is no rule, so that nothing is ever deleted.
    #[must_use]
    pub fn keeps_all(&self) -> bool {
        self.rules().next().is_none()
    }

    pub(crate) fn rules(&self) -> impl Iterator<Item = Rule> {
        let each = |unit, number: Option<Keep>| Some(Rule::Each(unit, number?.get()));
        [
            self.last.map(|number| Rule::Last(number.get())),
            self.max_age_days.map(|days| Rule::Age(days.get())),
            each(Unit::Hour, self.hourly),
            each(Unit::Day, self.daily),
            each(Unit::Week, self.weekly),
            each(Unit::Month, self.monthly),
            each(Unit::Year, self.yearly),
        ]
        .into_iter()
        .flatten()
    }
}

/// A backup, as far as retention looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its id. Of backups of the same moment, the greater is the newer.
    pub id: BackupKey,
    /// When reading began: the age of what it holds.
    pub at: DateTime<Utc>,
    /// What it is worth.
    pub standing: Standing,
    /// Whether somebody asked for it, beside the schedule.
    pub requested: bool,
    /// It cannot be deleted before (Object Lock).
    pub locked_until: Option<DateTime<Utc>>,
    /// Why it is held, in the words of those who hold it.
    pub holds: Vec<String>,
}

/// What a backup is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is complete.
    Good,
    /// Something is missing in it. It counts for nothing, and is kept until a good one follows.
    Incomplete,
    /// It is being made. It is not touched.
    Running,
    /// The plan did not make it. It counts for nothing and is not touched.
    Foreign,
    /// A person deleted it, and its grace is not over. It counts for nothing.
    Discarded,
}

impl Candidate {
    /// A backup of the catalogue, as the plan sees it. None: it is gone.
    ///
    /// One that expired by the rules is judged as before, so that it is kept again if they now say so.
    #[must_use]
    pub fn of(backup: &Backup, plan: &PlanId) -> Option<Self> {
        let standing = match backup.state {
            BackupState::Swept | BackupState::Missing => return None,
            _ if backup.plan.as_ref() != Some(plan) => Standing::Foreign,
            BackupState::Expired if backup.expired_by.is_some() => Standing::Discarded,
            _ if backup.complete => Standing::Good,
            _ => Standing::Incomplete,
        };
        Some(Self {
            id: backup.id.clone(),
            at: backup.started_at,
            standing,
            requested: !backup.scheduled,
            locked_until: backup.locked_until,
            holds: backup.holds.iter().map(|hold| hold.reason.to_string()).collect(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests;
