//! Reading a collection as raw batches: documents are cut out of the server's reply, never decoded.

use std::fmt;
use std::time::Duration;

use futures::StreamExt;
use mongo_archive::check_document;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, RawBson, RawDocumentBuf, Timestamp, doc};
use mongodb::options::RunCursorCommandOptions;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};
use serde::Serialize;

use super::documents::Documents;
use super::failure::explain;
use super::patience::Patience;
use super::setback::Setback;
use super::{Deployment, Turn, damaged};
use crate::backoff::Backoff;
use crate::error::{Code, Error, Result};
use crate::moment::ClusterTime;

/// A short question is asked again when the connection is lost, for about eight seconds.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(4), 5);

/// The moment to read at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadAt {
    /// Whatever is there when the cursor comes by.
    Now,
    /// As [`Now`](Self::Now), but only what a majority of the replica set has, so that it cannot be rolled back.
    Committed,
    /// One cluster time for all readers (MongoDB 5.0 and later).
    Snapshot(ClusterTime),
}

/// How a command names a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CollectionId {
    /// By what stays the same when it is renamed, and ends with it: one that was dropped is an error, whereas by
    /// name it would be empty. The role `backup` may (tried on MongoDB 6.0).
    Uuid([u8; 16]),
    /// By name: mongos knows nothing else.
    Name(String),
}

/// Where a scan in natural order stands. It belongs to one collection of one member.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// None: before the first record.
    token: Option<RawDocumentBuf>,
    turn: Turn,
}

/// Which documents of a collection, and in which order.
#[derive(Debug, Clone)]
pub enum Scan {
    /// All in natural order, from the beginning or after a position.
    Natural(Option<Position>),
    /// In the order of the index on `_id`, which holds every type: from this `_id` on, up to before that one. One
    /// with the `_id` `MaxKey` is found only by beginning with it.
    Ids(Option<RawBson>, Option<RawBson>),
    /// What a query finds, in whatever order.
    Matching(Document),
}

/// What to read.
#[derive(Debug, Clone)]
pub struct Find {
    /// The database.
    pub db: String,
    /// The collection.
    pub collection: CollectionId,
    /// The moment.
    pub at: ReadAt,
    /// Which documents.
    pub scan: Scan,
    /// Whether the buckets of a time-series are meant, rather than its measurements (`rawData`, MongoDB 8.2 and later).
    pub is_raw: bool,
    /// Documents in one reply; the server's own choice if not said.
    pub batch_documents: Option<u32>,
}

/// The documents of a collection, batch by batch.
pub struct Batches {
    cursor: RawBatchCursor,
    turn: Turn,
    patience: Patience,
}

/// One reply of the server, holding a run of documents.
#[derive(Debug)]
pub struct Batch(RawBatch, Turn);

impl Deployment {
    /// Opens a cursor.
    ///
    /// # Errors
    /// Why it could not be opened, and so whether trying otherwise helps.
    pub async fn read(&self, find: &Find) -> Result<Batches, Setback> {
        if let Scan::Natural(Some(position)) = &find.scan
            && position.turn != self.turn()
        {
            return Err(Setback::Elsewhere(Error::new(
                Code::MongoHost,
                format!("it is read from another member, {}", self.member()),
            )));
        }
        self.cursor(&find.db, find.command(), find.batch_documents).await
    }

    /// All that a command with a cursor finds; for answers that are known to be small. A lost connection is made
    /// again.
    pub(super) async fn documents(
        &self,
        db: &str,
        command: &Document,
        at: ReadAt,
    ) -> Result<Vec<RawDocumentBuf>> {
        self.documents_or_setback(db, command, at).await.map_err(Setback::into_error)
    }

    /// As [`documents`](Self::documents), and if there are none, why.
    pub(super) async fn documents_or_setback(
        &self,
        db: &str,
        command: &Document,
        at: ReadAt,
    ) -> Result<Vec<RawDocumentBuf>, Setback> {
        let mut command = command.clone();
        if let Some(concern) = at.concern() {
            command.insert("readConcern", concern);
        }
        let mut failures = 0;
        loop {
            let setback = match self.documents_once(db, command.clone()).await {
                Ok(documents) => return Ok(documents),
                Err(setback) => setback,
            };
            let pause = match &setback {
                Setback::Lost(error) | Setback::Damaged(error) => {
                    // A wait to its limit was a long one already.
                    failures += if error.code() == Code::Stalled { 3 } else { 1 };
                    BACKOFF.pause(failures)
                }
                _ => None,
            };
            match pause {
                Some(pause) => self.ask_again(db, &command, &setback, (pause, failures)).await,
                None => return Err(setback),
            }
        }
    }

    async fn ask_again(
        &self,
        db: &str,
        command: &Document,
        why: &Setback,
        (pause, failures): (Duration, u32),
    ) {
        let turn = self.turn();
        let request = command.keys().next().map_or("", String::as_str);
        self.retries(request, db, why.error().message(), pause);
        tokio::time::sleep(pause).await;
        if failures > 1 {
            self.go_elsewhere(turn, false).await;
        }
    }

    async fn documents_once(&self, db: &str, command: Document) -> Result<Vec<RawDocumentBuf>, Setback> {
        let mut batches = self.cursor(db, command, None).await?;
        let mut documents = Vec::new();
        while let Some(batch) = batches.next().await? {
            for document in batch.documents().map_err(Setback::Final)? {
                let document = document.map_err(Setback::Final)?;
                documents.extend(RawDocumentBuf::from_bytes(document.to_vec()).ok());
            }
        }
        Ok(documents)
    }

