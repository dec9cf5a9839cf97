//! Which permission each request of an administrator needs, and why: those of `provision`, of `prove`'s look at the
//! settings and its cleaning up, and of `explain`. `admin.rs` and `identity.rs` name their requests by these.
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3", "... for AWS Identity
//! and Access Management" and "... for AWS Security Token Service".

use super::actions::{DELETE, DELETE_VERSION, LIST, Level, Operation, PUT, on};

pub(crate) const CREATE_BUCKET: Operation = on(Level::Bucket, "CreateBucket", "s3:CreateBucket");
pub(crate) const HEAD_BUCKET: Operation = on(Level::Bucket, "HeadBucket", "s3:ListBucket");
pub(crate) const DELETE_BUCKET: Operation = on(Level::Bucket, "DeleteBucket", "s3:DeleteBucket");
pub(crate) const GET_BUCKET_TAGGING: Operation = on(Level::Bucket, "GetBucketTagging", "s3:GetBucketTagging");
pub(crate) const PUT_BUCKET_TAGGING: Operation = on(Level::Bucket, "PutBucketTagging", "s3:PutBucketTagging");
pub(crate) const GET_PUBLIC_ACCESS_BLOCK: Operation =
    on(Level::Bucket, "GetPublicAccessBlock", "s3:GetBucketPublicAccessBlock");
pub(crate) const PUT_PUBLIC_ACCESS_BLOCK: Operation =
    on(Level::Bucket, "PutPublicAccessBlock", "s3:PutBucketPublicAccessBlock");
pub(crate) const GET_BUCKET_OWNERSHIP_CONTROLS: Operation =
    on(Level::Bucket, "GetBucketOwnershipControls", "s3:GetBucketOwnershipControls");
pub(crate) const PUT_BUCKET_OWNERSHIP_CONTROLS: Operation =
    on(Level::Bucket, "PutBucketOwnershipControls", "s3:PutBucketOwnershipControls");
pub(crate) const GET_BUCKET_ENCRYPTION: Operation =
    on(Level::Bucket, "GetBucketEncryption", "s3:GetEncryptionConfiguration");
pub(crate) const PUT_BUCKET_ENCRYPTION: Operation =
    on(Level::Bucket, "PutBucketEncryption", "s3:PutEncryptionConfiguration");
pub(crate) const GET_BUCKET_VERSIONING: Operation =
    on(Level::Bucket, "GetBucketVersioning", "s3:GetBucketVersioning");
pub(crate) const PUT_BUCKET_VERSIONING: Operation =
    on(Level::Bucket, "PutBucketVersioning", "s3:PutBucketVersioning");
pub(crate) const GET_BUCKET_LIFECYCLE_CONFIGURATION: Operation =
    on(Level::Bucket, "GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration");
pub(crate) const PUT_BUCKET_LIFECYCLE_CONFIGURATION: Operation =
    on(Level::Bucket, "PutBucketLifecycleConfiguration", "s3:PutLifecycleConfiguration");
pub(crate) const DELETE_BUCKET_LIFECYCLE: Operation =
    on(Level::Bucket, "DeleteBucketLifecycle", "s3:PutLifecycleConfiguration");
pub(crate) const GET_OBJECT_LOCK_CONFIGURATION: Operation =
    on(Level::Bucket, "GetObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration");
pub(crate) const PUT_OBJECT_LOCK_CONFIGURATION: Operation =
    on(Level::Bucket, "PutObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration");
pub(crate) const GET_BUCKET_POLICY: Operation = on(Level::Bucket, "GetBucketPolicy", "s3:GetBucketPolicy");
pub(crate) const PUT_BUCKET_POLICY: Operation = on(Level::Bucket, "PutBucketPolicy", "s3:PutBucketPolicy");
pub(crate) const DELETE_BUCKET_POLICY: Operation =
    on(Level::Bucket, "DeleteBucketPolicy", "s3:DeleteBucketPolicy");
