//! How everything stands.

use std::sync::Arc;

use axum::extract::State;

use super::ApiError;
use crate::control::summary;
use crate::model::Summary;
use crate::service::Service;

/// Shows how everything stands, for a first page.
#[utoipa::path(
    get, path = "/api/v1/summary", operation_id = "get_summary", tag = "service",
    responses((status = 200, description = "How everything stands.", body = Summary)),
)]
pub(super) async fn get(State(service): State<Arc<Service>>) -> Result<axum::Json<Summary>, ApiError> {
    Ok(axum::Json(summary::get(&service).await?))
}
