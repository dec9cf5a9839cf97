//! Capped collections are read as they are: they hold a part of the oplog already, and inserting that again would put
//! it at the end.

use std::collections::HashMap;

use super::Replay;
use super::entries::Entries;
use super::ring::{self, COMPARED, Ring};
use crate::error::Result;
use crate::names::Name;
use crate::oplog::entry::{Entry, Kind, Operation};
use crate::spool::Spool;

/// What each capped collection holds of the oplog.
#[derive(Debug, Default)]
pub(super) struct Held(HashMap<Name, ring::Held>);

/// Looks what the capped collections hold, and finds that in the oplog.
pub(super) async fn held(replay: &Replay<'_>, spool: &Spool) -> Result<Held> {
    let mut rings = HashMap::new();
    for item in replay.items.iter().filter(|item| item.action.inserts() && item.metadata.capped()) {
        let newest = replay.target.newest(&item.to, COMPARED).await?;
        if !newest.is_empty() {
            rings.insert(item.from.clone(), Ring::of(&newest)?);
        }
    }
    let mut known = HashMap::new();
    if rings.is_empty() {
        return Ok(Held::default());
    }
    let mut entries = Entries::of(replay.source, spool)?;
    while let Some(some) = entries.next(replay.job).await? {
        for bytes in some {
            let entry = Entry::of(&bytes)?;
            if replay.scope.holds(entry.ts) {
                entry.operation.parts()?.iter().try_for_each(|part| take(part, &mut rings, &mut known))?;
            }
        }
    }
    known.extend(rings);
    Ok(Held(known.into_iter().filter_map(|(name, ring)| Some((name, ring.held()?))).collect()))
}

/// One that is dropped was read before.
fn take(
    part: &Operation<'_>,
    rings: &mut HashMap<Name, Ring>,
    known: &mut HashMap<Name, Ring>,
) -> Result<()> {
    if part.kind != Kind::Command {
        return rings.get_mut(&part.name()).map_or(Ok(()), |ring| ring.take(part));
    }
    let (command, argument) = part.command()?;
    if let ("drop", Some(collection)) = (command, argument.as_str()) {
        known.extend(rings.remove_entry(&Name::new(part.db, collection)));
    }
    Ok(())
}

impl Held {
    /// Whether the collection held what this does when it was read.
    pub(super) fn has(&mut self, name: &Name, part: &Operation<'_>) -> Result<bool> {
        self.0.get_mut(name).map_or(Ok(false), |held| held.has(part))
    }

    /// The collection is dropped: whatever comes later is new.
    pub(super) fn forget(&mut self, name: &Name) {
        self.0.remove(name);
    }
}
