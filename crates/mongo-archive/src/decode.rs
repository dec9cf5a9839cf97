//! Reading an archive, or a piece of one. Nothing that the bytes say is trusted.

use std::collections::HashMap;
use std::io::{self, BufReader, Read};

use crate::bson::{self, Value};
use crate::names::{Header, Metadata, Namespace, Prelude};
use crate::{MAGIC, TERMINATOR, VERSION};

/// What a decoder accepts; memory stays below these whatever the bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the longest document. Default: 16 MiB + 64 KiB (MongoDB's limit is 16 MiB, and 16 KiB more
    /// for what it keeps itself, such as oplog entries).
    pub document_bytes: usize,
    /// Bytes of the whole prelude. Default: 256 MiB.
    pub prelude_bytes: usize,
    /// Bytes of a block's header. Default: 64 KiB.
    pub header_bytes: usize,
    /// Namespaces that have blocks. Default: 1,000,000.
    pub namespaces: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            document_bytes: (16 << 20) + (64 << 10),
            prelude_bytes: 256 << 20,
            header_bytes: 64 << 10,
            namespaces: 1_000_000,
        }
    }
}

/// What is met next.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The archive's beginning; always first, and only in a whole archive.
    Prelude(&'a Prelude),
    /// Documents of this namespace come next.
    BlockStart(&'a Namespace),
    /// One of them: a run of bytes with the length of a BSON document. See
    /// [`check_document`](crate::check_document) for what is inside.
    Document(&'a [u8]),
    /// No more of them in this block.
    BlockEnd,
    /// No more blocks for this namespace.
    Eof {
        /// The namespace.
        namespace: &'a Namespace,
        /// The CRC that the archive gives; comparing is up to the reader, such as [`Summary`](crate::Summary).
        crc: u64,
    },
}

/// Where and why bytes are not an archive.
#[derive(Debug, thiserror::Error)]
#[error("at byte {offset}: {fault}")]
pub struct DecodeError {
    /// The place in the (decompressed) stream, from 0.
    pub offset: u64,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The first four bytes are others.
    #[error("this is not a mongodump archive (it does not begin with 6d e2 99 81)")]
    NotAnArchive,
    /// A version that this decoder does not know.
    #[error("the archive has version `{0}`, known is 0.1")]
    Version(String),
    /// The stream ends too early.
    #[error("the archive is cut off: {0} was expected")]
    Truncated(&'static str),
    /// A length that no document can have, or more than the limit.
    #[error("a document of {length} bytes, where 5 to {max} are possible")]
    Length {
        /// What stands there.
        length: i64,
        /// The limit.
        max: usize,
    },
    /// A document's last byte is not 0.
    #[error("a document that does not end with a zero byte")]
    Unterminated,
    /// A header that is not what it should be.
    #[error("a {0} with {1}")]
    Header(&'static str, String),
    /// Something in the wrong place.
    #[error("{0}")]
    Order(String),
    /// The reader failed (or what it decompresses is damaged).
    #[error("cannot read: {0}")]
    Io(io::Error),
}

/// Reads an archive in one pass, reusing one buffer.
#[derive(Debug)]
pub struct Decoder<R> {
    reader: BufReader<R>,
    limits: Limits,
    offset: u64,
    state: State,
    whole: bool,
    buffer: Vec<u8>,
    prelude: Option<Prelude>,
    namespace: Namespace,
    /// Every namespace met, and whether it has ended.
    ended: HashMap<Namespace, bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Between,
    InBlock,
    Done,
}

const READ_BYTES: usize = 64 * 1024;

impl<R: Read> Decoder<R> {
    /// Reads a whole archive: the prelude first, and at its end every namespace must have ended.
    pub fn new(reader: R, limits: Limits) -> Self {
        Self::at(State::Start, true, reader, limits)
    }

    /// Reads a piece of an archive: blocks alone.
    pub fn blocks(reader: R, limits: Limits) -> Self {
        Self::at(State::Between, false, reader, limits)
    }

    fn at(state: State, whole: bool, reader: R, limits: Limits) -> Self {
        Self {
            reader: BufReader::with_capacity(READ_BYTES, reader),
            limits,
            offset: 0,
            state,
            whole,
            buffer: Vec::new(),
            prelude: None,
            namespace: Namespace { db: String::new(), collection: String::new() },
            ended: HashMap::new(),
        }
    }

    /// Bytes read so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next event; none at the end of the stream, and after an error.
    ///
    /// # Errors
    /// As the bytes are not an archive within the limits, with the place; as the reader fails.
    #[expect(
        clippy::should_implement_trait,
        reason = "an event borrows from the decoder, which an iterator cannot say"
    )]
    pub fn next(&mut self) -> Result<Option<Event<'_>>, DecodeError> {
        let state = std::mem::replace(&mut self.state, State::Done);
        match state {
            State::Start => self.start(),
            State::Between => self.between(),
            State::InBlock => self.in_block(),
            State::Done => Ok(None),
        }
    }

    fn start(&mut self) -> Result<Option<Event<'_>>, DecodeError> {
        let mut magic = [0; 4];
        if !self.fill(&mut magic, "the magic number")? || magic != MAGIC {
            return Err(DecodeError { offset: 0, fault: Fault::NotAnArchive });
        }
        let prelude = self.read_prelude()?;
        self.state = State::Between;
        Ok(Some(Event::Prelude(self.prelude.insert(prelude))))
    }

    fn read_prelude(&mut self) -> Result<Prelude, DecodeError> {
        let mut bytes_left = self.limits.prelude_bytes;
        let at = self.offset;
        if !self.frame(bytes_left, "the archive's header")? {
            return Err(DecodeError { offset: at, fault: Fault::Order("the prelude has no header".into()) });
        }
        let header = header(&self.buffer).map_err(|fault| DecodeError { offset: at, fault })?;
        let mut metadata = Vec::new();
        loop {
            bytes_left = bytes_left.saturating_sub(self.buffer.len());
            let at = self.offset;
            if !self.frame(bytes_left, "the metadata of a namespace or the prelude's end")? {
                return Ok(Prelude { header, metadata });
            }
            metadata.push(read_metadata(&self.buffer).map_err(|fault| DecodeError { offset: at, fault })?);
        }
    }

    fn between(&mut self) -> Result<Option<Event<'_>>, DecodeError> {
        let offset = self.offset;
        let mut length = [0; 4];
        if !self.fill(&mut length, "a block's header")? {
            return self.all_ended(offset).map(|()| None);
        }
        let fault = |fault| DecodeError { offset, fault };
        if length == TERMINATOR {
            return Err(fault(Fault::Order("a block ends that has not begun".into())));
        }
        self.rest_of_frame(length, self.limits.header_bytes, "the rest of a block's header")?;
        let (namespace, eof, crc) = block_header(&self.buffer).map_err(fault)?;
        if eof {
            self.end(namespace).map_err(fault)?;
            self.terminator("the end of a block that ends its namespace")?;
            self.state = State::Between;
            return Ok(Some(Event::Eof { namespace: &self.namespace, crc }));
        }
        self.begin(namespace).map_err(fault)?;
        self.state = State::InBlock;
        Ok(Some(Event::BlockStart(&self.namespace)))
    }

    fn in_block(&mut self) -> Result<Option<Event<'_>>, DecodeError> {
        if self.frame(self.limits.document_bytes, "a document or a block's end")? {
            self.state = State::InBlock;
            return Ok(Some(Event::Document(&self.buffer)));
        }
        self.state = State::Between;
        Ok(Some(Event::BlockEnd))
    }

    fn begin(&mut self, namespace: Namespace) -> Result<(), Fault> {
        match self.ended.get(&namespace) {
            Some(true) => {
                return Err(Fault::Order(format!("a block of `{namespace}`, which has ended before")));
            }
            Some(false) => {}
            None => self.remember(&namespace, false)?,
        }
        self.namespace = namespace;
        Ok(())
    }

    fn end(&mut self, namespace: Namespace) -> Result<(), Fault> {
        match self.ended.get_mut(&namespace) {
            Some(true) => return Err(Fault::Order(format!("`{namespace}` ends twice"))),
            Some(ended) => *ended = true,
            None => self.remember(&namespace, true)?,
        }
        self.namespace = namespace;
        Ok(())
    }

    fn remember(&mut self, namespace: &Namespace, ended: bool) -> Result<(), Fault> {
        if self.ended.len() >= self.limits.namespaces {
            return Err(Fault::Order(format!("more than {} namespaces", self.limits.namespaces)));
        }
        self.ended.insert(namespace.clone(), ended);
        Ok(())
    }

    fn all_ended(&self, offset: u64) -> Result<(), DecodeError> {
        let open = self.ended.iter().find(|(_, ended)| !**ended).map(|(namespace, _)| namespace);
        match open {
            Some(namespace) if self.whole => {
                let fault = Fault::Order(format!("the archive is cut off: `{namespace}` has not ended"));
                Err(DecodeError { offset, fault })
            }
            _ => Ok(()),
        }
    }

    /// Reads a document into the buffer; false at a terminator.
    fn frame(&mut self, bytes_max: usize, expected: &'static str) -> Result<bool, DecodeError> {
        let mut length = [0; 4];
        if !self.fill(&mut length, expected)? {
            return Err(DecodeError { offset: self.offset, fault: Fault::Truncated(expected) });
        }
        if length == TERMINATOR {
            return Ok(false);
        }
        self.rest_of_frame(length, bytes_max, "the rest of a document")?;
        Ok(true)
    }

    /// Grows the buffer by what really arrives, never by what a length says.
    fn rest_of_frame(
        &mut self,
        length: [u8; 4],
        bytes_max: usize,
        expected: &'static str,
    ) -> Result<(), DecodeError> {
        let offset = self.offset - 4;
        let says = i64::from(i32::from_le_bytes(length));
        let bytes = usize::try_from(says).ok().filter(|bytes| (5..=bytes_max).contains(bytes));
        let Some(bytes) = bytes else {
            return Err(DecodeError { offset, fault: Fault::Length { length: says, max: bytes_max } });
        };
        self.buffer.clear();
        self.buffer.extend_from_slice(&length);
        let wanted = bytes - length.len();
        let read = (&mut self.reader)
            .take(wanted as u64)
            .read_to_end(&mut self.buffer)
            .map_err(|e| DecodeError { offset: self.offset, fault: Fault::Io(e) })?;
        self.offset += read as u64;
        if read < wanted {
            return Err(DecodeError { offset: self.offset, fault: Fault::Truncated(expected) });
        }
        if self.buffer.last() != Some(&0) {
            return Err(DecodeError { offset, fault: Fault::Unterminated });
        }
        Ok(())
    }

    fn terminator(&mut self, expected: &'static str) -> Result<(), DecodeError> {
        let offset = self.offset;
        let mut bytes = [0; 4];
        if !self.fill(&mut bytes, expected)? {
            return Err(DecodeError { offset, fault: Fault::Truncated(expected) });
        }
        if bytes != TERMINATOR {
            let fault = Fault::Order("a block that ends its namespace holds something".into());
            return Err(DecodeError { offset, fault });
        }
        Ok(())
    }

    /// Fills all of `bytes`; false if the stream ends right before them.
    fn fill(&mut self, bytes: &mut [u8; 4], expected: &'static str) -> Result<bool, DecodeError> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.reader.read(&mut bytes[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => {
                    return Err(DecodeError { offset: self.offset, fault: Fault::Truncated(expected) });
                }
                Ok(read) => {
                    filled += read;
                    self.offset += read as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(DecodeError { offset: self.offset, fault: Fault::Io(e) }),
            }
        }
        Ok(true)
    }
}

