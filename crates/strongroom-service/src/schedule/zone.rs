//! Time zones, times of the day, and what the clock of a zone shows when.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike, Utc};
use chrono_tz::{GapInfo, TZ_VARIANTS, Tz};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A time zone of the IANA database, such as `Europe/Berlin`; UTC unless set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Zone(Tz);

impl Zone {
    /// The longest name that is read.
    const MAX: usize = 60;

    /// The zone, to compute with.
    #[must_use]
    pub fn tz(self) -> Tz {
        self.0
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl From<Tz> for Zone {
    fn from(zone: Tz) -> Self {
        Self(zone)
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name.len() > Self::MAX {
            return Err(format!("the name of a time zone has at most {} characters", Self::MAX));
        }
        name.parse().map(Self).map_err(|_| {
            let meant = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name));
            let meant = meant.map_or("Europe/Berlin", |zone| zone.name());
            format!("there is no time zone `{name}`; use a name of the IANA database, such as `{meant}`")
        })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for Zone {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A time zone of the IANA database."))
            .min_length(Some(1))
            .max_length(Some(Self::MAX))
            .examples(["Europe/Berlin"])
            .into()
    }
}

impl ToSchema for Zone {
    fn name() -> Cow<'static, str> {
        "Zone".into()
    }
}

/// A time of the day, to the minute, such as `08:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(NaiveTime);

impl TimeOfDay {
    /// The time.
    #[must_use]
    pub fn time(self) -> NaiveTime {
        self.0
    }
}

impl FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.split_once(':')
            .filter(|(hour, minute)| digits(hour) && digits(minute))
            .and_then(|(hour, minute)| NaiveTime::from_hms_opt(hour.parse().ok()?, minute.parse().ok()?, 0))
            .map(Self)
            .ok_or_else(|| "a time from 00:00 to 23:59 is wanted, such as `08:00`".into())
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for TimeOfDay {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A time of the day."))
            .min_length(Some(5))
            .max_length(Some(5))
            .pattern(Some("^([01][0-9]|2[0-3]):[0-5][0-9]$"))
            .examples(["08:00"])
            .into()
    }
}

impl ToSchema for TimeOfDay {
    fn name() -> Cow<'static, str> {
        "TimeOfDay".into()
    }
}

/// When a clock shows a time.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shown {
    /// Once, as on most days.
    Once(DateTime<Tz>),
    /// Twice; this is the first time.
    Twice(DateTime<Tz>),
    /// Never: the clock was put forward over it, from the first time to the second.
    Skipped(NaiveDateTime, DateTime<Tz>),
}

impl Shown {
    /// The first moment at which the clock shows the time, or a later one if it never does.
    pub(super) fn moment(&self) -> &DateTime<Tz> {
        match self {
            Self::Once(at) | Self::Twice(at) | Self::Skipped(_, at) => at,
        }
    }
}

/// When the clock of a zone shows `wall`. None: the zone skipped the whole date.
///
/// It never decreases as `wall` grows.
pub(super) fn shown(zone: Tz, wall: NaiveDateTime) -> Option<Shown> {
    match zone.from_local_datetime(&wall) {
        MappedLocalTime::Single(at) => Some(Shown::Once(at)),
        MappedLocalTime::Ambiguous(first, _) => Some(Shown::Twice(first)),
        MappedLocalTime::None => {
            let gap = GapInfo::new(&wall, &zone)?;
            let (end, begin) = (gap.end?, gap.begin.map_or(wall, |(begin, _)| begin));
            let date = wall.date().and_time(NaiveTime::MIN);
            let next = wall.date().succ_opt()?.and_time(NaiveTime::MIN);
            let whole_date = begin <= date && next <= end.naive_local();
            (!whole_date).then_some(Shown::Skipped(begin, end))
        }
    }
}

/// When a date begins in a zone: the first moment at which its clock shows that date or a later one.
#[must_use]
pub fn start_of_day(zone: Zone, date: NaiveDate) -> DateTime<Utc> {
    let midnight = date.and_time(NaiveTime::MIN);
    let shown = shown(zone.tz(), midnight).map(|shown| shown.moment().to_utc());
    // Of a date that was skipped as a whole, the next one.
    shown.or_else(|| Some(GapInfo::new(&midnight, &zone.tz())?.end?.to_utc())).unwrap_or(midnight.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_zone_is_refused_with_its_name_and_the_one_that_was_meant() {
        let wrong = "europe/berlin".parse::<Zone>().unwrap_err();
        assert_eq!(
            wrong,
            "there is no time zone `europe/berlin`; use a name of the IANA database, such as `Europe/Berlin`"
        );
        assert!("Mars/Olympus".parse::<Zone>().unwrap_err().contains("`Mars/Olympus`"));
        assert!("x".repeat(61).parse::<Zone>().unwrap_err().contains("at most 60"));
        assert_eq!("Europe/Berlin".parse::<Zone>().unwrap().to_string(), "Europe/Berlin");
    }

    #[test]
    fn a_time_of_the_day_has_two_digits_for_hour_and_minute() {
        assert_eq!("08:05".parse::<TimeOfDay>().unwrap().to_string(), "08:05");
        for wrong in ["8:05", "24:00", "08:60", "08:05:00", "+8:05", "", "0805", "०८:05"] {
            assert!(wrong.parse::<TimeOfDay>().is_err(), "{wrong}");
        }
    }
}
