//! What handlers take from a request. Each says which field is wrong, and refuses what the API's description does not
//! have.

mod body;
mod headers;
mod label;
mod path;
mod query;

pub(crate) use body::{Json, MAX_BODY, New, NewWithout};
pub(crate) use headers::{IdempotencyKey, IfMatch};
pub(crate) use label::{Label, LabelQuery};
pub(crate) use path::Path;
pub(crate) use query::{All, Listed, PageQuery, Query, from_text};

/// PostgreSQL's text has no U+0000, so no text of the API has it.
const NUL_MESSAGE: &str = "the text holds the character U+0000";
