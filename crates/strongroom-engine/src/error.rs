//! The one error of the engine, written for the person who has to act on it.
//!
//! Rules: the message says what failed with which `thing` and why, in lower case and without a final
//! period; the help is a full sentence that says what to do next; the code never changes its meaning.
//! Whoever adds knowledge wraps with [`Error::context`]; nobody drops the cause.

use std::fmt;

/// A stable name for a kind of failure. It decides the exit status; scripts may rely on both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// A fault in Strongroom itself, or of the machine it runs on.
    Internal,
    /// An option or a combination of options that makes no sense.
    Usage,
    /// A MongoDB connection string that cannot be understood.
    Uri,
    /// A backup location that is neither `s3://bucket/prefix` nor `file:///path`.
    Location,
    /// No MongoDB server answers there.
    MongoHost,
    /// MongoDB refused the user name or password.
    MongoAuth,
    /// The MongoDB user lacks a privilege.
    MongoPrivilege,
    /// MongoDB answered an operation with an error.
    Mongo,
    /// The moment a snapshot was to be read at has left the server's history.
    SnapshotTooOld,
    /// The storage endpoint cannot be reached or does not answer as S3 does.
    StoreHost,
    /// The storage answered with an error.
    Store,
    /// The storage does not know what is asked of it.
    NotOffered,
    /// There is no such bucket (or folder).
    BucketMissing,
    /// The bucket lies in another region than the one asked.
    BucketRegion,
    /// The access key is missing, unknown, wrong or expired.
    Key,
    /// The identity is not allowed to do this.
    Denied,
    /// The clocks of this machine and the storage differ too much.
    Clock,
    /// The storage reports another encryption than the one asked for.
    Encryption,
    /// No space is left where the backup is written.
    Space,
    /// An object that is to be written once is there already, with other bytes.
    ObjectExists,
    /// An object is not there.
    ObjectMissing,
    /// Bytes are not what the manifest says they are.
    Damaged,
    /// The manifest was written by a newer Strongroom.
    NewerFormat,
    /// The target of a restore holds data, and nothing said that it may be touched.
    TargetNotEmpty,
    /// The name is not that of a backup.
    NotABackup,
    /// Finished, but something is missing; what, was listed.
    Incomplete,
    /// A bucket's security is not as it should be; what is wrong, was listed.
    NotProved,
    /// Ended by the person, cleanly.
    Cancelled,
}

/// Every code, for tables and tests.
pub const CODES: [Code; 28] = [
    Code::Internal,
    Code::Usage,
    Code::Uri,
    Code::Location,
    Code::MongoHost,
    Code::MongoAuth,
    Code::MongoPrivilege,
    Code::Mongo,
    Code::SnapshotTooOld,
    Code::StoreHost,
    Code::Store,
    Code::NotOffered,
    Code::BucketMissing,
    Code::BucketRegion,
    Code::Key,
    Code::Denied,
    Code::Clock,
    Code::Encryption,
    Code::Space,
    Code::ObjectExists,
    Code::ObjectMissing,
    Code::Damaged,
    Code::NewerFormat,
    Code::TargetNotEmpty,
    Code::NotABackup,
    Code::Incomplete,
    Code::NotProved,
    Code::Cancelled,
];

impl Code {
    /// The name as printed, such as `SR-DENIED`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Internal => "SR-INTERNAL",
            Self::Usage => "SR-USAGE",
            Self::Uri => "SR-URI",
            Self::Location => "SR-LOCATION",
            Self::MongoHost => "SR-MONGO-HOST",
            Self::MongoAuth => "SR-MONGO-AUTH",
            Self::MongoPrivilege => "SR-MONGO-PRIVILEGE",
            Self::Mongo => "SR-MONGO",
            Self::SnapshotTooOld => "SR-SNAPSHOT-TOO-OLD",
            Self::StoreHost => "SR-STORE-HOST",
            Self::Store => "SR-STORE",
            Self::NotOffered => "SR-NOT-OFFERED",
            Self::BucketMissing => "SR-BUCKET-MISSING",
            Self::BucketRegion => "SR-BUCKET-REGION",
            Self::Key => "SR-KEY",
            Self::Denied => "SR-DENIED",
            Self::Clock => "SR-CLOCK",
            Self::Encryption => "SR-ENCRYPTION",
            Self::Space => "SR-SPACE",
            Self::ObjectExists => "SR-OBJECT-EXISTS",
            Self::ObjectMissing => "SR-OBJECT-MISSING",
            Self::Damaged => "SR-DAMAGED",
            Self::NewerFormat => "SR-NEWER-FORMAT",
            Self::TargetNotEmpty => "SR-TARGET-NOT-EMPTY",
            Self::NotABackup => "SR-NOT-A-BACKUP",
            Self::Incomplete => "SR-INCOMPLETE",
            Self::NotProved => "SR-NOT-PROVED",
            Self::Cancelled => "SR-CANCELLED",
        }
    }

    /// The exit status of a command that ends with this error.
    #[must_use]
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Usage | Self::Uri | Self::Location => 2,
            Self::MongoHost | Self::MongoAuth | Self::MongoPrivilege | Self::Mongo | Self::SnapshotTooOld => {
                3
            }
            Self::StoreHost
            | Self::Store
            | Self::NotOffered
            | Self::BucketMissing
            | Self::BucketRegion
            | Self::Key
            | Self::Denied
            | Self::Clock
            | Self::Encryption
            | Self::Space
            | Self::ObjectExists => 4,
            Self::ObjectMissing | Self::Damaged | Self::NewerFormat => 5,
            Self::TargetNotEmpty => 6,
            Self::NotABackup => 7,
            Self::Incomplete => 8,
            Self::NotProved => 9,
            Self::Cancelled => 130,
        }
    }
}

/// What went wrong, why, and what to do.
pub struct Error(Box<Inner>);

/// A request that was refused, for whoever can explain it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The permission.
    pub action: String,
    /// On what.
    pub resource: String,
    /// Condition keys that the request carried, and their values.
    pub context: Vec<(String, String)>,
    /// What the server said.
    pub said: String,
}

struct Inner {
    code: Code,
    message: String,
    help: Option<String>,
    refused: Option<Refused>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The engine's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with its stable code and what happened.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { code, message: message.into(), help: None, refused: None, source: None }))
    }

    /// Adds what the person can do about it; replaces an earlier help.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Adds the request that was refused.
    #[must_use]
    pub fn refused(mut self, refused: Refused) -> Self {
        self.0.refused = Some(refused);
        self
    }

    /// The request that was refused, where it was one.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refused> {
        self.0.refused.as_ref()
    }

    /// Adds the cause. Its text must hold no secret: it is printed.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says what was being done when this happened; code, help and cause stay.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.0.message = format!("{doing}: {}", self.0.message);
        self
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What happened, without help or cause.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What to do about it, where something can be said.
    #[must_use]
    pub fn help_text(&self) -> Option<&str> {
        self.0.help.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.code.as_str(), self.0.message)?;
        if let Some(help) = &self.0.help {
            write!(f, " (help: {help})")?;
        }
        match &self.0.source {
            Some(source) => write!(f, " (cause: {source})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
