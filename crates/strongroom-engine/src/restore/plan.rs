//! What a restore will do, decided before anything is touched.

use std::collections::{BTreeSet, HashMap, HashSet};

use bson::{Bson, Document, doc};
use serde::Serialize;

use super::{Options, belongs_to_server};
use crate::deployment::Target;
use crate::error::{Code, Error, Result};
use crate::manifest::{Manifest, Namespace, NamespaceKind};
use crate::progress::Event;

/// What to do with collections that exist in the target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Existing {
    /// Refuse to begin.
    #[default]
    Refuse,
    /// Drop those that the backup holds (and no others), then restore them.
    Drop,
    /// Leave their options, add documents and missing indexes.
    Keep,
}

/// What will be done, to which server.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// The backup's name.
    pub backup: String,
    /// The target's version.
    pub target_version: String,
    /// The target's replica set, if it is one.
    pub target_set: Option<String>,
    /// What will be done, in the order of the archive.
    pub namespaces: Vec<PlannedNamespace>,
    /// Segments to fetch.
    pub segments: u64,
    /// Their bytes.
    pub stored_bytes: u64,
}

/// What will be done with one collection or view.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedNamespace {
    /// Its place in the manifest.
    #[serde(skip)]
    pub place: usize,
    /// `db.collection`.
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: NamespaceKind,
    /// What will be done.
    pub action: Action,
    /// Documents to insert.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What will be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Create it: it does not exist.
    Create,
    /// Drop it and create it anew.
    Replace,
    /// Insert into the one that exists.
    Add,
    /// Nothing: it exists, and nothing said that it may be touched.
    Refuse,
    /// Merge into the users and roles of the target.
    Merge,
    /// Nothing: the target has its own.
    Skip,
}

impl Plan {
    /// Refuses a plan that would touch what nothing said it may touch.
    pub(super) fn check(&self) -> Result<()> {
        let refused: Vec<&str> =
            self.namespaces.iter().filter(|n| n.action == Action::Refuse).map(|n| n.name.as_str()).collect();
        let Some(first) = refused.first() else { return Ok(()) };
        Err(Error::new(
            Code::TargetNotEmpty,
            format!("{} of the backup's collections exist in the target, such as `{first}`", refused.len()),
        )
        .help(
            "Restore into an empty deployment, or say --drop to replace them, or --into-existing to add to them. \
             Nothing was touched.",
        ))
    }

    pub(super) fn event(&self) -> Event {
        Event::Planned {
            namespaces: self.namespaces.len() as u64,
            documents: self.namespaces.iter().map(|n| n.documents).sum(),
            bytes: self.namespaces.iter().map(|n| n.bytes).sum(),
        }
    }

    pub(super) fn holds_users_or_roles(&self, manifest: &Manifest) -> bool {
        self.namespaces.iter().any(|planned| {
            let namespace = &manifest.namespaces[planned.place];
            planned.action == Action::Merge && namespace.documents > 0
        })
    }
}

pub(super) async fn make(target: &Target, manifest: &Manifest, options: &Options) -> Result<Plan> {
    let existing = existing(target, manifest).await?;
    let wanted = manifest.namespaces.iter().enumerate();
    let namespaces: Vec<PlannedNamespace> = wanted
        .filter(|(_, n)| n.kind != NamespaceKind::Oplog && options.filter.accepts(&n.db, &n.collection))
        .map(|(place, n)| planned(place, n, &existing, options.existing))
        .collect();
    if namespaces.is_empty() && !options.filter.is_everything() {
        return Err(Error::new(
            Code::Usage,
            format!("nothing in backup `{}` matches --include and --exclude", manifest.id),
        )
        .help("`strongroom show ID` lists what is in it."));
    }
    let places: HashSet<usize> = namespaces.iter().map(|n| n.place).collect();
    let segments: Vec<_> = manifest.segments_of(|place| places.contains(&place)).collect();
    Ok(Plan {
        backup: manifest.id.clone(),
        target_version: target.version().to_owned(),
        target_set: target.set_name().map(str::to_owned),
        segments: segments.len() as u64,
        stored_bytes: segments.iter().map(|s| s.stored_bytes).sum(),
        namespaces,
    })
}

