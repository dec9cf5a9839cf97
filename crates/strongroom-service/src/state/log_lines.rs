//! The logs of runs.

use super::db::Row;
use super::sql::{Sql, word};
use super::{Conn, Result};
use crate::model::{LogLine, RunId};

fn read(row: &Row) -> Result<LogLine> {
    Ok(LogLine {
        number: row.count("number")?,
        at: row.time("at")?,
        level: row.word("level")?,
        code: row.get("code")?,
        message: row.get("message")?,
    })
}

/// Adds lines to the log of a run, if the worker still has it by `fence`, and says whether it has. Numbers that are there
/// already stay as they are, so that lines may be sent again.
///
/// # Errors
/// What the database answers.
pub async fn append(conn: &mut Conn, run: &RunId, fence: i64, lines: &[LogLine]) -> Result<bool> {
    let held = "SELECT id FROM runs WHERE id = $1 AND fence = $2 AND state = 'running'";
    if conn.optional(Sql::new(held).bind(run).bind(fence)).await?.is_none() {
        return Ok(false);
    }
    for line in lines {
        let insert = "INSERT INTO log_lines (run, number, at, level, code, message) \
                      VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (run, number) DO NOTHING";
        let insert = Sql::new(insert).bind(run).bind(line.number).bind(line.at).bind(word(line.level)?);
        conn.execute(insert.bind(&line.code).bind(line.message.replace('\0', "\u{fffd}"))).await?;
    }
    Ok(true)
}

/// The lines after a number, in their order; at most `limit`.
///
/// # Errors
/// What the database answers.
pub async fn after(conn: &mut Conn, run: &RunId, number: u64, limit: u64) -> Result<Vec<LogLine>> {
    let select = "SELECT number, at, level, code, message FROM log_lines \
                  WHERE run = $1 AND number > $2 ORDER BY number LIMIT $3";
    conn.all(Sql::new(select).bind(run).bind(number).bind(limit)).await?.iter().map(read).collect()
}

/// The number of the last line; 0 if there is none.
///
/// # Errors
/// What the database answers.
pub async fn last(conn: &mut Conn, run: &RunId) -> Result<u64> {
    let select = "SELECT coalesce(max(number), 0) AS number FROM log_lines WHERE run = $1";
    conn.one(Sql::new(select).bind(run)).await?.count("number")
}
