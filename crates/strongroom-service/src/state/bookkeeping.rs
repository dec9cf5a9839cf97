//! What is noted when a run ends, in the same transaction: nothing of it is ever computed by reading runs.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::sql::{self, Sql};
use super::{Conn, Result, Tx, backups, counts, locations};
use crate::model::{
    BackupKey, PlanId, RestoreDone, Run, RunKind, RunOutcome, RunRequest, RunState, Verified,
};

/// Tells of a run.
pub(super) fn told(tx: &mut Tx, run: &Run, kind: &'static str) {
    let about = json!({
        "kind": run.request.kind(),
        "state": run.state,
        "plan": run.plan,
        "deployment": run.deployment,
        "location": run.location,
    });
    tx.tell(kind, Some(run.id.as_str()), about);
}

/// Counts a run that ended, and brings its plan, its backup and its location up to date.
pub(super) async fn ended(tx: &mut Tx, run: &Run) -> Result<()> {
    let at = run.ended_at.unwrap_or(run.due_at);
    let stored = match (&run.state, &run.outcome) {
        (RunState::Succeeded, Some(outcome)) => succeeded(tx, run, outcome, at).await?,
        (RunState::Failed, _) => failed(tx, run).await.map(|()| 0)?,
        _ => 0,
    };
    counts::add(tx, run.plan.as_ref(), (run.request.kind(), run.state), at, stored).await
}

/// The bytes that were stored.
async fn succeeded(conn: &mut Tx, run: &Run, outcome: &RunOutcome, at: DateTime<Utc>) -> Result<u64> {
    match outcome {
        RunOutcome::Backup(made) => return good_backup(conn, run, &made.backup, at).await,
        RunOutcome::Verify(Verified { problems: 0, .. }) => proven(conn, run, at).await?,
        RunOutcome::Restore(RestoreDone { refused: 0, matches: true, .. }) => proven(conn, run, at).await?,
        RunOutcome::Prove(proof) => {
            if let Some(location) = &run.location {
                locations::set_proof(conn, location, proof).await?;
            }
        }
        RunOutcome::Verify(_) | RunOutcome::Restore(_) | RunOutcome::Sweep(_) => {}
    }
    Ok(0)
}

async fn good_backup(conn: &mut Conn, run: &Run, made: &BackupKey, at: DateTime<Utc>) -> Result<u64> {
    let backup = backups::get(conn, made).await?;
    let stored = backup.as_ref().map_or(0, |backup| backup.stored_bytes);
    let (Some(plan), true) = (&run.plan, backup.is_none_or(|backup| backup.complete)) else {
        return Ok(stored);
    };
    let update = "UPDATE plans SET last_good = $1, last_good_at = $2, last_problem = NULL, failed_since_good = 0 \
                  WHERE id = $3";
    conn.execute(Sql::new(update).bind(made).bind(at).bind(plan)).await?;
    Ok(stored)
}

/// A backup was read back or restored without a fault. Its plan may be another's than the run's.
async fn proven(conn: &mut Tx, run: &Run, at: DateTime<Utc>) -> Result<()> {
    let (id, restored) = match &run.request {
        RunRequest::Verify(request) => (&request.backup, false),
        RunRequest::Restore(request) => (&request.backup, true),
        RunRequest::Backup(_) | RunRequest::Prove(_) | RunRequest::Sweep(_) => return Ok(()),
    };
    let Some(mut backup) = backups::get_to_change(conn, id).await? else { return Ok(()) };
    if restored {
        backup.restored_at = Some(at);
    } else {
        backup.verified_at = Some(at);
    }
    backups::update(conn, &backup).await?;
    match &backup.plan {
        Some(plan) => last_proven(conn, plan, at).await,
        None => Ok(()),
    }
}

async fn last_proven(conn: &mut Conn, plan: &PlanId, at: DateTime<Utc>) -> Result<()> {
    let update = "UPDATE plans SET last_proven_at = $1 WHERE id = $2";
    conn.execute(Sql::new(update).bind(at).bind(plan)).await.map(drop)
}

/// Only a backup that failed says how its plan stands.
async fn failed(conn: &mut Conn, run: &Run) -> Result<()> {
    let (Some(plan), RunKind::Backup) = (&run.plan, run.request.kind()) else { return Ok(()) };
    let problem = run.problem.as_ref().map(sql::json).transpose()?;
    let update =
        "UPDATE plans SET last_problem = $1, failed_since_good = failed_since_good + 1 WHERE id = $2";
    conn.execute(Sql::new(update).bind(problem).bind(plan)).await.map(drop)
}
