//! Signing in and out, and the first admin.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, IntoResponseParts, Response};
use http::StatusCode;
use http::header::SET_COOKIE;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::Page;
use super::extract::{Json, Path, Query};
use super::{ApiError, ApiProblem, Client, cookie};
use crate::control::{Actor, sessions, setup};
use crate::model::{FirstAdmin, Me, NewSession, Session, SessionId, User, UserId};
use crate::secrets::Bearer;
use crate::service::Service;

/// Whether the service wants its first admin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct SetupState {
    /// Whether there is no user yet. The link to make one is printed by the service.
    wanted: bool,
}

/// Says whether the service wants its first admin.
#[utoipa::path(
    get, path = "/api/v1/setup", operation_id = "setup_state", tag = "session",
    responses((status = 200, description = "Whether it does.", body = SetupState)),
)]
pub(super) async fn setup_state(
    State(service): State<Arc<Service>>,
) -> Result<axum::Json<SetupState>, ApiError> {
    Ok(axum::Json(SetupState { wanted: setup::is_wanted(&service).await? }))
}

/// Makes the first admin and signs them in.
///
/// It takes the link that the service prints when it starts without users. A link is used once.
#[utoipa::path(
    post, path = "/api/v1/setup", operation_id = "make_first_admin", tag = "session",
    request_body(content = FirstAdmin, description = "The link, and who the admin is."),
    responses(
        (status = 201, description = "The admin. The cookie of the session is set.", body = User),
        (status = 401, response = ApiProblem),
    ),
)]
pub(super) async fn make_first_admin(
    State(service): State<Arc<Service>>,
    client: Client,
    Json(wanted): Json<FirstAdmin>,
) -> Result<Response, ApiError> {
    let user = setup::first_admin(&service, wanted, client.address).await?;
    let session = sessions::begin(&service, &user, client.address).await?;
    Ok((StatusCode::CREATED, with_cookie(Some(&session), &client), axum::Json(user)).into_response())
}

/// Signs in.
///
/// The session is a cookie that only this service can read. Tries are limited for each address and each login.
#[utoipa::path(
    post, path = "/api/v1/session", operation_id = "sign_in", tag = "session",
    request_body(content = NewSession, description = "Who signs in."),
    responses(
        (status = 201, description = "Who signed in. The cookie of the session is set.", body = User),
        (status = 401, response = ApiProblem),
        (status = 429, response = ApiProblem),
    ),
)]
pub(super) async fn sign_in(
    State(service): State<Arc<Service>>,
    client: Client,
    Json(wanted): Json<NewSession>,
) -> Result<Response, ApiError> {
    let (session, user) = sessions::sign_in(&service, &wanted, client.address).await?;
    Ok((StatusCode::CREATED, with_cookie(Some(&session), &client), axum::Json(user)).into_response())
}

/// Says who asks, and what they may do.
#[utoipa::path(
    get, path = "/api/v1/session", operation_id = "who_am_i", tag = "session",
    responses((status = 200, description = "Who it is.", body = Me)),
)]
pub(super) async fn who_am_i(
    State(service): State<Arc<Service>>,
    actor: Actor,
) -> Result<axum::Json<Me>, ApiError> {
    Ok(axum::Json(sessions::me(&service, &actor).await?))
}

/// Signs out.
#[utoipa::path(
    delete, path = "/api/v1/session", operation_id = "sign_out", tag = "session",
    responses(
        (status = 204, description = "The session has ended."),
        (status = 409, response = ApiProblem),
    ),
)]
pub(super) async fn sign_out(
    State(service): State<Arc<Service>>,
    actor: Actor,
    client: Client,
) -> Result<Response, ApiError> {
    sessions::sign_out(&service, &actor).await?;
    Ok((StatusCode::NO_CONTENT, with_cookie(None, &client), ()).into_response())
}

/// Whose sessions.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SessionQuery {
    /// The user; left out: the one who asks. Only an admin may name another one.
    #[param(inline)]
    user: Option<UserId>,
}

/// Lists the sessions of one user, one's own if none is named.
///
/// There is one page, of at most 200 sessions.
#[utoipa::path(
    get, path = "/api/v1/sessions", operation_id = "list_sessions", tag = "session", params(SessionQuery),
    responses((status = 200, description = "Sessions, newest first.", body = Page<Session>)),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Query(query): Query<SessionQuery>,
) -> Result<Page<Session>, ApiError> {
    Ok(Page { items: sessions::list(&service, &actor, query.user.as_ref()).await?, next: None })
}

/// Ends a session: one's own, or anybody's for an admin.
#[utoipa::path(
    delete, path = "/api/v1/sessions/{id}", operation_id = "end_session", tag = "session",
    params(("id" = inline(SessionId), Path, description = "The session.")),
    responses((status = 204, description = "The session has ended.")),
)]
pub(super) async fn end(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<SessionId>,
) -> Result<StatusCode, ApiError> {
    sessions::end(&service, &actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn with_cookie(session: Option<&Bearer>, client: &Client) -> impl IntoResponseParts {
    AppendHeaders(cookie::write(session, client.https).map(|cookie| (SET_COOKIE, cookie)))
}
