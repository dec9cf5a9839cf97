//! Documents laid end to end, as the files of a dump hold them.

use std::io::{self, Read};

/// The longest document that is taken: 16 MiB, and what a server adds itself.
const DOCUMENT_BYTES_MAX: usize = (16 << 20) + (64 << 10);
const LENGTH_BYTES: usize = 4;

/// Hands each document to `take`. Memory grows by what arrives, never by what a length says.
///
/// # Errors
/// As reading or `take` fails; for lengths that no document has, and a file that is cut off.
pub(super) fn each(stream: &mut dyn Read, take: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut document = Vec::new();
    loop {
        document.clear();
        stream.take(LENGTH_BYTES as u64).read_to_end(&mut document)?;
        let Some(length) = document.first_chunk() else {
            return if document.is_empty() { Ok(()) } else { Err(cut_off()) };
        };
        let length = i32::from_le_bytes(*length);
        let bytes = usize::try_from(length).ok().filter(|bytes| (5..=DOCUMENT_BYTES_MAX).contains(bytes));
        let Some(bytes) = bytes else {
            let what = format!("a document of {length} bytes, where 5 to {DOCUMENT_BYTES_MAX} are possible");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        };
        stream.take((bytes - LENGTH_BYTES) as u64).read_to_end(&mut document)?;
        if document.len() < bytes {
            return Err(cut_off());
        }
        take(&document)?;
    }
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the file is cut off within a document")
}

#[cfg(test)]
mod tests {
    use bson::rawdoc;

    use super::*;

    fn read(bytes: &[u8]) -> io::Result<usize> {
        let mut documents = 0;
        each(&mut { bytes }, &mut |_| {
            documents += 1;
            Ok(())
        })?;
        Ok(documents)
    }

    #[test]
    fn documents_come_one_after_the_other_and_what_is_none_is_an_error() {
        let two = [rawdoc! { "_id": 1 }.into_bytes(), rawdoc! { "_id": 2, "x": "y" }.into_bytes()].concat();
        assert_eq!(read(&two).unwrap(), 2);
        assert_eq!(read(&[]).unwrap(), 0);
        for (bytes, word) in [
            (&two[..two.len() - 1], "cut off"),
            (&two[..2], "cut off"),
            (&[0xff; 8], "-1 bytes"),
            (&[4, 0, 0, 0], "4 bytes"),
            (&[0xff, 0xff, 0xff, 0x7f], "2147483647 bytes"),
        ] {
            assert!(read(bytes).unwrap_err().to_string().contains(word), "{word}");
        }
    }
}
