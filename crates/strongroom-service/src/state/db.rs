//! One way to speak to SQLite and to PostgreSQL.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, PgConnection, PgPool, Postgres, Row as _, Sqlite, SqliteConnection, SqlitePool};
use sqlx::{Transaction, Type};
use strongroom_engine::Clock;

use super::sql::{Sql, Value};
use super::{Result, StateError};

/// The connections to the database.
#[derive(Debug, Clone)]
pub(super) enum Db {
    /// SQLite has one writer: a pool of one, for which writers wait in line. Readers have a pool apart.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
    Postgres(PgPool),
}

enum Link {
    Sqlite(PoolConnection<Sqlite>),
    SqliteTx(Transaction<'static, Sqlite>),
    Postgres(PoolConnection<Postgres>),
    PostgresTx(Transaction<'static, Postgres>),
}

/// The driver's connection below a [`Conn`].
pub(super) enum Raw<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// Does the same on both.
macro_rules! on_both {
    ($conn:expr, $raw:ident => $body:expr) => {
        match $conn.raw() {
            $crate::state::db::Raw::Sqlite($raw) => $body,
            $crate::state::db::Raw::Postgres($raw) => $body,
        }
    };
}
pub(super) use on_both;

macro_rules! bound {
    ($sql:expr) => {{
        $sql.check()?;
        let mut query = sqlx::query($sql.text());
        for value in $sql.values {
            query = match value {
                Value::Int(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
                Value::Bool(yes) => query.bind(yes),
            };
        }
        query
    }};
}

/// A connection to the state. It gives the connection back when it is dropped.
pub struct Conn {
    link: Link,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Conn")
    }
}

impl Conn {
    pub(super) fn raw(&mut self) -> Raw<'_> {
        match &mut self.link {
            Link::Sqlite(held) => Raw::Sqlite(held),
            Link::SqliteTx(held) => Raw::Sqlite(held),
            Link::Postgres(held) => Raw::Postgres(held),
            Link::PostgresTx(held) => Raw::Postgres(held),
        }
    }

    /// Runs a statement, and says how many rows it changed.
    pub(super) async fn execute(&mut self, sql: Sql) -> Result<u64> {
        Ok(on_both!(self, raw => bound!(sql).execute(raw).await?.rows_affected()))
    }

    /// The row that there is, or [`StateError::Missing`].
    pub(super) async fn one(&mut self, sql: Sql) -> Result<Row> {
        self.optional(sql).await?.ok_or(StateError::Missing)
    }

    /// The row, if there is one.
    pub(super) async fn optional(&mut self, sql: Sql) -> Result<Option<Row>> {
        Ok(on_both!(self, raw => bound!(sql).fetch_optional(raw).await?.map(Row::from)))
    }

    /// All rows.
    pub(super) async fn all(&mut self, sql: Sql) -> Result<Vec<Row>> {
        Ok(on_both!(self, raw => bound!(sql).fetch_all(raw).await?.into_iter().map(Row::from).collect()))
    }

    /// The time that leases are measured by: the database's own, since the clocks of several machines differ. With SQLite
    /// there is one machine, and its clock is the one that was passed in.
    pub(super) async fn now(&mut self) -> Result<DateTime<Utc>> {
        if let Raw::Sqlite(_) = self.raw() {
            return Ok(self.clock.now());
        }
        // `now()` stands still in a transaction.
        let now = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now";
        self.one(Sql::new(now)).await?.time("now")
    }

    /// The same query, whose rows nobody else changes until the transaction ends. SQLite's only writer needs no more.
    pub(super) fn locking(&mut self, sql: Sql) -> Sql {
        match self.raw() {
            Raw::Sqlite(_) => sql,
            Raw::Postgres(_) => sql.push(" FOR UPDATE"),
        }
    }

    /// Ends the transaction that this is.
    pub(super) async fn commit(self) -> Result<()> {
        match self.link {
            Link::SqliteTx(tx) => tx.commit().await?,
            Link::PostgresTx(tx) => tx.commit().await?,
            Link::Sqlite(_) | Link::Postgres(_) => {}
        }
        Ok(())
    }

    /// Keeps others that take the same lock out until the transaction ends. SQLite's only writer has done so already.
    pub(super) async fn lock(&mut self, lock: Lock) -> Result<()> {
        if let Raw::Postgres(_) = self.raw() {
            self.optional(Sql::new("SELECT pg_advisory_xact_lock($1)").bind(lock as i64)).await?;
        }
        Ok(())
    }
}

/// What one transaction at a time may do. The numbers are any, but stay: several versions may run at once.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lock {
    /// Change the schema.
    Schema = 7_301_001,
    /// Claim runs: the limits of runs at once are counted before.
    Claims = 7_301_002,
    /// Give events their numbers. It is taken last in a transaction, so that nobody who has it waits for anything else.
    Events = 7_301_003,
}

