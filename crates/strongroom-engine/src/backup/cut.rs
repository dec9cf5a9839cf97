//! Where a segment ends is decided by content, so that an unchanged stretch of a collection gives the same
//! segments in the next backup although something before it grew or shrank.

use mongo_archive::Crc64;

/// Decides after which document a segment ends.
///
/// Past five eighths of the wanted size every document may be the last: a hash of its first bytes (its `_id`,
/// with most schemas) is compared with a bar that is proportional to its length, so each further byte is as
/// likely as any other to be the end, and about the wanted size is reached on average. At eleven eighths the
/// segment ends in any case, which bounds memory.
#[derive(Debug, Clone)]
pub(super) struct Cutter {
    wanted: u64,
    bytes: u64,
}

/// The bytes that are hashed: after the document's length, the type, name and value of an `ObjectId` `_id`.
const HASHED: std::ops::Range<usize> = 4..21;

impl Cutter {
    /// For segments of `wanted` bytes of documents on average.
    pub(super) fn new(wanted: u64) -> Self {
        Self { wanted, bytes: 0 }
    }

    fn least(&self) -> u64 {
        self.wanted / 8 * 5
    }

    /// The bytes of documents that a segment never exceeds, unless it is one longer document.
    pub(super) fn most(&self) -> u64 {
        self.wanted / 8 * 11
    }

    /// Whether the segment should end before `document`, because it would grow past the most it may have.
    pub(super) fn must_end_before(&self, document: &[u8]) -> bool {
        self.bytes > 0 && self.bytes + document.len() as u64 > self.most()
    }

    /// Takes `document` into the segment; whether the segment ends after it.
    pub(super) fn ends_after(&mut self, document: &[u8]) -> bool {
        self.bytes += document.len() as u64;
        self.bytes >= self.most() || (self.bytes > self.least() && self.is_chosen(document))
    }

    /// A new segment begins.
    pub(super) fn restart(&mut self) {
        self.bytes = 0;
    }

    fn is_chosen(&self, document: &[u8]) -> bool {
        let mut hash = Crc64::new();
        hash.update(&document[HASHED.start.min(document.len())..HASHED.end.min(document.len())]);
        let mean = u128::from(self.wanted - self.least()).max(1);
        u128::from(hash.value()) * mean < (document.len() as u128) << 64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A document with an `ObjectId`-like `_id` and a body of `length` bytes in all.
    fn document(id: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length.max(26)];
        bytes[4..9].copy_from_slice(b"\x07_id\0");
        bytes[9..17].copy_from_slice(&id.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
        bytes
    }

    fn sizes(documents: &[Vec<u8>], wanted: u64) -> Vec<u64> {
        let mut cutter = Cutter::new(wanted);
        let mut sizes = vec![0];
        for document in documents {
            if cutter.must_end_before(document) {
                cutter.restart();
                sizes.push(0);
            }
            *sizes.last_mut().unwrap() += document.len() as u64;
            if cutter.ends_after(document) {
                cutter.restart();
                sizes.push(0);
            }
        }
        sizes.retain(|&size| size > 0);
        sizes
    }

    #[test]
    fn segments_have_the_wanted_size_on_average() {
        let documents: Vec<_> = (0..200_000).map(|i| document(i, 400)).collect();
        let sizes = sizes(&documents, 400_000);
        let average = sizes.iter().sum::<u64>() / sizes.len() as u64;
        assert!((340_000..460_000).contains(&average), "average {average}");
        assert!(sizes.iter().all(|&size| size <= 550_000));
        assert!(sizes[..sizes.len() - 1].iter().all(|&size| size > 250_000));
    }

    #[test]
    fn a_change_at_the_front_leaves_later_ends_where_they_were() {
        let documents: Vec<_> = (0..50_000).map(|i| document(i, 400)).collect();
        let (before, after) = (sizes(&documents, 400_000), sizes(&documents[7..], 400_000));
        let same = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
        assert!(same > before.len() / 2, "{same} of {} ends stayed", before.len());
    }

    proptest! {
        #[test]
        fn only_a_single_document_exceeds_the_most(lengths in prop::collection::vec(5usize..5000, 1..300)) {
            let documents: Vec<_> = lengths.iter().enumerate().map(|(i, &l)| document(i as u64, l)).collect();
            let sizes = sizes(&documents, 1000);
            let longest = documents.iter().map(|d| d.len() as u64).max().unwrap();
            prop_assert!(sizes.iter().all(|&size| size <= 1375.max(longest)));
            prop_assert_eq!(sizes.iter().sum::<u64>(), documents.iter().map(|d| d.len() as u64).sum::<u64>());
        }
    }
}
