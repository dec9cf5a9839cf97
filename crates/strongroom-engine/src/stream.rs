//! The stages a segment's bytes pass on their way out and back in: each a `Write` around another `Write`,
//! or a `Read` around another `Read`.

use std::io::{self, Read, Write};

use bytes::{Bytes, BytesMut};
use zstd::zstd_safe::{CParameter, Strategy};

use crate::compression::{Compression, ZSTD_DEFAULT_LEVEL};
use crate::error::{Code, Error, Result};
use crate::hash::Sha256;

/// Counts what passes.
#[derive(Debug)]
pub(crate) struct Meter<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Meter<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, bytes: 0 }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write> Write for Meter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Memory that is hashed as it fills: in runs that are long enough for the hash to be quick, and short enough
/// to be in the processor's cache still.
#[derive(Debug)]
pub(crate) struct HashedBuffer {
    bytes: BytesMut,
    hash: Sha256,
    hashed: usize,
}

const HASHED_AT_ONCE: usize = 64 * 1024;

impl HashedBuffer {
    /// Fills `bytes`, which is empty, and may have room from earlier use.
    pub(crate) fn new(bytes: BytesMut) -> Self {
        Self { bytes, hash: Sha256::new(), hashed: 0 }
    }

    /// All of it, and its SHA-256.
    pub(crate) fn finish(mut self) -> (Bytes, [u8; 32]) {
        self.hash.update(&self.bytes[self.hashed..]);
        (self.bytes.freeze(), self.hash.finish())
    }
}

impl Write for HashedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() - self.hashed >= HASHED_AT_ONCE {
            self.hash.update(&self.bytes[self.hashed..]);
            self.hashed = self.bytes.len();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the default level means here, found by measuring documents: a quick search in tables that fit the processor's
/// cache. It needs two thirds of the CPU of the library's own level 3, for the same output.
const TUNED: [CParameter; 5] = [
    CParameter::Strategy(Strategy::ZSTD_dfast),
    CParameter::WindowLog(18),
    CParameter::HashLog(16),
    CParameter::ChainLog(15),
    CParameter::MinMatch(5),
];

/// Compresses what passes into one zstd frame or one gzip member, or leaves it as it is.
pub(crate) enum Compressor<W: Write> {
    None(W),
    Zstd(zstd::Encoder<'static, W>),
    Gzip(flate2::write::GzEncoder<W>),
}

impl<W: Write> Compressor<W> {
    pub(crate) fn new(compression: Compression, inner: W) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::None(inner),
            Compression::Zstd { level } => {
                let mut encoder = zstd::Encoder::new(inner, level)?;
                if level == ZSTD_DEFAULT_LEVEL {
                    TUNED.iter().try_for_each(|parameter| encoder.set_parameter(*parameter))?;
                }
                Self::Zstd(encoder)
            }
            Compression::Gzip { level } => {
                Self::Gzip(flate2::write::GzEncoder::new(inner, flate2::Compression::new(level)))
            }
        })
    }

    /// Ends the frame or member.
    pub(crate) fn finish(self) -> io::Result<W> {
        match self {
            Self::None(inner) => Ok(inner),
            Self::Zstd(encoder) => encoder.finish(),
            Self::Gzip(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None(inner) => inner.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
            Self::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None(inner) => inner.flush(),
            Self::Zstd(encoder) => encoder.flush(),
            Self::Gzip(encoder) => encoder.flush(),
        }
    }
}

/// Reads a segment's stored bytes as the piece of the archive that they hold.
///
/// # Errors
/// [`Code::Internal`] when a decompressor cannot be set up; damage shows while reading.
pub(crate) fn decompress<'a>(
    compression: Compression,
    stored: &'a [u8],
) -> Result<Box<dyn Read + Send + 'a>> {
    Ok(match compression {
        Compression::None => Box::new(stored),
        Compression::Zstd { .. } => Box::new(
            zstd::Decoder::with_buffer(stored)
                .map_err(|e| Error::new(Code::Internal, "zstd cannot be set up").caused_by(e))?,
        ),
        Compression::Gzip { .. } => Box::new(flate2::bufread::MultiGzDecoder::new(stored)),
    })
}

