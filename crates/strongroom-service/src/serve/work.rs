//! The loops that make runs, do them and look after what they left.

use std::sync::Arc;
use std::time::Duration;

use strongroom_engine::{Code, Error, Result};

use super::Loops;
use crate::runs::{Means, Timing};
use crate::worker::Worker;
use crate::{scheduler, upkeep};

/// The worker of a process that has its state for itself. It is the same after a restart, so that what it was at is known
/// to be over.
const ALONE: &str = "alone";
/// How long runs that are handed over may clean up, out of the time that a stop may take.
const HAND_OVER: Duration = Duration::from_secs(30);

/// How long runs may go on when the service is stopped, for a stop that may take so long.
pub(super) fn timing(stop: Duration) -> Timing {
    let hand_over_within = HAND_OVER.min(stop / 2);
    Timing { finish_within: stop - hand_over_within, hand_over_within, ..Timing::default() }
}

/// Takes back what was at work when the process ended the last time, and begins the loops.
///
/// # Errors
/// [`Code::Internal`] if the state fails.
pub(super) async fn begin(means: Means, loops: &Loops) -> Result<()> {
    let name = match means.state.is_shared() {
        // Others may bear any name; what this process was at is taken over when its lease is over.
        true => format!("{:016x}", rand::random::<u64>()),
        false => ALONE.to_owned(),
    };
    if !means.state.is_shared() {
        let lost = upkeep::recover(&means, &name).await.map_err(|e| {
            Error::new(Code::Internal, "what was at work when the service ended cannot be taken back")
                .caused_by(e)
        })?;
        if lost > 0 {
            tracing::warn!(runs = lost, "runs were at work when the service ended; backups begin again");
        }
    }
    let worker = Worker::new(means.clone(), name);
    let means = Arc::new(means);
    loops.begin("worker", move |stop| {
        let worker = worker.clone();
        async move {
            worker.run(stop).await;
            Ok(())
        }
    });
    let of_scheduler = means.clone();
    loops.begin("scheduler", move |stop| {
        let means = of_scheduler.clone();
        async move {
            scheduler::run(means, stop).await;
            Ok(())
        }
    });
    loops.begin("upkeep", move |stop| {
        let means = means.clone();
        async move {
            upkeep::run(means, stop).await;
            Ok(())
        }
    });
    Ok(())
}
