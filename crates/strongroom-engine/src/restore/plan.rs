//! What a restore will do, decided before anything is touched.

use std::collections::{BTreeSet, HashMap, HashSet};

use bson::doc;
use serde::Serialize;

use super::metadata::Metadata;
use super::replay::window::{Window, window};
use super::settings::{Existing, Indexes, Options, Users};
use super::users::{Authorization, authorization};
use super::{Source, views};
use crate::deployment::Target;
use crate::error::{Code, Error, Result};
use crate::manifest::Namespace;
use crate::names::NamespaceKind;
use crate::progress::Event;
use crate::renames::{Renames, STORED_FUNCTIONS, check_name};

/// What will be done, to which server.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// The name of the backup or archive.
    pub backup: String,
    /// The target's version.
    pub target_version: String,
    /// The target's replica set, if it is one.
    pub target_set: Option<String>,
    /// What will be done, in the order of the archive.
    pub namespaces: Vec<PlannedNamespace>,
    /// Segments to fetch; none of an archive, which comes as one stream.
    pub segments: u64,
    /// Their bytes.
    pub stored_bytes: u64,
    /// The stretch of the oplog that is replayed, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Window>,
}

/// What will be done with one collection or view.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedNamespace {
    /// Its place in the list of contents.
    #[serde(skip)]
    pub place: usize,
    /// `db.collection`.
    pub name: String,
    /// The same in the target.
    pub target: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: NamespaceKind,
    /// What will be done.
    pub action: Action,
    /// Documents to insert; an archive does not say.
    pub documents: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
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
    /// Build its indexes, and nothing else.
    Index,
    /// Nothing: its indexes were to be built, and it does not exist.
    Missing,
}

impl Action {
    pub(super) fn creates(self) -> bool {
        matches!(self, Self::Create | Self::Replace)
    }

    pub(super) fn inserts(self) -> bool {
        self.creates() || matches!(self, Self::Add | Self::Merge)
    }
}

impl Plan {
    /// Refuses a plan that would touch what nothing said it may touch.
    pub(super) fn check(&self) -> Result<()> {
        let refused: Vec<&str> = self
            .namespaces
            .iter()
            .filter(|n| n.action == Action::Refuse)
            .map(|n| n.target.as_str())
            .collect();
        let Some(first) = refused.first() else { return Ok(()) };
        Err(Error::new(
            Code::TargetNotEmpty,
            format!("{} of the backup's collections exist in the target, such as `{first}`", refused.len()),
        )
        .help(
            "Restore into an empty deployment or under other names (--rename), or say --drop to replace them, or \
             --into-existing to add to them. Nothing was touched.",
        ))
    }

    pub(super) fn event(&self) -> Event {
        Event::Planned {
            namespaces: self.namespaces.len() as u64,
            documents: self.namespaces.iter().filter_map(|n| n.documents).sum(),
            bytes: self.namespaces.iter().filter_map(|n| n.bytes).sum(),
        }
    }
}

/// The plan, and the metadata of every namespace of the source by its place.
pub(super) async fn make(
    target: &Target,
    source: &Source,
    options: &Options,
) -> Result<(Plan, Vec<Metadata>)> {
    let wanted = wanted(source, options)?;
    let existing = existing(target, &wanted).await?;
    let namespaces: Vec<PlannedNamespace> =
        wanted.iter().map(|wanted| planned(wanted, source, &existing, options)).collect();
    let mut metadata = source.namespaces().iter().map(Metadata::of).collect::<Result<Vec<_>>>()?;
    for view in namespaces.iter().filter(|planned| planned.kind == NamespaceKind::View) {
        let (Namespace { db, collection, .. }, options) =
            (&source.namespaces()[view.place], &options.renames);
        let definition = &mut metadata[view.place].options;
        views::rename(definition, db, collection, options).map_err(|read| elsewhere(view, &read))?;
    }
    let (segments, stored_bytes) = to_fetch(source, &namespaces);
    let plan = Plan {
        backup: source.name().to_owned(),
        target_version: target.version().to_owned(),
        target_set: target.set_name().map(str::to_owned),
        segments,
        stored_bytes,
        namespaces,
        replay: if options.indexes == Indexes::Only { None } else { window(source, options.at)? },
    };
    Ok((plan, metadata))
}

/// What is to be restored, and where it goes.
struct Wanted<'a> {
    place: usize,
    namespace: &'a Namespace,
    kept: Option<Authorization>,
    db: String,
    collection: String,
}

