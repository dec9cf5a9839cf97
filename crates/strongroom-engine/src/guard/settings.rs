//! What the bucket's security is made for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::bucket::Sse;
use crate::bucket::actions::Role;
use crate::error::{Code, Error, Result};
use crate::hash::sha256;
use crate::help;
use crate::help::{Help, Setting};
use crate::location::Location;
use crate::settings::{Refused, as_text, choices};

/// Which identities there are, and what each may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Access {
    /// Those of mLab's page: one identity for the whole bucket.
    Classic,
    /// One identity with what Strongroom needs below its prefix, and nothing else.
    #[default]
    Single,
    /// Three identities: one writes, one restores, one deletes.
    Split,
}

choices!(Access is "a way to give access" { Classic "classic" Single "single" Split "split" });

/// How the server reads policies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// As Amazon S3 documents it.
    #[default]
    Aws,
    /// As Ceph's gateway does: `Null` ignores its value there, negated operators are false on a missing key, and
    /// `aws:SecureTransport` is missing. Only statements that mean the same there are written.
    Ceph,
}

choices!(Dialect is "a kind of server" { Aws "aws" Ceph "ceph" });

/// Who may lift a lock before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetentionMode {
    /// Those with `s3:BypassGovernanceRetention`.
    Governance,
    /// Nobody.
    Compliance,
}

/// How long every new version is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Who may lift it.
    pub mode: RetentionMode,
    /// Days, at least 1.
    pub days: u32,
}

impl RetentionMode {
    /// As S3 writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }
}

impl FromStr for Retention {
    type Err = Error;

    /// `governance:30d` or `compliance:30d`.
    fn from_str(text: &str) -> Result<Self> {
        const DAYS_MAX: u32 = 36_500;
        let wrong = || {
            Error::new(Code::Usage, format!("`{text}` is not a lock")).help(
                "Write governance:DAYSd or compliance:DAYSd, such as governance:30d, with 1 to 36500 days.",
            )
        };
        let (mode, days) = text.split_once(':').ok_or_else(wrong)?;
        let mode = match mode.to_ascii_lowercase().as_str() {
            "governance" => RetentionMode::Governance,
            "compliance" => RetentionMode::Compliance,
            _ => return Err(wrong()),
        };
        match days.trim_end_matches('d').parse() {
            Ok(days @ 1..=DAYS_MAX) => Ok(Self { mode, days }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}d", self.mode.as_str().to_ascii_lowercase(), self.days)
    }
}

as_text!(Retention);

/// Who may take the role on, where a role is made instead of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Trust {
    /// Identities of the same account whose own policies let them.
    Account,
    /// Another account, which must name this external id.
    CrossAccount {
        /// Its number.
        account: String,
        /// What it must name.
        external_id: String,
    },
    /// A service account of a Kubernetes cluster, through its OIDC provider.
    Kubernetes {
        /// The provider's URL without `https://`.
        provider: String,
        /// The service account, as `namespace:name`.
        service_account: String,
    },
}

/// All that decides which policies a bucket and its identities get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Settings {
    /// The bucket's name.
    pub bucket: String,
    /// Where backups stand in it; may be empty.
    pub prefix: String,
    /// Its region; that decides the partition of ARNs.
    pub region: String,
    /// The account that owns it, where it is known.
    pub account: Option<String>,
    /// Which identities there are, and what each may do.
    pub access: Access,
    /// Whether the bucket keeps versions.
    pub versioned: bool,
    /// The encryption that is required; none: the bucket's default decides.
    pub sse: Sse,
    /// Whether the header must be sent, although the bucket's default would encrypt as well.
    pub header_required: bool,
    /// The lock that every new version gets.
    pub object_lock: Option<Retention>,
    /// A role instead of a user.
    pub trust: Option<Trust>,
    /// An identity that is there already, by its ARN: the bucket policy allows it, and none is made.
    pub grant_to: Option<String>,
    /// How the server reads policies.
    pub dialect: Dialect,
    /// What names of policies, groups, users and roles begin with.
    pub name: String,
}

