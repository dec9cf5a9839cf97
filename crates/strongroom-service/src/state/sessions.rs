//! Sessions of people who are signed in.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::db::Row;
use super::sql::{Sql, json};
use super::{Conn, Result};
use crate::model::{SessionId, UserId};
use crate::secrets::Digest;

/// A session. What the browser sends is kept as its hash only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Who is signed in.
    pub user: UserId,
    /// From which address.
    pub address: Option<String>,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used_at: DateTime<Utc>,
    /// It ends then.
    pub expires_at: DateTime<Utc>,
}

fn read(row: &Row) -> Result<Session> {
    let last_used_at = row.time("last_used_at")?;
    Ok(Session { last_used_at, expires_at: row.time("expires_at")?, ..row.json("body")? })
}

/// Adds a session.
///
/// # Errors
/// [`Missing`](super::StateError::Missing) without its user.
pub async fn insert(conn: &mut Conn, session: &Session, hash: &Digest) -> Result<()> {
    let insert = "INSERT INTO sessions (id, hash, user_id, expires_at, last_used_at, body) \
                  VALUES ($1, $2, $3, $4, $5, $6)";
    let insert = Sql::new(insert).bind(&session.id).bind(hex::encode(hash.as_bytes())).bind(&session.user);
    let insert = insert.bind(session.expires_at).bind(session.last_used_at).bind(json(session)?);
    conn.execute(insert).await.map(drop)
}

/// The session of this hash, if it has not ended.
///
/// # Errors
/// What the database answers.
pub async fn find(conn: &mut Conn, hash: &Digest, now: DateTime<Utc>) -> Result<Option<Session>> {
    let select = "SELECT body, last_used_at, expires_at FROM sessions WHERE hash = $1 AND expires_at > $2";
    let select = Sql::new(select).bind(hex::encode(hash.as_bytes())).bind(now);
    conn.optional(select).await?.as_ref().map(read).transpose()
}

/// All sessions of a user, newest first; at most 200.
///
/// # Errors
/// What the database answers.
pub async fn of(conn: &mut Conn, user: &UserId) -> Result<Vec<Session>> {
    let select = "SELECT body, last_used_at, expires_at FROM sessions WHERE user_id = $1 \
                  ORDER BY id DESC LIMIT 200";
    conn.all(Sql::new(select).bind(user)).await?.iter().map(read).collect()
}

/// Notes that a session was used, and how long it lasts now.
///
/// # Errors
/// What the database answers.
pub async fn used(
    conn: &mut Conn,
    id: &SessionId,
    at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<()> {
    let update = "UPDATE sessions SET last_used_at = $1, expires_at = $2 WHERE id = $3";
    conn.execute(Sql::new(update).bind(at).bind(expires_at).bind(id)).await.map(drop)
}

/// Ends a session.
///
/// # Errors
/// What the database answers.
pub async fn delete(conn: &mut Conn, id: &SessionId) -> Result<()> {
    conn.execute(Sql::new("DELETE FROM sessions WHERE id = $1").bind(id)).await.map(drop)
}

/// Ends all sessions of a user, except perhaps one.
///
/// # Errors
/// What the database answers.
pub async fn delete_of(conn: &mut Conn, user: &UserId, except: Option<&SessionId>) -> Result<u64> {
    let delete = Sql::new("DELETE FROM sessions WHERE user_id = $1").bind(user);
    conn.execute(delete.push_some(" AND id <> ", except)).await
}

/// Forgets the sessions that have ended, and says how many.
///
/// # Errors
/// What the database answers.
pub async fn trim(conn: &mut Conn, now: DateTime<Utc>) -> Result<u64> {
    conn.execute(Sql::new("DELETE FROM sessions WHERE expires_at <= $1").bind(now)).await
}
