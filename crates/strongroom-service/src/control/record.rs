//! What is written beside every change: the entry of the audit log, and the event.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Actor, Result};
use crate::model::{AuditEvent, AuditId};
use crate::service::Service;
use crate::state::{Tx, audit};

/// A change, as the audit log and those who watch are told of it. What is shown of a resource holds no secret: these
/// have no written form.
#[derive(Debug)]
pub(super) struct Changed<'a> {
    /// What was done, such as `user.update`.
    pub(super) action: &'static str,
    /// The id of what it was done to.
    pub(super) subject: &'a str,
    /// How that was before.
    pub(super) before: Value,
    /// How it is since.
    pub(super) after: Value,
}

impl<'a> Changed<'a> {
    /// A change without a picture of before and after.
    pub(super) fn new(action: &'static str, subject: &'a str) -> Self {
        Self { action, subject, before: Value::Null, after: Value::Null }
    }

    /// How it was before.
    pub(super) fn before(mut self, before: &impl Serialize) -> Self {
        self.before = serde_json::to_value(before).unwrap_or_default();
        self
    }

    /// How it is since.
    pub(super) fn after(mut self, after: &impl Serialize) -> Self {
        self.after = serde_json::to_value(after).unwrap_or_default();
        self
    }

    /// Writes it down. It is the last thing of a transaction.
    pub(super) async fn record(self, tx: &mut Tx, service: &Service, actor: &Actor) -> Result<()> {
        let now = service.clock.now();
        let some = |value: Value| (!value.is_null()).then_some(value);
        let entry = AuditEvent {
            id: AuditId::new(now, rand::random()),
            at: now,
            user: actor.user.clone(),
            token: actor.token.clone(),
            address: actor.address.map(|address| address.to_string()),
            action: self.action.into(),
            subject: Some(self.subject.into()),
            before: some(self.before),
            after: some(self.after),
        };
        audit::append(tx, &entry).await?;
        tx.tell(self.action, Some(self.subject), json!({}));
        Ok(())
    }
}
