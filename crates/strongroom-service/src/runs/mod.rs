//! What a run does: one file a kind of work, each through the engine.
//!
//! Everything comes in as values ([`open`] makes them of what the state holds), and what must be remembered while the work
//! goes on goes out through a [`Claim`]: so one process with a file and many workers with PostgreSQL do the same work.

pub mod backup;
mod claim;
mod failure;
pub mod log;
pub mod open;
pub mod prove;
pub mod sweep;
pub mod verify;

pub use claim::Claim;
pub use failure::{failure, problem};
