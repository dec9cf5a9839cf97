//! Moments of a replica set, and how people write them.

use std::str::FromStr;

use bson::Timestamp;
use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

use crate::error::{Code, Error};

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

    /// Reads `seconds.increment`, or a time as RFC 3339 writes it: that means the beginning of its second, so that
    /// nothing which happened within it counts.
    fn from_str(text: &str) -> Result<Self, Error> {
        exact(text).or_else(|| beginning(text)).ok_or_else(|| {
            Error::new(Code::Usage, format!("`{text}` is not a moment"))
                .help("Write a time such as 2026-11-23T12:34:56Z, or a cluster time such as 1795437296.7.")
        })
    }
}

fn exact(text: &str) -> Option<ClusterTime> {
    let (seconds, increment) = text.split_once('.')?;
    Some(ClusterTime { seconds: seconds.parse().ok()?, increment: increment.parse().ok()? })
}

fn beginning(text: &str) -> Option<ClusterTime> {
    let time = DateTime::parse_from_rfc3339(text).ok()?;
    Some(ClusterTime { seconds: time.timestamp().try_into().ok()?, increment: 0 })
}

/// A moment for people: the time of day (RFC 3339, UTC) and the exact place.
#[must_use]
pub fn in_words(moment: ClusterTime) -> String {
    let time = DateTime::from_timestamp(moment.seconds.into(), 0).unwrap_or_default();
    format!("{} ({moment})", time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_both_forms() {
        let moment = |seconds, increment| ClusterTime { seconds, increment };
        for (text, expected) in [
            ("1795437296.7", moment(1_795_437_296, 7)),
            ("2026-11-23T12:34:56Z", moment(1_795_437_296, 0)),
            ("2026-11-23T14:34:56.999+02:00", moment(1_795_437_296, 0)),
        ] {
            assert_eq!(text.parse::<ClusterTime>().unwrap(), expected, "{text}");
        }
        assert_eq!(in_words(moment(1_795_437_296, 7)), "2026-11-23T12:34:56Z (1795437296.7)");
        for text in ["", "now", "7", "-1.2", "2026-11-23", "1960-01-01T00:00:00Z", "9999-01-01T00:00:00Z"] {
            assert_eq!(text.parse::<ClusterTime>().unwrap_err().code(), Code::Usage, "{text}");
        }
    }
}
