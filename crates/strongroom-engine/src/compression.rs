//! How segments are compressed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

/// How segments are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "kebab-case")]
pub enum Compression {
    /// Not at all.
    None,
    /// One zstd frame a segment.
    Zstd {
        /// 1 (fast) to 19 (small).
        level: i32,
    },
    /// One gzip member a segment.
    Gzip {
        /// 1 (fast) to 9 (small).
        level: u32,
    },
}

impl Compression {
    /// The endings of all segments' names.
    pub(crate) const EXTENSIONS: [&str; 3] = ["bson", "zst", "gz"];

    /// How the names of segments end.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::None => "bson",
            Self::Zstd { .. } => "zst",
            Self::Gzip { .. } => "gz",
        }
    }
}

/// zstd's level where none is given: by the figures in `stream.rs` the best of size for time.
pub const ZSTD_DEFAULT_LEVEL: i32 = 3;
const ZSTD_LEVEL_MAX: i32 = 19;
const GZIP_DEFAULT_LEVEL: u32 = 6;
const GZIP_LEVEL_MAX: u32 = 9;

impl Default for Compression {
    fn default() -> Self {
        Self::Zstd { level: ZSTD_DEFAULT_LEVEL }
    }
}

impl FromStr for Compression {
    type Err = Error;

    /// Reads `zstd`, `zstd:LEVEL`, `gzip`, `gzip:LEVEL` or `none`.
    fn from_str(text: &str) -> Result<Self> {
        let (method, level) =
            text.split_once(':').map_or((text, None), |(method, level)| (method, Some(level)));
        match (method, level) {
            ("zstd", None) => Ok(Self::default()),
            ("zstd", Some(level)) => {
                Ok(Self::Zstd { level: within(level, ZSTD_LEVEL_MAX).ok_or_else(|| refused(text))? })
            }
            ("gzip", None) => Ok(Self::Gzip { level: GZIP_DEFAULT_LEVEL }),
            ("gzip", Some(level)) => {
                Ok(Self::Gzip { level: within(level, GZIP_LEVEL_MAX).ok_or_else(|| refused(text))? })
            }
            ("none", None) => Ok(Self::None),
            _ => Err(refused(text)),
        }
    }
}

fn within<T: FromStr + PartialOrd + From<u8>>(level: &str, max: T) -> Option<T> {
    level.parse().ok().filter(|level| (T::from(1)..=max).contains(level))
}

fn refused(text: &str) -> Error {
    Error::new(Code::Usage, format!("`{text}` is not a compression"))
        .help("Write zstd, zstd:LEVEL (1 to 19), gzip, gzip:LEVEL (1 to 9), or none.")
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Zstd { level } => write!(f, "zstd:{level}"),
            Self::Gzip { level } => write!(f, "gzip:{level}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_written() {
        for (text, read) in [
            ("zstd", Compression::Zstd { level: ZSTD_DEFAULT_LEVEL }),
            ("zstd:19", Compression::Zstd { level: 19 }),
            ("gzip", Compression::Gzip { level: 6 }),
            ("gzip:1", Compression::Gzip { level: 1 }),
            ("none", Compression::None),
        ] {
            assert_eq!(text.parse::<Compression>().unwrap(), read);
            assert_eq!(read.to_string().parse::<Compression>().unwrap(), read);
        }
        for wrong in ["zstd:0", "zstd:20", "zstd:x", "gzip:10", "lz4", "", "none:1", "zstd:"] {
            assert_eq!(wrong.parse::<Compression>().unwrap_err().code(), Code::Usage, "{wrong}");
        }
    }
}
