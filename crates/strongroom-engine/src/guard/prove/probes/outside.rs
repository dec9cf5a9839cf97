//! What is refused outside the prefix.

use super::{Bench, Must, Probe, Verdict};
use crate::bucket::actions::{self, Role};
use crate::bucket::probe::Way;
use crate::error::Result;
use crate::guard::prove::outcome::seen;

impl Bench<'_> {
    pub(super) async fn outside(&mut self) -> Result<()> {
        if self.settings.prefix.is_empty() {
            return Ok(());
        }
        let key = self.key_outside("object");
        let answer = self.put_as(Role::Writer, Way::Usual, &key, &self.wanted()).await?;
        let fix = self.allowing(Role::Writer, actions::PUT.action);
        let about = ("put-outside", "nothing can be written outside the prefix");
        self.must_refuse(about, format!("PutObject {key}"), answer, fix);

        let answer = self.ask(self.identity(Role::Restorer).prober.list(Way::Usual, "")).await?;
        let fix = self.allowing(Role::Restorer, actions::LIST.action);
        let about = ("list-outside", "nothing can be listed outside the prefix");
        self.must_refuse(about, "ListObjectsV2 of the whole bucket", answer, fix);
        self.get_outside().await
    }

    /// A server reveals whether an object is there only to those who may list: the probe needs one that is there.
    async fn get_outside(&mut self) -> Result<()> {
        let key = self.key_outside("admins");
        let probe = |request: String| {
            Probe::new("get-outside", "nothing can be read outside the prefix", Must::BeRefused, request)
        };
        let Some(admin) = &self.admin else {
            let why = "only an admin's credentials can put an object there first";
            self.found(probe("none".into()).finding(Verdict::CouldNotTell, why));
            return Ok(());
        };
        let there = self.put_with(admin, Way::Usual, &key, &self.wanted()).await?;
        if there.done().is_none() {
            let request = format!("PutObject {key} by the admin");
            self.found(probe(request).finding(Verdict::CouldNotTell, seen(&there)));
            return Ok(());
        }
        let answer = self.ask(self.identity(Role::Restorer).prober.get(Way::Usual, &key, None)).await?;
        let fix = self.allowing(Role::Restorer, actions::GET.action);
        self.judge(probe(format!("GetObject {key}")), answer, fix);
        Ok(())
    }
}
