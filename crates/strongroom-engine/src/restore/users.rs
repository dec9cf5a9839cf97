//! Users and roles: inserted beside the real ones, then merged by MongoDB itself.

use std::collections::BTreeSet;

use super::{Action, Work};
use crate::deployment::Privilege;
use crate::error::Result;
use crate::manifest::Namespace;

/// The collections that MongoDB's own role `restore` may merge users and roles from.
const TEMPORARY_USERS: &str = "tempusers";
const TEMPORARY_ROLES: &str = "temproles";
/// What merging needs (`_mergeAuthzCollections`).
const MERGE: [&str; 4] = ["createUser", "createRole", "grantRole", "revokeRole"];
/// The merge takes users and roles of all databases where it is told none.
const ALL_DATABASES: &str = "";

/// What a namespace holds that is no collection of anybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authorization {
    Users,
    Roles,
    /// How users are stored, of the server they came from.
    Version,
}

/// What a namespace holds of users and roles: those of the server, or those of its database alone, which
/// `mongodump --dumpDbUsersAndRoles` names `$admin.system.users`.
pub(super) fn authorization(db: &str, collection: &str) -> Option<Authorization> {
    let name = match collection.strip_prefix("$admin.") {
        Some(name) => name,
        None if db == "admin" => collection,
        None => return None,
    };
    match name {
        "system.users" => Some(Authorization::Users),
        "system.roles" => Some(Authorization::Roles),
        "system.version" => Some(Authorization::Version),
        _ => None,
    }
}

impl Authorization {
    /// Where it is inserted first; the version is the target's own.
    pub(super) fn temporary(self) -> Option<&'static str> {
        match self {
            Self::Users => Some(TEMPORARY_USERS),
            Self::Roles => Some(TEMPORARY_ROLES),
            Self::Version => None,
        }
    }
}

/// Clears away what an earlier restore may have left.
pub(super) async fn prepare(work: &Work) -> Result<()> {
    if merged(work).next().is_none() {
        return Ok(());
    }
    for temporary in [TEMPORARY_USERS, TEMPORARY_ROLES] {
        work.target.drop_collection("admin", temporary).await?;
    }
    Ok(())
}

/// Merges what was inserted. Of an archive of one database only that database's users and roles are taken.
pub(super) async fn merge(work: &Work) -> Result<()> {
    let of_the_server = merged(work).any(|namespace| namespace.db == "admin");
    let dbs: BTreeSet<&str> = match of_the_server {
        true => BTreeSet::from([ALL_DATABASES]),
        false => merged(work).map(|namespace| namespace.db.as_str()).collect(),
    };
    if dbs.is_empty() {
        return Ok(());
    }
    let present = work.target.collections("admin").await?;
    let given = |name| present.iter().any(|n| n == name).then_some(name);
    let (users, roles) = (given(TEMPORARY_USERS), given(TEMPORARY_ROLES));
    if users.is_some() || roles.is_some() {
        for db in dbs {
            work.target.merge_users_and_roles(db, users, roles).await?;
        }
    }
    for temporary in [users, roles].into_iter().flatten() {
        work.target.drop_collection("admin", temporary).await?;
    }
    Ok(())
}

/// What a user needs to merge them, beyond what is needed for their collections.
pub(super) fn needed(work: &Work) -> Vec<Privilege> {
    if merged(work).next().is_none() {
        return Vec::new();
    }
    let collections = [TEMPORARY_USERS, TEMPORARY_ROLES].into_iter().flat_map(|collection| {
        let actions = ["insert", "find", "dropCollection"].into_iter();
        actions.map(move |action| Privilege::on_collection(action, "admin", collection))
    });
    collections.chain(MERGE.into_iter().map(Privilege::on_every_database)).collect()
}

/// What holds users and roles that are to be merged.
fn merged(work: &Work) -> impl Iterator<Item = &Namespace> {
    let planned = work.plan.namespaces.iter().filter(|planned| planned.action == Action::Merge);
    planned.filter(|planned| planned.documents != Some(0)).map(|p| &work.source.namespaces()[p.place])
}
