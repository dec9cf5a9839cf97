//! The probes: a request, the answer it must get, the answer it got.

use serde_json::{Value, json};

use super::{Bench, Finding, Verdict};
use crate::bucket::Sse;
use crate::bucket::actions::Role;
use crate::bucket::probe::{Answer, Oddity, Way};
use crate::catalog;
use crate::error::{Code, Error};
use crate::guard::policy::header_may_be_missing;
use crate::guard::settings::Profile;
use crate::layout::BackupId;
use crate::progress::Silent;
use crate::verify;

const BODY: &[u8] = b"strongroom proves this bucket; this object is deleted again at once\n";

/// What a probe must be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    Work,
    BeRefused,
    /// Refused because something is there already.
    Conflict,
}

impl Must {
    fn words(self) -> &'static str {
        match self {
            Self::Work => "done",
            Self::BeRefused => "refused",
            Self::Conflict => "412, because it is there already",
        }
    }

    fn judge(self, answer: &Answer) -> Verdict {
        let holds = match self {
            Self::Work => answer.done(),
            Self::BeRefused => answer.refused(),
            Self::Conflict => answer.status == Some(412),
        };
        match (holds, self) {
            (true, _) => Verdict::Pass,
            (false, _) if answer.not_offered() => Verdict::NotOffered,
            (false, Self::Work) => Verdict::Fail,
            // It was done although it must not be.
            (false, _) if answer.done() => Verdict::Fail,
            // Neither done nor refused: a connection, a time-out, an error of the server.
            (false, _) => Verdict::CouldNotTell,
        }
    }
}

fn seen(answer: &Answer) -> String {
    match (answer.status, answer.code.is_empty()) {
        (None, _) => format!("no answer: {}", answer.message),
        (Some(status), true) => match &answer.encryption {
            Some(mode) => format!("{status}, encryption {mode}"),
            None => status.to_string(),
        },
        (Some(status), false) if answer.message.is_empty() => format!("{status} {}", answer.code),
        (Some(status), false) => format!("{status} {}: {}", answer.code, answer.message),
    }
}

/// What is probed, before the answer.
struct Probe {
    id: &'static str,
    name: &'static str,
    request: String,
    must: Must,
}

fn probe(id: &'static str, name: &'static str, request: impl Into<String>, must: Must) -> Probe {
    Probe { id, name, request: request.into(), must }
}

