//! The place that holds backups, behind one trait: a bucket or a local folder with the same layout.
//!
//! The only folder that names the AWS SDK. It knows nothing of MongoDB.

pub mod actions;
pub mod admin;
pub mod administration;
mod checksum;
mod credentials;
mod environment;
mod explain;
pub mod facts;
mod failure;
mod held;
pub mod identity;
pub mod kms;
mod listing;
mod local;
mod meter;
pub mod probe;
mod request;
mod retry;
mod s3;
mod session;
mod stream;
mod trust;
mod watcher;

pub use checksum::Checksum;
pub use stream::open_object;
pub use watcher::Watcher;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::location::Location;
use crate::role::AssumedRole;
use crate::settings::as_text;
use crate::summary::Encryption;
use crate::waits::Waits;

/// The server-side encryption to ask for, sent with every PUT exactly as given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sse {
    /// No encryption header: the bucket's default decides.
    #[default]
    None,
    /// `AES256`: keys that S3 manages.
    Aes256,
    /// `aws:kms`, with the key's id or ARN, or the account's default key for S3.
    Kms(Option<String>),
    /// `aws:kms:dsse`: two layers of it.
    Dsse(Option<String>),
}

impl Sse {
    /// What a backup was made with.
    #[must_use]
    pub fn of(encryption: &Encryption) -> Self {
        match encryption.requested.as_deref() {
            None => Self::None,
            Some("AES256") => Self::Aes256,
            Some("aws:kms:dsse") => Self::Dsse(encryption.kms_key_id.clone()),
            Some(_) => Self::Kms(encryption.kms_key_id.clone()),
        }
    }

    /// The value of the header `x-amz-server-side-encryption`; none where it is not sent.
    #[must_use]
    pub fn header(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Aes256 => Some("AES256"),
            Self::Kms(_) => Some("aws:kms"),
            Self::Dsse(_) => Some("aws:kms:dsse"),
        }
    }

    /// Whether a bucket key saves requests to KMS; double-layer encryption knows none.
    #[must_use]
    pub fn takes_bucket_key(&self) -> bool {
        matches!(self, Self::Kms(_))
    }

    /// The KMS key that was named.
    #[must_use]
    pub fn kms_key(&self) -> Option<&str> {
        match self {
            Self::None | Self::Aes256 => None,
            Self::Kms(key) | Self::Dsse(key) => key.as_deref(),
        }
    }
}

as_text!(Sse);

impl FromStr for Sse {
    type Err = Error;

    /// Reads `none`, `AES256`, `aws:kms`, `aws:kms:KEY`, `aws:kms:dsse` or `aws:kms:dsse:KEY`.
    fn from_str(text: &str) -> Result<Self> {
        let key = |prefix| text.strip_prefix(prefix).filter(|key| !key.is_empty()).map(str::to_owned);
        match text {
            "none" => Ok(Self::None),
            "AES256" => Ok(Self::Aes256),
            "aws:kms" => Ok(Self::Kms(None)),
            "aws:kms:dsse" => Ok(Self::Dsse(None)),
            _ => match (key("aws:kms:dsse:"), key("aws:kms:")) {
                (Some(key), _) => Ok(Self::Dsse(Some(key))),
                (None, Some(key)) if key != "dsse:" => Ok(Self::Kms(Some(key))),
                _ => Err(Error::new(Code::Usage, format!("`{text}` is not an encryption")).help(
                    "Choose none, AES256, aws:kms, aws:kms:KEY, aws:kms:dsse or aws:kms:dsse:KEY, where KEY is \
                     the id, ARN or alias of a KMS key.",
                )),
            },
        }
    }
}

impl fmt::Display for Sse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.header().unwrap_or("none"))?;
        self.kms_key().map_or(Ok(()), |key| write!(f, ":{key}"))
    }
}

/// How to talk to the store. What is not given is read as every AWS tool reads it: environment, profiles, roles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct StoreOptions {
    /// The account that must own the bucket (`x-amz-expected-bucket-owner`), where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected_owner: Option<String>,
    /// The URL of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The region to ask first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The key that signs. It is no part of the settings' written form.
    #[serde(skip)]
    pub key: Option<AccessKey>,
    /// The AWS profile whose credentials sign, whatever the environment holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The role that the credentials take on first, whichever they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<AssumedRole>,
    /// How long the server is waited for.
    #[serde(skip_serializing_if = "Waits::are_default")]
    pub waits: Waits,
    /// What goes with each object for its bytes to be compared.
    #[serde(skip_serializing_if = "Checksum::is_default")]
    pub checksum: Checksum,
    /// Receives the events of requests, which belong to no job. It is no part of the settings' written form.
    #[serde(skip)]
    pub watcher: Watcher,
}

/// An access key. Its debug output shows no secret, and it has no written form:
///
/// ```compile_fail
/// fn written(key: &strongroom_engine::bucket::AccessKey) -> impl serde::Serialize {
///     key
/// }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// The part that goes with every request.
    pub id: String,
    /// The part that signs.
    pub secret: String,
    /// What temporary keys need besides.
    pub session_token: Option<String>,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessKey({})", self.id)
    }
}

/// No object of a backup is longer, in bytes; a longer one is never read whole.
pub const OBJECT_BYTES_MAX: u64 = 256 << 20;

