//! How large segments may be, and what a backup then takes at most: computed from its settings before it begins. Pure.

use crate::compression::Compression;
use crate::deployment::Described;

const MIB: u64 = 1024 * 1024;

/// The bytes of documents that a segment holds on average.
pub(super) const SEGMENT_BYTES: u64 = 16 * MIB;
/// The same for the largest databases. [`Cutter`](super::cut::Cutter) ends a segment at eleven eighths of it, so none
/// has more than 64 MiB.
const SEGMENT_BYTES_MAX: u64 = 44 * MIB;
/// Up to so many segments they keep their size. Every segment is a line of the manifest, which is in memory whole.
const SEGMENTS_OF_LEAST_SIZE: u64 = 64 * 1024;
/// The longest document that MongoDB stores, with room for what it adds itself.
const DOCUMENT_BYTES_MAX: u64 = 16 * MIB + 16 * 1024;
/// Segments that a writer holds: one that is filled, one that is stored.
const SEGMENTS_AT_ONCE: u64 = 2;
/// Replies that a reader holds: one that is worked on, one that comes.
const REPLIES_AT_ONCE: u64 = 2;
/// The longest reply: a server fills it up to 16 MiB. It is there twice while the driver unpacks it.
const REPLY_BYTES_MAX: u64 = 2 * DOCUMENT_BYTES_MAX;
/// A segment's line in the manifest while it is in memory, and its text.
const SEGMENT_RECORD_BYTES: u64 = 512;
const SEGMENT_TEXT_BYTES: u64 = 640;
/// What the archive's list of contents has beside names and metadata: of each namespace the names and lengths of its
/// fields; once the archive's header, and the entry of the oplog.
const PRELUDE_ENTRY_BYTES: u64 = 96;
const PRELUDE_HEADER_BYTES: u64 = 1024;
/// The program itself, its runtime and connections.
const PROGRAM_BYTES: u64 = 48 * MIB;

/// The bytes of documents that a segment should hold in a backup of `total` bytes.
pub(super) fn segment_bytes(total: u64) -> u64 {
    (total / SEGMENTS_OF_LEAST_SIZE).clamp(SEGMENT_BYTES, SEGMENT_BYTES_MAX)
}

/// The bytes of documents that no segment exceeds: the cutter's limit, or one longer document.
pub(super) fn segment_bytes_most(segment_bytes: u64) -> u64 {
    (segment_bytes / 8 * 11).max(DOCUMENT_BYTES_MAX)
}

/// About how many bytes the manifest has, but for its namespaces.
pub(super) fn manifest_bytes(segments: u64) -> u64 {
    segments.saturating_mul(SEGMENT_TEXT_BYTES)
}

/// The bytes that the manifest has for its namespaces, at least.
pub(super) fn definition_bytes(namespaces: &[Described]) -> u64 {
    let bson = |n: &Described| n.metadata_bson.as_ref().map_or(0, String::len);
    namespaces.iter().map(|n| named_bytes(n) + bson(n) as u64).fold(0, u64::saturating_add)
}

/// The bytes that the archive's list of contents has at most.
pub(super) fn prelude_bytes(namespaces: &[Described]) -> u64 {
    let entries = namespaces.iter().map(|n| named_bytes(n) + PRELUDE_ENTRY_BYTES);
    entries.fold(PRELUDE_HEADER_BYTES, u64::saturating_add)
}

fn named_bytes(namespace: &Described) -> u64 {
    (namespace.db.len() + namespace.collection.len() + namespace.metadata.len()) as u64
}

/// The bytes of memory that a backup takes at most: its readers' and the capture's segments and replies, the
/// compressors, and the list of segments.
pub(super) fn memory_bytes(
    readers: usize,
    segment_bytes: u64,
    compression: Compression,
    segments: u64,
) -> u64 {
    // The capture of the oplog reads and writes as a reader does.
    let writers = readers as u64 + 1;
    let segment = stored_bytes_most(segment_bytes_most(segment_bytes));
    let each = SEGMENTS_AT_ONCE * segment + REPLIES_AT_ONCE * REPLY_BYTES_MAX + compressor_bytes(compression);
    let list = segments * (SEGMENT_RECORD_BYTES + SEGMENT_TEXT_BYTES);
    writers.saturating_mul(each).saturating_add(list).saturating_add(PROGRAM_BYTES)
}

/// What documents that cannot be compressed grow by: a frame's header and one of 3 bytes for each block of 128 KiB
/// (zstd), or 5 bytes for each of 16 KiB (gzip).
fn stored_bytes_most(raw: u64) -> u64 {
    raw + raw / 1024 + MIB
}

/// The tables and buffers of one compressor, as their libraries compute them for the levels that can be chosen.
fn compressor_bytes(compression: Compression) -> u64 {
    match compression {
        Compression::None => 0,
        Compression::Zstd { level } if level <= 3 => 4 * MIB,
        Compression::Zstd { level } if level <= 12 => 48 * MIB,
        Compression::Zstd { .. } => 768 * MIB,
        Compression::Gzip { .. } => MIB,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{assemble, testing};
    use super::*;
    use crate::manifest;
    use crate::names::NamespaceKind;

    const TIB: u64 = 1024 * 1024 * MIB;

    #[test]
    fn segments_keep_their_size_up_to_a_terabyte_and_then_grow_to_a_limit() {
        for total in [0, 500 * MIB, TIB] {
            assert_eq!(segment_bytes(total), SEGMENT_BYTES);
        }
        assert_eq!(segment_bytes(2 * TIB), 2 * SEGMENT_BYTES);
        for total in [10 * TIB, 100 * TIB, u64::MAX] {
            assert_eq!(segment_bytes(total), SEGMENT_BYTES_MAX);
            assert!(segment_bytes_most(segment_bytes(total)) <= 64 * MIB);
        }
    }

    #[test]
    fn ten_terabytes_take_bounded_memory_and_a_manifest_that_can_be_read() {
        let total = 10 * TIB;
        let size = segment_bytes(total);
        let segments = total / size;
        assert!(manifest_bytes(segments) < manifest::BYTES_MAX, "{}", manifest_bytes(segments));
        let memory = memory_bytes(2, size, Compression::Zstd { level: 3 }, segments);
        assert!(memory < 1024 * MIB, "{} MiB", memory / MIB);
        let four = memory_bytes(4, size, Compression::Zstd { level: 3 }, segments);
        assert!(four - memory < 2 * 256 * MIB, "a reader takes {} MiB", (four - memory) / 2 / MIB);
    }

    #[test]
    fn a_list_of_contents_is_never_longer_than_was_reckoned() {
        let series = |i| {
            let name = "n".repeat(i);
            let metadata = "{}".repeat(i);
            Described { kind: NamespaceKind::Timeseries, metadata, ..testing::collection(&name, 0) }
        };
        for count in [0, 1, 100] {
            let described: Vec<Described> = (0..count).map(series).collect();
            let prelude = assemble::prelude("8.0.12", &described, true);
            let mut written = Vec::new();
            mongo_archive::Encoder::archive(&mut written, &prelude).unwrap();
            let (written, reckoned) = (written.len() as u64, prelude_bytes(&described));
            assert!(written <= reckoned, "{written} > {reckoned}");
            assert!(reckoned - written < 1024 + 32 * count as u64, "{written} is far from {reckoned}");
        }
    }
}
