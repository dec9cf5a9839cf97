//! What reading gave.

use mongo_archive::Crc64;

use crate::manifest::Segment;

/// A stretch, read to its end.
pub(super) struct StretchRead {
    /// Its place in the list of stretches.
    pub(super) place: usize,
    pub(super) namespaces: Vec<NamespaceRead>,
    pub(super) segments: Vec<Segment>,
    /// The part number after the last one that was used.
    pub(super) next_part: usize,
}

/// A namespace, or a range of one, read to its end.
#[derive(Debug, Clone)]
pub(super) struct NamespaceRead {
    /// Its place in the list of namespaces.
    pub(super) place: usize,
    pub(super) documents: u64,
    pub(super) bytes: u64,
    pub(super) crc: Crc64,
    /// Not at the snapshot's moment.
    pub(super) plainly: bool,
}

impl NamespaceRead {
    pub(super) fn new(place: usize) -> Self {
        Self { place, documents: 0, bytes: 0, crc: Crc64::new(), plainly: false }
    }

    /// Counts one document.
    pub(super) fn count(&mut self, document: &[u8]) {
        self.documents += 1;
        self.bytes += document.len() as u64;
    }

    /// Adds what comes after it in the archive.
    pub(super) fn append(&mut self, next: &Self) {
        self.documents += next.documents;
        self.bytes += next.bytes;
        self.crc.append(&next.crc);
        self.plainly |= next.plainly;
    }
}
