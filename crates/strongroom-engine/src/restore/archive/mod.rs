//! What other tools made: an archive of mongodump, or the files of its dump directory, in a folder, a bucket or a tar
//! archive, plain or compressed.

mod bson_file;
mod described;
mod dump;
mod files;
mod format;
mod layout;
mod path;
mod stream;
mod tar;

pub use files::Opener;

use std::fmt;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use crate::bucket::{self, StoreOptions};
use crate::error::{Code, Error, Result};
use crate::location::Location;
use crate::manifest::Namespace;
use crate::spool::{self, Spool};
use dump::Dump;
use files::Files;
use format::Format;
use stream::Stream;

/// Documents handed on at once, in bytes: some inserts' worth.
const CHUNK_BYTES: usize = 4 << 20;

/// An archive or a dump whose list of contents was read, and whose documents come next.
pub struct Archive {
    name: String,
    namespaces: Vec<Namespace>,
    contents: Contents,
}

enum Contents {
    Stream(Box<Stream>),
    Dump(Dump),
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

/// What becomes of the documents of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// They are handed on.
    Take,
    /// There is no place for them: they are counted.
    Count,
    /// Nobody asked for them.
    Leave,
}

/// What reading all of it gave beside the documents.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// The oplog, if it had to come along.
    pub(super) oplog: Option<Spool>,
    /// Documents for which there is no place, by the number of their namespace.
    pub(super) counted: std::collections::BTreeMap<usize, u64>,
}

impl Archive {
    /// Reads the beginning of what comes as a stream, once. Whether it is compressed, and what it is, its first bytes
    /// tell. Of a tar archive a copy is kept in the folder for temporary files, because it is read twice. Blocks.
    /// `name` is what it is called in messages.
    ///
    /// # Errors
    /// [`Code::Damaged`] when it is none; [`Code::Usage`] when it is something else that is known; as the stream fails.
    pub fn open(name: impl Into<String>, mut stream: Box<dyn Read + Send>) -> Result<Self> {
        let name = name.into();
        let (format, start) = look(&name, &mut stream)?;
        let whole = Box::new(Cursor::new(start).chain(stream));
        match format {
            Format::Archive => Self::stream(name, whole, None),
            Format::Tar => {
                let kept = spool::keep(whole).map_err(|e| unread(&name, 0, e))?;
                Self::files(name, Files::Tar(Arc::new(move || Ok(kept.reader()))), None)
            }
            Format::Other(other) => Err(other.explain(&name)),
        }
    }

    /// The same of what can be opened again: then what an oplog holds is known before anything is restored.
    ///
    /// # Errors
    /// As [`open`](Self::open); as `opener` fails.
    pub fn open_again(name: impl Into<String>, opener: Opener) -> Result<Self> {
        let name = name.into();
        let mut stream = opener()?;
        let (format, start) = look(&name, &mut stream)?;
        match format {
            Format::Archive => Self::stream(name, Box::new(Cursor::new(start).chain(stream)), Some(opener)),
            Format::Tar => Self::files(name, Files::Tar(opener), None),
            Format::Other(other) => Err(other.explain(&name)),
        }
    }

    /// A dump directory, or the folder of one database in it. Blocks.
    ///
    /// # Errors
    /// [`Code::Usage`] when it is none; as files cannot be read.
    pub fn open_folder(name: impl Into<String>, path: &Path) -> Result<Self> {
        let name = name.into();
        if let Some(other) = format::other_folder(path) {
            return Err(other.explain(&name));
        }
        let db = path.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        Self::files(name, Files::Folder(path.to_owned()), db.as_deref())
    }

    /// What stands at a location: an object or a file, or a prefix or a folder with the files of a dump. Must be
    /// called where a runtime is, but not on its threads: it blocks.
    ///
    /// # Errors
    /// As the other ways to open; [`Code::ObjectMissing`] when nothing stands there.
    pub fn open_location(name: impl Into<String>, location: Location, options: StoreOptions) -> Result<Self> {
        let name = name.into();
        match location {
            Location::Folder(path) if path.is_dir() => Self::open_folder(name, &path),
            Location::Folder(_) => {
                Self::open_again(name, Arc::new(move || bucket::open_object(&location, options.clone())))
            }
            Location::S3 { bucket, prefix } => Self::open_object(name, bucket, &prefix, options),
        }
    }

