//! Users, and what they sign in with.

use chrono::{DateTime, Utc};

use super::db::Row;
use super::sql::{Sql, word};
use super::{Conn, Page, PageRequest, Result, StateError};
use crate::model::{Login, Role, User, UserId};

const COLUMNS: &str = "SELECT id, login, role, restorer, disabled, last_sign_in_at, created_at, version, \
                       password FROM users ";

/// How somebody proves to be a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proofs {
    /// The hash of the password, with its parameters.
    pub password: Option<String>,
    /// Who the user is to the identity provider: its issuer and the subject.
    pub identity: Option<String>,
}

/// The name without the case that does not count.
fn folded(login: &Login) -> String {
    login.as_str().to_lowercase()
}

fn read(row: &Row) -> Result<User> {
    Ok(User {
        id: row.parsed("id")?,
        login: row.parsed("login")?,
        role: row.word("role")?,
        restorer: row.get("restorer")?,
        disabled: row.get("disabled")?,
        has_password: row.get::<Option<String>>("password")?.is_some(),
        last_sign_in_at: row.time_or_none("last_sign_in_at")?,
        created_at: row.time("created_at")?,
        version: row.count("version")?,
    })
}

fn read_with_password(row: &Row) -> Result<(User, Option<String>)> {
    Ok((read(row)?, row.get("password")?))
}

/// Adds a user.
///
/// # Errors
/// [`StateError::Taken`] for the login or the identity.
pub async fn insert(conn: &mut Conn, user: &User, proofs: &Proofs) -> Result<()> {
    let insert = "INSERT INTO users (id, login, login_folded, role, restorer, disabled, password, identity, \
                  last_sign_in_at, created_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let insert = Sql::new(insert).bind(&user.id).bind(&user.login).bind(folded(&user.login));
    let insert = insert.bind(word(user.role)?).bind(user.restorer).bind(user.disabled);
    let insert = insert.bind(proofs.password.as_deref()).bind(proofs.identity.as_deref());
    conn.execute(insert.bind(user.last_sign_in_at).bind(user.created_at).bind(user.version)).await.map(drop)
}

/// The user with this id.
///
/// # Errors
/// What the database answers.
pub async fn get(conn: &mut Conn, id: &UserId) -> Result<Option<User>> {
    let select = Sql::new(COLUMNS).push_bind("WHERE id = ", id);
    conn.optional(select).await?.as_ref().map(read).transpose()
}

/// The user with this login, whatever its case, and the hash of the password.
///
/// # Errors
/// What the database answers.
pub async fn by_login(conn: &mut Conn, login: &Login) -> Result<Option<(User, Option<String>)>> {
    let select = Sql::new(COLUMNS).push_bind("WHERE login_folded = ", folded(login));
    conn.optional(select).await?.as_ref().map(read_with_password).transpose()
}

/// The user whom the identity provider knows by this.
///
/// # Errors
/// What the database answers.
pub async fn by_identity(conn: &mut Conn, identity: &str) -> Result<Option<User>> {
    let select = Sql::new(COLUMNS).push_bind("WHERE identity = ", identity);
    conn.optional(select).await?.as_ref().map(read).transpose()
}

/// A page of users, newest first.
///
/// # Errors
/// What the database answers.
pub async fn list(conn: &mut Conn, page: &PageRequest) -> Result<Page<User>> {
    let rows = conn.all(page.end(Sql::new(COLUMNS).push("WHERE 1 = 1"))).await?;
    page.page(rows, read)
}

/// Whether there is a user at all: without one, the first admin is to be made.
///
/// # Errors
/// What the database answers.
pub async fn any(conn: &mut Conn) -> Result<bool> {
    Ok(conn.optional(Sql::new("SELECT id FROM users LIMIT 1")).await?.is_some())
}

/// How many admins may sign in. The last one must stay.
///
/// # Errors
/// What the database answers.
pub async fn admins(conn: &mut Conn) -> Result<u64> {
    let count = Sql::new("SELECT count(*) AS admins FROM users WHERE role = $1 AND NOT disabled");
    conn.one(count.bind(word(Role::Admin)?)).await?.count("admins")
}

/// Replaces what a user may do, if the user has this version; there is a next one then.
///
/// # Errors
/// [`StateError::Conflict`], [`StateError::Missing`].
pub async fn update(conn: &mut Conn, user: &User, expected_version: u64) -> Result<()> {
    let update = "UPDATE users SET role = $1, restorer = $2, disabled = $3, version = version + 1 \
                  WHERE id = $4 AND version = $5";
    let update = Sql::new(update).bind(word(user.role)?).bind(user.restorer).bind(user.disabled);
    match conn.execute(update.bind(&user.id).bind(expected_version)).await? {
        0 => Err(get(conn, &user.id).await?.map_or(StateError::Missing, |_| StateError::Conflict)),
        _ => Ok(()),
    }
}

/// Sets the hash of a password.
///
/// # Errors
/// What the database answers.
pub async fn set_password(conn: &mut Conn, id: &UserId, hash: &str) -> Result<()> {
    conn.execute(Sql::new("UPDATE users SET password = $1 WHERE id = $2").bind(hash).bind(id)).await.map(drop)
}

/// Binds a user to who that is to the identity provider.
///
/// # Errors
/// [`StateError::Taken`] if another user is.
pub async fn set_identity(conn: &mut Conn, id: &UserId, identity: &str) -> Result<()> {
    let update = Sql::new("UPDATE users SET identity = $1 WHERE id = $2").bind(identity).bind(id);
    conn.execute(update).await.map(drop)
}

/// Notes that a user signed in.
///
/// # Errors
/// What the database answers.
pub async fn signed_in(conn: &mut Conn, id: &UserId, at: DateTime<Utc>) -> Result<()> {
    let update = Sql::new("UPDATE users SET last_sign_in_at = $1 WHERE id = $2").bind(at).bind(id);
    conn.execute(update).await.map(drop)
}

/// Deletes a user with sessions and tokens.
///
/// # Errors
/// [`StateError::Conflict`], [`StateError::Missing`].
pub async fn delete(conn: &mut Conn, id: &UserId, expected_version: u64) -> Result<()> {
    let delete = Sql::new("DELETE FROM users WHERE id = $1 AND version = $2").bind(id).bind(expected_version);
    match conn.execute(delete).await? {
        0 => Err(get(conn, id).await?.map_or(StateError::Missing, |_| StateError::Conflict)),
        _ => Ok(()),
    }
}
