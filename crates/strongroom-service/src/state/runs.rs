//! Runs: what is to be done, who does it, what was done.
//!
//! How a run goes on is decided by [`job::step`]. This stores it, so that no run is done twice: a worker claims a run for
//! the length of a lease, and gets a number (the fence) that grows with each claim. What it writes later counts only if
//! the run still has that number.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::db::{Lock, Row};
use super::scope::Of;
use super::sql::{Sql, json, word};
use super::{Conn, Page, PageRequest, Result, Scope, StateError, Tx, bookkeeping};
use crate::job::{self, Effect, Event};
use crate::model::{
    BackupKey, DeploymentId, LocationId, PlanId, Progress, Run, RunId, RunKind, RunRequest, RunState,
};

/// Which runs are listed.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Of this plan.
    pub plan: Option<PlanId>,
    /// That read or write this deployment.
    pub deployment: Option<DeploymentId>,
    /// That use this location.
    pub location: Option<LocationId>,
    /// That verify or restore this backup.
    pub backup: Option<BackupKey>,
    /// Of this kind.
    pub kind: Option<RunKind>,
    /// In this state.
    pub state: Option<RunState>,
    /// Made then or later.
    pub since: Option<DateTime<Utc>>,
    /// Made before.
    pub until: Option<DateTime<Utc>>,
    /// Those that may be seen.
    pub scope: Scope,
}

/// A run that a worker has.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The run.
    pub run: Run,
    /// What the worker writes with.
    pub fence: i64,
}

/// What a heartbeat says to the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heartbeat {
    /// Go on.
    Alive,
    /// Stop: somebody asked for it.
    CancelRequested,
    /// Stop, and write nothing more: the run is another's now, or has ended.
    Lost,
}

/// On what condition a run is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// That a worker still has it by this fence.
    Fence(i64),
    /// That it still waits.
    Queued,
}

const SELECT: &str = "SELECT id, body, progress, cancel_requested, fence FROM runs WHERE ";

fn read(row: &Row) -> Result<Run> {
    let progress = row.json_or_none("progress")?;
    Ok(Run { progress, cancel_requested: row.get("cancel_requested")?, ..row.json("body")? })
}

fn read_claimed(row: &Row) -> Result<Claimed> {
    Ok(Claimed { run: read(row)?, fence: row.get("fence")? })
}

fn backup_of(run: &Run) -> Option<&BackupKey> {
    match &run.request {
        RunRequest::Verify(request) => Some(&request.backup),
        RunRequest::Restore(request) => Some(&request.backup),
        RunRequest::Backup(_) | RunRequest::Prove(_) | RunRequest::Sweep(_) => None,
    }
}

/// Adds a run, and says whether it is one: an occurrence of a plan that has a run already gets no other.
///
/// # Errors
/// What the database answers.
pub async fn insert(tx: &mut Tx, run: &Run) -> Result<bool> {
    let insert = "INSERT INTO runs (id, kind, state, plan, deployment, location, backup, scheduled_for, due_at, attempt, \
                  started_at, ended_at, cancel_requested, fence, body) \
                  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, $14) \
                  ON CONFLICT (plan, scheduled_for) WHERE scheduled_for IS NOT NULL DO NOTHING";
    let insert = Sql::new(insert)
        .bind(&run.id)
        .bind(word(run.request.kind())?)
        .bind(run.state.as_str())
        .bind(run.plan.as_ref())
        .bind(run.deployment.as_ref())
        .bind(run.location.as_ref())
        .bind(backup_of(run))
        .bind(run.scheduled_for)
        .bind(run.due_at)
        .bind(run.attempt)
        .bind(run.started_at)
        .bind(run.ended_at)
        .bind(run.cancel_requested)
        .bind(json(run)?);
    if tx.execute(insert).await? == 0 {
        return Ok(false);
    }
    bookkeeping::told(tx, run, if run.state.ended() { "run.skipped" } else { "run.queued" });
    if run.state.ended() {
        bookkeeping::ended(tx, run).await?;
    }
    Ok(true)
}

