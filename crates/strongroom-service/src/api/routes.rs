//! The one table of routes.

use std::sync::Arc;

use axum::middleware;
use axum::routing::MethodRouter;
use http::Method;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa_axum::router::UtoipaMethodRouter;
use utoipa_axum::routes;

use super::{
    audit, backups, changes, deployments, document, events, guard, identities, locations, plans, restores,
    runs, session, settings, simulations, summary, tokens, users,
};
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

/// For everybody.
const ANYBODY: Access = Access::Public;
/// See: everything but secrets.
const VIEWER: Access = Access::SignedIn { least: Role::Viewer, restorer: false, scoped: false };
/// Keep things going.
const OPERATOR: Access = Access::SignedIn { least: Role::Operator, restorer: false, scoped: false };
/// Restore.
const RESTORER: Access = Access::SignedIn { least: Role::Operator, restorer: true, scoped: false };
/// Set up.
const ADMIN: Access = Access::SignedIn { least: Role::Admin, restorer: false, scoped: false };

impl Access {
    /// A token for certain deployments or plans may use the route, whose handler shows it nothing of others.
    const fn scoped(self) -> Self {
        match self {
            Self::Public => self,
            Self::SignedIn { least, restorer, .. } => Self::SignedIn { least, restorer, scoped: true },
        }
    }
}

/// Every route and who may use it.
#[must_use]
pub fn table() -> Vec<Route> {
    vec![
        Route::of(ANYBODY, routes!(document::show)),
        Route::of(ANYBODY, routes!(session::setup_state)),
        Route::of(ANYBODY, routes!(session::make_first_admin)),
        Route::of(ANYBODY, routes!(session::sign_in)),
        Route::of(ANYBODY, routes!(identities::begin)),
        Route::of(ANYBODY, routes!(identities::end)),
        Route::of(VIEWER.scoped(), routes!(session::who_am_i)),
        Route::of(VIEWER.scoped(), routes!(session::sign_out)),
        Route::of(VIEWER, routes!(session::list)),
        Route::of(VIEWER, routes!(session::end)),
        Route::of(ADMIN, routes!(users::list)),
        Route::of(ADMIN, routes!(users::create)),
        Route::of(ADMIN, routes!(users::get)),
        Route::of(ADMIN, routes!(users::change)),
        Route::of(VIEWER, routes!(tokens::list)),
        Route::of(VIEWER.scoped(), routes!(tokens::create)),
        Route::of(VIEWER, routes!(tokens::delete)),
        Route::of(ADMIN, routes!(audit::list)),
        Route::of(VIEWER.scoped(), routes!(deployments::list)),
        Route::of(ADMIN, routes!(deployments::create)),
        Route::of(VIEWER.scoped(), routes!(deployments::get)),
        Route::of(ADMIN.scoped(), routes!(deployments::change)),
        Route::of(ADMIN.scoped(), routes!(deployments::delete)),
        Route::of(OPERATOR.scoped(), routes!(deployments::test)),
        Route::of(VIEWER, routes!(locations::list)),
        Route::of(ADMIN, routes!(locations::create)),
        Route::of(VIEWER, routes!(locations::get)),
        Route::of(ADMIN, routes!(locations::replace)),
        Route::of(ADMIN, routes!(locations::delete)),
        Route::of(VIEWER.scoped(), routes!(events::follow)),
        Route::of(VIEWER, routes!(summary::get)),
        Route::of(VIEWER.scoped(), routes!(plans::list)),
        Route::of(ADMIN.scoped(), routes!(plans::create)),
        Route::of(ADMIN.scoped(), routes!(plans::preview)),
        Route::of(VIEWER.scoped(), routes!(plans::get)),
        Route::of(ADMIN.scoped(), routes!(plans::replace)),
        Route::of(ADMIN.scoped(), routes!(plans::delete)),
        Route::of(OPERATOR.scoped(), routes!(plans::pause)),
        Route::of(OPERATOR.scoped(), routes!(plans::resume)),
        Route::of(OPERATOR.scoped(), routes!(plans::run)),
        Route::of(VIEWER.scoped(), routes!(plans::occurrences)),
        Route::of(VIEWER.scoped(), routes!(runs::list)),
        Route::of(OPERATOR.scoped(), routes!(runs::create)),
        Route::of(VIEWER.scoped(), routes!(runs::get)),
        Route::of(OPERATOR.scoped(), routes!(runs::cancel)),
        Route::of(VIEWER.scoped(), routes!(runs::log)),
        Route::of(RESTORER.scoped(), routes!(restores::preview)),
        Route::of(VIEWER.scoped(), routes!(backups::list)),
        Route::of(VIEWER.scoped(), routes!(backups::get)),
        Route::of(OPERATOR.scoped(), routes!(backups::hold)),
        Route::of(ADMIN.scoped(), routes!(backups::lift_holds)),
        Route::of(ADMIN.scoped(), routes!(backups::expire)),
        Route::of(OPERATOR.scoped(), routes!(backups::keep)),
        Route::of(VIEWER, routes!(changes::list)),
        Route::of(VIEWER, routes!(changes::get)),
        Route::of(ADMIN, routes!(changes::approve)),
        Route::of(OPERATOR, routes!(changes::call_back)),
        Route::of(OPERATOR.scoped(), routes!(simulations::run)),
        Route::of(VIEWER, routes!(settings::get)),
        Route::of(ADMIN, routes!(settings::replace)),
    ]
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
    pub(super) fn guarded(self, service: &Arc<Service>) -> (String, MethodRouter<Arc<Service>>) {
        let check = middleware::from_fn_with_state((service.clone(), self.access), guard::check);
        (self.path, self.made.2.route_layer(check))
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
