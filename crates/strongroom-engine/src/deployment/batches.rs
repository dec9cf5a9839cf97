//! Reading a collection as raw batches: documents are cut out of the server's reply, never decoded.

use std::fmt;

use futures::StreamExt;
use mongodb::bson::{Document, Timestamp, doc};
use mongodb::options::RunCursorCommandOptions;
use mongodb::raw_batch_cursor::{RawBatch, RawBatchCursor};

use super::{Deployment, failure::explain};
use crate::error::{Code, Error, Result};
use crate::manifest::ClusterTime;

/// The moment to read at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadAt {
    /// Whatever is there when the cursor comes by.
    Now,
    /// One cluster time for all readers (MongoDB 5.0 and later).
    Snapshot(ClusterTime),
}

/// The documents of one collection, batch by batch, in natural order.
pub struct Batches {
    cursor: RawBatchCursor,
}

/// One reply of the server, holding a run of documents.
#[derive(Debug)]
pub struct Batch(RawBatch);

impl Deployment {
    /// Opens a cursor over the whole collection in natural order, at most `batch_documents` to a reply.
    ///
    /// # Errors
    /// [`Code::SnapshotTooOld`] when the moment can no longer (or, for this kind of collection, not) be read.
    pub async fn read(
        &self,
        db: &str,
        collection: &str,
        at: ReadAt,
        batch_documents: Option<u32>,
    ) -> Result<Batches> {
        let mut find = doc! { "find": collection, "hint": { "$natural": 1 }, "noCursorTimeout": true };
        if let Some(documents) = batch_documents {
            find.insert("batchSize", i64::from(documents));
        }
        if let ReadAt::Snapshot(time) = at {
            find.insert("readConcern", snapshot(time));
        }
        let mut options = RunCursorCommandOptions::default();
        options.selection_criteria = Some(self.reading.clone());
        options.batch_size = batch_documents;
        let database = self.client.database(db);
        let cursor = database
            .run_cursor_command(find)
            .with_options(options)
            .batch()
            .await
            .map_err(|e| explain(&e).context(format!("cannot read `{db}.{collection}`")))?;
        Ok(Batches { cursor })
    }
}

fn snapshot(time: ClusterTime) -> Document {
    let at = Timestamp { time: time.seconds, increment: time.increment };
    doc! { "level": "snapshot", "atClusterTime": at }
}

impl Batches {
    /// The next batch; none at the end.
    ///
    /// # Errors
    /// As the server or the connection fails; the position is lost then.
    pub async fn next(&mut self) -> Result<Option<Batch>> {
        match self.cursor.next().await {
            Some(Ok(batch)) => Ok(Some(Batch(batch))),
            Some(Err(error)) => Err(explain(&error)),
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
    /// The documents, each as the bytes the server sent.
    ///
    /// # Errors
    /// [`Code::Mongo`] when the reply holds no batch.
    pub fn documents(&self) -> Result<Documents<'_>> {
        let array = self.0.doc_slices().map_err(|e| explain(&e))?;
        Ok(Documents::of(array.as_bytes()))
    }
}

/// Cuts documents out of a BSON array: each element is a type byte, its index as a C string, a document.
#[derive(Debug)]
pub struct Documents<'a> {
    rest: &'a [u8],
}

const TYPE_DOCUMENT: u8 = 0x03;

impl<'a> Documents<'a> {
    fn of(array: &'a [u8]) -> Self {
        // The length in front and the NUL at the end are not elements.
        let rest = array.get(4..array.len().saturating_sub(1)).unwrap_or_default();
        Self { rest }
    }

    fn cut(&mut self) -> Option<&'a [u8]> {
        let (&TYPE_DOCUMENT, keyed) = self.rest.split_first()? else { return None };
        let key = keyed.iter().position(|&b| b == 0)?;
        let document = &keyed[key + 1..];
        let length = u32::from_le_bytes(*document.first_chunk()?) as usize;
        let (document, rest) = document.split_at_checked(length.max(5))?;
        self.rest = rest;
        Some(document)
    }
}

impl<'a> Iterator for Documents<'a> {
    type Item = Result<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some(self.cut().ok_or_else(|| {
            self.rest = &[];
            Error::new(Code::Mongo, "the server's reply holds something that is not a document")
        }))
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{RawArrayBuf, RawDocumentBuf, rawdoc};

    use super::*;

    #[test]
    fn cuts_documents_out_of_an_array() {
        let documents: Vec<RawDocumentBuf> =
            (0..1200).map(|i| rawdoc! { "_id": i, "text": "x".repeat(i as usize % 7) }).collect();
        let array: RawArrayBuf = documents.iter().cloned().collect();
        let cut: Vec<&[u8]> = Documents::of(array.as_bytes()).collect::<Result<_>>().unwrap();
        let expected: Vec<&[u8]> = documents.iter().map(|d| d.as_bytes()).collect();
        assert_eq!(cut, expected);
    }

    #[test]
    fn anything_but_documents_is_an_error_and_ends_there() {
        let mut array = RawArrayBuf::new();
        array.push(rawdoc! { "a": 1 });
        array.push(7_i32);
        array.push(rawdoc! { "a": 1 });
        let cut: Vec<_> = Documents::of(array.as_bytes()).collect();
        assert_eq!(cut.len(), 2);
        assert_eq!(cut[1].as_ref().unwrap_err().code(), Code::Mongo);
        assert!(Documents::of(&[]).next().is_none());
    }
}
