//! S3's errors in the words of the person who has to act.

use std::time::SystemTime;

use chrono::{DateTime, Utc};

use super::actions::{self, Level, Operation};
use super::credentials;
use super::failure::{Failure, NO_URL};
use super::retry::Again;
use crate::error::{Code, Error, Refused};
use crate::help;
use crate::help::{Command, Help, Setting};
use crate::role::AssumedRole;

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) operation: Operation,
    pub(super) bucket: &'a str,
    /// What keys of the location begin with.
    pub(super) prefix: &'a str,
    /// From the bucket's root; of a listing, what the keys begin with.
    pub(super) key: &'a str,
    /// The encryption header that went with a PUT.
    pub(super) sse: Option<&'a str>,
    /// The AWS profile whose credentials signed it; none: those of the environment.
    pub(super) profile: Option<&'a str>,
    /// The role that they took on.
    pub(super) role: Option<&'a AssumedRole>,
}

impl Failure {
    /// What failed, why, and what to do.
    pub(super) fn explain(&self, asked: &Asked<'_>) -> Error {
        if let Some((error, _)) = &self.settled {
            return error.clone();
        }
        let Some(status) = self.status else { return no_answer(&self.message, asked.role) };
        let said = self.said(status);
        if self.foreign {
            return not_s3(asked.operation, &said);
        }
        if let Some(to) = self.redirects_to() {
            return elsewhere(asked.operation, to);
        }
        self.not_found(status, asked, &said)
            .or_else(|| self.identity(&said))
            .unwrap_or_else(|| self.refused(status, asked, &said))
    }