impl Bench<'_> {
    fn find(&mut self, probe: Probe, answer: &Answer, mend: Option<Value>) -> Verdict {
        let verdict = probe.must.judge(answer);
        self.findings.push(Finding {
            id: probe.id,
            name: probe.name.into(),
            request: probe.request,
            expected: probe.must.words().into(),
            seen: seen(answer),
            verdict,
            mend: mend.filter(|_| verdict == Verdict::Fail),
        });
        verdict
    }

    /// As the plan's backups ask for it.
    fn wanted(&self) -> Oddity {
        Oddity { sse: self.settings.sse.clone(), ..Oddity::default() }
    }

    /// Puts an object, and remembers it if it is there now.
    async fn put(&mut self, role: Role, way: Way, name: &str, odd: &Oddity) -> Answer {
        let key = self.key(name);
        self.put_at(role, way, &key, odd).await
    }

    async fn put_at(&mut self, role: Role, way: Way, key: &str, odd: &Oddity) -> Answer {
        let answer = self.identity(role).prober.put(way, key, BODY, odd).await;
        // Without an answer it may be there as well.
        if answer.done() || answer.status.is_none() {
            self.made.push((key.to_owned(), answer.version_id.clone()));
        }
        answer
    }

    fn forgotten(&mut self, key: &str) {
        self.made.retain(|(made, _)| made != key);
    }

    /// The seed page's two tests, with backups of a small collection.
    pub(super) async fn backups(&mut self) {
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
            self.find(
                probe(
                    "backup-unencrypted",
                    "a backup without encryption is refused",
                    request,
                    Must::BeRefused,
                ),
                &answer,
                mend,
            );
        }
        if let Ok(manifest) = &plain {
            self.take_back(manifest).await;
        }
    }

    fn encryption_statement(&self) -> Option<Value> {
        self.statement("StrongroomDenyOtherEncryption").or_else(|| {
            Some(json!({"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": format!("{}/*", self.settings.bucket_arn()),
                        "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": self.settings.sse.header()?}}}))
        })
    }

    /// Verified by the one who restores, deleted by the one who deletes.
    async fn backup_made(&mut self, manifest: &crate::manifest::Manifest) {
        let store = self.identity(Role::Restorer).store.clone();
        let verified = verify::verify(store, manifest, 1, &Silent).await;
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
        let mend = self.allowing(Role::Pruner, action);
        self.find(
            probe("backup-deleted", "the backup is deleted, by version", "every object deleted", Must::Work),
            &answer,
            mend,
        );
    }

    /// Deletes a sample; what that leaves is deleted at the end, object by object.
    async fn take_back(&mut self, manifest: &crate::manifest::Manifest) -> Answer {
        let Ok(id) = manifest.id.parse::<BackupId>() else { return Answer::default() };
        let plan = manifest.plan.parse().ok();
        let deleted =
            catalog::delete(self.identity(Role::Pruner).store.clone(), plan.as_ref(), &id, &Silent).await;
        if deleted.is_err() {
            let prefix = if self.settings.prefix.is_empty() {
                String::new()
            } else {
                format!("{}/", self.settings.prefix)
            };
            let folder = format!("{prefix}{}/{id}", manifest.plan);
            self.made
                .extend(["manifest.json", "deleting.json"].map(|name| (format!("{folder}/{name}"), None)));
            let segments =
                manifest.segments.iter().map(|s| (format!("{prefix}{}", s.key), s.version_id.clone()));
            self.made.extend(segments);
        }
        of(deleted.as_ref().err())
    }

    /// What backups need, request by request.
    pub(super) async fn needed(&mut self) {
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

    /// What a locked bucket refuses the service itself.
    pub(super) async fn refused(&mut self) {
        if self.settings.sse != Sse::None {
            self.encryption_modes().await;
        }
        let customer = Oddity { customer_key: true, ..Oddity::default() };
        let answer = self.put(Role::Writer, Way::Usual, "customer-key", &customer).await;
        let mend = self.statement("StrongroomDenyCustomerKeys");
        let secure = self.identity(Role::Writer).prober.endpoint().is_none_or(|url| url.starts_with("https"));
        if secure || answer.done() || answer.refused() {
            self.find(
                probe(
                    "customer-key",
                    "an object under a key of the client's own (SSE-C) is refused",
                    "PutObject with x-amz-server-side-encryption-customer-algorithm",
                    Must::BeRefused,
                ),
                &answer,
                mend,
            );
        } else {
            self.cannot(
                "customer-key",
                "an object under a key of the client's own (SSE-C) is refused",
                "S3 takes such keys over TLS only",
            );
        }
        self.public_acl().await;
        // mLab's page says nothing of TLS, of overwriting, nor of prefixes.
        if self.settings.profile != Profile::Classic {
            self.plain_http().await;
            self.overwriting().await;
            self.outside().await;
        }
        let owner = Oddity { expected_owner: Some("000000000000".into()), ..self.wanted() };
        let answer = self.put(Role::Writer, Way::Usual, "wrong-owner", &owner).await;
        let about = ("expected-owner", "a request for another owner's bucket is refused");
        if answer.done() && self.identity(Role::Writer).prober.endpoint().is_some() {
            self.cannot(about.0, about.1, "this server does not look at x-amz-expected-bucket-owner");
            return;
        }
        let request = "PutObject with x-amz-expected-bucket-owner: 000000000000";
        self.find(probe(about.0, about.1, request, Must::BeRefused), &answer, None);
    }

    async fn encryption_modes(&mut self) {
        let mend = self.encryption_statement();
        if !header_may_be_missing(self.settings) {
            let answer = self.put(Role::Writer, Way::Usual, "no-header", &Oddity::default()).await;
            self.find(
                probe(
                    "no-header",
                    "a write without the encryption header is refused",
                    "PutObject without x-amz-server-side-encryption",
                    Must::BeRefused,
                ),
                &answer,
                mend.clone(),
            );
        }
        let wrong = if self.settings.sse == Sse::Aes256 { Sse::Kms(None) } else { Sse::Aes256 };
        let mode = wrong.header().unwrap_or_default();
        let odd = Oddity { sse: wrong.clone(), ..Oddity::default() };
        let answer = self.put(Role::Writer, Way::Usual, "wrong-mode", &odd).await;
        self.find(
            probe(
                "wrong-mode",
                "a write with another encryption is refused",
                format!("PutObject with {mode}"),
                Must::BeRefused,
            ),
            &answer,
            mend.clone(),
        );
        let key = self.key("upload");
        let begun = self.identity(Role::Writer).prober.begin_upload(&key, &wrong).await;
        self.find(
            probe(
                "wrong-mode-upload",
                "an upload in parts with another encryption is refused",
                format!("CreateMultipartUpload with {mode}"),
                Must::BeRefused,
            ),
            &begun,
            mend,
        );
        if let (true, Some(upload)) = (begun.done(), &begun.more) {
            self.end(&key, upload).await;
        }
        if self.settings.sse.kms_key().is_some() {
            let odd = Oddity {
                sse: Sse::Kms(Some("arn:aws:kms:us-east-1:000000000000:key/other".into())),
                ..Oddity::default()
            };
            let answer = self.put(Role::Writer, Way::Usual, "wrong-key", &odd).await;
            let mend = self.statement("StrongroomDenyOtherKey");
            self.find(
                probe(
                    "wrong-key",
                    "a write under another KMS key is refused",
                    "PutObject with another key's ARN",
                    Must::BeRefused,
                ),
                &answer,
                mend,
            );
        }
    }

    /// Gives an upload up that should not have begun; where that is not allowed it is ended, to be deleted.
    async fn end(&mut self, key: &str, upload: &str) {
        let writer = self.identity(Role::Writer);
        if writer.prober.abort_upload(key, upload).await.done() {
            return;
        }
        if let Some(admin) = &self.admin
            && admin.abort_upload(key, upload).await.done()
        {
            return;
        }
        let ended = writer.prober.end_upload(key, upload, BODY).await;
        if ended.done() {
            self.made.push((key.to_owned(), ended.version_id));
        }
    }

    async fn plain_http(&mut self) {
        let name = "a request over plain HTTP is refused";
        if !self.identity(Role::Writer).prober.has_plain_http() {
            self.cannot(
                "plain-http",
                name,
                "this endpoint speaks nothing else; its owner should put TLS before it",
            );
            return;
        }
        let wanted = self.wanted();
        let answer = self.put(Role::Writer, Way::PlainHttp, "plain-http", &wanted).await;
        // A server that does not even listen to plain HTTP takes no such request either.
        let answer = if answer.status.is_none() { Answer { status: Some(403), ..answer } } else { answer };
        let mend = self.statement("StrongroomDenyPlainHttp");
        self.find(probe("plain-http", name, "PutObject over http://", Must::BeRefused), &answer, mend);
    }

    async fn public_acl(&mut self) {
        let odd = Oddity { acl: Some("public-read"), ..self.wanted() };
        let answer = self.put(Role::Writer, Way::Usual, "public-acl", &odd).await;
        let mend = json!({"setting": "object ownership", "to": "BucketOwnerEnforced", "command": "strongroom bucket provision"});
        self.find(
            probe(
                "public-acl",
                "an object cannot be written as public",
                "PutObject with x-amz-acl: public-read",
                Must::BeRefused,
            ),
            &answer,
            Some(mend.clone()),
        );
        if answer.done() {
            let read =
                self.identity(Role::Writer).prober.get(Way::Anonymous, &self.key("public-acl"), None).await;
            self.find(
                probe(
                    "public-acl-read",
                    "such an object cannot be read by everybody",
                    "GetObject without a signature",
                    Must::BeRefused,
                ),
                &read,
                Some(mend.clone()),
            );
        }
        let wanted = self.wanted();
        let there = self.put(Role::Writer, Way::Usual, "acl", &wanted).await;
        if there.done() {
            let answer = self.identity(Role::Writer).prober.publish(&self.key("acl")).await;
            self.find(
                probe(
                    "publish",
                    "an object cannot be made public",
                    "PutObjectAcl public-read",
                    Must::BeRefused,
                ),
                &answer,
                Some(mend),
            );
        }
    }

    async fn overwriting(&mut self) {
        let odd = Oddity { overwrites: true, ..self.wanted() };
        let answer = self.put(Role::Writer, Way::Usual, "unconditional", &odd).await;
        let mend = self.statement("StrongroomDenyOverwrite");
        if mend.is_some() {
            self.find(
                probe(
                    "overwrite",
                    "a write that could replace an object is refused",
                    "PutObject without If-None-Match",
                    Must::BeRefused,
                ),
                &answer,
                mend,
            );
        } else {
            self.cannot(
                "overwrite",
                "a write that could replace an object is refused",
                "this server's policies cannot say it",
            );
        }
    }

    async fn outside(&mut self) {
        if self.settings.prefix.is_empty() {
            return;
        }
        let outside = format!("{}-strongroom-prove/object", self.settings.prefix);
        let wanted = self.wanted();
        let answer = self.put_at(Role::Writer, Way::Usual, &outside, &wanted).await;
        let mend = self.allowing(Role::Writer, "s3:PutObject");
        self.find(
            probe(
                "put-outside",
                "nothing can be written outside the prefix",
                format!("PutObject {outside}"),
                Must::BeRefused,
            ),
            &answer,
            mend,
        );
        let restorer = self.identity(Role::Restorer);
        let mend = self.allowing(Role::Restorer, "s3:ListBucket");
        let answer = restorer.prober.list(Way::Usual, "").await;
        self.find(
            probe(
                "list-outside",
                "nothing can be listed outside the prefix",
                "ListObjectsV2 of the whole bucket",
                Must::BeRefused,
            ),
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
        self.find(probe(about.0, about.1, format!("GetObject {key}"), Must::BeRefused), &answer, mend);
    }

    /// What everybody is refused.
    pub(super) async fn strangers(&mut self) {
        let wanted = self.wanted();
        let key = self.key("anonymous");
        let there = self.put(Role::Writer, Way::Usual, "anonymous", &wanted).await;
        let mend = json!({"setting": "Block Public Access", "to": "all four on", "command": "strongroom bucket provision"});
        let writer = self.identity(Role::Writer);
        if there.done() {
            let answer = writer.prober.get(Way::Anonymous, &key, None).await;
            self.find(
                probe(
                    "anonymous-get",
                    "a stranger cannot read",
                    format!("GetObject {key} without a signature"),
                    Must::BeRefused,
                ),
                &answer,
                Some(mend.clone()),
            );
        }
        let prefix = if self.settings.prefix.is_empty() {
            String::new()
        } else {
            format!("{}/", self.settings.prefix)
        };
        let answer = writer.prober.list(Way::Anonymous, &prefix).await;
        self.find(
            probe(
                "anonymous-list",
                "a stranger cannot list",
                "ListObjectsV2 without a signature",
                Must::BeRefused,
            ),
            &answer,
            Some(mend.clone()),
        );
        let answer = self.put(Role::Writer, Way::Anonymous, "anonymous-put", &wanted).await;
        self.find(
            probe(
                "anonymous-put",
                "a stranger cannot write",
                "PutObject without a signature",
                Must::BeRefused,
            ),
            &answer,
            Some(mend),
        );
    }

    /// What the identities of the profile `split` are refused, because another one does it.
    pub(super) async fn separation(&mut self) {
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
        let prefix = if self.settings.prefix.is_empty() {
            String::new()
        } else {
            format!("{}/", self.settings.prefix)
        };
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
        crate::guard::policy::documents(self.settings).into_iter().find_map(|document| {
            match &document.attached {
                crate::guard::policy::Attached::Identity { roles, .. } if roles.contains(&role) => {
                    Some(document.policy)
                }
                _ => None,
            }
        })
    }

    fn cannot(&mut self, id: &'static str, name: &str, why: &str) {
        self.findings.push(Finding {
            id,
            name: name.into(),
            request: "none".into(),
            expected: "refused".into(),
            seen: why.into(),
            verdict: Verdict::NotOffered,
            mend: None,
        });
    }
}

/// What came of real work, as an answer.
fn of(error: Option<&Error>) -> Answer {
    let Some(error) = error else { return Answer { status: Some(200), ..Answer::default() } };
    let status = match error.code() {
        Code::Denied => Some(403),
        Code::ObjectMissing | Code::NotABackup | Code::BucketMissing => Some(404),
        Code::StoreHost => None,
        _ => Some(500),
    };
    Answer {
        status,
        code: error.code().as_str().into(),
        message: error.message().into(),
        ..Answer::default()
    }
}
