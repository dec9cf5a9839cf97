//! What may be used once: the link of a first admin, a sign-in that is under way at an identity provider.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::sql::{Sql, json};
use super::{Conn, Result};
use crate::secrets::Digest;

/// Adds one, with what is to be remembered of it.
///
/// # Errors
/// What the database answers.
pub async fn insert<T: Serialize>(
    conn: &mut Conn,
    purpose: &str,
    hash: &Digest,
    what: &T,
    expires_at: DateTime<Utc>,
) -> Result<()> {
    let insert = "INSERT INTO tickets (hash, purpose, body, expires_at) VALUES ($1, $2, $3, $4)";
    let insert = Sql::new(insert).bind(hex::encode(hash.as_bytes())).bind(purpose).bind(json(what)?);
    conn.execute(insert.bind(expires_at)).await.map(drop)
}

/// Uses one up: what was remembered, unless it was used before or has expired.
///
/// # Errors
/// What the database answers.
pub async fn take<T: DeserializeOwned>(
    conn: &mut Conn,
    purpose: &str,
    hash: &Digest,
    now: DateTime<Utc>,
) -> Result<Option<T>> {
    let delete = "DELETE FROM tickets WHERE hash = $1 AND purpose = $2 AND expires_at > $3 RETURNING body";
    let delete = Sql::new(delete).bind(hex::encode(hash.as_bytes())).bind(purpose).bind(now);
    conn.optional(delete).await?.map(|row| row.json("body")).transpose()
}

/// Forgets all of a purpose.
///
/// # Errors
/// What the database answers.
pub async fn clear(conn: &mut Conn, purpose: &str) -> Result<u64> {
    conn.execute(Sql::new("DELETE FROM tickets WHERE purpose = $1").bind(purpose)).await
}

/// Forgets those that have expired, and says how many.
///
/// # Errors
/// What the database answers.
pub async fn trim(conn: &mut Conn, now: DateTime<Utc>) -> Result<u64> {
    conn.execute(Sql::new("DELETE FROM tickets WHERE expires_at <= $1").bind(now)).await
}
