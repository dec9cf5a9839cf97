//! A state to test with, and a clock that is set by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use strongroom_engine::Clock;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct Hand(AtomicI64);

impl Hand {
    /// At two in the morning of 25 November 2026.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_795_572_000_000)))
    }

    pub(crate) fn forward(&self, by: TimeDelta) {
        self.0.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for Hand {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0.load(Ordering::SeqCst)).unwrap()
    }

    async fn sleep_until(&self, time: DateTime<Utc>) {
        while self.now() < time {
            tokio::task::yield_now().await;
        }
    }
}
