//! The catalogue of backups.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::answer::Page;
use super::extract::{Json, Listed, PageQuery, Path};
use super::plans::waits_or_done;
use super::{ApiError, ApiProblem};
use crate::control::{Actor, backups};
use crate::model::{Backup, BackupKey, BackupState, Change, DeploymentId, LocationId, NewHold, PlanId};
use crate::service::Service;
use crate::state::backups::BackupFilter;

/// Which backups.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BackupQuery {
    /// Only those of this plan.
    #[param(inline)]
    plan: Option<PlanId>,
    /// Only those of this deployment.
    #[param(inline)]
    deployment: Option<DeploymentId>,
    /// Only those in this location.
    #[param(inline)]
    location: Option<LocationId>,
    /// Only those in this state; if it is left out all but those that were deleted.
    #[param(inline)]
    state: Option<BackupState>,
    /// Only those on hold.
    #[serde(default)]
    held: bool,
    /// Only those that were made then or later.
    from: Option<DateTime<Utc>>,
    /// Only those that were made before.
    to: Option<DateTime<Utc>>,
}

impl From<BackupQuery> for BackupFilter {
    fn from(query: BackupQuery) -> Self {
        let BackupQuery { plan, deployment, location, state, held, from, to } = query;
        Self { plan, deployment, location, state, held, since: from, until: to, ..Self::default() }
    }
}

/// Lists backups.
#[utoipa::path(
    get, path = "/api/v1/backups", operation_id = "list_backups", tag = "backups",
    params(PageQuery, BackupQuery),
    responses((status = 200, description = "Backups, newest first.", body = Page<Backup>)),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    actor: Actor,
    listed: Listed<BackupQuery>,
) -> Result<Page<Backup>, ApiError> {
    Ok(backups::list(&service, &actor, listed.filter.into(), &listed.page.into()).await?.into())
}

/// Shows a backup.
#[utoipa::path(
    get, path = "/api/v1/backups/{id}", operation_id = "get_backup", tag = "backups",
    params(("id" = inline(BackupKey), Path, description = "The backup.")),
    responses((status = 200, description = "The backup.", body = Backup)),
)]
pub(super) async fn get(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<BackupKey>,
) -> Result<axum::Json<Backup>, ApiError> {
    Ok(axum::Json(backups::get(&service, &actor, &id).await?))
}

/// Keeps a backup whatever retention says. One that had expired is kept again.
#[utoipa::path(
    post, path = "/api/v1/backups/{id}/hold", operation_id = "hold_backup", tag = "backups",
    params(("id" = inline(BackupKey), Path, description = "The backup.")),
    request_body(content = NewHold, description = "Why."),
    responses(
        (status = 200, description = "The backup as it is now.", body = Backup),
        (status = 409, response = ApiProblem),
    ),
)]
pub(super) async fn hold(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<BackupKey>,
    Json(wanted): Json<NewHold>,
) -> Result<axum::Json<Backup>, ApiError> {
    Ok(axum::Json(backups::hold(&service, &actor, &id, wanted).await?))
}

/// Lifts all holds of a backup. That waits, as everything does that loosens.
#[utoipa::path(
    delete, path = "/api/v1/backups/{id}/hold", operation_id = "lift_holds", tag = "backups",
    params(("id" = inline(BackupKey), Path, description = "The backup.")),
    responses(
        (status = 202, description = "They will be lifted: the change that waits.", body = Change),
        (status = 204, description = "They are lifted."),
        (status = 409, response = ApiProblem),
    ),
)]
pub(super) async fn lift_holds(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<BackupKey>,
) -> Result<Response, ApiError> {
    Ok(waits_or_done(backups::lift_holds(&service, &actor, &id).await?))
}

/// Lets a backup expire: it is deleted when its grace is over, and can be kept again until then.
///
/// One that is held or locked does not, nor the newest good one of a plan.
#[utoipa::path(
    post, path = "/api/v1/backups/{id}/expire", operation_id = "expire_backup", tag = "backups",
    params(("id" = inline(BackupKey), Path, description = "The backup.")),
    responses(
        (status = 200, description = "The backup as it is now.", body = Backup),
        (status = 409, response = ApiProblem),
    ),
)]
pub(super) async fn expire(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<BackupKey>,
) -> Result<axum::Json<Backup>, ApiError> {
    Ok(axum::Json(backups::expire(&service, &actor, &id).await?))
}

/// Keeps a backup again that had expired, with a hold: the rules of its plan would let it expire again.
#[utoipa::path(
    post, path = "/api/v1/backups/{id}/keep", operation_id = "keep_backup", tag = "backups",
    params(("id" = inline(BackupKey), Path, description = "The backup.")),
    responses(
        (status = 200, description = "The backup as it is now.", body = Backup),
        (status = 409, response = ApiProblem),
    ),
)]
pub(super) async fn keep(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<BackupKey>,
) -> Result<axum::Json<Backup>, ApiError> {
    Ok(axum::Json(backups::keep(&service, &actor, &id).await?))
}
