//! What a deployment holds: databases, collections, views, their options, indexes and sizes.

use std::collections::HashMap;

use futures::{StreamExt, TryStreamExt, stream};
use mongodb::bson::raw::cstr;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{RawDocument, doc, rawdoc};

use super::described::{Described, Metadata};
use super::{Deployment, Privilege, ReadAt, Setback, whole_number};
use crate::definition::Definition;
use crate::error::{Code, Error, Result};
use crate::names::{BUCKETS, NamespaceKind, RESHARDING, is_backed_up, is_server_database, is_temporary};
use crate::progress::Warning;
use crate::selection::Filter;

/// Per-collection questions under way at once: enough to hide round trips, few enough not to crowd the server.
const QUESTIONS_AT_ONCE: usize = 8;

/// What a deployment holds.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// Sorted by name.
    pub namespaces: Vec<Described>,
    /// What a person should know of them.
    pub warnings: Vec<Warning>,
}

/// What `listCollections` says of one.
struct Listed {
    db: String,
    name: String,
    kind: NamespaceKind,
    options: Definition,
    /// Of the collection that holds the documents.
    uuid: Option<[u8; 16]>,
    is_raw: bool,
    /// Whether it is read by its name.
    is_named: bool,
}

impl Listed {
    fn full_name(&self) -> String {
        format!("{}.{}", self.db, self.name)
    }

    /// A server drops it at its next start, and makes it while it works on something else (`$out`, `mapReduce`).
    fn is_temporary(&self) -> bool {
        self.options.says_yes("temp") || is_temporary(&self.name)
    }
}

impl Deployment {
    /// Every namespace that `filter` accepts.
    ///
    /// Left out, as with mongodump: the databases `local` and `config`, and collections that belong to the
    /// server (`system.*` but for users, roles, their version, and stored functions). One that vanishes
    /// meanwhile is left out too, and temporary ones, which a warning names.
    ///
    /// # Errors
    /// [`Code::MongoPrivilege`] when the user may not see all databases, unless the filter names those it wants: a
    /// partial list is never taken for the whole.
    pub async fn namespaces(&self, filter: &Filter) -> Result<Catalogue> {
        let databases = match filter.databases() {
            Some(named) => named.into_iter().filter(|name| !is_server_database(name)).collect(),
            None => self.databases().await?,
        };
        let mut listed = Vec::new();
        for db in databases {
            listed.extend(self.list(&db, filter).await?);
        }
        if !self.may_use_uuids(filter).await? {
            listed.iter_mut().for_each(|found| found.is_named = true);
        }
        let (temporary, lasting): (Vec<_>, Vec<_>) = listed.into_iter().partition(Listed::is_temporary);
        let searches = self.knows_search(&lasting).await;
        let mut namespaces: Vec<Described> = stream::iter(lasting)
            .map(|found| self.describe(found, searches))
            .buffer_unordered(QUESTIONS_AT_ONCE)
            .try_filter_map(async |found| Ok(found))
            .try_collect()
            .await?;
        namespaces.sort_by(|a, b| (&a.db, &a.collection).cmp(&(&b.db, &b.collection)));
        let warnings = warnings(&temporary, &namespaces);
        Ok(Catalogue { namespaces, warnings })
    }

    /// Whether collections may be read by their UUIDs: the role `backup` may, and `read` of a database may not.
    async fn may_use_uuids(&self, filter: &Filter) -> Result<bool> {
        if filter.databases().is_none() {
            return Ok(true);
        }
        let privileges = self.privileges().await?;
        Ok(privileges.is_none_or(|user| user.allows(&Privilege::on_cluster("useUUID"))))
    }

    /// Without `authorizedDatabases: false` a user who lacks the privilege gets a shorter list, silently.
    async fn databases(&self) -> Result<Vec<String>> {
        let command = doc! { "listDatabases": 1, "nameOnly": true, "authorizedDatabases": false };
        let answer = self.command("admin", command).await?;
        let databases = answer.get_array("databases").map_err(|_| unexpected("listDatabases"))?;
        let names = databases.iter().filter_map(|db| db.as_document()?.get_str("name").ok());
        Ok(names.filter(|name| !is_server_database(name)).map(str::to_owned).collect())
    }

