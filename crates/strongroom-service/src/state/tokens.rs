//! Tokens of the API.

use chrono::{DateTime, Utc};

use super::db::Row;
use super::sql::{Sql, json};
use super::{Conn, Page, PageRequest, Result};
use crate::model::{Token, TokenId, UserId};
use crate::secrets::Digest;

fn read(row: &Row) -> Result<Token> {
    Ok(Token { last_used_at: row.time_or_none("last_used_at")?, ..row.json("body")? })
}

/// Adds a token. What requests carry is kept as its hash only.
///
/// # Errors
/// [`Missing`](super::StateError::Missing) without its user.
pub async fn insert(conn: &mut Conn, token: &Token, hash: &Digest) -> Result<()> {
    let insert = "INSERT INTO tokens (id, hash, user_id, expires_at, last_used_at, body) \
                  VALUES ($1, $2, $3, $4, $5, $6)";
    let insert = Sql::new(insert).bind(&token.id).bind(hex::encode(hash.as_bytes())).bind(&token.user);
    let insert = insert.bind(token.expires_at).bind(token.last_used_at).bind(json(token)?);
    conn.execute(insert).await.map(drop)
}

/// The token of this hash, if it has not expired.
///
/// # Errors
/// What the database answers.
pub async fn find(conn: &mut Conn, hash: &Digest, now: DateTime<Utc>) -> Result<Option<Token>> {
    let select = "SELECT body, last_used_at FROM tokens WHERE hash = $1 AND expires_at > $2";
    let select = Sql::new(select).bind(hex::encode(hash.as_bytes())).bind(now);
    conn.optional(select).await?.as_ref().map(read).transpose()
}

/// The token with this id.
///
/// # Errors
/// What the database answers.
pub async fn get(conn: &mut Conn, id: &TokenId) -> Result<Option<Token>> {
    let select = Sql::new("SELECT body, last_used_at FROM tokens WHERE id = $1").bind(id);
    conn.optional(select).await?.as_ref().map(read).transpose()
}

/// A page of tokens, of one user or of all, newest first.
///
/// # Errors
/// What the database answers.
pub async fn list(conn: &mut Conn, user: Option<&UserId>, page: &PageRequest) -> Result<Page<Token>> {
    let select = Sql::new("SELECT id, body, last_used_at FROM tokens WHERE 1 = 1");
    let rows = conn.all(page.end(select.push_some(" AND user_id = ", user))).await?;
    page.page(rows, read)
}

/// Notes that a token was used.
///
/// # Errors
/// What the database answers.
pub async fn used(conn: &mut Conn, id: &TokenId, at: DateTime<Utc>) -> Result<()> {
    conn.execute(Sql::new("UPDATE tokens SET last_used_at = $1 WHERE id = $2").bind(at).bind(id))
        .await
        .map(drop)
}

/// Ends a token, and says whether there was one.
///
/// # Errors
/// What the database answers.
pub async fn delete(conn: &mut Conn, id: &TokenId) -> Result<bool> {
    Ok(conn.execute(Sql::new("DELETE FROM tokens WHERE id = $1").bind(id)).await? > 0)
}

/// Ends all tokens of a user.
///
/// # Errors
/// What the database answers.
pub async fn delete_of(conn: &mut Conn, user: &UserId) -> Result<u64> {
    conn.execute(Sql::new("DELETE FROM tokens WHERE user_id = $1").bind(user)).await
}
