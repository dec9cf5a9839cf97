//! How the work is shared out among readers: pure, decided before the first document is read.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use bson::RawBson;

use super::bounds::{self, SEGMENT_BYTES};
use crate::deployment::{Bound, Described, Split};
use crate::names::Authorization;

/// Collections in one stretch, so that many empty ones are shared out too.
const STRETCH_COLLECTIONS_MAX: usize = 500;
/// A collection of so many bytes is a stretch of its own, so that its segments hold nothing else: it is restored
/// alone by fetching them alone.
const OWN_STRETCH_BYTES: u64 = 1024 * 1024;
/// If there are no more collections than this with anything in them, each is a stretch of its own, for the same.
/// More would make more objects than the separation is worth.
const OWN_STRETCHES_MAX: usize = 256;
/// The least bytes of a range of a collection.
const RANGE_BYTES_MIN: u64 = 4 * SEGMENT_BYTES;
/// Ranges for each reader and whole backup at most, of a collection that is all there is.
const RANGES_FOR_EACH_READER: u64 = 2;

/// What one reader reads in one go, without a break in the archive: a large collection or a range of it, or several
/// small ones.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stretch {
    /// Places of its namespaces in the list that was planned, in order.
    pub(super) namespaces: Vec<usize>,
    /// Bytes of documents, as the server's statistics say.
    pub(super) bytes: u64,
    /// Which range of its one namespace; none for the whole.
    pub(super) range: Option<Range>,
    /// Whether it cannot be read at the snapshot's moment.
    plain: bool,
}

/// A part of a collection, read by itself.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Range {
    /// The records after one, up to another and with it.
    Natural {
        /// The last one of the part before.
        after: Option<Bound>,
        /// The last one of this part.
        last: Option<Bound>,
    },
    /// By `_id`.
    Ids {
        /// The first one.
        from: Option<RawBson>,
        /// The first one of the next part.
        to: Option<RawBson>,
    },
}

impl Range {
    /// Whether it lies between places of records, which belong to one member.
    pub(super) fn is_by_place(&self) -> bool {
        matches!(self, Self::Natural { after, last } if after.is_some() || last.is_some())
    }
}

/// All stretches of a backup.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stretches {
    /// Bytes of documents that a segment should hold.
    pub(super) segment_bytes: u64,
    /// In the order of the archive; the prelude comes before them, the oplog after them.
    pub(super) list: Vec<Stretch>,
}

/// Into how many ranges each collection should be cut, by its place; those that stay whole are left out.
pub(super) fn ranges(namespaces: &[Described], readers: usize) -> BTreeMap<usize, usize> {
    let readers = u64::try_from(readers).unwrap_or(u64::MAX);
    let total: u64 = namespaces.iter().map(|n| n.bytes).sum();
    let part = (total / readers.saturating_mul(RANGES_FOR_EACH_READER).max(1)).max(RANGE_BYTES_MIN);
    let count = |n: &Described| usize::try_from(n.bytes.div_ceil(part)).unwrap_or(1);
    let large = namespaces.iter().enumerate().filter(|(_, n)| !n.capped && readers > 1);
    large.map(|(place, n)| (place, count(n))).filter(|(_, parts)| *parts > 1).collect()
}

