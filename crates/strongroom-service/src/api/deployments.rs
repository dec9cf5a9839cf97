//! Deployments.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::answer::{Page, Versioned, created};
use super::extract::{IdempotencyKey, IfMatch, Json, LabelQuery, Listed, New, PageQuery, Path};
use super::{ApiError, ApiProblem};
use crate::control::{Actor, deployments};
use crate::model::{Deployment, DeploymentChange, DeploymentId, DeploymentTest, NewDeployment};
use crate::service::Service;
use crate::state::deployments::DeploymentFilter;

/// Lists deployments.
#[utoipa::path(
    get, path = "/api/v1/deployments", operation_id = "list_deployments", tag = "deployments",
    params(PageQuery, LabelQuery),
    responses((status = 200, description = "Deployments, newest first.", body = Page<Deployment>)),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    actor: Actor,
    listed: Listed<LabelQuery>,
) -> Result<Page<Deployment>, ApiError> {
    let (name, label) = (listed.filter.name, listed.filter.label.map(Into::into));
    let filter = DeploymentFilter { name, label, ..DeploymentFilter::default() };
    Ok(deployments::list(&service, &actor, filter, &listed.page.into()).await?.into())
}

/// Makes a deployment.
///
/// Nothing is asked of its server: `test` does that.
#[utoipa::path(
    post, path = "/api/v1/deployments", operation_id = "create_deployment", tag = "deployments",
    params(IdempotencyKey),
    request_body(content = NewDeployment, description = "The deployment."),
    responses((status = 201, description = "The deployment.", body = Deployment)),
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    actor: Actor,
    new: New<NewDeployment>,
) -> Result<Response, ApiError> {
    let made = deployments::create(&service, &actor, new.body, new.once.as_ref()).await?;
    let (path, version) = (format!("/api/v1/deployments/{}", made.id), made.version);
    Ok(created(&path, Versioned(made, version)))
}

/// Shows a deployment.
#[utoipa::path(
    get, path = "/api/v1/deployments/{id}", operation_id = "get_deployment", tag = "deployments",
    params(("id" = inline(DeploymentId), Path, description = "The deployment.")),
    responses((status = 200, description = "The deployment.", body = Deployment)),
)]
pub(super) async fn get(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<DeploymentId>,
) -> Result<Versioned<Deployment>, ApiError> {
    let found = deployments::get(&service, &actor, &id).await?;
    let version = found.version;
    Ok(Versioned(found, version))
}

/// Changes a deployment.
#[utoipa::path(
    patch, path = "/api/v1/deployments/{id}", operation_id = "change_deployment", tag = "deployments",
    params(("id" = inline(DeploymentId), Path, description = "The deployment."), IfMatch),
    request_body(content = DeploymentChange, description = "What is to be changed."),
    responses(
        (status = 200, description = "The deployment as it is now.", body = Deployment),
        (status = 409, response = ApiProblem),
    ),
)]
pub(super) async fn change(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<DeploymentId>,
    IfMatch(expected): IfMatch,
    Json(change): Json<DeploymentChange>,
) -> Result<Versioned<Deployment>, ApiError> {
    let changed = deployments::change(&service, &actor, &id, &expected, change).await?;
    let version = changed.version;
    Ok(Versioned(changed, version))
}

/// Deletes a deployment that has no plans.
///
/// Its backups stay in their buckets and in the catalogue, and can still be restored into another deployment.
#[utoipa::path(
    delete, path = "/api/v1/deployments/{id}", operation_id = "delete_deployment", tag = "deployments",
    params(("id" = inline(DeploymentId), Path, description = "The deployment."), IfMatch),
    responses(
        (status = 204, description = "The deployment is deleted."),
        (status = 409, response = ApiProblem),
    ),
)]
pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<DeploymentId>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, ApiError> {
    deployments::delete(&service, &actor, &id, &expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tests a deployment: connects, looks at its topology, version and size, and at what its user lacks for a backup.
///
/// What was found is kept and shown with the deployment. What fails is part of it and no problem of this request.
#[utoipa::path(
    post, path = "/api/v1/deployments/{id}/test", operation_id = "test_deployment", tag = "deployments",
    params(("id" = inline(DeploymentId), Path, description = "The deployment.")),
    responses(
        (status = 200, description = "What was found.", body = DeploymentTest),
        (status = 429, response = ApiProblem),
    ),
)]
pub(super) async fn test(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<DeploymentId>,
) -> Result<axum::Json<DeploymentTest>, ApiError> {
    Ok(axum::Json(deployments::test(&service, &actor, &id).await?))
}
