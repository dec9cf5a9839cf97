//! Where backups live: `s3://bucket/prefix` or `file:///path`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Code, Error, Result};
use crate::settings::as_text;

/// A place that holds backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A bucket, and the folder-like prefix in it (empty, or without slashes at its ends).
    S3 {
        /// The bucket's name.
        bucket: String,
        /// Everything before `<plan>/…`, without a slash at either end; may be empty.
        prefix: String,
    },
    /// A folder on this machine, absolute.
    Folder(PathBuf),
}

as_text!(Location);

const FORMS: &str = "Write it as s3://bucket/prefix or file:///absolute/path.";

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            return s3(text, bucket, prefix);
        }
        match text.strip_prefix("file://") {
            Some(path) if path.starts_with('/') => folder(text, path),
            Some(_) => Err(refused(text, "a file location needs an absolute path")),
            None => Err(refused(text, "it is neither an S3 nor a file location")),
        }
    }
}

impl Location {
    /// Reads the address of one object, such as `s3://bucket/key`, or of a file. A key is no prefix: every key that S3
    /// takes is one, up to 1,024 bytes (Amazon S3 User Guide, "Naming Amazon S3 objects"), slashes at its ends included.
    ///
    /// # Errors
    /// [`Code::Location`] as for a location, and where no key is named.
    pub fn of_object(text: &str) -> Result<Self> {
        let Some(rest) = text.strip_prefix("s3://") else { return text.parse() };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let wrong = |why| unusable(text, "an object", why, "Write it as s3://bucket/key.");
        check_bucket_name(bucket).map_err(wrong)?;
        if key.to_ascii_lowercase().contains("x-amz-signature=") {
            return Err(wrong("it is a signed URL, which S3 clients cannot use"));
        }
        match key.len() {
            0 => Err(wrong("it names a bucket, and no object in it")),
            1..=1024 => Ok(Self::S3 { bucket: bucket.into(), prefix: key.into() }),
            _ => Err(wrong("the key is longer than 1,024 bytes")),
        }
    }
}

fn s3(text: &str, bucket: &str, prefix: &str) -> Result<Location> {
    check_bucket_name(bucket).map_err(|why| refused(text, why))?;
    let prefix = prefix.trim_matches('/');
    check_prefix(prefix).map_err(|why| refused(text, why))?;
    Ok(Location::S3 { bucket: bucket.into(), prefix: prefix.into() })
}

fn folder(text: &str, path: &str) -> Result<Location> {
    if path.contains('\0') || path.split('/').any(|part| part == "..") {
        return Err(refused(text, "the path holds `..` or a NUL"));
    }
    Ok(Location::Folder(Path::new(path).components().collect()))
}

fn refused(text: &str, why: &str) -> Error {
    unusable(text, "a backup location", why, FORMS)
}

fn unusable(text: &str, what: &str, why: &str, forms: &str) -> Error {
    let text = shown(text);
    let secrets = match text.contains(HIDDEN) {
        true => " Keys and passwords are no part of it: they come from a profile or the environment.",
        false => "",
    };
    Error::new(Code::Location, format!("cannot use `{text}` as {what}: {why}"))
        .help(format!("{forms}{secrets}"))
}

const HIDDEN: &str = "***";

/// A refused text without what may be a secret: what stands before an `@`, and what follows a `?`, `#` or `;` (a signed
/// URL, a token).
fn shown(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or((None, text), |(scheme, rest)| (Some(scheme), rest));
    let rest = rest.rsplit_once('@').map_or(rest.to_owned(), |(_, behind)| format!("{HIDDEN}@{behind}"));
    let rest = match rest.find(['?', '#', ';']) {
        Some(at) if rest.len() > at + 1 => format!("{}{HIDDEN}", &rest[..=at]),
        _ => rest,
    };
    scheme.map_or(rest.clone(), |scheme| format!("{scheme}://{rest}"))
}

/// The naming rules of general purpose buckets (Amazon S3 User Guide, "Bucket naming rules").
fn check_bucket_name(name: &str) -> Result<(), &'static str> {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = name.as_bytes();
    if !(3..=63).contains(&bytes.len()) {
        return Err("a bucket's name has 3 to 63 characters");
    }
    if !bytes.iter().copied().all(inner) {
        return Err("a bucket's name holds only lower-case letters, digits, hyphens and dots");
    }
    if !edge(bytes.first()) || !edge(bytes.last()) || name.contains("..") {
        return Err("a bucket's name begins and ends with a letter or digit and has no two dots in a row");
    }
    if name.parse::<std::net::Ipv4Addr>().is_ok() {
        return Err("a bucket's name must not look like an IP address");
    }
    Ok(())
}

