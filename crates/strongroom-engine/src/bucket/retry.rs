//! Which failed requests to S3 are sent again, how often and when.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};

use super::environment;
use crate::backoff::Backoff;

/// Of one request: an outage of several seconds must not end a backup of hours. `AWS_MAX_ATTEMPTS` overrides how often.
const AGAIN: Backoff = Backoff::new(Duration::from_millis(500), PAUSE_MAX, 4);
const PAUSE_MAX: Duration = Duration::from_secs(20);
/// Of a request that was waited for in vain: minutes went by already.
const STALLED: u32 = 1;

/// Why a request may do better when it is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// The server is overloaded, or failed, or met another write of the same key.
    Busy,
    /// The connection broke, or was not made.
    Broken,
    /// Bytes changed on the way.
    Damaged,
    /// Something was waited for longer than allowed.
    Stalled,
}

/// The tries of one request.
#[derive(Debug, Default)]
pub(super) struct Tries {
    failures: u32,
    stalled: u32,
}

impl Tries {
    /// How long to wait before the next; none when it is time to give up. `credit` is that of all requests of a store.
    pub(super) fn pause(&mut self, again: Again, credit: &Credit) -> Option<Duration> {
        self.failures += 1;
        self.stalled += u32::from(again == Again::Stalled);
        let most = environment::set("AWS_MAX_ATTEMPTS").and_then(|most| most.parse::<u32>().ok());
        if most.is_some_and(|most| self.failures >= most) || self.stalled > STALLED {
            return None;
        }
        let pause = AGAIN.jittered_pause(self.failures, rand::random_range(0.0..1.0))?;
        credit.spend(again).then_some(pause)
    }
}

/// What all requests of a store have together for being sent again, so that a store that is gone is given up after the
/// first requests, and not after each of thousands has failed for itself. What is answered fills it up.
#[derive(Debug)]
pub(super) struct Credit(AtomicU32);

impl Default for Credit {
    fn default() -> Self {
        Self(AtomicU32::new(Self::FULL))
    }
}

impl Credit {
    const FULL: u32 = 100;

    /// Takes what one more try costs, if there is as much.
    fn spend(&self, again: Again) -> bool {
        let price = if again == Again::Stalled { 20 } else { 1 };
        self.0.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(price)).is_ok()
    }

    /// A request was answered.
    pub(super) fn earn(&self) {
        let more = |left: u32| (left < Self::FULL).then_some(left + 1);
        // Full is as good.
        let _ = self.0.try_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }
}

/// For requests that go without these tries, those that look at settings: the SDK's own, as often.
pub(super) fn config() -> Option<RetryConfig> {
    let said = environment::set("AWS_MAX_ATTEMPTS").is_some();
    (!said)
        .then(|| RetryConfig::standard().with_max_attempts(AGAIN.retries() + 1).with_max_backoff(PAUSE_MAX))
}

/// S3 answers 409 when two conditional writes of one key meet, and asks for the same request again
/// (Amazon S3 User Guide, "How to prevent object overwrites with conditional writes").
#[derive(Debug)]
pub(super) struct Conflicts;

impl ClassifyRetry for Conflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response() {
            Some(answer) if matches!(answer.status().as_u16(), 409 | 429) => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "conflicting writes"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_gone_is_given_up_by_all_requests_together() {
        let credit = Credit::default();
        for _ in 0..Credit::FULL / 20 {
            assert!(Tries::default().pause(Again::Stalled, &credit).is_some());
        }
        assert_eq!(Tries::default().pause(Again::Broken, &credit), None);
        credit.earn();
        assert!(Tries::default().pause(Again::Broken, &credit).is_some());
    }

    #[test]
    fn what_was_waited_for_in_vain_is_tried_once_more() {
        let (mut tries, credit) = (Tries::default(), Credit::default());
        assert!(tries.pause(Again::Stalled, &credit).is_some());
        assert!(tries.pause(Again::Busy, &credit).is_some());
        assert_eq!(tries.pause(Again::Stalled, &credit), None);
    }
}
