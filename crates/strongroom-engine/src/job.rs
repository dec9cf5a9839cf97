//! How every job is watched and stopped: backup, restore, verify, cat, delete, prove and provision take the same three
//! things.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::error::{Code, Error, Result};
use crate::progress::{Event, Observer, Phase, Silent, Warning};
use crate::waits::Waits;

/// The surroundings of a job: who watches it, what stops it, and the clock it reads.
#[derive(Clone)]
pub struct Job {
    /// Receives its events.
    pub observer: Arc<dyn Observer>,
    /// Cancelled when it is to stop. It then ends cleanly, with [`Code::Cancelled`], and removes what it made.
    pub cancel: CancellationToken,
    /// Gives it the time.
    pub clock: Arc<dyn Clock>,
    /// Limits what it waits for.
    pub waits: Waits,
}

impl Job {
    /// A job that nobody watches or stops.
    #[must_use]
    pub fn unwatched(clock: Arc<dyn Clock>) -> Self {
        Self { observer: Arc::new(Silent), cancel: CancellationToken::new(), clock, waits: Waits::default() }
    }

    /// The same job for a part of its work whose events are nobody's concern.
    #[must_use]
    pub fn quiet(&self) -> Self {
        Self { observer: Arc::new(Silent), ..self.clone() }
    }

    /// Reports an event.
    pub fn observe(&self, event: &Event) {
        self.observer.observe(event);
    }

    /// Reports that a step began.
    pub fn phase(&self, phase: Phase) {
        self.observe(&Event::Phase { phase });
    }

    /// Reports a warning.
    pub fn warn(&self, warning: Warning) {
        self.observe(&Event::Warning(warning));
    }

    /// Ends a job that was cancelled.
    ///
    /// # Errors
    /// [`Code::Cancelled`].
    pub fn check(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(cancelled()) } else { Ok(()) }
    }

    /// The outcome of `work`, which is dropped when the job is cancelled: for work that leaves nothing behind.
    ///
    /// # Errors
    /// [`Code::Cancelled`], and those of `work`.
    pub async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(cancelled()),
            outcome = work => outcome,
        }
    }

    /// The outcome of a request that may change something. Once the job is cancelled the answer is waited for no longer
    /// than `patience`: with it the job knows what to take back.
    ///
    /// # Errors
    /// [`Code::Cancelled`], before the request is sent or when its answer does not come in time.
    pub async fn answered_within<T>(
        &self,
        patience: Duration,
        request: impl Future<Output = T>,
    ) -> Result<T> {
        let too_late = async {
            self.cancel.cancelled().await;
            tokio::time::sleep(patience).await;
        };
        self.answered_before(too_late, request).await
    }

    /// The same, where the end of `too_late` ends the wait.
    ///
    /// # Errors
    /// As [`answered_within`](Self::answered_within).
    pub(crate) async fn answered_before<T>(
        &self,
        too_late: impl Future<Output = ()>,
        request: impl Future<Output = T>,
    ) -> Result<T> {
        self.check()?;
        tokio::select! {
            biased;
            answer = request => Ok(answer),
            () = too_late => Err(cancelled()),
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("cancelled", &self.cancel.is_cancelled()).finish_non_exhaustive()
    }
}

fn cancelled() -> Error {
    Error::new(Code::Cancelled, "cancelled")
}
