//! A look at the oplog before anything is touched: whether all of it can be replayed, and into what.

use std::collections::BTreeSet;

use super::entries::Entries;
use super::{argument, is_after, refused, target_of, touches, user_name};
use crate::deployment::Privilege;
use crate::error::{Code, Error, Result};
use crate::oplog::catalog::Name;
use crate::oplog::entry::{Entry, Kind, Operation};
use crate::oplog::filter::VIEWS;
use crate::oplog::refuse::part_refusal;
use crate::oplog::rewrite::is_mended;
use crate::restore::settings::Existing;
use crate::restore::spool::Spool;
use crate::restore::users::authorization;
use crate::restore::{STORED_FUNCTIONS, Source, Work};

/// The roles that grant what is needed, as far as roles of MongoDB do.
const RESTORING: &str = "restore";
const CHANGING: &str = "readWriteAnyDatabase";

/// Whether the target can replay, and its user may.
///
/// # Errors
/// [`Code::MongoPrivilege`] with what is missing; as [`look`].
pub(in crate::restore) async fn may(work: &Work) -> Result<()> {
    if work.plan.replay.is_none() {
        return Ok(());
    }
    let planned = work.plan.namespaces.iter().filter(|planned| planned.action.inserts());
    let names = planned.filter_map(|planned| work.data_target(planned.place));
    let names: Vec<Name> = names.map(|(db, collection)| (db.to_owned(), collection)).collect();
    if let Some((db, collection)) = names.first() {
        work.target.can_replay(db, collection).await?;
    }
    match &*work.source {
        Source::Backup(_) => look(work, &Spool::default()).await,
        // Its oplog comes after its data, and may hold anything.
        Source::Archive(_) => {
            let anything = names.iter().flat_map(|name| ["update", "remove"].map(|action| on(action, name)));
            require(work, &anything.collect::<Vec<_>>(), CHANGING).await
        }
    }
}

fn on(action: &'static str, (db, collection): &Name) -> Privilege {
    Privilege::on_collection(action, db, collection)
}

/// What is met in the oplog.
#[derive(Default)]
struct Met {
    created: BTreeSet<Name>,
    /// Commands are run as ordinary ones, and need the same.
    commands: BTreeSet<(&'static str, Name)>,
    changes: BTreeSet<(&'static str, Name)>,
}

/// # Errors
/// [`Code::Damaged`] for entries that cannot be replayed; [`Code::TargetNotEmpty`] where a collection that the
/// oplog creates exists; [`Code::MongoPrivilege`] for commands that the user may not run.
pub(in crate::restore) async fn look(work: &Work, spool: &Spool) -> Result<()> {
    let mut met = Met::default();
    let mut entries = Entries::of(work, spool)?;
    while let Some(some) = entries.next(work).await? {
        for bytes in some {
            let entry = Entry::of(&bytes)?;
            // What stands before the window are parts of transactions that may take effect in it.
            if is_after(work, entry.ts) {
                continue;
            }
            for part in entry.operation.parts()? {
                met.part(work, &part)?;
            }
        }
    }
    let commands = met.commands.iter().map(|(action, name)| on(action, &user_name(work, name)));
    require(work, &commands.collect::<Vec<_>>(), RESTORING).await?;
    let changes =
        met.changes.iter().filter_map(|(action, name)| target_of(work, name).map(|name| on(action, &name)));
    require(work, &changes.collect::<Vec<_>>(), CHANGING).await?;
    check_created(work, &met.created).await
}

async fn require(work: &Work, needed: &[Privilege], role: &str) -> Result<()> {
    match work.target.privileges().await? {
        Some(privileges) => privileges.require(needed, role),
        None => Ok(()),
    }
}

impl Met {
    fn part(&mut self, work: &Work, part: &Operation<'_>) -> Result<()> {
        if !touches(work, part)? {
            return Ok(());
        }
        if let Some(why) = part_refusal(part) {
            return Err(refused(&why).context("nothing was touched"));
        }
        match part.kind {
            Kind::Noop => Ok(()),
            Kind::Command => self.command(part),
            _ if part.collection == VIEWS => Ok(()),
            Kind::Insert => {
                self.change("insert", part);
                self.change("bypassDocumentValidation", part);
                if is_mended(part)? {
                    self.change("update", part);
                }
                Ok(())
            }
            Kind::Update => {
                self.change("update", part);
                Ok(())
            }
            Kind::Delete => {
                self.change("remove", part);
                Ok(())
            }
        }
    }

    fn change(&mut self, action: &'static str, part: &Operation<'_>) {
        self.changes.insert((action, (part.db.to_owned(), part.collection.to_owned())));
    }

    fn command(&mut self, part: &Operation<'_>) -> Result<()> {
        let action = match part.command()?.0 {
            "create" => "createCollection",
            "drop" => "dropCollection",
            "collMod" => "collMod",
            _ => return Ok(()),
        };
        let name = (part.db.to_owned(), argument(part)?.to_owned());
        if name.1 == VIEWS || authorization(&name.0, &name.1).is_some() {
            return Ok(());
        }
        if action == "createCollection" {
            self.created.insert(name.clone());
        }
        self.commands.insert((action, name));
        Ok(())
    }
}

/// What the oplog creates and the backup does not hold must not stand in the target's way either.
async fn check_created(work: &Work, created: &BTreeSet<Name>) -> Result<()> {
    let planned: BTreeSet<&str> =
        work.plan.namespaces.iter().map(|planned| planned.target.as_str()).collect();
    for name in created {
        let (db, collection) = user_name(work, name);
        if planned.contains(format!("{db}.{collection}").as_str()) {
            continue;
        }
        let present = work.target.collections(&db).await?;
        if work.options.existing == Existing::Refuse
            && collection != STORED_FUNCTIONS
            && present.contains(&collection)
        {
            return Err(exists(&db, &collection));
        }
    }
    Ok(())
}

fn exists(db: &str, collection: &str) -> Error {
    Error::new(
        Code::TargetNotEmpty,
        format!("`{db}.{collection}`, which was created while the backup was made, exists in the target"),
    )
    .help(
        "Restore into an empty deployment or under other names (--rename), or say --drop to replace it, or \
         --into-existing to add to it.",
    )
}
