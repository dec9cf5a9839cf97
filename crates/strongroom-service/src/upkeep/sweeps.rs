//! Sweeps are runs: one for a location whenever something there is to go.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use strongroom_engine::guard::Access;

use crate::model::{Int, LocationId, Run, RunKind, RunOutcome, RunRequest, RunState, SweepRequest, Trigger};
use crate::runs::Means;
use crate::scheduler::queued;
use crate::state::runs::RunFilter;
use crate::state::{Conn, PageRequest, StateError, backups, leftovers, locations, runs};

/// Leftovers that are looked at to find their locations.
const LOOKED_AT: u64 = 1_000;
/// How long after a sweep that left something the next one is.
const PAUSE: TimeDelta = TimeDelta::minutes(10);

/// Asks for a sweep wherever one is due and none is asked for.
///
/// # Errors
/// As the state fails.
pub(super) async fn ask(means: &Means) -> Result<(), StateError> {
    let now = means.now();
    let mut conn = means.state.reader().await?;
    let mut due: BTreeSet<LocationId> =
        backups::locations_to_sweep(&mut conn, now).await?.into_iter().collect();
    due.extend(leftovers::due(&mut conn, None, now, LOOKED_AT).await?.into_iter().map(|left| left.location));
    let mut wanted = Vec::new();
    for location in due {
        if can_sweep(&mut conn, &location).await? && !is_under_way(means, &mut conn, &location).await? {
            wanted.push(location);
        }
    }
    drop(conn);
    for location in wanted {
        let request = RunRequest::Sweep(SweepRequest { location: location.clone() });
        let run = Run { location: Some(location), ..queued(request, Trigger::Upkeep, now) };
        let mut tx = means.state.begin().await?;
        runs::insert(&mut tx, &run).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// With split access somebody must be there who deletes.
async fn can_sweep(conn: &mut Conn, location: &LocationId) -> Result<bool, StateError> {
    let found = locations::get(conn, location).await?;
    Ok(found.is_some_and(|location| location.bucket.access != Access::Split || location.pruner.is_some()))
}

/// Whether there is a sweep of the location that has not ended, or one that has just left something behind.
async fn is_under_way(means: &Means, conn: &mut Conn, location: &LocationId) -> Result<bool, StateError> {
    let filter =
        RunFilter { location: Some(location.clone()), kind: Some(RunKind::Sweep), ..RunFilter::default() };
    let newest = PageRequest { limit: Int::of(1), ..PageRequest::default() };
    let newest = runs::list(conn, &filter, &newest).await?.items;
    let Some(run) = newest.first() else { return Ok(false) };
    let Some(ended) = run.ended_at else { return Ok(true) };
    let all_gone = match &run.outcome {
        Some(RunOutcome::Sweep(swept)) => run.state == RunState::Succeeded && swept.left == 0,
        _ => false,
    };
    Ok(!all_gone && means.now() - ended < PAUSE)
}
