//! A dump directory: a file of documents for each collection, and one of metadata.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, Read};

use mongo_archive::check_document;

use super::described::namespace;
use super::files::Files;
use super::layout::{File, Layout};
use super::{CHUNK_BYTES, Chunk, Rest, Wish, bson_file, damaged, no_names, unread};
use crate::error::{Error, Result};
use crate::extended_json;
use crate::manifest::Namespace;
use crate::names::{BUCKETS, Name, NamespaceKind};
use crate::spool::Spool;

/// Where servers of old kept the indexes of a database: an ordinary collection to mongodump.
const INDEXES: &str = "system.indexes";
/// What is kept of names, and of metadata.
const PATHS_BYTES_MAX: usize = 256 << 20;
const METADATA_BYTES_MAX: u64 = 256 << 20;

/// A dump whose metadata was read.
pub(super) struct Dump {
    name: String,
    files: Files,
    /// Which namespace the documents of a file are of.
    places: HashMap<String, usize>,
    oplog: Option<String>,
}

impl Dump {
    /// Looks at all files, and reads their metadata. `db` is the database of files at the top.
    ///
    /// # Errors
    /// [`Code::Usage`](crate::error::Code::Usage) when it is no dump; as files cannot be read.
    pub(super) fn open(name: &str, files: Files, db: Option<&str>) -> Result<(Self, Vec<Namespace>)> {
        let (paths, texts) = read_metadata(&files).map_err(|e| unread_file(name, e))?;
        let layout = Layout::of(name, &paths, db)?;
        let Contents { namespaces, places } = Contents::of(&layout, &texts)?;
        Ok((Self { name: name.to_owned(), files, places, oplog: layout.oplog }, namespaces))
    }

    /// The entries of its oplog, if it has one.
    pub(super) fn oplog(&self) -> Result<Option<Spool>> {
        let Some(oplog) = &self.oplog else { return Ok(None) };
        let mut spool = Spool::default();
        let read = self.files.each(&mut |path| Ok(path == oplog), &mut |path, stream| {
            bson_file::each(stream, &mut |entry| {
                check_document(entry).map_err(|wrong| not_bson(path, &wrong))?;
                spool.push(entry).map(drop).map_err(io::Error::other)
            })
            .map_err(|e| in_file(path, e))
        });
        read.map_err(|e| unread_file(&self.name, e))?;
        Ok(Some(spool))
    }

    pub(super) fn read(
        &self,
        namespaces: &[Namespace],
        wish: &dyn Fn(usize) -> Wish,
        take: &mut dyn FnMut(Chunk) -> Result<()>,
    ) -> Result<Rest> {
        let mut counted = BTreeMap::new();
        let place = |path: &str| self.places.get(path).copied();
        let read = self.files.each(
            &mut |path| Ok(place(path).is_some_and(|place| wish(place) != Wish::Leave)),
            &mut |path, stream| {
                let Some(place) = place(path) else { return Ok(()) };
                let mut chunk = Chunk { namespace: place, documents: Vec::new() };
                let read = bson_file::each(stream, &mut |document| {
                    if wish(place) == Wish::Count {
                        *counted.entry(place).or_default() += 1;
                        return Ok(());
                    }
                    check_document(document).map_err(|wrong| not_bson(&namespaces[place].name(), &wrong))?;
                    if !chunk.documents.is_empty() && chunk.documents.len() + document.len() > CHUNK_BYTES {
                        let documents = std::mem::take(&mut chunk.documents);
                        take(Chunk { namespace: place, documents }).map_err(io::Error::other)?;
                    }
                    chunk.documents.extend_from_slice(document);
                    Ok(())
                });
                read.map_err(|e| in_file(path, e))?;
                if chunk.documents.is_empty() { Ok(()) } else { take(chunk).map_err(io::Error::other) }
            },
        );
        read.map_err(|e| unread_file(&self.name, e))?;
        Ok(Rest { oplog: None, counted })
    }
}

