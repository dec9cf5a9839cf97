//! Which permission each request needs: one table, for error messages, policies and documentation.
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".

/// What a permission is given on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `arn:aws:s3:::bucket`.
    Bucket,
    /// `arn:aws:s3:::bucket/key`.
    Object,
}

/// A kind of request that Strongroom makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The S3 API's name.
    pub name: &'static str,
    /// The permission.
    pub action: &'static str,
    /// Where it must be given.
    pub level: Level,
}

/// Every kind of request that Strongroom makes, and no other.
pub const OPERATIONS: [Operation; 6] = [LIST, PUT, GET, GET_VERSION, DELETE, DELETE_VERSION];

/// Listing.
pub const LIST: Operation =
    Operation { name: "ListObjectsV2", action: "s3:ListBucket", level: Level::Bucket };
/// Writing an object.
pub const PUT: Operation = Operation { name: "PutObject", action: "s3:PutObject", level: Level::Object };
/// Reading the newest version.
pub const GET: Operation = Operation { name: "GetObject", action: "s3:GetObject", level: Level::Object };
/// Reading a version by its id.
pub const GET_VERSION: Operation =
    Operation { name: "GetObject with a version id", action: "s3:GetObjectVersion", level: Level::Object };
/// Deleting in a bucket without versions.
pub const DELETE: Operation =
    Operation { name: "DeleteObject", action: "s3:DeleteObject", level: Level::Object };
/// Deleting a version by its id.
pub const DELETE_VERSION: Operation = Operation {
    name: "DeleteObject with a version id",
    action: "s3:DeleteObjectVersion",
    level: Level::Object,
};

impl Operation {
    /// The ARN that a request for `key` is judged on.
    #[must_use]
    pub fn resource(&self, bucket: &str, key: &str) -> String {
        match self.level {
            Level::Bucket => format!("arn:aws:s3:::{bucket}"),
            Level::Object => format!("arn:aws:s3:::{bucket}/{key}"),
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
