//! What a locked bucket refuses the service itself.

use serde_json::json;

use super::{Answer, BODY, Bench, Oddity, Way};
use crate::bucket::Sse;
use crate::bucket::actions::Role;
use crate::guard::policy::header_may_be_missing;
use crate::guard::settings::Profile;

impl Bench<'_> {
    /// What a locked bucket refuses the service itself.
    pub(in crate::guard::prove) async fn refused(&mut self) {
        if self.settings.sse != Sse::None {
            self.encryption_modes().await;
        }
        let customer = Oddity { customer_key: true, ..Oddity::default() };
        let answer = self.put(Role::Writer, Way::Usual, "customer-key", &customer).await;
        let mend = self.statement("StrongroomDenyCustomerKeys");
        let secure = self.identity(Role::Writer).prober.endpoint().is_none_or(|url| url.starts_with("https"));
        if secure || answer.done() || answer.refused() {
            self.must_refuse(
                "customer-key",
                "an object under a key of the client's own (SSE-C) is refused",
                "PutObject with x-amz-server-side-encryption-customer-algorithm",
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
        self.must_refuse(about.0, about.1, request, &answer, None);
    }

    async fn encryption_modes(&mut self) {
        let mend = self.encryption_statement();
        if !header_may_be_missing(self.settings) {
            let answer = self.put(Role::Writer, Way::Usual, "no-header", &Oddity::default()).await;
            self.must_refuse(
                "no-header",
                "a write without the encryption header is refused",
                "PutObject without x-amz-server-side-encryption",
                &answer,
                mend.clone(),
            );
        }
        let wrong = if self.settings.sse == Sse::Aes256 { Sse::Kms(None) } else { Sse::Aes256 };
        let mode = wrong.header().unwrap_or_default();
        let odd = Oddity { sse: wrong.clone(), ..Oddity::default() };
        let answer = self.put(Role::Writer, Way::Usual, "wrong-mode", &odd).await;
        self.must_refuse(
            "wrong-mode",
            "a write with another encryption is refused",
            format!("PutObject with {mode}"),
            &answer,
            mend.clone(),
        );
        let key = self.key("upload");
        let begun = self.identity(Role::Writer).prober.begin_upload(&key, &wrong).await;
        self.must_refuse(
            "wrong-mode-upload",
            "an upload in parts with another encryption is refused",
            format!("CreateMultipartUpload with {mode}"),
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
            self.must_refuse(
                "wrong-key",
                "a write under another KMS key is refused",
                "PutObject with another key's ARN",
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
        self.must_refuse("plain-http", name, "PutObject over http://", &answer, mend);
    }

    async fn public_acl(&mut self) {
        let odd = Oddity { acl: Some("public-read"), ..self.wanted() };
        let answer = self.put(Role::Writer, Way::Usual, "public-acl", &odd).await;
        let mend = json!({"setting": "object ownership", "to": "BucketOwnerEnforced", "command": "strongroom bucket provision"});
        self.must_refuse(
            "public-acl",
            "an object cannot be written as public",
            "PutObject with x-amz-acl: public-read",
            &answer,
            Some(mend.clone()),
        );
        if answer.done() {
            let read =
                self.identity(Role::Writer).prober.get(Way::Anonymous, &self.key("public-acl"), None).await;
            self.must_refuse(
                "public-acl-read",
                "such an object cannot be read by everybody",
                "GetObject without a signature",
                &read,
                Some(mend.clone()),
            );
        }
        let wanted = self.wanted();
        let there = self.put(Role::Writer, Way::Usual, "acl", &wanted).await;
        if there.done() {
            let answer = self.identity(Role::Writer).prober.publish(&self.key("acl")).await;
            self.must_refuse(
                "publish",
                "an object cannot be made public",
                "PutObjectAcl public-read",
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
            self.must_refuse(
                "overwrite",
                "a write that could replace an object is refused",
                "PutObject without If-None-Match",
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
}