/// The written form: what is left out has its default.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    location: Location,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    #[serde(default)]
    access: Access,
    #[serde(default)]
    versioned: bool,
    #[serde(default = "encrypted")]
    sse: Sse,
    #[serde(default)]
    require_header: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_lock: Option<Retention>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trust: Option<Trust>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_to: Option<String>,
    #[serde(default)]
    server: Dialect,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

fn encrypted() -> Sse {
    Sse::Aes256
}

impl From<Settings> for Written {
    fn from(settings: Settings) -> Self {
        Self {
            location: Location::S3 { bucket: settings.bucket, prefix: settings.prefix },
            region: Some(settings.region),
            account: settings.account,
            access: settings.access,
            versioned: settings.versioned,
            sse: settings.sse,
            require_header: settings.header_required,
            object_lock: settings.object_lock,
            trust: settings.trust,
            grant_to: settings.grant_to,
            server: settings.dialect,
            name: Some(settings.name),
        }
    }
}

impl TryFrom<Written> for Settings {
    type Error = Refused;

    fn try_from(written: Written) -> Result<Self, Refused> {
        let plain = Self::of(&written.location)?;
        let settings = Self {
            region: written.region.unwrap_or(plain.region),
            account: written.account,
            access: written.access,
            versioned: written.versioned,
            sse: written.sse,
            header_required: written.require_header,
            object_lock: written.object_lock,
            trust: written.trust,
            grant_to: written.grant_to,
            dialect: written.server,
            name: written.name.unwrap_or(plain.name),
            ..plain
        };
        settings.check()?;
        Ok(settings)
    }
}

/// The partition that a region lies in (AWS General Reference, "Amazon Resource Names").
#[must_use]
pub fn partition(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        region if region.starts_with("us-isob-") => "aws-iso-b",
        region if region.starts_with("us-iso-") => "aws-iso",
        region if region.starts_with("eusc-") => "aws-eusc",
        _ => "aws",
    }
}

impl Settings {
    /// The settings of a location that nothing else is said of: one identity, AES256.
    ///
    /// # Errors
    /// [`Code::Usage`] for a folder, which has no policies.
    pub fn of(location: &Location) -> Result<Self> {
        let Location::S3 { bucket, prefix } = location else {
            return Err(Error::new(Code::Usage, format!("`{location}` is a folder: it has no policies"))
                .help("Name an s3://bucket/prefix location."));
        };
        Ok(Self::new(bucket, prefix))
    }