/// Reads exactly as many bytes as are said to come: one more, or an earlier end, is an error.
pub(crate) struct Exactly<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Exactly<R> {
    pub(crate) fn new(inner: R, bytes: u64) -> Self {
        Self { inner, left: bytes }
    }
}

impl<R: Read> Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let wrong = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        match self.left.checked_sub(read as u64) {
            None => wrong("it holds more than the manifest says"),
            Some(left) if read == 0 && left > 0 && !buffer.is_empty() => {
                wrong("it holds less than the manifest says")
            }
            Some(left) => {
                self.left = left;
                Ok(read)
            }
        }
    }
}

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// A zstd frame, and (but for four bits) one that is skipped, with which some compressors begin (RFC 8878, 3.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const ZSTD_SKIPPED_MAGIC: [u8; 3] = [0x2a, 0x4d, 0x18];

/// Reads what comes from elsewhere, compressed by gzip, by zstd or not at all, as its first bytes tell.
///
/// # Errors
/// As the stream fails, or a decompressor cannot be set up; damage shows while reading.
pub(crate) fn decompress_any<'a>(
    mut stream: Box<dyn Read + Send + 'a>,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut first = Vec::new();
    (&mut stream).take(ZSTD_MAGIC.len() as u64).read_to_end(&mut first)?;
    let is_gzip = first.starts_with(&GZIP_MAGIC);
    let is_zstd = first == ZSTD_MAGIC || first.get(1..) == Some(&ZSTD_SKIPPED_MAGIC);
    let whole = io::Cursor::new(first).chain(stream);
    Ok(match (is_gzip, is_zstd) {
        (true, _) => Box::new(flate2::read::MultiGzDecoder::new(whole)),
        (_, true) => Box::new(zstd::Decoder::new(whole)?),
        _ => Box::new(whole),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_longer_or_shorter_than_it_should_be_is_an_error() {
        let text = [7_u8; 1000];
        let read = |bytes| Exactly::new(&text[..], bytes).read_to_end(&mut Vec::new());
        assert_eq!(read(1000).unwrap(), 1000);
        for wrong in [0, 14, 999, 1001, u64::MAX] {
            assert_eq!(read(wrong).unwrap_err().kind(), io::ErrorKind::InvalidData, "{wrong}");
        }
        // However much follows, no more is read than one buffer holds.
        let mut endless = Exactly::new(io::repeat(7), 14);
        assert!(endless.read_to_end(&mut Vec::new()).is_err());
    }

    #[test]
    fn what_is_compressed_comes_back_and_both_ends_are_measured() {
        let text: Vec<u8> = (0..300_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for compression in [
            Compression::None,
            Compression::Zstd { level: 1 },
            Compression::Zstd { level: ZSTD_DEFAULT_LEVEL },
            Compression::Gzip { level: 6 },
        ] {
            let out = HashedBuffer::new(BytesMut::new());
            let mut stages = Meter::new(Compressor::new(compression, out).unwrap());
            for piece in text.chunks(777) {
                stages.write_all(piece).unwrap();
            }
            assert_eq!(stages.bytes(), text.len() as u64);
            let (stored, sha256) = stages.into_inner().finish().unwrap().finish();
            assert_eq!(sha256, crate::hash::sha256(&stored));
            let mut back = Vec::new();
            decompress(compression, &stored).unwrap().read_to_end(&mut back).unwrap();
            assert_eq!(back, text);
            let mut told_by_itself = Vec::new();
            let stored = Box::new(io::Cursor::new(stored));
            decompress_any(stored).unwrap().read_to_end(&mut told_by_itself).unwrap();
            assert_eq!(told_by_itself, text);
        }
    }
}
