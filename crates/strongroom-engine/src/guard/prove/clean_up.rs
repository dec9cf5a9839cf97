//! Deletes whatever the probes made.

use super::Bench;
use super::bench::BODY;
use super::made::Made;
use crate::bucket::actions::Role;
use crate::bucket::probe::{Answer, Prober, Way};

/// Versions of one key that are looked for; each probe makes one, and one more when it is repeated.
const VERSIONS_MAX: usize = 8;

impl Bench<'_> {
    /// Deletes everything, by version, also after the job was cancelled. Gives what is left: keys with their versions.
    pub(super) async fn clean_up(&self) -> Vec<String> {
        let mut left = Vec::new();
        for made in self.made.take() {
            let kept = match made {
                Made::Object { key, version } => self.delete(&key, version.as_deref()).await,
                Made::Sent { key } => {
                    let left = self.delete_unanswered(&key).await;
                    Some(left.unwrap_or_else(|| {
                        format!("{key} (it may still be written: its request was given up)")
                    }))
                }
                Made::Unanswered { key } => self.delete_unanswered(&key).await,
                Made::Upload { key, id: Some(id) } => self.end_upload(&key, &id).await,
                Made::Upload { key, id: None } => {
                    Some(format!("{key} (an upload in parts that may have begun; its id is unknown)"))
                }
            };
            left.extend(kept);
        }
        left.sort_unstable();
        left.dedup();
        left
    }

    /// Who may delete: the pruner, or else the admin.
    fn deleters(&self) -> impl Iterator<Item = &Prober> {
        std::iter::once(&self.identity(Role::Pruner).prober).chain(self.admin.as_ref())
    }

    async fn delete(&self, key: &str, version: Option<&str>) -> Option<String> {
        for prober in self.deleters() {
            let gone = prober.delete(key, version).await;
            if is_gone(&gone) {
                return None;
            }
        }
        Some(version.map_or(key.to_owned(), |version| format!("{key} (version {version})")))
    }

    /// Deletes what is there of a PUT whose answer never came: the versions are learnt from a listing, which an admin
    /// may make, or else by reading the key until nothing is there any more.
    async fn delete_unanswered(&self, key: &str) -> Option<String> {
        for prober in self.deleters() {
            if let Some(versions) = prober.versions(key).await {
                for version in versions {
                    if let Some(left) = self.delete(key, version.as_deref()).await {
                        return Some(left);
                    }
                }
                return None;
            }
        }
        for _ in 0..VERSIONS_MAX {
            let found = self.identity(Role::Restorer).prober.get(Way::Usual, key, None).await;
            if found.error_status() == Some(404) {
                return None;
            }
            let Some(found) = found.done() else { break };
            if let Some(left) = self.delete(key, found.version_id.as_deref()).await {
                return Some(left);
            }
        }
        Some(format!("{key} (it may be there: the request that writes it was not answered)"))
    }

    /// Gives up an upload; where that is not allowed it is ended, and the object deleted.
    pub(super) async fn end_upload(&self, key: &str, upload: &str) -> Option<String> {
        let writer = &self.identity(Role::Writer).prober;
        for prober in std::iter::once(writer).chain(self.admin.as_ref()) {
            let gone = prober.abort_upload(key, upload).await;
            if is_gone(&gone) {
                self.made.upload_ended(key);
                return None;
            }
        }
        let ended = writer.end_upload(key, upload, BODY).await;
        let Some(ended) = ended.done() else { return Some(format!("{key} (upload {upload})")) };
        self.made.upload_ended(key);
        self.delete(key, ended.version_id.as_deref()).await
    }
}

fn is_gone(answer: &Answer) -> bool {
    answer.done().is_some() || answer.error_status() == Some(404)
}
