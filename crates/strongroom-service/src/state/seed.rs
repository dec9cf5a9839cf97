//! History in bulk, as the bench needs it to see what a state of years costs. The service itself never writes this way:
//! each of its runs ends in a transaction of its own, with an event and its bookkeeping.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};

use super::sql::{Sql, json, word};
use super::{Result, Tx, counts};
use crate::model::{BackupKey, PlanId, Run, RunState};

/// Rows of one statement. Each has 14 values, and SQLite looks every one of them up by its name.
const AT_ONCE: usize = 40;

/// Adds runs of one plan that have ended, and counts them by day. `last_good` is the plan's newest good backup and when
/// it ended.
///
/// # Errors
/// What the database answers.
pub async fn history(
    tx: &mut Tx,
    plan: &PlanId,
    runs: &[Run],
    last_good: (&BackupKey, DateTime<Utc>),
) -> Result<()> {
    for some in runs.chunks(AT_ONCE) {
        insert(tx, some).await?;
    }
    let mut days = BTreeMap::new();
    for run in runs {
        *days.entry((run.ended_at.unwrap_or(run.due_at).date_naive(), run.state.as_str())).or_insert(0) += 1;
    }
    for ((day, state), number) in days {
        count(tx, plan, day, state, number).await?;
    }
    let update =
        Sql::new("UPDATE plans SET last_good = $1, last_good_at = $2, last_proven_at = $2 WHERE id = $3");
    tx.execute(update.bind(last_good.0).bind(last_good.1).bind(plan)).await.map(drop)
}

async fn insert(tx: &mut Tx, runs: &[Run]) -> Result<()> {
    let mut insert = Sql::new(
        "INSERT INTO runs (id, kind, state, plan, deployment, location, scheduled_for, due_at, attempt, started_at, \
         ended_at, cancel_requested, fence, body) VALUES ",
    );
    for (number, run) in runs.iter().enumerate() {
        insert = insert
            .push_bind(if number == 0 { "(" } else { ", (" }, &run.id)
            .push_bind(", ", word(run.request.kind())?)
            .push_bind(", ", run.state.as_str())
            .push_bind(", ", run.plan.as_ref())
            .push_bind(", ", run.deployment.as_ref())
            .push_bind(", ", run.location.as_ref())
            .push_bind(", ", run.scheduled_for)
            .push_bind(", ", run.due_at)
            .push_bind(", ", run.attempt)
            .push_bind(", ", run.started_at)
            .push_bind(", ", run.ended_at)
            .push_bind(", ", false)
            .push_bind(", ", 1_i64)
            .push_bind(", ", json(run)?)
            .push(")");
    }
    tx.execute(insert).await.map(drop)
}

/// Adds to the counts of a day, of the plan and of all plans.
async fn count(tx: &mut Tx, plan: &PlanId, day: NaiveDate, state: &str, number: i64) -> Result<()> {
    let of = |wanted: RunState| if wanted.as_str() == state { number } else { 0 };
    for plan in [plan.as_str(), counts::ALL] {
        let upsert = "INSERT INTO counts (plan, kind, day, succeeded, failed, cancelled, skipped, stored_bytes) \
                      VALUES ($1, 'backup', $2, $3, $4, 0, 0, 0) ON CONFLICT (plan, kind, day) DO UPDATE SET \
                      succeeded = counts.succeeded + excluded.succeeded, failed = counts.failed + excluded.failed";
        let upsert = Sql::new(upsert).bind(plan).bind(counts::number_of(day));
        tx.execute(upsert.bind(of(RunState::Succeeded)).bind(of(RunState::Failed))).await?;
    }
    Ok(())
}
