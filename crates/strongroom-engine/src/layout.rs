//! The names of things in the bucket. All keys are relative to the location's prefix.
//!
//! ```text
//! <plan>/<id>/manifest.json                     the commit point, written last
//! <plan>/<id>/segments/<stretch>-<part>.<ext>   names sort in the order of the archive
//! <plan>/<id>/deleting.json                     the manifest of a backup whose deletion has begun
//! <plan>/<id>/log.jsonl                         the log of the run, also of one that failed
//! RESTORE.md                                    how to restore with stock tools alone
//! ```

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};

use crate::compression::Compression;
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Command;
use crate::settings::as_text;

/// The name of the commit point within a backup's folder.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The name that a manifest has while its backup is being deleted.
pub(crate) const DELETING: &str = "deleting.json";
/// The note on restoring without Strongroom, beside the plans.
pub(crate) const RESTORE_NOTE: &str = "RESTORE.md";
/// The name of a run's log, beside what it stored. A run that failed leaves it alone.
pub(crate) const LOG: &str = "log.jsonl";
/// Where segments stand within a backup's folder.
pub(crate) const SEGMENTS: &str = "segments";

const TIME: &str = "%Y%m%dT%H%M%SZ";
const TIME_LENGTH: usize = 16;
const SUFFIX_ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const SUFFIX_LENGTH: usize = 4;

/// A backup's name: the second it began at (UTC) and four random characters, such as
/// `20261123T020000Z-7f3k`. Names sort by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupId(String);

