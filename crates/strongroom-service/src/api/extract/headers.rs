//! Headers that requests may carry.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::HeaderMap;
use http::header::IF_MATCH;
use http::request::Parts;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Required, Schema};

use crate::api::ApiError;
use crate::control::{Error, Expected, Result};

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const MAX_KEY: usize = 255;
const MAX_IF_MATCH: usize = 1000;

/// The version that a change expects, from `If-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IfMatch(pub(crate) Expected);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self(expected(&parts.headers)?))
    }
}

fn expected(headers: &HeaderMap) -> Result<Expected> {
    let wrong = |message: &str| {
        Error::field("If-Match", message).help(
            "Send the `ETag` that came with the resource, such as `If-Match: \"3\"`, or `*` for any version.",
        )
    };
    let mut versions = Vec::new();
    for value in headers.get_all(IF_MATCH) {
        let text = value.to_str().map_err(|_| wrong("the header is not a list of ETags"))?.trim();
        if text == "*" {
            return Ok(Expected::Any);
        }
        if text.len() > MAX_IF_MATCH {
            return Err(wrong("the header is too long"));
        }
        for tag in text.split(',') {
            versions.push(tagged(tag.trim()).ok_or_else(|| wrong("the header is not a list of ETags"))?);
        }
    }
    if versions.is_empty() {
        return Err(wrong("the header is missing"));
    }
    Ok(Expected::OneOf(versions.into_iter().flatten().collect()))
}

/// The version in an entity tag; `Some(None)`: a tag that this service never gave, or a weak one, which never matches.
fn tagged(tag: &str) -> Option<Option<u64>> {
    let (weak, quoted) = tag.strip_prefix("W/").map_or((false, tag), |rest| (true, rest));
    let inside = quoted.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('"') {
        return None;
    }
    Some(if weak { None } else { inside.parse().ok() })
}

impl IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header(
            "If-Match",
            Required::True,
            "The `ETag` of the version that is to be changed, such as `\"3\"`; `*`: whatever version there is.",
            text(1, MAX_IF_MATCH, r#"^(\*|(W/)?"[^"]*"(\s*,\s*(W/)?"[^"]*")*)$"#),
        )]
    }
}

/// The key that makes a repeated request give the first answer, from `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(pub(crate) String);

impl<S: Send + Sync> OptionalFromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, ApiError> {
        let Some(value) = parts.headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
        let text = value.to_str().ok().filter(|text| (1..=MAX_KEY).contains(&text.len()));
        let Some(text) = text else {
            let message = format!("the key is not 1 to {MAX_KEY} printable ASCII characters");
            return Err(Error::field("Idempotency-Key", message).into());
        };
        Ok(Some(Self(text.into())))
    }
}

impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header(
            "Idempotency-Key",
            Required::False,
            "A key of the client's own. The same request with the same key, within a day, is not done again: it gets the \
             first answer.",
            text(1, MAX_KEY, "^[ -~]+$"),
        )]
    }
}

fn text(min: usize, max: usize, pattern: &str) -> Schema {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(min)).max_length(Some(max));
    text.pattern(Some(pattern)).into()
}

fn header(name: &str, required: Required, description: &str, schema: Schema) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(required)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(value: &str) -> Result<Expected> {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, HeaderValue::from_str(value).unwrap());
        expected(&headers)
    }

    #[test]
    fn if_match_takes_what_the_standard_says() {
        assert_eq!(read("\"3\""), Ok(Expected::OneOf(vec![3])));
        assert_eq!(read("\"3\", \"4\""), Ok(Expected::OneOf(vec![3, 4])));
        assert_eq!(read("*"), Ok(Expected::Any));
        assert_eq!(read("W/\"3\""), Ok(Expected::OneOf(vec![])), "a weak tag never matches");
        assert_eq!(read("\"of another server\""), Ok(Expected::OneOf(vec![])));
        for wrong in ["", "3", "\"3", "\"3\",", "\"a\"b\""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(expected(&HeaderMap::new()).is_err());
    }
}
