//! How busy the member that is read is.

use mongodb::bson::{Document, doc};

use super::{Deployment, topology, whole_number};
use crate::error::Result;
use crate::members::Topology;

/// How busy a member was at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Operations that wait for a lock or for their turn (`serverStatus`: `globalLock.currentQueue.total`).
    pub queued: u64,
    /// Reads that the storage engine would still let begin; none where the server does not tell
    /// (`wiredTiger.concurrentTransactions.read.available`, since 7.0 also below `queues.execution`).
    pub read_tickets_left: Option<u64>,
    /// Seconds behind the primary; none for the primary itself, or where that cannot be seen.
    pub lag_seconds: Option<f64>,
}

impl Deployment {
    /// How busy the chosen member is now.
    ///
    /// # Errors
    /// [`Code::MongoPrivilege`](crate::error::Code::MongoPrivilege) without the privilege `serverStatus`, which the
    /// role `backup` has; as the connection fails.
    pub async fn load(&self) -> Result<Load> {
        let status = self.command("admin", doc! { "serverStatus": 1, "metrics": 0, "tcmalloc": 0 }).await?;
        let follows = self.source.topology == Topology::ReplicaSet && self.source.member_role != "primary";
        let lag_seconds = if follows { topology::lag_seconds(&self.set, &self.client).await } else { None };
        Ok(Load { lag_seconds, ..load(&status) })
    }
}

fn load(status: &Document) -> Load {
    let number = |path: &[&str]| {
        let (last, above) = path.split_last()?;
        let inner = above.iter().try_fold(status, |inner, key| inner.get_document(key).ok())?;
        inner.get(last).map(whole_number)
    };
    Load {
        queued: number(&["globalLock", "currentQueue", "total"]).unwrap_or(0),
        read_tickets_left: number(&["queues", "execution", "read", "available"])
            .or_else(|| number(&["wiredTiger", "concurrentTransactions", "read", "available"])),
        lag_seconds: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_servers_of_both_kinds_say() {
        let old = doc! {
            "globalLock": { "currentQueue": { "total": 3, "readers": 3 } },
            "wiredTiger": { "concurrentTransactions": { "read": { "out": 1, "available": 127 } } },
        };
        assert_eq!(load(&old), Load { queued: 3, read_tickets_left: Some(127), lag_seconds: None });
        let new = doc! { "queues": { "execution": { "read": { "available": 5_i64 } } } };
        assert_eq!(load(&new).read_tickets_left, Some(5));
        assert_eq!(load(&doc! {}), Load::default());
    }
}
