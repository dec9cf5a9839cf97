//! What a person can do through the API: one file a resource. Each function checks, changes the state in one transaction,
//! and writes the audit entry and the event into the same transaction. Nothing here knows HTTP.

mod error;
mod expected;
mod once;
mod throttle;

pub use error::{Code, Error, FieldError, Result, ServiceCode};
pub use expected::Expected;
pub use once::Once;
pub use throttle::Throttle;
