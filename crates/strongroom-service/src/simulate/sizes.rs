//! How large backups will be.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Stored;
use crate::model::Int;
use crate::retention::Standing;

/// How large backups will be. What is not set is taken from the newest hundred good backups.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sizes {
    /// Bytes of a backup as stored, if it were made now.
    #[schema(inline)]
    pub bytes: Option<Int<0, 1_000_000_000_000_000>>,
    /// By how much that grows in a year, in hundredths of it.
    #[schema(inline)]
    pub growth_percent: Option<Int<0, 100_000>>,
}

/// A straight line through sizes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Trend {
    now: DateTime<Utc>,
    bytes: f64,
    bytes_a_day: f64,
    /// By how many backups; none: as set.
    by: usize,
}

/// The largest size that is foreseen: a growth may not run away.
const LARGEST: f64 = 1e15;

impl Trend {
    pub(super) fn of(sizes: &Sizes, backups: &[Stored], now: DateTime<Utc>) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
        let set = |number: u64| number as f64;
        let points = newest(backups).into_iter().map(|(at, bytes)| (days(at - now), set(bytes)));
        let seen = Self::through(&points.collect::<Vec<_>>(), now);
        let bytes = sizes.bytes.map_or(seen.bytes, |bytes| set(bytes.get()));
        let grown = sizes.growth_percent.map(|percent| bytes * set(percent.get()) / 100.0 / 365.25);
        let seen_grows = if sizes.bytes.is_some() { 0.0 } else { seen.bytes_a_day };
        let by = if sizes.bytes.is_some() { 0 } else { seen.by };
        Self { bytes, bytes_a_day: grown.unwrap_or(seen_grows), by, now }
    }

    /// The line with the least squares of the distances. Of a few backups, or of one day, a flat one.
    fn through(points: &[(f64, f64)], now: DateTime<Utc>) -> Self {
        #[allow(clippy::cast_precision_loss, reason = "at most a hundred")]
        let count = points.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count.max(1.0);
        let (day, bytes) = (mean(|point| point.0), mean(|point| point.1));
        let spread: f64 = points.iter().map(|point| (point.0 - day).powi(2)).sum();
        let common: f64 = points.iter().map(|point| (point.0 - day) * (point.1 - bytes)).sum();
        let flat = points.len() < 3 || spread < 1.0;
        let bytes_a_day = if flat { 0.0 } else { common / spread };
        // Days count from now, which is day nought.
        Self { now, bytes: (bytes - bytes_a_day * day).clamp(0.0, LARGEST), bytes_a_day, by: points.len() }
    }

    /// The size of a backup that is made at a time.
    pub(super) fn at(&self, at: DateTime<Utc>) -> u64 {
        let bytes = self.bytes + self.bytes_a_day * days(at - self.now);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "just clamped")]
        let bytes = bytes.clamp(0.0, LARGEST).round() as u64;
        bytes
    }

    pub(super) fn told(&self) -> String {
        let month = TimeDelta::days(30);
        let growth = self.at(self.now + month).abs_diff(self.at(self.now));
        let way = if self.bytes_a_day < 0.0 { "shrinking" } else { "growing" };
        let basis = match self.by {
            0 if self.bytes > 0.0 => "as given".into(),
            0 => "no size is given, and there is no backup to go by".into(),
            1 => "by the one backup that there is".into(),
            by => format!("by {by} backups"),
        };
        format!("{basis}: {} bytes now, {way} by {growth} in 30 days", self.at(self.now))
    }
}

fn days(time: TimeDelta) -> f64 {
    #[allow(clippy::cast_precision_loss, reason = "seconds of centuries are far below 2^53")]
    let seconds = time.num_seconds() as f64;
    seconds / 86_400.0
}

/// Times and sizes of the newest good backups.
fn newest(backups: &[Stored]) -> Vec<(DateTime<Utc>, u64)> {
    const LOOKED_AT: usize = 100;
    let good = backups.iter().filter(|stored| stored.backup.standing == Standing::Good);
    let mut good: Vec<_> = good.map(|stored| (stored.backup.at, stored.bytes)).collect();
    good.sort_unstable_by(|a, b| b.cmp(a));
    good.truncate(LOOKED_AT);
    good
}
