//! What a user needs to restore by a plan.

use super::plan::{Action, PlannedNamespace};
use super::{Indexes, STORED_FUNCTIONS, Work, users};
use crate::deployment::Privilege;
use crate::error::Result;
use crate::names::NamespaceKind;

/// Refuses a user who may not do all that the plan says, before anything is touched.
pub(super) async fn check(work: &Work) -> Result<()> {
    match work.target.privileges().await? {
        Some(privileges) => privileges.require(&needed(work), "restore"),
        None => Ok(()),
    }
}

fn needed(work: &Work) -> Vec<Privilege> {
    let mut needed: Vec<Privilege> =
        work.plan.namespaces.iter().flat_map(|planned| for_namespace(work, planned)).collect();
    needed.extend(users::needed(work));
    needed
}

fn for_namespace(work: &Work, planned: &PlannedNamespace) -> Vec<Privilege> {
    let (db, collection) = &work.names[planned.place];
    let on = |action| Privilege::on_collection(action, db, collection);
    let mut needed = match planned.action {
        Action::Create => vec![on("createCollection")],
        Action::Replace if collection == STORED_FUNCTIONS => vec![on("remove")],
        Action::Replace => vec![on("dropCollection"), on("createCollection")],
        Action::Add | Action::Index => Vec::new(),
        Action::Merge | Action::Skip | Action::Refuse | Action::Missing => return Vec::new(),
    };
    if planned.kind == NamespaceKind::View {
        return needed;
    }
    if planned.action != Action::Index {
        let data = planned.kind.data_collection(collection);
        let into = |action| Privilege::on_collection(action, db, &data);
        needed.extend([into("insert"), into("bypassDocumentValidation")]);
    }
    let builds = work.options.indexes != Indexes::None;
    if builds && !work.metadata[planned.place].indexes_to_build().is_empty() {
        needed.push(on("createIndex"));
    }
    needed
}