    fn refused(&self, status: u16, asked: &Asked<'_>, said: &str) -> Error {
        let name = asked.operation.name;
        match (self.code.as_str(), status) {
            ("RequestTimeTooSkewed", _) => self.clock(now()),
            ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _) => {
                Error::new(Code::BucketRegion, format!("the bucket `{}` is in another region: {said}", asked.bucket))
                    .help("Set AWS_REGION to the bucket's region.")
            }
            ("InvalidObjectState", _) => archived(asked.key, said),
            (code, _) if code.starts_with("KMS") || code.starts_with("Kms") || self.names_a_key_that_is_off() => {
                Error::new(Code::Encryption, format!("the KMS key of `{}` cannot be used: {said}", asked.key)).help(
                    "Check that the key exists in the bucket's region, is enabled and not about to be deleted, and is a \
                     symmetric encryption key. While it is off nothing that it encrypted can be read.",
                )
            }
            ("AccessDenied" | "AllAccessDisabled", _) | (_, 403) => self.denied(asked, said),
            ("NotImplemented" | "MethodNotAllowed", _) | (_, 501) => not_offered(asked.operation, said),
            (_, 400) if asked.operation == actions::PUT && self.is_about_a_checksum() => {
                not_offered(asked.operation, said)
            }
            ("", 200..300) => not_s3(asked.operation, said),
            _ if self.again() == Some(Again::Damaged) => corrupted(asked, said),
            _ if self.again().is_some() => {
                let message = format!("the storage failed at every attempt of {name} of `{}`: {said}", asked.key);
                Error::new(Code::StoreBusy, message).help("Try again later.")
            }
            (_, 500..) => {
                let message = format!("the storage failed at {name} of `{}`: {said}", asked.key);
                Error::new(Code::StoreBusy, message).help("Try again later.")
            }
            ("", _) => not_s3(asked.operation, said),
            _ => Error::new(Code::Store, format!("the storage refused {name} of `{}`: {said}", asked.key)),
        }
    }

    fn not_found(&self, status: u16, asked: &Asked<'_>, said: &str) -> Option<Error> {
        let Asked { operation, bucket, key, .. } = *asked;
        let reads = matches!(operation, actions::GET | actions::GET_VERSION);
        let deletes = matches!(operation, actions::DELETE | actions::DELETE_VERSION);
        Some(match (self.code.as_str(), status) {
            ("NoSuchBucket", _) => Error::new(Code::BucketMissing, format!("there is no bucket `{bucket}`"))
                .help("Check the name, and that the endpoint (AWS_ENDPOINT_URL) is the right one."),
            ("NoSuchKey" | "NoSuchVersion" | "NotFound", _) | (_, 404) if reads || deletes => {
                Error::new(Code::ObjectMissing, format!("there is no object `{key}` in bucket `{bucket}`"))
            }
            // What a GET of a delete marker answers.
            (_, 405) if reads => {
                Error::new(Code::ObjectMissing, format!("the object `{key}` in bucket `{bucket}` is deleted"))
            }
            ("MethodNotAllowed", _) if operation.level == Level::Bucket => return None,
            (_, 404 | 405) => not_s3(operation, said),
            _ => return None,
        })
    }

    /// What is wrong with the key or the token, where that is it.
    fn identity(&self, said: &str) -> Option<Error> {
        let (what, help) = match self.code.as_str() {
            "InvalidAccessKeyId" => (
                "the server does not know this access key",
                "Check AWS_ACCESS_KEY_ID or the profile, and that the key was not deleted or deactivated.",
            ),
            "SignatureDoesNotMatch" => (
                "the secret access key does not belong to the access key",
                "Check AWS_SECRET_ACCESS_KEY or the profile for a missing or an extra character.",
            ),
            "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "InvalidToken" => (
                "the session token is expired or invalid",
                "Get new temporary credentials, or let a profile renew them (SSO, a role, credential_process).",
            ),
            _ => return None,
        };
        Some(key_error(what, said).help(help))
    }

    /// The difference comes from the answer's `Date`.
    fn clock(&self, now: DateTime<Utc>) -> Error {
        let server = self.date.as_deref().and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        let off = match server.map(|server| (now - server.to_utc()).num_seconds()) {
            Some(seconds @ 1..) => format!("{seconds} seconds ahead of the storage's"),
            Some(seconds @ ..0) => format!("{} seconds behind the storage's", seconds.unsigned_abs()),
            Some(0) | None => "more than 15 minutes off the storage's".to_owned(),
        };
        Error::new(Code::Clock, format!("this machine's clock is {off}")).help(
            "S3 takes no request that is more than 15 minutes off. Set the clock (`timedatectl set-ntp true`), then try again.",
        )
    }

    fn denied(&self, asked: &Asked<'_>, said: &str) -> Error {
        if let Some((action, resource)) = kms_permission(&self.message) {
            return kms_denied(action, resource, said);
        }
        let action = asked.operation.action;
        let resource = asked.operation.resource(asked.bucket, asked.key);
        let error = Error::new(Code::Denied, format!("`{action}` on `{resource}` is not allowed: {said}"));
        if self.message.to_ascii_lowercase().contains("object lock") {
            return error.help(
                "Object Lock keeps this version until its retention ends or its legal hold is lifted; delete it then. No permission is missing.",
            );
        }
        let context = asked.context();
        let (profile, role) = (asked.profile.map(str::to_owned), asked.role.cloned());
        error.help(asked.help(said)).refused(Refused {
            action: action.into(),
            resource,
            context,
            said: said.into(),
            profile,
            role,
        })
    }
}

impl Asked<'_> {
    /// What to do about a refusal.
    fn help(&self, said: &str) -> Help {
        match kind_of_refusal(said) {
            Some(kind) if kind.starts_with("A Deny") => {
                let help = Help::from(format!("{kind}. "));
                self.about_encryption(help)
                    .and(Command::Explain)
                    .and(" finds the statement, from the policies.")
            }
            kind => {
                let why = kind.map(|kind| format!("{kind}. ")).unwrap_or_default();
                let statement = self.operation.statement(self.bucket, self.prefix);
                let help = Help::from(format!(
                    "{why}This statement in the identity's policy allows it: {statement}"
                ));
                match self.operation == actions::PUT {
                    true => self.about_encryption(help.and(" If that is there, a Deny forbids it. ")),
                    false => help,
                }
            }
        }
    }

    /// What policies mostly ask of a PUT that they refuse.
    fn about_encryption(&self, help: Help) -> Help {
        if self.operation != actions::PUT {
            return help;
        }
        help.and("Policies that demand encryption need ")
            .and(Setting::Sse.to("AES256"))
            .and(" or ")
            .and(Setting::Sse.to("aws:kms"))
            .and(format!(" (sent was: {}). ", self.sse.unwrap_or("none")))
    }

    /// The condition keys that it carried.
    fn context(&self) -> Vec<(String, String)> {
        let mut context: Vec<(String, String)> = Vec::new();
        if self.operation == actions::PUT {
            context.extend([("s3:if-none-match", "*"), ("s3:ObjectCreationOperation", "true")].map(owned));
            context.extend(self.sse.map(|sse| owned(("s3:x-amz-server-side-encryption", sse))));
        }
        if self.operation == actions::LIST {
            context.extend([("s3:prefix", self.key), ("s3:delimiter", "/")].map(owned));
        }
        context
    }
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.into(), value.into())
}

