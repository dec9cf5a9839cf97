//! The files of a tar archive, one after the other. Nothing of it is ever written to a disk.

use std::io::{self, Read};

use tar::{EntryType, Header, PaxExtensions};

use super::path::clean;

const BLOCK_BYTES: usize = 512;
/// The longest name, and the most that is said about a file before it.
const ABOUT_BYTES_MAX: u64 = 1 << 20;

/// Hands each file to `visit`, with its cleaned path. What it leaves unread is skipped.
///
/// # Errors
/// As the bytes are no tar archive, as reading or `visit` fails; for what is no plain file, though it is called like one.
pub(super) fn each(
    stream: &mut (dyn Read + Send),
    visit: &mut dyn FnMut(&str, &mut (dyn Read + Send)) -> io::Result<()>,
) -> io::Result<()> {
    let mut about = About::default();
    while let Some(block) = block(stream)? {
        let header = Header::from_byte_slice(&block);
        if !has_sum(header, &block) {
            return Err(wrong("a header of the tar archive is not what its sum says"));
        }
        let size = about.size.take().map_or_else(|| header.entry_size(), Ok)?;
        let kind = header.entry_type();
        let mut contents = stream.take(size);
        match kind {
            EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader => {
                about.read(kind, &mut contents, size)?;
            }
            EntryType::XGlobalHeader => {}
            _ => {
                let path = match about.path.take() {
                    Some(path) => path,
                    None => header.path_bytes().into_owned(),
                };
                if let Some(path) = file(kind, &path)? {
                    visit(&path, &mut contents)?;
                }
            }
        }
        io::copy(&mut contents, &mut io::sink())?;
        if contents.limit() > 0 {
            return Err(cut_off());
        }
        let rest = size.next_multiple_of(BLOCK_BYTES as u64) - size;
        if io::copy(&mut stream.take(rest), &mut io::sink())? < rest {
            return Err(cut_off());
        }
    }
    Ok(())
}

/// Whether these bytes begin a tar archive.
pub(super) fn is_tar(start: &[u8]) -> bool {
    let Some(block) = start.first_chunk::<BLOCK_BYTES>() else { return false };
    block[0] != 0 && has_sum(Header::from_byte_slice(block), block)
}

/// What is said about the next file before it.
#[derive(Default)]
struct About {
    path: Option<Vec<u8>>,
    size: Option<u64>,
}

impl About {
    fn read(&mut self, kind: EntryType, contents: &mut dyn Read, size: u64) -> io::Result<()> {
        if size > ABOUT_BYTES_MAX {
            return Err(wrong("a name in the tar archive is longer than a megabyte"));
        }
        let mut bytes = Vec::new();
        contents.read_to_end(&mut bytes)?;
        match kind {
            EntryType::GNULongName => {
                bytes.truncate(bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len()));
                self.path = Some(bytes);
            }
            EntryType::XHeader => {
                for extension in PaxExtensions::new(&bytes) {
                    let extension = extension?;
                    match extension.key_bytes() {
                        b"path" => self.path = Some(extension.value_bytes().to_vec()),
                        b"size" => self.size = Some(number(extension.value_bytes())?),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn number(text: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    text.ok_or_else(|| wrong("a size in the tar archive is no number"))
}

/// The path of a plain file; none for what is no file.
fn file(kind: EntryType, path: &[u8]) -> io::Result<Option<String>> {
    if kind.is_dir() || path.ends_with(b"/") {
        return Ok(None);
    }
    let path = clean(path)?;
    match kind {
        EntryType::Regular | EntryType::Continuous => Ok(Some(path)),
        _ => Err(wrong(format!(
            "`{}` in the tar archive is no plain file, but a link or something else",
            path.escape_debug()
        ))),
    }
}

/// The next header; none at the end, which one of zeros marks.
fn block(stream: &mut (dyn Read + Send)) -> io::Result<Option<[u8; BLOCK_BYTES]>> {
    let mut block = [0; BLOCK_BYTES];
    stream.read_exact(&mut block).map_err(|e| match e.kind() {
        io::ErrorKind::UnexpectedEof => cut_off(),
        _ => e,
    })?;
    Ok((block != [0; BLOCK_BYTES]).then_some(block))
}

/// The sum of a header is that of its bytes, with blanks where it stands itself.
fn has_sum(header: &Header, block: &[u8; BLOCK_BYTES]) -> bool {
    const AT: std::ops::Range<usize> = 148..156;
    let others: u32 =
        block.iter().enumerate().filter(|(i, _)| !AT.contains(i)).map(|(_, b)| u32::from(*b)).sum();
    header.cksum().is_ok_and(|sum| sum == others + 8 * u32::from(b' '))
}

fn cut_off() -> io::Error {
    wrong("the tar archive is cut off")
}

fn wrong(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tar::Builder;

    use super::*;

    fn made(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = Builder::new(Vec::new());
        for (path, contents) in files {
            let mut header = Header::new_gnu();
            header.set_size(contents.len() as u64);
            header.set_mode(0o600);
            builder.append_data(&mut header, path, *contents).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<(String, usize)>> {
        let mut found = Vec::new();
        each(&mut { bytes }, &mut |path, contents| {
            let mut first = [0; 3];
            found.push((path.to_owned(), contents.read(&mut first)?));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn files_come_with_their_names_however_long_and_what_is_not_read_is_skipped() {
        let long = format!("dump/{}/a.bson", "x".repeat(300));
        let bytes = made(&[("./dump/shop/a.bson", &[7; 1000]), (&long, b""), ("dump/b", b"xy")]);
        let found = read(&bytes).unwrap();
        assert_eq!(found, [("dump/shop/a.bson".to_owned(), 3), (long, 0), ("dump/b".to_owned(), 2)]);
        assert!(is_tar(&bytes) && !is_tar(&bytes[1..]) && !is_tar(&[0; 512]));
        for length in [100, 512, 700, 1536, 2000] {
            assert!(read(&bytes[..length]).unwrap_err().to_string().contains("cut off"), "{length}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_and_links_are_refused() {
        let with = |path: &str, kind: EntryType| {
            let mut header = Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(0);
            header.set_entry_type(kind);
            header.set_cksum();
            let mut bytes = header.as_bytes().to_vec();
            bytes.extend([0; 1024]);
            read(&bytes)
        };
        assert_eq!(with("/dump/a", EntryType::Regular).unwrap(), [("dump/a".to_owned(), 0)]);
        assert!(with("dump/../../etc/passwd", EntryType::Regular).unwrap_err().to_string().contains("leads"));
        assert!(with("dump/a.bson", EntryType::Symlink).unwrap_err().to_string().contains("no plain file"));
        assert_eq!(with("dump/", EntryType::Directory).unwrap(), []);
    }

    #[test]
    fn a_name_without_end_takes_no_memory() {
        let mut header = Header::new_gnu();
        header.set_size(1 << 40);
        header.set_entry_type(EntryType::GNULongName);
        header.set_cksum();
        let mut endless = io::Cursor::new(header.as_bytes().to_vec()).chain(io::repeat(b'x'));
        let error = each(&mut endless, &mut |_, _| Ok(())).unwrap_err();
        assert!(error.to_string().contains("longer than a megabyte"), "{error}");
    }

    proptest! {
        #[test]
        fn no_changed_byte_makes_it_panic(at in 0_usize..3000, to in any::<u8>()) {
            let mut bytes = made(&[("dump/shop/a.bson", &[7; 600]), ("dump/b", b"xy")]);
            let at = at % bytes.len();
            bytes[at] = to;
            let _ = read(&bytes);
        }
    }
}
