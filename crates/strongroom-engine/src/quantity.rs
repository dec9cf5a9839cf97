//! Sizes and durations, as people write them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::error::{Code, Error, Result};
use crate::settings::as_text;

/// A number of bytes, at least 1: `50MB` (decimal units), `64MiB` (binary ones), or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(u64);

/// A duration in whole seconds: `30s`, `5m`, `1h`, `7d`, or a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(u64);

as_text!(Bytes, Period);

/// Units that are read, and their bytes; the last of each value is the one that is written.
const SIZES: [(&str, u64); 9] = [
    ("", 1),
    ("B", 1),
    ("KB", 1000),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];
/// Units that are read, and their seconds.
const TIMES: [(&str, u64); 5] = [("", 1), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400)];

impl Bytes {
    /// This many; none for 0.
    #[must_use]
    pub fn new(bytes: u64) -> Option<Self> {
        (bytes > 0).then_some(Self(bytes))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl Period {
    /// This many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// As the standard library has it.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl FromStr for Bytes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        read(text, &SIZES).and_then(Self::new).ok_or_else(|| {
            Error::new(Code::Usage, format!("`{text}` is not a size"))
                .help("Write a size such as 50MB, 64MiB or 1GB.")
        })
    }
}

impl FromStr for Period {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        read(text, &TIMES).map(Self).ok_or_else(|| {
            Error::new(Code::Usage, format!("`{text}` is not a duration"))
                .help("Write a duration such as 30s, 5m, 1h or 7d.")
        })
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, &SIZES)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, &TIMES)
    }
}

fn read(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// In the unit that makes the smallest whole number.
fn write(f: &mut fmt::Formatter<'_>, value: u64, units: &[(&str, u64)]) -> fmt::Result {
    let whole =
        units.iter().filter(|(_, factor)| *factor == 1 || (value > 0 && value.is_multiple_of(*factor)));
    match whole.max_by_key(|(_, factor)| *factor) {
        Some((unit, factor)) => write!(f, "{}{unit}", value / factor),
        None => write!(f, "{value}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, expected, written) in [
            ("50MB", 50_000_000, "50MB"),
            ("64MiB", 64 << 20, "64MiB"),
            ("1", 1, "1B"),
            ("2KB", 2000, "2kB"),
            ("1024KiB", 1 << 20, "1MiB"),
        ] {
            let size: Bytes = text.parse().unwrap();
            assert_eq!((size.get(), size.to_string().as_str()), (expected, written), "{text}");
        }
        for wrong in ["", "MB", "0", "0MB", "-1", "1.5GB", "50 MB", "50mb", "99999999999GB"] {
            assert_eq!(wrong.parse::<Bytes>().unwrap_err().code(), Code::Usage, "{wrong}");
        }
    }

    #[test]
    fn durations_are_read_and_written() {
        for (text, expected, written) in [
            ("30s", 30, "30s"),
            ("5m", 300, "5m"),
            ("60m", 3600, "1h"),
            ("48h", 172_800, "2d"),
            ("0", 0, "0s"),
            ("90", 90, "90s"),
        ] {
            let period: Period = text.parse().unwrap();
            let found = (period.duration(), period.to_string());
            assert_eq!(found, (Duration::from_secs(expected), written.to_owned()), "{text}");
        }
        for wrong in ["", "s", "-1s", "5w", "1.5m"] {
            assert_eq!(wrong.parse::<Period>().unwrap_err().code(), Code::Usage, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in 1..u64::MAX) {
            prop_assert_eq!(Bytes(value).to_string().parse::<Bytes>().unwrap(), Bytes(value));
            prop_assert_eq!(Period(value).to_string().parse::<Period>().unwrap(), Period(value));
        }
    }
}
