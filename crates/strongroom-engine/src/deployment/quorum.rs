//! Which members of a replica set must have built an index before it counts as built. Pure.

use std::fmt;
use std::str::FromStr;

use crate::error::{Code, Error, Result};
use crate::settings::as_text;

/// The most members that a set has (MongoDB manual, "Replica Set Members").
const MEMBERS_MAX: i32 = 50;

/// Which members must have built an index: `majority`, `votingMembers`, a number of members, or the name of a mode of the
/// set (MongoDB manual, "createIndexes").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitQuorum {
    /// So many; with 0 the primary decides alone.
    Members(i32),
    /// Those that a name stands for.
    Named(String),
}

as_text!(CommitQuorum);

impl FromStr for CommitQuorum {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse::<i32>() {
            Ok(members @ 0..=MEMBERS_MAX) => Ok(Self::Members(members)),
            Err(_) if text.starts_with(char::is_alphabetic) => Ok(Self::Named(text.to_owned())),
            _ => Err(Error::new(Code::Usage, format!("`{text}` is not a commit quorum")).help(
                "Write majority, votingMembers, a number of members, or the name of a mode of the set.",
            )),
        }
    }
}

impl fmt::Display for CommitQuorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Members(members) => members.fmt(f),
            Self::Named(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorums_are_read_and_written() {
        for (text, quorum) in [
            ("majority", CommitQuorum::Named("majority".into())),
            ("votingMembers", CommitQuorum::Named("votingMembers".into())),
            ("0", CommitQuorum::Members(0)),
            ("3", CommitQuorum::Members(3)),
        ] {
            assert_eq!(text.parse::<CommitQuorum>().unwrap(), quorum);
            assert_eq!(quorum.to_string(), text);
        }
        for wrong in ["", "-1", "51", "2.5", "{}"] {
            assert_eq!(wrong.parse::<CommitQuorum>().unwrap_err().code(), Code::Usage, "{wrong}");
        }
    }
}
