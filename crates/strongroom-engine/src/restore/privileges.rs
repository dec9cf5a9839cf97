//! What a user needs to restore by a plan.

use super::plan::{Action, Metadata, Plan};
use super::{STORED_FUNCTIONS, TEMPORARY_ROLES, TEMPORARY_USERS};
use crate::deployment::{Privilege, Target};
use crate::error::Result;
use crate::manifest::{Manifest, NamespaceKind};

/// What merging users and roles needs beyond their collections (`_mergeAuthzCollections`).
const MERGE: [&str; 4] = ["createUser", "createRole", "grantRole", "revokeRole"];

/// Refuses a user who may not do all that the plan says, before anything is touched.
pub(super) async fn check(
    target: &Target,
    plan: &Plan,
    manifest: &Manifest,
    metadata: &[Metadata],
) -> Result<()> {
    match target.privileges().await? {
        Some(privileges) => privileges.require(&needed(plan, manifest, metadata), "restore"),
        None => Ok(()),
    }
}

fn needed(plan: &Plan, manifest: &Manifest, metadata: &[Metadata]) -> Vec<Privilege> {
    let mut needed = Vec::new();
    for planned in &plan.namespaces {
        let namespace = &manifest.namespaces[planned.place];
        let on = |action| Privilege::on_collection(action, &namespace.db, &namespace.collection);
        match planned.action {
            Action::Create => needed.push(on("createCollection")),
            Action::Replace if namespace.collection == STORED_FUNCTIONS => needed.push(on("remove")),
            Action::Replace => needed.extend([on("dropCollection"), on("createCollection")]),
            Action::Add => {}
            Action::Merge | Action::Skip | Action::Refuse => continue,
        }
        if namespace.kind == NamespaceKind::View {
            continue;
        }
        let data = namespace.data_collection();
        let into = |action| Privilege::on_collection(action, &namespace.db, &data);
        needed.extend([into("insert"), into("bypassDocumentValidation")]);
        if !metadata[planned.place].indexes_to_build().is_empty() {
            needed.push(on("createIndex"));
        }
    }
    if plan.holds_users_or_roles(manifest) {
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
