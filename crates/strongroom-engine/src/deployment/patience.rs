//! How long the next reply of a cursor is waited for.

use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};

use super::setback::Setback;
use super::{Deployment, any_member, run};
use crate::waits::{Wait, Waits};

/// How long a server is waited for: to the limit, and longer while it says that it is at work.
pub(super) struct Patience {
    waits: Waits,
    member: String,
    /// A search may go through all of a collection for one document that it finds.
    search: Option<(Client, String)>,
}

impl Patience {
    /// For what `command` asks of `client`. A search gets a comment by which the server's list of operations tells
    /// it.
    pub(super) fn new(deployment: &Deployment, client: &Client, command: &mut Document) -> Self {
        let search = (command.contains_key("find") && command.contains_key("filter")).then(|| {
            let comment = format!("strongroom {:016x}", rand::random::<u64>());
            command.insert("comment", &comment);
            (client.clone(), comment)
        });
        Self { waits: deployment.waits, member: deployment.member(), search }
    }

    /// What `reply` gives.
    pub(super) async fn wait<T>(&self, reply: impl Future<Output = T>) -> Result<T, Setback> {
        let mut reply = std::pin::pin!(reply);
        loop {
            match tokio::time::timeout(self.waits.longest(Wait::FirstByte), &mut reply).await {
                Ok(reply) => return Ok(reply),
                Err(_) if self.is_worked_on().await => {}
                Err(_) => {
                    let what = format!("`{}`", self.member);
                    return Err(Setback::Lost(self.waits.stalled(Wait::FirstByte, what)));
                }
            }
        }
    }

    /// Whether the server works on it. Everybody may ask that of his own operations.
    async fn is_worked_on(&self) -> bool {
        let Some((client, comment)) = &self.search else { return false };
        let of_ours =
            ["command.comment", "cursor.originatingCommand.comment"].map(|key| doc! { key: comment });
        let command = doc! { "currentOp": 1, "$ownOps": true, "active": true, "$or": of_ours.to_vec() };
        let (admin, any) = (client.database("admin"), any_member());
        let asked = tokio::time::timeout(self.waits.longest(Wait::FirstByte), run(&admin, command, &any));
        let Ok(Ok(answer)) = asked.await else { return false };
        answer.get("inprog").and_then(Bson::as_array).is_some_and(|operations| !operations.is_empty())
    }
}
