//! The one place that decides what is tried again, how often and when.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};

/// Tries of one request: the first and its repetitions. `AWS_MAX_ATTEMPTS` overrides it.
pub(super) const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(20);

/// Repetitions with growing pauses and jitter; none where the environment says how many.
pub(super) fn config() -> Option<RetryConfig> {
    let said = std::env::var_os("AWS_MAX_ATTEMPTS").is_some();
    (!said).then(|| RetryConfig::standard().with_max_attempts(ATTEMPTS).with_max_backoff(PAUSE_MAX))
}

/// How long to wait before a body that broke off is fetched again; `tries` were made.
pub(super) fn pause(tries: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1))).min(PAUSE_MAX);
    longest.mul_f64(rand::random_range(0.5..1.0))
}

/// S3 answers 409 when two conditional writes of one key meet, and asks for the same request again
/// (Amazon S3 User Guide, "How to prevent object overwrites with conditional writes").
#[derive(Debug)]
pub(super) struct Conflicts;

impl ClassifyRetry for Conflicts {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response() {
            Some(answer) if answer.status().as_u16() == 409 => RetryAction::transient_error(),
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
    fn pauses_grow_to_a_limit_and_differ() {
        for (tries, longest) in [(1, FIRST_PAUSE), (3, FIRST_PAUSE * 4), (u32::MAX, PAUSE_MAX)] {
            let pause = pause(tries);
            assert!(pause <= longest && pause >= longest / 2, "{tries}: {pause:?}");
        }
    }
}