    async fn list(&self, db: &str, filter: &Filter) -> Result<Vec<Listed>> {
        let found = self.documents(db, &doc! { "listCollections": 1 }, ReadAt::Now).await?;
        let wanted =
            found.iter().filter(|entry| entry.get_str("name").map_or(true, |name| filter.accepts(db, name)));
        let mut listed: Vec<Listed> =
            wanted.filter_map(|entry| listed(db, entry).transpose()).collect::<Result<_>>()?;
        let uuids: HashMap<&str, [u8; 16]> =
            found.iter().filter_map(|entry| Some((entry.get_str("name").ok()?, uuid(entry)?))).collect();
        let series = listed.iter_mut().filter(|found| found.kind == NamespaceKind::Timeseries);
        for series in series.filter(|series| !series.is_raw) {
            series.uuid = uuids.get(format!("{BUCKETS}{}", series.name).as_str()).copied();
        }
        Ok(listed)
    }

    async fn describe(&self, found: Listed, searches: bool) -> Result<Option<Described>> {
        let Some(indexes) = self.indexes(&found).await? else { return Ok(None) };
        let mut search_indexes = Vec::new();
        if searches && found.kind == NamespaceKind::Collection {
            search_indexes = self.search_indexes(&found).await.unwrap_or_default();
        }
        let uuid = found.uuid.filter(|_| found.kind == NamespaceKind::Collection);
        let definitions = (&found.options, &indexes[..], &search_indexes[..]);
        let metadata = Metadata::of((&found.name, found.kind), definitions, uuid);
        let mut described = Described {
            is_exact: metadata.is_exact,
            metadata: metadata.text,
            metadata_bson: metadata.bson,
            capped: found.options.says_yes("capped"),
            // The buckets of a time-series are clustered, though only their own options say so.
            clustered: found.options.contains("clusteredIndex") || found.kind == NamespaceKind::Timeseries,
            is_raw: found.is_raw,
            uuid: found.uuid.filter(|_| !found.is_named),
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

    /// The indexes of a collection, without those that are still being built: if they ever are there, the oplog says so.
    /// None if the collection vanished since it was listed.
    async fn indexes(&self, found: &Listed) -> Result<Option<Vec<Definition>>> {
        if found.kind == NamespaceKind::View {
            return Ok(Some(Vec::new()));
        }
        let command = doc! { "listIndexes": &found.name, "includeBuildUUIDs": true };
        let documents = match self.documents_or_setback(&found.db, &command, ReadAt::Now).await {
            Ok(documents) => documents,
            Err(Setback::CollectionGone(_)) => return Ok(None),
            Err(setback) => return Err(setback.into_error()),
        };
        let built = documents.iter().filter(|index| !is_being_built(index));
        let indexes =
            built.map(|index| definition(index, &found.full_name()).map(|index| index.without("ns")));
        indexes.collect::<Result<_>>().map(Some)
    }

    /// Whether the server has search indexes (MongoDB 7.0 and later with a search process beside it): the first
    /// collection tells it for all.
    async fn knows_search(&self, listed: &[Listed]) -> bool {
        match listed.iter().find(|found| found.kind == NamespaceKind::Collection) {
            Some(first) => self.search_indexes(first).await.is_some(),
            None => false,
        }
    }

    /// The search indexes of a collection as `createSearchIndexes` takes them; none if the server does not tell.
    async fn search_indexes(&self, found: &Listed) -> Option<Vec<Definition>> {
        let command =
            doc! { "aggregate": &found.name, "pipeline": [{ "$listSearchIndexes": {} }], "cursor": {} };
        let listed = self.documents(&found.db, &command, ReadAt::Now).await.ok()?;
        Some(listed.iter().filter_map(|entry| search_index(entry)).collect())
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
fn listed(db: &str, entry: &RawDocument) -> Result<Option<Listed>> {
    let name = entry.get_str("name").map_err(|_| unexpected("listCollections"))?;
    if !is_backed_up(db, name) && !name.starts_with(RESHARDING) {
        return Ok(None);
    }
    let kind = match entry.get_str("type") {
        Ok("view") => NamespaceKind::View,
        Ok("timeseries") => NamespaceKind::Timeseries,
        _ => NamespaceKind::Collection,
    };
    let options = match entry.get_document("options") {
        Ok(options) => definition(options, &format!("{db}.{name}"))?,
        Err(_) => Definition::default(),
    };
    let uuid = uuid(entry);
    // Where a time-series has buckets beside it, those have the UUID.
    let is_raw = kind == NamespaceKind::Timeseries && uuid.is_some();
    Ok(Some(Listed { db: db.into(), name: name.into(), kind, options, uuid, is_raw, is_named: false }))
}

fn definition(document: &RawDocument, name: &str) -> Result<Definition> {
    Definition::checked(document.as_bytes()).map_err(|wrong| {
        Error::new(Code::Mongo, format!("the server's description of `{name}` is damaged: {wrong}"))
            .help("Leave it out of the backup, or create it anew.")
    })
}

/// Its name, kind and definition, out of what is also told of its state.
fn search_index(entry: &RawDocument) -> Option<Definition> {
    let mut index = rawdoc! { "name": entry.get_str("name").ok()? };
    if let Ok(kind) = entry.get_str("type") {
        index.append(cstr!("type"), kind);
    }
    index.append(cstr!("definition"), entry.get_document("latestDefinition").ok()?);
    Definition::checked(index.as_bytes()).ok()
}

fn is_being_built(index: &RawDocument) -> bool {
    ["buildUUID", "indexBuildInfo"].iter().any(|name| matches!(index.get(name), Ok(Some(_))))
}

fn uuid(entry: &RawDocument) -> Option<[u8; 16]> {
    let uuid = entry.get_document("info").ok()?.get_binary("uuid").ok()?;
    (uuid.subtype == BinarySubtype::Uuid).then_some(uuid.bytes)?.try_into().ok()
}

fn warnings(temporary: &[Listed], namespaces: &[Described]) -> Vec<Warning> {
    let names = |names: Vec<String>| (!names.is_empty()).then_some(names);
    let inexact = namespaces.iter().filter(|found| !found.is_exact).map(Described::name);
    let temporary = names(temporary.iter().map(Listed::full_name).collect());
    let temporary = temporary.map(|namespaces| Warning::TemporaryLeftOut { namespaces });
    let inexact = names(inexact.collect()).map(|namespaces| Warning::TextInexact { namespaces });
    temporary.into_iter().chain(inexact).collect()
}

fn unexpected(command: &str) -> Error {
    Error::new(Code::Mongo, format!("the server's answer to `{command}` is not what MongoDB documents"))
}

#[cfg(test)]
mod tests {
    use mongodb::bson::Binary;

    use super::*;

    fn uuid_of(byte: u8) -> Binary {
        Binary { subtype: BinarySubtype::Uuid, bytes: vec![byte; 16] }
    }

    #[test]
    fn a_time_series_without_buckets_beside_it_is_read_raw() {
        let options = || rawdoc! { "timeseries": { "timeField": "at" } };
        let with_buckets = rawdoc! { "name": "w", "type": "timeseries", "options": options(), "info": { "readOnly": false } };
        let alone = rawdoc! { "name": "w", "type": "timeseries", "options": options(), "info": { "readOnly": false, "uuid": uuid_of(7) } };
        let listed = |entry: &RawDocument| listed("shop", entry).unwrap().unwrap();
        assert!(!listed(&with_buckets).is_raw);
        let alone = listed(&alone);
        assert!(alone.is_raw);
        assert_eq!((alone.kind, alone.uuid), (NamespaceKind::Timeseries, Some([7; 16])));
    }

    #[test]
    fn what_a_server_makes_for_a_while_is_temporary() {
        let listed = |name: &str, options| {
            listed("shop", &rawdoc! { "name": name, "type": "collection", "options": options })
        };
        let is = |name, options| listed(name, options).unwrap().is_some_and(|found| found.is_temporary());
        assert!(is("anything", rawdoc! { "temp": true }));
        assert!(is("tmp.agg_out.1b4e28ba-2fa1-11d2-883f-0016d3cca427", rawdoc! {}));
        assert!(!is("tmp.agg_out.mine", rawdoc! {}));
        assert!(!is("a", rawdoc! { "temp": false }));
        assert!(is("system.resharding.1b4e28ba", rawdoc! {}));
        assert!(listed("system.profile", rawdoc! {}).unwrap().is_none());
    }

    #[test]
    fn a_search_index_is_kept_without_its_state() {
        let definition = || rawdoc! { "mappings": { "dynamic": true } };
        let entry = rawdoc! {
            "id": "6", "name": "default", "type": "vectorSearch", "status": "READY", "queryable": true,
            "latestVersion": 0, "latestDefinition": definition(), "statusDetail": [],
        };
        let expected = rawdoc! { "name": "default", "type": "vectorSearch", "definition": definition() };
        assert_eq!(search_index(&entry), Some(expected.into()));
        assert_eq!(search_index(&rawdoc! { "name": "default" }), None);
    }

    #[test]
    fn an_index_that_is_being_built_is_told_from_one_that_is_there() {
        let index = rawdoc! { "v": 2, "key": { "a": 1 }, "name": "a" };
        assert!(!is_being_built(&index));
        assert!(is_being_built(&rawdoc! { "spec": index, "buildUUID": uuid_of(1) }));
    }
}
