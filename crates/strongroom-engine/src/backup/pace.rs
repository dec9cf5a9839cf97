//! How fast a backup reads: never more than asked for, and next to nothing while the member is overloaded.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a reader holds back before each reply while the member is overloaded: it goes on at a crawl, so that
/// a backup ends even where the load never does.
const CRAWL: Duration = Duration::from_secs(5);

/// The pace of one backup, shared by its readers.
#[derive(Debug)]
pub(super) struct Pace {
    budget: Option<Mutex<Budget>>,
    overloaded: watch::Sender<bool>,
}

impl Pace {
    /// At most `rate_max` bytes of documents a second; none: as fast as it goes.
    pub(super) fn new(rate_max: Option<u64>) -> Self {
        let budget = rate_max.map(|rate| Mutex::new(Budget { rate, paid_until: None }));
        Self { budget, overloaded: watch::Sender::new(false) }
    }

    /// Takes note that `bytes` were read, and waits until more may be. Nothing waits once `stop` is cancelled.
    pub(super) async fn spend(&self, bytes: u64, stop: &CancellationToken) {
        let now = Instant::now();
        let wait = self.budget.as_ref().map_or(Duration::ZERO, |budget| {
            budget.lock().unwrap_or_else(PoisonError::into_inner).spend(bytes, now)
        });
        tokio::select! {
            () = self.hold_back(wait) => {}
            () = stop.cancelled() => {}
        }
    }

    /// Whether the member has more to do than it can.
    pub(super) fn set_overloaded(&self, overloaded: bool) {
        self.overloaded.send_replace(overloaded);
    }

    async fn hold_back(&self, wait: Duration) {
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let mut overloaded = self.overloaded.subscribe();
        // Either it is over, or it has been waited long enough.
        let _ = tokio::time::timeout(CRAWL, overloaded.wait_for(|overloaded| !overloaded)).await;
    }
}

/// Bytes are paid for with time, after they were read.
#[derive(Debug)]
struct Budget {
    /// Bytes a second, more than 0.
    rate: u64,
    paid_until: Option<Instant>,
}

impl Budget {
    /// How long to wait now that `bytes` more were read.
    fn spend(&mut self, bytes: u64, now: Instant) -> Duration {
        let cost = Duration::from_secs_f64(bytes as f64 / self.rate.max(1) as f64);
        let until = self.paid_until.map_or(now, |paid| paid.max(now)) + cost;
        self.paid_until = Some(until);
        until - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_readers_together_keep_to_the_rate() {
        let start = Instant::now();
        let mut budget = Budget { rate: 1000, paid_until: None };
        let second = Duration::from_secs(1);
        assert_eq!(budget.spend(500, start), second / 2);
        assert_eq!(budget.spend(1000, start), second + second / 2);
        assert_eq!(budget.spend(500, start + second * 2), second / 2, "time that was not used is gone");
    }

    #[tokio::test]
    async fn a_cancelled_backup_waits_for_nothing() {
        let stop = CancellationToken::new();
        let pace = Pace::new(Some(1));
        pace.set_overloaded(true);
        stop.cancel();
        pace.spend(u32::MAX.into(), &stop).await;
    }
}
