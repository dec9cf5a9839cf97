//! Parameters in the path.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path as Framework};
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::api::ApiError;
use crate::control::{Error, ServiceCode};

/// The parameter in the path.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Framework::<T>::from_request_parts(parts, state).await {
            Ok(Framework(value)) => Ok(Self(value)),
            Err(rejection) => Err(refusal(rejection).into()),
        }
    }
}

fn refusal(rejection: PathRejection) -> Error {
    let PathRejection::FailedToDeserializePathParams(failed) = rejection else {
        return Error::internal("a route has not the parameters that its handler takes");
    };
    match failed.into_kind() {
        ErrorKind::DeserializeError { key, message, .. } => Error::field(key, message),
        ErrorKind::InvalidUtf8InPathParam { key } => Error::field(key, "the text is not UTF-8"),
        ErrorKind::Message(message) => Error::field("id", message),
        _ => Error::new(ServiceCode::Request, "a parameter in the path cannot be understood"),
    }
}
