//! Opening the database.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::db::Db;
use super::url::{Place, StateUrl};
use super::{Result, StateError};

/// How long a connection is waited for. Longer than the slowest transaction, shorter than a person's patience.
const CONNECTION_WAIT: Duration = Duration::from_secs(10);
/// The writer and its readers do not block each other with a write-ahead log; a tool that looks into the file may.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// A query takes milliseconds, so that a few connections serve many requests.
const SQLITE_READERS: u32 = 8;
const POSTGRES_CONNECTIONS: u32 = 16;
/// A statement that PostgreSQL has not answered by then is ended by it.
const STATEMENT_TIMEOUT_MS: &str = "30000";

/// The connections, and the lock of a file.
pub(super) async fn open(url: &StateUrl) -> Result<(Db, Option<File>)> {
    match &url.0 {
        Place::Sqlite(path) => {
            let lock = lock(path)?;
            Ok((sqlite(path).await?, Some(lock)))
        }
        Place::Postgres(options) => Ok((postgres(options).await?, None)),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// A file that only its owner can read, made if it is not there.
fn private(path: &Path) -> Result<File> {
    let opened =
        OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path);
    opened.map_err(|e| StateError::Unavailable(format!("cannot open `{}`: {e}", path.display())))
}

/// SQLite's own locks are let go between transactions; this one is held while the state is open.
fn lock(path: &Path) -> Result<File> {
    let file = private(&beside(path, ".lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateError::InUse(path.display().to_string())),
        Err(TryLockError::Error(e)) => {
            Err(StateError::Unavailable(format!("cannot lock `{}`: {e}", path.display())))
        }
    }
}

async fn sqlite(path: &Path) -> Result<Db> {
    private(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // What was committed survives a loss of power.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT);
    let pool =
        || SqlitePoolOptions::new().acquire_timeout(CONNECTION_WAIT).idle_timeout(None).max_lifetime(None);
    // First, since it makes the log that readers need.
    let writer = pool().max_connections(1).connect_with(options.clone()).await?;
    let readers = pool().max_connections(SQLITE_READERS).connect_with(options.read_only(true)).await?;
    Ok(Db::Sqlite { writer, readers })
}

async fn postgres(options: &PgConnectOptions) -> Result<Db> {
    let options = options.clone().application_name("strongroom").options([
        ("statement_timeout", STATEMENT_TIMEOUT_MS),
        ("default_transaction_isolation", "read committed"),
    ]);
    let pool = PgPoolOptions::new().acquire_timeout(CONNECTION_WAIT).max_connections(POSTGRES_CONNECTIONS);
    Ok(Db::Postgres(pool.connect_with(options).await?))
}
