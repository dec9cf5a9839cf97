//! What handlers take from a request. Each says which field is wrong, and refuses what the API's description does not
//! have.

mod body;
mod headers;
mod path;
mod query;

pub use body::{Json, MAX_BODY, New};
pub use headers::{IdempotencyKey, IfMatch};
pub use path::Path;
pub use query::{Listed, PageQuery, Query};

/// PostgreSQL's text has no U+0000, so no text of the API has it.
const NUL_MESSAGE: &str = "the text holds the character U+0000";
