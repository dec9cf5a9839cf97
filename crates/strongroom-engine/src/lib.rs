//! What Strongroom can do to one MongoDB deployment and one bucket.

pub mod backup;
pub mod bucket;
pub mod cat;
pub mod catalog;
pub mod deployment;
pub mod error;
pub mod guard;
mod hash;
pub mod layout;
pub mod location;
pub mod manifest;
pub mod oplog;
pub mod progress;
pub mod renames;
pub mod restore;
mod segments;
pub mod selection;
mod stream;
pub mod verify;

pub use stream::ZSTD_DEFAULT_LEVEL;

/// Tells the time. The engine reads no clock of its own, so that tests can set one.
pub type Clock = fn() -> chrono::DateTime<chrono::Utc>;

/// What stands as `RESTORE.md` beside the backups: how to restore with stock tools alone.
pub const RESTORE_NOTE: &str = include_str!("RESTORE.md");
