//! What goes with the bytes of a PUT so that the server notices when they changed on the way.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest, Md5};

use crate::error::{Error, Result};
use crate::settings::{as_text, unknown_choice};

/// The checksum that is sent with every object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Checksum {
    /// `x-amz-checksum-sha256`, which S3 compares and keeps.
    #[default]
    Sha256,
    /// `Content-MD5`, for servers that refuse the other: it is compared, and every server with S3's protocol knows it.
    Md5,
    /// Neither, for servers that refuse both. The signature covers the bytes.
    None,
}

as_text!(Checksum);

impl Checksum {
    /// All of them, the best first.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Md5, Self::None];
    const NAMES: [&str; 3] = ["sha256", "md5", "none"];

    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The value of `x-amz-checksum-sha256`, where it is sent.
    pub(super) fn sha256(self, sha256: &[u8; 32]) -> Option<String> {
        (self == Self::Sha256).then(|| BASE64.encode(sha256))
    }

    /// The value of `Content-MD5`, where it is sent.
    pub(super) fn md5(self, body: &[u8]) -> Option<String> {
        (self == Self::Md5).then(|| BASE64.encode(Md5::digest(body)))
    }
}

impl FromStr for Checksum {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let place = Self::NAMES.iter().position(|name| *name == text);
        let place = place.ok_or_else(|| unknown_choice("a checksum", text, &Self::NAMES))?;
        Ok(Self::ALL[place])
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256 => "sha256",
            Self::Md5 => "md5",
            Self::None => "none",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_read_as_it_is_written() {
        for (checksum, name) in Checksum::ALL.iter().zip(Checksum::NAMES) {
            assert_eq!(name.parse::<Checksum>().unwrap(), *checksum);
            assert_eq!(checksum.to_string(), name);
        }
        assert!("crc32".parse::<Checksum>().is_err());
        assert_eq!(Checksum::Md5.md5(b"").unwrap(), "1B2M2Y8AsgTpgAmY7PhCfg==");
    }
}
