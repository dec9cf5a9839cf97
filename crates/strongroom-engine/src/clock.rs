//! The time, as something that can be replaced: tests and simulations bring their own.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// Gives the time and waits for it. The engine reads no other wall clock.
#[async_trait]
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time now, in UTC.
    fn now(&self) -> DateTime<Utc>;

    /// Waits until `time`. Returns at once if it is past; never returns before it, even if the clock is set back
    /// meanwhile.
    async fn sleep_until(&self, time: DateTime<Utc>);
}
