//! The stages a segment's bytes pass on their way out and back in: each a `Write` around another `Write`,
//! or a `Read` around another `Read`.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

use crate::error::{Code, Error, Result};
use crate::manifest::Compression;

/// Counts what passes, and hashes it where that is wanted.
#[derive(Debug)]
pub(crate) struct Meter<W> {
    inner: W,
    bytes: u64,
    hash: Option<Sha256>,
}

impl<W: Write> Meter<W> {
    /// Counts only.
    pub(crate) fn counting(inner: W) -> Self {
        Self { inner, bytes: 0, hash: None }
    }

    /// Counts and takes the SHA-256.
    pub(crate) fn hashing(inner: W) -> Self {
        Self { inner, bytes: 0, hash: Some(Sha256::new()) }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What was written to, and the hash (of nothing, if none was wanted).
    pub(crate) fn finish(self) -> (W, [u8; 32]) {
        (self.inner, self.hash.unwrap_or_default().finalize().into())
    }
}

impl<W: Write> Write for Meter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(&bytes[..written]);
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

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
            Compression::Zstd { level } => Self::Zstd(zstd::Encoder::new(inner, level)?),
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
                .map_err(|e| Error::new(Code::Internal, "zstd cannot be set up").source(e))?,
        ),
        Compression::Gzip { .. } => Box::new(flate2::bufread::MultiGzDecoder::new(stored)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_comes_back_and_both_ends_are_measured() {
        let text: Vec<u8> = (0..300_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for compression in [Compression::None, Compression::Zstd { level: 3 }, Compression::Gzip { level: 6 }]
        {
            let out = Meter::hashing(Vec::new());
            let mut stages = Meter::counting(Compressor::new(compression, out).unwrap());
            stages.write_all(&text).unwrap();
            assert_eq!(stages.bytes(), text.len() as u64);
            let out = stages.finish().0.finish().unwrap();
            let stored_bytes = out.bytes();
            let (stored, sha256) = out.finish();
            assert_eq!(stored_bytes, stored.len() as u64);
            assert_eq!(sha256, <[u8; 32]>::from(Sha256::digest(&stored)));
            let mut back = Vec::new();
            decompress(compression, &stored).unwrap().read_to_end(&mut back).unwrap();
            assert_eq!(back, text);
        }
    }
}
