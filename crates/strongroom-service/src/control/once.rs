//! Requests that may be repeated and are done once.

/// What makes a repeated request give the first answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The client's key.
    pub key: String,
    /// SHA-256 of method, path and body in hexadecimal: the same key with another request is refused.
    pub request: String,
}
