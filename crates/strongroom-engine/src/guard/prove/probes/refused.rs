//! What a locked bucket refuses the service itself.

use super::{Bench, setting};
use crate::bucket::Sse;
use crate::bucket::actions::Role;
use crate::bucket::probe::{Oddity, Way};
use crate::error::Result;
use crate::guard::policy::{Denial, header_may_be_missing};
use crate::guard::settings::{Access, Dialect};

impl Bench<'_> {
    /// What a locked bucket refuses the service itself.
    pub(in crate::guard::prove) async fn refused(&mut self) -> Result<()> {
        if self.settings.sse != Sse::None {
            self.encryption_modes().await?;
        }
        self.customer_key().await?;
        self.public_acl().await?;
        // mLab's page says nothing of TLS, of overwriting, nor of prefixes.
        if self.settings.access != Access::Classic {
            self.plain_http().await?;
            self.overwriting().await?;
            self.outside().await?;
        }
        self.wrong_owner().await
    }

    async fn encryption_modes(&mut self) -> Result<()> {
        if !header_may_be_missing(self.settings) {
            let answer = self.put("no-header", &Oddity::default()).await?;
            let about = ("no-header", "a write without the encryption header is refused");
            let fix = self.encryption_statement();
            self.must_refuse(about, "PutObject without x-amz-server-side-encryption", answer, fix);
        }
        let wrong = if self.settings.sse == Sse::Aes256 { Sse::Kms(None) } else { Sse::Aes256 };
        let mode = wrong.header().unwrap_or_default();
        let odd = Oddity { sse: wrong.clone(), ..Oddity::default() };
        let answer = self.put("wrong-mode", &odd).await?;
        let about = ("wrong-mode", "a write with another encryption is refused");
        let fix = self.encryption_statement();
        self.must_refuse(about, format!("PutObject with {mode}"), answer, fix);
        self.wrong_upload(&wrong).await?;
        if self.settings.sse.kms_key().is_some() {
            self.wrong_key().await?;
        }
        Ok(())
    }

    async fn wrong_upload(&mut self, wrong: &Sse) -> Result<()> {
        let key = self.key("upload");
        self.made.upload(&key, None);
        let begun = self.ask(self.identity(Role::Writer).prober.begin_upload(&key, wrong)).await?;
        let upload = begun.done().and_then(|begun| begun.more.clone());
        match &upload {
            Some(upload) => self.made.upload(&key, Some(upload)),
            None if begun.error_status().is_some() => self.made.upload_ended(&key),
            None => {}
        }
        let about = ("wrong-mode-upload", "an upload in parts with another encryption is refused");
        let fix = self.encryption_statement();
        let mode = wrong.header().unwrap_or_default();
        self.must_refuse(about, format!("CreateMultipartUpload with {mode}"), begun, fix);
        Ok(())
    }

    async fn wrong_key(&mut self) -> Result<()> {
        let other = Sse::Kms(Some("arn:aws:kms:us-east-1:000000000000:key/other".into()));
        let answer = self.put("wrong-key", &Oddity { sse: other, ..Oddity::default() }).await?;
        let about = ("wrong-key", "a write under another KMS key is refused");
        let fix = self.denial(Denial::OtherKey);
        self.must_refuse(about, "PutObject with another key's ARN", answer, fix);
        Ok(())
    }

    async fn customer_key(&mut self) -> Result<()> {
        let about = ("customer-key", "an object under a key of the client's own (SSE-C) is refused");
        let odd = Oddity { customer_key: true, ..Oddity::default() };
        let answer = self.put("customer-key", &odd).await?;
        let secure = self.identity(Role::Writer).prober.endpoint().is_none_or(|url| url.starts_with("https"));
        if secure || answer.done().is_some() || answer.refused() {
            let request = "PutObject with x-amz-server-side-encryption-customer-algorithm";
            let fix = self.denial(Denial::CustomerKeys);
            self.must_refuse(about, request, answer, fix);
        } else {
            self.cannot(about, "S3 takes such keys over TLS only");
        }
        Ok(())
    }

    async fn wrong_owner(&mut self) -> Result<()> {
        let about = ("expected-owner", "a request for another owner's bucket is refused");
        let owner = Oddity { expected_owner: Some("000000000000".into()), ..self.wanted() };
        let answer = self.put("wrong-owner", &owner).await?;
        if answer.done().is_some() && self.identity(Role::Writer).prober.endpoint().is_some() {
            self.cannot(about, "this server does not look at x-amz-expected-bucket-owner");
            return Ok(());
        }
        let request = "PutObject with x-amz-expected-bucket-owner: 000000000000";
        self.must_refuse(about, request, answer, None);
        Ok(())
    }

    /// A server that does not listen to plain HTTP gives no answer, which proves nothing.
    async fn plain_http(&mut self) -> Result<()> {
        let about = ("plain-http", "a request over plain HTTP is refused");
        if !self.identity(Role::Writer).prober.has_plain_http() {
            self.cannot(about, "this endpoint speaks nothing else; its owner should put TLS before it");
            return Ok(());
        }
        let key = self.key("plain-http");
        let answer = self.put_as(Role::Writer, Way::PlainHttp, &key, &self.wanted()).await?;
        let fix = self.denial(Denial::PlainHttp);
        self.must_refuse(about, "PutObject over http://", answer, fix);
        Ok(())
    }

    async fn public_acl(&mut self) -> Result<()> {
        let fix = || setting("object ownership", "BucketOwnerEnforced");
        let odd = Oddity { acl: Some("public-read"), ..self.wanted() };
        let answer = self.put("public-acl", &odd).await?;
        let written = answer.done().is_some();
        let about = ("public-acl", "an object cannot be written as public");
        self.must_refuse(about, "PutObject with x-amz-acl: public-read", answer, fix());
        if written {
            let key = self.key("public-acl");
            let read = self.ask(self.identity(Role::Writer).prober.get(Way::Anonymous, &key, None)).await?;
            let about = ("public-acl-read", "such an object cannot be read by everybody");
            self.must_refuse(about, "GetObject without a signature", read, fix());
        }
        let there = self.put("acl", &self.wanted()).await?;
        if there.done().is_some() {
            let answer = self.ask(self.identity(Role::Writer).prober.publish(&self.key("acl"))).await?;
            self.must_refuse(
                ("publish", "an object cannot be made public"),
                "PutObjectAcl public-read",
                answer,
                fix(),
            );
        }
        Ok(())
    }

    async fn overwriting(&mut self) -> Result<()> {
        let about = ("overwrite", "a write that could replace an object is refused");
        if self.settings.dialect == Dialect::Ceph {
            self.cannot(about, "this server's policies have no condition for it");
            return Ok(());
        }
        let odd = Oddity { overwrites: true, ..self.wanted() };
        let answer = self.put("unconditional", &odd).await?;
        let fix = self.denial(Denial::Overwrite);
        self.must_refuse(about, "PutObject without If-None-Match", answer, fix);
        Ok(())
    }
}
