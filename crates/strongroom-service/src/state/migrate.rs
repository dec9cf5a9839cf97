//! The schema, and how an older one becomes it. Forward only: each change is applied once and never edited afterwards.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};

use super::db::{Lock, on_both};
use super::sql::Sql;
use super::{Result, State, StateError, Tx};

/// A change of the schema: its number, its name, its statements.
#[derive(Debug, Clone, Copy)]
struct Change {
    number: i64,
    name: &'static str,
    sql: &'static str,
}

impl Change {
    fn checksum(self) -> String {
        hex::encode(digest(&SHA256, self.sql.as_bytes()))
    }
}

const CHANGES: [Change; 1] =
    [Change { number: 1, name: "first", sql: include_str!("migrations/0001_first.sql") }];

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migrations (
    number BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at BIGINT NOT NULL
)";

/// The changes that are missing.
///
/// # Errors
/// If the database knows a change that this program does not, or another one by the same number.
fn missing(applied: &BTreeMap<i64, String>) -> Result<Vec<Change>> {
    let known = CHANGES.last().map_or(0, |change| change.number);
    if let Some((&schema, _)) = applied.last_key_value().filter(|(number, _)| **number > known) {
        return Err(StateError::Newer { schema });
    }
    let mut missing = Vec::new();
    for change in CHANGES {
        match applied.get(&change.number) {
            None => missing.push(change),
            Some(checksum) if *checksum == change.checksum() => {}
            Some(_) => {
                let why = format!("its change {} of the schema is another one", change.number);
                return Err(StateError::Damaged(why));
            }
        }
    }
    Ok(missing)
}

async fn applied(tx: &mut Tx) -> Result<BTreeMap<i64, String>> {
    let rows = tx.all(Sql::new("SELECT number, checksum FROM migrations")).await?;
    rows.iter().map(|row| Ok((row.get("number")?, row.get("checksum")?))).collect()
}

async fn apply(tx: &mut Tx, change: Change) -> Result<()> {
    on_both!(tx, raw => sqlx::raw_sql(change.sql).execute(raw).await.map(drop)?);
    let now = tx.now().await?;
    let note = "INSERT INTO migrations (number, name, checksum, applied_at) VALUES ($1, $2, $3, $4)";
    let note = Sql::new(note).bind(change.number).bind(change.name).bind(change.checksum()).bind(now);
    tx.execute(note).await.map(drop)
}

/// Brings the schema to what this program wants, all of it or nothing.
pub(super) async fn migrate(state: &State) -> Result<()> {
    let mut tx = state.begin().await?;
    tx.lock(Lock::Schema).await?;
    tx.execute(Sql::new(TABLE)).await?;
    for change in missing(&applied(&mut tx).await?)? {
        apply(&mut tx, change).await?;
    }
    tx.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> BTreeMap<i64, String> {
        CHANGES.into_iter().map(|change| (change.number, change.checksum())).collect()
    }

    #[test]
    fn changes_are_numbered_from_one() {
        assert!(CHANGES.iter().zip(1..).all(|(change, number)| change.number == number));
    }

    #[test]
    fn a_new_database_wants_all_changes_and_a_current_one_none() {
        assert_eq!(missing(&BTreeMap::new()).unwrap().len(), CHANGES.len());
        assert_eq!(missing(&all()).unwrap().len(), 0);
    }

    #[test]
    fn a_newer_schema_and_a_changed_one_are_refused() {
        let mut newer = all();
        newer.insert(99, "?".into());
        assert_eq!(missing(&newer).unwrap_err(), StateError::Newer { schema: 99 });
        let mut changed = all();
        changed.insert(1, "?".into());
        assert!(matches!(missing(&changed), Err(StateError::Damaged(_))));
    }
}
