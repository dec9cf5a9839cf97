//! Changes that loosen something, and wait.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;

use super::answer::Page;
use super::extract::{Listed, PageQuery, Path};
use super::{ApiError, ApiProblem};
use crate::control::{Actor, changes};
use crate::model::{BackupKey, Change, ChangeId, ChangeState, PlanId};
use crate::service::Service;
use crate::state::changes::ChangeFilter;

/// Which changes.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChangeQuery {
    /// Only those in this state.
    #[param(inline)]
    state: Option<ChangeState>,
    /// Only those of this plan.
    #[param(inline)]
    plan: Option<PlanId>,
    /// Only those of this backup.
    #[param(inline)]
    backup: Option<BackupKey>,
}

/// Lists changes that loosen something.
#[utoipa::path(
    get, path = "/api/v1/changes", operation_id = "list_changes", tag = "changes",
    params(PageQuery, ChangeQuery),
    responses((status = 200, description = "Changes, newest first.", body = Page<Change>)),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    listed: Listed<ChangeQuery>,
) -> Result<Page<Change>, ApiError> {
    let ChangeQuery { state, plan, backup } = listed.filter;
    let filter = ChangeFilter { state, plan, backup };
    Ok(changes::list(&service, &filter, &listed.page.into()).await?.into())
}

/// Shows a change.
#[utoipa::path(
    get, path = "/api/v1/changes/{id}", operation_id = "get_change", tag = "changes",
    params(("id" = inline(ChangeId), Path, description = "The change.")),
    responses((status = 200, description = "The change.", body = Change)),
)]
pub(super) async fn get(
    State(service): State<Arc<Service>>,
    Path(id): Path<ChangeId>,
) -> Result<axum::Json<Change>, ApiError> {
    Ok(axum::Json(changes::get(&service, &id).await?))
}

/// Agrees to a change as the second admin: another one than who asked for it. Its delay goes on.
#[utoipa::path(
    post, path = "/api/v1/changes/{id}/approve", operation_id = "approve_change", tag = "changes",
    params(("id" = inline(ChangeId), Path, description = "The change.")),
    responses(
        (status = 200, description = "The change as it is now.", body = Change),
        (status = 409, response = ApiProblem),
    ),
)]
pub(super) async fn approve(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<ChangeId>,
) -> Result<axum::Json<Change>, ApiError> {
    Ok(axum::Json(changes::approve(&service, &actor, &id).await?))
}

/// Calls a change back, so that all stays as it is.
#[utoipa::path(
    post, path = "/api/v1/changes/{id}/call_back", operation_id = "call_back_change", tag = "changes",
    params(("id" = inline(ChangeId), Path, description = "The change.")),
    responses(
        (status = 200, description = "The change as it is now.", body = Change),
        (status = 409, response = ApiProblem),
    ),
)]
pub(super) async fn call_back(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<ChangeId>,
) -> Result<axum::Json<Change>, ApiError> {
    Ok(axum::Json(changes::call_back(&service, &actor, &id).await?))
}