pub(crate) const GET_BUCKET_POLICY_STATUS: Operation =
    on(Level::Bucket, "GetBucketPolicyStatus", "s3:GetBucketPolicyStatus");
pub(crate) const LIST_OBJECT_VERSIONS: Operation =
    on(Level::Bucket, "ListObjectVersions", "s3:ListBucketVersions");
pub(crate) const ABORT_MULTIPART_UPLOAD: Operation =
    on(Level::Object, "AbortMultipartUpload", "s3:AbortMultipartUpload");
pub(crate) const GET_CALLER_IDENTITY: Operation =
    on(Level::Account, "GetCallerIdentity", "sts:GetCallerIdentity");
pub(crate) const GET_POLICY: Operation = on(Level::Account, "GetPolicy", "iam:GetPolicy");
pub(crate) const GET_POLICY_VERSION: Operation =
    on(Level::Account, "GetPolicyVersion", "iam:GetPolicyVersion");
pub(crate) const LIST_POLICY_VERSIONS: Operation =
    on(Level::Account, "ListPolicyVersions", "iam:ListPolicyVersions");
pub(crate) const CREATE_POLICY: Operation = on(Level::Account, "CreatePolicy", "iam:CreatePolicy");
pub(crate) const CREATE_POLICY_VERSION: Operation =
    on(Level::Account, "CreatePolicyVersion", "iam:CreatePolicyVersion");
pub(crate) const DELETE_POLICY_VERSION: Operation =
    on(Level::Account, "DeletePolicyVersion", "iam:DeletePolicyVersion");
pub(crate) const DELETE_POLICY: Operation = on(Level::Account, "DeletePolicy", "iam:DeletePolicy");
pub(crate) const GET_GROUP: Operation = on(Level::Account, "GetGroup", "iam:GetGroup");
pub(crate) const LIST_ATTACHED_GROUP_POLICIES: Operation =
    on(Level::Account, "ListAttachedGroupPolicies", "iam:ListAttachedGroupPolicies");
pub(crate) const CREATE_GROUP: Operation = on(Level::Account, "CreateGroup", "iam:CreateGroup");
pub(crate) const ATTACH_GROUP_POLICY: Operation =
    on(Level::Account, "AttachGroupPolicy", "iam:AttachGroupPolicy");
pub(crate) const ADD_USER_TO_GROUP: Operation = on(Level::Account, "AddUserToGroup", "iam:AddUserToGroup");
pub(crate) const DETACH_GROUP_POLICY: Operation =
    on(Level::Account, "DetachGroupPolicy", "iam:DetachGroupPolicy");
pub(crate) const REMOVE_USER_FROM_GROUP: Operation =
    on(Level::Account, "RemoveUserFromGroup", "iam:RemoveUserFromGroup");
pub(crate) const DELETE_GROUP: Operation = on(Level::Account, "DeleteGroup", "iam:DeleteGroup");
pub(crate) const GET_USER: Operation = on(Level::Account, "GetUser", "iam:GetUser");
pub(crate) const LIST_ACCESS_KEYS: Operation = on(Level::Account, "ListAccessKeys", "iam:ListAccessKeys");
pub(crate) const CREATE_USER: Operation = on(Level::Account, "CreateUser", "iam:CreateUser");
pub(crate) const CREATE_ACCESS_KEY: Operation = on(Level::Account, "CreateAccessKey", "iam:CreateAccessKey");
pub(crate) const DELETE_ACCESS_KEY: Operation = on(Level::Account, "DeleteAccessKey", "iam:DeleteAccessKey");
pub(crate) const DELETE_USER: Operation = on(Level::Account, "DeleteUser", "iam:DeleteUser");
pub(crate) const GET_ROLE: Operation = on(Level::Account, "GetRole", "iam:GetRole");
pub(crate) const LIST_ATTACHED_ROLE_POLICIES: Operation =
    on(Level::Account, "ListAttachedRolePolicies", "iam:ListAttachedRolePolicies");
