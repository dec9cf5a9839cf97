//! Moments of a replica set, and how people write them.

use std::str::FromStr;

use bson::Timestamp;
use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

use crate::error::{Code, Error};

/// After every entry of its second: no server writes so many.
const END_OF_SECOND: u32 = u32::MAX;

/// A point in a replica set's oplog. Written as `seconds.increment`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ClusterTime {
    /// Seconds since 1970.
    pub seconds: u32,
    /// The position within that second.
    pub increment: u32,
}

impl From<Timestamp> for ClusterTime {
    fn from(timestamp: Timestamp) -> Self {
        Self { seconds: timestamp.time, increment: timestamp.increment }
    }
}

impl From<ClusterTime> for Timestamp {
    fn from(moment: ClusterTime) -> Self {
        Self { time: moment.seconds, increment: moment.increment }
    }
}

impl std::fmt::Display for ClusterTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.seconds, self.increment)
    }
}

impl FromStr for ClusterTime {
    type Err = Error;

    /// Reads `seconds.increment`, or a time as RFC 3339 writes it: that means the end of its second, so that all which
    /// happened within it counts.
    fn from_str(text: &str) -> Result<Self, Error> {
        exact(text).or_else(|| end_of_second(text)).ok_or_else(|| {
            Error::new(Code::Usage, format!("`{text}` is not a moment"))
                .help("Write a time such as 2026-11-23T12:34:56Z, or a cluster time such as 1795437296.7.")
        })
    }
}

fn exact(text: &str) -> Option<ClusterTime> {
    let (seconds, increment) = text.split_once('.')?;
    Some(ClusterTime { seconds: seconds.parse().ok()?, increment: increment.parse().ok()? })
}

fn end_of_second(text: &str) -> Option<ClusterTime> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(ClusterTime { seconds: time.timestamp().try_into().ok()?, increment: END_OF_SECOND })
}

impl ClusterTime {
    /// For people: the time of day (RFC 3339, UTC) and the exact place, unless the end of that second is meant.
    #[must_use]
    pub fn in_words(self) -> String {
        let time = DateTime::from_timestamp(self.seconds.into(), 0).unwrap_or_default();
        let time = time.to_rfc3339_opts(SecondsFormat::Secs, true);
        if self.increment == END_OF_SECOND { time } else { format!("{time} ({self})") }
    }

    /// The same, but no later than `last` where the end of the second of `last` is meant.
    #[must_use]
    pub(crate) fn within(self, last: Self) -> Self {
        if self.increment == END_OF_SECOND && self.seconds == last.seconds { last } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_both_forms() {
        let moment = |seconds, increment| ClusterTime { seconds, increment };
        for (text, expected) in [
            ("1795437296.7", moment(1_795_437_296, 7)),
            ("2026-11-23T12:34:56Z", moment(1_795_437_296, u32::MAX)),
            ("2026-11-23T14:34:56.999+02:00", moment(1_795_437_296, u32::MAX)),
        ] {
            assert_eq!(text.parse::<ClusterTime>().unwrap(), expected, "{text}");
        }
        assert_eq!(moment(1_795_437_296, 7).in_words(), "2026-11-23T12:34:56Z (1795437296.7)");
        let end = moment(7, u32::MAX);
        assert_eq!(
            (end.in_words().as_str(), end.within(moment(7, 3))),
            ("1970-01-01T00:00:07Z", moment(7, 3))
        );
        assert_eq!((end.within(moment(8, 3)), moment(7, 9).within(moment(7, 3))), (end, moment(7, 9)));
        for text in ["", "now", "7", "-1.2", "2026-11-23", "1960-01-01T00:00:00Z", "9999-01-01T00:00:00Z"] {
            assert_eq!(text.parse::<ClusterTime>().unwrap_err().code(), Code::Usage, "{text}");
        }
    }
}
