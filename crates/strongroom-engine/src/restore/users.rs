//! Users and roles: inserted beside the real ones, then merged by MongoDB itself.

use std::collections::BTreeSet;

use super::item::{Action, Item};
use crate::definition::Definition;
use crate::deployment::{Privilege, Refused, Target};
use crate::error::Result;
use crate::names::{Name, TEMPORARY_ROLES, TEMPORARY_USERS};

/// What merging needs (`_mergeAuthzCollections`).
const MERGE: [&str; 4] = ["createUser", "createRole", "grantRole", "revokeRole"];
/// The merge takes users and roles of all databases where it is given this one.
const ALL_DATABASES: &str = "";

/// Users and roles that are to be merged.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Merging {
    /// The databases whose users and roles are taken.
    dbs: BTreeSet<String>,
    /// Where they are inserted first.
    temporary: BTreeSet<Name>,
}

impl Merging {
    /// None where there is nothing to merge. The oplog may bring users where the backup held none when it was read.
    pub(super) fn of(items: &[Item], replays: bool) -> Option<Self> {
        let merged = items.iter().filter(|item| item.action == Action::Merge);
        let merged: Vec<&Item> = merged.filter(|item| replays || item.documents != Some(0)).collect();
        let of_the_server = merged.iter().any(|item| item.from.db == "admin");
        // Of an archive of one database only that database's users and roles are taken.
        let dbs: BTreeSet<String> = match of_the_server {
            true => BTreeSet::from([ALL_DATABASES.to_owned()]),
            false => merged.iter().map(|item| item.from.db.clone()).collect(),
        };
        let temporary = merged.iter().filter_map(|item| item.data_to()).collect();
        (!merged.is_empty()).then_some(Self { dbs, temporary })
    }

    /// What a user needs to merge them, beyond what is needed for other collections.
    pub(super) fn needed(&self) -> Vec<Privilege> {
        let collections = [TEMPORARY_USERS, TEMPORARY_ROLES].into_iter().flat_map(|collection| {
            let actions = ["insert", "find", "dropCollection"].into_iter();
            actions.map(move |action| Privilege::on_collection(action, "admin", collection))
        });
        collections.chain(MERGE.into_iter().map(Privilege::on_every_database)).collect()
    }

    /// Drops the temporary collections, which hold copies of users: what an earlier restore left, or this one.
    pub(super) async fn clear(&self, target: &Target) -> Result<()> {
        for temporary in [TEMPORARY_USERS, TEMPORARY_ROLES] {
            target.drop_collection(&Name::new("admin", temporary)).await?;
        }
        Ok(())
    }

    /// The oplog changes documents of collections that have to be there.
    pub(super) async fn make_room(&self, target: &Target) -> Result<()> {
        for temporary in &self.temporary {
            match target.create(temporary, &Definition::default()).await {
                Ok(()) | Err(Refused::Exists) => {}
                Err(refused) => return Err(refused.into()),
            }
        }
        Ok(())
    }

    /// Merges what was inserted.
    pub(super) async fn run(&self, target: &Target) -> Result<()> {
        let present = target.collections("admin").await?;
        let given = |name| present.iter().any(|n| n == name).then_some(name);
        let (users, roles) = (given(TEMPORARY_USERS), given(TEMPORARY_ROLES));
        if users.is_some() || roles.is_some() {
            for db in &self.dbs {
                target.merge_users_and_roles(db, users, roles).await?;
            }
        }
        for temporary in [users, roles].into_iter().flatten() {
            target.drop_collection(&Name::new("admin", temporary)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::item::tests::item;
    use super::*;

    fn merging(names: &[&str], replays: bool) -> Option<Merging> {
        let items: Vec<Item> = names.iter().map(|name| item(name, Action::Merge)).collect();
        Merging::of(&items, replays)
    }

    #[test]
    fn the_whole_servers_users_are_merged_or_those_of_the_dumped_databases() {
        let all = merging(&["admin.system.users", "shop.$admin.system.roles"], false).unwrap();
        assert_eq!(all.dbs, BTreeSet::from([String::new()]));
        assert_eq!(all.temporary.len(), 2);
        let two = merging(&["shop.$admin.system.users", "b.$admin.system.users"], false).unwrap();
        assert_eq!(two.dbs, ["b", "shop"].map(String::from).into());
        assert_eq!(two.temporary, BTreeSet::from([Name::new("admin", TEMPORARY_USERS)]));
        assert_eq!(merging(&[], true), None);
    }

    #[test]
    fn where_none_were_read_there_may_be_some_in_the_oplog() {
        let mut none = item("admin.system.users", Action::Merge);
        none.documents = Some(0);
        assert_eq!(Merging::of(&[none.clone()], false), None);
        assert!(Merging::of(&[none], true).is_some());
    }
}