type Names = HashMap<String, HashSet<String>>;

async fn existing(target: &Target, manifest: &Manifest) -> Result<Names> {
    let collections = manifest.namespaces.iter().filter(|n| n.kind != NamespaceKind::Oplog);
    let dbs: BTreeSet<&str> = collections.map(|n| n.db.as_str()).collect();
    let mut names = Names::new();
    for db in dbs {
        names.insert(db.to_owned(), target.collections(db).await?.into_iter().collect());
    }
    Ok(names)
}

fn planned(place: usize, namespace: &Namespace, existing: &Names, wanted: Existing) -> PlannedNamespace {
    let exists = existing.get(&namespace.db).is_some_and(|names| names.contains(&namespace.collection));
    PlannedNamespace {
        place,
        name: namespace.name(),
        kind: namespace.kind,
        action: action(namespace, exists, wanted),
        documents: namespace.documents,
        bytes: namespace.bytes,
    }
}

fn action(namespace: &Namespace, exists: bool, wanted: Existing) -> Action {
    if belongs_to_server(&namespace.db, &namespace.collection) {
        return if namespace.collection == "system.version" { Action::Skip } else { Action::Merge };
    }
    match (exists, wanted) {
        (false, _) => Action::Create,
        (true, Existing::Refuse) => Action::Refuse,
        (true, Existing::Drop) => Action::Replace,
        (true, Existing::Keep) => Action::Add,
    }
}

/// A namespace's options and indexes as BSON.
#[derive(Debug, Clone)]
pub(super) struct Metadata {
    pub(super) options: Document,
    pub(super) indexes: Vec<Document>,
}

impl Metadata {
    /// Reads the metadata of the manifest, which is canonical Extended JSON v2.
    pub(super) fn of(namespace: &Namespace) -> Result<Self> {
        let unreadable = |why: String| {
            Error::new(Code::Damaged, format!("the metadata of `{}` cannot be read: {why}", namespace.name()))
        };
        let json: serde_json::Value =
            serde_json::from_str(namespace.metadata.get()).map_err(|e| unreadable(e.to_string()))?;
        let Bson::Document(mut metadata) = Bson::try_from(json).map_err(|e| unreadable(e.to_string()))?
        else {
            return Err(unreadable("it is not an object".into()));
        };
        let options = match metadata.remove("options") {
            Some(Bson::Document(options)) => options,
            None => Document::new(),
            Some(_) => return Err(unreadable("its options are not an object".into())),
        };
        let indexes = match metadata.remove("indexes") {
            Some(Bson::Array(indexes)) => indexes.into_iter().map(into_document).collect::<Option<_>>(),
            None => Some(Vec::new()),
            Some(_) => None,
        };
        Ok(Self {
            options,
            indexes: indexes.ok_or_else(|| unreadable("its indexes are not objects".into()))?,
        })
    }

    /// What is not there by itself. An index without a collation compares simply, but made without one on a
    /// collection that has a default collation it would take that: so it is said.
    pub(super) fn indexes_to_build(&self) -> Vec<Document> {
        let by_itself = |index: &Document| {
            let is_id = index.get_document("key").is_ok_and(|key| key.len() == 1 && key.contains_key("_id"));
            (is_id && index.get_str("name").is_ok_and(|name| name == "_id_"))
                || index.get_bool("clustered").unwrap_or(false)
        };
        let mut indexes: Vec<Document> =
            self.indexes.iter().filter(|index| !by_itself(index)).cloned().collect();
        if self.options.contains_key("collation") {
            for index in indexes.iter_mut().filter(|index| !index.contains_key("collation")) {
                index.insert("collation", doc! { "locale": "simple" });
            }
        }
        indexes
    }

    pub(super) fn capped(&self) -> bool {
        self.options.get_bool("capped").unwrap_or(false)
    }
}

fn into_document(value: Bson) -> Option<Document> {
    match value {
        Bson::Document(document) => Some(document),
        _ => None,
    }
}