fn wanted<'a>(source: &'a Source, options: &Options) -> Result<Vec<Wanted<'a>>> {
    let all = source.namespaces().iter().enumerate().filter(|(_, n)| n.kind != NamespaceKind::Oplog);
    let accepted = all.filter(|(_, n)| options.filter.accepts(&n.db, &n.collection));
    let wanted: Vec<Wanted<'_>> = accepted
        .map(|(place, namespace)| {
            let (db, collection) = options.renames.apply(&namespace.db, &namespace.collection);
            let kept = authorization(&namespace.db, &namespace.collection);
            Wanted { place, namespace, kept, db, collection }
        })
        .filter(|wanted| match (options.indexes, options.users) {
            (Indexes::Only, _) => wanted.kept.is_none() && wanted.namespace.kind != NamespaceKind::View,
            (_, Users::None) => wanted.kept.is_none(),
            (_, Users::Only) => wanted.kept.is_some(),
            (_, Users::Merge) => true,
        })
        .collect();
    if wanted.is_empty() && !options.filter.is_everything() {
        let message = format!("nothing in `{}` matches --include and --exclude", source.name());
        return Err(Error::new(Code::Usage, message).help("`strongroom show ID` lists what is in it."));
    }
    check_names(&wanted, &options.renames)?;
    Ok(wanted)
}

/// Everything has a name of its own that a server takes, and every rule did something.
fn check_names(wanted: &[Wanted<'_>], renames: &Renames) -> Result<()> {
    let mut taken: HashMap<String, &Wanted<'_>> = HashMap::new();
    for wanted in wanted.iter().filter(|wanted| wanted.kept.is_none()) {
        if (&wanted.db, &wanted.collection) != (&wanted.namespace.db, &wanted.namespace.collection) {
            check_name(&wanted.db, &wanted.namespace.kind.data_collection(&wanted.collection))?;
        }
        let name = format!("{}.{}", wanted.db, wanted.collection);
        if let Some(other) = taken.get(&name) {
            let (one, other) = (other.namespace.name(), wanted.namespace.name());
            return Err(Error::new(Code::Usage, format!("`{one}` and `{other}` would both become `{name}`"))
                .help("Rename one of them to another name, or leave it out with --exclude. Nothing was touched."));
        }
        taken.insert(name, wanted);
    }
    let names =
        wanted.iter().map(|wanted| (wanted.namespace.db.as_str(), wanted.namespace.collection.as_str()));
    match renames.unused(names) {
        None => Ok(()),
        Some(rule) => Err(Error::new(Code::Usage, format!("--rename `{rule}` renames nothing"))
            .help("Of several rules the first that matches decides; `strongroom show ID` lists the names. Nothing was touched.")),
    }
}

/// A view reads from its own database alone.
fn elsewhere(view: &PlannedNamespace, read: &str) -> Error {
    let message = format!("the view `{}` reads `{read}`, which would be in another database", view.target);
    Error::new(Code::Usage, message).help(
        "Rename both into the same database, or leave the view out with --exclude. Nothing was touched.",
    )
}

/// Names of collections by their database.
type Present = HashMap<String, HashSet<String>>;

async fn existing(target: &Target, wanted: &[Wanted<'_>]) -> Result<Present> {
    let dbs: BTreeSet<&str> = wanted.iter().map(|wanted| wanted.db.as_str()).collect();
    let mut names = Present::new();
    for db in dbs {
        names.insert(db.to_owned(), target.collections(db).await?.into_iter().collect());
    }
    Ok(names)
}

fn planned(wanted: &Wanted<'_>, source: &Source, existing: &Present, options: &Options) -> PlannedNamespace {
    let exists = existing.get(&wanted.db).is_some_and(|names| names.contains(&wanted.collection));
    let counted = |number| matches!(source, Source::Backup(_)).then_some(number);
    PlannedNamespace {
        place: wanted.place,
        name: wanted.namespace.name(),
        target: format!("{}.{}", wanted.db, wanted.collection),
        kind: wanted.namespace.kind,
        action: action(wanted, exists, options),
        documents: counted(wanted.namespace.documents),
        bytes: counted(wanted.namespace.bytes),
    }
}

fn action(wanted: &Wanted<'_>, exists: bool, options: &Options) -> Action {
    match (wanted.kept, options.indexes, options.existing) {
        (Some(Authorization::Version), ..) => Action::Skip,
        (Some(_), ..) => Action::Merge,
        _ if belongs_to_server(&wanted.namespace.db, &wanted.namespace.collection) => Action::Skip,
        (None, Indexes::Only, _) if exists => Action::Index,
        (None, Indexes::Only, _) => Action::Missing,
        _ if !exists => Action::Create,
        (None, _, Existing::Refuse) => Action::Refuse,
        (None, _, Existing::Drop) => Action::Replace,
        (None, _, Existing::Keep) => Action::Add,
    }
}

/// What other programs dump along, and every server has for itself.
fn belongs_to_server(db: &str, collection: &str) -> bool {
    matches!(db, "local" | "config") || (collection.starts_with("system.") && collection != STORED_FUNCTIONS)
}

/// Segments and their bytes.
fn to_fetch(source: &Source, namespaces: &[PlannedNamespace]) -> (u64, u64) {
    let Source::Backup(backup) = source else { return (0, 0) };
    let inserted: HashSet<usize> =
        namespaces.iter().filter(|n| n.action.inserts()).map(|n| n.place).collect();
    let segments = backup.manifest.segments_of(|place| inserted.contains(&place));
    segments.fold((0, 0), |(number, bytes), segment| (number + 1, bytes + segment.stored_bytes))
}
