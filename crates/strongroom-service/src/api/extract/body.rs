//! JSON bodies.

use aws_lc_rs::digest;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{IdempotencyKey, NUL_MESSAGE};
use crate::api::ApiError;
use crate::control::{Error, Once, Result, ServiceCode};

/// The largest body of a request, in bytes.
pub(crate) const MAX_BODY: usize = 256 * 1024;

/// A body of JSON.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = json_bytes(request, state).await?;
        Ok(Self(parse(&bytes)?))
    }
}

/// The body of a request that makes something, which may carry an idempotency key.
#[derive(Debug)]
pub(crate) struct New<T> {
    /// What is to be made.
    pub(crate) body: T,
    /// Makes a repeated request give the first answer.
    pub(crate) once: Option<Once>,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for New<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let key = Option::<IdempotencyKey>::from_request_parts(&mut parts, state).await?;
        let target = format!("{} {}\n", parts.method, parts.uri.path());
        let bytes = json_bytes(Request::from_parts(parts, body), state).await?;
        let once = key.map(|IdempotencyKey(key)| Once { key, request: fingerprint(&target, &bytes) });
        Ok(Self { body: parse(&bytes)?, once })
    }
}

/// A request without a body that makes something, and may carry an idempotency key.
#[derive(Debug)]
pub(crate) struct NewWithout(pub(crate) Option<Once>);

impl<S: Send + Sync> FromRequestParts<S> for NewWithout {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let key = Option::<IdempotencyKey>::from_request_parts(parts, state).await?;
        let target = format!("{} {}\n", parts.method, parts.uri.path());
        Ok(Self(key.map(|IdempotencyKey(key)| Once { key, request: fingerprint(&target, &[]) })))
    }
}

fn fingerprint(target: &str, body: &[u8]) -> String {
    let mut sum = digest::Context::new(&digest::SHA256);
    sum.update(target.as_bytes());
    sum.update(body);
    hex::encode(sum.finish())
}

async fn json_bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes> {
    if !is_json(request.headers()) {
        let error = Error::new(ServiceCode::MediaType, "the body of the request is not said to be JSON");
        return Err(error.help("Send it with `Content-Type: application/json`."));
    }
    Bytes::from_request(request, state).await.map_err(|rejection| unread(&rejection))
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn unread(rejection: &BytesRejection) -> Error {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Error::new(ServiceCode::TooLarge, format!("the body is larger than {MAX_BODY} bytes"));
    }
    Error::new(ServiceCode::Request, "the body of the request broke off")
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    refuse_nul(bytes)?;
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        refusal(&path, error.inner())
    })?;
    json.end().map_err(|error| refusal(".", &error))?;
    Ok(value)
}

fn refusal(path: &str, error: &serde_json::Error) -> Error {
    let message = error.to_string();
    if !error.is_data() {
        return Error::new(ServiceCode::Request, format!("the body is not JSON: {message}"));
    }
    // Where in the text it is helps nobody: the path says it.
    let message = message.rfind(" at line ").map_or(&*message, |end| &message[..end]);
    let field = named(path, message);
    if field.is_empty() { Error::new(ServiceCode::Request, message) } else { Error::field(field, message) }
}

/// The field that a message of serde is about: the path, and the name of the one that is missing or unknown.
fn named(path: &str, message: &str) -> String {
    let path = if path == "." { "" } else { path };
    let quoted = message.split('`').nth(1).filter(|_| {
        ["missing field", "unknown field", "duplicate field"].iter().any(|start| message.starts_with(start))
    });
    match quoted {
        Some(name) if path.is_empty() => name.into(),
        Some(name) if path != name && !path.ends_with(&format!(".{name}")) => format!("{path}.{name}"),
        _ => path.into(),
    }
}

/// The escape is looked for first: nearly no body has it, and then nothing is parsed twice.
fn refuse_nul(bytes: &[u8]) -> Result<()> {
    const ESCAPE: &[u8] = br"\u0000";
    if !bytes.windows(ESCAPE.len()).any(|window| window == ESCAPE) {
        return Ok(());
    }
    let Ok(value) = serde_json::from_slice(bytes) else { return Ok(()) };
    match path_of_nul(&value) {
        Some(path) => Err(Error::field(path.join("."), NUL_MESSAGE)),
        None => Ok(()),
    }
}

/// The recursion is as deep as the parser allows, 128 levels.
fn path_of_nul(value: &Value) -> Option<Vec<String>> {
    let inside = |name: String, value: &Value| {
        let mut path = path_of_nul(value)?;
        path.insert(0, name);
        Some(path)
    };
    match value {
        Value::String(text) => text.contains('\0').then(Vec::new),
        Value::Array(items) => items.iter().enumerate().find_map(|(at, item)| inside(at.to_string(), item)),
        Value::Object(members) => members.iter().find_map(|(name, value)| {
            if name.contains('\0') {
                Some(vec![name.replace('\0', "\u{fffd}")])
            } else {
                inside(name.clone(), value)
            }
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::model::{Int, Line};
    use crate::schedule::Schedule;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        #[allow(dead_code, reason = "only whether it is taken counts")]
        name: Line<1, 5>,
        #[allow(dead_code, reason = "only whether it is taken counts")]
        inner: Option<Inner>,
        #[allow(dead_code, reason = "only whether it is taken counts")]
        schedule: Option<Schedule>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[allow(dead_code, reason = "only whether it is taken counts")]
        numbers: Vec<Int<1, 9>>,
    }

    fn field(body: &str) -> String {
        let error = parse::<Asked>(body.as_bytes()).unwrap_err();
        error.fields().first().map_or_else(|| error.message().into(), |field| field.field.clone())
    }

    #[test]
    fn the_wrong_field_is_named_by_its_path() {
        assert_eq!(field(r#"{"name":"too long"}"#), "name");
        assert_eq!(field(r#"{"inner":null}"#), "name");
        assert_eq!(field(r#"{"name":"a","inner":{"numbers":[1,10]}}"#), "inner.numbers[1]");
        assert_eq!(field(r#"{"name":"a","inner":{}}"#), "inner.numbers");
        assert_eq!(field(r#"{"name":"a","inner":{"numbers":[],"other":1}}"#), "inner.other");
        assert_eq!(field(r#"{"name":"a","name":"b"}"#), "name");
        assert_eq!(field(r#"{"name":"a","schedule":{"kind":"once","other":1}}"#), "schedule.other");
        assert_eq!(field("{\"name\":\"a\\u0000\"}"), "name");
        assert_eq!(field("{\"name\":\"a\",\"inner\":{\"nu\\u0000m\":1}}"), "inner.nu\u{fffd}m");
    }

    #[test]
    fn an_escaped_backslash_before_u0000_is_no_nul() {
        assert_eq!(field(r#"{"name":"\\u0000"}"#), "name", "six characters are one too many");
        assert!(parse::<Line<1, 9>>(br#""\\u0000""#).is_ok());
    }

    #[test]
    fn what_is_no_json_is_said_to_be_none() {
        for body in ["", "{", "nul", "{} {}", "{\"name\":\"\u{0}\"}"] {
            let error = parse::<Asked>(body.as_bytes()).unwrap_err();
            assert!(error.is(ServiceCode::Request), "{body}: {error:?}");
        }
        assert!(
            parse::<Value>(&[b'['; 100_000]).is_err(),
            "deep nesting is refused, and does not overflow the stack"
        );
    }
}
