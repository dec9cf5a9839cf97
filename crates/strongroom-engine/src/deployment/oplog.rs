//! The oplog of the member that is read: where it stands, and its entries.

use mongodb::bson::{Document, RawDocumentBuf, Timestamp, doc};

use super::batches::Batches;
use super::setback::Setback;
use super::{Deployment, ReadAt};
use crate::error::Result;
use crate::moment::ClusterTime;

pub(super) const DB: &str = "local";
pub(super) const OPLOG: &str = "oplog.rs";
const VIEWS: &str = r"\.system\.views$";
/// Commands about databases that no backup holds.
const INTERNAL: &str = r"^(config|local)\.";
/// Within how much time the entries of one commit are written; far more than it takes.
const WRITTEN_WITHIN_SECONDS: u32 = 5;
/// Entries in one reply: many are small, and one may have 16 MiB.
const REPLY_ENTRIES: u32 = 5_000;

/// A search for when the newest entry was written.
pub(super) fn newest_entry() -> Document {
    doc! { "find": OPLOG, "sort": { "$natural": -1 }, "limit": 1, "projection": { "ts": 1 } }
}

impl Deployment {
    /// When the oldest transaction began that is under way: its entries stand in the oplog before that of its
    /// commit.
    ///
    /// # Errors
    /// As the server fails.
    pub async fn oldest_transaction(&self) -> Result<Option<ClusterTime>> {
        let under_way = doc! { "state": { "$in": ["prepared", "inProgress"] } };
        let oldest = doc! {
            "find": "transactions",
            "filter": under_way,
            "sort": { "startOpTime.ts": 1 },
            "limit": 1,
            "projection": { "startOpTime": 1 },
        };
        let oldest = self.first("config", oldest, ReadAt::Committed).await?;
        let began = oldest.as_ref().and_then(|found| found.get_document("startOpTime").ok());
        Ok(began.and_then(|began| began.get_timestamp("ts").ok()).map(ClusterTime::from))
    }

    /// An entry of a few seconds before `time`, or the oldest: entries of one transaction are written together, but
    /// not at one moment.
    ///
    /// # Errors
    /// As the server fails.
    pub async fn entry_before(&self, time: ClusterTime) -> Result<ClusterTime> {
        let earlier = Timestamp { time: time.seconds.saturating_sub(WRITTEN_WITHIN_SECONDS), increment: 0 };
        let find = doc! {
            "find": OPLOG,
            "filter": { "ts": { "$gte": earlier } },
            "limit": 1,
            "projection": { "ts": 1 },
        };
        let entry = self.first(DB, find, ReadAt::Now).await?;
        Ok(entry.as_ref().and_then(|entry| entry.get_timestamp("ts").ok()).map_or(time, ClusterTime::from))
    }

    /// Whether a collection, view or index was made, changed or dropped since, even if not yet committed.
    ///
    /// # Errors
    /// As the server fails.
    pub async fn catalog_changed_since(&self, since: ClusterTime) -> Result<bool> {
        let ts = doc! { "$gt": Timestamp::from(since) };
        let elsewhere = ["applyOps", "commitTransaction", "abortTransaction"];
        // What a server does about its own files: the second phase of a drop, notes about indexes.
        let own = ["dropIdent", "setMultikeyMetadata"];
        let control = [&elsewhere[..], &own]
            .concat()
            .into_iter()
            .map(|name| doc! { format!("o.{name}"): { "$exists": true } });
        let changes = doc! {
            "find": OPLOG,
            "filter": { "ts": ts, "$or": [
                { "op": "c", "ns": { "$not": { "$regex": INTERNAL } }, "$nor": control.collect::<Vec<_>>() },
                { "o.applyOps.op": "c" },
                // Views are documents.
                { "ns": { "$regex": VIEWS } },
                { "o.applyOps.ns": { "$regex": VIEWS } },
            ] },
            "limit": 1,
            "projection": { "ts": 1 },
        };
        Ok(self.first(DB, changes, ReadAt::Now).await?.is_some())
    }

    /// The committed entries from `from` on, itself included, up to the newest.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub async fn oplog(&self, from: ClusterTime) -> Result<Batches, Setback> {
        let mut find = doc! { "find": OPLOG, "filter": { "ts": { "$gte": Timestamp::from(from) } } };
        find.insert("readConcern", ReadAt::Committed.concern());
        self.cursor(DB, find, Some(REPLY_ENTRIES)).await
    }

    pub(super) async fn first(&self, db: &str, find: Document, at: ReadAt) -> Result<Option<RawDocumentBuf>> {
        Ok(self.documents(db, &find, at).await?.into_iter().next())
    }
}