impl BackupId {
    /// The name of a backup that begins at `now`; `random` keeps two of the same second apart.
    #[must_use]
    pub fn new(now: DateTime<Utc>, random: u32) -> Self {
        let digit =
            |i: usize| char::from(SUFFIX_ALPHABET[(random >> (5 * i)) as usize % SUFFIX_ALPHABET.len()]);
        let suffix: String = (0..SUFFIX_LENGTH).map(digit).collect();
        Self(format!("{}-{suffix}", now.trunc_subsecs(0).format(TIME)))
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The second it began in.
    pub(crate) fn time(&self) -> Option<DateTime<Utc>> {
        NaiveDateTime::parse_from_str(self.second(), TIME).ok().map(|time| time.and_utc())
    }

    /// The second it began in, as text; the same for all backups of one second.
    pub(crate) fn second(&self) -> &str {
        self.0.split_once('-').map_or(&self.0, |(second, _)| second)
    }
}

impl FromStr for BackupId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let valid = text.split_once('-').is_some_and(|(time, suffix)| {
            // The parser alone takes white space and signs before numbers.
            time.len() == TIME_LENGTH
                && time.bytes().all(|b| b.is_ascii_alphanumeric())
                && NaiveDateTime::parse_from_str(time, TIME).is_ok()
                && suffix.len() == SUFFIX_LENGTH
                && suffix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        });
        if valid {
            return Ok(Self(text.into()));
        }
        Err(Error::new(Code::NotABackup, format!("`{text}` is not the name of a backup")).help(help![
            "Ids look like 20261123T020000Z-7f3k; ",
            Command::List,
            " shows them, and `latest` is the newest."
        ]))
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a series of backups: a folder in the bucket, 1 to 64 letters, digits, `.`, `_` or `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanName(String);

impl PlanName {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for PlanName {
    fn default() -> Self {
        Self("default".into())
    }
}

impl FromStr for PlanName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // Such a file stands beside the plans; some file systems take no notice of case.
        if text.eq_ignore_ascii_case(RESTORE_NOTE) {
            return Err(Error::new(Code::Usage, format!("`{text}` cannot name a plan"))
                .help("A file of this name stands beside the plans. Choose another name."));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('.') {
            return Ok(Self(text.into()));
        }
        Err(Error::new(Code::Usage, format!("`{text}` cannot name a plan"))
            .help("Use 1 to 64 letters, digits, `.`, `_` or `-`, not beginning with a dot."))
    }
}

impl fmt::Display for PlanName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(BackupId, PlanName);

/// The folder of a backup.
#[must_use]
pub(crate) fn backup_folder(plan: &PlanName, id: &BackupId) -> String {
    format!("{plan}/{id}")
}

/// The key of a file in a backup's folder.
#[must_use]
pub(crate) fn backup_key(plan: &PlanName, id: &BackupId, name: &str) -> String {
    format!("{plan}/{id}/{name}")
}

/// The folder of a backup's segments.
#[must_use]
pub(crate) fn segments_folder(plan: &PlanName, id: &BackupId) -> String {
    format!("{plan}/{id}/{SEGMENTS}")
}

/// The key of a segment. Sorted by name, the segments of a backup stand in the order of the archive, so that
/// `zstd -dc segments/*` is the archive: `stretch` counts the pieces of work that readers share out, `part` the
/// segments within one.
#[must_use]
pub(crate) fn segment_key(
    plan: &PlanName,
    id: &BackupId,
    stretch: usize,
    part: usize,
    extension: &str,
) -> String {
    format!("{plan}/{id}/{SEGMENTS}/{}-{}.{extension}", sorted(stretch), sorted(part))
}

/// Whether an object in the folder of a backup, named from there, is one that Strongroom writes.
pub(crate) fn is_ours(name: &str) -> bool {
    let number = |text: &str| {
        let digits = text.strip_prefix('a').unwrap_or(text);
        digits.len() == if digits.len() == text.len() { 5 } else { 10 }
            && digits.bytes().all(|b| b.is_ascii_digit())
    };
    let segment = |name: &str| {
        let (numbers, extension) = name.split_once('.')?;
        let (stretch, part) = numbers.split_once('-')?;
        Some(number(stretch) && number(part) && Compression::EXTENSIONS.contains(&extension))
    };
    let in_segments = name.strip_prefix(SEGMENTS).and_then(|name| name.strip_prefix('/'));
    matches!(name, MANIFEST | DELETING | LOG) || in_segments.and_then(segment).unwrap_or(false)
}

/// A number whose text sorts as the number does: five digits, and from 100,000 on a letter and ten, since letters come
/// after digits.
fn sorted(number: usize) -> String {
    if number < 100_000 { format!("{number:05}") } else { format!("a{number:010}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time_and_read_back() {
        let at = |s| DateTime::from_timestamp(s, 987_654_321).unwrap();
        let early = BackupId::new(at(1_700_000_000), 0);
        let late = BackupId::new(at(1_700_000_001), u32::MAX);
        assert_eq!(early.as_str(), "20231114T221320Z-aaaa");
        assert!(early < late);
        for id in [early, late] {
            assert_eq!(id.as_str().parse::<BackupId>().unwrap(), id);
        }
    }

    #[test]
    fn refuses_names_that_could_leave_the_folder() {
        for text in ["2023 1 1T 2 1 0Z-aaaa", "2023\n114T221320Z-aaaa", "+20231114T221320Z-aaaa"] {
            assert_eq!(text.parse::<BackupId>().unwrap_err().code(), Code::NotABackup, "{text:?}");
        }
        for text in
            ["", "latest", "../x", "20231114T221320Z-aa/a", "20231114T221320Z-aaaaa", "20239914T221320Z-aaaa"]
        {
            assert_eq!(text.parse::<BackupId>().unwrap_err().code(), Code::NotABackup);
        }
        for text in ["", ".", "..", ".hidden", "RESTORE.md", "restore.MD", "a/b", "a b", &"x".repeat(65)] {
            assert_eq!(text.parse::<PlanName>().unwrap_err().code(), Code::Usage);
        }
    }

    #[test]
    fn what_others_put_beside_segments_is_not_ours() {
        assert!(["manifest.json", "deleting.json", "log.jsonl"].into_iter().all(is_ours));
        for name in [
            "",
            "notes.txt",
            "manifest.json.bak",
            "log.jsonl.gz",
            "segments/log.jsonl",
            "00000-00000.zst",
            "segments/",
            "segments/notes.txt",
            "segments/00000-00000.zst.bak",
            "segments/0000-00000.zst",
            "segments/a00000-00000.zst",
            "segments/00000-00000",
            "segments/00000-00000.exe",
        ] {
            assert!(!is_ours(name), "{name}");
        }
    }

    #[test]
    fn segment_names_sort_in_the_order_of_the_archive() {
        let (plan, id) = (PlanName::default(), BackupId::new(DateTime::UNIX_EPOCH, 1));
        let large =
            [(10, 99_999), (10, 100_000), (10, 1_000_000), (99_999, 0), (100_000, 0), (100_000, 100_000)];
        let keys: Vec<_> = [(0, 0), (0, 1), (1, 0), (9, 99), (10, 0), (10, 10)]
            .into_iter()
            .chain(large)
            .map(|(stretch, part)| segment_key(&plan, &id, stretch, part, "zst"))
            .collect();
        assert!(keys.is_sorted());
        let folder = format!("{}/", backup_folder(&plan, &id));
        assert!(keys.iter().all(|key| is_ours(key.strip_prefix(&folder).unwrap())));
        assert_eq!(keys[1], format!("default/{id}/segments/00000-00001.zst"));
        assert_eq!(keys[7], format!("default/{id}/segments/00010-a0000100000.zst"));
    }
}
