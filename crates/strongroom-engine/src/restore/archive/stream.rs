//! An archive that mongodump made, read from its beginning to its end.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use mongo_archive::{Crc64, DecodeError, Decoder, Event, Fault, Limits, check_document};

use super::described::namespace;
use super::files::Opener;
use super::{Archive, CHUNK_BYTES, Chunk, Rest, Wish, damaged, unread};
use crate::error::{Code, Error, Result};
use crate::manifest::Namespace;
use crate::names::{Name, NamespaceKind};
use crate::segments::Names;
use crate::spool::Spool;
use crate::stream::decompress_any;

type Reader = Decoder<Box<dyn Read + Send>>;

/// An archive of which the list of contents was read.
pub(super) struct Stream {
    rest: Mutex<Reader>,
    /// Where it can be opened again.
    again: Option<Opener>,
}

impl Stream {
    /// Reads the list of contents.
    pub(super) fn open(
        name: &str,
        whole: Box<dyn Read + Send>,
        again: Option<Opener>,
    ) -> Result<(Self, Vec<Namespace>)> {
        let mut stream = decoder(name, whole)?;
        let namespaces: Result<Vec<Namespace>> = match stream.next().map_err(|e| explain(name, e))? {
            Some(Event::Prelude(prelude)) => {
                let listed = prelude.metadata.iter();
                listed.map(|m| namespace(&Name::new(&m.db, &m.collection), &m.kind, &m.metadata)).collect()
            }
            _ => Err(Error::new(Code::Damaged, "it does not begin with its list of contents")),
        };
        let namespaces = namespaces.map_err(|e| damaged(name, e))?;
        Ok((Self { rest: Mutex::new(stream), again }, namespaces))
    }

    pub(super) fn is_read_once(&self) -> bool {
        self.again.is_none()
    }

    /// The oplog, read in a pass of its own where it can be opened again.
    pub(super) fn oplog(&self, archive: &Archive) -> Result<Option<Spool>> {
        let has_one = archive.namespaces.iter().any(|n| n.kind == NamespaceKind::Oplog);
        let Some(again) = self.again.as_ref().filter(|_| has_one) else { return Ok(None) };
        let name = archive.name();
        let mut stream = decoder(name, again()?)?;
        let (mut spool, mut inside) = (Spool::default(), false);
        while let Some(event) = stream.next().map_err(|e| explain(name, e))? {
            match event {
                Event::BlockStart(namespace) => inside = is_oplog(namespace),
                Event::Document(entry) if inside => {
                    check_document(entry).map_err(|wrong| {
                        damaged(name, format_args!("an entry of its oplog is not BSON: {wrong}"))
                    })?;
                    spool.push(entry)?;
                }
                _ => {}
            }
        }
        Ok(Some(spool))
    }

    pub(super) fn read(
        &self,
        archive: &Archive,
        wish: &dyn Fn(usize) -> Wish,
        take: &mut dyn FnMut(Chunk) -> Result<()>,
    ) -> Result<Rest> {
        let mut stream = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reading = Reading::new(archive, wish, take);
        reading.rest.oplog = self.again.is_none().then(Spool::default);
        while let Some(event) = stream.next().map_err(|e| explain(&archive.name, e))? {
            reading.event(&event)?;
        }
        reading.all_ended()?;
        Ok(reading.rest)
    }
}

fn decoder(name: &str, whole: Box<dyn Read + Send>) -> Result<Reader> {
    let plain = decompress_any(whole).map_err(|e| unread(name, 0, e))?;
    Ok(Decoder::new(plain, Limits::default()))
}

fn is_oplog(namespace: &Name) -> bool {
    namespace.db.is_empty()
}

/// What is known on the way through an archive.
struct Reading<'a> {
    archive: &'a Archive,
    names: Names,
    wish: &'a dyn Fn(usize) -> Wish,
    take: &'a mut dyn FnMut(Chunk) -> Result<()>,
    /// Of each namespace, by its place: the sum so far.
    sums: Vec<Crc64>,
    ended: Vec<bool>,
    chunk: Chunk,
    rest: Rest,
}

impl<'a> Reading<'a> {
    fn new(
        archive: &'a Archive,
        wish: &'a dyn Fn(usize) -> Wish,
        take: &'a mut dyn FnMut(Chunk) -> Result<()>,
    ) -> Self {
        Self {
            archive,
            names: Names::of(&archive.namespaces),
            wish,
            take,
            sums: vec![Crc64::new(); archive.namespaces.len()],
            ended: vec![false; archive.namespaces.len()],
            chunk: Chunk { namespace: 0, documents: Vec::new() },
            rest: Rest { oplog: None, counted: BTreeMap::new() },
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
        match (self.wish)(place) {
            _ if is_oplog => {}
            Wish::Take => {}
            Wish::Leave => return Ok(()),
            Wish::Count => {
                *self.rest.counted.entry(place).or_default() += 1;
                return Ok(());
            }
        }
        if let Err(wrong) = check_document(document) {
            let name = self.archive.namespaces[place].name();
            return Err(self.damaged(format_args!("a document of `{name}` is not BSON: {wrong}")));
        }
        if is_oplog {
            return self.rest.oplog.as_mut().map_or(Ok(()), |oplog| oplog.push(document).map(drop));
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

fn explain(name: &str, error: DecodeError) -> Error {
    match error.fault {
        Fault::Io(cause) => unread(name, error.offset, cause),
        _ => damaged(name, error),
    }
}
