//! Changes that loosen something, and wait.

use chrono::{DateTime, Utc};

use super::db::Row;
use super::sql::{Sql, json, word};
use super::{Conn, Page, PageRequest, Result, StateError, plans};
use crate::model::{BackupKey, Change, ChangeId, ChangeState, Loosening, PlanId};

/// Which changes are listed.
#[derive(Debug, Clone, Default)]
pub struct ChangeFilter {
    /// In this state.
    pub state: Option<ChangeState>,
    /// Of this plan.
    pub plan: Option<PlanId>,
    /// Of this backup.
    pub backup: Option<BackupKey>,
}

fn plan_of(change: &Change) -> Option<&PlanId> {
    match &change.what {
        Loosening::ChangePlan(what) => Some(&what.plan),
        Loosening::DeletePlan(what) => Some(&what.plan),
        Loosening::LiftHold(_) | Loosening::ChangeSettings(_) => None,
    }
}

fn backup_of(change: &Change) -> Option<&BackupKey> {
    match &change.what {
        Loosening::LiftHold(what) => Some(&what.backup),
        Loosening::ChangePlan(_) | Loosening::DeletePlan(_) | Loosening::ChangeSettings(_) => None,
    }
}

fn read(row: &Row) -> Result<Change> {
    row.json("body")
}

/// The plan shows what waits for it.
async fn show(conn: &mut Conn, change: &Change) -> Result<()> {
    let Some(plan) = plan_of(change) else { return Ok(()) };
    let select =
        Sql::new("SELECT id FROM changes WHERE state = 'waiting' AND plan = $1 ORDER BY id").bind(plan);
    let waiting: Vec<ChangeId> =
        conn.all(select).await?.iter().map(|row| row.parsed("id")).collect::<Result<_>>()?;
    plans::set_waiting(conn, plan, &waiting).await
}

/// Adds a change.
///
/// # Errors
/// What the database answers.
pub async fn insert(conn: &mut Conn, change: &Change) -> Result<()> {
    let insert = "INSERT INTO changes (id, plan, backup, state, approval_wanted, effective_at, body) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let insert = Sql::new(insert).bind(&change.id).bind(plan_of(change)).bind(backup_of(change));
    let insert = insert.bind(word(change.state)?).bind(change.approval_wanted).bind(change.effective_at);
    conn.execute(insert.bind(json(change)?)).await?;
    show(conn, change).await
}

/// The change with this id.
///
/// # Errors
/// What the database answers.
pub async fn get(conn: &mut Conn, id: &ChangeId) -> Result<Option<Change>> {
    let select = Sql::new("SELECT body FROM changes WHERE id = $1").bind(id);
    conn.optional(select).await?.as_ref().map(read).transpose()
}

/// A page of changes, newest first.
///
/// # Errors
/// What the database answers.
pub async fn list(conn: &mut Conn, filter: &ChangeFilter, page: &PageRequest) -> Result<Page<Change>> {
    let select = Sql::new("SELECT id, body FROM changes WHERE 1 = 1")
        .push_some(" AND state = ", filter.state.map(word).transpose()?)
        .push_some(" AND plan = ", filter.plan.as_ref())
        .push_some(" AND backup = ", filter.backup.as_ref());
    let rows = conn.all(page.end(select)).await?;
    page.page(rows, read)
}

/// Changes whose delay is over and that want nobody's agreement any more, the longest waiting first; at most `limit`.
///
/// # Errors
/// What the database answers.
pub async fn due(conn: &mut Conn, now: DateTime<Utc>, limit: u64) -> Result<Vec<Change>> {
    let select = "SELECT body FROM changes WHERE state = 'waiting' AND effective_at <= $1 AND NOT approval_wanted \
                  ORDER BY effective_at, id LIMIT $2";
    conn.all(Sql::new(select).bind(now).bind(limit)).await?.iter().map(read).collect()
}

/// Replaces a change that still waits: it was agreed to, took effect, failed or was called back.
///
/// # Errors
/// [`StateError::Conflict`] if it waits no more, [`StateError::Missing`].
pub async fn decide(conn: &mut Conn, change: &Change) -> Result<()> {
    let update = "UPDATE changes SET state = $1, approval_wanted = $2, effective_at = $3, body = $4 \
                  WHERE id = $5 AND state = 'waiting'";
    let update = Sql::new(update).bind(word(change.state)?).bind(change.approval_wanted);
    let update = update.bind(change.effective_at).bind(json(change)?).bind(&change.id);
    if conn.execute(update).await? == 0 {
        return Err(get(conn, &change.id).await?.map_or(StateError::Missing, |_| StateError::Conflict));
    }
    show(conn, change).await
}
