//! What there is before and after the oplog was replayed, in the terms of a restore.

use std::collections::BTreeSet;

use bson::Document;

use super::user_name;
use crate::manifest::Consistency;
use crate::names::NamespaceKind;
use crate::oplog::catalog::{Catalog, Collection, Name};
use crate::oplog::filter::BUCKETS;
use crate::restore::metadata::Metadata;
use crate::restore::plan::{Action, PlannedNamespace};
use crate::restore::{Source, Work, views};

/// What the plan restores.
pub(super) fn catalog(work: &Work) -> Catalog {
    let mut catalog = Catalog::default();
    for planned in &work.plan.namespaces {
        let namespace = &work.source.namespaces()[planned.place];
        let Metadata { options, indexes } = work.metadata[planned.place].clone();
        let name = (namespace.db.clone(), namespace.data_collection());
        match namespace.kind {
            NamespaceKind::View => drop(catalog.views.insert(name, original(work, planned.place, options))),
            _ => {
                let collection = Collection { options, indexes, ..Collection::default() };
                catalog.collections.insert(name, collection);
            }
        }
    }
    catalog
}

/// A view's definition as the source has it; the plan's is in the target's names.
fn original(work: &Work, place: usize, renamed: Document) -> Document {
    Metadata::of(&work.source.namespaces()[place]).map_or(renamed, |metadata| metadata.options)
}

/// Whether a collection was read after the moment from which the oplog is applied.
pub(super) fn was_read_later(work: &Work, (db, collection): &Name) -> bool {
    let name = format!("{db}.{}", collection.strip_prefix(BUCKETS).unwrap_or(collection));
    match &*work.source {
        Source::Archive(_) => true,
        Source::Backup(backup) => match &backup.manifest.consistency {
            Consistency::Oplog { read_plainly, .. } => read_plainly.contains(&name),
            Consistency::Snapshot { .. } | Consistency::None { .. } => false,
        },
    }
}

/// Whether a namespace may hold a document twice: it was deleted and inserted again while it was read.
pub(in crate::restore) fn may_repeat(work: &Work, place: usize) -> bool {
    let namespace = &work.source.namespaces()[place];
    let name = (namespace.db.clone(), namespace.data_collection());
    let created =
        work.plan.namespaces.iter().any(|planned| planned.place == place && planned.action.creates());
    created && work.plan.replay.is_some() && was_read_later(work, &name)
}

/// The work that is left, and what cannot be done of it: indexes and views are those at the end of the window.
pub(super) fn after(work: &Work, catalog: &Catalog) -> (Work, Vec<String>) {
    let mut exceptions = Vec::new();
    let mut left = work.clone();
    let mut unknown = catalog.clone();
    let source = work.source.namespaces();
    left.plan.namespaces.retain_mut(|planned| {
        let name = (source[planned.place].db.clone(), source[planned.place].data_collection());
        planned.documents = planned.documents.filter(|_| planned.action != Action::Merge);
        if planned.kind == NamespaceKind::View {
            let before = original(work, planned.place, Document::new());
            let same = unknown.views.get(&name) == Some(&before);
            if same {
                unknown.views.remove(&name);
            }
            return same;
        }
        let Some(collection) = unknown.collections.get_mut(&name) else { return false };
        let metadata = &mut left.metadata[planned.place];
        metadata.options.clone_from(&collection.options);
        metadata.indexes = std::mem::take(&mut collection.indexes);
        true
    });
    let known: BTreeSet<Name> = work
        .plan
        .namespaces
        .iter()
        .map(|planned| (source[planned.place].db.clone(), source[planned.place].data_collection()))
        .collect();
    for (name, collection) in unknown.collections {
        let Collection { options, indexes, bucket_indexes } = collection;
        let kind = kind(&name.1);
        if !known.contains(&name) {
            let target = user_name(work, &name);
            add(&mut left, &target, target.clone(), kind, Metadata { options: options.clone(), indexes });
        }
        if !bucket_indexes.is_empty() {
            let buckets = work.options.renames.apply(&name.0, &name.1);
            let metadata = Metadata { options, indexes: bucket_indexes };
            add(&mut left, &user_name(work, &name), buckets, kind, metadata);
        }
    }
    for (name, mut options) in unknown.views {
        let target = work.options.renames.apply(&name.0, &name.1);
        match views::rename(&mut options, &name.0, &name.1, &work.options.renames) {
            Ok(()) => {
                let metadata = Metadata { options, indexes: Vec::new() };
                add(&mut left, &target, target.clone(), NamespaceKind::View, metadata);
            }
            Err(read) => exceptions.push(format!(
                "the view `{}.{}` reads `{read}`, which is in another database",
                target.0, target.1
            )),
        }
    }
    (left, exceptions)
}

fn kind(data_collection: &str) -> NamespaceKind {
    match data_collection.starts_with(BUCKETS) {
        true => NamespaceKind::Timeseries,
        false => NamespaceKind::Collection,
    }
}

/// One more namespace, called `target`, whose indexes are built on the collection `on`.
fn add(left: &mut Work, target: &Name, on: Name, kind: NamespaceKind, metadata: Metadata) {
    let target = format!("{}.{}", target.0, target.1);
    left.plan.namespaces.push(PlannedNamespace {
        place: left.names.len(),
        name: target.clone(),
        target,
        kind,
        action: Action::Create,
        documents: None,
        bytes: None,
    });
    left.names.push(on);
    left.metadata.push(metadata);
}
