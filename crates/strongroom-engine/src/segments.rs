//! Getting segments back: fetched whole, compared with the manifest, and read as the archive's pieces.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use mongo_archive::{Crc64, Decoder, Event as ArchiveEvent, Limits};

use crate::bucket::ObjectStore;
use crate::compression::Compression;
use crate::error::{Code, Error, Result};
use crate::hash::sha256;
use crate::help;
use crate::help::Command;
use crate::job::Job;
use crate::manifest::{Content, Namespace, Segment};
use crate::names::Name;
use crate::progress::Event;
use crate::stream::{Exactly, decompress};

/// Requests under way at once that look whether segments are there.
const TOUCHED_AT_ONCE: usize = 16;

/// Fetches a segment's stored bytes; what is returned is what was stored. What comes damaged is fetched once more: the
/// damage may have happened on the way.
///
/// # Errors
/// [`Code::ObjectMissing`] and [`Code::Damaged`], naming the segment; or as the store fails.
pub(crate) async fn fetch(store: &dyn ObjectStore, segment: &Segment, job: &Job) -> Result<Bytes> {
    match fetch_once(store, segment).await {
        Err(error) if error.code() == Code::Damaged => {
            job.observe(&Event::Retrying {
                request: "GetObject".into(),
                key: segment.key.clone(),
                why: error.message().into(),
                pause_milliseconds: 0,
            });
            fetch_once(store, segment).await
        }
        outcome => outcome,
    }
}

async fn fetch_once(store: &dyn ObjectStore, segment: &Segment) -> Result<Bytes> {
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

/// Looks whether segments are there with their lengths: by listing, which costs next to nothing. What a listing does not
/// show as it should be is fetched, since a version of it that is not the newest may be what is needed. An identity that
/// may not list reads the first byte of each, and so learns that it is there.
///
/// # Errors
/// As [`fetch`].
pub(crate) async fn check_there<'a>(
    store: &dyn ObjectStore,
    wanted: impl Iterator<Item = &'a Segment>,
    job: &Job,
) -> Result<()> {
    let mut folders: BTreeMap<&str, Vec<&Segment>> = BTreeMap::new();
    for segment in wanted {
        let (folder, _) = segment.key.rsplit_once('/').unwrap_or_default();
        folders.entry(folder).or_default().push(segment);
    }
    for (folder, wanted) in folders {
        match store.list(folder).await {
            Ok(listing) => {
                let there: HashMap<&str, u64> =
                    listing.objects.iter().map(|object| (object.name.as_str(), object.bytes)).collect();
                let as_listed = |s: &&Segment| there.get(s.name()) == Some(&s.stored_bytes);
                for segment in wanted.into_iter().filter(|segment| !as_listed(segment)) {
                    fetch(store, segment, job).await?;
                }
            }
            Err(error) if error.code() == Code::Denied => touch(store, &wanted).await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

async fn touch(store: &dyn ObjectStore, wanted: &[&Segment]) -> Result<()> {
    let first_bytes = stream::iter(wanted).map(async |segment| {
        let first = store.get_start(&segment.key, 1).await;
        first.map_err(|e| e.context(format!("segment `{}`", segment.key)))
    });
    first_bytes.buffer_unordered(TOUCHED_AT_ONCE).try_for_each(async |_| Ok(())).await
}

/// Reads the segment that opens the archive.
///
/// # Errors
/// [`Code::Internal`] when a decompressor cannot be set up.
pub(crate) fn archive<'a>(
    compression: Compression,
    segment: &Segment,
    stored: &'a [u8],
) -> Result<Decoder<Box<dyn Read + Send + 'a>>> {
    Ok(Decoder::new(open(compression, segment, stored)?, Limits::default()))
}

/// Decompresses a segment's stored bytes; an error while reading where they are not as many as the manifest says.
///
/// # Errors
/// [`Code::Internal`] when a decompressor cannot be set up.
pub(crate) fn open<'a>(
    compression: Compression,
    segment: &Segment,
    stored: &'a [u8],
) -> Result<Box<dyn Read + Send + 'a>> {
    Ok(Box::new(Exactly::new(decompress(compression, stored)?, segment.raw_bytes)))
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
    /// The buckets of a time-series stand under a name of their own or, from MongoDB 8.3 on, under that of the
    /// time-series.
    pub(crate) fn of(namespaces: &[Namespace]) -> Self {
        let own = namespaces.iter().map(|n| Name::new(&n.db, &n.collection)).enumerate();
        let of_data = namespaces.iter().map(|n| Name::new(&n.db, n.data_collection())).enumerate();
        Self(own.chain(of_data).map(|(place, name)| (name, place)).collect())
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
    pub(crate) fn new(
        compression: Compression,
        names: &'a Names,
        segment: &Segment,
        stored: &'a [u8],
    ) -> Result<Self> {
        let decoder = Decoder::blocks(open(compression, segment, stored)?, Limits::default());
        Ok(Self { decoder, names, found: Found::default() })
    }

    /// The next step; none at the segment's end.
    pub(crate) fn next(&mut self) -> Result<Option<Step<'_>>> {
        let Some(event) = self.decoder.next().map_err(wrong)? else { return Ok(None) };
        Ok(Some(match event {
            ArchiveEvent::BlockStart(namespace) => {
                let place = self.names.place(namespace)?;
                let content = Content { namespace: place, documents: 0, bytes: 0 };
                self.found.contents.push((content, Crc64::new()));
                Step::Begin(place)
            }
            ArchiveEvent::Document(document) => {
                self.found.count(document)?;
                Step::Document(document)
            }
            ArchiveEvent::BlockEnd => Step::End,
            ArchiveEvent::Eof { namespace, crc } => {
                let place = self.names.place(namespace)?;
                self.found.ends.push((place, crc));
                Step::Ended
            }
            ArchiveEvent::Prelude(_) => return Err(wrong("an archive begins in it")),
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
