//! The settings of the whole service: one row, or the defaults.

use super::sql::{Sql, json};
use super::{Conn, Result, StateError};
use crate::model::Settings;

/// The settings and their version, which is 0 as long as nobody has changed them.
///
/// # Errors
/// What the database answers.
pub async fn get(conn: &mut Conn) -> Result<(Settings, u64)> {
    match conn.optional(Sql::new("SELECT body, version FROM settings WHERE id = 1")).await? {
        Some(row) => Ok((row.json("body")?, row.count("version")?)),
        None => Ok((Settings::default(), 0)),
    }
}

/// Replaces settings that have this version; they have the next one then.
///
/// # Errors
/// [`StateError::Conflict`] if they have another one.
pub async fn update(conn: &mut Conn, settings: &Settings, expected_version: u64) -> Result<()> {
    let upsert = "INSERT INTO settings (id, paused, body, version) SELECT 1, $1, $2, 1 WHERE $3 = 0 \
                  OR EXISTS (SELECT 1 FROM settings) \
                  ON CONFLICT (id) DO UPDATE SET paused = excluded.paused, body = excluded.body, \
                  version = settings.version + 1 WHERE settings.version = $3";
    let upsert = Sql::new(upsert).bind(settings.paused).bind(json(settings)?).bind(expected_version);
    match conn.execute(upsert).await? {
        0 => Err(StateError::Conflict),
        _ => Ok(()),
    }
}
