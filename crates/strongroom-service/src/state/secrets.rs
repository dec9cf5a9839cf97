//! Secrets of every table, sealed for the place that they stand at.

use super::db::Row;
use super::sql::Sql;
use super::{Conn, Result, StateError};
use crate::model::Secret;
use crate::secrets::{Aad, Keyring};

fn sealing(error: &strongroom_engine::Error) -> StateError {
    StateError::Damaged(error.to_string())
}

fn bytes(row: &Row) -> Result<Vec<u8>> {
    let sealed: String = row.get("sealed")?;
    hex::decode(sealed).map_err(|e| StateError::Damaged(format!("a secret cannot be read: {e}")))
}

async fn store(conn: &mut Conn, place: Aad<'_>, sealed: &[u8]) -> Result<()> {
    let upsert = "INSERT INTO secrets (tbl, row_id, col, sealed) VALUES ($1, $2, $3, $4) \
                  ON CONFLICT (tbl, row_id, col) DO UPDATE SET sealed = excluded.sealed";
    let upsert = Sql::new(upsert).bind(place.table).bind(place.row).bind(place.column);
    conn.execute(upsert.bind(hex::encode(sealed))).await.map(drop)
}

/// Stores a secret, in place of the one that stands there.
///
/// # Errors
/// [`StateError::Damaged`] if it cannot be sealed, and what the database answers.
pub async fn put(
    conn: &mut Conn,
    keyring: &Keyring,
    table: &str,
    row: &str,
    column: &str,
    secret: &Secret,
) -> Result<()> {
    let place = Aad { table, row, column };
    let sealed = keyring.seal(&place, secret.expose().as_bytes()).map_err(|e| sealing(&e))?;
    store(conn, place, &sealed).await
}

/// The secret of this place.
///
/// # Errors
/// [`StateError::Damaged`] if it does not open with the keys of the service.
pub async fn get(
    conn: &mut Conn,
    keyring: &Keyring,
    table: &str,
    row: &str,
    column: &str,
) -> Result<Option<Secret>> {
    let select = "SELECT sealed FROM secrets WHERE tbl = $1 AND row_id = $2 AND col = $3";
    let select = Sql::new(select).bind(table).bind(row).bind(column);
    let Some(found) = conn.optional(select).await? else { return Ok(None) };
    let plain = keyring.open(&Aad { table, row, column }, &bytes(&found)?).map_err(|e| sealing(&e))?;
    let text = String::from_utf8(plain.to_vec()).ok().and_then(|text| Secret::try_from(text).ok());
    text.map(Some)
        .ok_or_else(|| StateError::Damaged(format!("the secret `{table}/{row}/{column}` is no text")))
}

/// Deletes one secret of a row.
///
/// # Errors
/// What the database answers.
pub async fn delete(conn: &mut Conn, table: &str, row: &str, column: &str) -> Result<()> {
    let delete = "DELETE FROM secrets WHERE tbl = $1 AND row_id = $2 AND col = $3";
    conn.execute(Sql::new(delete).bind(table).bind(row).bind(column)).await.map(drop)
}

/// Deletes all secrets of a row.
///
/// # Errors
/// What the database answers.
pub async fn delete_of(conn: &mut Conn, table: &str, row: &str) -> Result<()> {
    let delete = "DELETE FROM secrets WHERE tbl = $1 AND row_id = $2";
    conn.execute(Sql::new(delete).bind(table).bind(row)).await.map(drop)
}

/// How far a change of the master key is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Secrets that were sealed again.
    pub secrets: u64,
    /// The place after which to go on; none: that was all.
    pub next: Option<(String, String, String)>,
}

/// Seals up to `limit` secrets again with the first key, in the order of their places.
///
/// # Errors
/// [`StateError::Damaged`] if one was sealed with a key that is not here.
pub async fn reseal(
    conn: &mut Conn,
    keyring: &Keyring,
    after: Option<&(String, String, String)>,
    limit: u64,
) -> Result<Resealed> {
    let select = Sql::new("SELECT tbl, row_id, col, sealed FROM secrets WHERE 1 = 1");
    let select = match after {
        Some((table, row, column)) => select
            .push_bind(" AND (tbl, row_id, col) > (", table)
            .push_bind(", ", row)
            .push_bind(", ", column)
            .push(")"),
        None => select,
    };
    let rows = conn.all(select.push_bind(" ORDER BY tbl, row_id, col LIMIT ", limit)).await?;
    let mut done = Resealed::default();
    for row in &rows {
        let at: (String, String, String) = (row.get("tbl")?, row.get("row_id")?, row.get("col")?);
        let place = Aad { table: &at.0, row: &at.1, column: &at.2 };
        if let Some(sealed) = keyring.reseal(&place, &bytes(row)?).map_err(|e| sealing(&e))? {
            store(conn, place, &sealed).await?;
            done.secrets += 1;
        }
        done.next = Some(at);
    }
    done.next = done.next.filter(|_| rows.len() as u64 == limit);
    Ok(done)
}
