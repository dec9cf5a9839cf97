//! What a user needs to restore by a plan.

use super::plan::Action;
use super::users::{TEMPORARY_ROLES, TEMPORARY_USERS, merged};
use super::{Indexes, Work};
use crate::deployment::Privilege;
use crate::error::Result;
use crate::manifest::NamespaceKind;
use crate::renames::STORED_FUNCTIONS;

/// What merging users and roles needs beyond their collections (`_mergeAuthzCollections`).
const MERGE: [&str; 4] = ["createUser", "createRole", "grantRole", "revokeRole"];

/// Refuses a user who may not do all that the plan says, before anything is touched.
pub(super) async fn check(work: &Work) -> Result<()> {
    match work.target.privileges().await? {
        Some(privileges) => privileges.require(&needed(work), "restore"),
        None => Ok(()),
    }
}

fn needed(work: &Work) -> Vec<Privilege> {
    let mut needed = Vec::new();
    for planned in &work.plan.namespaces {
        let (db, collection) = &work.names[planned.place];
        let on = |action| Privilege::on_collection(action, db, collection);
        match planned.action {
            Action::Create => needed.push(on("createCollection")),
            Action::Replace if collection == STORED_FUNCTIONS => needed.push(on("remove")),
            Action::Replace => needed.extend([on("dropCollection"), on("createCollection")]),
            Action::Add | Action::Index => {}
            Action::Merge | Action::Skip | Action::Refuse | Action::Missing => continue,
        }
        if planned.kind == NamespaceKind::View {
            continue;
        }
        if planned.action.inserts() {
            let data = planned.kind.data_collection(collection);
            let into = |action| Privilege::on_collection(action, db, &data);
            needed.extend([into("insert"), into("bypassDocumentValidation")]);
        }
        let builds = work.options.indexes != Indexes::None;
        if builds && !work.metadata[planned.place].indexes_to_build().is_empty() {
            needed.push(on("createIndex"));
        }
    }
    if merged(work).next().is_some() {
        needed.extend(merge());
    }
    needed
}

fn merge() -> impl Iterator<Item = Privilege> {
    let collections = [TEMPORARY_USERS, TEMPORARY_ROLES].into_iter().flat_map(|collection| {
        let actions = ["insert", "find", "dropCollection"].into_iter();
        actions.map(move |action| Privilege::on_collection(action, "admin", collection))
    });
    collections.chain(MERGE.into_iter().map(Privilege::on_every_database))
}
