//! Writing into a deployment: collections, raw documents, indexes, views, users and roles.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, RawArrayBuf, RawBson, RawDocument, RawDocumentBuf, doc, rawdoc};
use mongodb::error::Error as DriverError;
use mongodb::options::{ReadPreference, SelectionCriteria};
use mongodb::{Client, Database};

use super::failure::{code_of, explain, server_code};
use super::{ConnectionString, connect_primary, major, moment, topology};
use crate::definition::Definition;
use crate::error::{Code, Error, Result};
use crate::moment::ClusterTime;
use crate::names::Name;
use crate::timestamps::{EMPTY_TIMESTAMP, EmptyTimestamps};

const LENGTH_BYTES: usize = 4;
const TYPE_STRING: u8 = 0x02;
const TYPE_DOCUMENT: u8 = 0x03;
const TYPE_ARRAY: u8 = 0x04;
const TYPE_BOOLEAN: u8 = 0x08;

/// Bytes past which an insert is sent: large enough to make round trips cheap (thousands of documents of usual size), and
/// small enough for the allocator to use the same room again: the driver copies each command three times. One document
/// of 16 MiB just fits the server's limit of a command (`BSONObjMaxInternalSize`, 16 MiB + 16 KiB).
const INSERT_BYTES: usize = 768 * 1024;
/// MongoDB's limit of writes in one command (`maxWriteBatchSize`).
const INSERT_DOCUMENTS_MAX: usize = 100_000;

/// How often a majority is asked after, and how long it may stand still.
const MAJORITY_PAUSE: Duration = Duration::from_millis(50);
const MAJORITY_IDLE_MAX: Duration = Duration::from_secs(60);

/// The first major version that has an option to leave empty timestamps alone.
const BYPASSES_EMPTY_TIMESTAMPS: u32 = 8;

/// A deployment that is written to, through its primary.
#[derive(Debug, Clone)]
pub struct Target {
    client: Client,
    version: String,
    set_name: Option<String>,
}

/// Documents on their way into one collection, laid out as the command that inserts them.
pub struct InsertBuffer {
    head: Vec<u8>,
    command: Vec<u8>,
    documents: usize,
    fixes_timestamps: bool,
    fixes: Vec<Fix>,
}

/// A document whose empty timestamps have to be put back after the server has filled them in.
struct Fix {
    id: RawBson,
    fields: Vec<String>,
}

/// What became of one insert.
#[derive(Debug, Default)]
pub struct Inserted {
    /// Documents that are in the collection now.
    pub documents: u64,
    /// Documents that the server refused.
    pub refused: Vec<RefusedDocument>,
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

/// Why a change to the target did not happen.
#[derive(Debug)]
pub enum Refused {
    /// It exists already.
    Exists,
    /// The server understood, and does not do it.
    Answer(Error),
    /// It could not be asked, or it does not let this user.
    Other(Error),
}

impl Refused {
    pub(super) fn of(error: &DriverError, what: &str) -> Self {
        let explained = explain(error).context(what);
        match code_of(error) {
            None | Some(server_code::UNAUTHORIZED | server_code::AUTHENTICATION_FAILED) => {
                Self::Other(explained)
            }
            // It said that it is about to go, or is no primary any more.
            Some(code) if server_code::LOST.contains(&code) => Self::Other(explained),
            Some(_) => Self::Answer(explained),
        }
    }
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Exists => Self::new(Code::TargetNotEmpty, "it exists already"),
            Refused::Answer(error) | Refused::Other(error) => error,
        }
    }
}

