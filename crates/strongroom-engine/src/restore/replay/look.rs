//! A look at the oplog before anything is touched: whether all of it can be replayed, and into what.

use std::collections::BTreeSet;

use super::entries::Entries;
use super::{argument, in_window, refused, target_of, touches, user_name};
use crate::error::{Code, Error, Result};
use crate::oplog::catalog::Name;
use crate::oplog::entry::{Entry, Kind, Operation};
use crate::oplog::filter::VIEWS;
use crate::oplog::refuse::part_refusal;
use crate::restore::plan::Existing;
use crate::restore::spool::Spool;
use crate::restore::users::authorization;
use crate::restore::{STORED_FUNCTIONS, Source, Work};

/// Whether the user of the target may replay, asked where it will be done.
///
/// # Errors
/// [`Code::MongoPrivilege`] with what is missing.
pub(in crate::restore) async fn may(work: &Work) -> Result<()> {
    if work.plan.replay.is_none() {
        return Ok(());
    }
    let planned = work.plan.namespaces.iter().filter(|planned| planned.action.inserts());
    let names = planned.filter_map(|planned| work.data_target(planned.place));
    let names: Vec<Name> = names.map(|(db, collection)| (db.to_owned(), collection)).collect();
    work.target.may_replay(&names).await?;
    match &*work.source {
        Source::Backup(_) => look(work, &Spool::default()).await,
        // Its oplog comes after its data.
        Source::Archive(_) => Ok(()),
    }
}

/// # Errors
/// [`Code::Damaged`] for entries that cannot be replayed; [`Code::TargetNotEmpty`] where a collection that the
/// oplog creates exists.
pub(in crate::restore) async fn look(work: &Work, spool: &Spool) -> Result<()> {
    let mut created = BTreeSet::new();
    let mut entries = Entries::of(work, spool)?;
    while let Some(some) = entries.next(work).await? {
        for bytes in some {
            let entry = Entry::of(&bytes)?;
            let parts = if in_window(work, entry.ts) { entry.operation.parts()? } else { Vec::new() };
            for part in parts {
                part_of(work, &part, &mut created)?;
            }
        }
    }
    check_created(work, &created).await
}

fn part_of(work: &Work, part: &Operation<'_>, created: &mut BTreeSet<Name>) -> Result<()> {
    if !touches(work, part)? {
        return Ok(());
    }
    if let Some(why) = part_refusal(part) {
        return Err(refused(&why).context("nothing was touched"));
    }
    if part.kind == Kind::Command && part.command()?.0 == "create" {
        let collection = argument(part)?;
        if collection != VIEWS && authorization(part.db, collection).is_none() {
            created.insert((part.db.to_owned(), collection.to_owned()));
        }
    }
    Ok(())
}

/// What the oplog creates and the backup does not hold must not stand in the target's way either.
async fn check_created(work: &Work, created: &BTreeSet<Name>) -> Result<()> {
    let planned: BTreeSet<&str> =
        work.plan.namespaces.iter().map(|planned| planned.target.as_str()).collect();
    let mut names: Vec<Name> = Vec::new();
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
        names.extend(target_of(work, name));
    }
    work.target.may_replay(&names).await
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
