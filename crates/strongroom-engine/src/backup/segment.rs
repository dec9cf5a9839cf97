//! One segment while it is being made: documents go in, an object comes out.

use std::io;
use std::sync::{Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use mongo_archive::{Crc64, Encoder, Namespace as ArchiveNamespace};

use crate::compression::Compression;
use crate::deployment::Described;
use crate::error::{Code, Error, Result};
use crate::manifest::Content;
use crate::names::{NamespaceKind, names_no_buckets};
use crate::stream::{Compressor, HashedBuffer, Meter};

type Stages = Meter<Compressor<HashedBuffer>>;

/// Room of segments that were stored. Used again, it costs the kernel no new pages.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<Vec<BytesMut>>);

impl Buffers {
    /// An empty buffer: one that has room from earlier use, or a new one for `room` bytes. A buffer that grows is
    /// copied again and again, and is there twice while it is.
    pub(super) fn take(&self, room: usize) -> BytesMut {
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        used.unwrap_or_else(|| BytesMut::with_capacity(room))
    }

    /// Keeps the room of `body`, if nobody else holds it any more.
    pub(super) fn give_back(&self, body: Bytes) {
        if let Ok(mut room) = body.try_into_mut() {
            room.clear();
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(room);
        }
    }
}

/// A segment being filled with whole blocks of the archive.
pub(super) struct SegmentWriter {
    encoder: Encoder<Stages>,
    contents: Vec<Content>,
    /// Documents on their way: checksums and compressors are quicker with much at once than with many short pieces.
    waiting: Vec<u8>,
    /// Of the documents of the open block.
    crc: Crc64,
}

/// Bytes of documents that go on together; they still are in the processor's cache then.
const TOGETHER_BYTES: usize = 32 * 1024;

/// A finished segment, not stored yet.
pub(super) struct Finished {
    pub(super) body: Bytes,
    pub(super) sha256: [u8; 32],
    pub(super) raw_bytes: u64,
    pub(super) contents: Vec<Content>,
}

impl SegmentWriter {
    /// The way of a byte: archive block, count, compression, memory and its hash.
    /// `memory` is empty, and may have room from earlier use.
    pub(super) fn new(compression: Compression, memory: BytesMut) -> Result<Self> {
        let compressed = Compressor::new(compression, HashedBuffer::new(memory)).map_err(failed)?;
        let encoder = Encoder::blocks(Meter::new(compressed));
        Ok(Self {
            encoder,
            contents: Vec::new(),
            waiting: Vec::with_capacity(TOGETHER_BYTES),
            crc: Crc64::new(),
        })
    }

    /// Begins a block for a namespace, whose place in the manifest's list is `place`.
    pub(super) fn begin_block(&mut self, place: usize, namespace: &ArchiveNamespace) -> Result<()> {
        self.contents.push(Content { namespace: place, documents: 0, bytes: 0 });
        self.encoder.begin_block(namespace).map_err(archive_failed)
    }

    /// Adds a document to the open block.
    pub(super) fn document(&mut self, document: &[u8]) -> Result<()> {
        if let Some(content) = self.contents.last_mut() {
            content.documents += 1;
            content.bytes += document.len() as u64;
        }
        if self.waiting.len() + document.len() > TOGETHER_BYTES {
            self.send_waiting()?;
        }
        if document.len() > TOGETHER_BYTES {
            self.crc.update(document);
            return self.encoder.document(document).map_err(archive_failed);
        }
        self.waiting.extend_from_slice(document);
        Ok(())
    }

    fn send_waiting(&mut self) -> Result<()> {
        self.crc.update(&self.waiting);
        self.encoder.documents(&self.waiting).map_err(archive_failed)?;
        self.waiting.clear();
        Ok(())
    }

    /// Ends the open block; the CRC of its documents.
    pub(super) fn end_block(&mut self) -> Result<Crc64> {
        self.send_waiting()?;
        self.encoder.end_block().map_err(archive_failed)?;
        Ok(std::mem::take(&mut self.crc))
    }

    /// Says that nothing more comes for this namespace.
    pub(super) fn end_namespace(&mut self, namespace: &ArchiveNamespace, crc: u64) -> Result<()> {
        self.encoder.eof(namespace, crc).map_err(archive_failed)
    }

    /// Ends the last stage first: what is still in the compressor goes out, then the hash is whole.
    pub(super) fn finish(self) -> Result<Finished> {
        let raw = self.encoder.finish().map_err(archive_failed)?;
        finish(raw, self.contents)
    }
}

/// How an archive of a server of this version names a namespace's documents: by the collection that holds them.
/// mongorestore expects the buckets of a time-series as the version says, however that server keeps them.
pub(super) fn archived(described: &Described, server_version: &str) -> ArchiveNamespace {
    let collection = match described.kind {
        NamespaceKind::Timeseries if names_no_buckets(server_version) => described.collection.clone(),
        kind => kind.data_collection(&described.collection),
    };
    ArchiveNamespace { db: described.db.clone(), collection }
}

/// The segment that opens the archive: magic number, header, and the metadata of every namespace.
pub(super) fn prelude(compression: Compression, prelude: &mongo_archive::Prelude) -> Result<Finished> {
    let compressed = Compressor::new(compression, HashedBuffer::new(BytesMut::new())).map_err(failed)?;
    let encoder = Encoder::archive(Meter::new(compressed), prelude).map_err(archive_failed)?;
    finish(encoder.finish().map_err(archive_failed)?, Vec::new())
}

fn finish(raw: Stages, contents: Vec<Content>) -> Result<Finished> {
    let raw_bytes = raw.bytes();
    let (body, sha256) = raw.into_inner().finish().map_err(failed)?.finish();
    Ok(Finished { body, sha256, raw_bytes, contents })
}

fn failed(error: io::Error) -> Error {
    Error::new(Code::Internal, "a segment cannot be compressed").caused_by(error)
}

fn archive_failed(error: mongo_archive::EncodeError) -> Error {
    Error::new(Code::Internal, "a segment cannot be written").caused_by(error)
}
