//! The one table of routes.

use std::sync::Arc;

use axum::routing::MethodRouter;
use http::Method;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa_axum::router::UtoipaMethodRouter;
use utoipa_axum::routes;

use super::document;
use crate::model::Role;
use crate::service::Service;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, signed in or not.
    Public,
    /// Who has at least this role, and the right to restore where that is wanted.
    SignedIn {
        /// The least role.
        least: Role,
        /// Whether the right to restore is needed.
        restorer: bool,
        /// Whether a token that is for certain deployments or plans may use it. It sees nothing of others.
        scoped: bool,
    },
}

/// Every route and who may use it.
#[must_use]
pub fn table() -> Vec<Route> {
    vec![Route::of(Access::Public, routes!(document::show))]
}

/// A route: its operation, and who may use it.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces.
    pub path: String,
    /// Who may use it.
    pub access: Access,
    pub(super) made: UtoipaMethodRouter<Arc<Service>>,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} ({:?})", self.method, self.path, self.access)
    }
}

impl Route {
    fn of(access: Access, made: UtoipaMethodRouter<Arc<Service>>) -> Self {
        let described = made.1.paths.iter().find_map(|(path, item)| {
            let (method, _) = operations(item).into_iter().next()?;
            Some((method, path.clone()))
        });
        let (method, path) = described.unwrap_or_default();
        Self { method, path, access, made }
    }

    /// The path, and the handler behind the check of who may use it.
    pub(super) fn guarded(self, _service: &Arc<Service>) -> (String, MethodRouter<Arc<Service>>) {
        (self.path, self.made.2)
    }
}

/// The operations of a path.
fn operations(item: &PathItem) -> Vec<(Method, &Operation)> {
    let all = [
        (Method::GET, &item.get),
        (Method::POST, &item.post),
        (Method::PUT, &item.put),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?))).collect()
}
