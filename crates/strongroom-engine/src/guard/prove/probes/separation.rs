//! What each of three identities is refused, because another one does it.

use super::{Answer, Bench};
use crate::bucket::actions::Role;
use crate::bucket::probe::Way;
use crate::error::Result;

type About = (&'static str, &'static str);

/// Who may not read what backups hold, who may not delete, who may not write.
const READS: [(Role, About); 2] = [
    (Role::Writer, ("writer-reads", "the writer cannot read backups")),
    (Role::Pruner, ("pruner-reads", "the pruner cannot read what backups hold")),
];
const DELETES: [(Role, About); 2] = [
    (Role::Writer, ("writer-deletes", "the writer cannot delete")),
    (Role::Restorer, ("restorer-deletes", "the restorer cannot delete")),
];
const WRITES: [(Role, About); 2] = [
    (Role::Restorer, ("restorer-writes", "the restorer cannot write")),
    (Role::Pruner, ("pruner-writes", "the pruner cannot write backups")),
];

impl Bench<'_> {
    /// What each of three identities is refused.
    pub(in crate::guard::prove) async fn separation(&mut self) -> Result<()> {
        if !self.is_split() {
            return Ok(());
        }
        let key = self.key("separation");
        let there = self.put("separation", &self.wanted()).await?;
        let Some(there) = there.done() else { return Ok(()) };
        for (role, about) in READS {
            let answer = self.ask(self.identity(role).prober.get(Way::Usual, &key, None)).await?;
            self.kept_apart(role, about, format!("GetObject {key}"), answer);
        }
        let prefix = self.settings.below();
        let answer = self.ask(self.identity(Role::Writer).prober.list(Way::Usual, &prefix)).await?;
        let about = ("writer-lists", "the writer cannot list backups");
        self.kept_apart(Role::Writer, about, format!("ListObjectsV2 {prefix}"), answer);
        for (role, about) in WRITES {
            let key = self.key(about.0);
            let answer = self.put_as(role, Way::Usual, &key, &self.wanted()).await?;
            self.kept_apart(role, about, format!("PutObject {key}"), answer);
        }
        for (role, about) in DELETES {
            let answer =
                self.ask(self.identity(role).prober.delete(&key, there.version_id.as_deref())).await?;
            self.kept_apart(role, about, format!("DeleteObject {key}"), answer);
        }
        Ok(())
    }

    fn kept_apart(&mut self, role: Role, about: About, request: String, answer: Answer) {
        let fix = self.policy_of(role).cloned();
        self.must_refuse(about, request, answer, fix);
    }
}
