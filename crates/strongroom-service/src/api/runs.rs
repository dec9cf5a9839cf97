//! Runs.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::answer::{Page, created};
use super::extract::{IdempotencyKey, Listed, New, PageQuery, Path, Query, from_text};
use super::{ApiError, ApiProblem};
use crate::control::{Actor, runs};
use crate::model::{
    BackupKey, DeploymentId, Int, LocationId, LogLine, PlanId, Run, RunId, RunKind, RunRequest, RunState,
};
use crate::service::Service;
use crate::state::runs::RunFilter;

/// Which runs.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunQuery {
    /// Only those of this plan.
    #[param(inline)]
    plan: Option<PlanId>,
    /// Only those that read or write this deployment.
    #[param(inline)]
    deployment: Option<DeploymentId>,
    /// Only those that use this location.
    #[param(inline)]
    location: Option<LocationId>,
    /// Only those that verify or restore this backup.
    #[param(inline)]
    backup: Option<BackupKey>,
    /// Only those of this kind.
    #[param(inline)]
    kind: Option<RunKind>,
    /// Only those in this state.
    #[param(inline)]
    state: Option<RunState>,
    /// Only those that were made then or later.
    from: Option<DateTime<Utc>>,
    /// Only those that were made before.
    to: Option<DateTime<Utc>>,
}

impl From<RunQuery> for RunFilter {
    fn from(query: RunQuery) -> Self {
        let RunQuery { plan, deployment, location, backup, kind, state, from, to } = query;
        Self { plan, deployment, location, backup, kind, state, since: from, until: to, ..Self::default() }
    }
}

/// Lists runs.
///
/// A token for certain deployments or plans sees those that belong to them; verifications and restores of its backups it
/// sees by their ids.
#[utoipa::path(
    get, path = "/api/v1/runs", operation_id = "list_runs", tag = "runs", params(PageQuery, RunQuery),
    responses((status = 200, description = "Runs, newest first.", body = Page<Run>)),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    actor: Actor,
    listed: Listed<RunQuery>,
) -> Result<Page<Run>, ApiError> {
    Ok(runs::list(&service, &actor, listed.filter.into(), &listed.page.into()).await?.into())
}

/// Asks for a run.
///
/// A restore needs the right to restore and the digest of its preview, and where collections are replaced the name of the
/// deployment as `confirm_target`. A sweep needs the role `admin`. A plan has one run at a time that is not over.
#[utoipa::path(
    post, path = "/api/v1/runs", operation_id = "create_run", tag = "runs", params(IdempotencyKey),
    request_body(content = RunRequest, description = "What is to be done."),
    responses((status = 201, description = "The run.", body = Run)),
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    actor: Actor,
    new: New<RunRequest>,
) -> Result<Response, ApiError> {
    let run = runs::request(&service, &actor, new.body, new.once.as_ref()).await?;
    Ok(created(&format!("/api/v1/runs/{}", run.id), axum::Json(run)))
}

/// Shows a run.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}", operation_id = "get_run", tag = "runs",
    params(("id" = inline(RunId), Path, description = "The run.")),
    responses((status = 200, description = "The run.", body = Run)),
)]
pub(super) async fn get(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<RunId>,
) -> Result<axum::Json<Run>, ApiError> {
    Ok(axum::Json(runs::get(&service, &actor, &id).await?))
}

/// Asks a run to stop.
///
/// One that waits ends at once. One at work ends when it has stopped and taken back what it could.
#[utoipa::path(
    post, path = "/api/v1/runs/{id}/cancel", operation_id = "cancel_run", tag = "runs",
    params(("id" = inline(RunId), Path, description = "The run.")),
    responses(
        (status = 200, description = "The run as it is now.", body = Run),
        (status = 409, response = ApiProblem),
    ),
)]
pub(super) async fn cancel(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<RunId>,
) -> Result<axum::Json<Run>, ApiError> {
    Ok(axum::Json(runs::cancel(&service, &actor, &id).await?))
}

/// Which lines of a log.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Only lines after the one of this number.
    #[serde(default, deserialize_with = "from_text")]
    #[param(value_type = Option<i64>, minimum = 0, maximum = 1_000_000_000)]
    after: Option<Int<0, 1_000_000_000>>,
    /// How many at most; 200 if it is left out.
    #[serde(default, deserialize_with = "from_text")]
    #[param(value_type = Option<i64>, minimum = 1, maximum = 200, default = 200)]
    limit: Option<Int<1, 200>>,
}

/// Shows the log of a run.
#[utoipa::path(
    get, path = "/api/v1/runs/{id}/log", operation_id = "get_run_log", tag = "runs",
    params(("id" = inline(RunId), Path, description = "The run."), LogQuery),
    responses((status = 200, description = "Lines, in their order.", body = Page<LogLine>)),
)]
pub(super) async fn log(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<RunId>,
    Query(query): Query<LogQuery>,
) -> Result<Page<LogLine>, ApiError> {
    let (after, limit) = (query.after.map_or(0, Int::get), query.limit.map_or(200, Int::get));
    let mut items = runs::log(&service, &actor, &id, (after, limit + 1)).await?;
    let more = items.len() as u64 > limit;
    items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = items.last().filter(|_| more).map(|line| line.number.to_string());
    Ok(Page { items, next })
}
