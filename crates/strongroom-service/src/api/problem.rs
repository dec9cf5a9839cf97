//! Errors as clients get them: `application/problem+json` (RFC 9457).

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use strongroom_engine::Class;
use utoipa::ToSchema;

use crate::control::{Code, Error, FieldError, ServiceCode};

/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Why a request was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiProblem {
    /// Always `about:blank`: `code` says which kind of problem it is.
    #[serde(rename = "type")]
    #[schema(max_length = 11)]
    pub kind: String,
    /// The words of the status.
    #[schema(max_length = 40)]
    pub title: String,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What failed, and why.
    #[schema(max_length = 4000)]
    pub detail: String,
    /// The stable code, such as `SR-TAKEN`. It never changes its meaning.
    #[schema(max_length = 40, pattern = "^SR-[A-Z0-9-]+$")]
    pub code: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000)]
    pub help: Option<String>,
    /// The fields of the request that are wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 100)]
    pub errors: Vec<FieldError>,
    /// The request, as the service's log names it; the header `x-request-id` has it too.
    #[schema(max_length = 16, pattern = "^[0-9a-f]{16}$")]
    pub request_id: String,
}

/// An error on its way to the client. The outermost layer writes the body, because it knows the request's id.
#[derive(Debug, Clone)]
pub struct ApiError(Error);

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = status(self.0.code()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl ApiError {
    /// The answer, for the request of this id.
    fn answer(&self, request_id: &str) -> Response {
        let status = status(self.0.code());
        let problem = ApiProblem {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or_default().into(),
            status: status.as_u16(),
            detail: self.0.message().into(),
            code: self.0.code().as_str().into(),
            help: self.0.advice().map(Into::into),
            errors: self.0.fields().to_vec(),
            request_id: request_id.into(),
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, Body::from(body)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.0.seconds_to_wait() {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// Writes the body of a problem, also of one that the framework made.
pub(super) fn finish(mut response: Response, request_id: &str) -> Response {
    let made = response.extensions_mut().remove::<ApiError>();
    let Some(error) = made.or_else(|| of_framework(&response)) else { return response };
    let mut answer = error.answer(request_id);
    for (name, value) in response.headers() {
        if name != CONTENT_TYPE && name != CONTENT_LENGTH {
            answer.headers_mut().append(name, value.clone());
        }
    }
    answer
}

/// What the framework refused by itself, with a text of its own.
fn of_framework(response: &Response) -> Option<ApiError> {
    let error = match response.status() {
        StatusCode::METHOD_NOT_ALLOWED => method_not_allowed(response),
        StatusCode::PAYLOAD_TOO_LARGE => Error::new(ServiceCode::TooLarge, "the request is too large"),
        status if status.is_client_error() => {
            Error::new(ServiceCode::Request, "the request cannot be understood")
        }
        status if status.is_server_error() => Error::internal("an answer without a problem"),
        _ => return None,
    };
    Some(error.into())
}

fn method_not_allowed(response: &Response) -> Error {
    let allowed = response.headers().get(ALLOW).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let error = Error::new(ServiceCode::Method, "the resource does not support this method");
    error.help(format!("It supports {}.", allowed.replace(',', ", ")))
}

fn status(code: Code) -> StatusCode {
    match code {
        Code::Service(code) => of_service(code),
        Code::Engine(strongroom_engine::Code::Internal) => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Engine(code) => match code.class() {
            Class::User => StatusCode::BAD_REQUEST,
            Class::Passing => StatusCode::SERVICE_UNAVAILABLE,
            Class::Lasting | Class::Damage => StatusCode::BAD_GATEWAY,
        },
    }
}

fn of_service(code: ServiceCode) -> StatusCode {
    match code {
        ServiceCode::Request => StatusCode::BAD_REQUEST,
        ServiceCode::SignIn => StatusCode::UNAUTHORIZED,
        ServiceCode::Forbidden | ServiceCode::CrossSite => StatusCode::FORBIDDEN,
        ServiceCode::Missing => StatusCode::NOT_FOUND,
        ServiceCode::Method => StatusCode::METHOD_NOT_ALLOWED,
        ServiceCode::Taken | ServiceCode::Conflict => StatusCode::CONFLICT,
        ServiceCode::Changed => StatusCode::PRECONDITION_FAILED,
        ServiceCode::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ServiceCode::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ServiceCode::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        ServiceCode::TooMany => StatusCode::TOO_MANY_REQUESTS,
        ServiceCode::Unavailable | ServiceCode::TooSlow => StatusCode::SERVICE_UNAVAILABLE,
    }
}
