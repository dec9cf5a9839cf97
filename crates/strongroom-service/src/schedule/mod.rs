//! When a plan runs.
//!
//! All of it is pure: the time is a value. [`occurrences`] knows the times of a schedule, [`due`] decides what of them is
//! to be run now, and [`quiet`] when a run may start.

mod cron;
mod due;
mod occurrences;
mod quiet;
mod zone;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::model::Int;

pub use cron::CronPattern;
pub use due::{Decision, Due, Gap, Look, decide, start_within};
pub use occurrences::{Occurrence, Occurrences, between, last_until, next_after, preview};
pub use quiet::{QuietHours, starts_at};
pub use zone::{TimeOfDay, Zone, start_of_day};

/// When a plan runs. Each kind has its own members.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Schedule {
    /// Once.
    Once(Once),
    /// At times of the day, by a cron pattern in a time zone.
    Cron(Cron),
    /// Every so many hours that have passed.
    Every(Every),
}

/// Once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Once {
    /// When; none: at once. It is then the moment at which the plan was saved.
    #[serde(default, deserialize_with = "some_sane_moment")]
    pub at: Option<DateTime<Utc>>,
    /// The time zone in which times are shown, and whose days and months count for retention.
    #[serde(default)]
    #[schema(inline)]
    pub zone: Zone,
}

/// At times of the day. Each time of the clock on each day is run once, also where clocks change: a time that is skipped
/// is run when the clock goes on, and one that comes twice is run the first time. A date that a zone skipped as a whole
/// has no runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cron {
    /// Minute, hour, day of the month, month and day of the week, such as `30 1,13 * * *`.
    #[schema(inline)]
    pub pattern: CronPattern,
    /// The time zone whose clock counts, such as `Europe/Berlin` or `UTC`.
    #[schema(inline)]
    pub zone: Zone,
}

/// Every so many hours that have passed. The time of the day moves when clocks change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Every {
    /// Hours from one run to the next.
    #[schema(inline)]
    pub hours: Int<1, 8760>,
    /// A time at which it runs; the others follow from it, those before it too.
    #[serde(deserialize_with = "sane_moment")]
    pub anchor: DateTime<Utc>,
    /// The time zone in which times are shown, and whose days and months count for retention.
    #[serde(default)]
    #[schema(inline)]
    pub zone: Zone,
}

impl Schedule {
    /// The time zone in which its times are shown, and whose days, weeks, months and years count for retention.
    #[must_use]
    pub fn zone(&self) -> Zone {
        match self {
            Self::Once(once) => once.zone,
            Self::Cron(cron) => cron.zone,
            Self::Every(every) => every.zone,
        }
    }

    /// The schedule as it is kept when it is set at `now`: `at once` becomes a moment.
    ///
    /// # Errors
    ///
    /// In words, if it would never run.
    pub fn settled(self, now: DateTime<Utc>) -> Result<Self, String> {
        match self {
            Self::Once(Once { at: None, zone }) => Ok(Self::Once(Once { at: Some(now), zone })),
            Self::Once(Once { at: Some(at), .. }) if at < now => Err(format!(
                "{} has passed, so the plan would never run; give a time to come, or none to run it at once",
                at.format("%Y-%m-%d %H:%M:%S UTC")
            )),
            schedule => Ok(schedule),
        }
    }

    /// From when occurrences count for a schedule that is set, or resumed, at `now`: those before were never due.
    #[must_use]
    pub fn counts_from(now: DateTime<Utc>) -> DateTime<Utc> {
        // A moment earlier, so that a plan that is to run at once is due.
        now - TimeDelta::milliseconds(1)
    }
}

/// Years that a schedule may speak of. Outside of them dates cannot be computed with, or mean a mistake.
const YEARS: (i32, i32) = (1970, 9999);

fn is_sane(at: DateTime<Utc>) -> bool {
    let start_of = |year| Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).single();
    start_of(YEARS.0).is_some_and(|first| first <= at) && start_of(YEARS.1).is_some_and(|last| at < last)
}

fn sane_moment<'de, D: Deserializer<'de>>(from: D) -> Result<DateTime<Utc>, D::Error> {
    let at = DateTime::deserialize(from)?;
    if is_sane(at) {
        return Ok(at);
    }
    Err(serde::de::Error::custom(format!("a time from {} to {} is wanted", YEARS.0, YEARS.1 - 1)))
}

fn some_sane_moment<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    #[derive(Deserialize)]
    struct Sane(#[serde(deserialize_with = "sane_moment")] DateTime<Utc>);
    Ok(Option::<Sane>::deserialize(from)?.map(|sane| sane.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Schedule, String> {
        serde_json::from_str(json).map_err(|e| e.to_string())
    }

    #[test]
    fn a_schedule_is_written_as_it_was_read() {
        for json in [
            r#"{"kind":"once","at":"2026-11-25T02:00:00Z","zone":"UTC"}"#,
            r#"{"kind":"cron","pattern":"30 1,13 * * MON-FRI","zone":"Europe/Berlin"}"#,
            r#"{"kind":"every","hours":6,"anchor":"2026-11-25T02:00:00Z","zone":"America/New_York"}"#,
        ] {
            assert_eq!(serde_json::to_string(&read(json).unwrap()).unwrap(), json);
        }
    }

    #[test]
    fn what_is_unknown_or_out_of_bounds_is_refused_by_name() {
        let refused = |json| read(json).unwrap_err();
        assert!(
            refused(r#"{"kind":"cron","pattern":"0 2 * * *","zone":"UTC","second":1}"#).contains("`second`")
        );
        assert!(
            refused(r#"{"kind":"every","hours":6,"anchor":"+200000-01-01T00:00:00Z"}"#)
                .contains("1970 to 9998")
        );
        assert!(refused(r#"{"kind":"once","at":"1800-01-01T00:00:00Z"}"#).contains("1970 to 9998"));
        assert!(
            refused(r#"{"kind":"every","hours":0,"anchor":"2026-01-01T00:00:00Z"}"#)
                .contains("between 1 and 8760")
        );
    }

    #[test]
    fn at_once_is_the_moment_of_saving_and_is_due_then() {
        let now = Utc.with_ymd_and_hms(2026, 11, 25, 2, 0, 0).unwrap();
        let schedule = read(r#"{"kind":"once"}"#).unwrap().settled(now).unwrap();
        let due = next_after(&schedule, Schedule::counts_from(now)).unwrap();
        assert_eq!(due.at, now);
        assert_eq!(next_after(&schedule, due.at), None, "and never again");
    }

    #[test]
    fn a_time_that_has_passed_is_refused_when_it_is_set() {
        let now = Utc.with_ymd_and_hms(2026, 11, 25, 2, 0, 0).unwrap();
        let past = read(r#"{"kind":"once","at":"2026-11-25T01:59:59Z"}"#).unwrap();
        assert!(past.settled(now).unwrap_err().starts_with("2026-11-25 01:59:59 UTC has passed"));
    }
}
