//! The catalogue of backups: holds, and what a person lets expire or keeps again.

use chrono::TimeDelta;

use super::record::Changed;
use super::{Actor, Error, Result, ServiceCode, changes};
use crate::loosening;
use crate::model::{Backup, BackupKey, BackupState, Change, Hold, LiftHold, Loosening, NewHold, PlanId};
use crate::service::Service;
use crate::state::backups::BackupFilter;
use crate::state::{self, Conn, Page, PageRequest, Tx};

/// Backups, newest first.
///
/// # Errors
/// The state's.
pub async fn list(
    service: &Service,
    actor: &Actor,
    mut filter: BackupFilter,
    page: &PageRequest,
) -> Result<Page<Backup>> {
    filter.scope = actor.scope.clone();
    let mut conn = service.state.reader().await?;
    Ok(state::backups::list(&mut conn, &filter, page).await?)
}

/// A backup.
///
/// # Errors
/// `SR-MISSING`.
pub async fn get(service: &Service, actor: &Actor, id: &BackupKey) -> Result<Backup> {
    let mut conn = service.state.reader().await?;
    found(&mut conn, actor, id).await
}

/// Keeps a backup whatever retention says. One that had expired is kept again.
///
/// # Errors
/// `SR-MISSING`, `SR-CONFLICT` if it is gone, or has 20 holds.
pub async fn hold(service: &Service, actor: &Actor, id: &BackupKey, wanted: NewHold) -> Result<Backup> {
    const MAX: usize = 20;
    let mut tx = service.state.begin().await?;
    let before = there(&mut tx, actor, id).await?;
    if before.holds.len() >= MAX {
        return Err(Error::new(ServiceCode::Conflict, format!("a backup can have {MAX} holds")));
    }
    let mut after = kept(&before);
    after.holds.push(Hold { reason: wanted.reason, by: actor.user.clone(), at: service.clock.now() });
    changed(&mut tx, service, actor, ("backup.hold", &before, &after)).await?;
    tx.commit().await?;
    Ok(after)
}

/// Lifts all holds of a backup, which waits: the change is given then; else the backup without holds.
///
/// # Errors
/// `SR-MISSING`, `SR-CONFLICT` if it has no hold.
pub async fn lift_holds(service: &Service, actor: &Actor, id: &BackupKey) -> Result<Option<Change>> {
    let mut tx = service.state.begin().await?;
    let backup = there(&mut tx, actor, id).await?;
    if backup.holds.is_empty() {
        return Err(Error::new(ServiceCode::Conflict, "this backup has no hold"));
    }
    if let Some(known) = changes::waiting_of_backup(&mut tx, id).await?.into_iter().next() {
        return Ok(Some(known));
    }
    let what = Loosening::LiftHold(LiftHold { backup: id.clone() });
    let loosens = loosening::of_lifting(&backup.holds);
    let waiting = changes::propose(&mut tx, service, actor, (what, loosens)).await?;
    if waiting.is_none() {
        lift(&mut tx, service, actor, &backup).await?;
    }
    tx.commit().await?;
    Ok(waiting)
}

/// Takes the holds off a backup.
///
/// # Errors
/// The state's.
async fn lift(tx: &mut Tx, service: &Service, actor: &Actor, before: &Backup) -> Result<()> {
    let after = Backup { holds: Vec::new(), ..before.clone() };
    changed(tx, service, actor, ("backup.lift_holds", before, &after)).await
}

/// Lets a backup expire: it is deleted when its grace is over, and can be kept again until then.
///
/// # Errors
/// `SR-MISSING`, `SR-CONFLICT` if it is held, locked, gone, or the newest good one of its plan.
pub async fn expire(service: &Service, actor: &Actor, id: &BackupKey) -> Result<Backup> {
    let mut tx = service.state.begin().await?;
    let before = there(&mut tx, actor, id).await?;
    if before.state == BackupState::Expired && before.expired_by.is_some() {
        return Ok(before);
    }
    may_expire(&mut tx, service, &before).await?;
    let after = expired(&mut tx, service, actor, &before).await?;
    tx.commit().await?;
    Ok(after)
}

async fn may_expire(conn: &mut Conn, service: &Service, backup: &Backup) -> Result<()> {
    let refuse = |message: String| Err(Error::new(ServiceCode::Conflict, message));
    if let Some(hold) = backup.holds.first() {
        return refuse(format!("this backup is held: {}", hold.reason));
    }
    if let Some(until) = backup.locked_until.filter(|until| *until > service.clock.now()) {
        return refuse(format!(
            "this backup is locked until {} (Object Lock)",
            until.format("%Y-%m-%d %H:%M UTC")
        ));
    }
    let Some(plan) = &backup.plan else { return Ok(()) };
    // Nobody makes another one of a plan that is gone.
    if state::plans::get(conn, plan).await?.is_none() {
        return Ok(());
    }
    let kept = kept_of_plan(conn, plan).await?;
    let newest = kept.iter().filter(|one| one.complete).max_by_key(|one| (one.started_at, one.id.clone()));
    if newest.is_some_and(|newest| newest.id == backup.id) {
        return refuse("the newest good backup of a plan is never deleted".into());
    }
    Ok(())
}

