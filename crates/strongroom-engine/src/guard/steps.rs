//! The changes that can be made to a bucket and to identities: one request each, or a few that belong together.

use crate::bucket::Sse;
use crate::bucket::facts::LifecycleRule;
use crate::guard::settings::Retention;

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// To the bucket.
    Bucket(BucketStep),
    /// To an identity.
    Identity(IdentityStep),
}

/// A change to the bucket.
#[derive(Debug, Clone, PartialEq)]
pub enum BucketStep {
    /// Creates the bucket and records who created it.
    Create {
        /// Whether with Object Lock, which cannot be switched on later.
        object_lock: bool,
    },
    /// All of Block Public Access.
    BlockPublicAccess,
    /// ACLs off.
    EnforceOwner,
    /// The default encryption.
    Encrypt(Sse),
    /// Versions on.
    KeepVersions,
    /// The lifecycle rule for leftovers; none removes it.
    Lifecycle(Option<LifecycleRule>),
    /// The default retention.
    Lock(Retention),
    /// The bucket policy's text; none removes it.
    Policy(Option<String>),
    /// Deletes the bucket.
    Delete,
}

/// A change to an identity: its policy, group, user, key or role, all of one name.
#[derive(Debug, Clone, PartialEq)]
pub enum IdentityStep {
    /// Creates a managed policy.
    CreatePolicy {
        /// Its name.
        name: String,
        /// The policy.
        text: String,
    },
    /// A new version of a managed policy.
    ChangePolicy {
        /// Which one.
        arn: String,
        /// The policy.
        text: String,
    },
    /// Creates a group.
    CreateGroup {
        /// Its name.
        name: String,
    },
    /// Attaches a managed policy to a group.
    AttachToGroup {
        /// The group.
        name: String,
        /// The policy.
        arn: String,
    },
    /// Creates a user.
    CreateUser {
        /// Its name.
        name: String,
    },
    /// Adds a user to the group of its name.
    JoinGroup {
        /// The user.
        name: String,
    },
    /// Creates an access key.
    CreateKey {
        /// The user.
        name: String,
    },
    /// Creates a role.
    CreateRole {
        /// Its name.
        name: String,
        /// Who may assume it.
        trust: String,
    },
    /// Changes who may assume a role.
    ChangeTrust {
        /// The role.
        name: String,
        /// Who may assume it.
        trust: String,
    },
    /// Attaches a managed policy to a role.
    AttachToRole {
        /// The role.
        name: String,
        /// The policy.
        arn: String,
    },
    /// Deletes a user with its keys.
    DeleteUser {
        /// The user.
        name: String,
    },
    /// Deletes a group.
    DeleteGroup {
        /// The group.
        name: String,
        /// The policy that is attached to it.
        arn: String,
    },
    /// Deletes a role.
    DeleteRole {
        /// The role.
        name: String,
        /// The policy that is attached to it.
        arn: String,
    },
    /// Deletes a managed policy.
    DeletePolicy {
        /// Which one.
        arn: String,
    },
}

impl From<BucketStep> for Step {
    fn from(step: BucketStep) -> Self {
        Self::Bucket(step)
    }
}

impl From<IdentityStep> for Step {
    fn from(step: IdentityStep) -> Self {
        Self::Identity(step)
    }
}