    pub(super) async fn cursor(
        &self,
        db: &str,
        mut command: Document,
        batch_documents: Option<u32>,
    ) -> Result<Batches, Setback> {
        if let Some(documents) = batch_documents {
            command.insert("batchSize", i64::from(documents));
        }
        let mut options = RunCursorCommandOptions::default();
        options.selection_criteria = Some(self.reading.clone());
        options.batch_size = batch_documents;
        let (client, turn) = self.seat();
        let patience = Patience::new(self, &client, &mut command);
        let database = client.database(db);
        // A task of its own: one who gives up waiting must not leave a cursor behind whose number nobody learned.
        let opening = self
            .opening
            .spawn(async move { database.run_cursor_command(command).with_options(options).batch().await });
        let opened = patience.wait(opening).await?.map_err(|e| {
            Setback::Final(Error::new(Code::Internal, "opening a cursor ended abruptly").caused_by(e))
        })?;
        Ok(Batches { cursor: opened.map_err(|e| Setback::of(&e))?, turn, patience })
    }
}

impl Find {
    fn command(&self) -> Document {
        let collection = match &self.collection {
            CollectionId::Uuid(bytes) => {
                Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: bytes.to_vec() })
            }
            CollectionId::Name(name) => Bson::String(name.clone()),
        };
        let mut find = doc! { "find": collection, "noCursorTimeout": true };
        match &self.scan {
            Scan::Natural(after) => {
                find.insert("hint", doc! { "$natural": 1 });
                // mongos cannot go on from a record's place, and refuses to be asked.
                if matches!(self.collection, CollectionId::Uuid(_)) {
                    find.insert("$_requestResumeToken", true);
                }
                let token = after.as_ref().and_then(|after| after.token.as_ref());
                if let Some(Ok(after)) = token.map(|token| Document::try_from(&**token)) {
                    find.insert("$_resumeAfter", after);
                }
            }
            // `min` alone leaves the greatest of all keys out (tried on MongoDB 6.0).
            Scan::Ids(Some(RawBson::MaxKey), None) => {
                find.insert("filter", doc! { "_id": Bson::MaxKey });
            }
            Scan::Ids(from, to) => {
                find.insert("hint", doc! { "_id": 1 });
                for (name, bound) in [("min", from), ("max", to)] {
                    if let Some(Ok(bound)) = bound.clone().map(Bson::try_from) {
                        find.insert(name, doc! { "_id": bound });
                    }
                }
            }
            Scan::Matching(query) => {
                find.insert("filter", query.clone());
            }
        }
        if self.is_raw {
            find.insert("rawData", true);
        }
        if let Some(concern) = self.at.concern() {
            find.insert("readConcern", concern);
        }
        find
    }
}

impl ReadAt {
    pub(super) fn concern(self) -> Option<Document> {
        match self {
            Self::Now => None,
            Self::Committed => Some(doc! { "level": "majority" }),
            Self::Snapshot(time) => {
                Some(doc! { "level": "snapshot", "atClusterTime": Timestamp::from(time) })
            }
        }
    }
}

impl Position {
    /// The place of the last record that was read, where places are numbers (not so in clustered collections).
    #[must_use]
    pub fn record(&self) -> Option<i64> {
        self.token.as_ref()?.get_i64("$recordId").ok()
    }

    /// Before the first record of the member that this one belongs to.
    #[must_use]
    pub fn at_the_beginning(&self) -> Self {
        Self { token: None, turn: self.turn }
    }

    /// After this record of the member that was chosen first, or before its first record.
    #[must_use]
    pub fn after_record(record: Option<i64>) -> Self {
        let token = record.map(|record| mongodb::bson::rawdoc! { "$recordId": record });
        Self { token, turn: Turn::FIRST }
    }
}

impl Batches {
    /// The next batch, each byte of which is where BSON has it; none at the end.
    ///
    /// # Errors
    /// Why the cursor cannot go on.
    pub async fn next(&mut self) -> Result<Option<Batch>, Setback> {
        match self.patience.wait(self.cursor.next()).await? {
            Some(Ok(batch)) => Ok(Some(Batch(batch, self.turn).sound()?)),
            Some(Err(error)) => Err(Setback::of(&error)),
            None => Ok(None),
        }
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Batches(..)")
    }
}

impl Batch {
    /// Itself, if it is BSON through and through: another would make a backup that no server takes.
    fn sound(self) -> Result<Self, Setback> {
        match check_document(self.0.as_raw_document().as_bytes()) {
            Ok(()) => Ok(self),
            Err(wrong) => {
                let documents = self.documents().unwrap_or(Documents::of(&[]));
                Err(Setback::Damaged(damaged::explain(documents, wrong)))
            }
        }
    }

    /// The documents, each as the bytes the server sent.
    ///
    /// # Errors
    /// [`Code::Mongo`] when the reply holds no batch.
    pub fn documents(&self) -> Result<Documents<'_>> {
        let array = self.0.doc_slices().map_err(|e| explain(&e))?;
        Ok(Documents::of(array.as_bytes()))
    }

    /// Where the scan stands after this batch, if it was asked to tell.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        let cursor = self.0.as_raw_document().get_document("cursor").ok()?;
        let token = cursor.get_document("postBatchResumeToken").ok()?;
        Some(Position { token: Some(token.to_owned()), turn: self.1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_asked_for_where_a_time_series_has_them_itself() {
        let find = |is_raw| {
            let scan = Scan::Natural(None);
            let collection = CollectionId::Uuid([7; 16]);
            Find { db: "shop".into(), collection, at: ReadAt::Now, scan, is_raw, batch_documents: None }
                .command()
        };
        assert!(find(true).get_bool("rawData").unwrap());
        assert!(!find(false).contains_key("rawData"), "older servers do not know it");
    }
}
