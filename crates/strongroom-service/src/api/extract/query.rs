//! Parameters after the question mark.

use std::borrow::Cow;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use super::NUL_MESSAGE;
use crate::api::ApiError;
use crate::control::{Error, Result};
use crate::model::{Int, Line};
use crate::state::PageRequest;

type Pairs<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// The parameters of a request.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self(read(&pairs(parts.uri.query().unwrap_or_default())?)?))
    }
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many items a page has at most; 50 if it is left out.
    #[serde(default, deserialize_with = "from_text")]
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 50)]
    pub(crate) limit: Option<Int<1, 200>>,
    /// Where to go on: `next` of the page before.
    #[param(value_type = Option<String>, min_length = 1, max_length = 200)]
    pub(crate) after: Option<Line<1, 200>>,
}

impl PageQuery {
    const PARAMETERS: [&str; 2] = ["limit", "after"];
}

impl From<PageQuery> for PageRequest {
    fn from(query: PageQuery) -> Self {
        let first = Self::default();
        Self {
            after: query.after.map(|after| after.as_str().to_owned()),
            limit: query.limit.unwrap_or(first.limit),
        }
    }
}

/// A list: which part of it, and which items.
#[derive(Debug)]
pub(crate) struct Listed<F> {
    /// Which part.
    pub(crate) page: PageQuery,
    /// Which items.
    pub(crate) filter: F,
}

impl<F: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Listed<F> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let pairs = pairs(parts.uri.query().unwrap_or_default())?;
        let (page, filter): (Pairs<'_>, Pairs<'_>) =
            pairs.into_iter().partition(|(name, _)| PageQuery::PARAMETERS.contains(&&**name));
        Ok(Self { page: read(&page)?, filter: read(&filter)? })
    }
}

/// No filter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct All {}

fn pairs(query: &str) -> Result<Pairs<'_>> {
    let pairs: Pairs<'_> = serde_urlencoded::from_str(query)
        .map_err(|error| Error::field("query", format!("the query cannot be understood: {error}")))?;
    for (name, value) in &pairs {
        if name.contains('\0') || value.contains('\0') {
            return Err(Error::field(name.replace('\0', "\u{fffd}"), NUL_MESSAGE));
        }
    }
    Ok(pairs)
}

fn read<T: DeserializeOwned>(pairs: &Pairs<'_>) -> Result<T> {
    let again = serde_urlencoded::to_string(pairs).map_err(|error| Error::internal(&error.to_string()))?;
    let parameters = serde_urlencoded::Deserializer::new(form_urlencoded::parse(again.as_bytes()));
    serde_path_to_error::deserialize(parameters).map_err(|error| {
        let message = error.inner().to_string();
        let named = message.split('`').nth(1).filter(|_| message.contains("field"));
        let path = error.path().to_string();
        Error::field(named.map_or(path, Into::into), message)
    })
}

/// Reads a parameter as the text that it is.
///
/// # Errors
/// The text is not what the type takes.
pub(crate) fn from_text<'de, D: Deserializer<'de>, T>(from: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err: std::fmt::Display>,
{
    String::deserialize(from)?.parse().map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<PageQuery> {
        read(&pairs(query)?)
    }

    #[test]
    fn the_wrong_parameter_is_named() {
        let field = |query| page(query).unwrap_err().fields()[0].field.clone();
        assert_eq!(field("limit=0"), "limit");
        assert_eq!(field("limit=ten"), "limit");
        assert_eq!(field("limit=5&limit=6"), "limit");
        assert_eq!(field("other=1"), "other");
        assert_eq!(field("after=a%00b"), "after");
        assert_eq!(field("after="), "after");
        assert_eq!(page("limit=200&after=x").unwrap().limit, Some(Int::of(200)));
        assert_eq!(page("").unwrap(), PageQuery::default());
    }
}
