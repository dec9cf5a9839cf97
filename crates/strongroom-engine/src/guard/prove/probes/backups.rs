//! The seed page's two tests, with real backups of a small collection.

use serde_json::{Value, json};

use super::{Answer, Bench, Must, Verdict, of, probe};
use crate::bucket::Sse;
use crate::bucket::actions::Role;
use crate::catalog;
use crate::guard::policy::header_may_be_missing;
use crate::job::Job;
use crate::layout::BackupId;
use crate::verify;

impl Bench<'_> {
    /// The seed page's two tests, with backups of a small collection.
    pub(in crate::guard::prove) async fn backups(&mut self) {
        let sse = self.settings.sse.clone();
        let asked = sse.header().unwrap_or("no encryption header");
        let made = self.sample(sse).await;
        let answer = of(made.as_ref().err());
        let request = format!("a backup of a small collection, with {asked}");
        let mend = self.allowing(Role::Writer, "s3:PutObject");
        self.find(
            probe("backup-encrypted", "a backup as planned succeeds", request, Must::Work),
            &answer,
            mend,
        );
        if let Ok(manifest) = &made {
            self.backup_made(manifest).await;
        }
        if self.settings.sse == Sse::None {
            return;
        }
        let plain = self.sample(Sse::None).await;
        let request = "a backup of a small collection, without the encryption header";
        if header_may_be_missing(self.settings) {
            let reported = plain.as_ref().ok().and_then(|manifest| manifest.encryption.reported.clone());
            let name = "a backup without the header is encrypted by the bucket's default";
            let mut answer = of(plain.as_ref().err());
            answer.encryption = reported.clone();
            let probe = probe("backup-default-encrypted", name, request, Must::Work);
            self.find(probe, &answer, None);
            if let (Some(finding), true) = (self.findings.last_mut(), plain.is_ok()) {
                finding.expected =
                    format!("done, encryption {}", self.settings.sse.header().unwrap_or_default());
                finding.verdict = match reported.as_deref() {
                    None => Verdict::CouldNotTell,
                    Some(mode) if Some(mode) == self.settings.sse.header() => Verdict::Pass,
                    Some(_) => Verdict::Fail,
                };
            }
        } else {
            let answer = of(plain.as_ref().err());
            let mend = self.encryption_statement();
            self.must_refuse(
                "backup-unencrypted",
                "a backup without encryption is refused",
                request,
                &answer,
                mend,
            );
        }
        if let Ok(manifest) = &plain {
            self.take_back(manifest).await;
        }
    }

    pub(super) fn encryption_statement(&self) -> Option<Value> {
        self.statement("StrongroomDenyOtherEncryption").or_else(|| {
            Some(json!({"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": format!("{}/*", self.settings.bucket_arn()),
                        "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": self.settings.sse.header()?}}}))
        })
    }

    /// Verified by the one who restores, deleted by the one who deletes.
    async fn backup_made(&mut self, manifest: &crate::manifest::Manifest) {
        let store = self.identity(Role::Restorer).store.clone();
        let verified = verify::verify(store, manifest, 1, &Job::unwatched(self.job.clock.clone())).await;
        let answer = match &verified {
            Ok(report) if report.problems.is_empty() => of(None),
            Ok(report) => {
                Answer { status: Some(500), message: report.problems[0].message.clone(), ..Answer::default() }
            }
            Err(error) => of(Some(error)),
        };
        let action = if self.settings.versioned { "s3:GetObjectVersion" } else { "s3:GetObject" };
        let mend = self.allowing(Role::Restorer, action);
        self.find(
            probe(
                "backup-verified",
                "the backup reads back byte for byte",
                "every object fetched and compared",
                Must::Work,
            ),
            &answer,
            mend,
        );
        let listed = catalog::find(&*self.identity(Role::Restorer).store, None, &manifest.id).await;
        let mend = self.allowing(Role::Restorer, "s3:ListBucket");
        self.find(
            probe(
                "backup-listed",
                "the backup is found by listing",
                "ListObjectsV2 below the prefix",
                Must::Work,
            ),
            &of(listed.as_ref().err()),
            mend,
        );
        let answer = self.take_back(manifest).await;
        let action = if self.settings.versioned { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
        let locked = self.settings.object_lock.is_some();
        let (probe, mend) = match locked {
            true => (
                probe(
                    "backup-locked",
                    "a locked backup cannot be deleted",
                    "every object deleted",
                    Must::BeRefused,
                ),
                None,
            ),
            false => (
                probe(
                    "backup-deleted",
                    "the backup is deleted, by version",
                    "every object deleted",
                    Must::Work,
                ),
                self.allowing(Role::Pruner, action),
            ),
        };
        self.find(probe, &answer, mend);
    }

    /// Deletes a sample; what that leaves is deleted at the end, object by object.
    async fn take_back(&mut self, manifest: &crate::manifest::Manifest) -> Answer {
        let Ok(id) = manifest.id.parse::<BackupId>() else { return Answer::default() };
        let plan = manifest.plan.parse().ok();
        let deleted = catalog::delete(
            self.identity(Role::Pruner).store.clone(),
            plan.as_ref(),
            &id,
            &Job::unwatched(self.job.clock.clone()),
        )
        .await;
        if deleted.is_err() {
            let prefix = self.settings.below();
            let folder = format!("{prefix}{}/{id}", manifest.plan);
            self.made
                .extend(["manifest.json", "deleting.json"].map(|name| (format!("{folder}/{name}"), None)));
            let segments =
                manifest.segments.iter().map(|s| (format!("{prefix}{}", s.key), s.version_id.clone()));
            self.made.extend(segments);
        }
        of(deleted.as_ref().err())
    }
}