pub(crate) const CREATE_ROLE: Operation = on(Level::Account, "CreateRole", "iam:CreateRole");
pub(crate) const UPDATE_ASSUME_ROLE_POLICY: Operation =
    on(Level::Account, "UpdateAssumeRolePolicy", "iam:UpdateAssumeRolePolicy");
pub(crate) const ATTACH_ROLE_POLICY: Operation =
    on(Level::Account, "AttachRolePolicy", "iam:AttachRolePolicy");
pub(crate) const DETACH_ROLE_POLICY: Operation =
    on(Level::Account, "DetachRolePolicy", "iam:DetachRolePolicy");
pub(crate) const DELETE_ROLE: Operation = on(Level::Account, "DeleteRole", "iam:DeleteRole");
pub(crate) const LIST_GROUPS_FOR_USER: Operation =
    on(Level::Account, "ListGroupsForUser", "iam:ListGroupsForUser");
pub(crate) const LIST_ATTACHED_USER_POLICIES: Operation =
    on(Level::Account, "ListAttachedUserPolicies", "iam:ListAttachedUserPolicies");
pub(crate) const LIST_USER_POLICIES: Operation =
    on(Level::Account, "ListUserPolicies", "iam:ListUserPolicies");
pub(crate) const GET_USER_POLICY: Operation = on(Level::Account, "GetUserPolicy", "iam:GetUserPolicy");
pub(crate) const LIST_GROUP_POLICIES: Operation =
    on(Level::Account, "ListGroupPolicies", "iam:ListGroupPolicies");
pub(crate) const GET_GROUP_POLICY: Operation = on(Level::Account, "GetGroupPolicy", "iam:GetGroupPolicy");
pub(crate) const LIST_ROLE_POLICIES: Operation =
    on(Level::Account, "ListRolePolicies", "iam:ListRolePolicies");
pub(crate) const GET_ROLE_POLICY: Operation = on(Level::Account, "GetRolePolicy", "iam:GetRolePolicy");

/// Requests that serve one purpose.
#[derive(Debug, Clone, Copy)]
pub struct AdminUse {
    /// The requests.
    pub operations: &'static [Operation],
    /// What they are for.
    pub why: &'static str,
}

const fn uses(operations: &'static [Operation], why: &'static str) -> AdminUse {
    AdminUse { operations, why }
}

