//! An S3 endpoint on loopback that enforces identity and bucket policies on every request, for tests, the demo
//! and trying things out. Not for production: it keeps no promise about what it stores.
//!
//! The wire protocol and signatures are those of the `s3s` crate; who may do what is judged by `iam-policy`
//! with the actions, resources and condition keys of Amazon S3. Buckets have the settings that a look at their
//! posture asks for: Block Public Access, Object Ownership, lifecycle, Object Lock.

mod access;
mod account;
mod acl;
mod api;
mod buckets;
mod decisions;
mod features;
mod lock;
mod public;
mod server;
mod state;
mod tls;

pub use account::{AccessKey, Account, AccountError, TemporaryKey};
pub use decisions::Judged;
pub use features::Feature;
pub use iam_policy::Decision;
pub use server::{Builder, Data, Sandbox};
