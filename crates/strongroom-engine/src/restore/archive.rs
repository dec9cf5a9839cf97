//! An archive that mongodump made, plain or compressed, read once from its beginning to its end.

use std::fmt;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use mongo_archive::{Crc64, DecodeError, Decoder, Event, Fault, Limits, Metadata, check_document};
use serde_json::value::RawValue;

use crate::error::{Code, Error, Result};
use crate::extended_json;
use crate::manifest::Namespace;
use crate::names::{Name, NamespaceKind};
use crate::segments::Names;
use crate::spool::Spool;
use crate::stream::decompress_any;

/// Documents handed on at once, in bytes: some inserts' worth.
const CHUNK_BYTES: usize = 4 << 20;

type Stream = Decoder<Box<dyn Read + Send>>;

/// An archive whose list of contents was read, and whose documents come next.
pub struct Archive {
    name: String,
    namespaces: Vec<Namespace>,
    stream: Mutex<Stream>,
}

/// Documents of one namespace, one after another.
#[derive(Debug)]
pub(super) struct Chunk {
    /// The namespace's number in the list of contents.
    pub(super) namespace: usize,
    pub(super) documents: Vec<u8>,
}

impl Chunk {
    /// Each document; they were checked when they were put here.
    pub(super) fn documents(&self) -> impl Iterator<Item = &[u8]> + Send {
        let mut rest = self.documents.as_slice();
        std::iter::from_fn(move || {
            let length = u32::from_le_bytes(*rest.first_chunk()?) as usize;
            let (document, after) = rest.split_at_checked(length)?;
            rest = after;
            Some(document)
        })
    }
}

impl Archive {
    /// Reads the beginning of an archive; whether it is compressed by gzip or zstd, its first bytes tell. Blocks.
    /// `name` is what it is called in messages.
    ///
    /// # Errors
    /// [`Code::Damaged`] when it is not an archive; as the stream fails.
    pub fn open(name: impl Into<String>, stream: Box<dyn Read + Send>) -> Result<Self> {
        let name = name.into();
        let plain = decompress_any(stream).map_err(|e| unread(&name, 0, e))?;
        let mut stream = Decoder::new(plain, Limits::default());
        let namespaces = match stream.next().map_err(|e| explain(&name, e))? {
            Some(Event::Prelude(prelude)) => prelude.metadata.iter().map(namespace).collect(),
            _ => Err(Error::new(Code::Damaged, "it does not begin with its list of contents")),
        };
        let namespaces = namespaces.map_err(|e| damaged(&name, e))?;
        Ok(Self { name, namespaces, stream: Mutex::new(stream) })
    }

    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything in it but how much there is of each.
    pub(super) fn namespaces(&self) -> &[Namespace] {
        &self.namespaces
    }

    /// Hands on the documents of what is `wanted`, and keeps the oplog. All is compared with its CRC. Blocks.
    ///
    /// # Errors
    /// [`Code::Damaged`] where the archive is damaged or cut off; as the stream or `take` fails.
    pub(super) fn read(
        &self,
        wanted: &dyn Fn(usize) -> bool,
        take: &mut dyn FnMut(Chunk) -> Result<()>,
    ) -> Result<Spool> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reading = Reading::new(self, wanted, take);
        while let Some(event) = stream.next().map_err(|e| explain(&self.name, e))? {
            reading.event(&event)?;
        }
        reading.all_ended()?;
        Ok(reading.oplog)
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Archive({}, {} namespaces)", self.name, self.namespaces.len())
    }
}

/// What is known on the way through an archive.
struct Reading<'a> {
    archive: &'a Archive,
    names: Names,
    wanted: &'a dyn Fn(usize) -> bool,
    take: &'a mut dyn FnMut(Chunk) -> Result<()>,
    /// Of each namespace, by its place: the sum so far.
    sums: Vec<Crc64>,
    ended: Vec<bool>,
    chunk: Chunk,
    oplog: Spool,
}

