//! The clock of this machine.

use chrono::{DateTime, Utc};
use strongroom_engine::Clock;

/// The clock of this machine.
#[derive(Debug)]
pub(super) struct SystemClock;

#[async_trait::async_trait]
impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        now()
    }

    async fn sleep_until(&self, time: DateTime<Utc>) {
        tokio::time::sleep((time - now()).to_std().unwrap_or_default()).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench runs by the clock of its machine")]
pub(super) fn now() -> DateTime<Utc> {
    std::time::SystemTime::now().into()
}
