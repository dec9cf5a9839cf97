//! What the service speaks of: the resources of the API as plain data, with their bounds.
//!
//! The same types are bodies of requests and answers, entries of a file that `apply` takes, and what the state keeps.
//! A value that may be out of bounds has a type of its own, which checks it when it is read and writes its bounds into
//! the API's description: they cannot disagree.

mod backup;
mod bounded;
mod change;
mod deployment;
mod ids;
mod location;
mod plan;
mod restore;
mod run;
mod secret;
mod simulation;
mod summary;
mod user;

pub use backup::*;
pub use bounded::*;
pub use change::*;
pub use deployment::*;
pub use ids::*;
pub use location::*;
pub use plan::*;
pub use restore::*;
pub use run::*;
pub use secret::*;
pub use simulation::*;
pub use summary::*;
pub use user::*;