impl Target {
    /// Connects to the deployment's primary.
    ///
    /// # Errors
    /// As [`Deployment::connect`](super::Deployment::connect).
    pub async fn connect(uri: &ConnectionString) -> Result<Self> {
        let client = connect_primary(uri).await?;
        let mut target = Self { client, version: String::new(), set_name: None };
        let build = target.command("admin", doc! { "buildInfo": 1 }).await?;
        let hello = target.command("admin", doc! { "hello": 1 }).await?;
        target.version = build.get_str("version").unwrap_or("unknown").to_owned();
        target.set_name = hello.get_str("setName").ok().map(str::to_owned);
        Ok(target)
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The server's version.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The replica set's name, if it is one.
    #[must_use]
    pub fn set_name(&self) -> Option<&str> {
        self.set_name.as_deref()
    }

    /// An empty buffer for `collection`. `ordered` keeps the documents' order (for capped collections), but
    /// stops at the first that is refused.
    #[must_use]
    pub fn buffer(&self, collection: &str, ordered: bool) -> InsertBuffer {
        InsertBuffer::new(collection, ordered, major(&self.version) >= BYPASSES_EMPTY_TIMESTAMPS)
    }

    /// Names of all collections and views of a database (none if there is no such database).
    ///
    /// # Errors
    /// As the server or the connection fails.
    pub async fn collections(&self, db: &str) -> Result<Vec<String>> {
        self.client.database(db).list_collection_names().await.map_err(|e| explain(&e))
    }

    /// The options of all collections and views of a database, as the server lists them.
    ///
    /// # Errors
    /// As the server or the connection fails.
    pub async fn options(&self, db: &str) -> Result<BTreeMap<String, Definition>> {
        let listed = self.listed(db, doc! { "listCollections": 1 }).await.map_err(|e| explain(&e))?;
        let options = |entry: &RawDocumentBuf| {
            let options = entry.get_document("options").map(RawDocument::to_owned).unwrap_or_default();
            Some((entry.get_str("name").ok()?.to_owned(), Definition::from(options)))
        };
        Ok(listed.iter().filter_map(options).collect())
    }

    /// The indexes of a collection; none if the user may not list them, as the role `restore` may not.
    ///
    /// # Errors
    /// As the server or the connection fails.
    pub async fn indexes(&self, name: &Name) -> Result<Option<Vec<Definition>>> {
        match self.listed(&name.db, doc! { "listIndexes": &name.collection }).await {
            Ok(listed) => Ok(Some(listed.into_iter().map(Definition::from).collect())),
            Err(e) if code_of(&e) == Some(server_code::UNAUTHORIZED) => Ok(None),
            Err(e) => Err(explain(&e).context(format!("cannot list the indexes of `{name}`"))),
        }
    }

    async fn listed(&self, db: &str, command: Document) -> Result<Vec<RawDocumentBuf>, DriverError> {
        let cursor = self.database(db).run_cursor_command(command).selection_criteria(primary()).await?;
        cursor.with_type::<RawDocumentBuf>().try_collect().await
    }

    /// Drops a collection or view; one that is not there is not an error.
    ///
    /// # Errors
    /// As the server or the connection fails.
    pub async fn drop_collection(&self, name: &Name) -> Result<()> {
        match self.try_command(&name.db, doc! { "drop": &name.collection }).await {
            Ok(_) => Ok(()),
            Err(e) if code_of(&e) == Some(server_code::NAMESPACE_NOT_FOUND) => Ok(()),
            Err(e) => Err(explain(&e)),
        }
    }

    /// Deletes all documents of a collection that cannot be dropped.
    ///
    /// # Errors
    /// As the server or the connection fails.
    pub async fn empty_collection(&self, name: &Name) -> Result<()> {
        let everything = doc! { "q": {}, "limit": 0 };
        self.command(&name.db, doc! { "delete": &name.collection, "deletes": [everything] }).await?;
        Ok(())
    }

    /// Creates a collection, view or time-series with exactly these options.
    ///
    /// # Errors
    /// [`Refused::Exists`] when a namespace of that name is there.
    pub async fn create(&self, name: &Name, options: &Definition) -> Result<(), Refused> {
        let command = Definition::from(rawdoc! { "create": name.collection.as_str() }).and(options);
        match self.try_raw_command(&name.db, command).await {
            Ok(_) => Ok(()),
            Err(e) if code_of(&e) == Some(server_code::NAMESPACE_EXISTS) => Err(Refused::Exists),
            Err(e) => Err(Refused::of(&e, &format!("cannot create `{name}`"))),
        }
    }

    /// Builds indexes, all in one pass over the collection.
    ///
    /// # Errors
    /// [`Refused::Answer`] when the server refuses one of them: then none of them is built.
    pub async fn create_indexes(&self, name: &Name, indexes: &[Definition]) -> Result<(), Refused> {
        let command = rawdoc! { "createIndexes": name.collection.as_str(), "indexes": array(indexes) };
        match self.try_raw_command(&name.db, command.into()).await {
            Ok(_) => Ok(()),
            Err(e) => Err(Refused::of(&e, &format!("cannot build the indexes of `{name}`"))),
        }
    }

    /// Has search indexes built, which is not waited for.
    ///
    /// # Errors
    /// [`Refused::Answer`] when the server has no search, or refuses one of them.
    pub async fn create_search_indexes(&self, name: &Name, indexes: &[Definition]) -> Result<(), Refused> {
        let command = rawdoc! { "createSearchIndexes": name.collection.as_str(), "indexes": array(indexes) };
        match self.try_raw_command(&name.db, command.into()).await {
            Ok(_) => Ok(()),
            Err(e) => Err(Refused::of(&e, &format!("cannot create the search indexes of `{name}`"))),
        }
    }

    /// Sends what the buffer holds, and empties it.
    ///
    /// # Errors
    /// As the server or the connection fails; single refused documents are counted in the answer instead.
    pub async fn insert(&self, name: &Name, buffer: &mut InsertBuffer) -> Result<Inserted> {
        if buffer.documents == 0 {
            return Ok(Inserted::default());
        }
        let (command, sent) = buffer.take()?;
        let fixes = std::mem::take(&mut buffer.fixes);
        let answer = self
            .database(&name.db)
            .run_raw_command(command)
            .selection_criteria(primary())
            .await
            .map_err(|e| explain(&e).context(format!("cannot insert into `{name}`")))?;
        let mut inserted = outcome(&answer, sent)?;
        for fix in fixes {
            inserted.refused.extend(self.put_back(name, fix).await?);
        }
        Ok(inserted)
    }

    /// Puts empty timestamps back: an insert fills them in, an update by a pipeline does not. A user who may not
    /// update (the role `restore` may not, before MongoDB 8.0) learns which document that left changed.
    async fn put_back(&self, name: &Name, fix: Fix) -> Result<Option<RefusedDocument>> {
        let stages = fix.fields.iter().map(|field| {
            let field = doc! { "$literal": field };
            let set = doc! { "field": field, "input": "$$ROOT", "value": { "$literal": EMPTY_TIMESTAMP } };
            doc! { "$replaceWith": { "$setField": set } }
        });
        let id = Bson::try_from(fix.id)
            .map_err(|e| Error::new(Code::Mongo, "an `_id` is not valid BSON").caused_by(e))?;
        let update = doc! {
            "q": { "_id": { "$eq": id.clone() } }, "u": stages.collect::<Vec<_>>(), "collation": { "locale": "simple" },
        };
        let command =
            doc! { "update": &name.collection, "updates": [update], "bypassDocumentValidation": true };
        match self.try_command(&name.db, command).await {
            Ok(_) => Ok(None),
            Err(e) if code_of(&e) == Some(server_code::UNAUTHORIZED) => {
                Ok(Some(changed(&id, &fix.fields, name)))
            }
            Err(e) => {
                let what = format!("cannot put an empty timestamp back into `{name}`");
                Err(explain(&e).context(what))
            }
        }
    }

    /// Waits until everything written so far is on a majority of the members. It only looks: writing with a write
    /// concern would need a privilege that the role `restore` lacks.
    ///
    /// # Errors
    /// [`Code::Mongo`] when for a minute nothing more reaches a majority; as the connection fails.
    pub async fn wait_for_majority(&self) -> Result<()> {
        let Some(wanted) = self.last_write().await? else { return Ok(()) };
        let mut reached = moment::committed(&self.client).await?;
        let mut idle = Duration::ZERO;
        while reached < Some(wanted) {
            if idle >= MAJORITY_IDLE_MAX {
                return Err(Error::new(
                    Code::Mongo,
                    "the data is on the primary, but for a minute nothing more of it has reached a majority of members",
                )
                .help("Check with rs.status() which members are down or behind; the data will follow by itself."));
            }
            tokio::time::sleep(MAJORITY_PAUSE).await;
            let now = moment::committed(&self.client).await?;
            idle = if now > reached { Duration::ZERO } else { idle + MAJORITY_PAUSE };
            reached = now;
        }
        Ok(())
    }

    /// Documents that a filter finds, by looking at all of them.
    ///
    /// # Errors
    /// As the server answers; also when it takes longer than `longest`.
    pub async fn count(&self, name: &Name, filter: RawDocumentBuf, longest: Duration) -> Result<u64> {
        let mut pipeline = RawArrayBuf::new();
        pipeline.push(rawdoc! { "$match": filter });
        pipeline.push(rawdoc! { "$count": "n" });
        let millis = i64::try_from(longest.as_millis()).unwrap_or(i64::MAX);
        let command = rawdoc! { "aggregate": name.collection.as_str(), "pipeline": pipeline, "cursor": {}, "maxTimeMS": millis };
        let answer = self.try_raw_command(&name.db, command.into()).await.map_err(|e| explain(&e))?;
        let batch = answer.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
        let first = batch.ok().and_then(|batch| batch.first()?.as_document()?.get("n"));
        Ok(first.map_or(0, super::whole_number))
    }

    /// The moment of the primary's newest write.
    async fn last_write(&self) -> Result<Option<ClusterTime>> {
        let hello = self.command("admin", doc! { "hello": 1 }).await?;
        Ok(topology::newest_of(&hello))
    }

    /// Merges users and roles, which were inserted into two collections of `admin`, into the real ones.
    /// Users and roles that are only in the target stay. `db` takes those of one database alone; empty, all.
    ///
    /// # Errors
    /// As the server refuses; the role `restore` may do it.
    pub async fn merge_users_and_roles(
        &self,
        db: &str,
        users: Option<&str>,
        roles: Option<&str>,
    ) -> Result<()> {
        let mut command = doc! { "_mergeAuthzCollections": 1, "db": db, "drop": false };
        for (argument, collection) in [("tempUsersCollection", users), ("tempRolesCollection", roles)] {
            if let Some(collection) = collection {
                command.insert(argument, format!("admin.{collection}"));
            }
        }
        command.insert("writeConcern", doc! { "w": "majority" });
        self.command("admin", command).await.map_err(|e| e.context("cannot restore users and roles"))?;
        Ok(())
    }

    pub(super) fn database(&self, db: &str) -> Database {
        self.client.database(db)
    }

    pub(super) async fn command(&self, db: &str, command: Document) -> Result<Document> {
        self.try_command(db, command).await.map_err(|e| explain(&e))
    }

    /// A command whose members are sent as they are.
    pub(super) async fn try_raw_command(
        &self,
        db: &str,
        command: Definition,
    ) -> Result<Document, DriverError> {
        self.database(db).run_raw_command(RawDocumentBuf::from(command)).selection_criteria(primary()).await
    }

    pub(super) async fn try_command(&self, db: &str, command: Document) -> Result<Document, DriverError> {
        self.database(db).run_command(command).selection_criteria(primary()).await
    }
}

fn array(definitions: &[Definition]) -> RawArrayBuf {
    let mut array = RawArrayBuf::new();
    definitions.iter().for_each(|definition| array.push(definition.as_raw()));
    array
}

pub(super) fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}

