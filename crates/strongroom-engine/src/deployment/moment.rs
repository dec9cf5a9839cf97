//! The moment that a snapshot is read at. A server holds back a read at a moment that no majority of the set has
//! yet; where too many members are down it would do so for ever.

use std::time::Duration;

use mongodb::Client;

use super::topology;
use crate::error::{Code, Error, Result};
use crate::manifest::ClusterTime;

/// How long the newest writes are waited for: with all members up they are on a majority within milliseconds.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Waits until a majority has `newest`; if that does not come, says what is missing from a snapshot.
pub(super) async fn settle(client: &Client, newest: Option<ClusterTime>) -> Result<Option<String>> {
    let Some(newest) = newest else { return Ok(None) };
    let mut committed = topology::committed(client).await?;
    for _ in 0..TRIES {
        if committed >= Some(newest) {
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
        committed = topology::committed(client).await?;
    }
    let Some(at) = committed else {
        return Err(Error::new(
            Code::Mongo,
            "no write of this replica set is on a majority of its members yet",
        )
        .help("Check with rs.status() which members are down, or back up with --consistency none."));
    };
    let behind = newest.seconds.saturating_sub(at.seconds);
    Ok(Some(format!(
        "the newest writes, of the last {behind} s, are not on a majority of the set's members, so a snapshot cannot \
         show them: check with rs.status() which members are down"
    )))
}
