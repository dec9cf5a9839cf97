//! Hours in which no run starts.

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::zone::shown;
use super::{TimeOfDay, Zone, is_sane};

/// A part of each day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, try_from = "Read")]
pub struct QuietHours {
    /// When it begins, such as `08:00`.
    #[schema(inline)]
    pub from: TimeOfDay,
    /// When it ends: before the beginning means on the next day. It may not be the beginning.
    #[schema(inline)]
    pub until: TimeOfDay,
    /// The time zone whose clock counts.
    #[schema(inline)]
    pub zone: Zone,
}

/// Quiet hours before they are looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    from: TimeOfDay,
    until: TimeOfDay,
    zone: Zone,
}

impl TryFrom<Read> for QuietHours {
    type Error = &'static str;

    fn try_from(read: Read) -> Result<Self, Self::Error> {
        if read.from == read.until {
            return Err(
                "quiet hours that end when they begin are the whole day, and nothing would ever run; pause instead",
            );
        }
        Ok(Self { from: read.from, until: read.until, zone: read.zone })
    }
}

impl QuietHours {
    /// Those that began on a date.
    fn of(&self, date: NaiveDate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let last = if self.from < self.until { date } else { date.succ_opt()? };
        let zone = self.zone.tz();
        let begin = shown(zone, date.and_time(self.from.time()))?;
        let end = shown(zone, last.and_time(self.until.time()))?;
        Some((begin.moment().to_utc(), end.moment().to_utc()))
    }

    /// When those end that a moment is in. None: it is in none.
    #[must_use]
    pub fn end_of(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if !is_sane(at) {
            return None;
        }
        let today = at.with_timezone(&self.zone.tz()).date_naive();
        // Where clocks change at midnight, those of the next date may have begun.
        [today.pred_opt(), Some(today), today.succ_opt()]
            .into_iter()
            .flatten()
            .filter_map(|date| self.of(date))
            .filter(|(begin, end)| *begin <= at && at < *end)
            .map(|(_, end)| end)
            .max()
    }
}

/// When a run that is due at `due` may start: then, or at the first moment after it that is in none of the quiet hours.
/// None: together they leave no time of the day.
#[must_use]
pub fn starts_at(due: DateTime<Utc>, quiet: &[&QuietHours]) -> Option<DateTime<Utc>> {
    /// Whoever goes from one to the other for so long goes round in a circle.
    const STEPS: usize = 8;
    let mut at = due;
    for _ in 0..STEPS {
        match quiet.iter().filter_map(|hours| hours.end_of(at)).max() {
            None => return Some(at),
            Some(end) => at = end,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(from: &str, until: &str, zone: &str) -> QuietHours {
        let json = format!(r#"{{"from":"{from}","until":"{until}","zone":"{zone}"}}"#);
        serde_json::from_str(&json).unwrap()
    }

    fn utc(text: &str) -> DateTime<Utc> {
        chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap().and_utc()
    }

    #[test]
    fn a_run_in_quiet_hours_starts_at_their_end() {
        let day = hours("08:00", "18:00", "Europe/Berlin");
        let at = |due| starts_at(utc(due), &[&day]).unwrap();
        assert_eq!(at("2026-11-25 06:59"), utc("2026-11-25 06:59"));
        assert_eq!(at("2026-11-25 07:00"), utc("2026-11-25 17:00"));
        assert_eq!(at("2026-11-25 16:59"), utc("2026-11-25 17:00"));
        assert_eq!(at("2026-11-25 17:00"), utc("2026-11-25 17:00"));
    }

    #[test]
    fn they_may_last_over_midnight_and_over_a_change_of_clocks() {
        let night = hours("22:00", "02:30", "America/New_York");
        let at = |due| starts_at(utc(due), &[&night]).unwrap();
        // On 8 March 2026 there is no 02:30: they end at 03:00, which is 07:00 UTC.
        assert_eq!(at("2026-03-08 06:59"), utc("2026-03-08 07:00"));
        // On 1 November 02:30 comes after 01:30 twice.
        assert_eq!(at("2026-11-01 02:00"), utc("2026-11-01 07:30"));
    }

    #[test]
    fn several_follow_each_other_and_may_leave_nothing() {
        let (day, night) = (hours("08:00", "20:00", "UTC"), hours("19:00", "02:00", "UTC"));
        assert_eq!(starts_at(utc("2026-11-25 09:00"), &[&day, &night]), Some(utc("2026-11-26 02:00")));
        let rest = hours("20:00", "08:00", "UTC");
        assert_eq!(starts_at(utc("2026-11-25 09:00"), &[&day, &rest]), None);
    }

    #[test]
    fn a_whole_day_is_refused() {
        let read = serde_json::from_str::<QuietHours>(r#"{"from":"08:00","until":"08:00","zone":"UTC"}"#);
        assert!(read.unwrap_err().to_string().contains("pause instead"));
        let read =
            serde_json::from_str::<QuietHours>(r#"{"from":"08:00","until":"09:00","zone":"UTC","x":1}"#);
        assert!(read.unwrap_err().to_string().contains("`x`"));
    }
}
