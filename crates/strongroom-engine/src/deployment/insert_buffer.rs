//! The layout of what is sent: documents are copied, byte by byte as they are, into the command that takes them. Pure.

use std::fmt;

use mongodb::bson::RawDocumentBuf;

use crate::error::{Code, Error, Result};
use crate::names::Name;
use crate::timestamps;

const LENGTH_BYTES: usize = 4;
const TYPE_STRING: u8 = 0x02;
const TYPE_DOCUMENT: u8 = 0x03;
const TYPE_ARRAY: u8 = 0x04;
const TYPE_BOOLEAN: u8 = 0x08;

/// Bytes past which an insert is sent: large enough to make round trips cheap (thousands of documents of usual size), and
/// small enough for the allocator to use the same room again: the driver copies each command three times. One document
/// of 16 MiB just fits the server's limit of a command (`BSONObjMaxInternalSize`, 16 MiB + 16 KiB).
const INSERT_BYTES: usize = 768 * 1024;
/// MongoDB's limit of writes in one command (`maxWriteBatchSize`).
const INSERT_DOCUMENTS_MAX: usize = 100_000;

/// The collection that documents are inserted into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receiver {
    /// Their order counts (capped collections).
    pub is_ordered: bool,
    /// This restore created it: whatever it holds, this restore put there.
    pub is_ours: bool,
}

/// Documents on their way into one collection, laid out as the command that inserts them.
pub struct InsertBuffer {
    pub(super) name: Name,
    pub(super) receiver: Receiver,
    /// Whether the server fills in empty timestamps.
    fills_in: bool,
    head: Vec<u8>,
    command: Vec<u8>,
    pub(super) documents: usize,
    /// Which of them the server changes.
    pub(super) filled_in: Vec<usize>,
    /// Documents that go by `applyOps`, after the others.
    pub(super) applied: Vec<Vec<u8>>,
    pub(super) applied_bytes: usize,
    /// Sent before, with an unknown outcome.
    pub(super) sent_before: bool,
}

