//! The one error of the engine, written for the person who has to act on it and for the program that has to decide
//! what to do next.
//!
//! Rules: the message says what failed with which `thing` and why, in lower case and without a final period. The help
//! says what to do next, in full sentences. The code never changes its meaning. To add knowledge, wrap with
//! [`Error::context`]; the cause is never dropped.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::help::Help;
use crate::role::AssumedRole;

/// Who or what can put an error right. It tells a program whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The user: a setting, a permission, a name. Trying again changes nothing until they act.
    User,
    /// Time: a server that is away or overloaded. The same job may succeed later.
    Passing,
    /// The environment: trying again gives the same, and it is not a setting.
    Lasting,
    /// Stored bytes are not what they should be.
    Damage,
}

impl Class {
    /// Its name as written in data.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Passing => "passing",
            Self::Lasting => "lasting",
            Self::Damage => "damage",
        }
    }
}

/// Defines the codes in one table: a name, a class and a meaning for each.
macro_rules! codes {
    ($($variant:ident $name:literal $class:ident $meaning:literal)+) => {
        /// A stable name for a kind of failure. Scripts and services may rely on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $meaning] #[serde(rename = $name)] $variant,)+
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name as printed, such as `SR-DENIED`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Who or what can put it right.
            #[must_use]
            pub fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class),+ }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),+ }
            }
        }
    };
}

codes! {
    Internal "SR-INTERNAL" Lasting
        "A fault in Strongroom itself, or in the machine it runs on."
    Usage "SR-USAGE" User
        "An option, or a combination of options, that makes no sense."
    Uri "SR-URI" User
        "The MongoDB connection string cannot be understood."
    Location "SR-LOCATION" User
        "The location is neither `s3://bucket/prefix` nor `file:///path`."
    MongoHost "SR-MONGO-HOST" Passing
        "No MongoDB server answers at that address."
    MongoAddress "SR-MONGO-ADDRESS" User
        "The connection string leads to no server: a host name that does not exist, or TLS that one side does not accept."
    MongoBusy "SR-MONGO-BUSY" Passing
        "The MongoDB server is stepping down, shutting down or overloaded, or another operation is in the way."
    MongoAuth "SR-MONGO-AUTH" User
        "MongoDB refused the user name or the password."
    MongoPrivilege "SR-MONGO-PRIVILEGE" User
        "The MongoDB user lacks a privilege."
    Mongo "SR-MONGO" Lasting
        "MongoDB answered an operation with an error."
    SnapshotTooOld "SR-SNAPSHOT-TOO-OLD" Passing
        "The server no longer keeps the moment at which the snapshot was to be read."
    Stalled "SR-STALLED" Passing
        "MongoDB was waited for longer than allowed, and nothing came."
    StoreHost "SR-STORE-HOST" Passing
        "The storage endpoint cannot be reached, or does not answer as S3 does."
    StoreAddress "SR-STORE-ADDRESS" User
        "The storage endpoint leads to no server: a host name that does not exist, or TLS that one side does not accept."
    StoreStalled "SR-STORE-STALLED" Passing
        "The storage was waited for longer than allowed, and nothing came."
    Store "SR-STORE" Lasting
        "The storage answered with an error."
    StoreBusy "SR-STORE-BUSY" Passing
        "The storage is overloaded or failing, and answered every attempt so."
    NotOffered "SR-NOT-OFFERED" Lasting
        "The storage does not support what was asked of it."
    BucketMissing "SR-BUCKET-MISSING" User
        "There is no such bucket, or no such folder."
    BucketRegion "SR-BUCKET-REGION" User
        "The bucket is in another region than the one that was asked."
    BucketNotEmpty "SR-BUCKET-NOT-EMPTY" User
        "The bucket was to be deleted, and it still holds objects."
    Key "SR-KEY" User
        "The access key is missing, unknown, wrong or expired."
    Denied "SR-DENIED" User
        "The storage does not allow this identity to do this."
    Clock "SR-CLOCK" User
        "The clocks of this machine and of the storage differ too much."
    Encryption "SR-ENCRYPTION" User
        "The storage reports another encryption than the one asked for."
    Space "SR-SPACE" User
        "No space is left where something is to be written."
    ObjectExists "SR-OBJECT-EXISTS" Lasting
        "An object that is written only once exists already, with other bytes."
    ObjectMissing "SR-OBJECT-MISSING" Damage
        "An object that should be there is missing."
    Damaged "SR-DAMAGED" Damage
        "Bytes are not what the manifest or the archive says they are, or what came from MongoDB is not BSON."
    NewerFormat "SR-NEWER-FORMAT" User
        "The manifest was written by a newer version of Strongroom."
    NotReplayable "SR-NOT-REPLAYABLE" User
        "The backup is intact, but its oplog cannot be replayed to the moment that was asked for."
    TargetNotEmpty "SR-TARGET-NOT-EMPTY" User
        "The target of a restore holds data, and the settings do not allow touching it."
    TargetChanged "SR-TARGET-CHANGED" User
        "The target of a restore changed after the restore was planned."
    NotABackup "SR-NOT-A-BACKUP" User
        "There is no backup of that name."
    SeveralPlans "SR-SEVERAL-PLANS" User
        "Several plans have backups here, and the request does not say which plan is meant."
    Incomplete "SR-INCOMPLETE" User
        "The job finished, but something is missing; it was listed."
    NotProved "SR-NOT-PROVED" User
        "The bucket's security is not as it should be; what is wrong was listed."
    MasterKey "SR-MASTER-KEY" User
        "The master key of the service is missing, cannot be used, or is not the one that a secret was sealed with."
    Cancelled "SR-CANCELLED" User
        "The job was cancelled, and it ended cleanly."
}

