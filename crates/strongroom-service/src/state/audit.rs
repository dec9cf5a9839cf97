//! The audit log. It is only added to.

use super::db::Row;
use super::sql::{Sql, json};
use super::{Conn, Page, PageRequest, Result};
use crate::model::{AuditEvent, UserId};

/// Which entries are listed.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// What this user did.
    pub user: Option<UserId>,
    /// What was done to this.
    pub subject: Option<String>,
    /// This was done, such as `plan.update`.
    pub action: Option<String>,
}

fn read(row: &Row) -> Result<AuditEvent> {
    row.json("body")
}

/// Adds an entry, in the transaction of what it tells of.
///
/// # Errors
/// What the database answers.
pub async fn append(conn: &mut Conn, entry: &AuditEvent) -> Result<()> {
    let insert = "INSERT INTO audit (id, user_id, action, subject, body) VALUES ($1, $2, $3, $4, $5)";
    let insert = Sql::new(insert).bind(&entry.id).bind(entry.user.as_ref()).bind(&entry.action);
    conn.execute(insert.bind(entry.subject.as_deref()).bind(json(entry)?)).await.map(drop)
}

/// A page of entries, newest first.
///
/// # Errors
/// What the database answers.
pub async fn list(conn: &mut Conn, filter: &AuditFilter, page: &PageRequest) -> Result<Page<AuditEvent>> {
    let select = Sql::new("SELECT id, body FROM audit WHERE 1 = 1")
        .push_some(" AND user_id = ", filter.user.as_ref())
        .push_some(" AND subject = ", filter.subject.as_deref())
        .push_some(" AND action = ", filter.action.as_deref());
    let rows = conn.all(page.end(select)).await?;
    page.page(rows, read)
}
