//! What backups need, request by request.

use super::{Bench, Must, Outcome, Probe, Verdict};
use serde_json::json;

use crate::bucket::actions::{self, Role};
use crate::bucket::probe::{Answer, Done, Oddity, Way};
use crate::bucket::{Checksum, Sse};
use crate::error::{Code, Error, Result};
use crate::guard::prove::bench::BODY;
use crate::guard::prove::outcome::seen;

impl Bench<'_> {
    /// What backups need, request by request.
    pub(in crate::guard::prove) async fn needed(&mut self) -> Result<()> {
        let key = self.key("object");
        let wanted = self.wanted();
        let put = self.put("object", &wanted).await?;
        let asked = wanted.sse.header().unwrap_or("no encryption header");
        let fix = self.allowing(Role::Writer, actions::PUT.action);
        let request = format!("PutObject {key}, {asked}, If-None-Match: *");
        self.judge(
            Probe::new("put", "an object can be written as planned", Must::Work, request),
            put.clone(),
            fix,
        );
        if matches!(put, Answer::Error { .. }) && !put.refused() {
            self.checksum(&put).await?;
        }
        if put.done().is_some() && wanted.sse != Sse::None {
            self.reported(&put);
        }
        self.written_once(&key).await?;
        self.read_back(&key).await?;
        match put.done() {
            Some(put) => self.deleted(&key, put.version_id.as_deref()).await,
            None => Ok(()),
        }
    }

    /// Some servers refuse one kind of checksum: which do they take?
    async fn checksum(&mut self, put: &Answer) -> Result<()> {
        let chosen = self.identity(Role::Writer).prober.checksum();
        for other in Checksum::ALL.into_iter().filter(|other| *other != chosen) {
            let odd = Oddity { checksum: Some(other), ..self.wanted() };
            let answer = self.put(&format!("checksum-{other}"), &odd).await?;
            if answer.done().is_none() {
                continue;
            }
            let name = "objects are taken with the checksum that goes with them";
            let request = format!("PutObject with checksum {chosen}, and again with {other}");
            let seen = format!("{} with {chosen}, {} with {other}", seen(put), seen(&answer));
            let mut finding = Probe::new("checksum", name, Must::Work, request).finding(Verdict::Fail, seen);
            finding.fix = Some(json!({"setting": "checksum", "to": other}));
            self.found(finding);
            break;
        }
        Ok(())
    }

    fn reported(&mut self, put: &Answer) {
        let wanted = self.settings.sse.header();
        let verdict = match put.done().and_then(|put| put.encryption.as_deref()) {
            None => Verdict::CouldNotTell,
            found if found == wanted => Verdict::Pass,
            Some(_) => Verdict::Fail,
        };
        let name = "the answer reports the encryption that was asked for";
        let probe = Probe::new("put-reported", name, Must::Work, "the answer to the same PutObject");
        let mut finding = probe.finding(verdict, seen(put));
        finding.expected = format!("encryption {}", wanted.unwrap_or_default());
        self.found(finding);
    }

    async fn written_once(&mut self, key: &str) -> Result<()> {
        let again = self.put("object", &self.wanted()).await?;
        let request = format!("PutObject {key} again, If-None-Match: *");
        let name = "an object that is there is not replaced";
        self.judge(Probe::new("write-once", name, Must::Conflict, request), again, None);
        Ok(())
    }

    async fn read_back(&mut self, key: &str) -> Result<()> {
        let got = self.ask(self.identity(Role::Restorer).prober.get(Way::Usual, key, None)).await?;
        let outcome = match &got {
            Answer::Done(Done { more: Some(body), .. }) if body.as_bytes() != BODY => {
                Outcome::Failed(Error::new(Code::Damaged, "other bytes came back"))
            }
            _ => got.into(),
        };
        let fix = self.allowing(Role::Restorer, actions::GET.action);
        let name = "what was written can be read back";
        self.judge(Probe::new("get", name, Must::Work, format!("GetObject {key}")), outcome, fix);
        Ok(())
    }

    async fn deleted(&mut self, key: &str, version_id: Option<&str>) -> Result<()> {
        let gone = self.ask(self.identity(Role::Pruner).prober.delete(key, version_id)).await?;
        let is_gone = gone.done().is_some();
        if is_gone {
            self.made.deleted(key, version_id);
        }
        let version = version_id.map(|id| format!(" version {id}")).unwrap_or_default();
        let request = format!("DeleteObject {key}{version}");
        if self.settings.object_lock.is_some() {
            self.must_refuse(("locked", "a locked version cannot be deleted"), request, gone, None);
            return Ok(());
        }
        let delete = if version_id.is_some() { actions::DELETE_VERSION } else { actions::DELETE };
        let fix = self.allowing(Role::Pruner, delete.action);
        let name = "what was written can be deleted, by version";
        self.judge(Probe::new("delete", name, Must::Work, request), gone, fix);
        if is_gone && version_id.is_some() {
            let after =
                self.ask(self.identity(Role::Restorer).prober.get(Way::Usual, key, version_id)).await?;
            let request = format!("GetObject {key}{version}");
            let name = "deleting by version frees the bytes";
            self.judge(Probe::new("delete-frees", name, Must::BeGone, request), after, None);
        }
        Ok(())
    }
}
