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

/// The label of what a server of 8.3 or later refuses because it has too much to do.
pub(super) const OVERLOADED: &str = "SystemOverloadedError";

/// An error of the engine for one of the driver's.
pub(super) fn explain(error: &DriverError) -> Error {
    if let Some(own) = error.get_custom::<Error>() {
        return own.clone();
    }
    if error.contains_label(OVERLOADED) {
        return busy(format!("MongoDB is overloaded: {}", error.kind));
    }
    match &*error.kind {
        ErrorKind::Command(failed) => command(failed),
        ErrorKind::Authentication { message, .. } => authentication(message),
        ErrorKind::ServerSelection { message, .. } => no_server(message),
        ErrorKind::DnsResolve { message, .. } => {
            unreachable(&format!("the host name cannot be resolved: {message}"), "the name in the URI")
        }
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
        code if server_code::LOST.contains(&code) || server_code::BUSY.contains(&code) => {
            busy(format!("MongoDB answered {} ({code}): {}", failed.code_name, failed.message))
        }
        code => Error::new(
            Code::Mongo,
            format!("MongoDB answered {} ({code}): {}", failed.code_name, failed.message),
        ),
    }
}

fn busy(message: String) -> Error {
    Error::new(Code::MongoBusy, message).help("Try again when the deployment has settled.")
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

/// The driver's message holds the whole topology; the first cause in it, and the server that it is about, are what
/// helps.
fn no_server(message: &str) -> Error {
    if message.contains("Authentication failed") {
        return authentication("authentication failed");
    }
    let topology = message.split("Topology: ").nth(1).unwrap_or(message);
    let failed = topology.split("Address: ").skip(1).find(|server| server.contains("Error: Kind: "));
    let server = failed.and_then(|server| server.split(", Type:").next()).unwrap_or("the server");
    let cause = between(failed.unwrap_or(topology), "Error: Kind: ", ", labels:").unwrap_or(topology);
    let cause = cause.trim_end_matches([' ', '}', ']']);
    let what = match failed {
        Some(_) => format!("no suitable MongoDB server answers: {server}: {cause}"),
        None => format!("no suitable MongoDB server answers: {cause}"),
    };
    if failed.is_some() || message.contains("Unknown") {
        return unreachable(&what, server);
    }
    host(what).help("A server answered, but none fits: check `replicaSet=`, `readPreference=` and `directConnection=` in the URI.")
}

/// Why a server cannot be reached, by the system's and the TLS library's words, with what to do about it. A name server
/// that does not answer may do so later; one that knows of no such name will not.
fn unreachable(message: &str, server: &str) -> Error {
    let any = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let address = |help: String| Error::new(Code::MongoAddress, message).help(help);
    if any(&["Name or service not known", "no record"]) {
        return address(format!(
            "Check the name {server}. The members of a replica set are reached by the names in its configuration \
             (rs.conf()), whatever the URI says: make them known here, or add `directConnection=true` to the URI to use \
             only the server that it names."
        ));
    }
    if any(&["CaUsedAsEndEntity"]) {
        return address(format!(
            "The certificate of {server} is that of an authority (CA:TRUE), which no server may use for itself: make one \
             for the server, signed by it, or add `tlsAllowInvalidCertificates=true` to the URI in a network that you trust."
        ));
    }
    if any(&["NotValidForName", "not valid for name"]) {
        return address(format!(
            "The certificate of {server} is for another name: use a name in the URI that stands in the certificate."
        ));
    }
    if any(&["UnknownIssuer", "invalid peer certificate"]) {
        return address(format!(
            "The certificate of {server} is not trusted here: name the authority's certificate with `tlsCAFile=` in the URI."
        ));
    }
    if any(&["received fatal alert", "CertificateRequired", "InvalidContentType", "corrupt message"]) {
        return address(format!(
            "TLS with {server} was refused: check whether it wants a client certificate (`tlsCertificateKeyFile=`), and \
             whether it speaks TLS at all (`tls=`)."
        ));
    }
    if any(&["end of file", "eof", "Connection reset", "connection reset"]) {
        return host(message.to_owned()).help(format!(
            "{server} closed the connection: if it requires TLS, add `tls=true` to the URI. Otherwise check that it runs, \
             and that no firewall or proxy is in the way."
        ));
    }
    host(message.to_owned())
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
    use mongodb::bson::{deserialize_from_document, doc};

    use super::*;
    use crate::error::Class;

    fn selection(servers: &str) -> Error {
        no_server(&format!(
            "Server selection timeout: No available servers. Topology: {{ Type: ReplicaSetNoPrimary, Servers: [ {servers} ] }}"
        ))
    }

    #[test]
    fn a_server_that_is_not_reached_is_named_with_the_cause_and_what_to_do() {
        for (cause, code, help) in [
            (
                "I/O error: failed to lookup address information: Name or service not known",
                Code::MongoAddress,
                "directConnection=true",
            ),
            (
                "I/O error: failed to lookup address information: Temporary failure in name resolution",
                Code::MongoHost,
                "Check the host",
            ),
            (
                "I/O error: invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                Code::MongoAddress,
                "CA:TRUE",
            ),
            ("I/O error: invalid peer certificate: UnknownIssuer", Code::MongoAddress, "tlsCAFile="),
            (
                "I/O error: invalid peer certificate: certificate not valid for name \"b\"",
                Code::MongoAddress,
                "another name",
            ),
            (
                "I/O error: received fatal alert: CertificateRequired",
                Code::MongoAddress,
                "tlsCertificateKeyFile=",
            ),
            ("I/O error: unexpected end of file", Code::MongoHost, "tls=true"),
            ("I/O error: Connection refused (os error 111)", Code::MongoHost, "Check the host"),
        ] {
            let error = selection(&format!(
                "{{ Address: a:1, Type: RsSecondary }}, {{ Address: mongo1:27017, Type: Unknown, Error: Kind: {cause}, labels: {{}} }}"
            ));
            assert_eq!(error.code(), code, "{error:?}");
            assert!(error.message().ends_with(&format!("mongo1:27017: {cause}")), "{error:?}");
            assert!(error.help_text().unwrap().to_string().contains(help), "{error:?}");
        }
        assert!(
            selection("{ Address: a:1, Type: RsSecondary }")
                .help_text()
                .unwrap()
                .to_string()
                .contains("none fits")
        );
    }

    #[test]
    fn what_passes_is_told_apart_from_what_stays() {
        for (code, expected) in
            [(189, Class::Passing), (10107, Class::Passing), (112, Class::Passing), (2, Class::Lasting)]
        {
            let failed: CommandError =
                deserialize_from_document(doc! { "code": code, "codeName": "Some", "errmsg": "no" }).unwrap();
            assert_eq!(command(&failed).code().class(), expected, "{code}");
        }
    }

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