impl Stretches {
    /// Shares `namespaces` out; those in `splits` are read in parts.
    pub(super) fn of(namespaces: &[Described], splits: &BTreeMap<usize, Split>) -> Self {
        let total: u64 = namespaces.iter().map(|n| n.bytes).sum();
        let segment_bytes = bounds::segment_bytes(total);
        let few = namespaces.iter().filter(|n| n.bytes > 0).count() <= OWN_STRETCHES_MAX;
        let mut list: Vec<Stretch> = Vec::new();
        let mut open: Option<Stretch> = None;
        for (place, namespace) in namespaces.iter().enumerate() {
            if let Some(split) = splits.get(&place).filter(|split| split.parts() > 1) {
                list.extend(Stretch::ranges(place, namespace, split));
                continue;
            }
            let stretch = Stretch {
                namespaces: vec![place],
                bytes: namespace.bytes,
                range: None,
                plain: namespace.capped,
            };
            // What has to come first in the archive is never put together with what comes later.
            let first = Authorization::of(&namespace.db, &namespace.collection).is_some();
            if first || namespace.bytes >= OWN_STRETCH_BYTES || (few && namespace.bytes > 0) {
                list.push(stretch);
                continue;
            }
            open = match open.take() {
                None => Some(stretch),
                Some(group) if group.takes(&stretch, segment_bytes) => Some(group.joined(stretch)),
                Some(full) => {
                    list.push(full);
                    Some(stretch)
                }
            };
        }
        list.extend(open);
        // Stable, so parts of one collection stay in their order.
        list.sort_by_key(|stretch| stretch.namespaces[0]);
        Self { segment_bytes, list }
    }

    /// Places of stretches in the order to take them: first what is read as it is now, so that the oplog need not be
    /// replayed far, then the largest, so that no reader is left with a long one at the end.
    pub(super) fn order(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.list.len()).collect();
        places.sort_by_key(|&place| (!self.list[place].plain, Reverse(self.list[place].bytes)));
        places
    }

    /// The stretch's number in the archive.
    pub(super) fn number(&self, place: usize) -> usize {
        // Number 0 is the prelude's.
        place + 1
    }

    /// About how many segments they give: each stretch ends one.
    pub(super) fn segments(&self) -> u64 {
        self.list.iter().map(|stretch| stretch.bytes.div_ceil(self.segment_bytes).max(1)).sum()
    }

    /// The number of the stretch that holds the oplog.
    pub(super) fn oplog_number(&self) -> usize {
        self.list.len() + 1
    }
}

impl Stretch {
    fn ranges(place: usize, namespace: &Described, split: &Split) -> Vec<Self> {
        let ranges: Vec<Range> = match split {
            Split::Natural(bounds) => {
                between(bounds).map(|(after, last)| Range::Natural { after, last }).collect()
            }
            Split::Ids(bounds) => between(bounds).map(|(from, to)| Range::Ids { from, to }).collect(),
        };
        let bytes = namespace.bytes / ranges.len() as u64;
        ranges
            .into_iter()
            .map(|range| Self { namespaces: vec![place], bytes, range: Some(range), plain: false })
            .collect()
    }

    fn takes(&self, next: &Self, segment_bytes: u64) -> bool {
        self.namespaces.len() < STRETCH_COLLECTIONS_MAX && self.bytes + next.bytes <= segment_bytes
    }

    fn joined(mut self, next: Self) -> Self {
        self.namespaces.extend(next.namespaces);
        self.bytes += next.bytes;
        self.plain |= next.plain;
        self
    }
}

/// Each stretch between two neighbours, the open ones at both ends included.
fn between<T: Clone>(bounds: &[T]) -> impl Iterator<Item = (Option<T>, Option<T>)> {
    (0..=bounds.len()).map(|i| (i.checked_sub(1).map(|i| bounds[i].clone()), bounds.get(i).cloned()))
}