impl<'a> Reading<'a> {
    fn new(
        archive: &'a Archive,
        wanted: &'a dyn Fn(usize) -> bool,
        take: &'a mut dyn FnMut(Chunk) -> Result<()>,
    ) -> Self {
        Self {
            archive,
            names: Names::of(&archive.namespaces),
            wanted,
            take,
            sums: vec![Crc64::new(); archive.namespaces.len()],
            ended: vec![false; archive.namespaces.len()],
            chunk: Chunk { namespace: 0, documents: Vec::new() },
            oplog: Spool::default(),
        }
    }

    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::Prelude(_) => Ok(()),
            Event::BlockStart(namespace) => {
                self.chunk.namespace = self.names.place(namespace).map_err(|e| self.damaged(e))?;
                Ok(())
            }
            Event::Document(document) => self.document(document),
            // Blocks of other namespaces may come in between.
            Event::BlockEnd => self.hand_on(),
            Event::Eof { namespace, crc } => {
                let place = self.names.place(namespace).map_err(|e| self.damaged(e))?;
                self.ended[place] = true;
                if self.sums[place].value() == *crc {
                    return Ok(());
                }
                Err(self
                    .damaged(format_args!("the documents of `{namespace}` are not those that were dumped")))
            }
        }
    }

    fn document(&mut self, document: &[u8]) -> Result<()> {
        let place = self.chunk.namespace;
        self.sums[place].update(document);
        let is_oplog = self.archive.namespaces[place].kind == NamespaceKind::Oplog;
        if !is_oplog && !(self.wanted)(place) {
            return Ok(());
        }
        if let Err(wrong) = check_document(document) {
            let name = self.archive.namespaces[place].name();
            return Err(self.damaged(format_args!("a document of `{name}` is not BSON: {wrong}")));
        }
        if is_oplog {
            return self.oplog.push(document).map(drop);
        }
        if !self.chunk.documents.is_empty() && self.chunk.documents.len() + document.len() > CHUNK_BYTES {
            self.hand_on()?;
        }
        self.chunk.documents.extend_from_slice(document);
        Ok(())
    }

    fn hand_on(&mut self) -> Result<()> {
        if self.chunk.documents.is_empty() {
            return Ok(());
        }
        (self.take)(Chunk {
            namespace: self.chunk.namespace,
            documents: std::mem::take(&mut self.chunk.documents),
        })
    }

    /// A stream may be cut off right where one namespace has ended and the next would begin.
    fn all_ended(&self) -> Result<()> {
        let mut open = self.archive.namespaces.iter().zip(&self.ended).filter(|(_, ended)| !**ended);
        match open.find(|(namespace, _)| namespace.kind != NamespaceKind::View) {
            None => Ok(()),
            Some((namespace, _)) => {
                let name = namespace.name();
                Err(self.damaged(format_args!(
                    "it is cut off: `{name}` is in its list of contents, and not in it"
                )))
            }
        }
    }

    fn damaged(&self, what: impl fmt::Display) -> Error {
        damaged(&self.archive.name, what)
    }
}

/// A namespace as the archive's beginning describes it. Old versions of mongodump leave the kind out; the options of
/// views show what they are.
fn namespace(listed: &Metadata) -> Result<Namespace> {
    let name = Name::new(&listed.db, &listed.collection);
    let kind = match listed.kind.as_str() {
        "" if listed.db.is_empty() => NamespaceKind::Oplog,
        "" if is_view(&listed.metadata) => NamespaceKind::View,
        "" | "collection" => NamespaceKind::Collection,
        "view" => NamespaceKind::View,
        "timeseries" => NamespaceKind::Timeseries,
        other => {
            let what = format!("`{name}` is of the unknown kind `{}`", other.escape_debug());
            return Err(Error::new(Code::Damaged, what));
        }
    };
    let metadata = metadata(&listed.metadata)
        .map_err(|e| Error::new(Code::Damaged, format!("the metadata of `{name}` is not text: {e}")))?;
    Ok(Namespace {
        db: listed.db.clone(),
        collection: listed.collection.clone(),
        kind,
        metadata,
        metadata_bson: None,
        documents: 0,
        bytes: 0,
        crc64: Crc64::new().to_string(),
    })
}

fn is_view(metadata: &str) -> bool {
    let options = extended_json::read(metadata).ok().and_then(|metadata| metadata.part("options"));
    options.is_some_and(|options| options.text("viewOn").is_some())
}

/// The metadata as JSON. Old tools wrote numbers that are none in JSON; what cannot be read at all is kept as a string,
/// and matters only where it is restored.
fn metadata(text: &str) -> serde_json::Result<Box<RawValue>> {
    let text = if text.is_empty() { "{}" } else { text };
    RawValue::from_string(text.to_owned()).or_else(|_| {
        let read = extended_json::read(text).ok();
        let written = read.and_then(|metadata| extended_json::document(metadata.as_raw()));
        RawValue::from_string(written.unwrap_or_else(|| extended_json::text(text)))
    })
}

fn explain(name: &str, error: DecodeError) -> Error {
    match error.fault {
        Fault::Io(cause) => unread(name, error.offset, cause),
        _ => damaged(name, error),
    }
}

/// The storage's own errors keep their code and their words; all others come of a decompressor.
fn unread(name: &str, offset: u64, error: std::io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error.context(format!("archive `{name}`")),
        Err(error) => damaged(name, format_args!("at byte {offset}: cannot read: {error}")),
    }
}

fn damaged(name: &str, what: impl fmt::Display) -> Error {
    Error::new(Code::Damaged, format!("archive `{name}` is damaged: {what}"))
        .help("Use another copy of the archive, or dump again.")
}
