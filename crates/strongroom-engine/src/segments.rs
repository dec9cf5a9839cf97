//! Getting segments back: fetched whole, compared with the manifest, and read as the archive's pieces.

use std::collections::HashMap;
use std::io::Read;

use bytes::Bytes;
use mongo_archive::{Crc64, Decoder, Event, Limits};

use crate::bucket::ObjectStore;
use crate::compression::Compression;
use crate::error::{Code, Error, Result};
use crate::hash::sha256;
use crate::help;
use crate::help::Command;
use crate::manifest::{Content, Namespace, Segment};
use crate::names::Name;
use crate::stream::decompress;

/// Fetches a segment's stored bytes; what is returned is what was stored.
///
/// # Errors
/// [`Code::ObjectMissing`] and [`Code::Damaged`], naming the segment; or as the store fails.
pub(crate) async fn fetch(store: &dyn ObjectStore, segment: &Segment) -> Result<Bytes> {
    // One byte more than expected, so that a longer object is told apart from a damaged one.
    let fetched =
        store.get(&segment.key, segment.version_id.as_deref(), segment.stored_bytes.saturating_add(1)).await;
    let body = fetched.map_err(|e| e.context(format!("segment `{}`", segment.key)))?.body;
    if body.len() as u64 != segment.stored_bytes {
        let (found, wanted) = (body.len(), segment.stored_bytes);
        return Err(damaged(segment, format!("it has {found} bytes instead of {wanted}")));
    }
    let sha256 = hex::encode(sha256(&body));
    if !sha256.eq_ignore_ascii_case(&segment.sha256) {
        return Err(damaged(segment, "its SHA-256 is not the one in the manifest"));
    }
    Ok(body)
}

/// Reads the segment that opens the archive.
///
/// # Errors
/// [`Code::Internal`] when a decompressor cannot be set up.
pub(crate) fn archive(compression: Compression, stored: &[u8]) -> Result<Decoder<Box<dyn Read + Send + '_>>> {
    Ok(Decoder::new(decompress(compression, stored)?, Limits::default()))
}

/// What is wrong with a segment.
pub(crate) fn damaged(segment: &Segment, what: impl std::fmt::Display) -> Error {
    Error::new(Code::Damaged, format!("segment `{}` is damaged: {what}", segment.key)).help(help![
        Command::Verify,
        " shows all that is damaged in this backup; restore another, or an earlier version of the object."
    ])
}

/// Which place in the list of contents a namespace of the archive has.
pub(crate) struct Names(HashMap<Name, usize>);

impl Names {
    pub(crate) fn of(namespaces: &[Namespace]) -> Self {
        let names = namespaces.iter().map(|n| Name::new(&n.db, n.data_collection()));
        Self(names.enumerate().map(|(place, name)| (name, place)).collect())
    }

    pub(crate) fn place(&self, name: &Name) -> Result<usize> {
        let found = self.0.get(name).copied();
        found.ok_or_else(|| wrong(format_args!("it holds `{name}`, which is not in the list of contents")))
    }
}

/// What is met on a walk through a segment's blocks.
pub(crate) enum Step<'a> {
    /// Documents of the namespace at this place of the manifest come next.
    Begin(usize),
    /// One of them.
    Document(&'a [u8]),
    /// No more of them in this block.
    End,
    /// No more blocks of a namespace.
    Ended,
}

/// A walk through a segment's blocks that counts, and takes the CRC of each.
pub(crate) struct Walk<'a> {
    decoder: Decoder<Box<dyn Read + Send + 'a>>,
    names: &'a Names,
    found: Found,
}

/// What a segment was found to hold.
#[derive(Default)]
pub(crate) struct Found {
    /// In order, one entry a block.
    pub(crate) contents: Vec<(Content, Crc64)>,
    /// Places of namespaces that end here, with the CRC that the archive gives.
    pub(crate) ends: Vec<(usize, u64)>,
}

impl<'a> Walk<'a> {
    /// The stored bytes may come from anywhere: nothing that they say is trusted.
    pub(crate) fn new(compression: Compression, names: &'a Names, stored: &'a [u8]) -> Result<Self> {
        let decoder = Decoder::blocks(decompress(compression, stored)?, Limits::default());
        Ok(Self { decoder, names, found: Found::default() })
    }

    /// The next step; none at the segment's end.
    pub(crate) fn next(&mut self) -> Result<Option<Step<'_>>> {
        let Some(event) = self.decoder.next().map_err(wrong)? else { return Ok(None) };
        Ok(Some(match event {
            Event::BlockStart(namespace) => {
                let place = self.names.place(namespace)?;
                let content = Content { namespace: place, documents: 0, bytes: 0 };
                self.found.contents.push((content, Crc64::new()));
                Step::Begin(place)
            }
            Event::Document(document) => {
                self.found.count(document)?;
                Step::Document(document)
            }
            Event::BlockEnd => Step::End,
            Event::Eof { namespace, crc } => {
                let place = self.names.place(namespace)?;
                self.found.ends.push((place, crc));
                Step::Ended
            }
            Event::Prelude(_) => return Err(wrong("an archive begins in it")),
        }))
    }

    /// What was met, if it is what the manifest says of this segment.
    pub(crate) fn finish(self, segment: &Segment) -> Result<Found> {
        if self.found.contents.iter().map(|(content, _)| content).eq(&segment.contents) {
            return Ok(self.found);
        }
        Err(wrong("its collections and numbers of documents are not those of the manifest"))
    }
}

impl Found {
    fn count(&mut self, document: &[u8]) -> Result<()> {
        let Some((content, crc)) = self.contents.last_mut() else {
            return Err(wrong("a document stands outside of a block"));
        };
        content.documents += 1;
        content.bytes += document.len() as u64;
        crc.update(document);
        Ok(())
    }
}

/// Damage that is not yet said to be of a certain segment.
pub(crate) fn wrong(what: impl std::fmt::Display) -> Error {
    Error::new(Code::Damaged, what.to_string())
}