    fn open_object(name: String, bucket: String, prefix: &str, options: StoreOptions) -> Result<Self> {
        let folder = prefix.trim_end_matches('/').to_owned();
        let object = Location::S3 { bucket: bucket.clone(), prefix: prefix.to_owned() };
        let again = options.clone();
        let opened = match prefix.is_empty() || prefix.ends_with('/') {
            true => None,
            false => match Self::open_again(
                name.clone(),
                Arc::new(move || bucket::open_object(&object, again.clone())),
            ) {
                Err(error) if error.code() == Code::ObjectMissing => Some(error),
                opened => return opened,
            },
        };
        let objects = files::Objects::new(bucket, folder.clone(), options)?;
        match (objects.is_empty()?, opened) {
            (true, Some(missing)) => Err(missing),
            (true, None) => Err(not_a_dump(&name, "nothing stands there")),
            (false, _) => {
                let db = folder.rsplit('/').next().filter(|db| !db.is_empty());
                Self::files(name, Files::Objects(Box::new(objects)), db)
            }
        }
    }

    fn stream(name: String, whole: Box<dyn Read + Send>, again: Option<Opener>) -> Result<Self> {
        let (stream, namespaces) = Stream::open(&name, whole, again)?;
        Ok(Self { name, namespaces, contents: Contents::Stream(Box::new(stream)) })
    }

    fn files(name: String, files: Files, db: Option<&str>) -> Result<Self> {
        let (dump, namespaces) = Dump::open(&name, files, db)?;
        Ok(Self { name, namespaces, contents: Contents::Dump(dump) })
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

    /// Whether it comes once, from its beginning to its end.
    pub(super) fn is_read_once(&self) -> bool {
        matches!(&self.contents, Contents::Stream(stream) if stream.is_read_once())
    }

    /// Its oplog, read in a pass of its own; none where it has none, or can be read only once. Blocks.
    ///
    /// # Errors
    /// [`Code::Damaged`]; as the stream fails.
    pub(super) fn oplog(&self) -> Result<Option<Spool>> {
        match &self.contents {
            Contents::Stream(stream) => stream.oplog(self),
            Contents::Dump(dump) => dump.oplog(),
        }
    }

    /// Hands on the documents that are wished for, and keeps the oplog unless [`oplog`](Self::oplog) gives it. All is
    /// compared with its CRC, where there is one. Blocks.
    ///
    /// # Errors
    /// [`Code::Damaged`] where it is damaged or cut off; as the stream or `take` fails.
    pub(super) fn read(
        &self,
        wish: &dyn Fn(usize) -> Wish,
        take: &mut dyn FnMut(Chunk) -> Result<()>,
    ) -> Result<Rest> {
        match &self.contents {
            Contents::Stream(stream) => stream.read(self, wish, take),
            Contents::Dump(dump) => dump.read(&self.namespaces, wish, take),
        }
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Archive({}, {} namespaces)", self.name, self.namespaces.len())
    }
}

/// What a stream is, and its first bytes: no more than tell, since more may be long in coming.
fn look(name: &str, stream: &mut dyn Read) -> Result<(Format, Vec<u8>)> {
    let (mut start, mut piece) = (Vec::new(), vec![0; format::START_BYTES]);
    while start.len() < format::START_BYTES && !format::is_told_by(&start) {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => start.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unread(name, 0, error)),
        }
    }
    let format = Format::of(&start);
    Ok((format, start))
}

/// The storage's own errors keep their code and their words; all others come of a decompressor.
fn unread(name: &str, offset: u64, error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error.context(format!("archive `{name}`")),
        Err(error) => damaged(name, format_args!("at byte {offset}: cannot read: {error}")),
    }
}

fn damaged(name: &str, what: impl fmt::Display) -> Error {
    Error::new(Code::Damaged, format!("archive `{name}` is damaged: {what}"))
        .help("Use another copy of the archive, or dump again.")
}

/// Files that are not those of a dump.
fn not_a_dump(name: &str, why: &str) -> Error {
    Error::new(Code::Usage, format!("`{name}` is not a dump directory of mongodump: {why}")).help(
        "Give the folder that holds a folder for each database, with `.bson` and `.metadata.json` files in it, or an \
         archive of mongodump.",
    )
}

fn no_names(path: &str) -> Error {
    let message = format!("the name of `{}` is not one that mongodump gives", path.escape_debug());
    Error::new(Code::Usage, message)
        .help("Take the file away, or give it the name that it had, and restore again.")
}