/// `n` and `writeErrors` of an insert's answer.
fn outcome(answer: &Document, sent: usize) -> Result<Inserted> {
    let refused: Vec<RefusedDocument> = answer
        .get_array("writeErrors")
        .map(|errors| errors.iter().filter_map(Bson::as_document).map(refused).collect())
        .unwrap_or_default();
    let documents = answer.get_i32("n").ok().and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
    if documents + refused.len() as u64 != sent as u64 {
        return Err(Error::new(
            Code::Mongo,
            format!("of {sent} documents sent the server took {documents} and refused {}", refused.len()),
        ));
    }
    Ok(Inserted { documents, refused })
}

/// A document that the server filled timestamps in of, and nothing may be done about it.
fn changed(id: &Bson, fields: &[String], name: &Name) -> RefusedDocument {
    let fields = fields.join("`, `");
    let message = format!(
        "the document with `_id` {id} is there, but the server filled in its empty timestamp `{fields}`; putting it \
         back needs the privilege `update` on `{name}`"
    );
    RefusedDocument { code: server_code::UNAUTHORIZED, message }
}

fn refused(error: &Document) -> RefusedDocument {
    RefusedDocument {
        code: error.get_i32("code").unwrap_or(0),
        message: error.get_str("errmsg").unwrap_or("the server gave no reason").to_owned(),
    }
}

