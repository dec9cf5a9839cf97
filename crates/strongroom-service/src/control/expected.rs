//! Changes that fit only the version that was read.

use super::{Error, Result, ServiceCode};

/// The version of a resource that a change expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Whatever version there is.
    Any,
    /// One of these.
    OneOf(Vec<u64>),
}

impl Expected {
    /// Refuses the change unless `version` is expected.
    ///
    /// # Errors
    /// `SR-CHANGED`: the resource has another version.
    pub fn check(&self, version: u64) -> Result<()> {
        match self {
            Self::OneOf(versions) if !versions.contains(&version) => Err(changed()),
            _ => Ok(()),
        }
    }
}

/// Somebody was quicker.
pub(super) fn changed() -> Error {
    Error::new(ServiceCode::Changed, "the resource was changed since it was read")
        .help("Read it again, and send the change with its new `ETag`.")
}
