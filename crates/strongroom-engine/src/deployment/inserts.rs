//! Raw documents into a collection: in batches, each document as it was, on a majority before the next batch.
//!
//! A server fills in an empty timestamp at the top of a document that is inserted. Newer ones have an option that
//! leaves it alone (`bypassEmptyTsReplacement`: 6.0.17, 7.0.x, 8.0). On others `applyOps` inserts it as it is (tried on
//! 6.0.5), which the role `restore` may use; but that replaces a document that exists, so it is used only where nobody
//! else's can.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document, RawBson, RawDocument, doc};
use mongodb::error::Error as DriverError;

use super::again::{Tries, Write, answered, is_passing};
use super::failure::{code_of, explain, server_code};
use super::insert_buffer::{InsertBuffer, Receiver, apply_ops, document_of, operation};
use super::target::Target;
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::names::Name;
use crate::timestamps;
use crate::waits::Wait;

/// What became of one insert.
#[derive(Debug, Default)]
pub struct Inserted {
    /// Documents that are in the collection now.
    pub documents: u64,
    /// Documents that the server refused.
    pub refused: Vec<RefusedDocument>,
}

impl Inserted {
    pub(crate) fn add(&mut self, other: Self) {
        self.documents += other.documents;
        self.refused.extend(other.refused);
    }
}

/// A document that the server refused.
#[derive(Debug, Clone)]
pub struct RefusedDocument {
    /// The server's error code, such as 11000 for a duplicate key.
    pub code: i32,
    /// Its message.
    pub message: String,
}

impl RefusedDocument {
    /// Whether another document with its key is there.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        self.code == server_code::DUPLICATE_KEY
    }
}

/// What a server said of the documents of one insert, by their places.
#[derive(Debug, Default)]
struct Verdict {
    refused: BTreeMap<usize, RefusedDocument>,
    /// It did not come to these, or could not at that moment.
    left: Vec<usize>,
    /// Why, where something stood in the way.
    passing: Option<DriverError>,
}

impl Target {
    /// An empty buffer for a collection.
    #[must_use]
    pub fn buffer(&self, name: &Name, receiver: Receiver) -> InsertBuffer {
        let holding = self.holding(name.clone());
        // Buckets, not measurements, under the name of their time-series.
        let is_raw = holding != *name;
        InsertBuffer::new(&holding, receiver, self.fills_in_timestamps, is_raw)
    }

    /// Sends what the buffer holds, and empties it. What is not known to have arrived is sent again.
    ///
    /// # Errors
    /// As the server or the connection fails; single refused documents are counted in the answer instead.
    pub async fn insert(&self, buffer: &mut InsertBuffer) -> Result<Inserted> {
        let mut inserted = Inserted::default();
        let mut tries = Tries::default();
        let name = buffer.name.to_string();
        while !buffer.is_empty() {
            let outcome = match buffer.documents {
                0 => self.apply_exactly(buffer, &mut inserted).await,
                _ => self.insert_once(buffer, &mut inserted, &mut tries).await,
            };
            if let Err(error) = outcome {
                let write = Write::insert(&buffer.name.db, &name);
                tries
                    .pause(&self.primary, write, error)
                    .await
                    .map_err(|error| explain(&error).context(format!("cannot insert into `{name}`")))?;
                buffer.sent_before = true;
            }
        }
        buffer.sent_before = false;
        Ok(inserted)
    }

    async fn insert_once(
        &self,
        buffer: &mut InsertBuffer,
        inserted: &mut Inserted,
        tries: &mut Tries,
    ) -> Result<(), DriverError> {
        let on = buffer.name.to_string();
        let command = buffer.finished().map_err(DriverError::custom)?;
        let answer = self.primary.once(Write::insert(&buffer.name.db, &on), command).await?;
        let verdict =
            verdict(&answer, buffer.documents, buffer.receiver.is_ordered).map_err(DriverError::custom)?;
        let taken = buffer.documents - verdict.refused.len() - verdict.left.len();
        inserted.documents += taken as u64;
        if taken > 0 {
            tries.forget();
        }
        let Verdict { refused, left, passing } =
            self.recognised(buffer, verdict, taken, inserted).await.map_err(DriverError::custom)?;
        self.put_back(buffer, &refused, &left, inserted).await.map_err(DriverError::custom)?;
        inserted.refused.extend(refused.into_values());
        buffer.keep(&left);
        passing.map_or(Ok(()), Err)
    }