fn header(document: &[u8]) -> Result<Header, Fault> {
    const KIND: &str = "header of the archive";
    let names = ["concurrent_collections", "version", "server_version", "tool_version"];
    match bson::read(document, names).map_err(|why| Fault::Header(KIND, why))? {
        [Value::Int32(concurrent), Value::Text(version), Value::Text(server), Value::Text(tool)] => {
            if version != VERSION {
                return Err(Fault::Version(version.into()));
            }
            Ok(Header::new(concurrent, server, tool))
        }
        _ => Err(Fault::Header(KIND, "a field of another type".into())),
    }
}

fn read_metadata(document: &[u8]) -> Result<Metadata, Fault> {
    const KIND: &str = "namespace's metadata";
    let names = ["db", "collection", "metadata", "size", "type"];
    match bson::read(document, names)
        .or_else(|why| without_type(document, names).ok_or(why))
        .map_err(|why| Fault::Header(KIND, why))?
    {
        [
            Value::Text(db),
            Value::Text(collection),
            Value::Text(metadata),
            Value::Int32(size),
            Value::Text(kind),
        ] => Ok(Metadata {
            db: db.into(),
            collection: collection.into(),
            metadata: metadata.into(),
            size,
            kind: kind.into(),
        }),
        _ => Err(Fault::Header(KIND, "a field of another type".into())),
    }
}

/// mongodump wrote no `type` before it knew time-series collections.
fn without_type<'a>(
    document: &'a [u8],
    [db, collection, metadata, size, _]: [&'static str; 5],
) -> Option<[Value<'a>; 5]> {
    let [db, collection, metadata, size] = bson::read(document, [db, collection, metadata, size]).ok()?;
    Some([db, collection, metadata, size, Value::Text("")])
}

fn block_header(document: &[u8]) -> Result<(Namespace, bool, u64), Fault> {
    const KIND: &str = "block's header";
    let names = ["db", "collection", "EOF", "CRC"];
    match bson::read(document, names).map_err(|why| Fault::Header(KIND, why))? {
        [Value::Text(db), Value::Text(collection), Value::Flag(eof), Value::Int64(crc)] => {
            let namespace = Namespace { db: db.into(), collection: collection.into() };
            Ok((namespace, eof, crc.cast_unsigned()))
        }
        _ => Err(Fault::Header(KIND, "a field of another type".into())),
    }
}
