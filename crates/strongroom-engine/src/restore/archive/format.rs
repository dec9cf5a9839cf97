//! What somebody gave to be restored, by its first bytes or the files beside it. Pure but for a look into a folder.

use std::io::{Cursor, Read};
use std::path::Path;

use mongo_archive::{MAGIC, check_document};

use super::tar::is_tar;
use crate::error::{Code, Error};
use crate::stream::decompress_any;

/// So many bytes of what may be compressed are enough to tell.
pub(super) const START_BYTES: usize = 64 * 1024;
/// Bytes that tell once they are decompressed: a block of a tar archive.
const PLAIN_BYTES: u64 = 512;
/// The shortest and the longest document.
const DOCUMENT_BYTES: std::ops::RangeInclusive<u32> = 5..=(16 << 20) + (64 << 10);

/// What a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// An archive of mongodump, or what nobody knows: the decoder says what is wrong with it.
    Archive,
    Tar,
    Other(Other),
}

/// Things that are taken for archives or dumps, and what to do with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Other {
    Zip,
    Xz,
    Bzip2,
    Bson,
    Text,
    DataFiles,
    Backups,
}

impl Format {
    /// What begins with these bytes.
    pub(super) fn of(start: &[u8]) -> Self {
        match start {
            [b'P', b'K', 3 | 5, 4 | 6, ..] => return Self::Other(Other::Zip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => return Self::Other(Other::Xz),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => return Self::Other(Other::Bzip2),
            _ => {}
        }
        let plain = plain(start);
        if plain.starts_with(&MAGIC) {
            Self::Archive
        } else if is_tar(&plain) {
            Self::Tar
        } else if is_bson(&plain) {
            Self::Other(Other::Bson)
        } else if is_text(&plain) {
            Self::Other(Other::Text)
        } else {
            Self::Archive
        }
    }
}

/// Whether these first bytes tell what it is, whatever follows.
pub(super) fn is_told_by(start: &[u8]) -> bool {
    let plain = plain(start);
    plain.starts_with(&MAGIC) || plain.len() as u64 >= PLAIN_BYTES
}

/// The beginning, decompressed: as much as there is before it breaks off.
fn plain(start: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    if let Ok(stream) = decompress_any(Box::new(Cursor::new(start.to_vec()))) {
        // It ends in the middle of what is compressed.
        let _ = stream.take(PLAIN_BYTES).read_to_end(&mut plain);
    }
    plain
}

fn is_bson(plain: &[u8]) -> bool {
    let Some(length) = plain.first_chunk().map(|length| u32::from_le_bytes(*length)) else { return false };
    if !DOCUMENT_BYTES.contains(&length) {
        return false;
    }
    match plain.get(..length as usize) {
        Some(document) => check_document(document).is_ok(),
        // An element's type, and a name that ends.
        None => matches!(plain.get(4), Some(1..=0x13 | 0x7f | 0xff)) && plain[5..].contains(&0),
    }
}

/// JSON, as mongoexport writes it, or lines of it.
fn is_text(plain: &[u8]) -> bool {
    let text = String::from_utf8_lossy(plain);
    let mut letters = text.trim_start().chars();
    let begins = matches!(letters.next(), Some('{' | '['));
    let goes_on = letters.find(|letter| !letter.is_whitespace());
    begins && matches!(goes_on, None | Some('"' | '{' | '}' | ']'))
}

/// What a folder is, if it is known and no dump.
pub(super) fn other_folder(path: &Path) -> Option<Other> {
    let holds = |file: &str| path.join(file).exists();
    if holds("WiredTiger") || holds("WiredTiger.wt") || holds("mongod.lock") || holds("storage.bson") {
        return Some(Other::DataFiles);
    }
    (holds("RESTORE.md") || holds("manifest.json")).then_some(Other::Backups)
}

impl Other {
    pub(super) fn explain(self, name: &str) -> Error {
        let (what, help) = match self {
            Self::Zip => ("a zip file", "Unpack it, and give the folder that is in it."),
            Self::Xz => {
                ("compressed by xz", "Decompress it on the way: `xz -dc FILE`, and read it from stdin.")
            }
            Self::Bzip2 => {
                ("compressed by bzip2", "Decompress it on the way: `bzip2 -dc FILE`, and read it from stdin.")
            }
            Self::Bson => (
                "the `.bson` file of one collection, which does not say of which database",
                "Put it, with its `.metadata.json` file, into a folder that is called as the database, and give that folder.",
            ),
            Self::Text => ("text, perhaps JSON of mongoexport", "Load it with mongoimport."),
            Self::DataFiles => (
                "the data directory of a mongod",
                "Start a mongod of the version that wrote it on a copy of the directory, and back that up.",
            ),
            Self::Backups => (
                "a location of backups of Strongroom, or one of them",
                "Give the location and the backup's id instead of an archive.",
            ),
        };
        Error::new(
            Code::Usage,
            format!("`{name}` is {what}, and not an archive or dump directory of mongodump"),
        )
        .help(help)
    }
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    fn gzipped(bytes: &[u8]) -> Vec<u8> {
        let mut stream = flate2::read::GzEncoder::new(bytes, flate2::Compression::fast());
        let mut zipped = Vec::new();
        stream.read_to_end(&mut zipped).unwrap();
        zipped
    }

    #[test]
    fn each_is_told_by_its_first_bytes_compressed_or_not() {
        let mut tar = ::tar::Builder::new(Vec::new());
        tar.append_data(&mut ::tar::Header::new_gnu(), "a", &b""[..]).unwrap();
        let small = rawdoc! { "_id": 1 }.into_bytes();
        let large = rawdoc! { "_id": 1, "text": "x".repeat(100_000) }.into_bytes();
        let archive = [&MAGIC[..], &[1, 2, 3]].concat();
        for (bytes, expected) in [
            (archive, Format::Archive),
            (tar.into_inner().unwrap(), Format::Tar),
            (small, Format::Other(Other::Bson)),
            (large, Format::Other(Other::Bson)),
            (b" [{\"a\": 1}]".to_vec(), Format::Other(Other::Text)),
            (b"{}".to_vec(), Format::Other(Other::Text)),
            (b"\x89PNG\r\n".to_vec(), Format::Archive),
            (Vec::new(), Format::Archive),
        ] {
            let start = |bytes: &[u8]| bytes[..bytes.len().min(START_BYTES)].to_vec();
            assert_eq!(Format::of(&start(&bytes)), expected);
            assert_eq!(Format::of(&start(&gzipped(&bytes))), expected);
        }
        assert_eq!(Format::of(b"PK\x03\x04rest"), Format::Other(Other::Zip));
        assert_eq!(Format::of(b"BZh91AY"), Format::Other(Other::Bzip2));
    }
}
