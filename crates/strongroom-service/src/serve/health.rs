//! Whether the process lives, and whether it can do its work: for whoever restarts it or sends it requests.

use std::time::Duration;

use axum::extract::State as Shared;
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Loops;
use crate::state::State;

/// How long the database may take to answer.
const LONGEST: Duration = Duration::from_secs(3);

/// What readiness is made of.
#[derive(Clone)]
pub(super) struct Health {
    pub(super) state: State,
    pub(super) loops: Loops,
    pub(super) stop: CancellationToken,
}

impl Health {
    /// `/livez`: the process answers. `/readyz`: the database answers, all loops run, and the service is not stopping.
    pub(super) fn router(self) -> Router {
        Router::new().route("/livez", get(async || "alive\n")).route("/readyz", get(ready)).with_state(self)
    }
}

async fn ready(Shared(health): Shared<Health>) -> (StatusCode, Json<serde_json::Value>) {
    let database = matches!(tokio::time::timeout(LONGEST, health.state.check()).await, Ok(Ok(())));
    let (down, stopping) = (health.loops.down(), health.stop.is_cancelled());
    let ready = database && down.is_empty() && !stopping;
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "ready": ready, "database": database, "loops_down": down, "stopping": stopping });
    (status, Json(body))
}