/// Since 2024 Amazon S3 says which kind of policy refuses a request of the same account.
fn kind_of_refusal(said: &str) -> Option<&'static str> {
    [
        ("explicit deny in a resource-based policy", "A Deny in the bucket's policy forbids it"),
        ("explicit deny in an identity-based policy", "A Deny in the identity's own policies forbids it"),
        ("explicit deny in a service control policy", "A Deny in the organization's policy forbids it"),
        (
            "explicit deny in a resource control policy",
            "A Deny in the organization's policy on resources forbids it",
        ),
        ("explicit deny in a permissions boundary", "A Deny in the permissions boundary forbids it"),
        ("explicit deny in a session policy", "A Deny in the session's policy forbids it"),
        ("explicit deny in a VPC endpoint policy", "A Deny in the VPC endpoint's policy forbids it"),
        ("no identity-based policy allows", "Nothing allows it"),
        ("no resource-based policy allows", "The bucket's policy does not allow it to another account"),
        ("no permissions boundary allows", "The permissions boundary does not allow it"),
        ("no session policy allows", "The session's policy does not allow it"),
        ("no VPC endpoint policy allows", "The VPC endpoint's policy does not allow it"),
    ]
    .into_iter()
    .find(|(words, _)| said.contains(words))
    .map(|(_, kind)| kind)
}

#[expect(clippy::disallowed_methods, reason = "how far this clock is off can only be read from it")]
fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

/// A request that nobody answered, or that was never sent.
fn no_answer(why: &str, role: Option<&AssumedRole>) -> Error {
    let any = |parts: &[&str]| parts.iter().any(|part| why.to_ascii_lowercase().contains(part));
    if why == NO_URL {
        return Error::new(Code::Usage, format!("the storage cannot be reached: {NO_URL} of a server")).help(
            "Write AWS_ENDPOINT_URL (or `endpoint_url` of the profile) as https://host:port, and nothing behind it but a path. \
             Keys and passwords are no part of it.",
        );
    }
    if let Some(error) = credentials::error(why, role) {
        return error;
    }
    if any(&["connect timeout"]) {
        return Error::new(
            Code::StoreStalled,
            format!("no connection to the storage was made in time: {why}"),
        )
        .help(help![
            "Check the network, and that no firewall is in the way. ",
            Setting::Wait,
            " sets the limit."
        ]);
    }
    let (what, help) = if any(&["dns error", "lookup address"]) {
        (
            "its name is not known",
            "Check the endpoint (AWS_ENDPOINT_URL), the region (AWS_REGION) and the network's name server.",
        )
    } else if any(&["connection refused"]) {
        (
            "nothing listens there",
            "Check the endpoint (AWS_ENDPOINT_URL) and its port, and that the server runs.",
        )
    } else if any(&["certificate", "tls", "handshake", "corrupt message"]) {
        (
            "no trusted TLS connection could be made",
            "Check whether the endpoint (AWS_ENDPOINT_URL) speaks https or http, and that this machine trusts its certificate (AWS_CA_BUNDLE, SSL_CERT_FILE).",
        )
    } else if any(&["timed out", "timeout", "throughput"]) {
        ("no answer came in time", "Check the network, and that no firewall is in the way.")
    } else {
        (
            "the connection failed",
            "Check the network and the endpoint (AWS_ENDPOINT_URL), its port, and whether it speaks https or http.",
        )
    };
    // A name server that does not answer may do so later; one that knows of no such name will not.
    let lasting = any(&["name or service not known", "certificate", "corrupt message"]);
    let code = if lasting { Code::StoreAddress } else { Code::StoreHost };
    Error::new(code, format!("the storage cannot be reached, {what}: {why}")).help(help)
}

