//! Capped collections are read as they are: they hold inserts of the oplog already, and inserting these again would
//! put them at the end. What was in one when it was read is told by its newest document.

use std::collections::{HashMap, HashSet};

use bson::Bson;

use super::entries::Entries;
use super::{Replay, in_window};
use crate::error::Result;
use crate::oplog::catalog::Name;
use crate::oplog::entry::{Entry, Kind, Operation, strange};
use crate::restore::Work;
use crate::restore::spool::Spool;

/// For each capped collection whose newest document the oplog inserts: its `_id`, and how many inserts of it are
/// still to come until the collection held it.
pub(super) type Held = HashMap<Name, (Bson, u64)>;

/// Looks what the capped collections hold, and finds that in the oplog.
pub(super) async fn held(work: &Work, spool: &Spool) -> Result<Held> {
    let mut newest = Held::new();
    let capped = work.plan.namespaces.iter().filter(|planned| work.metadata[planned.place].capped());
    for planned in capped.filter(|planned| planned.action.inserts()) {
        let namespace = &work.source.namespaces()[planned.place];
        let (db, collection) = &work.names[planned.place];
        if let Some(id) = work.target.newest(db, collection).await? {
            newest.insert((namespace.db.clone(), namespace.collection.clone()), (id, 0));
        }
    }
    if newest.is_empty() {
        return Ok(newest);
    }
    let mut gone = HashSet::new();
    let mut entries = Entries::of(work, spool)?;
    while let Some(some) = entries.next(work).await? {
        for bytes in some {
            let entry = Entry::of(&bytes)?;
            if !in_window(work, entry.ts) {
                continue;
            }
            for part in entry.operation.parts()? {
                count(&part, &mut newest, &mut gone)?;
            }
        }
    }
    newest.retain(|_, (_, inserts)| *inserts > 0);
    Ok(newest)
}

/// One that is dropped has all later inserts applied, so they do not count.
fn count(part: &Operation<'_>, newest: &mut Held, gone: &mut HashSet<Name>) -> Result<()> {
    if part.kind == Kind::Command {
        if let ("drop", Some(collection)) =
            part.command().map(|(name, argument)| (name, argument.as_str()))?
        {
            gone.insert((part.db.to_owned(), collection.to_owned()));
        }
        return Ok(());
    }
    let name = (part.db.to_owned(), part.collection.to_owned());
    if part.kind == Kind::Insert
        && let Some((id, inserts)) = newest.get_mut(&name)
        && !gone.contains(&name)
        && is(part, id)?
    {
        *inserts += 1;
    }
    Ok(())
}

impl Replay<'_> {
    /// Whether the collection held what this inserts when it was read.
    pub(super) fn is_held(&mut self, name: &Name, part: &Operation<'_>) -> Result<bool> {
        let Some((id, inserts)) = self.held.get_mut(name) else { return Ok(false) };
        if part.kind != Kind::Insert {
            return Ok(false);
        }
        if is(part, id)? {
            *inserts -= 1;
            if *inserts == 0 {
                self.held.remove(name);
            }
        }
        Ok(true)
    }
}

fn is(part: &Operation<'_>, id: &Bson) -> Result<bool> {
    let found = part.o.get("_id").map_err(|e| strange("an `_id` cannot be read").caused_by(e))?;
    Ok(match found {
        Some(found) => Bson::try_from(found).is_ok_and(|found| found == *id),
        None => false,
    })
}
