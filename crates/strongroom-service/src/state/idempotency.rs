//! Answers to requests with an idempotency key, kept for a day: the same request again gets the same answer.

use chrono::{DateTime, TimeDelta, Utc};

use super::sql::Sql;
use super::{Conn, Result};

/// How long an answer is kept.
pub const KEPT_FOR: TimeDelta = TimeDelta::hours(24);

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The SHA-256 of the request, by which another one with the same key is found out.
    pub request_hash: String,
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// What was answered to the request of an actor with this key.
///
/// # Errors
/// What the database answers.
pub async fn find(conn: &mut Conn, actor: &str, key: &str, now: DateTime<Utc>) -> Result<Option<Answer>> {
    let select = "SELECT request_hash, status, body FROM idempotency \
                  WHERE actor = $1 AND request = $2 AND at > $3";
    let select = Sql::new(select).bind(actor).bind(key).bind(now - KEPT_FOR);
    let Some(row) = conn.optional(select).await? else { return Ok(None) };
    let status = u16::try_from(row.get::<i64>("status")?).unwrap_or(500);
    Ok(Some(Answer { request_hash: row.get("request_hash")?, status, body: row.get("body")? }))
}

/// Keeps an answer, in the transaction of what was asked for.
///
/// # Errors
/// [`Taken`](super::StateError::Taken) if the key was used meanwhile.
pub async fn keep(
    conn: &mut Conn,
    actor: &str,
    key: &str,
    answer: &Answer,
    now: DateTime<Utc>,
) -> Result<()> {
    let old = "DELETE FROM idempotency WHERE actor = $1 AND request = $2 AND at <= $3";
    conn.execute(Sql::new(old).bind(actor).bind(key).bind(now - KEPT_FOR)).await?;
    let insert = "INSERT INTO idempotency (actor, request, request_hash, status, body, at) \
                  VALUES ($1, $2, $3, $4, $5, $6)";
    let insert = Sql::new(insert).bind(actor).bind(key).bind(&answer.request_hash);
    conn.execute(insert.bind(i64::from(answer.status)).bind(&answer.body).bind(now)).await.map(drop)
}

/// Forgets answers that are older than a day, and says how many.
///
/// # Errors
/// What the database answers.
pub async fn trim(conn: &mut Conn, now: DateTime<Utc>) -> Result<u64> {
    conn.execute(Sql::new("DELETE FROM idempotency WHERE at <= $1").bind(now - KEPT_FOR)).await
}
