//! Plans. What tightens one holds at once, what loosens it waits.

mod check;
mod preview;
mod replace;

use chrono::{DateTime, Utc};

use super::once::{self, Begun};
use super::record::Changed;
use super::{Actor, Error, Expected, Once, Result, ServiceCode, backups, changes};
use crate::loosening;
use crate::model::{
    BackupsOfDeleted, Change, ChangeState, DeletePlan, Loosening, NewPlan, Plan, PlanId, PlanStatus,
};
use crate::runs::refusal;
use crate::schedule::{Occurrence, Schedule, next_after};
use crate::service::Service;
use crate::state::plans::PlanFilter;
use crate::state::{self, Conn, Page, PageRequest, Tx};

use check::{Checked, folder};

pub(super) use check::check;
pub use preview::preview;
pub use replace::replace;
use replace::set;

/// Plans, newest first.
///
/// # Errors
/// The state's.
pub async fn list(
    service: &Service,
    actor: &Actor,
    mut filter: PlanFilter,
    page: &PageRequest,
) -> Result<Page<Plan>> {
    filter.scope = actor.scope.clone();
    let mut conn = service.state.reader().await?;
    Ok(state::plans::list(&mut conn, &filter, page).await?)
}

/// A plan.
///
/// # Errors
/// `SR-MISSING`.
pub async fn get(service: &Service, actor: &Actor, id: &PlanId) -> Result<Plan> {
    let mut conn = service.state.reader().await?;
    found(&mut conn, actor, id).await
}

/// When a plan runs next; nothing of a plan that is paused.
///
/// # Errors
/// `SR-MISSING`.
pub async fn occurrences(
    service: &Service,
    actor: &Actor,
    id: &PlanId,
    count: usize,
) -> Result<Vec<Occurrence>> {
    let plan = get(service, actor, id).await?;
    if plan.settings.paused {
        return Ok(Vec::new());
    }
    Ok(crate::schedule::preview(&plan.settings.schedule, service.clock.now(), count))
}

/// Makes a plan.
///
/// # Errors
/// `SR-REQUEST` with the field that is wrong, `SR-TAKEN` for its name or folder, `SR-FORBIDDEN` to who is limited to
/// certain plans.
pub async fn create(service: &Service, actor: &Actor, wanted: NewPlan, once: Option<&Once>) -> Result<Plan> {
    if !actor.scope.plans.is_empty() {
        let message = "this token is for certain plans, and cannot make others";
        return Err(Error::new(ServiceCode::Forbidden, message));
    }
    let now = service.clock.now();
    let checked = {
        let mut conn = service.state.reader().await?;
        check(&mut conn, actor, (wanted, None), now).await?
    };
    let folder = folder(&checked.settings)?;
    let refused = refusal(&checked.location, &folder, &checked.settings.backup.encryption);
    let status = PlanStatus {
        next_due: first_due(&checked.settings, now),
        refused_by_bucket: refused,
        ..PlanStatus::default()
    };
    let plan = Plan {
        id: PlanId::new(now, rand::random()),
        settings: checked.settings,
        folder,
        status,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let mut tx = match once::begin(service, actor, once, &plan).await? {
        Begun::Now(tx) => tx,
        Begun::Before(plan) => return Ok(plan),
    };
    state::plans::insert(&mut tx, &plan).await?;
    Changed::new("plan.create", plan.id.as_str()).after(&plan).record(&mut tx, service, actor).await?;
    tx.commit().await?;
    Ok(plan)
}

/// The first time that a plan is due which is set, or resumed, at `now`.
fn first_due(settings: &NewPlan, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let next = next_after(&settings.schedule, Schedule::counts_from(now)).filter(|_| !settings.paused);
    next.map(|occurrence| occurrence.at)
}

/// Stops a plan from starting runs by itself, or lets it start them again. Neither loosens anything.
///
/// # Errors
/// `SR-MISSING`.
pub async fn pause(service: &Service, actor: &Actor, id: &PlanId, paused: bool) -> Result<Plan> {
    let now = service.clock.now();
    let mut tx = service.state.begin().await?;
    let before = found(&mut tx, actor, id).await?;
    if before.settings.paused == paused {
        return Ok(before);
    }
    let settings = NewPlan { paused, ..before.settings.clone() };
    let after = set(&mut tx, service, actor, (&before, settings), now).await?;
    tx.commit().await?;
    Ok(after)
}

/// Deletes a plan. Backups stay unless they are to expire, which waits: the change is given then.
///
/// # Errors
/// `SR-MISSING`, `SR-CHANGED`, `SR-CONFLICT` while a run of it is not over.
pub async fn delete(
    service: &Service,
    actor: &Actor,
    id: &PlanId,
    (expected, fate): (&Expected, BackupsOfDeleted),
) -> Result<Option<Change>> {
    let mut tx = service.state.begin().await?;
    let plan = found(&mut tx, actor, id).await?;
    expected.check(plan.version)?;
    let count = backups::kept_of_plan(&mut tx, id).await?.len() as u64;
    let loosens = loosening::of_deletion(fate, count);
    if !loosens.is_empty() {
        let what = Loosening::DeletePlan(DeletePlan { plan: id.clone(), backups: fate });
        let waiting = changes::waiting_of_plan(&mut tx, id).await?;
        if let Some(known) = waiting.into_iter().find(|change| change.what == what) {
            return Ok(Some(known));
        }
        if let Some(change) = changes::propose(&mut tx, service, actor, (what, loosens)).await? {
            tx.commit().await?;
            return Ok(Some(change));
        }
    }
    remove(&mut tx, service, actor, (&plan, fate)).await?;
    tx.commit().await?;
    Ok(None)
}

/// Deletes a plan now, and lets its backups expire where that was asked for.
///
/// # Errors
/// `SR-CONFLICT` while a run of it is not over.
async fn remove(
    tx: &mut Tx,
    service: &Service,
    actor: &Actor,
    (plan, fate): (&Plan, BackupsOfDeleted),
) -> Result<()> {
    if let Some(run) = state::runs::open_of(tx, &plan.id).await? {
        let error =
            Error::new(ServiceCode::Conflict, format!("the run `{}` of this plan is not over", run.id));
        return Err(error.help("Cancel it, or wait for it, and delete the plan then."));
    }
    for change in changes::waiting_of_plan(tx, &plan.id).await? {
        let its_own = matches!(&change.what, Loosening::DeletePlan(what) if what.backups == fate);
        if !its_own {
            changes::decide(tx, service, &change, ChangeState::Failed).await?;
        }
    }
    if fate == BackupsOfDeleted::Expire {
        backups::expire_of_plan(tx, service, actor, &plan.id).await?;
    }
    state::plans::delete(tx, &plan.id, plan.version).await?;
    Changed::new("plan.delete", plan.id.as_str()).before(plan).record(tx, service, actor).await
}

/// The plan, if the actor may see it.
pub(super) async fn found(conn: &mut Conn, actor: &Actor, id: &PlanId) -> Result<Plan> {
    let plan = state::plans::get(conn, id).await?;
    let seen = |plan: &Plan| actor.scope.has_plan(&plan.id, &plan.settings.deployment);
    plan.filter(seen).ok_or_else(|| Error::missing("plan"))
}
