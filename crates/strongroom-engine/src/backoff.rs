//! Pauses between tries that grow: the one answer to "when again, and how often?".

use std::time::Duration;

/// How often something that failed is tried again, and how long to pause before each time. Pauses double.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    retries: u32,
}

impl Backoff {
    /// Tries again up to `retries` times, the first time after `first`, and never pauses longer than `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration, retries: u32) -> Self {
        Self { first, longest, retries }
    }

    /// How often it is tried again.
    #[must_use]
    pub const fn retries(&self) -> u32 {
        self.retries
    }

    /// The pause after this many failures in a row (1 after the first); none when it is time to give up.
    #[must_use]
    pub fn pause(&self, failures: u32) -> Option<Duration> {
        if failures > self.retries {
            return None;
        }
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        Some(self.first.saturating_mul(doubled).min(self.longest))
    }

    /// The same pause, shortened by up to half, so that many that failed together do not return together.
    /// `random` is evenly spread over 0 to 1.
    #[must_use]
    pub fn jittered_pause(&self, failures: u32, random: f64) -> Option<Duration> {
        self.pause(failures).map(|pause| pause.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_the_longest_and_end() {
        let backoff = Backoff::new(SECOND, 5 * SECOND, 4);
        let pauses: Vec<_> = (1..=5).map(|failures| backoff.pause(failures)).collect();
        assert_eq!(pauses, [Some(SECOND), Some(2 * SECOND), Some(4 * SECOND), Some(5 * SECOND), None]);
        assert_eq!(Backoff::new(SECOND, SECOND, 0).pause(1), None);
        assert_eq!(Backoff::new(SECOND, Duration::MAX, u32::MAX).pause(u32::MAX), Some(SECOND * u32::MAX));
    }

    #[test]
    fn jitter_takes_off_half_at_most() {
        let backoff = Backoff::new(4 * SECOND, 4 * SECOND, 1);
        for (random, expected) in [(0.0, 2 * SECOND), (0.5, 3 * SECOND), (1.0, 4 * SECOND)] {
            assert_eq!(backoff.jittered_pause(1, random), Some(expected));
        }
        assert_eq!(backoff.jittered_pause(2, 0.5), None);
    }
}