/// The run with this id.
///
/// # Errors
/// What the database answers.
pub async fn get(conn: &mut Conn, id: &RunId) -> Result<Option<Run>> {
    conn.optional(Sql::new(SELECT).push_bind("id = ", id)).await?.as_ref().map(read).transpose()
}

/// The run with this id and its fence. Nobody else changes it until the transaction ends.
///
/// # Errors
/// What the database answers.
pub async fn get_to_change(tx: &mut Tx, id: &RunId) -> Result<Option<Claimed>> {
    let select = tx.locking(Sql::new(SELECT).push_bind("id = ", id));
    tx.optional(select).await?.as_ref().map(read_claimed).transpose()
}

/// The first id that a run made then may have: ids sort by time.
fn first_of(time: DateTime<Utc>) -> String {
    RunId::new(time, 0).as_str().to_owned()
}

/// A page of runs, newest first.
///
/// # Errors
/// What the database answers.
pub async fn list(conn: &mut Conn, filter: &RunFilter, page: &PageRequest) -> Result<Page<Run>> {
    let RunFilter { plan, deployment, location, scope, .. } = filter;
    let of = Of { plan: plan.as_ref(), deployment: deployment.as_ref(), location: location.as_ref(), scope };
    let select = of
        .only(Sql::new(SELECT).push("1 = 1"))
        .push_some(" AND backup IS NOT NULL AND backup = ", filter.backup.as_ref())
        .push_some(" AND kind = ", filter.kind.map(word).transpose()?)
        .push_some(" AND state = ", filter.state.map(RunState::as_str))
        .push_some(" AND id >= ", filter.since.map(first_of))
        .push_some(" AND id < ", filter.until.map(first_of));
    // Word for word the conditions of the partial indexes.
    let rare_state = filter.state.is_some_and(|state| state != RunState::Succeeded);
    let select = if rare_state { select.push(" AND state <> 'succeeded'") } else { select };
    let by_kind = plan.is_none() && deployment.is_none();
    let rare_kind = by_kind && filter.kind.is_some_and(|kind| kind != RunKind::Backup);
    let select = if rare_kind { select.push(" AND kind <> 'backup'") } else { select };
    let rows = conn.all(page.end(select)).await?;
    page.page(rows, read)
}

/// The run of a plan that has not ended, if there is one; the one at work before one that waits.
///
/// # Errors
/// What the database answers.
pub async fn open_of(conn: &mut Conn, plan: &PlanId) -> Result<Option<Run>> {
    for state in ["state = 'running' AND plan = ", "state = 'queued' AND plan = "] {
        let select = Sql::new(SELECT).push_bind(state, plan).push(" ORDER BY id LIMIT 1");
        if let Some(row) = conn.optional(select).await? {
            return read(&row).map(Some);
        }
    }
    Ok(None)
}

/// How many runs wait, and how many are at work.
///
/// # Errors
/// What the database answers.
pub async fn open_counts(conn: &mut Conn) -> Result<(u64, u64)> {
    let select = "SELECT (SELECT count(*) FROM runs WHERE state = 'queued') AS queued, \
                  (SELECT count(*) FROM runs WHERE state = 'running') AS running";
    let row = conn.one(Sql::new(select)).await?;
    Ok((row.count("queued")?, row.count("running")?))
}

/// Adds a run that somebody asked for, unless its plan has one that has not ended: that one is given then.
///
/// # Errors
/// What the database answers.
pub async fn insert_alone(tx: &mut Tx, run: &Run) -> Result<Option<Run>> {
    if let Some(plan) = &run.plan {
        // With the lock nobody adds another one in between.
        tx.lock(Lock::Claims).await?;
        if let Some(other) = open_of(tx, plan).await? {
            return Ok(Some(other));
        }
    }
    insert(tx, run).await.map(|_| None)
}

