//! The HTTP interface: one file a resource. Handlers extract, call `control`, and respond.
//!
//! Everything is built from one table ([`routes`]): the router, the checks of who may do what, the description of the
//! API, and the test of all of them.

mod answer;
mod audit;
mod backups;
mod changes;
mod client;
mod cookie;
mod csrf;
mod deployments;
mod document;
mod edge;
mod events;
mod extract;
mod guard;
mod identities;
mod locations;
mod plans;
mod problem;
mod restores;
mod routes;
mod runs;
mod schema;
mod session;
mod settings;
mod simulations;
mod summary;
mod tokens;
mod users;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;

pub use client::Client;
pub use document::document;
use extract::MAX_BODY;
pub use problem::{ApiError, ApiProblem, PROBLEM_JSON};
pub use routes::{Access, Route, table};

use crate::service::Service;

/// The whole HTTP interface.
pub fn router(service: Arc<Service>) -> Router {
    let mut router = Router::new();
    for route in table() {
        let (path, handler) = route.guarded(&service);
        router = router.route(&path, handler);
    }
    layered(router, service)
}

/// The routes with what holds for all of them.
fn layered(routes: Router<Arc<Service>>, service: Arc<Service>) -> Router {
    routes
        .fallback(edge::nowhere)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(edge::in_time))
        .layer(CatchPanicLayer::custom(edge::panicked))
        .layer(middleware::from_fn_with_state(service.clone(), edge::outermost))
        .with_state(service)
}
