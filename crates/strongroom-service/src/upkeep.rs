//! What the service does by itself: retention, sweeps, changes whose time has come, runs of workers that vanished, old
//! records.

mod changes;
mod lost;
mod retain;
mod sweeps;

use std::sync::Arc;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use crate::runs::Means;
use crate::state::{PageRequest, StateError, plans, runs, settings};

pub use lost::{reap, recover};
pub use retain::retain;

/// Records that are deleted in one go.
const TRIMMED_AT_ONCE: u64 = 1_000;

/// Looks after everything until `stop`.
pub async fn run(means: Arc<Means>, stop: CancellationToken) {
    let mut leases = tokio::time::interval(means.timing.look);
    let mut rest = tokio::time::interval(means.timing.upkeep);
    loop {
        let done = tokio::select! {
            () = stop.cancelled() => return,
            _ = leases.tick() => reap(&means).await,
            _ = rest.tick() => look_after(&means).await,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "upkeep could not be done; it is tried again");
        }
    }
}

/// All that has time.
///
/// # Errors
/// As the state fails; what was done stays.
pub async fn look_after(means: &Means) -> Result<(), StateError> {
    changes::take_effect(means).await?;
    retain_all(means).await?;
    sweeps::ask(means).await?;
    trim(means).await
}

/// Backups expire with time too.
async fn retain_all(means: &Means) -> Result<(), StateError> {
    let mut page = PageRequest { limit: crate::model::Int::of(200), ..PageRequest::default() };
    loop {
        let mut conn = means.state.reader().await?;
        let found = plans::list(&mut conn, &plans::PlanFilter::default(), &page).await?;
        drop(conn);
        for plan in found.items.iter().filter(|plan| !plan.settings.retention.keeps_all()) {
            retain(means, &plan.id).await?;
        }
        let Some(next) = found.next else { return Ok(()) };
        page.after = Some(next);
    }
}

async fn trim(means: &Means) -> Result<(), StateError> {
    let mut tx = means.state.begin().await?;
    let (settings, _) = settings::get(&mut tx).await?;
    let days = i64::try_from(settings.run_history_days.get()).unwrap_or(i64::MAX);
    let before = means.now() - TimeDelta::try_days(days).unwrap_or(TimeDelta::MAX);
    runs::trim(&mut tx, before, TRIMMED_AT_ONCE).await?;
    tx.commit().await
}
