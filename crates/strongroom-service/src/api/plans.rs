//! Plans.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Deserialize;

use super::answer::{Page, Versioned, created};
use super::extract::{
    IdempotencyKey, IfMatch, Json, Label, Listed, New, NewWithout, PageQuery, Path, Query, from_text,
};
use super::{ApiError, ApiProblem};
use crate::control::{Actor, plans, runs};
use crate::model::{
    BackupsOfDeleted, Change, DeploymentId, Int, LocationId, Name, NewPlan, Plan, PlanChanged, PlanId,
    PlanPreview, Run,
};
use crate::schedule::Occurrence;
use crate::service::Service;
use crate::state::plans::PlanFilter;

/// Which plans.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PlanQuery {
    /// Only the one of this name.
    #[param(value_type = Option<String>, min_length = 1, max_length = 100)]
    name: Option<Name>,
    /// Only those of this deployment.
    #[param(inline)]
    deployment: Option<DeploymentId>,
    /// Only those into this location.
    #[param(inline)]
    location: Option<LocationId>,
    /// Only those that are paused, or that are not.
    paused: Option<bool>,
    /// Only those whose last run failed.
    #[serde(default)]
    failing: bool,
    /// Only those with this label, as `key=value`.
    #[param(value_type = Option<String>, min_length = 2, max_length = 261, example = "team=shop")]
    label: Option<Label>,
}

impl From<PlanQuery> for PlanFilter {
    fn from(query: PlanQuery) -> Self {
        let PlanQuery { name, deployment, location, paused, failing, label } = query;
        Self { name, deployment, location, paused, failing, label: label.map(Into::into), ..Self::default() }
    }
}

/// Lists plans.
#[utoipa::path(
    get, path = "/api/v1/plans", operation_id = "list_plans", tag = "plans", params(PageQuery, PlanQuery),
    responses((status = 200, description = "Plans, newest first.", body = Page<Plan>)),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    actor: Actor,
    listed: Listed<PlanQuery>,
) -> Result<Page<Plan>, ApiError> {
    Ok(plans::list(&service, &actor, listed.filter.into(), &listed.page.into()).await?.into())
}

/// Makes a plan.
#[utoipa::path(
    post, path = "/api/v1/plans", operation_id = "create_plan", tag = "plans", params(IdempotencyKey),
    request_body(content = NewPlan, description = "The plan."),
    responses((status = 201, description = "The plan.", body = Plan)),
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    actor: Actor,
    new: New<NewPlan>,
) -> Result<Response, ApiError> {
    let plan = plans::create(&service, &actor, new.body, new.once.as_ref()).await?;
    let (path, version) = (format!("/api/v1/plans/{}", plan.id), plan.version);
    Ok(created(&path, Versioned(plan, version)))
}

/// Shows a plan.
#[utoipa::path(
    get, path = "/api/v1/plans/{id}", operation_id = "get_plan", tag = "plans",
    params(("id" = inline(PlanId), Path, description = "The plan.")),
    responses((status = 200, description = "The plan.", body = Plan)),
)]
pub(super) async fn get(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<PlanId>,
) -> Result<Versioned<Plan>, ApiError> {
    let plan = plans::get(&service, &actor, &id).await?;
    let version = plan.version;
    Ok(Versioned(plan, version))
}

/// Replaces the settings of a plan.
///
/// What tightens it holds at once. What loosens it (fewer backups kept, weaker encryption, fewer namespaces) is a change
/// that waits, and takes the place of one that waited before. What is left out gets its default, but the folder stays.
#[utoipa::path(
    put, path = "/api/v1/plans/{id}", operation_id = "replace_plan", tag = "plans",
    params(("id" = inline(PlanId), Path, description = "The plan."), IfMatch),
    request_body(content = NewPlan, description = "All its settings."),
    responses(
        (status = 200, description = "The plan as it is now, and what waits.", body = PlanChanged),
        (status = 409, response = ApiProblem),
    ),
)]
pub(super) async fn replace(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<PlanId>,
    IfMatch(expected): IfMatch,
    Json(wanted): Json<NewPlan>,
) -> Result<Versioned<PlanChanged>, ApiError> {
    let changed = plans::replace(&service, &actor, &id, (&expected, wanted)).await?;
    let version = changed.plan.version;
    Ok(Versioned(changed, version))
}

/// What becomes of what is left.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteQuery {
    /// What becomes of its backups. `expire` waits, as everything does that loosens.
    #[serde(default)]
    #[param(inline)]
    backups: BackupsOfDeleted,
}