impl InsertBuffer {
    fn new(collection: &str, ordered: bool, bypasses_timestamps: bool) -> Self {
        let mut head = vec![0; LENGTH_BYTES];
        element(&mut head, TYPE_STRING, b"insert");
        let length = collection.len() as u32 + 1;
        head.extend_from_slice(&length.to_le_bytes());
        head.extend_from_slice(collection.as_bytes());
        head.push(0);
        let mut flag = |name: &str, value: bool| {
            element(&mut head, TYPE_BOOLEAN, name.as_bytes());
            head.push(value.into());
        };
        flag("ordered", ordered);
        flag("bypassDocumentValidation", true);
        if bypasses_timestamps {
            flag("bypassEmptyTsReplacement", true);
        }
        element(&mut head, TYPE_ARRAY, b"documents");
        head.extend_from_slice(&[0; LENGTH_BYTES]);
        let fixes_timestamps = !bypasses_timestamps;
        Self { command: begun(&head), head, documents: 0, fixes_timestamps, fixes: Vec::new() }
    }

    /// Whether `document` should go with the next insert rather than this one.
    #[must_use]
    pub fn is_full_for(&self, document: &[u8]) -> bool {
        self.documents > 0
            && (self.command.len() + document.len() > INSERT_BYTES || self.documents == INSERT_DOCUMENTS_MAX)
    }

