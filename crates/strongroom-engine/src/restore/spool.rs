//! The oplog of an archive, kept aside until the data is in: a stream passes once, and it is applied last.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Cursor, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;

use crate::error::{Code, Error, Result};

/// Kept in memory before a file is begun.
const MEMORY_BYTES: usize = 16 << 20;
const FILE_MODE: u32 = 0o600;
const LENGTH_BYTES: usize = 4;

/// Entries of an oplog in their order.
#[derive(Debug, Default)]
pub(super) struct Spool {
    /// The newest entries.
    memory: Vec<u8>,
    /// Those before; the file has no name any more, and is gone with the process.
    file: Option<File>,
    entries: u64,
}

impl Spool {
    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.entries
    }

    /// Adds an entry, whose bytes begin with their length, as BSON does.
    ///
    /// # Errors
    /// [`Code::Space`] or [`Code::Internal`] when the file cannot be written.
    pub(super) fn push(&mut self, entry: &[u8]) -> Result<()> {
        self.memory.extend_from_slice(entry);
        self.entries += 1;
        if self.memory.len() < MEMORY_BYTES {
            return Ok(());
        }
        self.write_out().map_err(|e| explain(&e))
    }

    fn write_out(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(nameless_file()?),
        };
        file.write_all(&self.memory)?;
        self.memory.clear();
        Ok(())
    }

    /// Every entry, from the first to the last. One such reading at a time: they share the place in the file.
    ///
    /// # Errors
    /// [`Code::Internal`] when the file cannot be read.
    pub(super) fn entries(&self) -> Result<Entries> {
        let memory = Cursor::new(self.memory.clone());
        let bytes: Box<dyn Read + Send> = match &self.file {
            Some(file) => {
                let mut file = file.try_clone().map_err(|e| explain(&e))?;
                file.rewind().map_err(|e| explain(&e))?;
                Box::new(BufReader::new(file).chain(memory))
            }
            None => Box::new(memory),
        };
        Ok(Entries { bytes, left: self.entries })
    }
}

/// Entries of an oplog, as bytes.
pub(super) struct Entries {
    bytes: Box<dyn Read + Send>,
    left: u64,
}

impl Iterator for Entries {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some(read(&mut self.bytes).map_err(|e| explain(&e)))
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
    let path = std::env::temp_dir().join(format!(".strongroom-oplog-{:016x}", rand::random::<u64>()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(&path)?;
    fs::remove_file(path)?;
    Ok(file)
}

fn explain(error: &io::Error) -> Error {
    let folder = std::env::temp_dir();
    let message = format!("the archive's oplog cannot be kept in `{}`: {error}", folder.display());
    let full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    Error::new(if full { Code::Space } else { Code::Internal }, message)
        .help("Set TMPDIR to a folder with enough room for the archive's oplog.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_in_order_from_memory_and_file() {
        let entry = |i: u32, bytes: usize| {
            let mut entry = vec![(i % 251) as u8; bytes];
            entry[..LENGTH_BYTES].copy_from_slice(&(bytes as u32).to_le_bytes());
            entry
        };
        for bytes in [5, 4 << 20] {
            let mut spool = Spool::default();
            for i in 0..11 {
                spool.push(&entry(i, bytes)).unwrap();
            }
            assert_eq!((spool.len(), spool.file.is_some()), (11, bytes > 5));
            let back: Vec<Vec<u8>> = spool.entries().unwrap().map(Result::unwrap).collect();
            assert!(back.into_iter().eq((0..11).map(|i| entry(i, bytes))));
        }
    }
}
