//! Replaying: operations of an oplog by `applyOps`, and what that needs.
//!
//! Only inserts, updates and deletes go through `applyOps`, without collection UUIDs: then a server asks for the
//! privileges of these writes alone (tried on 6.0.5), and not for `anyAction` as for commands within `applyOps`.

use futures::TryStreamExt;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{Document, RawArrayBuf, RawDocumentBuf, doc, rawdoc};
use mongodb::error::Error as DriverError;

use super::again::{Sent, Write, primary};
use super::failure::{code_of, explain, server_code};
use super::target::{Refused, Target};
use crate::definition::Definition;
use crate::error::{Code, Error, Result};
use crate::names::Name;
use crate::waits::Wait;

/// Bytes past which a batch is sent: one operation of 16 MiB just fits into a command.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Operations past which a batch is sent: enough to make round trips cheap (some 7 ms for 1,000 on one core).
const BATCH_OPERATIONS: usize = 2000;

/// Operations on their way.
#[derive(Debug, Default)]
pub struct Batch {
    operations: RawArrayBuf,
    /// Of each operation, what the caller knows it by.
    marks: Vec<usize>,
    bytes: usize,
}

impl Batch {
    /// Whether this operation has to wait for the next batch.
    #[must_use]
    pub fn is_full_for(&self, operation: &RawDocumentBuf) -> bool {
        !self.marks.is_empty()
            && (self.marks.len() >= BATCH_OPERATIONS || self.bytes + operation.as_bytes().len() > BATCH_BYTES)
    }

    /// Adds an operation in the form that `applyOps` takes; `mark` comes back if it changes nothing.
    pub fn push(&mut self, operation: RawDocumentBuf, mark: usize) {
        self.bytes += operation.as_bytes().len();
        self.operations.push(operation);
        self.marks.push(mark);
    }

    /// Whether there is anything to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }
}

impl Target {
    /// Applies the operations in their order, and empties the batch. The answer holds the marks of updates that
    /// found no document: right where the data is newer than the operations, and wrong elsewhere.
    ///
    /// Inserts replace a document with the same `_id`, deletes of what is not there do nothing: applied again,
    /// the operations lead to the same.
    ///
    /// # Errors
    /// As the server or the connection fails; the operations before the one that failed are applied then.
    pub async fn apply(&self, batch: &mut Batch) -> Result<Vec<usize>> {
        let Batch { operations, marks, .. } = std::mem::take(batch);
        let Sent { answer, again } = self.apply_ops(operations).await;
        let Err(error) = answer else { return Ok(Vec::new()) };
        let unmatched = unmatched(&error, &marks);
        // What is applied twice may find the work of the first time.
        unmatched
            .map(|marks| if again { Vec::new() } else { marks })
            .ok_or_else(|| explain(&error).context("cannot replay the oplog"))
    }

    async fn apply_ops(&self, operations: RawArrayBuf) -> Sent {
        let mut command = RawDocumentBuf::new();
        command.append(cstr!("applyOps"), operations);
        // Each by itself: in one transaction an update that finds nothing would undo the others.
        command.append(cstr!("allowAtomic"), false);
        // An update whose document was deleted later must not bring a part of it back.
        command.append(cstr!("alwaysUpsert"), false);
        command.append(cstr!("bypassDocumentValidation"), true);
        let write = Write { db: "admin", command: "applyOps", on: "the oplog", wait: Wait::Majority };
        self.primary.write(write, &command).await
    }

    /// Whether the target can replay into this collection at all. Nothing is changed: what is asked for is to delete
    /// a document that cannot be there.
    ///
    /// # Errors
    /// [`Code::Mongo`] when it cannot, as a mongos; as the server or the connection fails.
    pub async fn can_replay(&self, name: &Name) -> Result<()> {
        let nobody = rawdoc! { "_id": ObjectId::new() };
        let question = rawdoc! { "op": "d", "ns": name.to_string(), "o": nobody };
        match self.apply_ops(RawArrayBuf::from_iter([question])).await.answer {
            Ok(_) => Ok(()),
            // So it answers who knows the command; what the user may do is asked elsewhere.
            Err(error)
                if matches!(
                    code_of(&error),
                    Some(server_code::NAMESPACE_NOT_FOUND | server_code::UNAUTHORIZED)
                ) =>
            {
                Ok(())
            }
            Err(error) if code_of(&error) == Some(server_code::COMMAND_NOT_FOUND) => {
                let message =
                    "the target cannot replay an oplog: it does not know `applyOps`, as a mongos does not";
                Err(Error::new(Code::Mongo, message)
                    .help("Restore into a replica set or a standalone server. Nothing was touched."))
            }
            Err(error) => Err(explain(&error).context("the target cannot replay an oplog")),
        }
    }

    /// The newest documents of a capped collection, the newest first: so many at most, and no more than one reply
    /// takes.
    ///
    /// # Errors
    /// As the server or the connection fails.
    pub async fn newest(&self, name: &Name, documents: usize) -> Result<Vec<RawDocumentBuf>> {
        let documents = i64::try_from(documents).unwrap_or(i64::MAX);
        let find = doc! {
            "find": &name.collection, "sort": { "$natural": -1 }, "limit": documents, "singleBatch": true,
        };
        let reply =
            self.primary.database(&name.db).run_cursor_command(find).selection_criteria(primary()).await;
        let documents = reply.map_err(|e| explain(&e))?.with_type::<RawDocumentBuf>();
        documents.try_collect().await.map_err(|e| explain(&e))
    }

    /// Changes options of a collection, as `collMod` takes them.
    ///
    /// # Errors
    /// [`Refused::Answer`] when the server does not take them.
    pub async fn modify(&self, name: &Name, options: &Definition) -> Result<(), Refused> {
        let command = Definition::from(rawdoc! { "collMod": name.collection.as_str() }).and(options);
        match self.change(name, "collMod", command.into()).await.answer {
            Ok(_) => Ok(()),
            Err(e) => Err(Refused::of(&e, &format!("cannot change the options of `{name}`"))),
        }
    }
}

/// The marks of operations that changed nothing, if all were tried and that is all that is wrong.
fn unmatched(error: &DriverError, marks: &[usize]) -> Option<Vec<usize>> {
    let answer = Document::try_from(error.server_response()?.as_ref()).ok()?;
    let results = answer.get_array("results").ok()?;
    let all_tried = results.len() == marks.len();
    if !all_tried || code_of(error) != Some(server_code::UNKNOWN_ERROR) {
        return None;
    }
    let changed_nothing = marks.iter().zip(results).filter(|(_, changed)| changed.as_bool() == Some(false));
    Some(changed_nothing.map(|(mark, _)| *mark).collect())
}
