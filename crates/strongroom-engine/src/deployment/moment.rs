//! How far a replica set has got: what this member has, and what a majority of the set has.
//!
//! There are two ways to learn it. `hello` may be asked by anybody, and says how far the *set* has got; what a read
//! returns may still be a little older. The oplog, read with the read concern that the documents are read with, says
//! what *reads* return; it needs the role `backup`. So a backup's moment is taken from the oplog, and `hello` tells
//! whether a majority is there at all.

use std::time::Duration;

use mongodb::Client;

use super::topology::hello;
use super::{Deployment, ReadAt, oplog};
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::moment::ClusterTime;
use crate::progress::Warning;

/// How long the newest writes are waited for: with all members up they are on a majority within milliseconds.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

impl Deployment {
    /// The newest entry of the oplog: with [`ReadAt::Committed`] the newest that a read of what a majority has would
    /// see, with [`ReadAt::Now`] the newest on this member.
    ///
    /// # Errors
    /// As the server fails, and [`Code::Mongo`] for an empty oplog.
    pub async fn newest(&self, at: ReadAt) -> Result<ClusterTime> {
        let newest = self.first(oplog::DB, oplog::newest_entry(), at).await?;
        let newest = newest.as_ref().and_then(|entry| entry.get_timestamp("ts").ok());
        let newest = newest.map(ClusterTime::from).ok_or_else(|| {
            Error::new(Code::Mongo, "the oplog of this member is empty")
                .help("Let the member finish its initial sync, or name another one in the URI.")
        })?;
        if at == ReadAt::Committed {
            self.has_seen(newest);
        }
        Ok(newest)
    }
}

/// The newest moment of a member that a majority of its set has.
pub(super) async fn committed(client: &Client) -> Result<Option<ClusterTime>> {
    let hello = hello(client).await?;
    let last = hello.get_document("lastWrite").and_then(|last| last.get_document("majorityOpTime"));
    Ok(last.and_then(|op_time| op_time.get_timestamp("ts")).ok().map(ClusterTime::from))
}

/// Waits until a majority has `newest`; if that does not come, says what is missing from a snapshot. A server holds
/// back a read at a moment that no majority has yet, and where too many members are down it would do so for ever.
pub(super) async fn settle(client: &Client, newest: Option<ClusterTime>) -> Result<Option<Warning>> {
    let Some(newest) = newest else { return Ok(None) };
    let mut reached = committed(client).await?;
    for _ in 0..TRIES {
        if reached >= Some(newest) {
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
        reached = committed(client).await?;
    }
    let Some(at) = reached else {
        return Err(Error::new(
            Code::Mongo,
            "no write of this replica set is on a majority of its members yet",
        )
        .help(help![
            "Check with rs.status() which members are down, or back up with ",
            Setting::Consistency.to("none"),
            "."
        ]));
    };
    Ok(Some(Warning::NoMajority { behind_seconds: newest.seconds.saturating_sub(at.seconds) }))
}
