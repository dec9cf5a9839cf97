//! What a plan will have stored on a date, why, and what that costs.

use super::plans::{self, check};
use super::{Actor, Error, Result};
use crate::model::{NewPlan, Plan, Simulation};
use crate::service::Service;
use crate::simulate::{Forecast, Stored, Subject, simulate};
use crate::state;

/// Foresees what will be stored.
///
/// # Errors
/// `SR-REQUEST` with the field that is wrong, `SR-MISSING`.
pub async fn run(service: &Service, actor: &Actor, asked: Simulation) -> Result<Forecast> {
    let now = service.clock.now();
    let mut conn = service.state.reader().await?;
    let plan = match &asked.plan {
        Some(id) => Some(plans::found(&mut conn, actor, id).await?),
        None => None,
    };
    let before = plan.as_ref().map(|plan| &plan.settings);
    let wanted = asked
        .settings
        .or_else(|| before.cloned())
        .ok_or_else(|| Error::field("settings", "either a plan or settings of one are wanted"))?;
    let checked = check(&mut conn, actor, (wanted, before), now).await?;
    let backups = match &plan {
        Some(plan) => state::backups::of_plan(&mut conn, &plan.id).await?,
        None => Vec::new(),
    };
    let (settings, _) = state::settings::get(&mut conn).await?;
    drop(conn);
    let of = |plan: &Plan| backups.iter().filter_map(|backup| Stored::of(backup, &plan.id)).collect();
    let stored: Vec<Stored> = plan.as_ref().map(of).unwrap_or_default();
    let lock_days = checked.location.bucket.object_lock.map(|lock| lock.days);
    let scenario = asked.scenario;
    let work = move || {
        let NewPlan { schedule, retention, paused, .. } = &checked.settings;
        let grace_hours = settings.grace_hours;
        let subject =
            Subject { schedule, paused: *paused, retention, backups: &stored, grace_hours, lock_days };
        simulate(&subject, &scenario, now)
    };
    // It may take seconds.
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| Error::internal(&format!("a simulation broke off: {error}")))?;
    done.map_err(|why| Error::field("scenario", why))
}