/// What may be begun next: no run of its plan is at work, its deployment and its location have room, and nothing is paused.
const CANDIDATE: &str = "
    SELECT id, body, progress, cancel_requested, fence FROM runs AS r
    WHERE state = 'queued' AND due_at <= $1
    AND NOT EXISTS (SELECT 1 FROM settings WHERE paused)
    AND (SELECT count(*) FROM runs AS o WHERE o.state = 'running' AND o.worker = $2) < $3
    AND NOT EXISTS (SELECT 1 FROM runs AS o WHERE o.state = 'running' AND o.plan = r.plan)
    AND (r.deployment IS NULL
        OR (SELECT count(*) FROM runs AS o WHERE o.state = 'running' AND o.deployment = r.deployment)
         < coalesce((SELECT runs_at_once FROM deployments AS d WHERE d.id = r.deployment), 1))
    AND (r.location IS NULL
        OR (SELECT count(*) FROM runs AS o WHERE o.state = 'running' AND o.location = r.location)
         < coalesce((SELECT runs_at_once FROM locations AS l WHERE l.id = r.location), 1))
    ORDER BY due_at, id LIMIT 1";

/// Gives a worker the run that has waited longest of those that may be begun, for the length of a lease. The worker has at
/// most `at_once` runs.
///
/// # Errors
/// What the database answers.
pub async fn claim(tx: &mut Tx, worker: &str, at_once: u64, lease: TimeDelta) -> Result<Option<Claimed>> {
    // Limits are counted before; with the lock nobody claims in between.
    tx.lock(Lock::Claims).await?;
    let now = tx.now().await?;
    let Some(row) = tx.optional(Sql::new(CANDIDATE).bind(now).bind(worker).bind(at_once)).await? else {
        return Ok(None);
    };
    let Claimed { run, fence } = read_claimed(&row)?;
    let (run, effects) = job::step(&run, Event::Claimed, now)
        .map_err(|e| StateError::Damaged(format!("the run {} cannot be claimed: {e}", run.id)))?;
    let update = "UPDATE runs SET state = 'running', worker = $1, fence = fence + 1, lease_until = $2, progress = NULL, \
                  attempt = $3, started_at = $4, body = $5 WHERE id = $6 AND state = 'queued'";
    let update = Sql::new(update).bind(worker).bind(now + lease).bind(run.attempt).bind(run.started_at);
    if tx.execute(update.bind(json(&run)?).bind(&run.id)).await? == 0 {
        return Ok(None);
    }
    tell(tx, &run, &effects);
    Ok(Some(Claimed { run, fence: fence + 1 }))
}

/// Says that a worker is still at it, how far it is, and makes its lease as long as it was.
///
/// # Errors
/// What the database answers. The worker goes on until its lease is over.
pub async fn heartbeat(
    tx: &mut Tx,
    id: &RunId,
    fence: i64,
    lease: TimeDelta,
    progress: Option<&Progress>,
) -> Result<Heartbeat> {
    let until = tx.now().await? + lease;
    let update = "UPDATE runs SET lease_until = $1, progress = coalesce($2, progress) \
                  WHERE id = $3 AND fence = $4 AND state = 'running' RETURNING cancel_requested";
    let update = Sql::new(update).bind(until).bind(progress.map(json).transpose()?).bind(id).bind(fence);
    Ok(match tx.optional(update).await? {
        None => Heartbeat::Lost,
        Some(row) if row.get("cancel_requested")? => Heartbeat::CancelRequested,
        Some(_) => Heartbeat::Alive,
    })
}