    /// Adds a document, byte by byte as it is.
    pub fn push(&mut self, document: &[u8]) {
        element(&mut self.command, TYPE_DOCUMENT, self.documents.to_string().as_bytes());
        self.command.extend_from_slice(document);
        self.documents += 1;
        if self.fixes_timestamps {
            self.fixes.extend(fix_of(document));
        }
    }

    /// The finished command and its number of documents; the buffer is empty afterwards.
    fn take(&mut self) -> Result<(RawDocumentBuf, usize)> {
        let mut command = std::mem::replace(&mut self.command, begun(&self.head));
        command.push(0);
        let array_at = self.head.len() - LENGTH_BYTES;
        set_length(&mut command, array_at)?;
        command.push(0);
        set_length(&mut command, 0)?;
        let command = RawDocumentBuf::from_bytes(command)
            .map_err(|e| Error::new(Code::Internal, "the insert command is not a document").caused_by(e))?;
        Ok((command, std::mem::take(&mut self.documents)))
    }
}

/// A command with room for its documents from the start: one that grows is in memory twice.
fn begun(head: &[u8]) -> Vec<u8> {
    let mut command = Vec::with_capacity(INSERT_BYTES + head.len());
    command.extend_from_slice(head);
    command
}

/// What an insert will change in this document. Bytes that are no document are left to the server's judgement.
fn fix_of(document: &[u8]) -> Option<Fix> {
    let empty = EmptyTimestamps::of(RawDocument::from_bytes(document).ok()?).ok()??;
    Some(Fix { id: RawBson::from(empty.id), fields: empty.fields.into_iter().map(str::to_owned).collect() })
}

/// The head of a BSON element: its type and its name as a C string.
fn element(command: &mut Vec<u8>, kind: u8, name: &[u8]) {
    command.push(kind);
    command.extend_from_slice(name);
    command.push(0);
}

/// Writes the length of everything from `at` to the end into the four bytes at `at`.
fn set_length(command: &mut [u8], at: usize) -> Result<()> {
    let length = i32::try_from(command.len() - at)
        .map_err(|_| Error::new(Code::Internal, "an insert command grew past 2 GiB"))?;
    command[at..at + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

impl fmt::Debug for InsertBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InsertBuffer({} documents)", self.documents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_insert_command_holds_the_documents_as_they_are() {
        let mut buffer = InsertBuffer::new("or.ders", true, false);
        for round in 0..2 {
            for i in 0..12 {
                buffer.push(rawdoc! { "_id": i, "round": round }.as_bytes());
            }
            let (command, sent) = buffer.take().unwrap();
            assert_eq!(sent, 12);
            let command = Document::try_from(&*command).unwrap();
            let documents: Vec<Document> = (0..12).map(|i| doc! { "_id": i, "round": round }).collect();
            let expected = doc! { "insert": "or.ders", "ordered": true, "bypassDocumentValidation": true, "documents": documents };
            assert_eq!(command, expected);
        }
    }

    #[test]
    fn a_buffer_takes_one_document_of_any_size_and_then_is_full() {
        let mut buffer = InsertBuffer::new("c", false, false);
        let large = vec![0; 16 * 1024 * 1024];
        assert!(!buffer.is_full_for(&large));
        buffer.push(&large);
        assert!(buffer.is_full_for(&[0; 5]));
    }
}
