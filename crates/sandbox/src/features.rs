//! What other S3-compatible servers lack.

use http::HeaderMap;
use s3s::{S3Result, s3_error};

/// Something that not every server with the S3 protocol has. Without it, its operations and headers are answered
/// with 501 NotImplemented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// `If-None-Match` on a write.
    ConditionalWrites,
    /// Block Public Access; without it nothing public is blocked either.
    PublicAccessBlock,
    /// Object Ownership; without it access control lists count.
    OwnershipControls,
    /// Object Lock: of a bucket, and retention and legal hold of objects.
    ObjectLock,
    /// Whether a bucket policy is public.
    PolicyStatus,
    /// Lifecycles.
    Lifecycle,
    /// Encryption under keys that the client holds.
    CustomerKeys,
    /// The checksum `x-amz-checksum-sha256`.
    Sha256,
    /// That answers report encryption: see [`Builder::reports_encryption`](crate::Builder::reports_encryption).
    /// Nothing is refused without it.
    EncryptionReports,
}

impl Feature {
    /// Whether a request is about it.
    fn is_asked_for(self, operation: &str, headers: &HeaderMap) -> bool {
        let begins = |start| headers.keys().any(|name| name.as_str().starts_with(start));
        match self {
            Self::ConditionalWrites => {
                let writes = ["PutObject", "CompleteMultipartUpload", "CopyObject"];
                writes.contains(&operation) && headers.contains_key("if-none-match")
            }
            Self::PublicAccessBlock => operation.ends_with("PublicAccessBlock"),
            Self::OwnershipControls => {
                operation.ends_with("BucketOwnershipControls")
                    || headers.contains_key("x-amz-object-ownership")
            }
            Self::ObjectLock => {
                let named = ["ObjectLockConfiguration", "ObjectRetention", "ObjectLegalHold"];
                named.iter().any(|name| operation.ends_with(name))
                    || begins("x-amz-object-lock-")
                    || headers.contains_key("x-amz-bucket-object-lock-enabled")
            }
            Self::PolicyStatus => operation == "GetBucketPolicyStatus",
            Self::Lifecycle => operation.contains("BucketLifecycle"),
            Self::CustomerKeys => {
                begins("x-amz-server-side-encryption-customer-")
                    || begins("x-amz-copy-source-server-side-encryption-customer-")
            }
            Self::Sha256 => headers.contains_key("x-amz-checksum-sha256"),
            Self::EncryptionReports => false,
        }
    }
}

/// Refuses what needs something that is missing.
pub(crate) fn check(missing: &[Feature], operation: &str, headers: &HeaderMap) -> S3Result<()> {
    match missing.iter().any(|feature| feature.is_asked_for(operation, headers)) {
        true => Err(s3_error!(
            NotImplemented,
            "A header you provided implies functionality that is not implemented"
        )),
        false => Ok(()),
    }
}