/// All paths, and the text of each file of metadata.
fn read_metadata(files: &Files) -> io::Result<(Vec<String>, HashMap<String, String>)> {
    let (mut paths, mut paths_bytes) = (Vec::new(), 0);
    let (mut texts, mut left) = (HashMap::new(), METADATA_BYTES_MAX);
    let mut wanted = |path: &str| {
        paths_bytes += path.len();
        paths.push(path.to_owned());
        if paths_bytes > PATHS_BYTES_MAX {
            return Err(wrong(format!("the names of its files have more than {PATHS_BYTES_MAX} bytes")));
        }
        Ok(path.strip_suffix(".gz").unwrap_or(path).ends_with(".metadata.json"))
    };
    let mut visit = |path: &str, stream: &mut dyn Read| {
        let mut text = Vec::new();
        stream.take(left.saturating_add(1)).read_to_end(&mut text).map_err(|e| in_file(path, e))?;
        left = left.checked_sub(text.len() as u64).ok_or_else(|| {
            wrong(format!("the metadata of its collections has more than {METADATA_BYTES_MAX} bytes"))
        })?;
        let text = String::from_utf8(text).map_err(|_| in_file(path, wrong("it is not UTF-8")))?;
        texts.insert(path.to_owned(), text);
        Ok(())
    };
    files.each(&mut wanted, &mut visit)?;
    Ok((paths, texts))
}

/// The namespaces of a dump, and which files hold the documents of each.
struct Contents {
    namespaces: Vec<Namespace>,
    places: HashMap<String, usize>,
}

impl Contents {
    fn of(layout: &Layout, texts: &HashMap<String, String>) -> Result<Self> {
        let mut contents = Self { namespaces: Vec::new(), places: HashMap::new() };
        let mut known: HashMap<Name, usize> = HashMap::new();
        for file in &layout.metadata {
            let text = texts.get(&file.path).map_or("", String::as_str);
            let Said { name, kind } = Said::of(file, text)?;
            contents.add(&mut known, &file.name, namespace(&name, &kind, text)?)?;
        }
        let is_described = |file: &File| known.contains_key(&file.name) || file.name.collection == INDEXES;
        let undescribed = layout.data.iter().filter(|file| !is_described(file));
        let undescribed: HashSet<&str> = undescribed.map(|file| file.name.db.as_str()).collect();
        for file in &layout.data {
            // The metadata says them too, where there is some.
            if file.name.collection == INDEXES && !undescribed.contains(file.name.db.as_str()) {
                continue;
            }
            let series =
                file.name.collection.strip_prefix(BUCKETS).map(|series| Name::new(&file.name.db, series));
            let series = series.and_then(|series| known.get(&series).copied());
            let series = series.filter(|place| contents.namespaces[*place].kind == NamespaceKind::Timeseries);
            let place = match series.or_else(|| known.get(&file.name).copied()) {
                Some(place) => place,
                None => contents.add(&mut known, &file.name, namespace(&file.name, "", "")?)?,
            };
            contents.places.insert(file.path.clone(), place);
        }
        if layout.oplog.is_some() {
            contents.namespaces.push(namespace(&Name::new("", "oplog"), "", "")?);
        }
        Ok(contents)
    }

    /// `name` is what the file is called, which may be a part of the real name.
    fn add(&mut self, known: &mut HashMap<Name, usize>, name: &Name, namespace: Namespace) -> Result<usize> {
        let place = self.namespaces.len();
        if known.insert(name.clone(), place).is_some() {
            return Err(super::not_a_dump(&namespace.name(), "its metadata is there twice"));
        }
        self.namespaces.push(namespace);
        Ok(place)
    }
}

/// What a file of metadata says of its collection.
struct Said {
    name: Name,
    kind: String,
}

impl Said {
    fn of(file: &File, text: &str) -> Result<Self> {
        let said = if text.trim().is_empty() { Ok(Default::default()) } else { extended_json::read(text) };
        // What is wrong with it is said when all of it is understood.
        let said = said.unwrap_or_default();
        let kind = said.text("type").unwrap_or_default().to_owned();
        let mut name = file.name.clone();
        if file.is_cut {
            let whole = said.text("collectionName").filter(|whole| file.is_cut_of(whole));
            whole.ok_or_else(|| no_names(&file.path))?.clone_into(&mut name.collection);
        }
        Ok(Self { name, kind })
    }
}

fn not_bson(what: &str, why: &dyn std::fmt::Display) -> io::Error {
    wrong(format!("a document of `{}` is not BSON: {why}", what.escape_debug()))
}

/// The storage's own errors keep their words.
fn in_file(path: &str, error: io::Error) -> io::Error {
    match error.downcast::<Error>() {
        Ok(error) => io::Error::other(error),
        Err(error) => wrong(format!("`{}`: {error}", path.escape_debug())),
    }
}

fn wrong(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

fn unread_file(name: &str, error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => unread(name, 0, io::Error::other(error)),
        Err(error) => damaged(name, error),
    }
}
