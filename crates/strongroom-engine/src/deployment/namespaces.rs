//! What a deployment holds: databases, collections, views, their options, indexes and sizes.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use mongodb::bson::{Bson, Document, doc, spec::BinarySubtype};
use serde_json::{Map, Value, json};

use super::failure::{code_of, explain, server_code};
use super::{Deployment, whole_number};
use crate::error::{Code, Error, Result};
use crate::names::{BUCKETS, NamespaceKind, is_backed_up, is_server_database};

/// Per-collection questions under way at once: enough to hide round trips, few enough not to crowd the server.
const QUESTIONS_AT_ONCE: usize = 8;

/// A collection or view, as it will stand in the archive.
#[derive(Debug, Clone)]
pub struct Described {
    /// Its database.
    pub db: String,
    /// Its name.
    pub collection: String,
    /// What it is.
    pub kind: NamespaceKind,
    /// Whether documents stand in the order of their insertion, in a ring.
    pub capped: bool,
    /// Whether records stand by their `_id` rather than by a number.
    pub clustered: bool,
    /// The UUID of the collection that holds the documents; none for a view, or if the server does not tell.
    pub uuid: Option<[u8; 16]>,
    /// Options and indexes in canonical Extended JSON v2, as mongodump writes them.
    pub metadata: String,
    /// Documents, as the server's statistics say.
    pub documents: u64,
    /// Their bytes, as the server's statistics say.
    pub bytes: u64,
}

impl Described {
    /// `db.collection`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.db, self.collection)
    }

    /// The collection on the server that holds the documents; none for a view.
    #[must_use]
    pub fn data_collection(&self) -> Option<String> {
        match self.kind {
            NamespaceKind::View | NamespaceKind::Oplog => None,
            NamespaceKind::Collection => Some(self.collection.clone()),
            NamespaceKind::Timeseries => Some(format!("{BUCKETS}{}", self.collection)),
        }
    }
}

/// What `listCollections` says of one.
struct Listed {
    db: String,
    name: String,
    kind: NamespaceKind,
    options: Document,
    /// Of the collection that holds the documents.
    uuid: Option<[u8; 16]>,
}

impl Deployment {
    /// Every namespace that `wanted` accepts, sorted by name.
    ///
    /// Left out, as with mongodump: the databases `local` and `config`, and collections that belong to the
    /// server (`system.*` but for users, roles, their version, and stored functions). One that vanishes
    /// meanwhile is left out too.
    ///
    /// # Errors
    /// [`Code::MongoPrivilege`] when the user may not see all databases: a partial list is never taken for the whole.
    pub async fn namespaces(&self, wanted: impl Fn(&str, &str) -> bool) -> Result<Vec<Described>> {
        let mut listed = Vec::new();
        for db in self.databases().await? {
            listed.extend(self.list(&db).await?.into_iter().filter(|found| wanted(&found.db, &found.name)));
        }
        let mut described: Vec<Described> = stream::iter(listed)
            .map(|found| self.describe(found))
            .buffer_unordered(QUESTIONS_AT_ONCE)
            .try_filter_map(async |found| Ok(found))
            .try_collect()
            .await?;
        described.sort_by(|a, b| (&a.db, &a.collection).cmp(&(&b.db, &b.collection)));
        Ok(described)
    }

    /// Without `authorizedDatabases: false` a user who lacks the privilege gets a shorter list, silently.
    async fn databases(&self) -> Result<Vec<String>> {
        let command = doc! { "listDatabases": 1, "nameOnly": true, "authorizedDatabases": false };
        let answer = self.command("admin", command).await?;
        let databases = answer.get_array("databases").map_err(|_| unexpected("listDatabases"))?;
        let names = databases.iter().filter_map(|db| db.as_document()?.get_str("name").ok());
        Ok(names.filter(|name| !is_server_database(name)).map(str::to_owned).collect())
    }

    async fn list(&self, db: &str) -> Result<Vec<Listed>> {
        let cursor = self
            .client
            .database(db)
            .run_cursor_command(doc! { "listCollections": 1 })
            .selection_criteria(self.reading.clone())
            .await
            .map_err(|e| explain(&e))?;
        let found: Vec<Document> = cursor.try_collect().await.map_err(|e| explain(&e))?;
        let mut listed: Vec<Listed> =
            found.iter().filter_map(|entry| listed(db, entry).transpose()).collect::<Result<_>>()?;
        let uuids: HashMap<&str, [u8; 16]> =
            found.iter().filter_map(|entry| Some((entry.get_str("name").ok()?, uuid(entry)?))).collect();
        for series in listed.iter_mut().filter(|found| found.kind == NamespaceKind::Timeseries) {
            series.uuid = uuids.get(format!("{BUCKETS}{}", series.name).as_str()).copied();
        }
        Ok(listed)
    }

