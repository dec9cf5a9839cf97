//! Why a read stopped, told apart by what can be done about it.

use mongodb::error::{Error as DriverError, ErrorKind};

use super::failure::{OVERLOADED, code_of, explain, server_code};
use crate::error::Error;

/// Why a cursor could not be opened or could not go on.
#[derive(Debug)]
pub enum Setback {
    /// The moment can no longer be read, or not of this collection: it can be read as it is now.
    TooOld(Error),
    /// The cursor or the connection is lost: the scan can be taken up where it stopped.
    Lost(Error),
    /// What came is not BSON: it may come whole the next time.
    Damaged(Error),
    /// The record to go on from is no longer there.
    PositionGone(Error),
    /// Another member is read now, on which the place to go on from means nothing.
    Elsewhere(Error),
    /// The collection is no longer there.
    CollectionGone(Error),
    /// Trying again would not help.
    Final(Error),
}

impl Setback {
    pub(super) fn of(error: &DriverError) -> Self {
        use server_code as code;
        let told = explain(error);
        if error.contains_label(OVERLOADED) {
            return Self::Lost(told);
        }
        match code_of(error) {
            Some(code::SNAPSHOT_TOO_OLD | code::SNAPSHOT_UNAVAILABLE) => Self::TooOld(told),
            Some(code::KEY_NOT_FOUND | code::CAPPED_POSITION_LOST) => Self::PositionGone(told),
            // A view may have taken its name.
            Some(code::NAMESPACE_NOT_FOUND | code::COMMAND_NOT_SUPPORTED_ON_VIEW) => {
                Self::CollectionGone(told)
            }
            Some(code) if code::LOST.contains(&code) => Self::Lost(told),
            Some(_) => Self::Final(told),
            None => match &*error.kind {
                ErrorKind::Io(_)
                | ErrorKind::ConnectionPoolCleared { .. }
                | ErrorKind::ServerSelection { .. } => Self::Lost(told),
                ErrorKind::InvalidResponse { .. }
                | ErrorKind::BsonDeserialization(_)
                | ErrorKind::Bson(_) => Self::Damaged(told),
                _ => Self::Final(told),
            },
        }
    }

    /// The same, looked at.
    pub(super) fn error(&self) -> &Error {
        match self {
            Self::TooOld(error)
            | Self::Lost(error)
            | Self::Damaged(error)
            | Self::PositionGone(error)
            | Self::Elsewhere(error)
            | Self::CollectionGone(error)
            | Self::Final(error) => error,
        }
    }

    /// The error, whatever can be done about it.
    #[must_use]
    pub fn into_error(self) -> Error {
        self.error().clone()
    }
}
