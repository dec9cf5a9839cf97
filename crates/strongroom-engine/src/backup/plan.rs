//! How the work is shared out: pure, decided before the first document is read.

use crate::deployment::Described;

/// The bytes of documents that a segment holds on average, unless the database is too large for that.
pub const SEGMENT_BYTES: u64 = 16 * 1024 * 1024;
/// A backup stays well under 10,000 segments: so many are planned for at most, by the sizes known.
const SEGMENTS_PLANNED_MAX: u64 = 5_000;
/// Collections in one run, so that many empty ones are shared out too.
const RUN_COLLECTIONS_MAX: usize = 500;

/// What one reader does in one go, without a break in the archive: a large collection, or several small ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Places of its namespaces in the list that was planned, in order.
    pub namespaces: Vec<usize>,
    /// Bytes of documents, as the server's statistics say.
    pub bytes: u64,
}

/// The plan of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Bytes of documents that a segment should hold.
    pub segment_bytes: u64,
    /// In the order of the archive; the prelude comes before them.
    pub runs: Vec<Run>,
}

impl Plan {
    /// Shares `namespaces` out: each large one is a run of its own (so that its segments depend on nothing
    /// else and can be the same in the next backup), small ones are put together up to a segment's size.
    #[must_use]
    pub fn of(namespaces: &[Described]) -> Self {
        let total: u64 = namespaces.iter().map(|n| n.bytes).sum();
        let segment_bytes = SEGMENT_BYTES.max(total / SEGMENTS_PLANNED_MAX);
        let mut runs: Vec<Run> = Vec::new();
        let mut open: Option<Run> = None;
        for (place, namespace) in namespaces.iter().enumerate() {
            let run = Run { namespaces: vec![place], bytes: namespace.bytes };
            if namespace.bytes >= segment_bytes / 2 {
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
        runs.sort_by_key(|run| run.namespaces[0]);
        Self { segment_bytes, runs }
    }

    /// Places of runs, the largest first: so no reader is left with a long one at the end.
    #[must_use]
    pub fn largest_first(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.runs.len()).collect();
        places.sort_by_key(|&place| std::cmp::Reverse(self.runs[place].bytes));
        places
    }
}

impl Run {
    fn takes(&self, next: &Self, segment_bytes: u64) -> bool {
        self.namespaces.len() < RUN_COLLECTIONS_MAX && self.bytes + next.bytes <= segment_bytes
    }

    fn joined(mut self, next: Self) -> Self {
        self.namespaces.extend(next.namespaces);
        self.bytes += next.bytes;
        self
    }
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
    use crate::manifest::NamespaceKind;

    fn namespace(name: &str, bytes: u64) -> Described {
        Described {
            db: "shop".into(),
            collection: name.into(),
            kind: NamespaceKind::Collection,
            capped: false,
            metadata: "{}".into(),
            documents: bytes / 400,
            bytes,
        }
    }

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn small_ones_share_a_run_and_large_ones_have_their_own() {
        let sizes = [1, 2, 900, 3, 10, 9, 0];
        let all: Vec<_> = sizes.iter().map(|&s| namespace(&s.to_string(), s * MIB)).collect();
        let plan = Plan::of(&all);
        let places: Vec<_> = plan.runs.iter().map(|run| run.namespaces.clone()).collect();
        assert_eq!(places, [vec![0, 1, 3, 6], vec![2], vec![4], vec![5]]);
        assert_eq!(plan.largest_first()[0], 1);
        assert_eq!(plan.segment_bytes, SEGMENT_BYTES);
    }

    #[test]
    fn segments_grow_with_the_database() {
        let plan = Plan::of(&[namespace("huge", 10 * 1024 * 1024 * MIB)]);
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
            let plan = Plan::of(&all);
            let mut places: Vec<usize> = plan.runs.iter().flat_map(|run| run.namespaces.clone()).collect();
            places.sort_unstable();
            prop_assert_eq!(places, (0..all.len()).collect::<Vec<_>>());
            let few = |run: &Run| run.namespaces.len() == 1 || run.bytes <= plan.segment_bytes;
            prop_assert!(plan.runs.iter().all(few));
        }
    }
}
