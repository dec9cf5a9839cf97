//! S3's errors in the words of the person who has to act.

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::actions::{self, Operation};
use crate::error::{Code, Error};

/// What an operation of the SDK can fail with.
pub(super) trait SdkFailure: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static {}

impl<E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static> SdkFailure for E {}

/// The parts of a failed request that matter.
#[derive(Debug)]
pub(super) struct Failure {
    /// Of the answer, if one came.
    status: Option<u16>,
    code: String,
    message: String,
    bucket_region: Option<String>,
    date: Option<String>,
}

impl Failure {
    pub(super) fn of<E: SdkFailure>(error: &SdkError<E>) -> Self {
        let answer = error.raw_response();
        let header = |name| answer.and_then(|a| a.headers().get(name)).map(str::to_owned);
        let code = error.code().unwrap_or_default().to_owned();
        let message = match error.message() {
            Some(message) => message.to_owned(),
            None if answer.is_some() => String::new(),
            None => DisplayErrorContext(error).to_string(),
        };
        Self {
            status: answer.map(|a| a.status().as_u16()),
            code,
            message,
            bucket_region: header("x-amz-bucket-region"),
            date: header("date"),
        }
    }

    pub(super) fn bucket_region(&self) -> Option<&str> {
        self.bucket_region.as_deref()
    }

    pub(super) fn is_precondition_failed(&self) -> bool {
        self.status == Some(412)
    }

    pub(super) fn is_not_implemented(&self) -> bool {
        self.status == Some(501)
    }

    /// `sse` is the encryption header that went with a PUT.
    pub(super) fn explain(
        &self,
        operation: Operation,
        bucket: &str,
        prefix: &str,
        key: &str,
        sse: Option<&str>,
    ) -> Error {
        let Some(status) = self.status else { return self.no_answer() };
        let said = self.said(status);
        match (self.code.as_str(), status) {
            ("NoSuchBucket", _) => Error::new(Code::BucketMissing, format!("there is no bucket `{bucket}`"))
                .help("Check the name, and that the endpoint (AWS_ENDPOINT_URL) is the right one."),
            ("NoSuchKey" | "NoSuchVersion" | "NotFound", _) | (_, 404 | 405) => {
                Error::new(Code::ObjectMissing, format!("there is no object `{key}` in bucket `{bucket}`"))
            }
            ("InvalidAccessKeyId", _) => key_error("the server does not know this access key", &said)
                .help("Check AWS_ACCESS_KEY_ID or the profile, and that the key was not deleted or deactivated."),
            ("SignatureDoesNotMatch", _) => key_error("the secret access key does not belong to the access key", &said)
                .help("Check AWS_SECRET_ACCESS_KEY or the profile for a missing or an extra character."),
            ("ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "InvalidToken", _) => {
                key_error("the session token is expired or invalid", &said)
                    .help("Get new temporary credentials, or let a profile renew them (SSO, a role, credential_process).")
            }
            ("RequestTimeTooSkewed", _) => self.clock(),
            ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException", _) => {
                Error::new(Code::BucketRegion, format!("the bucket `{bucket}` lies in another region: {said}"))
                    .help("Set AWS_REGION to the bucket's region.")
            }
            ("AccessDenied" | "AllAccessDisabled", _) | (_, 403) => {
                denied(operation, bucket, prefix, key, sse, &said)
            }
            (code, _) if code.starts_with("KMS.") => {
                Error::new(Code::Encryption, format!("the KMS key cannot be used: {said}"))
                    .help("The identity needs kms:GenerateDataKey and kms:Decrypt on the key, in the key's policy or its own.")
            }
            ("SlowDown" | "ServiceUnavailable" | "InternalError", _) | (_, 500..) => Error::new(
                Code::Store,
                format!("the storage kept failing through every repetition of {}: {said}", operation.name),
            )
            .help("Try again later; nothing was lost."),
            _ => Error::new(Code::Store, format!("the storage refused {} of `{key}`: {said}", operation.name)),
        }
    }

    fn said(&self, status: u16) -> String {
        match (self.code.is_empty(), self.message.is_empty()) {
            (false, false) => format!("{}: {}", self.code, self.message),
            (false, true) => self.code.clone(),
            (true, _) => format!("HTTP status {status}"),
        }
    }

    fn clock(&self) -> Error {
        let server = self.date.as_deref().unwrap_or("unknown");
        Error::new(
            Code::Clock,
            format!("this machine's clock is more than 15 minutes off the storage's, which says {server}"),
        )
        .help("Set the clock (`timedatectl set-ntp true`), then try again.")
    }

    fn no_answer(&self) -> Error {
        let message = &self.message;
        if message.contains("credentials") {
            return Error::new(Code::Key, "no AWS credentials were found").help(
                "Looked in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile (AWS_PROFILE or default) in ~/.aws, \
                 web identity, and the roles of containers and instances. Set one of them.",
            );
        }
        Error::new(Code::StoreHost, format!("the storage cannot be reached: {message}")).help(
            "Check the network and the endpoint (AWS_ENDPOINT_URL), its port, and whether it speaks https or http.",
        )
    }
}

fn key_error(what: &str, said: &str) -> Error {
    Error::new(Code::Key, format!("{what}: {said}"))
}

fn denied(
    operation: Operation,
    bucket: &str,
    prefix: &str,
    key: &str,
    sse: Option<&str>,
    said: &str,
) -> Error {
    let resource = operation.resource(bucket, key);
    let statement = operation.statement(bucket, prefix);
    let mut help = format!("This statement in the identity's policy allows it: {statement}");
    if operation == actions::PUT {
        let sent = sse.unwrap_or("none");
        help = format!(
            "{help}. If that is there, a Deny forbids it: policies that demand encryption need --sse AES256 or \
             --sse aws:kms (sent was: {sent})."
        );
    }
    Error::new(Code::Denied, format!("`{}` on `{resource}` is not allowed: {said}", operation.action))
        .help(help)
}
