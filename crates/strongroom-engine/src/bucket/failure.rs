//! What failed of a request to S3, and what kind of failure it is.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::credentials;
use super::meter::Meter;
use super::retry::Again;
use crate::error::Error;

/// What an operation of the SDK can fail with.
pub(super) trait SdkFailure: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static {}

impl<E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static> SdkFailure for E {}

/// The parts of a failed request that matter.
#[derive(Debug, Default)]
pub(super) struct Failure {
    /// Of the answer, if one came.
    pub(super) status: Option<u16>,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) bucket_region: Option<String>,
    pub(super) date: Option<String>,
    /// Where the answer sends the request on to.
    pub(super) location: Option<String>,
    /// The answer is not S3's: a page of a proxy, for example.
    pub(super) foreign: bool,
    /// Without an answer: whether another try may get one.
    pub(super) transient: bool,
    /// What failed after the answer, or before the request; it needs no words of S3.
    pub(super) settled: Option<(Error, Option<Again>)>,
    /// An earlier try of the same request may have taken effect: its answer never came.
    pub(super) lost: bool,
}

/// The message where the endpoint is not one that a request can be sent to.
pub(super) const NO_URL: &str = "the endpoint is not a URL";

impl Failure {
    pub(super) fn of<E: SdkFailure>(error: &SdkError<E>) -> Self {
        let answer = error.raw_response();
        let header = |name| answer.and_then(|a| a.headers().get(name)).map(str::to_owned);
        let code = error.code().unwrap_or_default().to_owned();
        let message = match error.message() {
            Some(message) => message.to_owned(),
            None if answer.is_some() => String::new(),
            None => causes(error),
        };
        let body = answer.and_then(|answer| answer.body().bytes()).unwrap_or_default();
        let html = header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
        let text = body.trim_ascii_start();
        let transient = is_transient(error) && !credentials::are_refused(&message);
        Self {
            status: answer.map(|a| a.status().as_u16()),
            foreign: code.is_empty() && (html || !(text.is_empty() || is_xml(text))),
            code,
            message,
            bucket_region: header("x-amz-bucket-region"),
            date: header("date"),
            location: header("location"),
            transient,
            settled: None,
            lost: false,
        }
    }

    /// An answer that says yes and is not S3's, with what it lacks.
    pub(super) fn foreign(status: u16, lacks: &str) -> Self {
        Self { status: Some(status), message: lacks.into(), foreign: true, ..Self::default() }
    }

    /// A body that broke off, or one that is not what it should be.
    pub(super) fn broken(error: Error) -> Self {
        Self { settled: Some((error, Some(Again::Broken))), ..Self::default() }
    }

    /// Something that was waited for too long.
    pub(super) fn stalled(error: Error) -> Self {
        Self { settled: Some((error, Some(Again::Stalled))), ..Self::default() }
    }

    /// Why another try may do better; none where it would not.
    pub(super) fn again(&self) -> Option<Again> {
        if let Some((_, again)) = &self.settled {
            return *again;
        }
        let Some(status) = self.status else { return self.transient.then_some(Again::Broken) };
        match (self.code.as_str(), status) {
            (
                "BadDigest" | "XAmzContentSHA256Mismatch" | "XAmzContentChecksumMismatch" | "IncompleteBody",
                _,
            ) => Some(Again::Damaged),
            (
                "SlowDown" | "RequestTimeout" | "InternalError" | "ServiceUnavailable" | "OperationAborted",
                _,
            ) => Some(Again::Busy),
            (code, _) if code.contains("Throttl") || code.contains("TooManyRequests") => Some(Again::Busy),
            (_, 409 | 429 | 500 | 502 | 503 | 504) => Some(Again::Busy),
            // It says yes, and breaks off or cannot be read.
            ("", 200..300) if !self.foreign => Some(Again::Damaged),
            _ => None,
        }
    }

