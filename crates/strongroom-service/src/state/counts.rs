//! How many runs ended how, by plan and day. They are counted as runs end, since counting runs would read them all.

use chrono::{DateTime, Days, NaiveDate, Utc};

use super::db::Row;
use super::sql::{Sql, word};
use super::{Conn, Result, StateError};
use crate::model::{DayCount, PlanId, RunKind, RunState};

/// The plan of the row that counts all runs together.
pub(super) const ALL: &str = "";

pub(super) fn number_of(day: NaiveDate) -> i64 {
    (day - NaiveDate::default()).num_days()
}

fn read(row: &Row) -> Result<DayCount> {
    let day = NaiveDate::default().checked_add_days(Days::new(row.count("day")?));
    Ok(DayCount {
        day: day.ok_or_else(|| StateError::Damaged("a day that is counted is none".to_owned()))?,
        succeeded: row.count("succeeded")?,
        failed: row.count("failed")?,
        cancelled: row.count("cancelled")?,
        skipped: row.count("skipped")?,
        stored_bytes: row.count("stored_bytes")?,
    })
}

/// Counts a run that ended, for its plan and for all.
pub(super) async fn add(
    conn: &mut Conn,
    plan: Option<&PlanId>,
    (kind, state): (RunKind, RunState),
    at: DateTime<Utc>,
    stored_bytes: u64,
) -> Result<()> {
    let one_if = |wanted| i64::from(state == wanted);
    for plan in plan.map(PlanId::as_str).into_iter().chain([ALL]) {
        let upsert = "INSERT INTO counts (plan, kind, day, succeeded, failed, cancelled, skipped, stored_bytes) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (plan, kind, day) DO UPDATE SET \
                      succeeded = counts.succeeded + excluded.succeeded, failed = counts.failed + excluded.failed, \
                      cancelled = counts.cancelled + excluded.cancelled, skipped = counts.skipped + excluded.skipped, \
                      stored_bytes = counts.stored_bytes + excluded.stored_bytes";
        let upsert = Sql::new(upsert).bind(plan).bind(word(kind)?).bind(number_of(at.date_naive()));
        let upsert = upsert.bind(one_if(RunState::Succeeded)).bind(one_if(RunState::Failed));
        let upsert = upsert.bind(one_if(RunState::Cancelled)).bind(one_if(RunState::Skipped));
        conn.execute(upsert.bind(stored_bytes)).await?;
    }
    Ok(())
}

/// The counts of the days from `from` to `until`, both included, of a plan or of all; days without runs are left out.
///
/// # Errors
/// What the database answers.
pub async fn by_day(
    conn: &mut Conn,
    plan: Option<&PlanId>,
    kind: RunKind,
    from: NaiveDate,
    until: NaiveDate,
) -> Result<Vec<DayCount>> {
    let select = "SELECT day, succeeded, failed, cancelled, skipped, stored_bytes FROM counts \
                  WHERE plan = $1 AND kind = $2 AND day >= $3 AND day <= $4 ORDER BY day";
    let select = Sql::new(select).bind(plan.map_or(ALL, PlanId::as_str)).bind(word(kind)?);
    conn.all(select.bind(number_of(from)).bind(number_of(until))).await?.iter().map(read).collect()
}
