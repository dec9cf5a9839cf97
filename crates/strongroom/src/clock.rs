//! The clock of this machine: the one place where the time is read.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use strongroom_engine::Clock;

/// How long to sleep at most before the clock is looked at again: it may be set meanwhile.
const NAP_MAX: Duration = Duration::from_secs(30);

/// The system's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the edge where the clock is read")]
    fn now(&self) -> DateTime<Utc> {
        std::time::SystemTime::now().into()
    }

    async fn sleep_until(&self, time: DateTime<Utc>) {
        while let Ok(left) = (time - self.now()).to_std() {
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(NAP_MAX)).await;
        }
    }
}
