//! What can go wrong with the state, whichever database it is in.

use std::borrow::Cow;
use std::fmt;

use sqlx::error::{DatabaseError, ErrorKind};

/// What the state answers with.
pub type Result<T, E = StateError> = std::result::Result<T, E>;

/// Why the state did not do it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateError {
    /// The database does not answer, or is too busy. It may later.
    Unavailable(String),
    /// The row was changed since it was read.
    Conflict,
    /// Another row has this already.
    Taken {
        /// What is taken: the name of a member, such as `name` or `folder`.
        what: &'static str,
    },
    /// It is not there, or what it refers to is not.
    Missing,
    /// It is still in use.
    Referenced {
        /// By what, such as `plans`.
        by: &'static str,
    },
    /// The disk is full. Nothing was stored.
    Full,
    /// A text holds U+0000, which PostgreSQL cannot store.
    Nul,
    /// What is stored cannot be read, or the database refused what it was asked for.
    Damaged(String),
    /// A newer version of the service has changed the schema.
    Newer {
        /// The number of the newest change.
        schema: i64,
    },
    /// Another process has the file open.
    InUse(String),
    /// The address of the state is none.
    Address(String),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "the state database is not available: {why}"),
            Self::Conflict => f.write_str("it was changed meanwhile"),
            Self::Taken { what } => write!(f, "this {what} is taken"),
            Self::Missing => f.write_str("it does not exist, or something that it refers to does not"),
            Self::Referenced { by } => write!(f, "it is still in use by {by}"),
            Self::Full => f.write_str("the disk of the state database is full"),
            Self::Nul => f.write_str("a text holds U+0000, which cannot be stored"),
            Self::Damaged(why) => write!(f, "the state database is damaged: {why}"),
            Self::Newer { schema } => {
                write!(f, "the state database has the schema {schema} of a newer version of the service")
            }
            Self::InUse(path) => write!(f, "another process has the state `{path}` open"),
            Self::Address(why) => write!(f, "the address of the state cannot be read: {why}"),
        }
    }
}

impl std::error::Error for StateError {}

/// The unique indexes that a person can run into: as PostgreSQL names them, as SQLite does, and as people do.
const UNIQUE: [(&str, &str, &str); 9] = [
    ("deployments_name", "deployments.name", "name"),
    ("locations_name", "locations.name", "name"),
    ("plans_name", "plans.name", "name"),
    ("plans_folder", "plans.location, plans.folder", "folder"),
    ("users_login", "users.login_folded", "login"),
    ("users_identity", "users.identity", "identity"),
    ("runs_occurrence", "runs.plan, runs.scheduled_for", "occurrence"),
    ("runs_one_of_plan", "runs.plan", "plan"),
    ("backups_place", "backups.location, backups.folder, backups.name", "place"),
];

fn taken(error: &dyn DatabaseError) -> StateError {
    let columns = error.message().rsplit(": ").next().unwrap_or_default();
    let known = UNIQUE
        .iter()
        .find(|(index, sqlite, _)| error.constraint().map_or(columns == *sqlite, |name| name == *index));
    StateError::Taken { what: known.map_or("id", |(.., what)| what) }
}

/// The first byte of SQLite's extended result code is the result code.
fn from_sqlite(code: i64, message: String) -> StateError {
    const BUSY: i64 = 5;
    const LOCKED: i64 = 6;
    const READ_ONLY: i64 = 8;
    const IO: i64 = 10;
    const FULL: i64 = 13;
    const CANNOT_OPEN: i64 = 14;
    match code & 0xff {
        FULL => StateError::Full,
        BUSY | LOCKED | READ_ONLY | IO | CANNOT_OPEN => StateError::Unavailable(message),
        _ => StateError::Damaged(message),
    }
}

/// By the class of the SQLSTATE, see appendix A of PostgreSQL's manual.
fn from_postgres(code: &str, message: String) -> StateError {
    match code {
        "53100" => StateError::Full,
        // Read-only, as a standby is.
        "25006" => StateError::Unavailable(message),
        // Connection, authorisation, catalogue name, transaction rollback, resources, shutdown, system.
        _ if ["08", "28", "3D", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class)) => {
            StateError::Unavailable(message)
        }
        _ => StateError::Damaged(message),
    }
}

fn from_database(error: &dyn DatabaseError) -> StateError {
    match error.kind() {
        ErrorKind::UniqueViolation => return taken(error),
        ErrorKind::ForeignKeyViolation => return StateError::Missing,
        _ => {}
    }
    let (code, message) = (error.code().unwrap_or(Cow::Borrowed("")), error.message().to_owned());
    match code.parse() {
        // Both number their errors. PostgreSQL's numbers have five characters, and begin with a zero where SQLite's
        // could be meant.
        Ok(number) if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() => {
            from_sqlite(number, message)
        }
        _ => from_postgres(&code, message),
    }
}

impl From<sqlx::Error> for StateError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Database(inner) => from_database(&**inner),
            E::RowNotFound => Self::Missing,
            E::Io(_)
            | E::Tls(_)
            | E::Protocol(_)
            | E::PoolTimedOut
            | E::PoolClosed
            | E::WorkerCrashed
            | E::BeginFailed => Self::Unavailable(error.to_string()),
            E::Configuration(_) => Self::Address(error.to_string()),
            _ => Self::Damaged(error.to_string()),
        }
    }
}

impl From<serde_json::Error> for StateError {
    fn from(error: serde_json::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}
