//! The settings of the whole service.

use std::sync::Arc;

use axum::extract::State;

use super::ApiError;
use super::answer::Versioned;
use super::extract::{IfMatch, Json};
use crate::control::{Actor, settings};
use crate::model::Settings;
use crate::service::Service;

/// Shows the settings.
#[utoipa::path(
    get, path = "/api/v1/settings", operation_id = "get_settings", tag = "settings",
    responses((status = 200, description = "The settings.", body = Settings)),
)]
pub(super) async fn get(State(service): State<Arc<Service>>) -> Result<Versioned<Settings>, ApiError> {
    let (settings, version) = settings::get(&service).await?;
    Ok(Versioned(settings, version))
}

/// Replaces the settings. What is left out gets its default.
///
/// What loosens something (a shorter grace or delay, no second admin) is a change that waits, and takes the place of one
/// that waited before.
#[utoipa::path(
    put, path = "/api/v1/settings", operation_id = "replace_settings", tag = "settings", params(IfMatch),
    request_body(content = Settings, description = "All settings."),
    responses((status = 200, description = "The settings as they are now.", body = Settings)),
)]
pub(super) async fn replace(
    State(service): State<Arc<Service>>,
    actor: Actor,
    IfMatch(expected): IfMatch,
    Json(wanted): Json<Settings>,
) -> Result<Versioned<Settings>, ApiError> {
    let (settings, version) = settings::replace(&service, &actor, &expected, wanted).await?;
    Ok(Versioned(settings, version))
}
