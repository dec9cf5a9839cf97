//! Writing into a deployment: collections, raw documents, indexes, views, users and roles.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::TryStreamExt;
use mongodb::bson::raw::cstr;
use mongodb::bson::{Document, RawArrayBuf, RawDocument, RawDocumentBuf, doc, rawdoc};
use mongodb::error::Error as DriverError;

use super::again::{Primary, Sent, Write, primary};
use super::failure::{code_of, explain, server_code};
use super::{CommitQuorum, ConnectionString, connect_primary};
use crate::definition::Definition;
use crate::error::{Code, Error, Result};
use crate::job::Job;
use crate::names::{Name, known_as, names_no_buckets};
use crate::waits::Wait;

/// A deployment that is written to, through its primary.
#[derive(Debug, Clone)]
pub struct Target {
    pub(super) primary: Primary,
    version: String,
    set_name: Option<String>,
    /// Whether the server fills in empty timestamps of what is inserted.
    pub(super) fills_in_timestamps: bool,
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

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Other(error)
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
        let mut target = Self {
            primary: Primary { client, is_replicated: false, job: None },
            version: String::new(),
            set_name: None,
            fills_in_timestamps: false,
        };
        let build = target.command("admin", doc! { "buildInfo": 1 }).await?;
        let hello = target.command("admin", doc! { "hello": 1 }).await?;
        target.version = build.get_str("version").unwrap_or("unknown").to_owned();
        target.set_name = hello.get_str("setName").ok().map(str::to_owned);
        let is_router = hello.get_str("msg").is_ok_and(|answer| answer == "isdbgrid");
        target.primary.is_replicated = target.set_name.is_some() || is_router;
        target.fills_in_timestamps = target.fills_in().await;
        Ok(target)
    }

    /// The same target for a job: what is asked of it is waited for within the job's limits and ends with the job.
    #[must_use]
    pub fn attending(mut self, job: &Job) -> Self {
        self.primary.job = Some(job.clone());
        self
    }

    /// The same target for nobody's job.
    #[must_use]
    pub fn unattended(&self) -> Self {
        let mut target = self.clone();
        target.primary.job = None;
        target
    }

    /// Whether the server fills in empty timestamps whatever it is asked: one that does not know the option says so
    /// before it looks at anything else.
    async fn fills_in(&self) -> bool {
        let nothing = doc! { "insert": "strongroom", "documents": [], "bypassEmptyTsReplacement": true };
        let answer = self.try_command("admin", nothing).await;
        answer.is_err_and(|error| code_of(&error) == Some(server_code::UNKNOWN_FIELD))
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

    /// The collection that takes the documents of this one: buckets have no name of their own from MongoDB 8.3 on.
    #[must_use]
    pub(crate) fn holding(&self, name: Name) -> Name {
        if names_no_buckets(&self.version) { Name::new(name.db, known_as(&name.collection)) } else { name }
    }

    /// Names of all collections and views of a database (none if there is no such database).
    ///
    /// # Errors
    /// As the server or the connection fails.
    pub async fn collections(&self, db: &str) -> Result<Vec<String>> {
        self.primary.database(db).list_collection_names().await.map_err(|e| explain(&e))
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

    pub(super) async fn listed(
        &self,
        db: &str,
        command: Document,
    ) -> Result<Vec<RawDocumentBuf>, DriverError> {
        let listing = async {
            let cursor =
                self.primary.database(db).run_cursor_command(command).selection_criteria(primary()).await?;
            cursor.with_type::<RawDocumentBuf>().try_collect().await
        };
        self.primary.within(Wait::FirstByte, || format!("MongoDB about `{db}`"), listing).await
    }

    /// Drops a collection or view; one that is not there is not an error.
    ///
    /// # Errors
    /// As the server or the connection fails.
    pub async fn drop_collection(&self, name: &Name) -> Result<()> {
        match self.change(name, "drop", rawdoc! { "drop": name.collection.as_str() }).await.answer {
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
        let everything = rawdoc! { "q": {}, "limit": 0 };
        let command = rawdoc! { "delete": name.collection.as_str(), "deletes": [everything] };
        self.change(name, "delete", command).await.answer.map(drop).map_err(|e| explain(&e))
    }

    /// Creates a collection, view or time-series with exactly these options.
    ///
    /// # Errors
    /// [`Refused::Exists`] when a namespace of that name is there.
    pub async fn create(&self, name: &Name, options: &Definition) -> Result<(), Refused> {
        let command = Definition::from(rawdoc! { "create": name.collection.as_str() }).and(options);
        let sent = self.change(name, "create", command.into()).await;
        match sent.answer {
            Ok(_) => Ok(()),
            // It was not there, and the answer to the first try was lost.
            Err(e) if code_of(&e) == Some(server_code::NAMESPACE_EXISTS) && sent.again => Ok(()),
            Err(e) if code_of(&e) == Some(server_code::NAMESPACE_EXISTS) => Err(Refused::Exists),
            Err(e) => Err(Refused::of(&e, &format!("cannot create `{name}`"))),
        }
    }

    /// Builds indexes, all in one pass over the collection. `quorum` says which members of a set must have built them;
    /// a standalone server knows none.
    ///
    /// # Errors
    /// [`Refused::Answer`] when the server refuses one of them: then none of them is built.
    pub async fn create_indexes(
        &self,
        name: &Name,
        indexes: &[Definition],
        quorum: Option<&CommitQuorum>,
    ) -> Result<(), Refused> {
        let mut command = rawdoc! { "createIndexes": name.collection.as_str(), "indexes": array(indexes) };
        match quorum.filter(|_| self.set_name.is_some()) {
            Some(CommitQuorum::Members(members)) => command.append(cstr!("commitQuorum"), *members),
            Some(CommitQuorum::Named(name)) => command.append(cstr!("commitQuorum"), name.as_str()),
            None => {}
        }
        let on = name.to_string();
        let write = Write { db: &name.db, command: "createIndexes", on: &on, wait: Wait::IndexBuild };
        match self.primary.write(write, &command).await.answer {
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
        match self.change(name, "createSearchIndexes", command).await.answer {
            Ok(_) => Ok(()),
            Err(e) => Err(Refused::of(&e, &format!("cannot create the search indexes of `{name}`"))),
        }
    }

    /// How many documents a collection holds, by its own count.
    ///
    /// # Errors
    /// As the server or the connection fails.
    pub async fn count_all(&self, name: &Name) -> Result<u64> {
        let answer = self.command(&name.db, doc! { "count": &name.collection }).await?;
        Ok(answer.get("n").map_or(0, super::whole_number))
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
        let command = Document::try_from(command)
            .map_err(|e| Error::new(Code::Internal, "a filter is not a document").caused_by(e))?;
        let answer = self.command(&name.db, command).await?;
        let batch = answer.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
        let first = batch.ok().and_then(|batch| batch.first()?.as_document()?.get("n"));
        Ok(first.map_or(0, super::whole_number))
    }

    /// Merges users and roles, which were inserted into two collections of `admin`, into the real ones.
    /// Users and roles that are only in the target stay. `db` takes those of one database alone; empty, all.
    ///
    /// # Errors
    /// [`Refused::Answer`] when the server refuses one of them: some others are merged by then. The role `restore` may
    /// do it.
    pub async fn merge_users_and_roles(
        &self,
        db: &str,
        users: Option<&str>,
        roles: Option<&str>,
    ) -> Result<(), Refused> {
        let mut command = rawdoc! { "_mergeAuthzCollections": 1, "db": db, "drop": false };
        if let Some(users) = users {
            command.append(cstr!("tempUsersCollection"), format!("admin.{users}"));
        }
        if let Some(roles) = roles {
            command.append(cstr!("tempRolesCollection"), format!("admin.{roles}"));
        }
        let write = Write { db: "admin", command: "merge", on: "users and roles", wait: Wait::Majority };
        let sent = self.primary.write(write, &command).await;
        sent.answer.map(drop).map_err(|e| Refused::of(&e, "cannot merge users and roles"))
    }

    pub(super) async fn command(&self, db: &str, command: Document) -> Result<Document> {
        self.try_command(db, command).await.map_err(|e| explain(&e))
    }

    /// A command that changes one collection, the same way however often it is sent.
    pub(super) async fn change(&self, name: &Name, command: &str, members: RawDocumentBuf) -> Sent {
        let on = name.to_string();
        self.primary.write(Write { db: &name.db, command, on: &on, wait: Wait::Majority }, &members).await
    }

    pub(super) async fn try_command(&self, db: &str, command: Document) -> Result<Document, DriverError> {
        let database = self.primary.database(db);
        let asked = database.run_command(command).selection_criteria(primary());
        self.primary.within(Wait::FirstByte, || format!("MongoDB about `{db}`"), asked.into_future()).await
    }
}

fn array(definitions: &[Definition]) -> RawArrayBuf {
    let mut array = RawArrayBuf::new();
    definitions.iter().for_each(|definition| array.push(definition.as_raw()));
    array
}
