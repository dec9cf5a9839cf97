//! The AWS IAM policy language: parse, print, evaluate, with the reasons. No network, no clock, no async.
//!
//! What the documentation leaves open is answered [`Decision::NotCertain`], never `Allow`.
//!
//! ```
//! use iam_policy::{Decision, Kind, Named, Policies, Policy, Principal, Request, evaluate};
//!
//! let writer = Policy::parse(
//!     r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Put*", "Resource": "arn:aws:s3:::backups/*"}}"#,
//!     Kind::Identity,
//! )?;
//! let bucket = Policy::parse(
//!     r#"{"Version": "2012-10-17", "Statement": {"Sid": "DenyPlain", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
//!         "Resource": "arn:aws:s3:::backups/*", "Condition": {"Null": {"s3:x-amz-server-side-encryption": true}}}}"#,
//!     Kind::Resource,
//! )?;
//! let identity = [Named::new("writer", &writer)];
//! let policies = Policies { identity: &identity, resource: Some(Named::new("bucket policy", &bucket)), ..Policies::in_account("111122223333") };
//! let user = Principal::user("111122223333", "backup");
//! let mut put = Request::new(user, "s3:PutObject", "arn:aws:s3:::backups/a");
//! let refused = evaluate(&policies, &put);
//! assert_eq!(refused.decision, Decision::ExplicitDeny);
//! assert_eq!(refused.deciding().next().unwrap().sid.as_deref(), Some("DenyPlain"));
//!
//! put.context.set("s3:x-amz-server-side-encryption", "AES256");
//! assert_eq!(evaluate(&policies, &put).decision, Decision::Allow);
//! # Ok::<(), iam_policy::PolicyError>(())
//! ```

mod condition;
pub mod edit;
mod evaluate;
mod glob;
mod lint;
mod notes;
mod parse;
mod pattern;
mod policy;
mod principal;
mod request;
pub mod service;
mod size;

pub use condition::{ALL_OPERATORS, Condition};
pub use evaluate::{Decision, Evaluation, Named, Policies, Reason, decide, evaluate};
pub use lint::{Finding, RULES, Severity, lint};
pub use parse::PolicyError;
pub use policy::{Effect, Kind, Policy, Statement};
pub use principal::Principal;
pub use request::{Context, Request};
pub use service::{Access, Action, KeyType};
pub use size::{Attachment, Size, size};

/// Three answers to whether something matches: the third where AWS's documentation does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Truth {
    No,
    Unknown,
    Yes,
}

impl Truth {
    pub(crate) fn and(self, other: Self) -> Self {
        self.min(other)
    }

    pub(crate) fn or(self, other: Self) -> Self {
        self.max(other)
    }

    pub(crate) fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }
}

impl From<bool> for Truth {
    fn from(known: bool) -> Self {
        if known { Self::Yes } else { Self::No }
    }
}
