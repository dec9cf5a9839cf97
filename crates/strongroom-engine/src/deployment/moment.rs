//! The moment that a snapshot is read at. A server holds back a read at a moment that no majority of the set has
//! yet; where too many members are down it would do so for ever.

use std::time::Duration;

use mongodb::Client;

use super::topology;
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::moment::ClusterTime;
use crate::progress::Warning;

/// How long the newest writes are waited for: with all members up they are on a majority within milliseconds.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Waits until a majority has `newest`; if that does not come, says what is missing from a snapshot.
pub(super) async fn settle(client: &Client, newest: Option<ClusterTime>) -> Result<Option<Warning>> {
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
        .help(help![
            "Check with rs.status() which members are down, or back up with ",
            Setting::Consistency.to("none"),
            "."
        ]));
    };
    Ok(Some(Warning::NoMajority { behind_seconds: newest.seconds.saturating_sub(at.seconds) }))
}