    /// Whether the server may have done what it was asked for, although no answer says so.
    pub(super) fn may_have_taken_effect(&self, meter: &Meter) -> bool {
        match self.status {
            None => meter.may_have_arrived(),
            Some(503) => self.code.is_empty(),
            Some(status) => matches!(status, 200..300 | 500..),
        }
    }

    /// The same, after tries of which one may have taken effect, or none.
    pub(super) fn after(self, lost: bool) -> Self {
        Self { lost, ..self }
    }

    /// Whether an earlier try of the same request may have taken effect.
    pub(super) fn follows_a_lost_answer(&self) -> bool {
        self.lost
    }

    /// Where a temporary redirection leads (Amazon S3 User Guide, "Request redirection and the REST API").
    pub(super) fn redirects_to(&self) -> Option<&str> {
        self.location.as_deref().filter(|_| self.status == Some(307))
    }

    /// What went wrong, in a few words.
    pub(super) fn why(&self) -> String {
        match (&self.settled, self.status) {
            (Some((error, _)), _) => error.message().to_owned(),
            (None, Some(status)) => self.said(status),
            (None, None) => self.message.clone(),
        }
    }

    pub(super) fn bucket_region(&self) -> Option<&str> {
        self.bucket_region.as_deref()
    }

    /// The error's name in the answer; empty where there is none.
    pub(super) fn code(&self) -> &str {
        &self.code
    }

    /// What the server said.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// The HTTP status, where an answer came.
    pub(super) fn status(&self) -> Option<u16> {
        self.status
    }

    pub(super) fn is_precondition_failed(&self) -> bool {
        self.status == Some(412)
    }

    pub(super) fn is_out_of_range(&self) -> bool {
        self.status == Some(416)
    }

    pub(super) fn is_not_implemented(&self) -> bool {
        self.status == Some(501)
    }

    /// Some servers refuse a key that is off in words only.
    pub(super) fn names_a_key_that_is_off(&self) -> bool {
        let said = self.message.to_ascii_lowercase();
        let off = ["is disabled", "pending deletion", "pending import", "does not exist", "is unavailable"];
        let key = said.contains("kms") || said.contains("key/") || said.contains("master key");
        key && off.iter().any(|words| said.contains(words))
    }

    /// Whether it is the checksum that the server does not take.
    pub(super) fn is_about_a_checksum(&self) -> bool {
        let said = format!("{} {}", self.code, self.message).to_ascii_lowercase();
        self.again().is_none()
            && ["checksum", "content-sha256", "digest"].iter().any(|word| said.contains(word))
    }

    /// What the answer says, in words.
    pub(super) fn said(&self, status: u16) -> String {
        if self.foreign {
            let what = if self.message.is_empty() { "something that is not S3's" } else { &self.message };
            return format!("{what}, HTTP status {status}");
        }
        match (self.code.is_empty(), self.message.is_empty()) {
            (false, false) => format!("{}: {}", self.code, self.message),
            (false, true) => self.code.clone(),
            (true, _) => format!("HTTP status {status}"),
        }
    }
}

impl From<Error> for Failure {
    /// An error that no other try changes.
    fn from(error: Error) -> Self {
        Self { settled: Some((error, None)), ..Self::default() }
    }
}

/// Whether no answer came, for a reason that may pass.
fn is_transient<E>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::DispatchFailure(failure) => {
            failure.is_io() || failure.is_timeout() || failure.as_other().is_some()
        }
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        _ => false,
    }
}

fn is_xml(text: &[u8]) -> bool {
    let start = text[..text.len().min(64)].to_ascii_lowercase();
    text.starts_with(b"<") && !start.starts_with(b"<html") && !start.starts_with(b"<!doctype html")
}

/// What went wrong and what was behind it, without the types' inner parts.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    // The SDK quotes an endpoint that is no URL, and somebody may have put a password or a signature there.
    if text.contains("was not a valid URI") {
        return NO_URL.to_owned();
    }
    // Some causes are lists over several lines.
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
