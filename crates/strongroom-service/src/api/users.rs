//! Users.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;

use super::answer::{Page, Versioned, created};
use super::extract::{All, IdempotencyKey, IfMatch, Json, Listed, New, PageQuery, Path};
use super::{ApiError, ApiProblem};
use crate::control::{Actor, users};
use crate::model::{NewUser, User, UserChange, UserId};
use crate::service::Service;

/// Lists users.
#[utoipa::path(
    get, path = "/api/v1/users", operation_id = "list_users", tag = "users", params(PageQuery),
    responses((status = 200, description = "Users, newest first.", body = Page<User>)),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    listed: Listed<All>,
) -> Result<Page<User>, ApiError> {
    Ok(users::list(&service, &listed.page.into()).await?.into())
}

/// Makes a user.
#[utoipa::path(
    post, path = "/api/v1/users", operation_id = "create_user", tag = "users", params(IdempotencyKey),
    request_body(content = NewUser, description = "The user."),
    responses((status = 201, description = "The user.", body = User)),
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    actor: Actor,
    new: New<NewUser>,
) -> Result<Response, ApiError> {
    let user = users::create(&service, &actor, new.body, new.once.as_ref()).await?;
    let path = format!("/api/v1/users/{}", user.id);
    let version = user.version;
    Ok(created(&path, Versioned(user, version)))
}

/// Shows a user.
#[utoipa::path(
    get, path = "/api/v1/users/{id}", operation_id = "get_user", tag = "users",
    params(("id" = inline(UserId), Path, description = "The user.")),
    responses((status = 200, description = "The user.", body = User)),
)]
pub(super) async fn get(
    State(service): State<Arc<Service>>,
    Path(id): Path<UserId>,
) -> Result<Versioned<User>, ApiError> {
    let user = users::get(&service, &id).await?;
    let version = user.version;
    Ok(Versioned(user, version))
}

/// Changes a user.
///
/// A new password ends the user's sessions; a user who is disabled loses sessions and tokens. The last admin who can sign
/// in stays one.
#[utoipa::path(
    patch, path = "/api/v1/users/{id}", operation_id = "change_user", tag = "users",
    params(("id" = inline(UserId), Path, description = "The user."), IfMatch),
    request_body(content = UserChange, description = "What is to be changed."),
    responses(
        (status = 200, description = "The user as it is now.", body = User),
        (status = 409, response = ApiProblem),
    ),
)]
pub(super) async fn change(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<UserId>,
    IfMatch(expected): IfMatch,
    Json(change): Json<UserChange>,
) -> Result<Versioned<User>, ApiError> {
    let user = users::change(&service, &actor, &id, &expected, change).await?;
    let version = user.version;
    Ok(Versioned(user, version))
}