/// A prefix must mean the same to S3, to a policy's `Resource` and to a local folder.
fn check_prefix(prefix: &str) -> Result<(), &'static str> {
    if prefix.len() > 512 {
        return Err("the prefix is longer than 512 bytes");
    }
    if prefix.contains(['*', '?', '$', '\\']) || prefix.chars().any(char::is_control) {
        return Err(
            "a prefix must not hold `*`, `?`, `$`, a backslash or control characters, which policies and tools read as something else",
        );
    }
    if !prefix.is_empty() && prefix.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("a prefix must not hold empty parts, `.` or `..`");
    }
    Ok(())
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
            Self::Folder(path) => write!(f, "file://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(bucket: &str, prefix: &str) -> Location {
        Location::S3 { bucket: bucket.into(), prefix: prefix.into() }
    }

    #[test]
    fn reads_and_prints_locations() {
        for (text, location, printed) in [
            ("s3://backups", s3("backups", ""), "s3://backups"),
            ("s3://backups/", s3("backups", ""), "s3://backups"),
            ("s3://my.backups/a/b/", s3("my.backups", "a/b"), "s3://my.backups/a/b"),
            ("file:///var/backups/", Location::Folder("/var/backups".into()), "file:///var/backups"),
        ] {
            let parsed: Location = text.parse().unwrap();
            assert_eq!(parsed, location);
            assert_eq!(parsed.to_string(), printed);
        }
    }

    #[test]
    fn refuses_what_would_mean_something_else_later() {
        for text in [
            "",
            "backups",
            "/var/backups",
            "file://relative",
            "file:///a/../b",
            "gs://bucket",
            "s3://",
            "s3://ab",
            "s3://Upper",
            "s3://under_score",
            "s3://-edge",
            "s3://a..b",
            "s3://127.0.0.1",
            "s3://bucket/a*",
            "s3://bucket/../x",
            "s3://bucket/a//b",
            "s3://bucket/${aws:username}",
        ] {
            let error = text.parse::<Location>().unwrap_err();
            assert_eq!(error.code(), Code::Location, "{text}");
            assert!(error.help_text().is_some());
        }
    }

    #[test]
    fn a_refused_location_shows_no_secret() {
        for text in [
            "s3://AKIAEXAMPLE:hush@backups/shop",
            "s3://AKIAEXAMPLE:hu/sh+hush@backups/shop",
            "s3://:hush@backups",
            "AKIAEXAMPLE:hush@backups",
            "mongodb://user:hush@localhost/",
            "https://backups.s3.amazonaws.com/shop?X-Amz-Credential=AKIA&X-Amz-Signature=hush",
            "https://user:hush@host/x?a=b@c",
            "https://host/x?hush",
            "https://host/x#token=hush",
            "https://host/x;token=hush?a",
            "s3://ab/key?X-Amz-Signature=hush",
        ] {
            for error in [text.parse::<Location>().unwrap_err(), Location::of_object(text).unwrap_err()] {
                assert!(!error.message().contains("hush"), "{error}");
                assert!(error.help_text().unwrap().to_string().contains("no part of it"), "{text}");
            }
        }
        assert!("gs://bucket/a".parse::<Location>().unwrap_err().message().contains("`gs://bucket/a`"));
    }

    #[test]
    fn the_key_of_an_object_is_any_key() {
        for key in ["a//b", "/a", "a/", "dump-*?.archive", "$x", "..", "a/./b", "a b+c", "x@y?z=1"] {
            let found = Location::of_object(&format!("s3://backups/{key}")).unwrap();
            assert_eq!(found, s3("backups", key));
        }
        for wrong in ["s3://backups", "s3://backups/", "s3://UPPER/a", "s3://backups/k?x-amz-signature=hush"]
        {
            assert_eq!(Location::of_object(wrong).unwrap_err().code(), Code::Location, "{wrong}");
        }
        assert!(Location::of_object(&format!("s3://backups/{}", "k".repeat(1025))).is_err());
    }
}
