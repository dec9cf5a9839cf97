//! How often something may be tried. Pure: the time is passed in.

use std::collections::HashMap;
use std::hash::Hash;

use chrono::{DateTime, TimeDelta, Utc};

/// Counts tries by key. A key may use up `burst` tries at once, and gets one back every `interval`.
///
/// It holds a bounded number of keys. When it is full, the key that has the most tries left is forgotten.
#[derive(Debug)]
pub struct Throttle<K> {
    burst: i32,
    interval: TimeDelta,
    /// When the key will have all its tries again.
    whole_at: HashMap<K, DateTime<Utc>>,
}

/// Keys that are remembered at most.
const MAX_KEYS: usize = 10_000;

impl<K: Eq + Hash + Clone> Throttle<K> {
    /// `burst` tries at once, and one more every `interval`.
    #[must_use]
    pub fn new(burst: u16, interval: TimeDelta) -> Self {
        Self { burst: i32::from(burst), interval, whole_at: HashMap::new() }
    }

    /// Uses up a try of `key`.
    ///
    /// # Errors
    /// The seconds to wait, at least one, when none is left.
    pub fn take(&mut self, key: &K, now: DateTime<Utc>) -> Result<(), u64> {
        let longest = now + self.interval * self.burst;
        // A clock that was set back must lock nobody out for long.
        let whole_at = self.whole_at.get(key).map_or(now, |at| (*at).clamp(now, longest));
        let after = whole_at + self.interval;
        if after > longest {
            return Err(u64::try_from((after - longest).num_seconds() + 1).unwrap_or(1));
        }
        self.make_room(now);
        self.whole_at.insert(key.clone(), after);
        Ok(())
    }

    fn make_room(&mut self, now: DateTime<Utc>) {
        if self.whole_at.len() < MAX_KEYS {
            return;
        }
        self.whole_at.retain(|_, at| *at > now);
        if self.whole_at.len() < MAX_KEYS {
            return;
        }
        let freest = self.whole_at.iter().min_by_key(|(_, at)| **at).map(|(key, _)| key.clone());
        if let Some(key) = freest {
            self.whole_at.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_795_000_000 + second, 0).unwrap()
    }

    #[test]
    fn tries_come_back_one_by_one_and_each_key_has_its_own() {
        let mut throttle = Throttle::new(3, TimeDelta::seconds(10));
        for _ in 0..3 {
            assert_eq!(throttle.take(&"a", at(0)), Ok(()));
        }
        let wait = throttle.take(&"a", at(1)).unwrap_err();
        assert!((9..=10).contains(&wait), "{wait}");
        assert_eq!(throttle.take(&"b", at(1)), Ok(()));
        assert_eq!(throttle.take(&"a", at(10)), Ok(()));
        assert!(throttle.take(&"a", at(11)).is_err());
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out_for_longer() {
        let mut throttle = Throttle::new(1, TimeDelta::seconds(10));
        assert_eq!(throttle.take(&"a", at(1_000_000)), Ok(()));
        assert!(throttle.take(&"a", at(0)).unwrap_err() <= 11);
    }

    #[test]
    fn it_never_holds_more_keys_than_it_may() {
        let mut throttle = Throttle::new(2, TimeDelta::seconds(10));
        let busy = u32::MAX;
        throttle.take(&busy, at(0)).unwrap();
        throttle.take(&busy, at(0)).unwrap();
        for key in 0..20_000 {
            throttle.take(&key, at(0)).unwrap();
        }
        assert!(throttle.whole_at.len() <= MAX_KEYS);
        assert!(throttle.take(&busy, at(0)).is_err(), "the busiest key is not forgotten for idle ones");
    }
}
