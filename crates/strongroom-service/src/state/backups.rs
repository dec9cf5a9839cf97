//! The catalogue of backups.

use chrono::{DateTime, Utc};
use strongroom_engine::{BackupId, PlanName};

use super::db::Row;
use super::scope::Of;
use super::sql::{Sql, json, word};
use super::{Conn, Page, PageRequest, Result, Scope, StateError, Tx};
use crate::model::{Backup, BackupKey, BackupState, DeploymentId, LocationId, PlanId};

/// Which backups are listed.
#[derive(Debug, Clone, Default)]
pub struct BackupFilter {
    /// Of this plan.
    pub plan: Option<PlanId>,
    /// Of this deployment.
    pub deployment: Option<DeploymentId>,
    /// In this location.
    pub location: Option<LocationId>,
    /// In this state; none: all but those that were deleted.
    pub state: Option<BackupState>,
    /// On hold.
    pub held: bool,
    /// Made then or later.
    pub since: Option<DateTime<Utc>>,
    /// Made before.
    pub until: Option<DateTime<Utc>>,
    /// Those that may be seen.
    pub scope: Scope,
}

fn read(row: &Row) -> Result<Backup> {
    row.json("body")
}

/// Adds a backup.
///
/// # Errors
/// [`StateError::Taken`] if there is one of this name in the folder, [`StateError::Missing`] without its location.
pub async fn insert(conn: &mut Conn, backup: &Backup) -> Result<()> {
    let insert = "INSERT INTO backups (id, name, folder, location, plan, deployment, state, complete, held, finished_at, \
                  sweep_after, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
    let insert = Sql::new(insert)
        .bind(&backup.id)
        .bind(backup.name.to_string())
        .bind(backup.folder.to_string())
        .bind(&backup.location)
        .bind(backup.plan.as_ref())
        .bind(backup.deployment.as_ref())
        .bind(word(backup.state)?)
        .bind(backup.complete)
        .bind(!backup.holds.is_empty())
        .bind(backup.finished_at)
        .bind(backup.sweep_after)
        .bind(json(backup)?);
    conn.execute(insert).await.map(drop)
}

/// The backup with this id.
///
/// # Errors
/// What the database answers.
pub async fn get(conn: &mut Conn, id: &BackupKey) -> Result<Option<Backup>> {
    let select = Sql::new("SELECT body FROM backups WHERE id = $1").bind(id);
    conn.optional(select).await?.as_ref().map(read).transpose()
}

/// The backup with this id. Nobody else changes it until the transaction ends.
///
/// # Errors
/// What the database answers.
pub async fn get_to_change(tx: &mut Tx, id: &BackupKey) -> Result<Option<Backup>> {
    let select = tx.locking(Sql::new("SELECT body FROM backups WHERE id = $1").bind(id));
    tx.optional(select).await?.as_ref().map(read).transpose()
}

/// The backup of this name in a folder of a location.
///
/// # Errors
/// What the database answers.
pub async fn find(
    conn: &mut Conn,
    location: &LocationId,
    folder: &PlanName,
    name: &BackupId,
) -> Result<Option<Backup>> {
    let select = "SELECT body FROM backups WHERE location = $1 AND folder = $2 AND name = $3";
    let select = Sql::new(select).bind(location).bind(folder.to_string()).bind(name.to_string());
    conn.optional(select).await?.as_ref().map(read).transpose()
}

/// The first id that a backup made then may have: ids sort by time.
fn first_of(time: DateTime<Utc>) -> String {
    BackupKey::new(time, 0).as_str().to_owned()
}

/// A page of backups, newest first.
///
/// # Errors
/// What the database answers.
pub async fn list(conn: &mut Conn, filter: &BackupFilter, page: &PageRequest) -> Result<Page<Backup>> {
    let BackupFilter { plan, deployment, location, scope, .. } = filter;
    let of = Of { plan: plan.as_ref(), deployment: deployment.as_ref(), location: location.as_ref(), scope };
    let select = of
        .only(Sql::new("SELECT id, body FROM backups WHERE 1 = 1"))
        .push_some(" AND state = ", filter.state.map(word).transpose()?)
        .push_some(" AND id >= ", filter.since.map(first_of))
        .push_some(" AND id < ", filter.until.map(first_of));
    let swept = filter.state == Some(BackupState::Swept);
    let select = if swept { select } else { select.push(" AND state <> 'swept'") };
    let select = if filter.held { select.push(" AND held") } else { select };
    let rows = conn.all(page.end(select)).await?;
    page.page(rows, read)
}

/// All backups of a plan that are kept or expired, oldest first: what retention looks at.
///
/// # Errors
/// What the database answers.
pub async fn of_plan(conn: &mut Conn, plan: &PlanId) -> Result<Vec<Backup>> {
    let select = "SELECT body FROM backups WHERE plan = $1 AND state IN ('kept', 'expired') ORDER BY id";
    conn.all(Sql::new(select).bind(plan)).await?.iter().map(read).collect()
}

/// Backups of a location whose grace is over, the longest waiting first; at most `limit`.
///
/// # Errors
/// What the database answers.
pub async fn to_sweep(
    conn: &mut Conn,
    location: &LocationId,
    now: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<Backup>> {
    let select = "SELECT body FROM backups WHERE state = 'expired' AND location = $1 AND sweep_after <= $2 \
                  ORDER BY sweep_after LIMIT $3";
    conn.all(Sql::new(select).bind(location).bind(now).bind(limit)).await?.iter().map(read).collect()
}

/// Locations with backups whose grace is over.
///
/// # Errors
/// What the database answers.
pub async fn locations_to_sweep(conn: &mut Conn, now: DateTime<Utc>) -> Result<Vec<LocationId>> {
    let select = "SELECT DISTINCT location FROM backups WHERE state = 'expired' AND sweep_after <= $1";
    conn.all(Sql::new(select).bind(now)).await?.iter().map(|row| row.parsed("location")).collect()
}

/// Replaces what changes in a backup's life.
///
/// # Errors
/// [`StateError::Missing`].
pub async fn update(conn: &mut Conn, backup: &Backup) -> Result<()> {
    let update =
        "UPDATE backups SET state = $1, complete = $2, held = $3, sweep_after = $4, body = $5 WHERE id = $6";
    let update = Sql::new(update)
        .bind(word(backup.state)?)
        .bind(backup.complete)
        .bind(!backup.holds.is_empty())
        .bind(backup.sweep_after)
        .bind(json(backup)?)
        .bind(&backup.id);
    match conn.execute(update).await? {
        0 => Err(StateError::Missing),
        _ => Ok(()),
    }
}
