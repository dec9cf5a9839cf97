//! What is done together, and told when it is done.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use tokio::sync::Notify;

use super::Result;
use super::db::Conn;
use super::events::{self, Pending};

/// A transaction. Dropped without [`commit`](Self::commit), it has changed nothing.
#[derive(Debug)]
pub struct Tx {
    conn: Conn,
    events: Vec<Pending>,
    committed: Arc<Notify>,
}

impl Tx {
    pub(super) fn new(conn: Conn, committed: Arc<Notify>) -> Self {
        Self { conn, events: Vec::new(), committed }
    }

    /// Makes the changes permanent.
    ///
    /// # Errors
    /// Where nobody knows whether they are, such as when the connection broke: [`StateError::Unavailable`].
    pub async fn commit(self) -> Result<()> {
        let Self { mut conn, events, committed } = self;
        let tells = !events.is_empty();
        if tells {
            events::append(&mut conn, events).await?;
        }
        conn.commit().await?;
        if tells {
            committed.notify_one();
        }
        Ok(())
    }

    /// Adds an event, which is stored and sent when the transaction is committed.
    pub fn tell(&mut self, kind: &'static str, subject: Option<&str>, data: serde_json::Value) {
        self.events.push(Pending { kind, subject: subject.map(str::to_owned), data });
    }
}

impl Deref for Tx {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Tx {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}
