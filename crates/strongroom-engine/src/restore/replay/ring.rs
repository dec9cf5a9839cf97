//! What of the oplog a capped collection held already when it was read. Pure.
//!
//! When it was read is not written down, and need not be: what it holds shows after which entry that was. Where its
//! `_id`s come back, an older entry may show the same, and then leads to the same.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use bson::{RawBsonRef, RawDocument, RawDocumentBuf};

use crate::error::Result;
use crate::oplog::entry::{Kind, Operation, strange};

/// Documents that are compared, from the newest on.
pub(super) const COMPARED: usize = 64;
/// `_id`s that are remembered of what was deleted: some 100 MB. Beyond, changes of what was read are left
/// out.
const REMEMBERED_MAX: usize = 4_000_000;

/// A document: hashes of its `_id` and of all of it. None once it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    id: u64,
    whole: Option<u64>,
}

/// How well a moment of the oplog fits what was read: the greater, the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    /// Nothing stands in between that was deleted by then.
    exact: bool,
    /// Documents that are the same to the byte.
    same: usize,
    /// The number of the event.
    after: u64,
}

/// A ring, followed through the oplog until it is known after which entry it was read.
#[derive(Debug)]
pub(super) struct Ring {
    hasher: RandomState,
    /// Its newest documents when it was read, the newest last.
    read: VecDeque<Seen>,
    /// The newest documents of the oplog that are there, the newest last.
    live: VecDeque<Seen>,
    events: u64,
    best: Option<Fit>,
    deleted: HashSet<u64>,
    /// Inserts of what was deleted before.
    came_back: HashMap<u64, Vec<u64>>,
    remembered: usize,
}

/// What of a ring's entries it holds already.
#[derive(Debug)]
pub(super) struct Held {
    hasher: RandomState,
    /// How many events it holds.
    until: u64,
    events: u64,
    /// The last insert of each that came back, up to `until`. None where they were too many.
    came_back: Option<HashMap<u64, u64>>,
}

impl Ring {
    /// A ring whose newest documents these are, the newest first.
    ///
    /// # Errors
    /// As documents cannot be read.
    pub(super) fn of(newest: &[RawDocumentBuf]) -> Result<Self> {
        let hasher = RandomState::new();
        let read = newest.iter().rev().map(|document| seen(&hasher, document)).collect::<Result<_>>()?;
        Ok(Self {
            hasher,
            read,
            live: VecDeque::new(),
            events: 0,
            best: None,
            deleted: HashSet::new(),
            came_back: HashMap::new(),
            remembered: 0,
        })
    }

    /// Takes its next insert, update or delete.
    ///
    /// # Errors
    /// As documents cannot be read.
    pub(super) fn take(&mut self, part: &Operation<'_>) -> Result<()> {
        self.events += 1;
        match part.kind {
            Kind::Insert => self.insert(seen(&self.hasher, part.o)?),
            Kind::Update => self.update(id_of(&self.hasher, part.o2.unwrap_or(part.o))?),
            Kind::Delete => self.delete(id_of(&self.hasher, part.o)?),
            Kind::Command | Kind::Noop | Kind::Unknown => {}
        }
        self.compare();
        Ok(())
    }

    fn insert(&mut self, document: Seen) {
        if self.deleted.contains(&document.id) && self.remembers() {
            self.came_back.entry(document.id).or_default().push(self.events);
        }
        // An insert of what is there is a repetition of it, as in a vectored insert that was tried again.
        self.live.retain(|known| known.id != document.id);
        self.live.push_back(document);
        if self.live.len() > COMPARED {
            self.live.pop_front();
        }
    }

    fn update(&mut self, id: u64) {
        if let Some(known) = self.live.iter_mut().find(|known| known.id == id) {
            known.whole = None;
        }
    }

    fn delete(&mut self, id: u64) {
        self.live.retain(|known| known.id != id);
        if !self.deleted.contains(&id) && self.remembers() {
            self.deleted.insert(id);
        }
    }

    fn remembers(&mut self) -> bool {
        self.remembered += 1;
        self.remembered <= REMEMBERED_MAX
    }

    /// Whether it may have been read now: what the oplog inserted and did not delete stands at its end. If it was
    /// written while it was read, there may be something in between that is deleted by now.
    fn compare(&mut self) {
        let Some(fit) = self.fit() else { return };
        self.best = self.best.max(Some(fit));
    }

