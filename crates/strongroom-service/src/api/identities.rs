//! Signing in through the identity provider.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;

use super::extract::Query;
use super::{ApiError, ApiProblem, Client, cookie};
use crate::control::{Error, ServiceCode, identities};
use crate::model::Line;
use crate::oidc::LONGEST_SIGN_IN;
use crate::secrets::{Bearer, BearerKind};
use crate::service::Service;

/// What the browser keeps between the two halves of a sign-in.
const COOKIE: &str = "strongroom_sign_in";

/// Begins to sign in through the identity provider.
///
/// Browsers are sent there, and come back with a code.
#[utoipa::path(
    get, path = "/api/v1/auth/oidc", operation_id = "begin_sign_in_with_provider", tag = "session",
    responses(
        (status = 303, description = "To the identity provider."),
        (status = 404, response = ApiProblem),
        (status = 429, response = ApiProblem),
        (status = 503, response = ApiProblem),
    ),
)]
pub(super) async fn begin(State(service): State<Arc<Service>>, client: Client) -> Result<Response, ApiError> {
    let begun = identities::begin(&service, client.address).await?;
    let cookie = keep(Some(&begun.kept), client.https);
    Ok((AppendHeaders(cookie.map(|cookie| (SET_COOKIE, cookie))), Redirect::to(&begun.url)).into_response())
}

/// What the provider sends back. Others of its parameters do not count.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Callback {
    /// The code; left out: the provider refused.
    #[param(value_type = Option<String>, min_length = 1, max_length = 4096)]
    code: Option<Line<1, 4096>>,
    /// What the sign-in was begun with.
    #[param(value_type = Option<String>, min_length = 1, max_length = 200)]
    state: Option<Line<1, 200>>,
    /// Why the provider refused.
    #[param(value_type = Option<String>, min_length = 1, max_length = 200)]
    error: Option<Line<1, 200>>,
}

/// Ends a sign-in through the identity provider.
#[utoipa::path(
    get, path = "/api/v1/auth/oidc/callback", operation_id = "end_sign_in_with_provider", tag = "session",
    params(Callback),
    responses(
        (status = 303, description = "To the portal. The cookie of the session is set."),
        (status = 401, response = ApiProblem),
        (status = 404, response = ApiProblem),
        (status = 409, response = ApiProblem),
        (status = 429, response = ApiProblem),
        (status = 503, response = ApiProblem),
    ),
)]
pub(super) async fn end(
    State(service): State<Arc<Service>>,
    client: Client,
    headers: HeaderMap,
    Query(given): Query<Callback>,
) -> Result<Response, ApiError> {
    identities::is_offered(&service)?;
    let kept = cookie::value(&headers, &name(client.https));
    let kept = kept.and_then(|text| Bearer::parse(BearerKind::Link, text));
    let (Some(code), Some(state)) = (given.code, given.state) else {
        let why = given.error.map_or_else(|| "it sent no code".to_owned(), |error| error.to_string());
        let message = format!("the identity provider refused the sign-in: {why}");
        return Err(Error::new(ServiceCode::SignIn, message).into());
    };
    let code = code.as_str().to_owned();
    let (session, _) = identities::finish(&service, kept, code, state.as_str(), client.address).await?;
    let cookies = [cookie::write(Some(&session), client.https), keep(None, client.https)];
    let cookies: Vec<_> = cookies.into_iter().flatten().map(|cookie| (SET_COOKIE, cookie)).collect();
    Ok((AppendHeaders(cookies), Redirect::to("/")).into_response())
}

/// Browsers take the first name only over TLS, for this host alone.
fn name(https: bool) -> String {
    format!("{}{COOKIE}", if https { "__Host-" } else { "" })
}

/// Sets the cookie; with nothing to keep it removes it. The provider's page leads back here, so that it must come with a
/// request from another site.
fn keep(kept: Option<&Bearer>, https: bool) -> Option<HeaderValue> {
    let (value, age) = kept.map_or(("", 0), |kept| (kept.expose(), LONGEST_SIGN_IN.num_seconds()));
    let (name, secure) = (name(https), if https { "; Secure" } else { "" });
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={age}");
    let mut header = HeaderValue::from_str(&text).ok()?;
    header.set_sensitive(true);
    Some(header)
}
