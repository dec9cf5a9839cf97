//! How the work is shared out: pure, decided before the first document is read.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use bson::RawBson;

use crate::deployment::{Bound, Described, Split};

/// The bytes of documents that a segment holds on average, unless the database is too large for that.
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// A backup stays well under 10,000 segments: so many are planned for at most, by the sizes known.
const SEGMENTS_PLANNED_MAX: u64 = 5_000;
/// Collections in one run, so that many empty ones are shared out too.
const RUN_COLLECTIONS_MAX: usize = 500;
/// A collection of so many bytes is a run of its own, so that its segments hold nothing else: it is restored
/// alone by fetching them alone.
const OWN_RUN_BYTES: u64 = 1024 * 1024;
/// If there are no more collections than this with anything in them, each is a run of its own, for the same.
/// More would make more objects than the separation is worth.
const OWN_RUNS_MAX: usize = 256;
/// The least bytes of a part of a collection.
const PART_BYTES_MIN: u64 = 4 * SEGMENT_BYTES;
/// Parts for each reader and whole backup at most, of a collection that is all there is.
const PARTS_FOR_EACH_READER: u64 = 2;

/// What one reader does in one go, without a break in the archive: a large collection or a part of it, or several
/// small ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Places of its namespaces in the list that was planned, in order.
    pub namespaces: Vec<usize>,
    /// Bytes of documents, as the server's statistics say.
    pub bytes: u64,
    /// Which part of its one namespace; none for the whole.
    pub part: Option<Part>,
    /// Whether it cannot be read at the snapshot's moment.
    plain: bool,
}

/// A part of a collection.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
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

/// The plan of a backup.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Bytes of documents that a segment should hold.
    pub segment_bytes: u64,
    /// In the order of the archive; the prelude comes before them, the oplog after them.
    pub runs: Vec<Run>,
}

/// Into how many parts each collection should be cut, by its place; those that stay whole are left out.
#[must_use]
pub(super) fn parts(namespaces: &[Described], readers: usize) -> BTreeMap<usize, usize> {
    let readers = u64::try_from(readers).unwrap_or(u64::MAX);
    let total: u64 = namespaces.iter().map(|n| n.bytes).sum();
    let part = (total / readers.saturating_mul(PARTS_FOR_EACH_READER).max(1)).max(PART_BYTES_MIN);
    let count = |n: &Described| usize::try_from(n.bytes.div_ceil(part)).unwrap_or(1);
    let large = namespaces.iter().enumerate().filter(|(_, n)| !n.capped && readers > 1);
    large.map(|(place, n)| (place, count(n))).filter(|(_, parts)| *parts > 1).collect()
}

impl Plan {
    /// Shares `namespaces` out; those in `splits` are read in parts.
    #[must_use]
    pub fn of(namespaces: &[Described], splits: &BTreeMap<usize, Split>) -> Self {
        let total: u64 = namespaces.iter().map(|n| n.bytes).sum();
        let segment_bytes = SEGMENT_BYTES.max(total / SEGMENTS_PLANNED_MAX);
        let few = namespaces.iter().filter(|n| n.bytes > 0).count() <= OWN_RUNS_MAX;
        let mut runs: Vec<Run> = Vec::new();
        let mut open: Option<Run> = None;
        for (place, namespace) in namespaces.iter().enumerate() {
            if let Some(split) = splits.get(&place).filter(|split| split.parts() > 1) {
                runs.extend(Run::parts(place, namespace, split));
                continue;
            }
            let run =
                Run { namespaces: vec![place], bytes: namespace.bytes, part: None, plain: namespace.capped };
            if namespace.bytes >= OWN_RUN_BYTES || (few && namespace.bytes > 0) {
                runs.push(run);
                continue;
            }
            open = match open.take() {
                None => Some(run),
                Some(group) if group.takes(&run, segment_bytes) => Some(group.joined(run)),
                Some(full) => {
                    runs.push(full);
                    Some(run)
                }
            };
        }
        runs.extend(open);
        // Stable, so parts of one collection stay in their order.
        runs.sort_by_key(|run| run.namespaces[0]);
        Self { segment_bytes, runs }
    }

    /// Places of runs in the order to take them: first what is read as it is now, so that the oplog need not be
    /// replayed far, then the largest, so that no reader is left with a long one at the end.
    #[must_use]
    pub fn order(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.runs.len()).collect();
        places.sort_by_key(|&place| (!self.runs[place].plain, Reverse(self.runs[place].bytes)));
        places
    }

    /// The run's number in the archive.
    pub(super) fn run_number(&self, place: usize) -> usize {
        // Run 0 is the prelude's.
        place + 1
    }

    /// The number of the run that holds the oplog.
    pub(super) fn oplog_number(&self) -> usize {
        self.runs.len() + 1
    }
}

