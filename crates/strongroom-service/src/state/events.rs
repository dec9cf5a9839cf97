//! Events: what was changed, for those who look on. They are stored as the last thing of the transaction that they tell
//! of, so that their numbers have the order of the commits; the newest 10,000 are kept.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::db::{Lock, Row};
use super::sql::{Sql, json};
use super::{Conn, Result};

/// How many events are kept.
pub const KEPT: i64 = 10_000;

/// Something that changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StoredEvent {
    /// Its number. Each is greater by one than that of the event before.
    pub seq: i64,
    /// When it was.
    pub at: DateTime<Utc>,
    /// What happened, such as `run.started` or `plan.updated`.
    pub kind: String,
    /// The id of what it happened to.
    pub subject: Option<String>,
    /// More about it.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// An event of a transaction that is not committed.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) kind: &'static str,
    pub(super) subject: Option<String>,
    pub(super) data: Value,
}

fn read(row: &Row) -> Result<StoredEvent> {
    Ok(StoredEvent {
        seq: row.get("seq")?,
        at: row.time("at")?,
        kind: row.get("kind")?,
        subject: row.get("subject")?,
        data: row.json("data")?,
    })
}

/// Stores what a transaction has to tell, just before it is committed.
pub(super) async fn append(conn: &mut Conn, pending: Vec<Pending>) -> Result<()> {
    conn.lock(Lock::Events).await?;
    let (now, last) = (conn.now().await?, newest(conn).await?);
    let mut seq = last;
    for event in pending {
        seq += 1;
        let insert = "INSERT INTO events (seq, at, kind, subject, data) VALUES ($1, $2, $3, $4, $5)";
        let insert = Sql::new(insert).bind(seq).bind(now).bind(event.kind).bind(event.subject);
        conn.execute(insert.bind(json(&event.data)?)).await?;
    }
    conn.execute(Sql::new("DELETE FROM events WHERE seq <= $1").bind(seq - KEPT)).await.map(drop)
}

/// The number of the newest event; 0 if there was none yet.
///
/// # Errors
/// What the database answers.
pub async fn newest(conn: &mut Conn) -> Result<i64> {
    let newest = Sql::new("SELECT coalesce(max(seq), 0) AS seq FROM events");
    conn.one(newest).await?.get("seq")
}

/// The number of the oldest event that is kept; 0 if there was none yet.
///
/// # Errors
/// What the database answers.
pub async fn oldest(conn: &mut Conn) -> Result<i64> {
    let oldest = Sql::new("SELECT coalesce(min(seq), 0) AS seq FROM events");
    conn.one(oldest).await?.get("seq")
}

/// The events after a number, oldest first; at most `limit`.
///
/// # Errors
/// What the database answers.
pub async fn after(conn: &mut Conn, seq: i64, limit: u64) -> Result<Vec<StoredEvent>> {
    let select = "SELECT seq, at, kind, subject, data FROM events WHERE seq > $1 ORDER BY seq LIMIT $2";
    conn.all(Sql::new(select).bind(seq).bind(limit)).await?.iter().map(read).collect()
}
