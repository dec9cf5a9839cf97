//! Users and roles: inserted beside the real ones, then merged by MongoDB itself.

use std::collections::BTreeSet;
use std::time::Duration;

use bson::{RawDocument, RawDocumentBuf};

use super::granted::Granted;
use super::item::{Action, Item};
use crate::definition::Definition;
use crate::deployment::{Inserted, OperationBatch, Privilege, Receiver, Refused, Target};
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::{Help, Setting};
use crate::job::Job;
use crate::names::{Name, TEMPORARY_ROLES, TEMPORARY_USERS};
use crate::progress::Warning;

/// How long a restore may take to remove the copies of users that it made.
const CLEARED_WITHIN: Duration = Duration::from_secs(5);
/// How long another restore may have the temporary collections: it needs them for well under a second.
const OTHERS_WITHIN: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);
/// How often it is tried to merge before somebody else's changes.
const TRIES: u32 = 3;
const KEPT_BYTES_MAX: usize = 256 * 1024 * 1024;
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
            let actions = ["createCollection", "insert", "find", "dropCollection"].into_iter();
            actions.map(move |action| Privilege::on_collection(action, "admin", collection))
        });
        collections.chain(MERGE.into_iter().map(Privilege::on_every_database)).collect()
    }

    /// Merges what was kept, with what the oplog then changed of it.
    pub(super) async fn run(
        &self,
        target: &Target,
        kept: &Kept,
        changes: &[RawDocumentBuf],
        job: &Job,
    ) -> Result<Merged> {
        if let Some(warning) = kept.named() {
            job.warn(warning);
        }
        match self.merge(target, kept, changes, job).await? {
            Ok(documents) => Ok(Merged { documents, exceptions: Vec::new() }),
            Err(_) if changes.is_empty() => self.one_by_one(target, kept, job).await,
            Err(refused) => {
                let why = format!("not all users and roles are restored: {}", refused.message());
                Ok(Merged { documents: 0, exceptions: vec![why] })
            }
        }
    }

    /// Where a server refuses one of them, the others are merged all the same.
    async fn one_by_one(&self, target: &Target, kept: &Kept, job: &Job) -> Result<Merged> {
        let mut merged = Merged::default();
        for one in kept.each() {
            job.check()?;
            match self.merge(target, &one, &[], job).await? {
                Ok(documents) => merged.documents += documents,
                Err(refused) => {
                    let name = one
                        .granted()
                        .pop()
                        .map_or_else(|| "a user or role".to_owned(), |one| one.to_string());
                    merged.exceptions.push(format!("{name} is not restored: {}", refused.message()));
                }
            }
        }
        Ok(merged)
    }

    /// How many documents were merged, or why the server refused one of them.
    ///
    /// The temporary collections are there for a moment only, and belong to one restore at a time: they are created, not
    /// taken over. If somebody else changed them meanwhile all of it is done once more.
    async fn merge(
        &self,
        target: &Target,
        kept: &Kept,
        changes: &[RawDocumentBuf],
        job: &Job,
    ) -> Result<Result<u64, Error>> {
        for _ in 0..TRIES {
            self.occupy(target, job).await?;
            let merged = self.fill_and_merge(target, kept, changes).await;
            let cleared = tokio::time::timeout(CLEARED_WITHIN, clear(&target.unattended())).await;
            let cleared = matches!(cleared, Ok(Ok(())));
            match merged {
                Ok(Some(documents)) if cleared => return Ok(Ok(documents)),
                Ok(None) if cleared => {}
                Ok(_) => {
                    return Err(left_behind(Error::new(Code::Mongo, "copies of users could not be removed")));
                }
                Err(Refused::Answer(error)) if cleared => return Ok(Err(error)),
                Err(refused) if cleared => return Err(refused.into()),
                Err(refused) => return Err(left_behind(refused.into())),
            }
        }
        let message = "users and roles could not be merged: somebody else used `admin.tempusers` each time";
        Err(Error::new(Code::TargetChanged, message)
            .help("Wait until no other restore of users runs, then restore the users alone."))
    }

    /// Makes the temporary collections, once nobody else has them. What is left of a restore that died is dropped.
    async fn occupy(&self, target: &Target, job: &Job) -> Result<()> {
        for temporary in [TEMPORARY_USERS, TEMPORARY_ROLES].map(|name| Name::new("admin", name)) {
            let mut waited = Duration::ZERO;
            loop {
                match target.create(&temporary, &Definition::default()).await {
                    Ok(()) => break,
                    Err(Refused::Exists) if waited < OTHERS_WITHIN => {
                        tokio::time::sleep(PAUSE).await;
                        job.check()?;
                        waited += PAUSE;
                    }
                    Err(Refused::Exists) => {
                        job.warn(Warning::CopiesOfUsersDropped { namespace: temporary.to_string() });
                        target.drop_collection(&temporary).await?;
                        waited = Duration::ZERO;
                    }
                    Err(refused) => return Err(refused.into()),
                }
            }
        }
        Ok(())
    }

    /// None where the collections do not hold what was put there.
    async fn fill_and_merge(
        &self,
        target: &Target,
        kept: &Kept,
        changes: &[RawDocumentBuf],
    ) -> Result<Option<u64>, Refused> {
        let mut documents = 0;
        let mut filled = Vec::new();
        for temporary in &self.temporary {
            let inserted = fill(target, temporary, kept).await?;
            if target.count_all(temporary).await? != inserted {
                return Ok(None);
            }
            documents += inserted;
        }
        let mut batch = OperationBatch::default();
        for change in changes {
            if batch.is_full_for(change) {
                target.apply(&mut batch).await?;
            }
            batch.push(change.clone(), 0);
        }
        if !batch.is_empty() {
            target.apply(&mut batch).await?;
        }
        for temporary in &self.temporary {
            filled.push((temporary, target.count_all(temporary).await?));
        }
        let given = |name: &'static str| {
            self.temporary.iter().any(|temporary| temporary.collection == name).then_some(name)
        };
        for db in &self.dbs {
            target.merge_users_and_roles(db, given(TEMPORARY_USERS), given(TEMPORARY_ROLES)).await?;
        }
        for (temporary, count) in filled {
            if target.count_all(temporary).await? != count {
                return Ok(None);
            }
        }
        Ok(Some(documents))
    }
}

