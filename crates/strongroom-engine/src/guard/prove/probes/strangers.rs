//! What everybody is refused.

use super::{Bench, setting};
use crate::bucket::actions::Role;
use crate::bucket::probe::Way;
use crate::error::Result;

impl Bench<'_> {
    /// What everybody is refused.
    pub(in crate::guard::prove) async fn strangers(&mut self) -> Result<()> {
        let fix = || setting("Block Public Access", "all four on");
        let key = self.key("anonymous");
        let there = self.put("anonymous", &self.wanted()).await?;
        if there.done().is_some() {
            let answer = self.ask(self.identity(Role::Writer).prober.get(Way::Anonymous, &key, None)).await?;
            let request = format!("GetObject {key} without a signature");
            self.must_refuse(("anonymous-get", "a stranger cannot read"), request, answer, fix());
        }
        let prefix = self.settings.below();
        let answer = self.ask(self.identity(Role::Writer).prober.list(Way::Anonymous, &prefix)).await?;
        let request = "ListObjectsV2 without a signature";
        self.must_refuse(("anonymous-list", "a stranger cannot list"), request, answer, fix());
        let key = self.key("anonymous-put");
        let answer = self.put_as(Role::Writer, Way::Anonymous, &key, &self.wanted()).await?;
        let request = "PutObject without a signature";
        self.must_refuse(("anonymous-put", "a stranger cannot write"), request, answer, fix());
        Ok(())
    }
}
