//! Runs: asked for, looked at, cancelled.

mod asked;

use super::once::{self, Begun};
use super::record::Changed;
use super::{Actor, Error, Once, Result, ServiceCode, backups};
use crate::job::{self, Event};
use crate::model::{BackupRequest, LogLine, PlanId, Run, RunId, RunRequest, RunState};
use crate::service::Service;
use crate::state::runs::{Claimed, Holding, RunFilter};
use crate::state::{self, Conn, Page, PageRequest};

use asked::asked;

/// Runs, newest first. Who is limited to certain deployments or plans sees those that belong to them.
///
/// # Errors
/// The state's.
pub async fn list(
    service: &Service,
    actor: &Actor,
    mut filter: RunFilter,
    page: &PageRequest,
) -> Result<Page<Run>> {
    filter.scope = actor.scope.clone();
    let mut conn = service.state.reader().await?;
    Ok(state::runs::list(&mut conn, &filter, page).await?)
}

/// A run.
///
/// # Errors
/// `SR-MISSING`.
pub async fn get(service: &Service, actor: &Actor, id: &RunId) -> Result<Run> {
    let mut conn = service.state.reader().await?;
    let run = state::runs::get(&mut conn, id).await?;
    seen(&mut conn, actor, run).await
}

/// Lines of a run's log after a number, and how many there are at most.
///
/// # Errors
/// `SR-MISSING`.
pub async fn log(
    service: &Service,
    actor: &Actor,
    id: &RunId,
    (after, limit): (u64, u64),
) -> Result<Vec<LogLine>> {
    let mut conn = service.state.reader().await?;
    let run = state::runs::get(&mut conn, id).await?;
    seen(&mut conn, actor, run).await?;
    Ok(state::log_lines::after(&mut conn, id, after, limit).await?)
}

/// Asks for a run.
///
/// # Errors
/// `SR-REQUEST` with the field that is wrong, `SR-FORBIDDEN`, `SR-CONFLICT` if the plan has a run that is not over.
pub async fn request(
    service: &Service,
    actor: &Actor,
    wanted: RunRequest,
    once: Option<&Once>,
) -> Result<Run> {
    let run = {
        let mut conn = service.state.reader().await?;
        asked(&mut conn, service, actor, wanted).await?
    };
    let mut tx = match once::begin(service, actor, once, &run).await? {
        Begun::Now(tx) => tx,
        Begun::Before(run) => return Ok(run),
    };
    if let Some(other) = state::runs::insert_alone(&mut tx, &run).await? {
        let word = other.state.as_str();
        let error =
            Error::new(ServiceCode::Conflict, format!("the run `{}` of this plan is {word}", other.id));
        return Err(error.help("Wait for it, or cancel it. Runs of a plan do not overlap."));
    }
    Changed::new("run.create", run.id.as_str()).after(&run).record(&mut tx, service, actor).await?;
    tx.commit().await?;
    Ok(run)
}

/// Asks for a backup of a plan now, also of one that is paused.
///
/// # Errors
/// As [`request`].
pub async fn run_now(service: &Service, actor: &Actor, plan: &PlanId, once: Option<&Once>) -> Result<Run> {
    let wanted = RunRequest::Backup(BackupRequest { plan: plan.clone() });
    request(service, actor, wanted, once).await.map_err(|error| match error.fields() {
        // The plan stands in the path here.
        [field] if field.field == "plan" => Error::missing("plan"),
        _ => error,
    })
}

/// Asks a run to stop. One that waits ends at once, one at work when it has stopped; to ask twice is the same as once.
///
/// # Errors
/// `SR-MISSING`, `SR-CONFLICT` if it is over.
pub async fn cancel(service: &Service, actor: &Actor, id: &RunId) -> Result<Run> {
    let mut tx = service.state.begin().await?;
    let claimed = state::runs::get_to_change(&mut tx, id).await?.ok_or_else(|| Error::missing("run"))?;
    let Claimed { run, fence } = claimed;
    let before = seen(&mut tx, actor, Some(run)).await?;
    if before.cancel_requested && !before.state.ended() {
        return Ok(before);
    }
    let (after, effects) = job::step(&before, Event::CancelRequested, service.clock.now())
        .map_err(|error| Error::new(ServiceCode::Conflict, error.to_string()))?;
    let holding = match before.state {
        RunState::Queued => Holding::Queued,
        _ => Holding::Fence(fence),
    };
    if !state::runs::store(&mut tx, &after, holding, &effects).await? {
        let error = Error::new(ServiceCode::Conflict, "the run went on in this moment");
        return Err(error.help("Send the request again."));
    }
    let record = Changed::new("run.cancel", id.as_str()).before(&before).after(&after);
    record.record(&mut tx, service, actor).await?;
    tx.commit().await?;
    Ok(after)
}

/// The run, if the actor may see it: it belongs to a deployment and plan of theirs, or is about such a backup.
async fn seen(conn: &mut Conn, actor: &Actor, run: Option<Run>) -> Result<Run> {
    let missing = || Error::missing("run");
    let run = run.ok_or_else(missing)?;
    if actor.scope.is_whole() {
        return Ok(run);
    }
    let may = match &run.request {
        RunRequest::Backup(request) => {
            run.deployment.as_ref().is_some_and(|deployment| actor.scope.has_plan(&request.plan, deployment))
        }
        RunRequest::Verify(request) => backups::found(conn, actor, &request.backup).await.is_ok(),
        RunRequest::Restore(request) => {
            actor.scope.has_deployment(&request.target)
                && backups::found(conn, actor, &request.backup).await.is_ok()
        }
        RunRequest::Prove(_) | RunRequest::Sweep(_) => false,
    };
    if may { Ok(run) } else { Err(missing()) }
}