    /// Of documents that were sent before, those are no duplicates that arrived then.
    async fn recognised(
        &self,
        buffer: &InsertBuffer,
        mut verdict: Verdict,
        taken: usize,
        inserted: &mut Inserted,
    ) -> Result<Verdict> {
        if !buffer.sent_before {
            return Ok(verdict);
        }
        let documents = buffer.documents();
        for (place, refused) in std::mem::take(&mut verdict.refused) {
            if !refused.is_duplicate() || !self.is_there(buffer, documents[place]).await? {
                verdict.refused.insert(place, refused);
                continue;
            }
            if buffer.receiver.is_ordered && taken > 0 {
                return Err(order_lost(&buffer.name));
            }
            inserted.documents += 1;
        }
        Ok(verdict)
    }

    /// Whether this very document is there. A user who may not read, as the role `restore` may not, knows that much of
    /// a collection that is this restore's alone.
    async fn is_there(&self, buffer: &InsertBuffer, document: &[u8]) -> Result<bool> {
        let id = RawDocument::from_bytes(document).ok().and_then(|raw| raw.get("_id").ok().flatten());
        let Some(id) = id.and_then(|id| Bson::try_from(RawBson::from(id)).ok()) else { return Ok(false) };
        let find = doc! {
            "find": &buffer.name.collection, "filter": { "_id": { "$eq": id } }, "collation": { "locale": "simple" },
            "limit": 1, "singleBatch": true,
        };
        match self.listed(&buffer.name.db, find).await {
            Ok(found) => Ok(found.iter().any(|found| found.as_bytes() == document)),
            Err(e) if code_of(&e) == Some(server_code::UNAUTHORIZED) => Ok(buffer.receiver.is_ours),
            Err(e) => Err(explain(&e)),
        }
    }

    /// Inserts documents that an insert would change. What goes wrong is left to an insert, which says why.
    async fn apply_exactly(
        &self,
        buffer: &mut InsertBuffer,
        inserted: &mut Inserted,
    ) -> Result<(), DriverError> {
        let on = buffer.name.to_string();
        let operations = buffer.applied.iter().map(|document| operation(b'i', &buffer.name, document));
        let command = apply_ops(operations).map_err(DriverError::custom)?;
        let outcome = self.primary.once(Write { db: "admin", ..Write::insert("", &on) }, command).await;
        match outcome {
            Ok(_) => inserted.documents += buffer.applied.len() as u64,
            // Not an answer, but an end: of the job, or of its patience.
            Err(error) if error.get_custom::<Error>().is_some() => return Err(error),
            Err(error) => {
                buffer.insert_instead();
                return if is_passing(&error) { Err(error) } else { Ok(()) };
            }
        }
        buffer.applied.clear();
        buffer.applied_bytes = 0;
        Ok(())
    }

    /// Puts empty timestamps back into the documents that were inserted just now: each is deleted and inserted again as
    /// it is. Fields cannot be set by name, since a name may be there twice (MongoDB 6.0.5 ends at that). A user who may
    /// not (the role `restore` may not) learns which document that left changed.
    async fn put_back(
        &self,
        buffer: &InsertBuffer,
        refused: &BTreeMap<usize, RefusedDocument>,
        left: &[usize],
        inserted: &mut Inserted,
    ) -> Result<()> {
        let changed = |place: &&usize| !refused.contains_key(place) && !left.contains(place);
        let places: Vec<usize> = buffer.filled_in.iter().filter(changed).copied().collect();
        if places.is_empty() {
            return Ok(());
        }
        let documents = buffer.documents();
        let (with_id, without): (Vec<_>, Vec<_>) = places
            .into_iter()
            .map(|place| documents[place])
            .partition(|document| timestamps::id(document).is_some());
        inserted.refused.extend(
            without.into_iter().map(|document| changed_for_good(document, &buffer.name, "it has no `_id`")),
        );
        if with_id.is_empty() {
            return Ok(());
        }
        let on = buffer.name.to_string();
        let operations = with_id.iter().flat_map(|document| {
            let id = timestamps::id(document).unwrap_or_default();
            [operation(b'd', &buffer.name, &document_of(id)), operation(b'i', &buffer.name, document)]
        });
        let command = apply_ops(operations)?;
        let sent = self.primary.write(Write { db: "admin", ..Write::insert("", &on) }, &command).await;
        let Err(error) = sent.answer else { return Ok(()) };
        let why = match code_of(&error) {
            Some(server_code::UNAUTHORIZED) => {
                format!("putting it back needs the privilege `remove` on `{on}`")
            }
            Some(_) => explain(&error).message().to_owned(),
            None => {
                return Err(
                    explain(&error).context(format!("cannot put an empty timestamp back into `{on}`"))
                );
            }
        };
        inserted
            .refused
            .extend(with_id.into_iter().map(|document| changed_for_good(document, &buffer.name, &why)));
        Ok(())
    }
}

