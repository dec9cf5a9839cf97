//! What is refused outside the prefix, to strangers, and to identities of whom another one does it.

use serde_json::{Value, json};

use super::{Answer, BODY, Bench, Finding, Must, Verdict, Way, probe, seen};
use crate::bucket::actions::Role;
use crate::guard::policy::{Attached, documents};

impl Bench<'_> {
    pub(super) async fn outside(&mut self) {
        if self.settings.prefix.is_empty() {
            return;
        }
        let outside = format!("{}-strongroom-prove/object", self.settings.prefix);
        let wanted = self.wanted();
        let answer = self.put_at(Role::Writer, Way::Usual, &outside, &wanted).await;
        let mend = self.allowing(Role::Writer, "s3:PutObject");
        self.must_refuse(
            "put-outside",
            "nothing can be written outside the prefix",
            format!("PutObject {outside}"),
            &answer,
            mend,
        );
        let restorer = self.identity(Role::Restorer);
        let mend = self.allowing(Role::Restorer, "s3:ListBucket");
        let answer = restorer.prober.list(Way::Usual, "").await;
        self.must_refuse(
            "list-outside",
            "nothing can be listed outside the prefix",
            "ListObjectsV2 of the whole bucket",
            &answer,
            mend,
        );
        self.get_outside().await;
    }

    /// Whether an object is there is told only to those who may list: it takes one that is there.
    async fn get_outside(&mut self) {
        let about = ("get-outside", "nothing can be read outside the prefix");
        let key = format!("{}-strongroom-prove/admins", self.settings.prefix);
        let Some(admin) = &self.admin else {
            self.findings.push(Finding {
                id: about.0,
                name: about.1.into(),
                request: "none".into(),
                expected: Must::BeRefused.words().into(),
                seen: "it takes an object outside the prefix, which --admin-profile puts there".into(),
                verdict: Verdict::CouldNotTell,
                mend: None,
            });
            return;
        };
        let there = admin.put(Way::Usual, &key, BODY, &self.wanted()).await;
        if there.done() {
            self.made.push((key.clone(), there.version_id.clone()));
        }
        let answer = match there.done() {
            true => self.identity(Role::Restorer).prober.get(Way::Usual, &key, None).await,
            // Without the object nothing is learnt.
            false => {
                Answer { status: None, message: format!("the admin's PutObject: {}", seen(&there)), ..there }
            }
        };
        let mend = self.allowing(Role::Restorer, "s3:GetObject");
        self.must_refuse(about.0, about.1, format!("GetObject {key}"), &answer, mend);
    }

    /// What everybody is refused.
    pub(in crate::guard::prove) async fn strangers(&mut self) {
        let wanted = self.wanted();
        let key = self.key("anonymous");
        let there = self.put(Role::Writer, Way::Usual, "anonymous", &wanted).await;
        let mend = json!({"setting": "Block Public Access", "to": "all four on", "command": "strongroom bucket provision"});
        let writer = self.identity(Role::Writer);
        if there.done() {
            let answer = writer.prober.get(Way::Anonymous, &key, None).await;
            self.must_refuse(
                "anonymous-get",
                "a stranger cannot read",
                format!("GetObject {key} without a signature"),
                &answer,
                Some(mend.clone()),
            );
        }
        let prefix = self.settings.below();
        let answer = writer.prober.list(Way::Anonymous, &prefix).await;
        self.must_refuse(
            "anonymous-list",
            "a stranger cannot list",
            "ListObjectsV2 without a signature",
            &answer,
            Some(mend.clone()),
        );
        let answer = self.put(Role::Writer, Way::Anonymous, "anonymous-put", &wanted).await;
        self.must_refuse(
            "anonymous-put",
            "a stranger cannot write",
            "PutObject without a signature",
            &answer,
            Some(mend),
        );
    }

    /// What the identities of the profile `split` are refused, because another one does it.
    pub(in crate::guard::prove) async fn separation(&mut self) {
        if !self.is_split() {
            return;
        }
        let wanted = self.wanted();
        let key = self.key("separation");
        let there = self.put(Role::Writer, Way::Usual, "separation", &wanted).await;
        if !there.done() {
            return;
        }
        let version = there.version_id.as_deref();
        let refused = |id, name, request: String| probe(id, name, request, Must::BeRefused);
        let answer = self.identity(Role::Writer).prober.get(Way::Usual, &key, None).await;
        self.find(
            refused("writer-reads", "the writer cannot read backups", format!("GetObject {key}")),
            &answer,
            self.narrow(Role::Writer),
        );
        let prefix = self.settings.below();
        let answer = self.identity(Role::Writer).prober.list(Way::Usual, &prefix).await;
        self.find(
            refused("writer-lists", "the writer cannot list backups", format!("ListObjectsV2 {prefix}")),
            &answer,
            self.narrow(Role::Writer),
        );
        for (id, name, role) in [
            ("writer-deletes", "the writer cannot delete", Role::Writer),
            ("restorer-deletes", "the restorer cannot delete", Role::Restorer),
        ] {
            let answer = self.identity(role).prober.delete(&key, version).await;
            self.find(refused(id, name, format!("DeleteObject {key}")), &answer, self.narrow(role));
        }
        for (id, name, role) in [
            ("restorer-writes", "the restorer cannot write", Role::Restorer),
            ("pruner-writes", "the pruner cannot write backups", Role::Pruner),
        ] {
            let answer = self.put(role, Way::Usual, id, &wanted).await;
            self.find(refused(id, name, format!("PutObject {}", self.key(id))), &answer, self.narrow(role));
        }
        let answer = self.identity(Role::Pruner).prober.get(Way::Usual, &key, None).await;
        self.find(
            refused("pruner-reads", "the pruner cannot read what backups hold", format!("GetObject {key}")),
            &answer,
            self.narrow(Role::Pruner),
        );
    }

    /// The whole policy that a role should have and no more.
    fn narrow(&self, role: Role) -> Option<Value> {
        documents(self.settings).into_iter().find_map(|document| match &document.attached {
            Attached::Identity { roles, .. } if roles.contains(&role) => Some(document.policy),
            _ => None,
        })
    }
}