impl Run {
    fn parts(place: usize, namespace: &Described, split: &Split) -> Vec<Self> {
        let parts: Vec<Part> = match split {
            Split::Natural(bounds) => {
                between(bounds).map(|(after, last)| Part::Natural { after, last }).collect()
            }
            Split::Ids(bounds) => between(bounds).map(|(from, to)| Part::Ids { from, to }).collect(),
        };
        let bytes = namespace.bytes / parts.len() as u64;
        parts
            .into_iter()
            .map(|part| Self { namespaces: vec![place], bytes, part: Some(part), plain: false })
            .collect()
    }

    fn takes(&self, next: &Self, segment_bytes: u64) -> bool {
        self.namespaces.len() < RUN_COLLECTIONS_MAX && self.bytes + next.bytes <= segment_bytes
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
    use crate::names::NamespaceKind;

    fn namespace(name: &str, bytes: u64) -> Described {
        Described {
            db: "shop".into(),
            collection: name.into(),
            kind: NamespaceKind::Collection,
            capped: false,
            clustered: false,
            uuid: None,
            metadata: "{}".into(),
            documents: bytes / 400,
            bytes,
        }
    }

    const MIB: u64 = 1024 * 1024;

    fn places(plan: &Plan) -> Vec<Vec<usize>> {
        plan.runs.iter().map(|run| run.namespaces.clone()).collect()
    }

    #[test]
    fn few_collections_have_a_run_each_and_empty_ones_share_one() {
        let all: Vec<_> = [1, 2, 0, 900, 0].iter().map(|&s| namespace(&s.to_string(), s * MIB)).collect();
        let plan = Plan::of(&all, &BTreeMap::new());
        assert_eq!(places(&plan), [vec![0], vec![1], vec![2, 4], vec![3]]);
        assert_eq!(plan.order()[0], 3);
        assert_eq!(plan.segment_bytes, SEGMENT_BYTES);
    }

    #[test]
    fn many_small_collections_share_runs() {
        let mut all: Vec<_> = (0..1000).map(|i| namespace(&i.to_string(), 1000)).collect();
        all[500] = namespace("large", 2 * MIB);
        let plan = Plan::of(&all, &BTreeMap::new());
        let sizes: Vec<usize> = plan.runs.iter().map(|run| run.namespaces.len()).collect();
        assert_eq!(sizes, [500, 1, 499]);
    }

    #[test]
    fn what_cannot_be_read_at_the_moment_comes_first() {
        let mut all = vec![namespace("large", 900 * MIB), namespace("ring", MIB)];
        all[1].capped = true;
        assert_eq!(Plan::of(&all, &BTreeMap::new()).order(), [1, 0]);
    }

    #[test]
    fn a_collection_that_outweighs_the_others_is_cut() {
        let all =
            [namespace("large", 1000 * MIB), namespace("small", 100 * MIB), namespace("ring", 900 * MIB)];
        let sizes = |readers| parts(&all[..2], readers);
        assert_eq!(sizes(1), BTreeMap::new());
        assert_eq!(sizes(2), BTreeMap::from([(0, 4)]));
        assert_eq!(sizes(16), BTreeMap::from([(0, 16), (1, 2)]));
        let capped = Described { capped: true, ..all[2].clone() };
        assert_eq!(parts(&[capped], 2), BTreeMap::new());
    }

    #[test]
    fn parts_meet_without_a_gap() {
        let bound = |record| Bound { record, id: bson::rawdoc! { "_id": record } };
        let split = Split::Natural(vec![bound(10), bound(20)]);
        let plan = Plan::of(&[namespace("c", 900 * MIB)], &BTreeMap::from([(0, split)]));
        let ends: Vec<_> = plan.runs.iter().map(|run| run.part.clone().unwrap()).collect();
        let part = |after: Option<i64>, last: Option<i64>| Part::Natural {
            after: after.map(bound),
            last: last.map(bound),
        };
        assert_eq!(ends, [part(None, Some(10)), part(Some(10), Some(20)), part(Some(20), None)]);
    }

    #[test]
    fn segments_grow_with_the_database() {
        let plan = Plan::of(&[namespace("huge", 10 * 1024 * 1024 * MIB)], &BTreeMap::new());
        assert_eq!(10 * 1024 * 1024 * MIB / plan.segment_bytes, SEGMENTS_PLANNED_MAX);
    }

    #[test]
    fn a_reply_holds_about_the_wanted_bytes() {
        assert_eq!(batch_documents(&namespace("c", 400_000), 4000), Some(10));
        assert_eq!(batch_documents(&namespace("empty", 0), 4000), None);
    }

    proptest! {
        #[test]
        fn every_namespace_is_in_exactly_one_run(sizes in prop::collection::vec(0u64..40 * MIB, 0..2000)) {
            let all: Vec<_> = sizes.iter().map(|&s| namespace("c", s)).collect();
            let plan = Plan::of(&all, &BTreeMap::new());
            let mut places: Vec<usize> = plan.runs.iter().flat_map(|run| run.namespaces.clone()).collect();
            places.sort_unstable();
            prop_assert_eq!(places, (0..all.len()).collect::<Vec<_>>());
            let few = |run: &Run| run.namespaces.len() == 1 || run.bytes <= plan.segment_bytes;
            prop_assert!(plan.runs.iter().all(few));
        }
    }
}