impl<'a> Write<'a> {
    fn insert(db: &'a str, on: &'a str) -> Self {
        Self { db, command: "insert", on, wait: Wait::Majority }
    }
}

fn order_lost(name: &Name) -> Error {
    let message = format!(
        "the connection broke while documents were inserted into `{name}`, and the order of this capped collection could \
         not be kept"
    );
    Error::new(Code::Mongo, message).help(help![
        "Restore again with ",
        Setting::Existing.to("drop"),
        ", which replaces what is there."
    ])
}

/// A document that the server filled timestamps in of, and nothing may be done about it.
fn changed_for_good(document: &[u8], name: &Name, why: &str) -> RefusedDocument {
    let fields: Vec<_> = timestamps::empty(document).into_iter().map(String::from_utf8_lossy).collect();
    let id = RawDocument::from_bytes(document).ok().and_then(|raw| raw.get("_id").ok().flatten());
    let id = id.and_then(|id| Bson::try_from(RawBson::from(id)).ok());
    let id = id.map_or_else(|| "unknown".to_owned(), |id| id.to_string());
    let message = format!(
        "the document with `_id` {id} is in `{name}`, but the server filled in its empty timestamp `{}`; {why}",
        fields.join("`, `")
    );
    RefusedDocument { code: server_code::UNAUTHORIZED, message }
}

/// `n` and `writeErrors` of an insert's answer.
fn verdict(answer: &Document, sent: usize, is_ordered: bool) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let errors = answer.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
    for error in errors.iter().filter_map(Bson::as_document) {
        let place = error.get_i32("index").ok().and_then(|index| usize::try_from(index).ok());
        let Some(place) = place.filter(|place| *place < sent) else { continue };
        let failed = answered(error);
        if is_passing(&failed) {
            verdict.left.push(place);
            verdict.passing = Some(failed);
        } else {
            verdict.refused.insert(place, refused(error));
        }
        if is_ordered {
            verdict.left.extend(place + 1..sent);
            break;
        }
    }
    let documents = answer.get_i32("n").ok().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let (refused, left) = (verdict.refused.len(), verdict.left.len());
    if documents + refused + left != sent {
        let message = format!("of {sent} documents sent the server took {documents} and refused {refused}");
        return Err(Error::new(Code::Mongo, message));
    }
    Ok(verdict)
}

fn refused(error: &Document) -> RefusedDocument {
    RefusedDocument {
        code: error.get_i32("code").unwrap_or(0),
        message: error.get_str("errmsg").unwrap_or("the server gave no reason").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_did_not_come_to_is_left_to_be_sent_again() {
        let error = |index: i32, code: i32| doc! { "index": index, "code": code, "errmsg": "x" };
        let answer = doc! { "n": 1, "writeErrors": [error(1, 11000)] };
        let judged = |answer, ordered| verdict(answer, 4, ordered).unwrap();
        let ordered = judged(&answer, true);
        assert_eq!((ordered.refused.len(), &ordered.left[..]), (1, &[2, 3][..]));
        let answer = doc! { "n": 2, "writeErrors": [error(1, 11000), error(2, 112)] };
        let unordered = judged(&answer, false);
        assert_eq!((unordered.refused.len(), &unordered.left[..]), (1, &[2][..]));
        assert!(unordered.passing.is_some());
        assert!(verdict(&doc! { "n": 3 }, 4, false).is_err(), "none may be lost without a word");
    }
}
