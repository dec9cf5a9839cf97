//! Which requests to S3 are tried again, how often and when.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_sdk_s3::config::interceptors::InterceptorContext;
use aws_sdk_s3::config::retry::{ClassifyRetry, RetryAction};

use crate::backoff::Backoff;

/// Of one request and of a body that breaks off. `AWS_MAX_ATTEMPTS` overrides it for requests.
const AGAIN: Backoff = Backoff::new(Duration::from_millis(200), PAUSE_MAX, 4);
const PAUSE_MAX: Duration = Duration::from_secs(20);

/// Repetitions with growing pauses and jitter; none where the environment says how many.
pub(super) fn config() -> Option<RetryConfig> {
    let said = std::env::var_os("AWS_MAX_ATTEMPTS").is_some();
    (!said)
        .then(|| RetryConfig::standard().with_max_attempts(AGAIN.retries() + 1).with_max_backoff(PAUSE_MAX))
}

/// How long to wait before a body that broke off so many times is fetched again; none when it is time to give up.
pub(super) fn pause(failures: u32) -> Option<Duration> {
    AGAIN.jittered_pause(failures, rand::random_range(0.0..1.0))
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
