//! What a plan will have stored.

use std::sync::Arc;

use axum::extract::State;

use super::extract::Json;
use super::{ApiError, ApiProblem};
use crate::control::{Actor, simulations};
use crate::model::Simulation;
use crate::service::Service;
use crate::simulate::Forecast;

/// Foresees what a plan will have stored on a date, why, and what it costs. Nothing is changed.
#[utoipa::path(
    post, path = "/api/v1/simulations", operation_id = "simulate", tag = "plans",
    request_body(content = Simulation, description = "The plan, and the date."),
    responses(
        (status = 200, description = "What there will be.", body = Forecast),
        (status = 404, response = ApiProblem),
    ),
)]
pub(super) async fn run(
    State(service): State<Arc<Service>>,
    actor: Actor,
    Json(asked): Json<Simulation>,
) -> Result<axum::Json<Forecast>, ApiError> {
    Ok(axum::Json(simulations::run(&service, &actor, asked).await?))
}
