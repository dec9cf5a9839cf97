//! CRC-64/XZ, which Go's standard library calls `crc64.ECMA`.

use std::fmt;

use crc_fast::{CrcAlgorithm, Digest};

/// A running CRC-64/XZ over documents in the archive's order. It also knows how many bytes it has seen, so
/// that CRCs of consecutive runs of bytes can be put together.
#[derive(Clone)]
pub struct Crc64(Digest);

impl Crc64 {
    /// The CRC of nothing, which is 0.
    #[must_use]
    pub fn new() -> Self {
        Self(Digest::new(CrcAlgorithm::Crc64Xz))
    }

    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Takes in the bytes that `next` has seen, as if they had been given to [`update`](Self::update) here.
    pub fn append(&mut self, next: &Self) {
        match (self.length(), next.length()) {
            (_, 0) => {}
            // Combining costs more than most blocks' own sums.
            (0, _) => self.0 = next.0,
            _ => self.0.combine(&next.0),
        }
    }

    /// The CRC of all bytes so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }

    /// How many bytes that were.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.0.get_amount()
    }
}

impl Default for Crc64 {
    fn default() -> Self {
        Self::new()
    }
}

/// Sixteen hexadecimal digits.
impl fmt::Display for Crc64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.value())
    }
}

impl fmt::Debug for Crc64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crc64({self} of {} bytes)", self.length())
    }
}
