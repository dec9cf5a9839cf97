//! Answers that several resources share.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{ETAG, LOCATION};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::state;

/// A part of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Page<T: ToSchema> {
    /// What is on it.
    #[schema(max_items = 200)]
    pub(crate) items: Vec<T>,
    /// What the following page wants as `after`; left out on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub(crate) next: Option<String>,
}

impl<T: ToSchema> From<state::Page<T>> for Page<T> {
    fn from(page: state::Page<T>) -> Self {
        Self { items: page.items, next: page.next }
    }
}

impl<T: Serialize + ToSchema> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        Json(self).into_response()
    }
}

/// A resource that has versions: with its `ETag`.
#[derive(Debug)]
pub(super) struct Versioned<T>(pub(super) T, pub(super) u64);

impl<T: Serialize> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.0).into_response();
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.1)) {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}

/// A resource that was just made: `201` and where it is.
pub(super) fn created(path: &str, answer: impl IntoResponse) -> Response {
    let mut response = (StatusCode::CREATED, answer).into_response();
    if let Ok(path) = HeaderValue::from_str(path) {
        response.headers_mut().insert(LOCATION, path);
    }
    response
}
