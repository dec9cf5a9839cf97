//! Changes that loosen something: they wait, are shown, can be called back, and by setting want a second admin.

use chrono::TimeDelta;

use super::record::Changed;
use super::{Actor, Error, Result, ServiceCode};
use crate::model::{BackupKey, Change, ChangeId, ChangeState, Int, Loosening, PlanId};
use crate::service::Service;
use crate::state::changes::ChangeFilter;
use crate::state::{self, Conn, Page, PageRequest, Tx};

/// Changes, newest first.
///
/// # Errors
/// The state's.
pub async fn list(service: &Service, filter: &ChangeFilter, page: &PageRequest) -> Result<Page<Change>> {
    let mut conn = service.state.reader().await?;
    Ok(state::changes::list(&mut conn, filter, page).await?)
}

/// A change.
///
/// # Errors
/// `SR-MISSING`.
pub async fn get(service: &Service, id: &ChangeId) -> Result<Change> {
    let mut conn = service.state.reader().await?;
    found(&mut conn, id).await
}

/// Agrees to a change as the second admin. Its delay goes on.
///
/// # Errors
/// `SR-MISSING`, `SR-CONFLICT` if it does not wait for that, `SR-FORBIDDEN` for the one who asked for it.
pub async fn approve(service: &Service, actor: &Actor, id: &ChangeId) -> Result<Change> {
    let mut tx = service.state.begin().await?;
    let before = waiting(&mut tx, id).await?;
    if !before.approval_wanted {
        return Err(Error::new(ServiceCode::Conflict, "this change wants no second admin"));
    }
    if actor.user.is_none() || actor.user == before.requested_by {
        let error = Error::new(ServiceCode::Forbidden, "somebody else must agree to what you asked for");
        return Err(error.help("Ask another admin."));
    }
    let after = Change { approval_wanted: false, approved_by: actor.user.clone(), ..before.clone() };
    state::changes::decide(&mut tx, &after).await?;
    let record = Changed::new("change.approve", id.as_str()).before(&before).after(&after);
    record.record(&mut tx, service, actor).await?;
    tx.commit().await?;
    Ok(after)
}

/// Calls a change back, so that all stays as it is.
///
/// # Errors
/// `SR-MISSING`, `SR-CONFLICT` if it took effect or was called back before.
pub async fn call_back(service: &Service, actor: &Actor, id: &ChangeId) -> Result<Change> {
    let mut tx = service.state.begin().await?;
    let change = waiting(&mut tx, id).await?;
    let after = decide(&mut tx, service, &change, ChangeState::CalledBack).await?;
    let record = Changed::new("change.call_back", id.as_str()).before(&change).after(&after);
    record.record(&mut tx, service, actor).await?;
    tx.commit().await?;
    Ok(after)
}

/// Lets a change wait. None: the settings want no delay and no second admin, so that it holds at once.
///
/// # Errors
/// The state's.
pub(super) async fn propose(
    tx: &mut Tx,
    service: &Service,
    actor: &Actor,
    (what, loosens): (Loosening, Vec<String>),
) -> Result<Option<Change>> {
    let (settings, _) = state::settings::get(tx).await?;
    if settings.loosening_delay_hours.get() == 0 && !settings.second_admin {
        return Ok(None);
    }
    let now = service.clock.now();
    let hours = settings.loosening_delay_hours.get().cast_signed();
    let change = Change {
        id: ChangeId::new(now, rand::random()),
        what,
        loosens,
        state: ChangeState::Waiting,
        requested_by: actor.user.clone(),
        approved_by: None,
        approval_wanted: settings.second_admin,
        created_at: now,
        effective_at: now + TimeDelta::hours(hours),
        decided_at: None,
    };
    state::changes::insert(tx, &change).await?;
    Changed::new("change.create", change.id.as_str()).after(&change).record(tx, service, actor).await?;
    Ok(Some(change))
}

/// Lets a change wait instead of those that waited `before`. The same one keeps its place: to say it twice does not begin
/// the delay anew.
///
/// # Errors
/// The state's.
pub(super) async fn instead_of(
    tx: &mut Tx,
    service: &Service,
    actor: &Actor,
    (before, asked): (Vec<Change>, Option<(Loosening, Vec<String>)>),
) -> Result<Option<Change>> {
    let is_same = |change: &Change| asked.as_ref().is_some_and(|(what, _)| change.what == *what);
    if let Some(same) = before.iter().find(|change| is_same(change)) {
        return Ok(Some(same.clone()));
    }
    for change in &before {
        let after = decide(tx, service, change, ChangeState::CalledBack).await?;
        let record = Changed::new("change.call_back", change.id.as_str()).before(change).after(&after);
        record.record(tx, service, actor).await?;
    }
    match asked {
        Some(asked) => propose(tx, service, actor, asked).await,
        None => Ok(None),
    }
}

/// Waiting changes of the settings of the service.
///
/// # Errors
/// The state's.
pub(super) async fn waiting_of_settings(conn: &mut Conn) -> Result<Vec<Change>> {
    let all = waiting_of(conn, ChangeFilter::default()).await?;
    Ok(all.into_iter().filter(|change| matches!(change.what, Loosening::ChangeSettings(_))).collect())
}

/// Waiting changes of a plan.
///
/// # Errors
/// The state's.
pub(super) async fn waiting_of_plan(conn: &mut Conn, plan: &PlanId) -> Result<Vec<Change>> {
    waiting_of(conn, ChangeFilter { plan: Some(plan.clone()), ..ChangeFilter::default() }).await
}

/// Waiting changes of a backup.
///
/// # Errors
/// The state's.
pub(super) async fn waiting_of_backup(conn: &mut Conn, backup: &BackupKey) -> Result<Vec<Change>> {
    waiting_of(conn, ChangeFilter { backup: Some(backup.clone()), ..ChangeFilter::default() }).await
}

/// One page is all of them: a change that is asked for again is the same, and another takes its place.
async fn waiting_of(conn: &mut Conn, filter: ChangeFilter) -> Result<Vec<Change>> {
    let filter = ChangeFilter { state: Some(ChangeState::Waiting), ..filter };
    let page = PageRequest { after: None, limit: Int::of(200) };
    Ok(state::changes::list(conn, &filter, &page).await?.items)
}

/// Ends the waiting of a change.
///
/// # Errors
/// The state's.
pub(super) async fn decide(
    conn: &mut Conn,
    service: &Service,
    change: &Change,
    state: ChangeState,
) -> Result<Change> {
    let decided = Change { state, decided_at: Some(service.clock.now()), ..change.clone() };
    state::changes::decide(conn, &decided).await?;
    Ok(decided)
}

async fn found(conn: &mut Conn, id: &ChangeId) -> Result<Change> {
    state::changes::get(conn, id).await?.ok_or_else(|| Error::missing("change"))
}

async fn waiting(conn: &mut Conn, id: &ChangeId) -> Result<Change> {
    let change = found(conn, id).await?;
    match change.state {
        ChangeState::Waiting => Ok(change),
        ChangeState::Applied => Err(Error::new(ServiceCode::Conflict, "this change has taken effect")),
        ChangeState::CalledBack => Err(Error::new(ServiceCode::Conflict, "this change was called back")),
        ChangeState::Failed => Err(Error::new(ServiceCode::Conflict, "this change could not take effect")),
    }
}
