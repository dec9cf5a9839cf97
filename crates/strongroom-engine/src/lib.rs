//! What Strongroom can do to one MongoDB deployment and one bucket.

mod backoff;
pub mod backup;
pub mod bucket;
pub mod cat;
pub mod catalog;
pub mod clock;
pub mod compression;
pub mod deployment;
pub mod error;
pub mod guard;
mod hash;
pub mod help;
pub mod job;
pub mod layout;
pub mod location;
pub mod manifest;
pub mod members;
pub mod moment;
pub mod names;
pub mod oplog;
pub mod progress;
pub mod quantity;
pub mod renames;
pub mod restore;
mod segments;
pub mod selection;
pub mod settings;
mod stream;
pub mod summary;
mod timestamps;
pub mod verify;

pub use compression::ZSTD_DEFAULT_LEVEL;
pub use help::{Help, Part as HelpPart};

/// What stands as `RESTORE.md` beside the backups: how to restore with stock tools alone.
pub const RESTORE_NOTE: &str = include_str!("RESTORE.md");