/// Deletes a plan.
///
/// Its backups stay unless they are to expire.
#[utoipa::path(
    delete, path = "/api/v1/plans/{id}", operation_id = "delete_plan", tag = "plans",
    params(("id" = inline(PlanId), Path, description = "The plan."), IfMatch, DeleteQuery),
    responses(
        (status = 202, description = "It will be deleted: the change that waits.", body = Change),
        (status = 204, description = "It is deleted."),
        (status = 409, response = ApiProblem),
    ),
)]
pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<PlanId>,
    IfMatch(expected): IfMatch,
    Query(query): Query<DeleteQuery>,
) -> Result<Response, ApiError> {
    let waiting = plans::delete(&service, &actor, &id, (&expected, query.backups)).await?;
    Ok(waits_or_done(waiting))
}

/// The change that waits, or nothing more to say.
pub(super) fn waits_or_done(waiting: Option<Change>) -> Response {
    match waiting {
        Some(change) => (StatusCode::ACCEPTED, axum::Json(change)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// Stops a plan from starting runs by itself.
#[utoipa::path(
    post, path = "/api/v1/plans/{id}/pause", operation_id = "pause_plan", tag = "plans",
    params(("id" = inline(PlanId), Path, description = "The plan.")),
    responses((status = 200, description = "The plan as it is now.", body = Plan)),
)]
pub(super) async fn pause(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<PlanId>,
) -> Result<Versioned<Plan>, ApiError> {
    let plan = plans::pause(&service, &actor, &id, true).await?;
    let version = plan.version;
    Ok(Versioned(plan, version))
}

/// Lets a plan start runs again. What was due while it was paused is not made up for.
#[utoipa::path(
    post, path = "/api/v1/plans/{id}/resume", operation_id = "resume_plan", tag = "plans",
    params(("id" = inline(PlanId), Path, description = "The plan.")),
    responses((status = 200, description = "The plan as it is now.", body = Plan)),
)]
pub(super) async fn resume(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<PlanId>,
) -> Result<Versioned<Plan>, ApiError> {
    let plan = plans::pause(&service, &actor, &id, false).await?;
    let version = plan.version;
    Ok(Versioned(plan, version))
}

/// Makes a backup now, also of a plan that is paused.
#[utoipa::path(
    post, path = "/api/v1/plans/{id}/run", operation_id = "run_plan", tag = "plans",
    params(("id" = inline(PlanId), Path, description = "The plan."), IdempotencyKey),
    responses((status = 201, description = "The run.", body = Run)),
)]
pub(super) async fn run(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<PlanId>,
    NewWithout(once): NewWithout,
) -> Result<Response, ApiError> {
    let run = runs::run_now(&service, &actor, &id, once.as_ref()).await?;
    Ok(created(&format!("/api/v1/runs/{}", run.id), axum::Json(run)))
}

/// How many occurrences.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct OccurrencesQuery {
    /// How many at most; 10 if it is left out.
    #[serde(default, deserialize_with = "from_text")]
    #[param(value_type = Option<i64>, minimum = 1, maximum = 100, default = 10)]
    limit: Option<Int<1, 100>>,
}

/// Shows when a plan runs next, with what is unusual because clocks change.
#[utoipa::path(
    get, path = "/api/v1/plans/{id}/occurrences", operation_id = "list_occurrences", tag = "plans",
    params(("id" = inline(PlanId), Path, description = "The plan."), OccurrencesQuery),
    responses((
        status = 200,
        description = "Its next times, soonest first; none if it is paused or never runs again.",
        body = Page<Occurrence>,
    )),
)]
pub(super) async fn occurrences(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<PlanId>,
    Query(query): Query<OccurrencesQuery>,
) -> Result<Page<Occurrence>, ApiError> {
    let count = query.limit.unwrap_or(Int::of(10)).as_usize();
    Ok(Page { items: plans::occurrences(&service, &actor, &id, count).await?, next: None })
}

/// Checks settings of a plan that are not saved: when it would run, and what would go wrong.
#[utoipa::path(
    post, path = "/api/v1/plans/preview", operation_id = "preview_plan", tag = "plans",
    request_body(content = NewPlan, description = "The settings."),
    responses((status = 200, description = "What they would do.", body = PlanPreview)),
)]
pub(super) async fn preview(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Json(wanted): Json<NewPlan>,
) -> Result<axum::Json<PlanPreview>, ApiError> {
    Ok(axum::Json(plans::preview(&service, &actor, wanted).await?))
}
