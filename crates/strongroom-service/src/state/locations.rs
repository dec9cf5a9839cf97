//! Locations. What signs requests to them is in `secrets`.

use super::db::Row;
use super::labels::{self, HasLabel};
use super::sql::{Sql, json};
use super::{Conn, Page, PageRequest, Result, StateError, secrets};
use crate::model::{Location, LocationId, Name, Proof};

/// Their table, as `secrets` and `labels` name it.
pub const TABLE: &str = "locations";

/// Which locations are listed.
#[derive(Debug, Clone, Default)]
pub struct LocationFilter {
    /// With this name.
    pub name: Option<Name>,
    /// With this label.
    pub label: Option<HasLabel>,
    /// Only these; empty: all.
    pub among: Vec<LocationId>,
}

fn read(row: &Row) -> Result<Location> {
    let last_proof = row.json_or_none("last_proof")?;
    Ok(Location { last_proof, version: row.count("version")?, ..row.json("body")? })
}

/// Adds a location.
///
/// # Errors
/// [`StateError::Taken`] for its name.
pub async fn insert(conn: &mut Conn, location: &Location) -> Result<()> {
    let insert = "INSERT INTO locations (id, name, runs_at_once, body, version) VALUES ($1, $2, $3, $4, $5)";
    let insert = Sql::new(insert).bind(&location.id).bind(&location.name);
    let insert = insert.bind(location.runs_at_once.get()).bind(json(location)?).bind(location.version);
    conn.execute(insert).await?;
    labels::set(conn, TABLE, location.id.as_str(), &location.labels).await
}

/// The location with this id.
///
/// # Errors
/// What the database answers.
pub async fn get(conn: &mut Conn, id: &LocationId) -> Result<Option<Location>> {
    let select = Sql::new("SELECT body, last_proof, version FROM locations WHERE id = $1").bind(id);
    conn.optional(select).await?.as_ref().map(read).transpose()
}

/// A page of locations, newest first.
///
/// # Errors
/// What the database answers.
pub async fn list(conn: &mut Conn, filter: &LocationFilter, page: &PageRequest) -> Result<Page<Location>> {
    let select = Sql::new("SELECT id, body, last_proof, version FROM locations WHERE 1 = 1")
        .push_some(" AND name = ", filter.name.as_ref())
        .push_among(" AND id IN (", filter.among.iter());
    let select = labels::having(select, TABLE, filter.label.as_ref());
    let rows = conn.all(page.end(select)).await?;
    page.page(rows, read)
}

/// Replaces a location that has this version; it then has the next one.
///
/// # Errors
/// [`StateError::Conflict`] if it has another version, [`StateError::Taken`] for its name, [`StateError::Missing`].
pub async fn update(conn: &mut Conn, location: &Location, expected_version: u64) -> Result<()> {
    let update = "UPDATE locations SET name = $1, runs_at_once = $2, body = $3, version = version + 1 \
                  WHERE id = $4 AND version = $5";
    let update = Sql::new(update).bind(&location.name).bind(location.runs_at_once.get());
    let update = update.bind(json(location)?).bind(&location.id).bind(expected_version);
    if conn.execute(update).await? == 0 {
        return Err(get(conn, &location.id).await?.map_or(StateError::Missing, |_| StateError::Conflict));
    }
    labels::set(conn, TABLE, location.id.as_str(), &location.labels).await
}

/// Deletes a location, its secrets and labels, and what the catalogue remembers of backups that were in it.
///
/// # Errors
/// [`StateError::Referenced`] if a plan stores there or a backup is there, [`StateError::Conflict`], [`StateError::Missing`].
pub async fn delete(conn: &mut Conn, id: &LocationId, expected_version: u64) -> Result<()> {
    const USES: [(&str, &str); 2] = [
        ("plans", "SELECT id FROM plans WHERE location = $1 LIMIT 1"),
        ("backups", "SELECT id FROM backups WHERE location = $1 AND state <> 'swept' LIMIT 1"),
    ];
    for (by, uses) in USES {
        if conn.optional(Sql::new(uses).bind(id)).await?.is_some() {
            return Err(StateError::Referenced { by });
        }
    }
    conn.execute(Sql::new("DELETE FROM backups WHERE location = $1").bind(id)).await?;
    let delete = "DELETE FROM locations WHERE id = $1 AND version = $2";
    if conn.execute(Sql::new(delete).bind(id).bind(expected_version)).await? == 0 {
        return Err(get(conn, id).await?.map_or(StateError::Missing, |_| StateError::Conflict));
    }
    secrets::delete_of(conn, TABLE, id.as_str()).await?;
    labels::clear(conn, TABLE, id.as_str()).await
}

/// Keeps what the last proof of a location found. Its version stays: nobody changed a setting.
///
/// # Errors
/// What the database answers.
pub async fn set_proof(conn: &mut Conn, id: &LocationId, proof: &Proof) -> Result<()> {
    let update = "UPDATE locations SET last_proof = $1 WHERE id = $2";
    conn.execute(Sql::new(update).bind(json(proof)?).bind(id)).await.map(drop)
}
