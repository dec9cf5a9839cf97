//! Cron patterns: which times of which dates.
//!
//! `croner` reads them and knows the dates. Which moments those are is decided here, since it takes everything but single
//! numbers for an interval, which runs twice or not at all on days when clocks change.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{Datelike, NaiveDate, NaiveTime};
use croner::Weekday;
use croner::parser::{CronParser, Seconds, Year};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// How far ahead dates are looked for. 29 February falls on a given day of the week after at most 40 years.
pub(super) const HORIZON_DAYS: usize = 41 * 366;

const FIELDS: [&str; 5] = ["minute", "hour", "day of the month", "month", "day of the week"];

/// A cron pattern of five fields that has dates: minute, hour, day of the month, month, day of the week. Lists, ranges
/// and steps are taken, names of months and days, `L`, `W` and `#`, and words such as `@daily`.
#[derive(Debug, Clone)]
pub struct CronPattern(Arc<Parsed>);

#[derive(Debug)]
struct Parsed {
    text: String,
    dates: croner::Cron,
    times: Vec<NaiveTime>,
}

impl CronPattern {
    const MAX: usize = 200;

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The times of each of its dates, in order.
    pub(super) fn times(&self) -> &[NaiveTime] {
        &self.0.times
    }

    /// Whether it runs on a date.
    pub(super) fn is_on(&self, date: NaiveDate) -> bool {
        let pattern = &self.0.dates.pattern;
        let weekday = Weekday::from_days_from_sunday(date.weekday().num_days_from_sunday());
        pattern.month_match(date.month()).unwrap_or(false)
            && pattern.day_match(date.year(), date.month(), date.day(), weekday).unwrap_or(false)
    }

    /// Whether any date is one of its own. Which year it begins to look in does not matter.
    fn has_dates(&self) -> bool {
        NaiveDate::default().iter_days().take(HORIZON_DAYS).any(|date| self.is_on(date))
    }
}

fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build()
}

/// The pattern in which only one field says something, so that an error can be put down to it.
fn alone(place: usize, field: &str) -> String {
    let mut fields = ["*"; FIELDS.len()];
    fields[place] = field;
    fields.join(" ")
}

/// Why a pattern cannot be read.
fn fault(text: &str, reason: &str) -> String {
    let fields: Vec<_> = text.split_whitespace().collect();
    if fields.len() > FIELDS.len() {
        return format!(
            "a cron pattern has 5 fields (minute, hour, day of the month, month, day of the week), and `{text}` has {}; \
             seconds and years are not taken",
            fields.len()
        );
    }
    if fields.len() < FIELDS.len() {
        return format!(
            "a cron pattern has 5 fields (minute, hour, day of the month, month, day of the week), and `{text}` has {}",
            fields.len()
        );
    }
    let wrong = fields.iter().zip(FIELDS).enumerate().find_map(|(place, (field, name))| {
        let reason = parser().parse(&alone(place, field)).err()?;
        Some(format!(
            "the {name} `{field}` of the pattern is not understood: {}",
            lowered(&reason.to_string())
        ))
    });
    wrong.unwrap_or_else(|| format!("the pattern `{text}` is not understood: {}", lowered(reason)))
}

fn lowered(sentence: &str) -> String {
    let mut letters = sentence.trim_end_matches('.').chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

impl FromStr for CronPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > Self::MAX {
            return Err(format!("a cron pattern has at most {} characters", Self::MAX));
        }
        if !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err("a cron pattern has only letters, digits, signs and spaces".into());
        }
        let dates = parser().parse(text).map_err(|reason| fault(text, &reason.to_string()))?;
        let (hours, minutes) = (dates.pattern.hours.values(), dates.pattern.minutes.values());
        let at = |hour: &u16, minute: &u16| NaiveTime::from_hms_opt((*hour).into(), (*minute).into(), 0);
        let times = hours.iter().flat_map(|hour| minutes.iter().filter_map(move |minute| at(hour, minute)));
        let pattern = Self(Arc::new(Parsed { text: text.into(), times: times.collect(), dates }));
        if pattern.times().is_empty() || !pattern.has_dates() {
            return Err(format!("the pattern `{text}` never comes: no date is all that it says"));
        }
        Ok(pattern)
    }
}

impl PartialEq for CronPattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl fmt::Display for CronPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for CronPattern {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for CronPattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for CronPattern {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "Five fields: minute, hour, day of the month, month, day of the week. A pattern with seconds, or one \
                 that never comes, is refused.",
            ))
            .min_length(Some(1))
            .max_length(Some(Self::MAX))
            .pattern(Some("^[ -~]+$"))
            .examples(["30 1,13 * * *"])
            .into()
    }
}

impl ToSchema for CronPattern {
    fn name() -> Cow<'static, str> {
        "CronPattern".into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> String {
        text.parse::<CronPattern>().unwrap_err()
    }

    #[test]
    fn seconds_and_years_are_refused() {
        assert!(refused("0 30 2 * * *").contains("has 6; seconds and years are not taken"));
        assert!(refused("0 30 2 * * * 2027").contains("has 7; seconds"));
        assert!(refused("30 2 * *").ends_with("`30 2 * *` has 4"));
        assert!(refused("").contains("has 0"));
    }

    #[test]
    fn a_pattern_that_never_comes_is_refused() {
        for never in ["0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 31W 2 *"] {
            assert!(refused(never).contains("never comes"), "{never}: {}", refused(never));
        }
        for rare in ["0 0 29 2 *", "0 0 29 2 +MON", "0 0 31 * *", "0 0 * * MON#5", "@daily", "0 0 L * *"] {
            assert!(rare.parse::<CronPattern>().is_ok(), "{rare}");
        }
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        assert!(refused("60 2 * * *").starts_with("the minute `60` of the pattern is not understood: "));
        assert!(refused("0 24 * * *").starts_with("the hour `24`"));
        assert!(refused("0 2 32 * *").starts_with("the day of the month `32`"));
        assert!(refused("0 2 * MAI *").starts_with("the month `MAI`"));
        assert!(refused("0 2 * * 8").starts_with("the day of the week `8`"));
        assert!(refused("0 2 * * ä").contains("only letters, digits"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[ -~]{0,40}", odd in "\\PC{0,20}") {
            let _ = text.parse::<CronPattern>();
            let _ = odd.parse::<CronPattern>();
        }

        #[test]
        fn no_pattern_makes_it_panic(text in "[0-9*,/#LW?+@-]{1,6}( [0-9*,/#LW?+A-Z-]{1,6}){4}") {
            let _ = text.parse::<CronPattern>();
        }
    }
}