/// Stores what [`job::step`] made of a run, if it is still as `holding` says, and does the bookkeeping of its effects:
/// events, counts, the status of its plan. Says whether it was; if not, nothing was changed. That somebody asked for it to
/// stop is never undone.
///
/// # Errors
/// What the database answers.
pub async fn store(tx: &mut Tx, run: &Run, holding: Holding, effects: &[Effect]) -> Result<bool> {
    let update = "UPDATE runs SET state = $1, due_at = $2, attempt = $3, started_at = $4, ended_at = $5, \
                  cancel_requested = cancel_requested OR $6, body = $7, progress = CASE WHEN $1 = 'running' THEN progress ELSE $8 END, \
                  worker = CASE WHEN $1 = 'running' THEN worker ELSE NULL END, \
                  lease_until = CASE WHEN $1 = 'running' THEN lease_until ELSE NULL END WHERE id = $9";
    let update = Sql::new(update)
        .bind(run.state.as_str())
        .bind(run.due_at)
        .bind(run.attempt)
        .bind(run.started_at)
        .bind(run.ended_at)
        .bind(run.cancel_requested)
        .bind(json(run)?)
        .bind(run.progress.as_ref().map(json).transpose()?)
        .bind(&run.id);
    let update = match holding {
        Holding::Fence(fence) => update.push_bind(" AND state = 'running' AND fence = ", fence),
        Holding::Queued => update.push(" AND state = 'queued'"),
    };
    if tx.execute(update).await? == 0 {
        return Ok(false);
    }
    tell(tx, run, effects);
    if effects.contains(&Effect::Count) {
        bookkeeping::ended(tx, run).await?;
    }
    Ok(true)
}

fn tell(tx: &mut Tx, run: &Run, effects: &[Effect]) {
    for effect in effects {
        if let Effect::Tell(news) = effect {
            bookkeeping::told(tx, run, news.as_str());
        }
    }
}

/// Takes runs from workers that were not heard of for longer than their lease; at most `limit`. What those workers write
/// from now on does not count. The caller decides by [`job::step`] how each goes on, and stores it in the same transaction.
///
/// # Errors
/// What the database answers.
pub async fn reap(tx: &mut Tx, limit: u64) -> Result<Vec<Claimed>> {
    tx.lock(Lock::Claims).await?;
    let now = tx.now().await?;
    let update = "UPDATE runs SET fence = fence + 1 WHERE id IN \
                  (SELECT id FROM runs WHERE state = 'running' AND lease_until < $1 ORDER BY lease_until LIMIT $2) \
                  AND state = 'running' AND lease_until < $1 \
                  RETURNING id, body, progress, cancel_requested, fence";
    tx.all(Sql::new(update).bind(now).bind(limit)).await?.iter().map(read_claimed).collect()
}

/// The runs that a worker has, such as one that was started again under its name.
///
/// # Errors
/// What the database answers.
pub async fn of_worker(conn: &mut Conn, worker: &str) -> Result<Vec<Claimed>> {
    let select = Sql::new(SELECT).push_bind("state = 'running' AND worker = ", worker);
    conn.all(select).await?.iter().map(read_claimed).collect()
}

/// Runs that wait though they should have begun by `now`; at most `limit`, the longest waiting first.
///
/// # Errors
/// What the database answers.
pub async fn waiting(conn: &mut Conn, now: DateTime<Utc>, limit: u64) -> Result<Vec<Run>> {
    let select = Sql::new(SELECT)
        .push_bind("state = 'queued' AND due_at <= ", now)
        .push_bind(" ORDER BY due_at, id LIMIT ", limit);
    conn.all(select).await?.iter().map(read).collect()
}

/// The occurrences of a plan after a moment that have a run.
///
/// # Errors
/// What the database answers.
pub async fn occurrences_after(
    conn: &mut Conn,
    plan: &PlanId,
    after: DateTime<Utc>,
) -> Result<BTreeSet<DateTime<Utc>>> {
    let select =
        "SELECT scheduled_for FROM runs WHERE scheduled_for IS NOT NULL AND plan = $1 AND scheduled_for > $2";
    let rows = conn.all(Sql::new(select).bind(plan).bind(after)).await?;
    rows.iter().map(|row| row.time("scheduled_for")).collect()
}

/// Deletes runs that were made before `before` and have ended, with their logs; at most `limit`, and says how many.
///
/// # Errors
/// What the database answers.
pub async fn trim(conn: &mut Conn, before: DateTime<Utc>, limit: u64) -> Result<u64> {
    let delete = "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE id < $1 AND ended_at IS NOT NULL \
                  ORDER BY id LIMIT $2)";
    conn.execute(Sql::new(delete).bind(first_of(before)).bind(limit)).await
}
