//! What a person can do through the API: one file a resource. Each function checks, changes the state in one transaction,
//! and writes the audit entry and the event into the same transaction. Nothing here knows HTTP.

pub mod audit;
pub mod backups;
pub mod changes;
pub mod deployments;
pub mod identities;
pub mod locations;
pub mod plans;
pub mod restores;
pub mod runs;
pub mod sessions;
pub mod settings;
pub mod setup;
pub mod simulations;
pub mod summary;
pub mod tokens;
pub mod users;

mod actor;
mod error;
mod expected;
mod once;
mod record;
mod refusals;
mod throttle;
mod watch;

pub use actor::{Actor, Scope};
pub use error::{Code, Error, FieldError, Result, ServiceCode};
pub use expected::Expected;
pub use once::Once;
pub use sessions::Credential;
pub use throttle::Throttle;
pub use watch::{Seen, Streams, Watch};
