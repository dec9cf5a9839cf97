//! What a run does: one file a kind of work, each through the engine.
//!
//! Everything comes in as values ([`open`] makes them of what the state holds), and what must be remembered while the work
//! goes on goes out through a [`Claim`]: so one process with a file and many workers with PostgreSQL do the same work.

pub mod attempt;
pub mod backup;
mod claim;
mod failure;
mod held;
mod keep_log;
pub mod load;
pub mod log;
mod means;
pub mod open;
pub mod prove;
mod refusal;
pub mod restore;
pub mod sweep;
pub mod verify;

pub use claim::Claim;
pub use failure::{failure, problem};
pub(crate) use held::{TOUCHES, leave};
pub(crate) use keep_log::keep_log;
pub use means::{Means, Timing};
pub use refusal::refusal;