    fn fit(&self) -> Option<Fit> {
        let newest = self.live.back()?;
        if self.read.back().is_none_or(|read| read.id != newest.id) {
            return None;
        }
        let mut fit = Fit { exact: true, same: 0, after: self.events };
        let mut read = self.read.iter().rev();
        for live in self.live.iter().rev() {
            let found = loop {
                match read.next() {
                    Some(found) if found.id == live.id => break found,
                    Some(extra) if self.is_gone(extra.id) => fit.exact = false,
                    Some(_) => return None,
                    // What is compared ends here; or it had to be there.
                    None => return (self.read.len() == COMPARED).then_some(fit),
                }
            };
            match live.whole {
                Some(_) if live.whole != found.whole => return None,
                Some(_) => fit.same += 1,
                None => {}
            }
        }
        Some(fit)
    }

    fn is_gone(&self, id: u64) -> bool {
        self.deleted.contains(&id) && self.live.iter().all(|live| live.id != id)
    }

    /// What it holds, if anything of the oplog.
    pub(super) fn held(self) -> Option<Held> {
        let until = self.best?.after;
        let last = |inserts: Vec<u64>| inserts.into_iter().filter(|insert| *insert <= until).max();
        let came_back = (self.remembered <= REMEMBERED_MAX).then(|| {
            let all = self.came_back.into_iter();
            all.filter_map(|(id, inserts)| Some((id, last(inserts)?))).collect()
        });
        Some(Held { hasher: self.hasher, until, events: 0, came_back })
    }
}

impl Held {
    /// Whether the ring holds what its next insert, update or delete does. A change of a document that did not come
    /// back leads to the same when it is made again.
    ///
    /// # Errors
    /// As documents cannot be read.
    pub(super) fn has(&mut self, part: &Operation<'_>) -> Result<bool> {
        self.events += 1;
        if self.is_over() {
            return Ok(false);
        }
        let changed = match part.kind {
            Kind::Update => part.o2.unwrap_or(part.o),
            Kind::Delete => part.o,
            _ => return Ok(true),
        };
        let Some(came_back) = &self.came_back else { return Ok(true) };
        let inserted = came_back.get(&id_of(&self.hasher, changed)?);
        Ok(inserted.is_some_and(|inserted| *inserted > self.events))
    }

    fn is_over(&self) -> bool {
        self.events > self.until
    }
}

fn seen(hasher: &RandomState, document: &RawDocument) -> Result<Seen> {
    Ok(Seen { id: id_of(hasher, document)?, whole: Some(hasher.hash_one(document.as_bytes())) })
}

fn id_of(hasher: &RandomState, document: &RawDocument) -> Result<u64> {
    let id = document.get("_id").map_err(|e| strange("an `_id` cannot be read").caused_by(e))?;
    let id: RawBsonRef<'_> = id.unwrap_or(RawBsonRef::Null);
    let mut alone = RawDocumentBuf::new();
    alone.append(bson::raw::cstr!("_id"), id);
    Ok(hasher.hash_one(alone.as_bytes()))
}

#[cfg(test)]
mod tests {
    use bson::{Timestamp, rawdoc};
    use proptest::prelude::*;

    use super::*;
    use crate::oplog::entry::Entry;

    const MAX: usize = 5;

    /// A ring, as a server keeps it.
    #[derive(Clone, Default, Debug, PartialEq)]
    struct Model(Vec<(i32, i32)>);

    impl Model {
        fn apply(&mut self, raw: &RawDocumentBuf) {
            let o = raw.get_document("o").unwrap();
            match raw.get_str("op").unwrap() {
                "i" => {
                    let id = o.get_i32("_id").unwrap();
                    self.0.retain(|known| known.0 != id);
                    self.0.push((id, o.get_i32("n").unwrap()));
                }
                "d" => self.0.retain(|known| known.0 != o.get_i32("_id").unwrap()),
                _ => {
                    let id = raw.get_document("o2").unwrap().get_i32("_id").unwrap();
                    let n = o.get_document("diff").unwrap().get_document("u").unwrap().get_i32("n").unwrap();
                    self.0.iter_mut().filter(|known| known.0 == id).for_each(|known| known.1 = n);
                }
            }
        }

