//! Plans, and how they stand.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::db::Row;
use super::labels::{self, HasLabel};
use super::sql::{Sql, json};
use super::{Conn, Page, PageRequest, Result, Scope, StateError, Tx};
use crate::model::{ChangeId, DeploymentId, LocationId, Name, Plan, PlanCounts, PlanId, PlanStatus, Problem};
use crate::schedule::Schedule;

/// Their table, as `labels` names it.
pub const TABLE: &str = "plans";

const SELECT: &str = "SELECT id, folder, settings, next_due, last_good, last_good_at, last_proven_at, last_problem, \
                      failed_since_good, refused_by_bucket, waiting_changes, created_at, updated_at, version \
                      FROM plans WHERE ";

/// Which plans are listed.
#[derive(Debug, Clone, Default)]
pub struct PlanFilter {
    /// With this name.
    pub name: Option<Name>,
    /// Of this deployment.
    pub deployment: Option<DeploymentId>,
    /// Into this location.
    pub location: Option<LocationId>,
    /// Paused or not.
    pub paused: Option<bool>,
    /// Those whose last run failed.
    pub failing: bool,
    /// With this label.
    pub label: Option<HasLabel>,
    /// Those that may be seen.
    pub scope: Scope,
}

fn read_status(row: &Row) -> Result<PlanStatus> {
    Ok(PlanStatus {
        next_due: row.time_or_none("next_due")?,
        last_good: row.parsed_or_none("last_good")?,
        last_good_at: row.time_or_none("last_good_at")?,
        last_proven_at: row.time_or_none("last_proven_at")?,
        last_problem: row.json_or_none("last_problem")?,
        failed_since_good: row.count("failed_since_good")?,
        refused_by_bucket: row.json_or_none("refused_by_bucket")?,
        waiting_changes: row.json("waiting_changes")?,
    })
}

fn read(row: &Row) -> Result<Plan> {
    Ok(Plan {
        id: row.parsed("id")?,
        settings: row.json("settings")?,
        folder: row.parsed("folder")?,
        status: read_status(row)?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        version: row.count("version")?,
    })
}

/// Adds a plan.
///
/// # Errors
/// [`StateError::Taken`] for its name or its folder, [`StateError::Missing`] without its deployment or location.
pub async fn insert(conn: &mut Conn, plan: &Plan) -> Result<()> {
    let insert = "INSERT INTO plans (id, name, deployment, location, folder, paused, settings, next_due, \
                  mark, failed_since_good, refused_by_bucket, waiting_changes, created_at, updated_at, version) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, '[]', $11, $12, $13)";
    let (settings, status) = (&plan.settings, &plan.status);
    let insert = Sql::new(insert)
        .bind(&plan.id)
        .bind(&settings.name)
        .bind(&settings.deployment)
        .bind(&settings.location)
        .bind(plan.folder.to_string())
        .bind(settings.paused)
        .bind(json(settings)?)
        .bind(status.next_due)
        .bind(Schedule::counts_from(plan.created_at))
        .bind(status.refused_by_bucket.as_ref().map(json).transpose()?)
        .bind(plan.created_at)
        .bind(plan.updated_at)
        .bind(plan.version);
    conn.execute(insert).await?;
    labels::set(conn, TABLE, plan.id.as_str(), &settings.labels).await
}

/// The plan with this id.
///
/// # Errors
/// What the database answers.
pub async fn get(conn: &mut Conn, id: &PlanId) -> Result<Option<Plan>> {
    conn.optional(Sql::new(SELECT).push_bind("id = ", id)).await?.as_ref().map(read).transpose()
}

/// A page of plans, newest first.
///
/// # Errors
/// What the database answers.
pub async fn list(conn: &mut Conn, filter: &PlanFilter, page: &PageRequest) -> Result<Page<Plan>> {
    let select = Sql::new(SELECT)
        .push("1 = 1")
        .push_some(" AND name = ", filter.name.as_ref())
        .push_some(" AND deployment = ", filter.deployment.as_ref())
        .push_some(" AND location = ", filter.location.as_ref())
        .push_some(" AND paused = ", filter.paused)
        .push_among(" AND deployment IN (", filter.scope.deployments.iter())
        .push_among(" AND id IN (", filter.scope.plans.iter());
    let select = if filter.failing { select.push(" AND failed_since_good > 0") } else { select };
    let select = labels::having(select, TABLE, filter.label.as_ref());
    let rows = conn.all(page.end(select)).await?;
    page.page(rows, read)
}

/// The plans that are due, the longest waiting first; at most `limit`.
///
/// # Errors
/// What the database answers.
pub async fn due(conn: &mut Conn, now: DateTime<Utc>, limit: u64) -> Result<Vec<Plan>> {
    let select = Sql::new(SELECT)
        .push_bind("next_due IS NOT NULL AND next_due <= ", now)
        .push_bind(" ORDER BY next_due, id LIMIT ", limit);
    conn.all(select).await?.iter().map(read).collect()
}

/// The plans that run next, soonest first; at most `limit`.
///
/// # Errors
/// What the database answers.
pub async fn soonest(conn: &mut Conn, limit: u64) -> Result<Vec<Plan>> {
    let select = Sql::new(SELECT).push_bind("next_due IS NOT NULL ORDER BY next_due, id LIMIT ", limit);
    conn.all(select).await?.iter().map(read).collect()
}