fn not_s3(operation: Operation, said: &str) -> Error {
    let name = operation.name;
    Error::new(Code::StoreHost, format!("what answered {name} does not answer as S3 does: {said}")).help(
        "No S3 server answered. Check the endpoint (AWS_ENDPOINT_URL): its host, its port, and that no proxy, firewall or \
         portal answers in its place.",
    )
}

/// What arrived was other bytes than those that were sent, each time.
fn corrupted(asked: &Asked<'_>, said: &str) -> Error {
    let (name, key) = (asked.operation.name, asked.key);
    Error::new(Code::StoreBusy, format!("the bytes of {name} of `{key}` did not arrive as they were sent: {said}"))
        .help(help![
            "Check what is between this machine and the storage: a proxy may change bytes. Some servers refuse the checksum itself \
             in these words: ",
            Setting::Checksum.to("md5"),
            " sends another."
        ])
}

/// A redirection that is not followed.
fn elsewhere(operation: Operation, to: &str) -> Error {
    let to = to.split(['?', '#']).next().unwrap_or_default();
    let message =
        format!("{} was sent on to `{to}`, which is another service than the one asked", operation.name);
    Error::new(Code::StoreHost, message)
        .help("Nothing was sent there. Set AWS_REGION to the bucket's region, or AWS_ENDPOINT_URL to the server that has it.")
}

fn not_offered(operation: Operation, said: &str) -> Error {
    let message = format!("the server does not implement what {} asks for: {said}", operation.name);
    Error::new(Code::NotOffered, message).help(help![
        "Strongroom needs S3's PutObject, GetObject, ListObjectsV2 and DeleteObject, and the encryption that ",
        Setting::Sse,
        " asks for. For a server that takes no SHA-256 checksums set ",
        Setting::Checksum.to("md5"),
        "."
    ])
}

/// An object that S3 moved to an archive (Amazon S3 User Guide, "Restoring an archived object").
fn archived(key: &str, said: &str) -> Error {
    Error::new(Code::Store, format!("`{key}` is archived (Glacier) and cannot be read as it is: {said}")).help(
        "Restore the object first, which takes minutes to days: `aws s3api restore-object`, or Initiate restore in the console; \
         the other objects of this backup probably too. Then look at the bucket's lifecycle rules, which archived it.",
    )
}

fn key_error(what: &str, said: &str) -> Error {
    Error::new(Code::Key, format!("{what}: {said}"))
}

/// S3 says which permission on which key was missing when KMS refused it.
fn kms_permission(message: &str) -> Option<(&str, &str)> {
    let action = message.split_once("perform: ")?.1.split_whitespace().next()?;
    let resource = message.split_once("on resource: ")?.1.split_whitespace().next()?;
    action.starts_with("kms:").then_some((action, resource.trim_matches(['"', '.', ','])))
}

