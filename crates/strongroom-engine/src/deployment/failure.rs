//! The driver's errors in the words of the person who has to act.

use mongodb::error::{CommandError, Error as DriverError, ErrorKind};

use crate::error::{Code, Error};

/// MongoDB's error codes that are told apart (its `error_codes.yml`).
pub(super) mod server_code {
    pub(crate) const UNKNOWN_ERROR: i32 = 8;
    pub(crate) const WRITE_CONCERN_FAILED: i32 = 64;
    /// A command has a member that the server does not know.
    pub(crate) const UNKNOWN_FIELD: i32 = 40415;
    pub(crate) const UNAUTHORIZED: i32 = 13;
    pub(crate) const AUTHENTICATION_FAILED: i32 = 18;
    pub(crate) const NAMESPACE_NOT_FOUND: i32 = 26;
    pub(crate) const COMMAND_NOT_FOUND: i32 = 59;
    pub(crate) const NAMESPACE_EXISTS: i32 = 48;
    pub(crate) const COMMAND_NOT_SUPPORTED_ON_VIEW: i32 = 166;
    pub(crate) const SNAPSHOT_TOO_OLD: i32 = 239;
    pub(crate) const SNAPSHOT_UNAVAILABLE: i32 = 246;
    pub(crate) const DUPLICATE_KEY: i32 = 11000;
    pub(crate) const KEY_NOT_FOUND: i32 = 211;
    pub(crate) const CAPPED_POSITION_LOST: i32 = 136;
    /// The cursor is gone, and another may be opened: `HostUnreachable`, `HostNotFound`, `CursorNotFound`,
    /// `NetworkTimeout`, `ShutdownInProgress`, `QueryPlanKilled`, `PrimarySteppedDown`, `ExceededTimeLimit`,
    /// `SocketException`, `NotWritablePrimary`, `InterruptedAtShutdown`, `Interrupted`,
    /// `InterruptedDueToReplStateChange`, `NotPrimaryNoSecondaryOk`, `NotPrimaryOrSecondary`.
    pub(crate) const LOST: [i32; 15] =
        [6, 7, 43, 89, 91, 175, 189, 262, 9001, 10107, 11600, 11601, 11602, 13435, 13436];
    /// Another operation is in the way for the moment: `LockTimeout`, `LockBusy`, `WriteConflict`,
    /// `ConflictingOperationInProgress`.
    pub(crate) const BUSY: [i32; 4] = [24, 46, 112, 117];
}

/// An error of the engine for one of the driver's.
pub(super) fn explain(error: &DriverError) -> Error {
    if let Some(own) = error.get_custom::<Error>() {
        return own.clone();
    }
    match &*error.kind {
        ErrorKind::Command(failed) => command(failed),
        ErrorKind::Authentication { message, .. } => authentication(message),
        ErrorKind::ServerSelection { message, .. } => no_server(message),
        ErrorKind::DnsResolve { message, .. } => host(format!("the host name cannot be resolved: {message}")),
        ErrorKind::Io(io) => host(format!("the connection to MongoDB broke: {io}")),
        ErrorKind::ConnectionPoolCleared { message, .. } => {
            host(format!("the connection to MongoDB broke: {message}"))
        }
        ErrorKind::InvalidArgument { message, .. } | ErrorKind::InvalidTlsConfig { message, .. } => {
            Error::new(Code::Uri, format!("the MongoDB URI cannot be used: {message}"))
        }
        other => Error::new(Code::Mongo, format!("MongoDB: {other}")),
    }
}

/// The server's code, where the error came from a command.
pub(super) fn code_of(error: &DriverError) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(failed) => Some(failed.code),
        _ => None,
    }
}

fn command(failed: &CommandError) -> Error {
    match failed.code {
        server_code::UNAUTHORIZED => unauthorized(&failed.message),
        server_code::AUTHENTICATION_FAILED => authentication(&failed.message),
        server_code::SNAPSHOT_TOO_OLD | server_code::SNAPSHOT_UNAVAILABLE => Error::new(
            Code::SnapshotTooOld,
            format!("the moment of the snapshot has left the server's history: {}", failed.message),
        ),
        code => Error::new(
            Code::Mongo,
            format!("MongoDB answered {} ({code}): {}", failed.code_name, failed.message),
        ),
    }
}

fn authentication(message: &str) -> Error {
    Error::new(Code::MongoAuth, format!("MongoDB refused the user or password: {message}")).help(
        "Check the user name, the password (percent-encoded) and the database the user was made in (`authSource=`, mostly admin).",
    )
}

fn host(message: String) -> Error {
    Error::new(Code::MongoHost, message)
        .help("Check the host name and port, that mongod is running, and that no firewall is in the way.")
}

/// The driver's message holds the whole topology; the first cause in it is what helps.
fn no_server(message: &str) -> Error {
    if message.contains("Authentication failed") {
        return authentication("authentication failed");
    }
    let cause = message.split("Topology: ").nth(1).unwrap_or(message);
    let cause = between(cause, "Error: Kind: ", ", labels:").unwrap_or(cause);
    let error =
        host(format!("no suitable MongoDB server answers: {}", cause.trim_end_matches([' ', '}', ']'])));
    if message.contains("Unknown") || message.contains("Error:") {
        return error;
    }
    error.help("A server answered, but none fits: check `replicaSet=`, `readPreference=` and `directConnection=` in the URI.")
}

/// "not authorized on shop to execute command { find: "orders", …": which privilege that is.
fn unauthorized(message: &str) -> Error {
    if message.contains("list all databases") {
        let what = "the MongoDB user may not see all databases: it lacks the privilege `listDatabases` on the cluster";
        return Error::new(Code::MongoPrivilege, what).help(ROLES);
    }
    let database = between(message, "not authorized on ", " to execute");
    let command = between(message, "command { ", ":");
    let (Some(database), Some(command)) = (database, command) else {
        return Error::new(Code::MongoPrivilege, format!("the MongoDB user lacks a privilege: {message}"))
            .help(ROLES);
    };
    let privilege = privilege_for(command);
    Error::new(
        Code::MongoPrivilege,
        format!("the MongoDB user may not run `{command}` on database `{database}`: it lacks the privilege `{privilege}`"),
    )
    .help(ROLES)
}

const ROLES: &str = "For a backup grant the built-in role `backup`, for a restore `restore`: \
                     db.getSiblingDB(\"admin\").grantRolesToUser(\"USER\", [{role: \"backup\", db: \"admin\"}]).";

/// The privilege action that a command needs, where its name differs (MongoDB manual, "Privilege Actions").
fn privilege_for(command: &str) -> &str {
    match command {
        "aggregate" | "count" | "dbHash" => "find",
        "getMore" => "find",
        "create" => "createCollection",
        "createIndexes" => "createIndex",
        "drop" => "dropCollection",
        "update" => "update",
        "delete" => "remove",
        "_mergeAuthzCollections" => "restore (role)",
        other => other,
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_missing_privilege() {
        let error =
            unauthorized("not authorized on shop to execute command { aggregate: \"orders\", pipeline: [] }");
        assert_eq!(error.code(), Code::MongoPrivilege);
        assert!(error.message().contains("`aggregate` on database `shop`"), "{error}");
        assert!(error.message().contains("privilege `find`"), "{error}");
        assert!(error.help_text().unwrap().to_string().contains("grantRolesToUser"));
    }
}
