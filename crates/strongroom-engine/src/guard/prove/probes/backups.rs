//! The two tests of mLab's page, with real backups of a small collection: one with encryption must succeed, one without
//! must fail.

use serde_json::{Value, json};

use super::{Bench, Must, Outcome, Probe, Verdict};
use crate::bucket::Sse;
use crate::bucket::actions::{self, Role};
use crate::catalog;
use crate::error::{Code, Error, Result};
use crate::guard::policy::{Denial, HEADER, header_may_be_missing};
use crate::layout::BackupId;
use crate::manifest::Manifest;
use crate::verify;

impl Bench<'_> {
    /// The two tests of mLab's page.
    pub(in crate::guard::prove) async fn backups(&mut self) -> Result<()> {
        let sse = self.settings.sse.clone();
        let asked = sse.header().unwrap_or("no encryption header");
        let request = format!("a backup of a small collection, with {asked}");
        let made = self.sample(sse).await?;
        let manifest = made.as_ref().ok().cloned();
        let fix = self.allowing(Role::Writer, actions::PUT.action);
        self.judge(
            Probe::new("backup-encrypted", "a backup as planned succeeds", Must::Work, request),
            made,
            fix,
        );
        if let Some(manifest) = manifest {
            self.verified(&manifest).await?;
            self.listed(&manifest).await?;
            self.deleted_again(&manifest).await?;
        }
        if self.settings.sse == Sse::None {
            return Ok(());
        }
        let plain = self.sample(Sse::None).await?;
        if let Ok(manifest) = &plain {
            self.take_back(manifest).await?;
        }
        self.unencrypted(plain);
        Ok(())
    }

    /// A backup without the header is refused, or encrypted by the bucket's default.
    fn unencrypted(&mut self, plain: Result<Manifest>) {
        let request = "a backup of a small collection, without the encryption header";
        if !header_may_be_missing(self.settings) {
            let about = ("backup-unencrypted", "a backup without encryption is refused");
            let fix = self.encryption_statement();
            return self.must_refuse(about, request, plain, fix);
        }
        let name = "a backup without the header is encrypted by the bucket's default";
        let probe = Probe::new("backup-default-encrypted", name, Must::Work, request);
        let Ok(manifest) = plain else { return self.judge(probe, plain, None) };
        let (wanted, reported) = (self.settings.sse.header(), manifest.encryption.reported.as_deref());
        let verdict = match reported {
            None => Verdict::CouldNotTell,
            Some(_) if reported == wanted => Verdict::Pass,
            Some(_) => Verdict::Fail,
        };
        let mut finding =
            probe.finding(verdict, format!("done, encryption {}", reported.unwrap_or("not reported")));
        finding.expected = format!("done, encryption {}", wanted.unwrap_or_default());
        self.found(finding);
    }

    pub(super) fn encryption_statement(&self) -> Option<Value> {
        self.denial(Denial::OtherEncryption).or_else(|| {
            Some(json!({"Effect": "Deny", "Principal": "*", "Action": actions::PUT.action,
                        "Resource": format!("{}/*", self.settings.bucket_arn()),
                        "Condition": {"StringNotEquals": {HEADER: self.settings.sse.header()?}}}))
        })
    }

    async fn verified(&mut self, manifest: &Manifest) -> Result<()> {
        let store = self.identity(Role::Restorer).store.clone();
        let verified = self.ask(verify::verify(store, manifest, 1, &self.job.quiet())).await?;
        let outcome = Outcome::from(verified.and_then(|report| match report.problems.first() {
            None => Ok(()),
            Some(problem) => Err(Error::new(Code::Damaged, &problem.message)),
        }));
        let get = if self.settings.versioned { actions::GET_VERSION } else { actions::GET };
        let fix = self.allowing(Role::Restorer, get.action);
        let name = "the backup reads back byte for byte";
        self.judge(
            Probe::new("backup-verified", name, Must::Work, "every object fetched and compared"),
            outcome,
            fix,
        );
        Ok(())
    }

    async fn listed(&mut self, manifest: &Manifest) -> Result<()> {
        let store = self.identity(Role::Restorer).store.clone();
        let found = self.ask(catalog::find(&*store, None, &manifest.id)).await?;
        let fix = self.allowing(Role::Restorer, actions::LIST.action);
        let name = "the backup is found by listing";
        self.judge(
            Probe::new("backup-listed", name, Must::Work, "ListObjectsV2 below the prefix"),
            found,
            fix,
        );
        Ok(())
    }

    async fn deleted_again(&mut self, manifest: &Manifest) -> Result<()> {
        let deleted = self.take_back(manifest).await?;
        let request = "every object deleted";
        if self.settings.object_lock.is_some() {
            self.must_refuse(("backup-locked", "a locked backup cannot be deleted"), request, deleted, None);
            return Ok(());
        }
        let delete = if self.settings.versioned { actions::DELETE_VERSION } else { actions::DELETE };
        let fix = self.allowing(Role::Pruner, delete.action);
        let name = "the backup is deleted, by version";
        self.judge(Probe::new("backup-deleted", name, Must::Work, request), deleted, fix);
        Ok(())
    }

    /// Deletes a sample; what that leaves is deleted at the end, object by object.
    async fn take_back(&self, manifest: &Manifest) -> Result<Outcome> {
        let id: BackupId = manifest.id.parse()?;
        let plan = manifest.plan.parse()?;
        let store = self.identity(Role::Pruner).store.clone();
        Ok(self.ask(catalog::delete(store, Some(&plan), &id, &self.job.quiet())).await?.into())
    }
}