/// Documents a reply should hold so that it has about `bytes` bytes; none where nothing is known.
pub(super) fn batch_documents(namespace: &Described, bytes: u64) -> Option<u32> {
    let average = namespace.bytes.checked_div(namespace.documents)?.max(1);
    u32::try_from((bytes / average).clamp(1, 1_000_000)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::backup::testing::collection as namespace;

    const MIB: u64 = 1024 * 1024;

    fn places(stretches: &Stretches) -> Vec<Vec<usize>> {
        stretches.list.iter().map(|stretch| stretch.namespaces.clone()).collect()
    }

    #[test]
    fn few_collections_have_a_run_each_and_empty_ones_share_one() {
        let all: Vec<_> = [1, 2, 0, 900, 0].iter().map(|&s| namespace(&s.to_string(), s * MIB)).collect();
        let stretches = Stretches::of(&all, &BTreeMap::new());
        assert_eq!(places(&stretches), [vec![0], vec![1], vec![2, 4], vec![3]]);
        assert_eq!(stretches.order()[0], 3);
        assert_eq!(stretches.segment_bytes, SEGMENT_BYTES);
    }

    #[test]
    fn many_small_collections_share_stretches() {
        let mut all: Vec<_> = (0..1000).map(|i| namespace(&i.to_string(), 1000)).collect();
        all[500] = namespace("large", 2 * MIB);
        let stretches = Stretches::of(&all, &BTreeMap::new());
        let sizes: Vec<usize> = stretches.list.iter().map(|stretch| stretch.namespaces.len()).collect();
        assert_eq!(sizes, [500, 1, 499]);
    }

    #[test]
    fn users_and_roles_stand_before_all_else_even_where_they_are_empty() {
        let mut all: Vec<_> = (0..600).map(|i| namespace(&i.to_string(), 1000)).collect();
        for (place, name) in ["system.users", "system.roles", "system.version"].into_iter().enumerate() {
            all[place] = Described { db: "admin".into(), ..namespace(name, 0) };
        }
        let places = places(&Stretches::of(&all, &BTreeMap::new()));
        assert_eq!(places[..3], [vec![0], vec![1], vec![2]]);
        assert_eq!((places[3][0], places.len()), (3, 5));
    }

    #[test]
    fn what_cannot_be_read_at_the_moment_comes_first() {
        let mut all = vec![namespace("large", 900 * MIB), namespace("ring", MIB)];
        all[1].capped = true;
        assert_eq!(Stretches::of(&all, &BTreeMap::new()).order(), [1, 0]);
    }

    #[test]
    fn a_collection_that_outweighs_the_others_is_cut() {
        let all =
            [namespace("large", 1000 * MIB), namespace("small", 100 * MIB), namespace("ring", 900 * MIB)];
        let sizes = |readers| ranges(&all[..2], readers);
        assert_eq!(sizes(1), BTreeMap::new());
        assert_eq!(sizes(2), BTreeMap::from([(0, 4)]));
        assert_eq!(sizes(16), BTreeMap::from([(0, 16), (1, 2)]));
        let capped = Described { capped: true, ..all[2].clone() };
        assert_eq!(ranges(&[capped], 2), BTreeMap::new());
    }

    #[test]
    fn parts_meet_without_a_gap() {
        let bound = |record| Bound { record, id: bson::rawdoc! { "_id": record } };
        let split = Split::Natural(vec![bound(10), bound(20)]);
        let stretches = Stretches::of(&[namespace("c", 900 * MIB)], &BTreeMap::from([(0, split)]));
        let ends: Vec<_> = stretches.list.iter().map(|stretch| stretch.range.clone().unwrap()).collect();
        let part = |after: Option<i64>, last: Option<i64>| Range::Natural {
            after: after.map(bound),
            last: last.map(bound),
        };
        assert_eq!(ends, [part(None, Some(10)), part(Some(10), Some(20)), part(Some(20), None)]);
    }

    #[test]
    fn a_reply_holds_about_the_wanted_bytes() {
        assert_eq!(batch_documents(&namespace("c", 400_000), 4000), Some(10));
        assert_eq!(batch_documents(&namespace("empty", 0), 4000), None);
    }

    proptest! {
        #[test]
        fn every_namespace_is_in_exactly_one_stretch(sizes in prop::collection::vec(0u64..40 * MIB, 0..2000)) {
            let all: Vec<_> = sizes.iter().map(|&s| namespace("c", s)).collect();
            let stretches = Stretches::of(&all, &BTreeMap::new());
            let mut places: Vec<usize> = stretches.list.iter().flat_map(|stretch| stretch.namespaces.clone()).collect();
            places.sort_unstable();
            prop_assert_eq!(places, (0..all.len()).collect::<Vec<_>>());
            let few = |stretch: &Stretch| stretch.namespaces.len() == 1 || stretch.bytes <= stretches.segment_bytes;
            prop_assert!(stretches.list.iter().all(few));
        }
    }
}
