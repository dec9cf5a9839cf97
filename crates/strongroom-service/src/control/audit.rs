//! The audit log.

use super::Result;
use crate::model::AuditEvent;
use crate::service::Service;
use crate::state::audit::AuditFilter;
use crate::state::{self, Page, PageRequest};

/// Entries, newest first.
///
/// # Errors
/// The state's.
pub async fn list(service: &Service, filter: &AuditFilter, page: &PageRequest) -> Result<Page<AuditEvent>> {
    let mut conn = service.state.reader().await?;
    Ok(state::audit::list(&mut conn, filter, page).await?)
}
