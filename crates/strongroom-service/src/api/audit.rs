//! The audit log.

use std::sync::Arc;

use axum::extract::State;
use serde::Deserialize;

use super::ApiError;
use super::answer::Page;
use super::extract::{Listed, PageQuery};
use crate::control::audit;
use crate::model::{AuditEvent, Line, UserId};
use crate::service::Service;
use crate::state::audit::AuditFilter;

/// Which entries.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Only what this user did.
    #[param(inline)]
    user: Option<UserId>,
    /// Only this action, such as `plan.update`.
    #[param(value_type = Option<String>, min_length = 1, max_length = 60)]
    action: Option<Line<1, 60>>,
    /// Only what was done to the resource of this id.
    #[param(value_type = Option<String>, min_length = 1, max_length = 60)]
    subject: Option<Line<1, 60>>,
}

/// Lists entries of the audit log.
#[utoipa::path(
    get, path = "/api/v1/audit", operation_id = "list_audit", tag = "audit", params(PageQuery, AuditQuery),
    responses((status = 200, description = "Entries, newest first.", body = Page<AuditEvent>)),
)]
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    listed: Listed<AuditQuery>,
) -> Result<Page<AuditEvent>, ApiError> {
    let AuditQuery { user, action, subject } = listed.filter;
    let text = |line: Line<1, 60>| line.as_str().to_owned();
    let filter = AuditFilter { user, action: action.map(text), subject: subject.map(text) };
    Ok(audit::list(&service, &filter, &listed.page.into()).await?.into())
}
