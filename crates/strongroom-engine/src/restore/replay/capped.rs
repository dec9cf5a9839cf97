//! Capped collections are read as they are: they hold inserts of the oplog already, and inserting these again would
//! put them at the end. Its newest document shows what was in one when it was read.

use std::collections::{HashMap, HashSet};

use bson::Bson;

use super::Replay;
use super::entries::Entries;
use crate::deployment::Target;
use crate::error::Result;
use crate::names::Name;
use crate::oplog::entry::{Entry, Kind, Operation, strange};
use crate::restore::item::Item;
use crate::spool::Spool;

/// For each capped collection whose newest document the oplog inserts: its `_id`, and how many inserts of it are
/// still to come until the collection held it.
#[derive(Debug, Default)]
pub(super) struct Held(HashMap<Name, (Bson, u64)>);

/// Looks what the capped collections hold, and finds that in the oplog.
pub(super) async fn held(replay: &Replay<'_>, spool: &Spool) -> Result<Held> {
    let mut held = Held(newest(replay.target, replay.items).await?);
    if held.0.is_empty() {
        return Ok(held);
    }
    let mut gone = HashSet::new();
    let mut entries = Entries::of(replay.source, spool)?;
    while let Some(some) = entries.next(replay.job).await? {
        for bytes in some {
            let entry = Entry::of(&bytes)?;
            if !replay.scope.holds(entry.ts) {
                continue;
            }
            for part in entry.operation.parts()? {
                count(&part, &mut held.0, &mut gone)?;
            }
        }
    }
    held.0.retain(|_, (_, inserts)| *inserts > 0);
    Ok(held)
}

async fn newest(target: &Target, items: &[Item]) -> Result<HashMap<Name, (Bson, u64)>> {
    let mut newest = HashMap::new();
    for item in items.iter().filter(|item| item.action.inserts() && item.metadata.capped()) {
        if let Some(id) = target.newest(&item.to).await? {
            newest.insert(item.from.clone(), (id, 0));
        }
    }
    Ok(newest)
}

/// One that is dropped has all later inserts applied, so they do not count.
fn count(
    part: &Operation<'_>,
    newest: &mut HashMap<Name, (Bson, u64)>,
    gone: &mut HashSet<Name>,
) -> Result<()> {
    if part.kind == Kind::Command {
        if let ("drop", Some(collection)) =
            part.command().map(|(name, argument)| (name, argument.as_str()))?
        {
            gone.insert(Name::new(part.db, collection));
        }
        return Ok(());
    }
    let name = part.name();
    if part.kind == Kind::Insert
        && let Some((id, inserts)) = newest.get_mut(&name)
        && !gone.contains(&name)
        && is(part, id)?
    {
        *inserts += 1;
    }
    Ok(())
}

impl Held {
    /// Whether the collection held what this inserts when it was read.
    pub(super) fn has(&mut self, name: &Name, part: &Operation<'_>) -> Result<bool> {
        let Some((id, inserts)) = self.0.get_mut(name) else { return Ok(false) };
        if part.kind != Kind::Insert {
            return Ok(false);
        }
        if is(part, id)? {
            *inserts -= 1;
            if *inserts == 0 {
                self.0.remove(name);
            }
        }
        Ok(true)
    }

    /// The collection is dropped: whatever comes later is new.
    pub(super) fn forget(&mut self, name: &Name) {
        self.0.remove(name);
    }
}

fn is(part: &Operation<'_>, id: &Bson) -> Result<bool> {
    let found = part.o.get("_id").map_err(|e| strange("an `_id` cannot be read").caused_by(e))?;
    Ok(match found {
        Some(found) => Bson::try_from(found).is_ok_and(|found| found == *id),
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use bson::{RawDocumentBuf, Timestamp, rawdoc};

    use super::*;

    fn insert(id: i32) -> RawDocumentBuf {
        rawdoc! { "op": "i", "ns": "shop.log", "o": { "_id": id }, "ts": Timestamp { time: 1, increment: 1 } }
    }

    #[test]
    fn inserts_up_to_the_newest_document_are_held_already() {
        let name = Name::new("shop", "log");
        let mut held = Held(HashMap::from([(name.clone(), (Bson::Int32(7), 0))]));
        let drop = rawdoc! { "op": "c", "ns": "shop.$cmd", "o": { "drop": "log" }, "ts": Timestamp { time: 1, increment: 1 } };
        let mut gone = HashSet::new();
        for raw in [insert(6), insert(7), insert(8), drop, insert(7)] {
            count(&Entry::of(raw.as_bytes()).unwrap().operation, &mut held.0, &mut gone).unwrap();
        }
        let mut has =
            |raw: RawDocumentBuf| held.has(&name, &Entry::of(raw.as_bytes()).unwrap().operation).unwrap();
        assert_eq!([has(insert(6)), has(insert(7)), has(insert(8))], [true, true, false]);
    }
}
