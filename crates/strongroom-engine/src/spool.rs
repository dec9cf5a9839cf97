//! What is kept aside until its turn comes: entries of an oplog, in memory while they are few, else in a file; streams
//! that are read twice.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;

use crate::error::{Code, Error, Result};

/// Kept in memory before a file is begun.
const MEMORY_BYTES: usize = 16 << 20;
const FILE_MODE: u32 = 0o600;
const LENGTH_BYTES: usize = 4;
const KEPT_AT_ONCE: usize = 256 * 1024;

/// Entries in the order in which they came.
#[derive(Debug)]
pub(crate) struct Spool {
    /// The newest entries.
    memory: Vec<u8>,
    memory_bytes_max: usize,
    /// Those before; the file has no name any more, and is gone with the process.
    file: Option<File>,
    file_bytes: u64,
    entries: u64,
}

/// Where an entry is kept. Later entries have later places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u64);

impl Default for Spool {
    fn default() -> Self {
        Self::with_memory(MEMORY_BYTES)
    }
}

impl Spool {
    /// Keeps about this many bytes in memory.
    pub(crate) fn with_memory(bytes: usize) -> Self {
        Self { memory: Vec::new(), memory_bytes_max: bytes, file: None, file_bytes: 0, entries: 0 }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.entries
    }

    /// Adds an entry, whose bytes begin with their length, as BSON does.
    ///
    /// # Errors
    /// [`Code::Space`] or [`Code::Internal`] when the file cannot be written.
    pub(crate) fn push(&mut self, entry: &[u8]) -> Result<Place> {
        let place = Place(self.file_bytes + self.memory.len() as u64);
        self.memory.extend_from_slice(entry);
        self.entries += 1;
        if self.memory.len() >= self.memory_bytes_max {
            self.write_out().map_err(|e| explain(&e))?;
        }
        Ok(place)
    }

    /// Forgets all entries.
    ///
    /// # Errors
    /// [`Code::Internal`] when the file cannot be cut.
    pub(crate) fn clear(&mut self) -> Result<()> {
        self.memory.clear();
        (self.file_bytes, self.entries) = (0, 0);
        self.file.as_ref().map_or(Ok(()), |file| file.set_len(0)).map_err(|e| explain(&e))
    }

    /// The entry at a place.
    ///
    /// # Errors
    /// [`Code::Internal`] when the file cannot be read.
    pub(crate) fn get(&self, place: Place) -> Result<Vec<u8>> {
        read(&mut Reading { spool: self, at: place.0 }).map_err(|e| explain(&e))
    }

    /// Every entry, from the first to the last.
    pub(crate) fn entries(&self) -> Entries<'_> {
        let bytes = BufReader::new(Reading { spool: self, at: 0 });
        Entries { bytes, left: self.entries }
    }

    fn write_out(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(nameless_file()?),
        };
        file.write_all_at(&self.memory, self.file_bytes)?;
        self.file_bytes += self.memory.len() as u64;
        self.memory.clear();
        Ok(())
    }
}

/// The bytes from a place on: first those in the file, then those in memory.
struct Reading<'a> {
    spool: &'a Spool,
    at: u64,
}

impl Read for Reading<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Spool { memory, file, file_bytes, .. } = self.spool;
        let read = match (file, file_bytes.checked_sub(self.at)) {
            (Some(file), Some(left @ 1..)) => {
                let wanted = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                file.read_at(&mut bytes[..wanted], self.at)?
            }
            _ => {
                let from = usize::try_from(self.at - file_bytes).unwrap_or(usize::MAX);
                memory.get(from..).unwrap_or_default().read(bytes)?
            }
        };
        self.at += read as u64;
        Ok(read)
    }
}

/// Entries of an oplog, as bytes.
pub(crate) struct Entries<'a> {
    bytes: BufReader<Reading<'a>>,
    left: u64,
}

impl Iterator for Entries<'_> {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(read(&mut self.bytes).map_err(|e| explain(&e)))
    }
}

/// A stream that was kept, to be read more than once.
#[derive(Debug)]
pub(crate) struct Kept(Arc<File>);

/// Keeps all of a stream in a file.
///
/// # Errors
/// As the stream fails; [`Code::Space`] or [`Code::Internal`], within the [`io::Error`], when the file cannot be written.
pub(crate) fn keep(mut stream: impl Read) -> io::Result<Kept> {
    let mut file = nameless_file().map_err(|e| io::Error::other(explain(&e)))?;
    let mut bytes = vec![0; KEPT_AT_ONCE];
    loop {
        let read = match stream.read(&mut bytes) {
            Ok(0) => return Ok(Kept(Arc::new(file))),
            Ok(read) => read,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        file.write_all(&bytes[..read]).map_err(|e| io::Error::other(explain(&e)))?;
    }
}

impl Kept {
    /// All of it, from the beginning.
    pub(crate) fn reader(&self) -> Box<dyn Read + Send> {
        Box::new(BufReader::with_capacity(KEPT_AT_ONCE, KeptReader { file: self.0.clone(), at: 0 }))
    }
}

struct KeptReader {
    file: Arc<File>,
    at: u64,
}

impl Read for KeptReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(bytes, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

fn read(bytes: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut entry = vec![0; LENGTH_BYTES];
    bytes.read_exact(&mut entry)?;
    let length = entry.first_chunk().map_or(0, |length| u32::from_le_bytes(*length));
    entry.resize((length as usize).max(LENGTH_BYTES), 0);
    bytes.read_exact(&mut entry[LENGTH_BYTES..])?;
    Ok(entry)
}

/// A file in the folder for temporary files that nobody else can open.
fn nameless_file() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!(".strongroom-{:016x}", rand::random::<u64>()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(&path)?;
    fs::remove_file(path)?;
    Ok(file)
}

fn explain(error: &io::Error) -> Error {
    let folder = std::env::temp_dir();
    let message = format!("what is needed later cannot be kept in `{}`: {error}", folder.display());
    let full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    Error::new(if full { Code::Space } else { Code::Internal }, message)
        .help("Set TMPDIR to a folder with enough room.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(i: u32, bytes: usize) -> Vec<u8> {
        let mut entry = vec![(i % 251) as u8; bytes];
        entry[..LENGTH_BYTES].copy_from_slice(&(bytes as u32).to_le_bytes());
        entry
    }

    #[test]
    fn what_is_kept_comes_back_in_order_from_memory_and_file() {
        for bytes in [5, 4 << 20] {
            let mut spool = Spool::default();
            for i in 0..11 {
                spool.push(&entry(i, bytes)).unwrap();
            }
            assert_eq!((spool.len(), spool.file.is_some()), (11, bytes > 5));
            let back: Vec<Vec<u8>> = spool.entries().map(Result::unwrap).collect();
            assert!(back.into_iter().eq((0..11).map(|i| entry(i, bytes))));
        }
    }

    #[test]
    fn each_entry_is_found_at_its_place_whatever_is_in_the_file() {
        let mut spool = Spool::with_memory(100);
        for round in 0..2 {
            let places: Vec<Place> =
                (0..50).map(|i| spool.push(&entry(i, 5 + i as usize)).unwrap()).collect();
            assert!(places.is_sorted() && spool.file_bytes > 0 && !spool.memory.is_empty(), "{round}");
            for (i, place) in places.iter().enumerate().rev() {
                assert_eq!(spool.get(*place).unwrap(), entry(i as u32, 5 + i));
            }
            spool.clear().unwrap();
            assert_eq!(spool.entries().count(), 0);
        }
    }
}
