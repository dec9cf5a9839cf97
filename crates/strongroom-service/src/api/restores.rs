//! What a restore will do. It is run as a run.

use std::sync::Arc;

use axum::extract::State;

use super::extract::Json;
use super::{ApiError, ApiProblem};
use crate::control::{Actor, restores};
use crate::model::{RestorePreview, RestoreQuestion};
use crate::service::Service;

/// Shows what a restore would do: it reads the backup's manifest and looks at the target, and changes nothing.
///
/// The digest of the answer is what a restore wants as `preview`. The run then does exactly this, or fails.
#[utoipa::path(
    post, path = "/api/v1/restores/preview", operation_id = "preview_restore", tag = "runs",
    request_body(content = RestoreQuestion, description = "The backup, the target, and what to restore."),
    responses(
        (status = 200, description = "What it would do.", body = RestorePreview),
        (status = 409, response = ApiProblem),
        (status = 429, response = ApiProblem),
        (status = 502, response = ApiProblem),
    ),
)]
pub(super) async fn preview(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Json(asked): Json<RestoreQuestion>,
) -> Result<axum::Json<RestorePreview>, ApiError> {
    Ok(axum::Json(restores::preview(&service, &actor, asked).await?))
}