fn kms_denied(action: &str, resource: &str, said: &str) -> Error {
    Error::new(Code::Denied, format!("`{action}` on `{resource}` is not allowed: {said}")).help(format!(
        "This statement in the identity's policy allows it, where the key's policy lets the account decide: {}",
        actions::statement(action, resource)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, code: &str, message: &str) -> Failure {
        Failure { status: Some(status), code: code.into(), message: message.into(), ..Failure::default() }
    }

    fn explained(operation: Operation, failure: &Failure) -> Error {
        let (bucket, prefix, key) = ("backups", "shop", "shop/a");
        failure.explain(&Asked {
            operation,
            bucket,
            prefix,
            key,
            sse: None,
            profile: Some("admin"),
            role: None,
        })
    }

    #[test]
    fn answers_that_no_server_here_gives_are_told_apart() {
        for (operation, status, code, wanted) in [
            (actions::PUT, 400, "ExpiredToken", Code::Key),
            (actions::PUT, 400, "KMS.DisabledException", Code::Encryption),
            (actions::PUT, 503, "SlowDown", Code::StoreBusy),
            (actions::PUT, 500, "", Code::StoreBusy),
            (actions::PUT, 501, "NotImplemented", Code::NotOffered),
            (actions::PUT, 301, "PermanentRedirect", Code::BucketRegion),
            (actions::PUT, 404, "", Code::StoreHost),
            (actions::LIST, 404, "", Code::StoreHost),
            (actions::LIST, 200, "", Code::StoreHost),
            (actions::LIST, 404, "NoSuchBucket", Code::BucketMissing),
            (actions::LIST, 403, "", Code::Denied),
            (actions::GET_VERSION, 405, "MethodNotAllowed", Code::ObjectMissing),
            (actions::GET, 404, "", Code::ObjectMissing),
            (actions::PUT, 405, "MethodNotAllowed", Code::StoreHost),
        ] {
            let error = explained(operation, &answered(status, code, ""));
            assert_eq!(error.code(), wanted, "{} {status} {code}: {error}", operation.name);
        }
    }

    #[test]
    fn a_key_that_may_not_be_used_is_told_from_an_object_that_may_not_be_written() {
        let message = "User: arn:aws:iam::1:user/b is not authorized to perform: kms:GenerateDataKey on resource: \
                       arn:aws:kms:eu-west-1:1:key/k because no identity-based policy allows it";
        let error = explained(actions::PUT, &answered(403, "AccessDenied", message));
        assert_eq!(error.code(), Code::Denied);
        assert!(error.message().starts_with("`kms:GenerateDataKey` on `arn:aws:kms:eu-west-1:1:key/k`"));
        assert!(error.help_text().unwrap().to_string().contains(r#""Action": "kms:GenerateDataKey""#));
    }

    #[test]
    fn a_refusal_says_whose_credentials_were_refused() {
        let error = explained(actions::PUT, &answered(403, "AccessDenied", ""));
        assert_eq!(error.refusal().unwrap().profile.as_deref(), Some("admin"));
    }

    #[test]
    fn a_locked_version_asks_for_patience_and_not_for_a_permission() {
        let failure = answered(403, "AccessDenied", "Access Denied because object protected by object lock.");
        let error = explained(actions::DELETE_VERSION, &failure);
        assert!(error.help_text().unwrap().to_string().contains("retention ends"));
        assert!(!error.help_text().unwrap().to_string().contains("statement"));
    }

    #[test]
    fn how_far_the_clock_is_off_is_said_in_seconds() {
        let now = DateTime::from_timestamp(1_000_000_000, 0).unwrap();
        for (date, wanted) in [
            (Some("Sun, 09 Sep 2001 02:46:40 GMT"), "3600 seconds behind"),
            (Some("Sun, 09 Sep 2001 01:29:40 GMT"), "1020 seconds ahead of"),
            (Some("yesterday"), "more than 15 minutes off"),
            (None, "more than 15 minutes off"),
        ] {
            let mut failure = answered(403, "RequestTimeTooSkewed", "");
            failure.date = date.map(str::to_owned);
            let error = failure.clock(now);
            assert!(error.message().contains(wanted), "{error}");
        }
    }

    #[test]
    fn silence_has_its_reasons() {
        for (why, code, told) in [
            ("dispatch failure: io error: dns error: failed to lookup address", Code::StoreHost, "not known"),
            (
                "dispatch failure: tcp connect error: Connection refused (os error 111)",
                Code::StoreHost,
                "listens",
            ),
            (
                "dns error: failed to lookup address information: Name or service not known",
                Code::StoreAddress,
                "not known",
            ),
            ("dispatch failure: invalid peer certificate: UnknownIssuer", Code::StoreAddress, "TLS"),
            ("request has timed out", Code::StoreHost, "in time"),
            (
                "dispatch failure: other: the credential provider was not enabled: no credentials found in chain. Attempted:",
                Code::Key,
                "were found",
            ),
            (
                "an error occurred while loading credentials: the SSO session has expired",
                Code::Key,
                "be loaded",
            ),
        ] {
            let error = no_answer(why, None);
            assert_eq!(error.code(), code, "{why}");
            assert!(error.message().contains(told), "{error}");
        }
    }
}