/// Lets all backups of a plan expire that are not held.
///
/// # Errors
/// The state's.
pub(super) async fn expire_of_plan(
    tx: &mut Tx,
    service: &Service,
    actor: &Actor,
    plan: &PlanId,
) -> Result<()> {
    for backup in kept_of_plan(tx, plan).await? {
        if backup.holds.is_empty() {
            expired(tx, service, actor, &backup).await?;
        }
    }
    Ok(())
}

async fn expired(tx: &mut Tx, service: &Service, actor: &Actor, before: &Backup) -> Result<Backup> {
    let now = service.clock.now();
    let (settings, _) = state::settings::get(tx).await?;
    let grace = TimeDelta::hours(settings.grace_hours.get().cast_signed());
    let after = Backup {
        state: BackupState::Expired,
        expired_at: Some(now),
        expired_by: actor.user.clone(),
        sweep_after: Some(now + grace),
        ..before.clone()
    };
    changed(tx, service, actor, ("backup.expire", before, &after)).await?;
    Ok(after)
}

/// Keeps a backup again that had expired, as long as its grace lasts. A hold keeps it from now on: the rules of its plan
/// would let it expire again.
///
/// # Errors
/// `SR-MISSING`, `SR-CONFLICT` if it is gone or has not expired.
pub async fn keep(service: &Service, actor: &Actor, id: &BackupKey) -> Result<Backup> {
    let mut tx = service.state.begin().await?;
    let before = there(&mut tx, actor, id).await?;
    if before.state != BackupState::Expired {
        return Err(Error::new(ServiceCode::Conflict, "this backup has not expired"));
    }
    let reason = "kept again after it had expired".to_owned().try_into();
    let reason = reason.map_err(|why: String| Error::internal(&why))?;
    let mut after = kept(&before);
    after.holds.push(Hold { reason, by: actor.user.clone(), at: service.clock.now() });
    changed(&mut tx, service, actor, ("backup.keep", &before, &after)).await?;
    tx.commit().await?;
    Ok(after)
}

fn kept(backup: &Backup) -> Backup {
    Backup {
        state: BackupState::Kept,
        expired_at: None,
        expired_by: None,
        sweep_after: None,
        ..backup.clone()
    }
}

async fn changed(
    tx: &mut Tx,
    service: &Service,
    actor: &Actor,
    (action, before, after): (&'static str, &Backup, &Backup),
) -> Result<()> {
    state::backups::update(tx, after).await?;
    let record = Changed::new(action, after.id.as_str()).before(before).after(after);
    record.record(tx, service, actor).await
}

/// Backups of a plan that are kept.
///
/// # Errors
/// The state's.
pub(super) async fn kept_of_plan(conn: &mut Conn, plan: &PlanId) -> Result<Vec<Backup>> {
    let all = state::backups::of_plan(conn, plan).await?;
    Ok(all.into_iter().filter(|backup| backup.state == BackupState::Kept).collect())
}

/// The backup, if the actor may see it.
///
/// # Errors
/// `SR-MISSING`.
pub(super) async fn found(conn: &mut Conn, actor: &Actor, id: &BackupKey) -> Result<Backup> {
    let backup = state::backups::get(conn, id).await?.filter(|backup| is_seen(actor, backup));
    backup.ok_or_else(|| Error::missing("backup"))
}

fn is_seen(actor: &Actor, backup: &Backup) -> bool {
    let scope = &actor.scope;
    match (&backup.plan, &backup.deployment) {
        (Some(plan), Some(deployment)) => scope.has_plan(plan, deployment),
        (None, Some(deployment)) => scope.plans.is_empty() && scope.has_deployment(deployment),
        _ => scope.is_whole(),
    }
}

/// The same to be changed, if it is still in its location as far as is known.
async fn there(tx: &mut Tx, actor: &Actor, id: &BackupKey) -> Result<Backup> {
    let backup = state::backups::get_to_change(tx, id).await?.filter(|backup| is_seen(actor, backup));
    let backup = backup.ok_or_else(|| Error::missing("backup"))?;
    match backup.state {
        BackupState::Kept | BackupState::Expired => Ok(backup),
        BackupState::Swept => Err(Error::new(ServiceCode::Conflict, "this backup was deleted")),
        BackupState::Missing => {
            Err(Error::new(ServiceCode::Conflict, "this backup is missing in its location"))
        }
    }
}
