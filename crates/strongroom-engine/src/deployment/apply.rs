//! Replaying: operations of an oplog by `applyOps`, and what that needs.
//!
//! Only inserts, updates and deletes go through `applyOps`, without collection UUIDs: then a server asks for the
//! privileges of these writes alone (tried on 6.0.5), and not for `anyAction` as for commands within `applyOps`.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::raw::cstr;
use mongodb::bson::{Bson, Document, RawArrayBuf, RawDocumentBuf, doc, rawdoc};
use mongodb::error::Error as DriverError;

use super::failure::{code_of, explain, server_code};
use super::target::{Target, primary};
use crate::error::{Code, Error, Result};

/// Bytes past which a batch is sent: one operation of 16 MiB just fits into a command.
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Operations past which a batch is sent: enough to make round trips cheap (some 7 ms for 1,000 on one core).
const BATCH_OPERATIONS: usize = 2000;
/// Namespaces that are asked about in one command.
const ASKED_AT_ONCE: usize = 1000;

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
        match self.apply_ops(operations).await {
            Ok(()) => Ok(Vec::new()),
            Err(error) => {
                unmatched(&error, &marks).ok_or_else(|| explain(&error).context("cannot replay the oplog"))
            }
        }
    }

    async fn apply_ops(&self, operations: RawArrayBuf) -> Result<(), DriverError> {
        let mut command = RawDocumentBuf::new();
        command.append(cstr!("applyOps"), operations);
        // Each by itself: in one transaction an update that finds nothing would undo the others.
        command.append(cstr!("allowAtomic"), false);
        // An update whose document was deleted later must not bring a part of it back.
        command.append(cstr!("alwaysUpsert"), false);
        command.append(cstr!("bypassDocumentValidation"), true);
        let admin = self.database("admin");
        admin.run_raw_command(command).selection_criteria(primary()).await.map(drop)
    }

    /// Whether the user may replay into these collections (by database and name). Nothing is changed: what is
    /// asked for is to delete and update documents that cannot be there.
    ///
    /// # Errors
    /// [`Code::MongoPrivilege`], naming the privilege that is missing; [`Code::Mongo`] when the target cannot replay.
    pub async fn may_replay(&self, names: &[(String, String)]) -> Result<()> {
        for some in names.chunks(ASKED_AT_ONCE) {
            for (op, privilege) in [("d", "remove"), ("u", "update")] {
                let asked = some.iter().map(|(db, name)| question(op, &format!("{db}.{name}")));
                let Err(error) = self.apply_ops(asked.collect()).await else { continue };
                match code_of(&error) {
                    // So it says to one who may: there is no such collection, or no such document.
                    Some(server_code::NAMESPACE_NOT_FOUND | server_code::UNKNOWN_ERROR) => {}
                    Some(server_code::UNAUTHORIZED) => return Err(self.refused(some, op, privilege).await),
                    Some(server_code::COMMAND_NOT_FOUND) => return Err(no_apply_ops()),
                    _ => return Err(explain(&error).context("the target cannot replay an oplog")),
                }
            }
        }
        Ok(())
    }

    /// Which of them it is.
    async fn refused(&self, names: &[(String, String)], op: &str, privilege: &str) -> Error {
        for (db, name) in names {
            let name = format!("{db}.{name}");
            let answer = self.apply_ops(RawArrayBuf::from_iter([question(op, &name)])).await;
            if answer.is_err_and(|e| code_of(&e) == Some(server_code::UNAUTHORIZED)) {
                return lacks(privilege, &name);
            }
        }
        lacks(privilege, "all of them together")
    }

    /// The `_id` of the newest document of a capped collection; none if it is empty.
    ///
    /// # Errors
    /// As the server or the connection fails.
    pub async fn newest(&self, db: &str, collection: &str) -> Result<Option<Bson>> {
        let find = doc! {
            "find": collection, "sort": { "$natural": -1 }, "limit": 1, "singleBatch": true,
            "projection": { "_id": 1 },
        };
        let mut answer = self.command(db, find).await?;
        let batch = answer.get_document_mut("cursor").and_then(|cursor| cursor.get_array_mut("firstBatch"));
        let first = batch.ok().and_then(Vec::pop);
        Ok(first.and_then(|first| first.as_document().and_then(|first| first.get("_id").cloned())))
    }

    /// Changes options of a collection, as `collMod` takes them.
    ///
    /// # Errors
    /// As the server or the connection fails.
    pub async fn modify(&self, db: &str, collection: &str, options: Document) -> Result<()> {
        let mut command = doc! { "collMod": collection };
        command.extend(options);
        let changed = self.command(db, command).await;
        changed.map_err(|e| e.context(format!("cannot change the options of `{db}.{collection}`")))?;
        Ok(())
    }
}

/// A delete or update of a document that cannot be there.
fn question(op: &str, ns: &str) -> RawDocumentBuf {
    let nobody = rawdoc! { "_id": ObjectId::new() };
    match op {
        "d" => rawdoc! { "op": "d", "ns": ns, "o": nobody },
        op => rawdoc! { "op": op, "ns": ns, "o": { "$set": { "_strongroom": 1 } }, "o2": nobody },
    }
}

fn no_apply_ops() -> Error {
    Error::new(
        Code::Mongo,
        "the target cannot replay an oplog: it does not know `applyOps`, as a mongos does not",
    )
    .help("Restore into a replica set or a standalone server. Nothing was touched.")
}

fn lacks(privilege: &str, name: &str) -> Error {
    Error::new(
        Code::MongoPrivilege,
        format!("the MongoDB user may not replay the oplog into `{name}`: it lacks the privilege `{privilege}`"),
    )
    .help(
        "Beside `restore` grant a role that may update and remove: db.getSiblingDB(\"admin\").grantRolesToUser(\
         \"USER\", [{role: \"readWriteAnyDatabase\", db: \"admin\"}]). Nothing was touched.",
    )
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