        fn newest(&self) -> Vec<RawDocumentBuf> {
            self.0.iter().rev().take(COMPARED).map(|(id, n)| rawdoc! { "_id": *id, "n": *n }).collect()
        }
    }

    fn entry(op: &str, o: RawDocumentBuf) -> RawDocumentBuf {
        rawdoc! { "op": op, "ns": "shop.ring", "o": o, "ts": Timestamp { time: 1, increment: 1 } }
    }

    fn insert(id: i32, n: i32) -> RawDocumentBuf {
        entry("i", rawdoc! { "_id": id, "n": n })
    }

    fn delete(id: i32) -> RawDocumentBuf {
        entry("d", rawdoc! { "_id": id })
    }

    fn update(id: i32, n: i32) -> RawDocumentBuf {
        let mut entry = entry("u", rawdoc! { "$v": 2, "diff": { "u": { "n": n } } });
        entry.append(bson::raw::cstr!("o2"), rawdoc! { "_id": id });
        entry
    }

    /// The ring at the end, if it was read after `read` of the entries, and what it held is left out.
    fn replayed(before: &Model, entries: &[RawDocumentBuf], read: usize) -> Model {
        let mut model = before.clone();
        entries[..read].iter().for_each(|entry| model.apply(entry));
        let mut ring = Ring::of(&model.newest()).unwrap();
        for raw in entries {
            ring.take(&Entry::of(raw.as_bytes()).unwrap().operation).unwrap();
        }
        let mut held = ring.held();
        for raw in entries {
            let operation = Entry::of(raw.as_bytes()).unwrap().operation;
            let has = held.as_mut().map_or(Ok(false), |held| held.has(&operation)).unwrap();
            if !has {
                model.apply(raw);
            }
        }
        model
    }

    #[test]
    fn inserts_up_to_the_newest_document_are_held_and_later_ones_are_not() {
        let entries: Vec<_> = (5..20).map(|id| insert(id, 0)).collect();
        let before = Model((0..5).map(|id| (id, 0)).collect());
        for read in 0..=entries.len() {
            assert_eq!(replayed(&before, &entries, read).0.len(), 20, "{read}");
        }
    }

    #[test]
    fn what_was_deleted_while_it_was_read_does_not_hide_when_that_was() {
        let mut ring = Ring::of(&Model(vec![(1, 0), (7, 0), (3, 0), (9, 0)]).newest()).unwrap();
        let entries = [insert(7, 0), insert(3, 0), delete(3), insert(9, 0), insert(10, 0)];
        let operations = entries.each_ref().map(|raw| Entry::of(raw.as_bytes()).unwrap().operation);
        operations.iter().for_each(|operation| ring.take(operation).unwrap());
        let mut held = ring.held().unwrap();
        let has = operations.map(|operation| held.has(&operation).unwrap());
        assert_eq!(has, [true, true, false, true, false], "it is deleted again");
    }

    proptest! {
        /// Whenever it was read, and however often its `_id`s come back, it ends as the source's.
        #[test]
        fn whenever_it_was_read_a_ring_ends_as_the_sources(
            steps in proptest::collection::vec((0..8_i32, 0..4_u8), 1..60),
            window in 0..20_usize,
            read in 0..60_usize,
            told_apart: bool,
        ) {
            let mut model = Model::default();
            let mut all = Vec::new();
            for (n, (id, step)) in steps.into_iter().enumerate() {
                let n = if told_apart { n as i32 } else { 0 };
                let there = model.0.iter().any(|known| known.0 == id);
                let mut next = match (step, there) {
                    (0, true) => vec![delete(id)],
                    (1, true) => vec![update(id, n)],
                    (_, true) => vec![delete(id), insert(id, n)],
                    (_, false) => vec![insert(id, n)],
                };
                if model.0.len() == MAX {
                    next.push(delete(model.0[0].0));
                }
                next.iter().for_each(|entry| model.apply(entry));
                all.extend(next);
            }
            let window = window.min(all.len());
            let (earlier, entries) = all.split_at(window);
            let mut before = Model::default();
            earlier.iter().for_each(|entry| before.apply(entry));
            let found = replayed(&before, entries, read.min(entries.len()));
            prop_assert_eq!(found, model);
        }
    }
}
