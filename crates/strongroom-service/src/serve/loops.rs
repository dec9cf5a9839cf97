//! The loops of the service: each is begun again when it ends by itself, and all end when the service stops.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use strongroom_engine::Result;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The pause before a loop that failed is begun again.
const PAUSE: Duration = Duration::from_secs(5);

/// Loops that run until the service stops.
#[derive(Clone)]
pub struct Loops {
    stop: CancellationToken,
    tasks: TaskTracker,
    /// Names of those that failed and have not begun again.
    down: Arc<Mutex<Vec<&'static str>>>,
    pause: Duration,
}

impl fmt::Debug for Loops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loops").field("running", &self.tasks.len()).finish_non_exhaustive()
    }
}

impl Loops {
    /// None yet. They end when `stop` is cancelled.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        Self { stop, tasks: TaskTracker::new(), down: Arc::default(), pause: PAUSE }
    }

    /// Begins a loop, and begins it again when it fails or panics. `work` gets the token that says when to end.
    pub fn begin<F, W>(&self, name: &'static str, work: W)
    where
        F: Future<Output = Result<()>> + Send + 'static,
        W: Fn(CancellationToken) -> F + Send + Sync + 'static,
    {
        let loops = self.clone();
        self.tasks.spawn(async move {
            while !loops.stop.is_cancelled() {
                loops.mark(name, false);
                let outcome = AssertUnwindSafe(work(loops.stop.clone())).catch_unwind().await;
                if loops.stop.is_cancelled() {
                    break;
                }
                match outcome {
                    Ok(Ok(())) => tracing::error!(name, "a loop ended by itself; it begins again"),
                    Ok(Err(error)) => tracing::error!(name, ?error, "a loop failed; it begins again"),
                    Err(_) => tracing::error!(name, "a loop panicked; it begins again"),
                }
                loops.mark(name, true);
                let _ = tokio::time::timeout(loops.pause, loops.stop.cancelled()).await;
            }
        });
    }

    fn mark(&self, name: &'static str, down: bool) {
        let mut names = self.down.lock().unwrap_or_else(PoisonError::into_inner);
        names.retain(|known| *known != name);
        if down {
            names.push(name);
        }
    }

    /// Names of those that failed and have not begun again.
    #[must_use]
    pub fn down(&self) -> Vec<&'static str> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until all have ended, but no longer than `limit`. The token must be cancelled.
    pub async fn ended(&self, limit: Duration) {
        self.tasks.close();
        if tokio::time::timeout(limit, self.tasks.wait()).await.is_err() {
            tracing::warn!(
                left = self.tasks.len(),
                "loops are left behind: they took longer than `stop_seconds`"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use strongroom_engine::{Code, Error};

    use super::*;

    #[tokio::test]
    async fn a_loop_that_fails_or_panics_begins_again() {
        let (stop, begun) = (CancellationToken::new(), Arc::new(AtomicUsize::new(0)));
        let loops = Loops { pause: Duration::from_millis(50), ..Loops::new(stop.clone()) };
        let count = begun.clone();
        loops.begin("scheduler", move |stop| {
            let time = count.fetch_add(1, Ordering::SeqCst);
            async move {
                match time {
                    0 => panic!("first"),
                    1 => Err(Error::new(Code::Internal, "second")),
                    _ => {
                        stop.cancelled().await;
                        Ok(())
                    }
                }
            }
        });
        while loops.down() != ["scheduler"] {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        while begun.load(Ordering::SeqCst) < 3 || !loops.down().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.cancel();
        loops.ended(Duration::from_secs(10)).await;
        assert!(loops.tasks.is_empty());
    }

    #[tokio::test]
    async fn a_loop_that_does_not_end_is_not_waited_for() {
        let stop = CancellationToken::new();
        let loops = Loops::new(stop.clone());
        let begun = Arc::new(AtomicUsize::new(0));
        let count = begun.clone();
        loops.begin("worker", move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            std::future::pending()
        });
        while begun.load(Ordering::SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.cancel();
        loops.ended(Duration::from_millis(50)).await;
        assert_eq!(loops.tasks.len(), 1);
    }
}
