//! What backups need, request by request.

use super::{Answer, BODY, Bench, Finding, Must, Verdict, Way, probe, seen};
use crate::bucket::Sse;
use crate::bucket::actions::Role;

impl Bench<'_> {
    /// What backups need, request by request.
    pub(in crate::guard::prove) async fn needed(&mut self) {
        let wanted = self.wanted();
        let key = self.key("object");
        let put = self.put(Role::Writer, Way::Usual, "object", &wanted).await;
        let asked = wanted.sse.header().unwrap_or("no encryption header");
        let mend = self.allowing(Role::Writer, "s3:PutObject");
        self.find(
            probe(
                "put",
                "an object can be written as planned",
                format!("PutObject {key}, {asked}, If-None-Match: *"),
                Must::Work,
            ),
            &put,
            mend,
        );
        if put.done() && wanted.sse != Sse::None {
            self.reported(&put);
        }
        let again = self.identity(Role::Writer).prober.put(Way::Usual, &key, b"other bytes", &wanted).await;
        self.find(
            probe(
                "write-once",
                "an object that is there is not replaced",
                format!("PutObject {key} again, If-None-Match: *"),
                Must::Conflict,
            ),
            &again,
            None,
        );
        let got = self.identity(Role::Restorer).prober.get(Way::Usual, &key, None).await;
        let mend = self.allowing(Role::Restorer, "s3:GetObject");
        let same = got.more.as_deref().map(str::as_bytes) == Some(BODY);
        let got = if got.done() && !same {
            Answer { status: Some(500), message: "other bytes came back".into(), ..got }
        } else {
            got
        };
        self.find(
            probe("get", "what was written can be read back", format!("GetObject {key}"), Must::Work),
            &got,
            mend,
        );
        if put.done() {
            self.deleted(&key, put.version_id.as_deref()).await;
        }
    }

    fn reported(&mut self, put: &Answer) {
        let wanted = self.settings.sse.header();
        let verdict = match put.encryption.as_deref() {
            None => Verdict::CouldNotTell,
            found if found == wanted => Verdict::Pass,
            Some(_) => Verdict::Fail,
        };
        self.findings.push(Finding {
            id: "put-reported",
            name: "the answer reports the encryption that was asked for".into(),
            request: "the answer to the same PutObject".into(),
            expected: format!("encryption {}", wanted.unwrap_or_default()),
            seen: seen(put),
            verdict,
            mend: None,
        });
    }

    async fn deleted(&mut self, key: &str, version_id: Option<&str>) {
        let gone = self.identity(Role::Pruner).prober.delete(key, version_id).await;
        let locked = self.settings.object_lock.is_some();
        let (id, name, must) = match locked {
            true => ("locked", "a locked version cannot be deleted", Must::BeRefused),
            false => ("delete", "what was written can be deleted, by version", Must::Work),
        };
        let action = if version_id.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
        let mend = self.allowing(Role::Pruner, action).filter(|_| !locked);
        let version = version_id.map(|id| format!(" version {id}")).unwrap_or_default();
        self.find(probe(id, name, format!("DeleteObject {key}{version}"), must), &gone, mend);
        if gone.done() {
            self.forgotten(key);
        }
        if gone.done() && version_id.is_some() && !locked {
            let after = self.identity(Role::Restorer).prober.get(Way::Usual, key, version_id).await;
            let verdict = if after.done() { Verdict::Fail } else { Verdict::Pass };
            self.findings.push(Finding {
                id: "delete-frees",
                name: "deleting by version frees the bytes".into(),
                request: format!("GetObject {key}{version}"),
                expected: "404".into(),
                seen: seen(&after),
                verdict,
                mend: None,
            });
        }
    }
}
