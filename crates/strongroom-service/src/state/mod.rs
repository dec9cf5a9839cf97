//! What the service knows and must not forget, in a SQLite file or in PostgreSQL.
//!
//! The only folder with SQL, and the only one that names a driver. A file is a table, with functions over a [`Conn`];
//! what belongs together is done in one [`Tx`]. The text of the statements is the same for both databases.

pub mod audit;
pub mod backups;
pub mod changes;
pub mod counts;
pub mod deployments;
pub mod events;
pub mod idempotency;
pub mod leftovers;
pub mod locations;
pub mod log_lines;
pub mod plans;
pub mod runs;
pub mod secrets;
pub mod seed;
pub mod sessions;
pub mod settings;
pub mod tickets;
pub mod tokens;
pub mod users;

mod bookkeeping;
mod db;
mod error;
mod labels;
mod migrate;
mod open;
mod page;
#[cfg(test)]
mod query_plans;
mod scope;
mod sql;
mod tx;
mod url;

use std::fmt;
use std::sync::Arc;

use strongroom_engine::Clock;
use tokio::sync::Notify;

pub use db::Conn;
pub use error::{Result, StateError};
pub use labels::HasLabel;
pub use page::{Page, PageRequest, PageSize};
pub use scope::Scope;
pub use tx::Tx;
pub use url::StateUrl;

/// The state. Clones are the same one.
#[derive(Clone)]
pub struct State(Arc<Open>);

struct Open {
    db: db::Db,
    clock: Arc<dyn Clock>,
    /// Woken when a transaction with events was committed.
    committed: Arc<Notify>,
    /// Of a file: kept locked while it is open.
    lock: Option<std::fs::File>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("State")
    }
}

impl State {
    /// Opens the state, makes it where there is none, and brings its schema to what this program wants.
    ///
    /// # Errors
    /// [`StateError::InUse`] if another process has the file open, [`StateError::Newer`] if a newer program has changed
    /// the schema, and what the database answers.
    pub async fn open(url: &StateUrl, clock: Arc<dyn Clock>) -> Result<Self> {
        let (db, lock) = open::open(url).await?;
        let state = Self(Arc::new(Open { db, clock, committed: Arc::default(), lock }));
        migrate::migrate(&state).await?;
        Ok(state)
    }

    /// A connection to read with.
    ///
    /// # Errors
    /// If the database does not give one within a few seconds.
    pub async fn reader(&self) -> Result<Conn> {
        self.0.db.reader(self.0.clock.clone()).await
    }

    /// Begins a transaction that may write. With SQLite there is one at a time; others wait for it.
    ///
    /// # Errors
    /// If it cannot begin within a few seconds.
    pub async fn begin(&self) -> Result<Tx> {
        Ok(Tx::new(self.0.db.begin(self.0.clock.clone()).await?, self.0.committed.clone()))
    }

    /// Whether the database answers and takes writes.
    ///
    /// # Errors
    /// If it does not.
    pub async fn check(&self) -> Result<()> {
        let mut tx = self.begin().await?;
        tx.one(sql::Sql::new("SELECT max(number) AS schema FROM migrations")).await.map(drop)
    }

    /// Waits until a transaction with events was committed by this process, or has been since the last call.
    pub(crate) async fn committed(&self) {
        self.0.committed.notified().await;
    }

    /// Whether other processes may change it too.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        matches!(self.0.db, db::Db::Postgres(_))
    }

    /// Ends all connections, once those in use are given back. A file may be opened by others then.
    pub async fn close(&self) {
        self.0.db.close().await;
        if let Some(lock) = &self.0.lock {
            // It is let go at the end of the process at the latest.
            let _ = lock.unlock();
        }
    }
}