/// How many plans stand how.
///
/// # Errors
/// What the database answers.
pub async fn counts(conn: &mut Conn) -> Result<PlanCounts> {
    let select = "SELECT count(*) AS total, count(CASE WHEN paused THEN 1 END) AS paused, \
                  count(CASE WHEN failed_since_good > 0 THEN 1 END) AS failing, \
                  count(CASE WHEN last_good IS NULL THEN 1 END) AS without_backup, \
                  count(refused_by_bucket) AS refused FROM plans";
    let row = conn.one(Sql::new(select)).await?;
    Ok(PlanCounts {
        total: row.count("total")?,
        paused: row.count("paused")?,
        failing: row.count("failing")?,
        without_backup: row.count("without_backup")?,
        refused_by_bucket: row.count("refused")?,
    })
}

/// When the next plan is due.
///
/// # Errors
/// What the database answers.
pub async fn next_due(conn: &mut Conn) -> Result<Option<DateTime<Utc>>> {
    let select = "SELECT next_due FROM plans WHERE next_due IS NOT NULL ORDER BY next_due, id LIMIT 1";
    conn.optional(Sql::new(select)).await?.map(|row| row.time("next_due")).transpose()
}

/// The plan with this id, and the moment up to which its occurrences are dealt with. Nobody else changes it until the
/// transaction ends.
///
/// # Errors
/// What the database answers.
pub async fn to_schedule(tx: &mut Tx, id: &PlanId) -> Result<Option<(Plan, DateTime<Utc>)>> {
    let select = tx.locking(Sql::new("SELECT mark FROM plans WHERE id = $1").bind(id));
    let Some(mark) = tx.optional(select).await?.map(|row| row.time("mark")).transpose()? else {
        return Ok(None);
    };
    Ok(get(tx, id).await?.map(|plan| (plan, mark)))
}

/// Keeps up to which moment the occurrences of a plan are dealt with, and when it is looked at again.
///
/// # Errors
/// What the database answers.
pub async fn scheduled(
    conn: &mut Conn,
    id: &PlanId,
    mark: DateTime<Utc>,
    next: Option<DateTime<Utc>>,
) -> Result<()> {
    let update = Sql::new("UPDATE plans SET mark = $1, next_due = $2 WHERE id = $3");
    conn.execute(update.bind(mark).bind(next).bind(id)).await.map(drop)
}

/// Replaces the settings of a plan that has this version, with when it is due and what its bucket refuses. The plan has
/// the next version then. The rest of its status stays. Where its schedule changes, or it is resumed, occurrences count
/// from then on.
///
/// # Errors
/// [`StateError::Conflict`], [`StateError::Taken`] for its name, [`StateError::Missing`] without plan, deployment or
/// location.
pub async fn update(conn: &mut Conn, plan: &Plan, expected_version: u64) -> Result<()> {
    let update = "UPDATE plans SET name = $1, deployment = $2, location = $3, paused = $4, settings = $5, \
                  next_due = $6, refused_by_bucket = $7, updated_at = $8, version = version + 1, \
                  mark = coalesce($9, mark) WHERE id = $10 AND version = $11";
    let old = get(conn, &plan.id).await?.map(|old| old.settings);
    let anew = old
        .is_some_and(|old| old.schedule != plan.settings.schedule || (old.paused && !plan.settings.paused));
    let (settings, status) = (&plan.settings, &plan.status);
    let update = Sql::new(update)
        .bind(&settings.name)
        .bind(&settings.deployment)
        .bind(&settings.location)
        .bind(settings.paused)
        .bind(json(settings)?)
        .bind(status.next_due)
        .bind(status.refused_by_bucket.as_ref().map(json).transpose()?)
        .bind(plan.updated_at)
        .bind(anew.then(|| Schedule::counts_from(plan.updated_at)))
        .bind(&plan.id)
        .bind(expected_version);
    if conn.execute(update).await? == 0 {
        return Err(get(conn, &plan.id).await?.map_or(StateError::Missing, |_| StateError::Conflict));
    }
    labels::set(conn, TABLE, plan.id.as_str(), &settings.labels).await
}

/// Keeps what the bucket of a plan would refuse. Its version stays.
///
/// # Errors
/// What the database answers.
pub async fn set_refused(conn: &mut Conn, id: &PlanId, refused: Option<&Problem>) -> Result<()> {
    let update = Sql::new("UPDATE plans SET refused_by_bucket = $1 WHERE id = $2");
    conn.execute(update.bind(refused.map(json).transpose()?).bind(id)).await.map(drop)
}

/// Keeps which changes wait that loosen a plan.
pub(super) async fn set_waiting(conn: &mut Conn, id: &PlanId, changes: &[ChangeId]) -> Result<()> {
    let waiting = Value::from(changes.iter().map(ChangeId::as_str).collect::<Vec<_>>());
    let update = Sql::new("UPDATE plans SET waiting_changes = $1 WHERE id = $2");
    conn.execute(update.bind(json(&waiting)?).bind(id)).await.map(drop)
}

/// Deletes a plan and its labels. Its runs, counts and backups stay.
///
/// # Errors
/// [`StateError::Conflict`], [`StateError::Missing`].
pub async fn delete(conn: &mut Conn, id: &PlanId, expected_version: u64) -> Result<()> {
    let delete = Sql::new("DELETE FROM plans WHERE id = $1 AND version = $2").bind(id).bind(expected_version);
    if conn.execute(delete).await? == 0 {
        return Err(get(conn, id).await?.map_or(StateError::Missing, |_| StateError::Conflict));
    }
    labels::clear(conn, TABLE, id.as_str()).await
}