impl InsertBuffer {
    /// `is_raw`: documents are the buckets of a time-series, and not its measurements.
    pub(super) fn new(name: &Name, receiver: Receiver, fills_in: bool, is_raw: bool) -> Self {
        let mut head = vec![0; LENGTH_BYTES];
        string(&mut head, b"insert", name.collection.as_bytes());
        flag(&mut head, b"ordered", receiver.is_ordered);
        flag(&mut head, b"bypassDocumentValidation", true);
        if !fills_in {
            flag(&mut head, b"bypassEmptyTsReplacement", true);
        }
        if is_raw {
            flag(&mut head, b"rawData", true);
        }
        element(&mut head, TYPE_ARRAY, b"documents");
        head.extend_from_slice(&[0; LENGTH_BYTES]);
        // With room for its documents from the start: one that grows is in memory twice.
        let mut command = Vec::with_capacity(INSERT_BYTES + head.len());
        command.extend_from_slice(&head);
        Self {
            name: name.clone(),
            receiver,
            fills_in,
            head,
            command,
            documents: 0,
            filled_in: Vec::new(),
            applied: Vec::new(),
            applied_bytes: 0,
            sent_before: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.documents == 0 && self.applied.is_empty()
    }

    /// Whether `document` should go with the next insert rather than this one.
    #[must_use]
    pub fn is_full_for(&self, document: &[u8]) -> bool {
        let bytes = self.command.len() + self.applied_bytes + document.len();
        let overtakes = self.receiver.is_ordered && !self.applied.is_empty() && !self.is_changed(document);
        !self.is_empty()
            && (bytes > INSERT_BYTES
                || self.documents + self.applied.len() == INSERT_DOCUMENTS_MAX
                || overtakes)
    }

    fn is_changed(&self, document: &[u8]) -> bool {
        self.fills_in && timestamps::has_empty(document)
    }

    /// Adds a document, byte by byte as it is.
    pub fn push(&mut self, document: &[u8]) {
        if !self.is_changed(document) {
            return self.append(document);
        }
        // `applyOps` refuses one without an `_id`.
        if self.receiver.is_ours && timestamps::id(document).is_some() {
            self.applied_bytes += document.len();
            self.applied.push(document.to_vec());
        } else {
            self.filled_in.push(self.documents);
            self.append(document);
        }
    }

    fn append(&mut self, document: &[u8]) {
        element(&mut self.command, TYPE_DOCUMENT, self.documents.to_string().as_bytes());
        self.command.extend_from_slice(document);
        self.documents += 1;
    }

    /// Has what could not be applied inserted like the rest.
    pub(super) fn insert_instead(&mut self) {
        for document in std::mem::take(&mut self.applied) {
            self.filled_in.push(self.documents);
            self.append(&document);
        }
        self.applied_bytes = 0;
        self.sent_before = true;
    }

    /// The finished command.
    pub(super) fn finished(&self) -> Result<RawDocumentBuf> {
        let mut command = Vec::with_capacity(self.command.len() + 2);
        command.extend_from_slice(&self.command);
        command.push(0);
        set_length(&mut command, self.head.len() - LENGTH_BYTES)?;
        command.push(0);
        set_length(&mut command, 0)?;
        RawDocumentBuf::from_bytes(command)
            .map_err(|e| Error::new(Code::Internal, "the insert command is not a document").caused_by(e))
    }

    /// Its documents, by their places.
    pub(super) fn documents(&self) -> Vec<&[u8]> {
        let mut found = Vec::with_capacity(self.documents);
        let mut rest = &self.command[self.head.len()..];
        while let Some(name_end) = rest.iter().skip(1).position(|byte| *byte == 0) {
            let document = &rest[name_end + 2..];
            let Some(length) = document.first_chunk::<LENGTH_BYTES>() else { break };
            let length = u32::from_le_bytes(*length) as usize;
            let Some((document, after)) = document.split_at_checked(length) else { break };
            found.push(document);
            rest = after;
        }
        found
    }

    /// Keeps the documents at these places, and no others.
    pub(super) fn keep(&mut self, places: &[usize]) {
        let filled_in = std::mem::take(&mut self.filled_in);
        let kept: Vec<(bool, Vec<u8>)> = match places {
            [] => Vec::new(),
            _ => {
                let documents = self.documents();
                let kept = places.iter().map(|place| (filled_in.contains(place), documents[*place].to_vec()));
                kept.collect()
            }
        };
        self.command.truncate(self.head.len());
        self.documents = 0;
        for (filled_in, document) in kept {
            if filled_in {
                self.filled_in.push(self.documents);
            }
            self.append(&document);
        }
    }
}

/// The command `applyOps` with these operations, each by itself: what is inserted within a transaction has its
/// timestamps filled in.
pub(super) fn apply_ops(operations: impl Iterator<Item = Result<Vec<u8>>>) -> Result<RawDocumentBuf> {
    let mut command = vec![0; LENGTH_BYTES];
    element(&mut command, TYPE_ARRAY, b"applyOps");
    let array_at = command.len();
    command.extend_from_slice(&[0; LENGTH_BYTES]);
    for (place, operation) in operations.enumerate() {
        element(&mut command, TYPE_DOCUMENT, place.to_string().as_bytes());
        command.extend_from_slice(&operation?);
    }
    command.push(0);
    set_length(&mut command, array_at)?;
    flag(&mut command, b"allowAtomic", false);
    flag(&mut command, b"bypassDocumentValidation", true);
    command.push(0);
    set_length(&mut command, 0)?;
    RawDocumentBuf::from_bytes(command)
        .map_err(|e| Error::new(Code::Internal, "the command `applyOps` is not a document").caused_by(e))
}

/// An operation as `applyOps` takes it.
pub(super) fn operation(kind: u8, name: &Name, o: &[u8]) -> Result<Vec<u8>> {
    let mut operation = vec![0; LENGTH_BYTES];
    string(&mut operation, b"op", &[kind]);
    string(&mut operation, b"ns", name.to_string().as_bytes());
    element(&mut operation, TYPE_DOCUMENT, b"o");
    operation.extend_from_slice(o);
    operation.push(0);
    set_length(&mut operation, 0)?;
    Ok(operation)
}

/// A document of one element.
pub(super) fn document_of(element: &[u8]) -> Vec<u8> {
    let length = (LENGTH_BYTES + element.len() + 1) as u32;
    [&length.to_le_bytes(), element, &[0]].concat()
}

fn string(command: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    element(command, TYPE_STRING, name);
    command.extend_from_slice(&(value.len() as u32 + 1).to_le_bytes());
    command.extend_from_slice(value);
    command.push(0);
}

fn flag(command: &mut Vec<u8>, name: &[u8], value: bool) {
    element(command, TYPE_BOOLEAN, name);
    command.push(value.into());
}

/// The head of a BSON element: its type and its name as a C string.
fn element(command: &mut Vec<u8>, kind: u8, name: &[u8]) {
    command.push(kind);
    command.extend_from_slice(name);
    command.push(0);
}

/// Writes the length of everything from `at` to the end into the four bytes at `at`.
fn set_length(command: &mut [u8], at: usize) -> Result<()> {
    let length = i32::try_from(command.len() - at)
        .map_err(|_| Error::new(Code::Internal, "an insert command grew past 2 GiB"))?;
    command[at..at + LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

impl fmt::Debug for InsertBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InsertBuffer({} documents)", self.documents + self.applied.len())
    }
}

#[cfg(test)]
mod tests {
    use mongodb::bson::{Document, doc, rawdoc};