    async fn describe(&self, found: Listed) -> Result<Option<Described>> {
        let Some(indexes) = self.indexes(&found).await? else { return Ok(None) };
        let mut described = Described {
            metadata: metadata(&found, indexes),
            capped: found.options.get_bool("capped").unwrap_or(false),
            // The buckets of a time-series are clustered, though only their own options say so.
            clustered: found.options.contains_key("clusteredIndex")
                || found.kind == NamespaceKind::Timeseries,
            uuid: found.uuid,
            db: found.db,
            collection: found.name,
            kind: found.kind,
            documents: 0,
            bytes: 0,
        };
        if let Some(collection) = described.data_collection() {
            (described.documents, described.bytes) = self.size(&described.db, &collection).await;
        }
        Ok(Some(described))
    }

    /// The indexes of a collection; none if it vanished since it was listed.
    async fn indexes(&self, found: &Listed) -> Result<Option<Vec<Document>>> {
        if found.kind == NamespaceKind::View {
            return Ok(Some(Vec::new()));
        }
        let cursor = self
            .client
            .database(&found.db)
            .run_cursor_command(doc! { "listIndexes": &found.name })
            .selection_criteria(self.reading.clone())
            .await;
        let gone = [server_code::NAMESPACE_NOT_FOUND, server_code::COMMAND_NOT_SUPPORTED_ON_VIEW];
        match cursor {
            Ok(cursor) => cursor.try_collect().await.map(Some).map_err(|e| explain(&e)),
            Err(error) if code_of(&error).is_some_and(|code| gone.contains(&code)) => Ok(None),
            Err(error) => Err(explain(&error)),
        }
    }

    /// Documents and bytes by what the server keeps in memory of each collection. Statistics of its storage would
    /// open the files of all its indexes (17,111 instead of 3,515 for 3,400 collections). They only plan the work, so
    /// a user who may not see them costs nothing but balance.
    async fn size(&self, db: &str, collection: &str) -> (u64, u64) {
        let command = doc! { "dataSize": format!("{db}.{collection}"), "estimate": true };
        let Ok(answer) = self.command(db, command).await else { return (0, 0) };
        let number = |key| answer.get(key).map_or(0, whole_number);
        (number("numObjects"), number("size"))
    }
}

/// What is to be backed up of an entry of `listCollections`; none if it belongs to the server.
fn listed(db: &str, entry: &Document) -> Result<Option<Listed>> {
    let name = entry.get_str("name").map_err(|_| unexpected("listCollections"))?;
    if !is_backed_up(db, name) {
        return Ok(None);
    }
    let kind = match entry.get_str("type") {
        Ok("view") => NamespaceKind::View,
        Ok("timeseries") => NamespaceKind::Timeseries,
        _ => NamespaceKind::Collection,
    };
    Ok(Some(Listed {
        db: db.into(),
        name: name.into(),
        kind,
        options: entry.get_document("options").cloned().unwrap_or_default(),
        uuid: uuid(entry),
    }))
}

fn uuid(entry: &Document) -> Option<[u8; 16]> {
    match entry.get_document("info").ok()?.get("uuid")? {
        Bson::Binary(binary) if binary.subtype == BinarySubtype::Uuid => {
            binary.bytes.as_slice().try_into().ok()
        }
        _ => None,
    }
}

/// The text of the archive's metadata, with the members that mongodump writes, in its order.
fn metadata(found: &Listed, indexes: Vec<Document>) -> String {
    let mut members = Map::new();
    if !found.options.is_empty() {
        members.insert("options".into(), extended_json(found.options.clone()));
    }
    let indexes = indexes.into_iter().map(|mut index| {
        index.remove("ns");
        extended_json(index)
    });
    members.insert("indexes".into(), indexes.collect());
    if let (Some(uuid), NamespaceKind::Collection) = (&found.uuid, found.kind) {
        members.insert("uuid".into(), json!(hex::encode(uuid)));
    }
    members.insert("collectionName".into(), json!(found.name));
    members.insert("type".into(), json!(found.kind));
    Value::Object(members).to_string()
}

fn extended_json(document: Document) -> Value {
    Bson::Document(document).into_canonical_extjson()
}

fn unexpected(command: &str) -> Error {
    Error::new(Code::Mongo, format!("the server's answer to `{command}` is not what MongoDB documents"))
}
