//! How busy the member that is read is.

use mongodb::bson::{Bson, Document, doc};

use super::{Deployment, topology, whole_number};
use crate::error::Result;
use crate::members::Topology;

/// How busy a member was at one moment.
///
/// What waits tells it, not what could still begin: since MongoDB 7.0 a server makes itself just as many tickets as it
/// needs, so that an idle one has four (its manual, `serverStatus`: a low `available` is no sign of overload).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Operations that wait for a lock or for their turn in the storage engine, this program's own among them
    /// (`serverStatus`: `globalLock.currentQueue`, and what has a `queueLength` below
    /// `wiredTiger.concurrentTransactions`, since 8.0 below `queues.execution`).
    pub queued: u64,
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
        let lag_seconds = if follows { topology::lag_seconds(&self.set, &self.client()).await } else { None };
        Ok(Load { lag_seconds, ..load(&status) })
    }
}

fn load(status: &Document) -> Load {
    let below = |path: &[&str]| path.iter().try_fold(status, |inner, key| inner.get_document(key).ok());
    let locks = below(&["globalLock", "currentQueue"]).and_then(|queue| queue.get("total"));
    let engine = below(&["queues", "execution"]).or_else(|| below(&["wiredTiger", "concurrentTransactions"]));
    let turns = ["read", "write"]
        .map(|kind| engine.and_then(|engine| engine.get_document(kind).ok()).map_or(0, waiting));
    // Who waits for a turn is counted among those who wait for a lock too.
    let queued = locks.map_or(0, whole_number).max(turns.iter().sum());
    Load { queued, lag_seconds: None }
}

/// Some versions count one queue, others one for each priority.
fn waiting(kind: &Document) -> u64 {
    let length = |of: &Document| of.get("queueLength").map_or(0, whole_number);
    let priorities = kind.values().filter_map(Bson::as_document).map(length);
    length(kind).max(priorities.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two parts of `serverStatus` that count, as a server sends them: operations that wait for locks, and what
    /// the storage engine says.
    fn status(locks: i32, engine: Document) -> Document {
        let mut status = doc! { "globalLock": {
            "currentQueue": { "total": locks, "readers": locks, "writers": 0 },
            "activeClients": { "total": 0, "readers": 0, "writers": 0 },
        } };
        status.extend(engine);
        status
    }

    fn six(available: i32) -> Document {
        let kind = doc! { "out": 128 - available, "available": available, "totalTickets": 128 };
        doc! { "wiredTiger": { "concurrentTransactions": { "write": kind.clone(), "read": kind } } }
    }

    fn seven(read: i64, write: i64) -> Document {
        let kind = |waiting: i64| {
            doc! {
                "out": 4, "available": 0, "totalTickets": 4, "queueLength": waiting, "processing": 4_i64,
                "exempt": { "queueLength": 0_i64 },
            }
        };
        let monitor = doc! { "timesDecreased": 7_i64, "timesIncreased": 3_i64 };
        doc! { "wiredTiger": {
            "concurrentTransactions": { "write": kind(write), "read": kind(read), "monitor": monitor },
        } }
    }

    fn eight(normal: i64, low: i64) -> Document {
        let priority = |waiting: i64| {
            doc! {
                "addedToQueue": 9_i64, "removedFromQueue": 9_i64, "queueLength": waiting, "canceled": 0_i64,
            }
        };
        let kind = |normal, low| {
            doc! {
                "out": 0, "available": 4, "totalTickets": 4, "exempt": { "startedProcessing": 5_i64 },
                "normalPriority": priority(normal), "lowPriority": priority(low),
            }
        };
        doc! { "queues": {
            "execution": { "write": kind(0, 0), "read": kind(normal, low) },
            "ingress": { "queueLength": 900 },
        } }
    }

    #[test]
    fn what_waits_is_load_and_tickets_are_none() {
        let queued = |locks, engine| load(&status(locks, engine)).queued;
        assert_eq!(queued(3, six(127)), 3);
        assert_eq!(queued(0, six(0)), 0, "nobody waits");
        assert_eq!(queued(0, seven(0, 0)), 0, "an idle server has four tickets, and a read takes one");
        assert_eq!(queued(2, seven(30, 5)), 35);
        assert_eq!(queued(40, seven(30, 5)), 40, "nobody is counted twice");
        assert_eq!(queued(0, eight(0, 0)), 0);
        assert_eq!(queued(1, eight(20, 4)), 24);
        assert_eq!(load(&doc! {}), Load::default());
    }
}