/// Puts documents there; how many.
async fn fill(target: &Target, temporary: &Name, kept: &Kept) -> Result<u64, Refused> {
    let mut buffer = target.buffer(temporary, Receiver { is_ordered: false, is_ours: true });
    let mut all = Inserted::default();
    for document in kept.of(temporary) {
        if buffer.is_full_for(document) {
            all.add(target.insert(&mut buffer).await?);
        }
        buffer.push(document);
    }
    all.add(target.insert(&mut buffer).await?);
    match all.refused.first() {
        None => Ok(all.documents),
        Some(refused) => Err(Refused::Answer(Error::new(Code::Mongo, refused.message.clone()))),
    }
}

async fn clear(target: &Target) -> Result<()> {
    for temporary in [TEMPORARY_USERS, TEMPORARY_ROLES] {
        target.drop_collection(&Name::new("admin", temporary)).await?;
    }
    Ok(())
}

fn left_behind(error: Error) -> Error {
    let help = error.help_text().cloned().map_or_else(Help::default, |help| help.and(" "));
    error.help(
        help.and("Drop `admin.tempusers` and `admin.temproles` by hand: they may hold copies of users."),
    )
}

/// Documents of users and roles, by the collection that they are merged from.
#[derive(Debug, Default)]
pub(super) struct Kept {
    documents: Vec<(Name, Vec<u8>)>,
    bytes: usize,
}

impl Kept {
    /// # Errors
    /// [`Code::Damaged`] for more than any server has.
    pub(super) fn push(&mut self, to: &Name, document: &[u8]) -> Result<()> {
        self.bytes += document.len();
        if self.bytes > KEPT_BYTES_MAX {
            return Err(Error::new(Code::Damaged, "there are more than 256 MiB of users and roles")
                .help(help!["Leave them out with ", Setting::Users.to("none"), "."]));
        }
        self.documents.push((to.clone(), document.to_vec()));
        Ok(())
    }

    pub(super) fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.documents.extend(other.documents);
    }

    /// Each document by itself.
    fn each(&self) -> impl Iterator<Item = Self> {
        self.documents.iter().map(|one| Self { documents: vec![one.clone()], bytes: one.1.len() })
    }

    fn of(&self, name: &Name) -> impl Iterator<Item = &[u8]> {
        self.documents.iter().filter(move |(to, _)| to == name).map(|(_, document)| document.as_slice())
    }

    /// Who is merged, and who of them may do anything.
    fn named(&self) -> Option<Warning> {
        let names = self.granted();
        let powerful = names.iter().filter(|one| one.is_powerful).map(|one| one.name.clone()).collect();
        let names: Vec<String> = names.iter().map(Granted::to_string).collect();
        (!names.is_empty()).then_some(Warning::UsersMerged { names, powerful })
    }

    fn granted(&self) -> Vec<Granted> {
        let documents =
            self.documents.iter().filter_map(|(_, document)| RawDocument::from_bytes(document).ok());
        documents.filter_map(Granted::of).collect()
    }
}

/// What became of users and roles.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) documents: u64,
    /// Those that the server refused, in sentences.
    pub(super) exceptions: Vec<String>,
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
    fn who_is_merged_is_named_and_who_may_do_anything() {
        let mut kept = Kept::default();
        let users = Name::new("admin", TEMPORARY_USERS);
        let role = |role: &str| bson::rawdoc! { "role": role, "db": "admin" };
        for (user, granted) in [("alice", "root"), ("bob", "read")] {
            let user = bson::rawdoc! { "_id": user, "user": user, "db": "shop", "roles": [role(granted)] };
            kept.push(&users, user.as_bytes()).unwrap();
        }
        let said = kept.named().unwrap().to_string();
        assert!(said.contains("user `alice@shop` (root@admin), user `bob@shop` (read@admin)"), "{said}");
        assert!(said.contains("`alice@shop` may do anything"), "{said}");
        assert!(Kept::default().named().is_none());
    }

    #[test]
    fn where_none_were_read_there_may_be_some_in_the_oplog() {
        let mut none = item("admin.system.users", Action::Merge);
        none.documents = Some(0);
        assert_eq!(Merging::of(&[none.clone()], false), None);
        assert!(Merging::of(&[none], true).is_some());
    }
}
