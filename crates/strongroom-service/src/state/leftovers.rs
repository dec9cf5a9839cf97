//! What tries that gave no backup may have left in a location, until it is cleared away.

use chrono::{DateTime, Utc};
use strongroom_engine::{BackupId, PlanName};

use super::db::Row;
use super::sql::Sql;
use super::{Conn, Result};
use crate::model::{LocationId, RunId};

/// What a try may have left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Where.
    pub location: LocationId,
    /// In which folder.
    pub folder: PlanName,
    /// Under which name.
    pub name: BackupId,
    /// Of which run.
    pub run: RunId,
    /// Before, its worker may still be writing.
    pub sweep_after: DateTime<Utc>,
}

fn read(row: &Row) -> Result<Leftover> {
    Ok(Leftover {
        location: row.parsed("location")?,
        folder: row.parsed("folder")?,
        name: row.parsed("name")?,
        run: row.parsed("run")?,
        sweep_after: row.time("sweep_after")?,
    })
}

/// Adds one; one that is known stays as it is.
///
/// # Errors
/// What the database answers.
pub async fn insert(conn: &mut Conn, leftover: &Leftover) -> Result<()> {
    let insert = "INSERT INTO leftovers (location, folder, name, run, sweep_after) VALUES ($1, $2, $3, $4, $5) \
                  ON CONFLICT (location, folder, name) DO NOTHING";
    let insert = Sql::new(insert).bind(&leftover.location).bind(leftover.folder.to_string());
    let insert = insert.bind(leftover.name.to_string()).bind(&leftover.run).bind(leftover.sweep_after);
    conn.execute(insert).await.map(drop)
}

/// Those that may be cleared away, of a location or of all; at most `limit`.
///
/// # Errors
/// What the database answers.
pub async fn due(
    conn: &mut Conn,
    location: Option<&LocationId>,
    now: DateTime<Utc>,
    limit: u64,
) -> Result<Vec<Leftover>> {
    let select = "SELECT location, folder, name, run, sweep_after FROM leftovers WHERE sweep_after <= $1";
    let select = Sql::new(select).bind(now).push_some(" AND location = ", location);
    conn.all(select.push_bind(" ORDER BY sweep_after LIMIT ", limit)).await?.iter().map(read).collect()
}

/// The run that may have left something at a place.
///
/// # Errors
/// What the database answers.
pub async fn of_place(
    conn: &mut Conn,
    location: &LocationId,
    folder: &PlanName,
    name: &BackupId,
) -> Result<Option<RunId>> {
    let select = "SELECT run FROM leftovers WHERE location = $1 AND folder = $2 AND name = $3";
    let select = Sql::new(select).bind(location).bind(folder.to_string()).bind(name.to_string());
    conn.optional(select).await?.map(|row| row.parsed("run")).transpose()
}

/// Forgets one that was cleared away.
///
/// # Errors
/// What the database answers.
pub async fn delete(conn: &mut Conn, leftover: &Leftover) -> Result<()> {
    let delete = "DELETE FROM leftovers WHERE location = $1 AND folder = $2 AND name = $3";
    let delete = Sql::new(delete).bind(&leftover.location).bind(leftover.folder.to_string());
    conn.execute(delete.bind(leftover.name.to_string())).await.map(drop)
}
