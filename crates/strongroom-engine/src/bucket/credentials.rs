//! What went wrong before a request could be signed: no credentials, wrong ones, or a role that may not be taken on. The
//! SDK gives no more than its words.

use crate::error::{Code, Error};
use crate::help;
use crate::help::Setting;
use crate::role::AssumedRole;

/// How the SDK begins, when credentials were to be had and could not be loaded.
const LOADING: &str = "loading credentials: ";
/// How it names an answer that says no.
const REFUSED: &str = "service error: ";

/// The error, if credentials are what was missing.
pub(super) fn error(why: &str, role: Option<&AssumedRole>) -> Option<Error> {
    let text = why.to_ascii_lowercase();
    if text.contains("no credentials found in chain") || text.contains("no providers in chain") {
        return Some(Error::new(Code::Key, "no AWS credentials were found").help(
            "Looked in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile (AWS_PROFILE or default) in ~/.aws, \
             web identity, and the roles of containers and instances. Set one of them.",
        ));
    }
    match role {
        Some(role) if text.contains("credential") || text.contains("identity resolver") => {
            Some(of_role(role, why))
        }
        None if text.contains("credential") => Some(
            Error::new(Code::Key, format!("the AWS credentials cannot be loaded: {why}")).help(
                "Check the profile (AWS_PROFILE or default) in ~/.aws; for SSO, `aws sso login` gets a new session.",
            ),
        ),
        Some(_) | None => None,
    }
}

/// Whether another try changes nothing: a service was asked for credentials, and said no.
pub(super) fn are_refused(why: &str) -> bool {
    answer(why).is_some_and(|said| !is_busy(&said))
}

fn is_busy(said: &str) -> bool {
    let busy = ["Throttl", "RequestLimitExceeded", "InternalFailure", "InternalError", "ServiceUnavailable"];
    busy.iter().any(|code| said.starts_with(code))
}

fn of_role(role: &AssumedRole, why: &str) -> Error {
    let named = format!("the role `{}`", role.arn);
    let Some(said) = answer(why) else {
        let why = why.split_once(LOADING).map_or(why, |(_, why)| why);
        return Error::new(Code::StoreHost, format!("{named} cannot be assumed, STS gives no answer: {why}"))
            .help(
                "Check the network, the region (AWS_REGION) and the endpoint (AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_STS).",
            );
    };
    let cannot = format!("{named} cannot be assumed: {said}");
    if is_busy(&said) {
        return Error::new(Code::StoreBusy, cannot).help("Try again later.");
    }
    if !said.starts_with("AccessDenied") {
        return Error::new(Code::Key, cannot).help(help![
            "Check ",
            Setting::AssumedRole,
            ", and the credentials that assume it: the access key, or the profile (AWS_PROFILE or default) in ~/.aws."
        ]);
    }
    Error::new(Code::Denied, cannot).help(help![
        "Two policies must allow it: that of these credentials needs `sts:AssumeRole` on the role, and the role's trust policy \
         must name them. If the trust policy asks for an external ID, ",
        Setting::ExternalId,
        " must be the same."
    ])
}

/// What the service answered, in the SDK's words `service error: … (CODE): Error { code: "CODE", message: "…" }`.
fn answer(why: &str) -> Option<String> {
    let (_, answer) = why.split_once(LOADING)?;
    let (_, fields) = answer.strip_prefix(REFUSED)?.split_once("code: \"")?;
    let (code, rest) = fields.split_once('"')?;
    let message = rest.split_once("message: \"").and_then(|(_, message)| message.rsplit_once('"'));
    Some(message.map_or_else(|| code.to_owned(), |(message, _)| format!("{code}: {message}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: &str) -> String {
        format!(
            "dispatch failure: other: an error occurred while loading credentials: service error: unhandled error ({code}): \
             Error {{ code: \"{code}\", message: \"so it is\" }}"
        )
    }

    #[test]
    fn a_role_that_is_refused_is_told_from_a_service_that_is_away() {
        let away = "an error occurred while loading credentials: dispatch failure: io error: tcp connect error: refused";
        let slow = "identity resolver timed out after 5s";
        let role = AssumedRole { arn: "arn:aws:iam::1:role/b".into(), external_id: Some("acme-7".into()) };
        for (why, code, asked_again) in [
            (said("AccessDenied").as_str(), Code::Denied, false),
            (&said("InvalidClientTokenId"), Code::Key, false),
            (&said("ValidationError"), Code::Key, false),
            (&said("Throttling"), Code::StoreBusy, true),
            (away, Code::StoreHost, true),
            (slow, Code::StoreHost, true),
        ] {
            let error = error(why, Some(&role)).unwrap();
            assert_eq!((error.code(), !are_refused(why)), (code, asked_again), "{error:?}");
            assert!(error.message().contains(&role.arn) && error.help_text().is_some(), "{error:?}");
            assert!(!format!("{error:?}").contains("acme-7"), "{error:?}");
        }
        assert!(error("dispatch failure: io error: dns error", Some(&role)).is_none());
    }
}