    use super::*;
    use crate::timestamps::EMPTY_TIMESTAMP;

    fn buffer(is_ordered: bool, is_ours: bool) -> InsertBuffer {
        InsertBuffer::new(&Name::new("shop", "or.ders"), Receiver { is_ordered, is_ours }, true, false)
    }

    #[test]
    fn buckets_without_a_name_of_their_own_are_inserted_raw() {
        let receiver = Receiver { is_ordered: false, is_ours: true };
        let mut buffer = InsertBuffer::new(&Name::new("shop", "w"), receiver, false, true);
        buffer.push(rawdoc! { "_id": 1 }.as_bytes());
        let command = Document::try_from(&*buffer.finished().unwrap()).unwrap();
        assert_eq!((command.get_str("insert").unwrap(), command.get_bool("rawData").unwrap()), ("w", true));
    }

    #[test]
    fn the_insert_command_holds_the_documents_as_they_are() {
        let mut buffer = buffer(true, true);
        for round in 0..2 {
            let documents: Vec<Document> = (0..12).map(|i| doc! { "_id": i, "round": round }).collect();
            for i in 0..12 {
                buffer.push(rawdoc! { "_id": i, "round": round }.as_bytes());
            }
            let command = Document::try_from(&*buffer.finished().unwrap()).unwrap();
            let expected = doc! { "insert": "or.ders", "ordered": true, "bypassDocumentValidation": true, "documents": documents };
            assert_eq!(command, expected);
            assert_eq!(buffer.documents().len(), 12);
            buffer.keep(&[]);
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_buffer_takes_one_document_of_any_size_and_then_is_full() {
        let mut buffer = buffer(false, true);
        let large = vec![0; 16 * 1024 * 1024];
        assert!(!buffer.is_full_for(&large));
        buffer.push(&large);
        assert!(buffer.is_full_for(&[0; 5]));
    }

    #[test]
    fn what_an_insert_would_change_is_applied_where_it_can_replace_nothing() {
        let changed = rawdoc! { "_id": 1, "at": EMPTY_TIMESTAMP };
        let plain = rawdoc! { "_id": 2 };
        let mut ours = buffer(true, true);
        ours.push(plain.as_bytes());
        ours.push(changed.as_bytes());
        assert_eq!((ours.documents, ours.applied.len()), (1, 1));
        assert!(
            !ours.is_full_for(changed.as_bytes()) && ours.is_full_for(plain.as_bytes()),
            "the order is kept"
        );
        let mut theirs = buffer(false, false);
        theirs.push(plain.as_bytes());
        theirs.push(changed.as_bytes());
        assert_eq!((theirs.documents, &theirs.filled_in[..]), (2, &[1][..]));
        theirs.keep(&[1]);
        assert_eq!((theirs.documents(), &theirs.filled_in[..]), (vec![changed.as_bytes()], &[0][..]));
    }
}
