//! Sizes and durations, as people write them.

use std::time::Duration;

/// Bytes: `50MB` (decimal units), `64MiB` (binary ones), or a number of bytes.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 9] = [
        ("", 1),
        ("B", 1),
        ("kB", 1000),
        ("KB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
    ];
    let (number, unit) = split(text);
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    factor
        .and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor))
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "it is a size such as 50MB, 64MiB or 1GB".into())
}

/// A duration: `30s`, `5m`, `1h`, or a number of seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 4] = [("", 1), ("s", 1), ("m", 60), ("h", 3600)];
    let (number, unit) = split(text);
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    factor
        .and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor))
        .map(Duration::from_secs)
        .ok_or_else(|| "it is a duration such as 30s, 5m or 1h".into())
}

fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes() {
        for (text, expected) in [("50MB", 50_000_000), ("64MiB", 64 << 20), ("1", 1), ("2kB", 2000)] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for wrong in ["", "MB", "0", "0MB", "-1", "1.5GB", "50 MB", "50mb", "99999999999GB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reads_durations() {
        for (text, expected) in [("30s", 30), ("5m", 300), ("1h", 3600), ("0", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(expected)), "{text}");
        }
        for wrong in ["", "s", "-1s", "5d", "1.5m"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
