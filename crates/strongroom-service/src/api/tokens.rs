//! API tokens.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::ApiError;
use super::answer::{Page, created};
use super::extract::{All, Json, Listed, PageQuery, Path};
use crate::control::{Actor, tokens};
use crate::model::{NewToken, Token, TokenId, TokenMade};
use crate::service::Service;

/// Lists tokens: one's own, or everybody's for an admin.
#[utoipa::path(
    get, path = "/api/v1/tokens", operation_id = "list_tokens", tag = "tokens", params(PageQuery),
    responses((status = 200, description = "Tokens, newest first.", body = Page<Token>)),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    actor: Actor,
    listed: Listed<All>,
) -> Result<Page<Token>, ApiError> {
    Ok(tokens::list(&service, &actor, &listed.page.into()).await?.into())
}

/// Makes a token of one's own.
///
/// It can do no more than its maker. What requests carry is shown this once, and therefore no `Idempotency-Key` is taken:
/// a token whose answer was lost is deleted, and another one made.
#[utoipa::path(
    post, path = "/api/v1/tokens", operation_id = "create_token", tag = "tokens",
    request_body(content = NewToken, description = "The token."),
    responses((status = 201, description = "The token.", body = TokenMade)),
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Json(wanted): Json<NewToken>,
) -> Result<Response, ApiError> {
    let made = tokens::create(&service, &actor, wanted).await?;
    Ok(created(&format!("/api/v1/tokens/{}", made.token.id), axum::Json(made)))
}

/// Revokes a token: one's own, or anybody's for an admin.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{id}", operation_id = "delete_token", tag = "tokens",
    params(("id" = inline(TokenId), Path, description = "The token.")),
    responses((status = 204, description = "The token is not valid any more.")),
)]
pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<TokenId>,
) -> Result<StatusCode, ApiError> {
    tokens::revoke(&service, &actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