impl Db {
    pub(super) async fn reader(&self, clock: Arc<dyn Clock>) -> Result<Conn> {
        let link = match self {
            Self::Sqlite { readers, .. } => Link::Sqlite(readers.acquire().await?),
            Self::Postgres(pool) => Link::Postgres(pool.acquire().await?),
        };
        Ok(Conn { link, clock })
    }

    /// A connection in a transaction.
    pub(super) async fn begin(&self, clock: Arc<dyn Clock>) -> Result<Conn> {
        let link = match self {
            // A deferred transaction that reads first fails at its first write if another one has written meanwhile.
            Self::Sqlite { writer, .. } => Link::SqliteTx(writer.begin_with("BEGIN IMMEDIATE").await?),
            Self::Postgres(pool) => Link::PostgresTx(pool.begin().await?),
        };
        Ok(Conn { link, clock })
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                // Last, so that it writes the log back into the file.
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// A row of either database.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl From<SqliteRow> for Row {
    fn from(row: SqliteRow) -> Self {
        Self::Sqlite(row)
    }
}

impl From<PgRow> for Row {
    fn from(row: PgRow) -> Self {
        Self::Postgres(row)
    }
}

/// What a column can be read as.
pub(super) trait Column:
    for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

impl<T> Column for T where
    T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>
{
}

fn unreadable(column: &str, why: impl fmt::Display) -> StateError {
    StateError::Damaged(format!("the column `{column}` cannot be read: {why}"))
}

fn time_of(column: &str, millis: i64) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_millis(millis).ok_or_else(|| unreadable(column, format!("{millis} is no time")))
}

impl Row {
    pub(super) fn get<T: Column>(&self, column: &str) -> Result<T> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    /// A count, which is stored signed.
    pub(super) fn count(&self, column: &str) -> Result<u64> {
        u64::try_from(self.get::<i64>(column)?).map_err(|e| unreadable(column, e))
    }

    pub(super) fn time(&self, column: &str) -> Result<DateTime<Utc>> {
        time_of(column, self.get(column)?)
    }

    pub(super) fn time_or_none(&self, column: &str) -> Result<Option<DateTime<Utc>>> {
        self.get::<Option<i64>>(column)?.map(|millis| time_of(column, millis)).transpose()
    }

    /// What was written as text, such as an id.
    pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(&self, column: &str) -> Result<T> {
        self.get::<String>(column)?.parse().map_err(|e| unreadable(column, e))
    }

    pub(super) fn parsed_or_none<T: FromStr<Err: fmt::Display>>(&self, column: &str) -> Result<Option<T>> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| text.parse().map_err(|e| unreadable(column, e))).transpose()
    }

    pub(super) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        serde_json::from_str(&self.get::<String>(column)?).map_err(|e| unreadable(column, e))
    }

    pub(super) fn json_or_none<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| serde_json::from_str(&text).map_err(|e| unreadable(column, e))).transpose()
    }

    /// A plain enum, as [`word`](super::sql::word) wrote it.
    pub(super) fn word<T: DeserializeOwned>(&self, column: &str) -> Result<T> {
        let word = serde_json::Value::String(self.get(column)?);
        serde_json::from_value(word).map_err(|e| unreadable(column, e))
    }
}
