//! Which action an operation is. Source: Service Authorization Reference, "Actions, resources, and condition keys
//! for Amazon S3", and the page of each operation in the API Reference.

use http::HeaderMap;

/// The action of an operation, and whether it is on the bucket. None: it is not supported.
pub(super) fn action(operation: &str, versioned: bool) -> Option<(&'static str, bool)> {
    Some(match operation {
        "ListBuckets" => ("s3:ListAllMyBuckets", true),
        "CreateBucket" => ("s3:CreateBucket", true),
        "DeleteBucket" => ("s3:DeleteBucket", true),
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => ("s3:ListBucket", true),
        "ListObjectVersions" => ("s3:ListBucketVersions", true),
        "ListMultipartUploads" => ("s3:ListBucketMultipartUploads", true),
        "GetBucketLocation" => ("s3:GetBucketLocation", true),
        "GetBucketVersioning" => ("s3:GetBucketVersioning", true),
        "PutBucketVersioning" => ("s3:PutBucketVersioning", true),
        "GetBucketEncryption" => ("s3:GetEncryptionConfiguration", true),
        "PutBucketEncryption" | "DeleteBucketEncryption" => ("s3:PutEncryptionConfiguration", true),
        "GetBucketPolicy" => ("s3:GetBucketPolicy", true),
        "PutBucketPolicy" => ("s3:PutBucketPolicy", true),
        "DeleteBucketPolicy" => ("s3:DeleteBucketPolicy", true),
        "GetBucketPolicyStatus" => ("s3:GetBucketPolicyStatus", true),
        "GetPublicAccessBlock" => ("s3:GetBucketPublicAccessBlock", true),
        "PutPublicAccessBlock" | "DeletePublicAccessBlock" => ("s3:PutBucketPublicAccessBlock", true),
        "GetBucketOwnershipControls" => ("s3:GetBucketOwnershipControls", true),
        "PutBucketOwnershipControls" | "DeleteBucketOwnershipControls" => {
            ("s3:PutBucketOwnershipControls", true)
        }
        "GetBucketLifecycleConfiguration" => ("s3:GetLifecycleConfiguration", true),
        "PutBucketLifecycleConfiguration" | "DeleteBucketLifecycle" => ("s3:PutLifecycleConfiguration", true),
        "GetBucketTagging" => ("s3:GetBucketTagging", true),
        "PutBucketTagging" | "DeleteBucketTagging" => ("s3:PutBucketTagging", true),
        "GetBucketAcl" => ("s3:GetBucketAcl", true),
        "PutBucketAcl" => ("s3:PutBucketAcl", true),
        "GetObjectAcl" if versioned => ("s3:GetObjectVersionAcl", false),
        "GetObjectAcl" => ("s3:GetObjectAcl", false),
        "PutObjectAcl" if versioned => ("s3:PutObjectVersionAcl", false),
        "PutObjectAcl" => ("s3:PutObjectAcl", false),
        "GetObjectLockConfiguration" => ("s3:GetBucketObjectLockConfiguration", true),
        "PutObjectLockConfiguration" => ("s3:PutBucketObjectLockConfiguration", true),
        "GetObjectRetention" => ("s3:GetObjectRetention", false),
        "PutObjectRetention" => ("s3:PutObjectRetention", false),
        "GetObjectLegalHold" => ("s3:GetObjectLegalHold", false),
        "PutObjectLegalHold" => ("s3:PutObjectLegalHold", false),
        "GetObject" | "HeadObject" if versioned => ("s3:GetObjectVersion", false),
        "GetObject" | "HeadObject" => ("s3:GetObject", false),
        "PutObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" | "CopyObject" => {
            ("s3:PutObject", false)
        }
        "AbortMultipartUpload" => ("s3:AbortMultipartUpload", false),
        "ListParts" => ("s3:ListMultipartUploadParts", false),
        "DeleteObject" if versioned => ("s3:DeleteObjectVersion", false),
        "DeleteObject" => ("s3:DeleteObject", false),
        "DeleteObjects" => ("s3:DeleteObject", true),
        _ => return None,
    })
}

/// What a request needs besides, for what its headers set.
pub(super) fn besides(operation: &str, headers: &HeaderMap) -> Vec<&'static str> {
    let mut actions = Vec::new();
    let has = |name: &str| headers.contains_key(name);
    let sets_acl = has("x-amz-acl") || headers.keys().any(|name| name.as_str().starts_with("x-amz-grant-"));
    let mut needs = |when: bool, action| {
        if when {
            actions.push(action);
        }
    };
    match operation {
        "PutObject" | "CopyObject" | "CreateMultipartUpload" => {
            let retained = has("x-amz-object-lock-mode") || has("x-amz-object-lock-retain-until-date");
            needs(sets_acl, "s3:PutObjectAcl");
            needs(retained, "s3:PutObjectRetention");
            needs(has("x-amz-object-lock-legal-hold"), "s3:PutObjectLegalHold");
        }
        "CreateBucket" => {
            let locks = headers.get("x-amz-bucket-object-lock-enabled");
            let locks = locks.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
            needs(sets_acl, "s3:PutBucketAcl");
            needs(has("x-amz-object-ownership"), "s3:PutBucketOwnershipControls");
            needs(locks, "s3:PutBucketObjectLockConfiguration");
            needs(locks, "s3:PutBucketVersioning");
        }
        _ => {}
    }
    actions
}
