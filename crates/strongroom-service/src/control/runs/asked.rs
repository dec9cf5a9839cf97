//! A run as it is made of what was asked for, once that can be.

use strongroom_engine::restore::Existing;

use super::backups;
use crate::control::{Actor, Error, Result, ServiceCode};
use crate::model::{
    Backup, BackupKey, BackupRequest, BackupState, LocationId, RestoreRequest, Role, Run, RunLimits,
    RunRequest, Trigger,
};
use crate::runs;
use crate::scheduler::queued;
use crate::service::Service;
use crate::state::{Conn, deployments, locations, plans};

/// The run.
///
/// # Errors
/// `SR-REQUEST` with the field that is wrong, `SR-FORBIDDEN`, `SR-CONFLICT` for a backup that is gone.
pub(super) async fn asked(
    conn: &mut Conn,
    service: &Service,
    actor: &Actor,
    wanted: RunRequest,
) -> Result<Run> {
    let run = empty(service, actor, wanted.clone());
    match wanted {
        RunRequest::Backup(request) => backup(conn, actor, run, &request).await,
        RunRequest::Verify(request) => {
            let backup = there(conn, actor, &request.backup).await?;
            Ok(Run { location: Some(backup.location), ..run })
        }
        RunRequest::Restore(request) => restore(conn, actor, run, &request).await,
        RunRequest::Prove(request) => of_location(conn, actor, run, request.location).await,
        RunRequest::Sweep(request) => {
            actor.must_be(Role::Admin, false)?;
            of_location(conn, actor, run, request.location).await
        }
    }
}

fn empty(service: &Service, actor: &Actor, request: RunRequest) -> Run {
    let run = queued(request, Trigger::Request, service.clock.now());
    Run { requested_by: actor.user.clone(), ..run }
}

async fn backup(conn: &mut Conn, actor: &Actor, run: Run, request: &BackupRequest) -> Result<Run> {
    let plan = plans::get(conn, &request.plan).await?;
    let plan = plan.filter(|plan| actor.scope.has_plan(&plan.id, &plan.settings.deployment));
    let plan = plan.ok_or_else(|| Error::field("plan", "there is no such plan"))?;
    Ok(Run {
        plan: Some(plan.id),
        deployment: Some(plan.settings.deployment),
        location: Some(plan.settings.location),
        limits: RunLimits::of(&plan.settings.running),
        ..run
    })
}

/// What restores is no run of the backup's plan: it need not wait until that has made another backup.
async fn restore(conn: &mut Conn, actor: &Actor, run: Run, request: &RestoreRequest) -> Result<Run> {
    actor.must_be(Role::Operator, true)?;
    let backup = there(conn, actor, &request.backup).await?;
    let target = deployments::get(conn, &request.target).await?;
    let target = target.filter(|target| actor.scope.has_deployment(&target.id));
    let target = target.ok_or_else(|| Error::field("target", "there is no such deployment"))?;
    runs::restore::options(&request.settings).map_err(|error| Error::from(error).at("settings"))?;
    if request.settings.existing == Existing::Drop && request.confirm_target.as_ref() != Some(&target.name) {
        let message =
            format!("type the name of the deployment whose collections are replaced: `{}`", target.name);
        return Err(Error::field("confirm_target", message));
    }
    Ok(Run { deployment: Some(target.id), location: Some(backup.location), ..run })
}

async fn of_location(conn: &mut Conn, actor: &Actor, run: Run, location: LocationId) -> Result<Run> {
    if !actor.scope.is_whole() {
        let message = "this token is for certain deployments or plans, and a location is for all of them";
        return Err(Error::new(ServiceCode::Forbidden, message));
    }
    if locations::get(conn, &location).await?.is_none() {
        return Err(Error::field("location", "there is no such location"));
    }
    Ok(Run { location: Some(location), ..run })
}

/// A backup that is still in its location.
async fn there(conn: &mut Conn, actor: &Actor, id: &BackupKey) -> Result<Backup> {
    let backup = backups::found(conn, actor, id).await;
    let backup = backup.map_err(|_| Error::field("backup", "there is no such backup"))?;
    match backup.state {
        BackupState::Kept | BackupState::Expired => Ok(backup),
        BackupState::Swept => Err(Error::new(ServiceCode::Conflict, "this backup was deleted").at("backup")),
        BackupState::Missing => {
            Err(Error::new(ServiceCode::Conflict, "this backup is missing in its location").at("backup"))
        }
    }
}
