//! Which permission each request needs, who makes it and why: one table, from which policies, probes, error
//! messages and docs/IAM.md are made.
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3" and "... for AWS
//! Key Management Service".

/// What a permission is given on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `arn:aws:s3:::bucket`.
    Bucket,
    /// `arn:aws:s3:::bucket/key`.
    Object,
    /// A KMS key.
    Key,
    /// The account, or its users, groups, roles and policies.
    Account,
}

/// A kind of request that Strongroom makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The API's name.
    pub name: &'static str,
    /// The permission.
    pub action: &'static str,
    /// Where it must be given.
    pub level: Level,
}

pub(super) const fn on(level: Level, name: &'static str, action: &'static str) -> Operation {
    Operation { name, action, level }
}

/// Listing.
pub const LIST: Operation = on(Level::Bucket, "ListObjectsV2", "s3:ListBucket");
/// Writing an object.
pub const PUT: Operation = on(Level::Object, "PutObject", "s3:PutObject");
/// Reading the newest version.
pub const GET: Operation = on(Level::Object, "GetObject", "s3:GetObject");
/// Reading a version by its id.
pub const GET_VERSION: Operation = on(Level::Object, "GetObject with a version id", "s3:GetObjectVersion");
/// Deleting in a bucket without versions.
pub const DELETE: Operation = on(Level::Object, "DeleteObject", "s3:DeleteObject");
/// Deleting a version by its id.
pub const DELETE_VERSION: Operation =
    on(Level::Object, "DeleteObject with a version id", "s3:DeleteObjectVersion");
/// What S3 asks of KMS for a PUT.
pub const KMS_ENCRYPT: Operation = on(Level::Key, "GenerateDataKey, by S3", "kms:GenerateDataKey");
/// What S3 asks of KMS for a GET.
pub const KMS_DECRYPT: Operation = on(Level::Key, "Decrypt, by S3", "kms:Decrypt");

/// Every kind of request that backing up, restoring and pruning make of S3, and no other.
pub const OPERATIONS: [Operation; 6] = [LIST, PUT, GET, GET_VERSION, DELETE, DELETE_VERSION];

/// Who makes a request: the three identities of split access. Otherwise one does it all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes backups.
    Writer,
    /// Lists, verifies and restores them.
    Restorer,
    /// Deletes them.
    Pruner,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Writer, Self::Restorer, Self::Pruner];

    /// As it stands in names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Restorer => "restorer",
            Self::Pruner => "pruner",
        }
    }
}

/// In which buckets a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// In all.
    Always,
    /// Where objects have no versions.
    Unversioned,
    /// Where they have.
    Versioned,
    /// Where KMS encrypts.
    Kms,
}

/// Which objects below the prefix a request is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All.
    Everything,
    /// Of each backup: what says that it is there, or that it is being deleted, and its log.
    Catalogue,
    /// Of each backup: what says that it is being deleted.
    Deleting,
}

impl Scope {
    /// Patterns of the keys, relative to the prefix.
    #[must_use]
    pub fn patterns(self) -> &'static [&'static str] {
        match self {
            Self::Everything => &["*"],
            Self::Catalogue => &["*/manifest.json", "*/deleting.json", "*/log.jsonl"],
            Self::Deleting => &["*/deleting.json"],
        }
    }
}

/// One line of the table: who makes which request, on what, and why.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    /// The request.
    pub operation: Operation,
    /// Who makes it.
    pub role: Role,
    /// In which buckets.
    pub when: When,
    /// For which objects; of no meaning for a bucket or a key.
    pub scope: Scope,
    /// The commands that make it.
    pub commands: &'static str,
    /// Why they do.
    pub why: &'static str,
}

const fn uses(
    role: Role,
    operation: Operation,
    when: When,
    scope: Scope,
    commands: &'static str,
    why: &'static str,
) -> Use {
    Use { operation, role, when, scope, commands, why }
}

/// The table. What stands in no line is in no policy that Strongroom writes.
pub const USES: [Use; 15] = {
    use Role::{Pruner, Restorer, Writer};
    use Scope::{Catalogue, Deleting, Everything};
    use When::{Always, Kms, Unversioned, Versioned};
    [
        uses(
            Writer,
            PUT,
            Always,
            Everything,
            "backup",
            "stores segments, RESTORE.md, the manifest and the log",
        ),
        uses(Writer, KMS_ENCRYPT, Kms, Everything, "backup", "S3 has a data key made for each object"),
        uses(
            Restorer,
            LIST,
            Always,
            Everything,
            "list, show, verify, restore, cat",
            "finds plans and backups below the prefix",
        ),
        uses(
            Restorer,
            GET,
            Always,
            Everything,
            "list, show, verify, restore, cat",
            "reads manifests, and segments in a bucket without versions",
        ),
        uses(
            Restorer,
            GET_VERSION,
            Versioned,
            Everything,
            "verify, restore, cat",
            "reads the very versions that the manifest names",
        ),
        uses(
            Restorer,
            KMS_DECRYPT,
            Kms,
            Everything,
            "list, show, verify, restore, cat",
            "S3 opens each object's data key",
        ),
        uses(
            Pruner,
            LIST,
            Always,
            Everything,
            "delete, clean",
            "finds the plan that a backup belongs to, and what is no backup",
        ),
        uses(
            Pruner,
            GET,
            Always,
            Catalogue,
            "delete, clean",
            "reads in the manifest what is to be deleted, and which version a log has",
        ),
        uses(
            Pruner,
            PUT,
            Always,
            Deleting,
            "delete",
            "remembers what is still to be deleted, should it be cut off",
        ),
        uses(
            Pruner,
            DELETE,
            Unversioned,
            Everything,
            "delete, clean",
            "deletes the manifest, then the segments",
        ),
        uses(
            Pruner,
            DELETE_VERSION,
            Versioned,
            Everything,
            "delete, clean",
            "deletes by version, so that the bytes are freed",
        ),
        uses(Pruner, KMS_ENCRYPT, Kms, Everything, "delete", "S3 has a data key made for what it remembers"),
        uses(Pruner, KMS_DECRYPT, Kms, Everything, "delete, clean", "S3 opens the manifest's data key"),
        // What a failed or cancelled backup leaves is taken back by the one who may delete; the writer
        // of split access may not, and leaves what is no backup.
        uses(
            Pruner,
            DELETE,
            Unversioned,
            Everything,
            "backup",
            "takes back what a backup stored that did not come about",
        ),
        uses(Pruner, DELETE_VERSION, Versioned, Everything, "backup", "the same, by version"),
    ]
};

impl Operation {
    /// The ARN that a request for `key` is judged on.
    #[must_use]
    pub fn resource(&self, bucket: &str, key: &str) -> String {
        match self.level {
            Level::Bucket => format!("arn:aws:s3:::{bucket}"),
            Level::Object => format!("arn:aws:s3:::{bucket}/{key}"),
            Level::Key | Level::Account => "*".into(),
        }
    }

    /// The statement of a policy that allows this for everything below `prefix`.
    #[must_use]
    pub fn statement(&self, bucket: &str, prefix: &str) -> String {
        let below = if prefix.is_empty() { "*".to_owned() } else { format!("{prefix}/*") };
        statement(self.action, &self.resource(bucket, &below))
    }
}

/// The statement of a policy that allows `action` on `resource`.
pub(super) fn statement(action: &str, resource: &str) -> String {
    // As JSON, for a prefix may hold quotation marks.
    let resource = serde_json::Value::from(resource);
    format!(r#"{{"Effect": "Allow", "Action": "{action}", "Resource": {resource}}}"#)
}