/// Every request that is made with an administrator's credentials.
pub const ADMIN: [AdminUse; 37] = [
    uses(&[CREATE_BUCKET], "creates the bucket"),
    uses(&[HEAD_BUCKET, LIST], "finds out whether the bucket exists, and whether it holds backups"),
    uses(&[DELETE_BUCKET], "destroy: deletes an empty bucket that was created here"),
    uses(&[GET_BUCKET_TAGGING], "finds out whether the bucket was created here"),
    uses(&[PUT_BUCKET_TAGGING], "records that the bucket was created here"),
    uses(&[GET_PUBLIC_ACCESS_BLOCK], "compares Block Public Access"),
    uses(&[PUT_PUBLIC_ACCESS_BLOCK], "sets it"),
    uses(&[GET_BUCKET_OWNERSHIP_CONTROLS], "compares whether ACLs are off"),
    uses(&[PUT_BUCKET_OWNERSHIP_CONTROLS], "switches them off"),
    uses(&[GET_BUCKET_ENCRYPTION], "compares default encryption"),
    uses(&[PUT_BUCKET_ENCRYPTION], "sets it"),
    uses(&[GET_BUCKET_VERSIONING], "compares versioning"),
    uses(&[PUT_BUCKET_VERSIONING], "switches it on"),
    uses(&[GET_BUCKET_LIFECYCLE_CONFIGURATION], "compares lifecycle rules"),
    uses(&[PUT_BUCKET_LIFECYCLE_CONFIGURATION, DELETE_BUCKET_LIFECYCLE], "adds its own; destroy: removes it"),
    uses(&[GET_OBJECT_LOCK_CONFIGURATION], "compares Object Lock"),
    uses(&[PUT_OBJECT_LOCK_CONFIGURATION], "sets the default retention"),
    uses(&[GET_BUCKET_POLICY], "compares the bucket policy, statement by statement"),
    uses(&[PUT_BUCKET_POLICY], "adds its own statements"),
    uses(&[DELETE_BUCKET_POLICY], "destroy: when no other statement is left"),
    uses(&[GET_BUCKET_POLICY_STATUS], "prove: whether S3 calls the policy public"),
    uses(
        &[PUT, DELETE, DELETE_VERSION],
        "prove: puts an object outside the prefix, which the service must not read; deletes what a probe made",
    ),
    uses(
        &[LIST_OBJECT_VERSIONS, ABORT_MULTIPART_UPLOAD],
        "prove: finds and deletes what requests that were cut off may have made",
    ),
    uses(&[GET_CALLER_IDENTITY], "reads account and identity (needs no permission)"),
    uses(&[GET_POLICY, GET_POLICY_VERSION, LIST_POLICY_VERSIONS], "compares the managed policy"),
    uses(&[CREATE_POLICY, CREATE_POLICY_VERSION], "creates or changes it"),
    uses(
        &[DELETE_POLICY_VERSION, DELETE_POLICY],
        "makes room by deleting the oldest of five versions; destroy",
    ),
    uses(&[GET_GROUP, LIST_ATTACHED_GROUP_POLICIES], "compares the group"),
    uses(&[CREATE_GROUP, ATTACH_GROUP_POLICY, ADD_USER_TO_GROUP], "creates it"),
    uses(&[DETACH_GROUP_POLICY, REMOVE_USER_FROM_GROUP, DELETE_GROUP], "destroy"),
    uses(&[GET_USER, LIST_ACCESS_KEYS], "compares the user"),
    uses(&[CREATE_USER, CREATE_ACCESS_KEY], "creates it, and its key"),
    uses(&[DELETE_ACCESS_KEY, DELETE_USER], "destroy"),
    uses(&[GET_ROLE, LIST_ATTACHED_ROLE_POLICIES], "compares the role"),
    uses(&[CREATE_ROLE, UPDATE_ASSUME_ROLE_POLICY, ATTACH_ROLE_POLICY], "creates it"),
    uses(&[DETACH_ROLE_POLICY, DELETE_ROLE], "destroy"),
    uses(
        &[
            LIST_GROUPS_FOR_USER,
            LIST_ATTACHED_USER_POLICIES,
            LIST_USER_POLICIES,
            GET_USER_POLICY,
            LIST_GROUP_POLICIES,
            GET_GROUP_POLICY,
            LIST_ROLE_POLICIES,
            GET_ROLE_POLICY,
        ],
        "explain: reads the policies of an identity, where it may",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_of_an_administrator_names_its_permission_by_hand() {
        for (file, text) in
            [("admin.rs", include_str!("admin.rs")), ("identity.rs", include_str!("identity.rs"))]
        {
            for service in ["\"s3:", "\"iam:", "\"sts:", "\"kms:"] {
                assert!(!text.contains(service), "{file} names a permission by hand: {service}");
            }
        }
    }

    /// A constant that no row lists would be missing in docs/IAM.md.
    #[test]
    fn every_request_of_an_administrator_is_in_the_table() {
        let listed = |name: &str| ADMIN.iter().flat_map(|row| row.operations).any(|of| of.name == name);
        let constants = include_str!("administration.rs").split("\npub(crate) const ").skip(1);
        let names = constants.filter_map(|text| text.split_once("on(Level::")?.1.split('"').nth(1));
        let (listed, missing): (Vec<&str>, Vec<&str>) = names.partition(|name| listed(name));
        assert!(listed.len() > 50 && missing.is_empty(), "{missing:?}");
    }
}