/// What the store answered to a PUT.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stored {
    /// The version that this PUT made; none in a bucket without versions and in a folder.
    pub version_id: Option<String>,
    /// The encryption that the answer reports, such as `AES256` or `aws:kms`; none where it reports nothing.
    pub encryption: Option<String>,
    /// The KMS key that the answer reports.
    pub kms_key_id: Option<String>,
}

/// A whole object.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Its bytes.
    pub body: Bytes,
    /// The version they belong to.
    pub version_id: Option<String>,
}

/// One level of a folder-like listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Names right below the asked folder that hold more, without the final slash, sorted by bytes.
    pub folders: Vec<String>,
    /// The objects right below the asked folder, sorted by the bytes of their names.
    pub objects: Vec<Listed>,
}

/// An object, as a listing shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its name within the folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was written, by the clock of the store.
    pub modified: Option<DateTime<Utc>>,
}

impl Listing {
    /// Whether there is an object of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.objects.iter().any(|object| object.name == name)
    }

    /// The names of the objects.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.objects.iter().map(|object| object.name.as_str())
    }
}

/// Keys are relative to the location's prefix, parts joined by `/`. Objects are written once and whole.
#[async_trait]
pub trait ObjectStore: Send + Sync + fmt::Debug {
    /// What this store is called in messages.
    fn location(&self) -> &Location;

    /// Writes a new object atomically: it is there whole, or not at all. `sha256` is that of `body`.
    /// The same PUT again, with the same bytes, succeeds. `sse` goes with it exactly as given; a folder
    /// knows none.
    ///
    /// When the answer to a PUT is lost and the next try meets an object, that object is read and compared. Where it may
    /// not be read (an identity that only writes), it is taken for the one that was sent: keys are new for each backup,
    /// and it went with its checksum. Its version is then unknown. An object that the first try meets, and that may not
    /// be read, is somebody else's.
    ///
    /// # Errors
    /// [`Code::ObjectExists`](crate::error::Code::ObjectExists) when other bytes are there already;
    /// [`Code::Encryption`](crate::error::Code::Encryption) when the answer reports another encryption than asked.
    async fn put(&self, key: &str, body: Bytes, sha256: &[u8; 32], sse: &Sse) -> Result<Stored>;

    /// Reads a whole object, by version where one is given, of at most `bytes_max` bytes and at most
    /// [`OBJECT_BYTES_MAX`]. Memory grows with what comes, not with what is announced.
    ///
    /// # Errors
    /// [`Code::ObjectMissing`](crate::error::Code::ObjectMissing) when it is not there;
    /// [`Code::Damaged`](crate::error::Code::Damaged) when it is longer than `bytes_max`.
    async fn get(&self, key: &str, version_id: Option<&str>, bytes_max: u64) -> Result<Fetched>;

    /// Reads the first `bytes_max` bytes of an object, or all of it where it is shorter.
    ///
    /// # Errors
    /// [`Code::ObjectMissing`](crate::error::Code::ObjectMissing) when it is not there.
    async fn get_start(&self, key: &str, bytes_max: u64) -> Result<Fetched>;

    /// What stands right below `folder` (empty, or without a final slash).
    async fn list(&self, folder: &str) -> Result<Listing>;

    /// Deletes an object; by version where one is given, which frees its bytes in a versioned bucket.
    /// An object that is not there is not an error.
    async fn delete(&self, key: &str, version_id: Option<&str>) -> Result<()>;
}

/// Opens a location. No request is made yet.
///
/// # Errors
/// [`Code::Usage`] when an option cannot apply to this kind of location.
pub fn open(location: &Location, options: StoreOptions) -> Result<Arc<dyn ObjectStore>> {
    match location {
        Location::S3 { bucket, prefix } => {
            Ok(Arc::new(s3::Bucket::new(bucket.clone(), prefix.clone(), options)))
        }
        Location::Folder(_)
            if (StoreOptions { waits: Waits::default(), ..options }) != StoreOptions::default() =>
        {
            Err(Error::new(
                Code::Usage,
                "a folder has neither an owning account nor an endpoint, region, key, AWS profile or role",
            )
            .help(help![
                "Leave ",
                Setting::ExpectedOwner,
                ", ",
                Setting::Profile,
                " and ",
                Setting::AssumedRole,
                " out, or name an s3:// location."
            ]))
        }
        Location::Folder(path) => Ok(Arc::new(local::Folder::new(path.clone()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_is_read_as_it_is_written() {
        for (text, sse) in [
            ("none", Sse::None),
            ("AES256", Sse::Aes256),
            ("aws:kms", Sse::Kms(None)),
            ("aws:kms:alias/backups", Sse::Kms(Some("alias/backups".into()))),
            ("aws:kms:dsse", Sse::Dsse(None)),
            ("aws:kms:dsse:k", Sse::Dsse(Some("k".into()))),
        ] {
            assert_eq!(text.parse::<Sse>().unwrap(), sse);
            assert_eq!(sse.to_string(), text);
        }
        for wrong in ["aes256", "AES", "aws:kms:", "aws:kms:dsse:", ""] {
            assert_eq!(wrong.parse::<Sse>().unwrap_err().code(), Code::Usage, "{wrong}");
        }
    }
}