/// What went wrong, why, and what to do. It can be kept, sent and read back: as JSON it holds the code, its class, the
/// message, the help and the chain of causes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Error(Box<Inner>);

/// A request that was refused, for an explanation of who refused it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The permission, such as `s3:PutObject`.
    pub action: String,
    /// The ARN of what it was asked for.
    pub resource: String,
    /// Condition keys that the request carried, and their values.
    pub context: Vec<(String, String)>,
    /// What the server answered.
    pub said: String,
    /// The AWS profile whose credentials were refused; without one, those of the environment.
    #[serde(default)]
    pub profile: Option<String>,
    /// The role that they took on.
    #[serde(default)]
    pub role: Option<AssumedRole>,
}

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    code: Code,
    message: String,
    help: Option<Help>,
    refused: Option<Refused>,
    cause: Option<Cause>,
}

/// A cause, as its words: what a driver or the system reported.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Cause {
    message: String,
    cause: Option<Box<Self>>,
}

/// The written form of an error.
#[derive(Serialize, Deserialize)]
struct Written {
    code: Code,
    class: Class,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    help: Option<Help>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<Refused>,
    /// The nearest cause first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    causes: Vec<String>,
}

/// The engine's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with its stable code and what happened.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { code, message: message.into(), help: None, refused: None, cause: None }))
    }

    /// Adds what can be done about it; replaces an earlier help.
    #[must_use]
    pub fn help(mut self, help: impl Into<Help>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Adds the request that was refused.
    #[must_use]
    pub fn refused(mut self, refused: Refused) -> Self {
        self.0.refused = Some(refused);
        self
    }

    /// The request that was refused, if one was.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refused> {
        self.0.refused.as_ref()
    }

    /// Adds the cause, with its own causes. Their texts must hold no secret: they are printed.
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.cause = Some(Cause::of(&*cause.into()));
        self
    }

    /// Says what was being done when this happened; code, help and cause stay.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.0.message = format!("{doing}: {}", self.0.message);
        self
    }

    /// The same with every text that may quote something (message and causes) put through `change`, to take secrets
    /// out.
    #[must_use]
    pub fn map_texts(mut self, change: impl Fn(&str) -> String) -> Self {
        self.0.message = change(&self.0.message);
        let mut cause = self.0.cause.as_mut();
        while let Some(found) = cause {
            found.message = change(&found.message);
            cause = found.cause.as_deref_mut();
        }
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
    pub fn help_text(&self) -> Option<&Help> {
        self.0.help.as_ref()
    }

    /// The texts of the causes, the nearest first.
    pub fn causes(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(self.0.cause.as_ref(), |cause| cause.cause.as_deref())
            .map(|cause| cause.message.as_str())
    }
}

impl Cause {
    fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let cause = error.source().map(|cause| Box::new(Self::of(cause)));
        Self { message: error.to_string(), cause }
    }
}

impl From<Error> for Written {
    fn from(error: Error) -> Self {
        let causes = error.causes().map(str::to_owned).collect();
        let Inner { code, message, help, refused, .. } = *error.0;
        Self { code, class: code.class(), message, help, refused, causes }
    }
}

impl From<Written> for Error {
    fn from(Written { code, message, help, refused, causes, .. }: Written) -> Self {
        let wrap = |cause: Option<Cause>, message| Some(Cause { message, cause: cause.map(Box::new) });
        let cause = causes.into_iter().rev().fold(None, wrap);
        Self(Box::new(Inner { code, message, help, refused, cause }))
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
        self.causes().try_for_each(|cause| write!(f, " (cause: {cause})"))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::help;
    use crate::help::Setting;

    #[test]
    fn an_error_is_kept_and_read_back_with_its_causes() {
        let inner = std::io::Error::other("connection reset");
        let cause = Error::new(Code::StoreHost, "no answer").caused_by(inner);
        let error = Error::new(Code::Store, "cannot store `a`")
            .help(help!["Check ", Setting::Sse, "."])
            .caused_by(cause);
        let written = serde_json::to_value(&error).unwrap();
        assert_eq!(written["code"], "SR-STORE");
        assert_eq!(written["class"], "lasting");
        assert_eq!(written["causes"], serde_json::json!(["no answer", "connection reset"]));
        assert_eq!(serde_json::from_value::<Error>(written).unwrap(), error);
        assert_eq!(error.clone(), error);
    }

    #[test]
    fn every_code_has_a_name_of_its_own_and_a_sentence() {
        let names: std::collections::HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(
            Code::ALL.iter().all(|code| code.as_str().starts_with("SR-") && code.meaning().ends_with('.'))
        );
    }
}
