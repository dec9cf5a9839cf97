//! Canned access control lists. Source: Amazon S3 User Guide, "Access control list (ACL) overview".

/// Who has what besides the owner, who always has full control.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Acl {
    /// Nobody. The lists that name the bucket's owner are the same: here the owner is one.
    #[default]
    Private,
    PublicRead,
    PublicReadWrite,
    /// Everyone who has an AWS account.
    AuthenticatedRead,
}

impl Acl {
    /// A list by its name; none for those that are for AWS's own services.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "private" | "bucket-owner-read" | "bucket-owner-full-control" => Self::Private,
            "public-read" => Self::PublicRead,
            "public-read-write" => Self::PublicReadWrite,
            "authenticated-read" => Self::AuthenticatedRead,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::PublicRead => "public-read",
            Self::PublicReadWrite => "public-read-write",
            Self::AuthenticatedRead => "authenticated-read",
        }
    }

    /// Whether Block Public Access minds it.
    pub(crate) fn is_public(self) -> bool {
        self != Self::Private
    }

    /// Whether others may read what it is on.
    pub(crate) fn reads(self) -> bool {
        self.is_public()
    }

    /// Whether others may write what it is on.
    pub(crate) fn writes(self) -> bool {
        self == Self::PublicReadWrite
    }

    /// Whether one who is not the owner may do this by it.
    pub(crate) fn gives(self, action: &str, anonymous: bool) -> bool {
        let known = !(anonymous && self == Self::AuthenticatedRead);
        match action {
            "s3:GetObject"
            | "s3:GetObjectVersion"
            | "s3:ListBucket"
            | "s3:ListBucketVersions"
            | "s3:ListBucketMultipartUploads" => self.reads() && known,
            "s3:PutObject" | "s3:DeleteObject" => self.writes(),
            _ => false,
        }
    }
}