    /// The same for a bucket and a prefix.
    #[must_use]
    pub fn new(bucket: &str, prefix: &str) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: prefix.into(),
            region: "us-east-1".into(),
            account: None,
            access: Access::Single,
            versioned: false,
            sse: Sse::Aes256,
            header_required: false,
            object_lock: None,
            trust: None,
            grant_to: None,
            dialect: Dialect::Aws,
            name: name_for(bucket),
        }
    }

    /// What cannot be together.
    ///
    /// # Errors
    /// [`Code::Usage`], with what to change.
    pub fn check(&self) -> Result<()> {
        let refuse = |message: &str, help: Help| Err(Error::new(Code::Usage, message).help(help));
        if self.object_lock.is_some() && !self.versioned {
            return refuse(
                "Object Lock needs a bucket with versions",
                help!["Add ", Setting::Versioned, "."],
            );
        }
        if let Some(key) = self.sse.kms_key()
            && !key.starts_with("arn:")
            && self.access != Access::Classic
        {
            return refuse(
                "policies name a KMS key by its ARN, not by its id or alias",
                help![
                    "Write ",
                    Setting::Sse.to("aws:kms:arn:aws:kms:REGION:ACCOUNT:key/ID"),
                    "; `aws kms describe-key` shows it."
                ],
            );
        }
        if self.account.as_ref().is_some_and(|a| a.len() != 12 || !a.bytes().all(|b| b.is_ascii_digit())) {
            return refuse(
                "an account's number has twelve digits",
                "`aws sts get-caller-identity` shows it.".into(),
            );
        }
        if self.grant_to.is_some() && (self.access == Access::Split || self.trust.is_some()) {
            return refuse(
                "access can be granted to one identity that exists: neither to three, nor to a role that is to be made",
                help![
                    "Use ",
                    Setting::Access.to("single"),
                    " or ",
                    Setting::Access.to("classic"),
                    ", without ",
                    Setting::Role,
                    "."
                ],
            );
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || self.name.len() > NAME_MAX || !self.name.chars().all(fits) {
            return refuse(
                "the name for policies and users has 1 to 50 letters, digits, `-`, `_` or `.`",
                help!["Choose a shorter ", Setting::Name, "."],
            );
        }
        Ok(())
    }

    /// `arn:aws:s3:::bucket`.
    #[must_use]
    pub fn bucket_arn(&self) -> String {
        format!("arn:{}:s3:::{}", partition(&self.region), self.bucket)
    }

    /// What keys of backups begin with: the prefix and a slash, or nothing.
    #[must_use]
    pub fn below(&self) -> String {
        if self.prefix.is_empty() { String::new() } else { format!("{}/", self.prefix) }
    }

    /// The ARN of everything below the prefix that fits `pattern`.
    #[must_use]
    pub fn object_arn(&self, pattern: &str) -> String {
        format!("{}/{}{pattern}", self.bucket_arn(), self.below())
    }

    /// The identities that there are: their roles, and what their names end with.
    #[must_use]
    pub fn identities(&self) -> Vec<(&'static [Role], Option<Role>)> {
        match self.access {
            Access::Split => vec![
                (&[Role::Writer], Some(Role::Writer)),
                (&[Role::Restorer], Some(Role::Restorer)),
                (&[Role::Pruner], Some(Role::Pruner)),
            ],
            Access::Classic | Access::Single => vec![(&Role::ALL, None)],
        }
    }

    /// The name of an identity, and of its policy and group.
    #[must_use]
    pub fn identity_name(&self, role: Option<Role>) -> String {
        role.map_or_else(|| self.name.clone(), |role| format!("{}-{}", self.name, role.as_str()))
    }
}

/// IAM takes 64 characters for a user's name; a role's ending takes up to nine.
const NAME_MAX: usize = 50;

/// A name that tells which bucket it is for; two long names that begin alike stay apart.
fn name_for(bucket: &str) -> String {
    let name = format!("strongroom-{bucket}");
    if name.len() <= NAME_MAX {
        return name;
    }
    let hash = hex::encode(sha256(bucket.as_bytes()));
    format!("{}-{}", &name[..NAME_MAX - 9], &hash[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_follow_regions() {
        for (region, wanted) in
            [("eu-central-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("", "aws")]
        {
            assert_eq!(partition(region), wanted);
        }
    }

    #[test]
    fn names_fit_iam_and_stay_apart() {
        let long = "a".repeat(62);
        let names = [name_for("shop"), name_for(&format!("{long}x")), name_for(&format!("{long}y"))];
        assert_eq!(names[0], "strongroom-shop");
        assert!(names.iter().all(|name| name.len() <= NAME_MAX));
        assert_ne!(names[1], names[2]);
    }

    #[test]
    fn retentions_are_read() {
        let thirty = Retention { mode: RetentionMode::Governance, days: 30 };
        assert_eq!("governance:30d".parse::<Retention>().unwrap(), thirty);
        assert_eq!(thirty.to_string(), "governance:30d");
        assert_eq!("COMPLIANCE:1".parse::<Retention>().unwrap().mode, RetentionMode::Compliance);
        for wrong in
            ["", "30d", "governance", "governance:0", "governance:x", "legal:3d", "governance:99999d"]
        {
            assert!(wrong.parse::<Retention>().is_err(), "{wrong}");
        }
    }
}
