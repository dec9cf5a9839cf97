//! Locations.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::answer::{Page, Versioned, created};
use super::extract::{IdempotencyKey, IfMatch, Json, LabelQuery, Listed, New, PageQuery, Path};
use super::{ApiError, ApiProblem};
use crate::control::{Actor, locations};
use crate::model::{Location, LocationId, NewLocation};
use crate::service::Service;
use crate::state::locations::LocationFilter;

/// Lists locations.
#[utoipa::path(
    get, path = "/api/v1/locations", operation_id = "list_locations", tag = "locations",
    params(PageQuery, LabelQuery),
    responses((status = 200, description = "Locations, newest first.", body = Page<Location>)),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    listed: Listed<LabelQuery>,
) -> Result<Page<Location>, ApiError> {
    let (name, label) = (listed.filter.name, listed.filter.label.map(Into::into));
    let filter = LocationFilter { name, label, ..LocationFilter::default() };
    Ok(locations::list(&service, &filter, &listed.page.into()).await?.into())
}

/// Makes a location.
///
/// Nothing is asked of its server: a run of the kind `prove` does that.
#[utoipa::path(
    post, path = "/api/v1/locations", operation_id = "create_location", tag = "locations",
    params(IdempotencyKey),
    request_body(content = NewLocation, description = "The location."),
    responses((status = 201, description = "The location.", body = Location)),
)]
pub(super) async fn create(
    State(service): State<Arc<Service>>,
    actor: Actor,
    new: New<NewLocation>,
) -> Result<Response, ApiError> {
    let made = locations::create(&service, &actor, new.body, new.once.as_ref()).await?;
    let (path, version) = (format!("/api/v1/locations/{}", made.id), made.version);
    Ok(created(&path, Versioned(made, version)))
}

/// Shows a location.
#[utoipa::path(
    get, path = "/api/v1/locations/{id}", operation_id = "get_location", tag = "locations",
    params(("id" = inline(LocationId), Path, description = "The location.")),
    responses((status = 200, description = "The location.", body = Location)),
)]
pub(super) async fn get(
    State(service): State<Arc<Service>>,
    Path(id): Path<LocationId>,
) -> Result<Versioned<Location>, ApiError> {
    let found = locations::get(&service, &id).await?;
    let version = found.version;
    Ok(Versioned(found, version))
}

/// Replaces a location. What is left out gets its default, but a key whose `secret` is left out keeps it.
#[utoipa::path(
    put, path = "/api/v1/locations/{id}", operation_id = "replace_location", tag = "locations",
    params(("id" = inline(LocationId), Path, description = "The location."), IfMatch),
    request_body(content = NewLocation, description = "All of the location."),
    responses(
        (status = 200, description = "The location as it is now.", body = Location),
        (status = 409, response = ApiProblem),
    ),
)]
pub(super) async fn replace(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<LocationId>,
    IfMatch(expected): IfMatch,
    Json(wanted): Json<NewLocation>,
) -> Result<Versioned<Location>, ApiError> {
    let replaced = locations::replace(&service, &actor, &id, &expected, wanted).await?;
    let version = replaced.version;
    Ok(Versioned(replaced, version))
}

/// Deletes a location that has no plans and no backups in the catalogue.
///
/// Nothing is deleted in the bucket.
#[utoipa::path(
    delete, path = "/api/v1/locations/{id}", operation_id = "delete_location", tag = "locations",
    params(("id" = inline(LocationId), Path, description = "The location."), IfMatch),
    responses(
        (status = 204, description = "The location is deleted."),
        (status = 409, response = ApiProblem),
    ),
)]
pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Path(id): Path<LocationId>,
    IfMatch(expected): IfMatch,
) -> Result<StatusCode, ApiError> {
    locations::delete(&service, &actor, &id, &expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
