//! A bucket on S3 or on a server that speaks its protocol.

use async_trait::async_trait;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::types::{CommonPrefix, Object, ServerSideEncryption};
use bytes::{Bytes, BytesMut};
use chrono::DateTime;

use super::actions::{self, Operation};
use super::explain::Asked;
use super::failure::Failure;
use super::listing::{Next, Page, Pages};
use super::meter::Meter;
use super::request::{Named, Requests};
use super::{Fetched, Listed, Listing, OBJECT_BYTES_MAX, ObjectStore, Sse, StoreOptions, Stored};
use crate::error::{Code, Error, Result};
use crate::location::Location;

/// What is reserved for a body whose length was announced, in bytes: more than a segment has. Beyond it memory grows with
/// what comes.
const RESERVED_MAX: u64 = 64 << 20;

/// A bucket, or a prefix in one.
#[derive(Debug)]
pub(super) struct Bucket {
    location: Location,
    bucket: String,
    prefix: String,
    options: StoreOptions,
    requests: Requests,
}

impl Bucket {
    pub(super) fn new(bucket: String, prefix: String, options: StoreOptions) -> Self {
        let location = Location::S3 { bucket: bucket.clone(), prefix: prefix.clone() };
        let requests = Requests::new(bucket.clone(), options.clone());
        Self { location, bucket, prefix, options, requests }
    }

    /// A request of this bucket, for its errors.
    fn asked<'a>(&'a self, operation: Operation, key: &'a str) -> Asked<'a> {
        let (profile, role) = (self.options.profile.as_deref(), self.options.role.as_ref());
        Asked { operation, bucket: &self.bucket, prefix: &self.prefix, key, sse: None, profile, role }
    }

    fn key(&self, key: &str) -> String {
        if self.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.prefix) }
    }

    fn owner(&self) -> Option<String> {
        self.options.expected_owner.clone()
    }

    async fn send_put(
        &self,
        key: &str,
        body: &Bytes,
        sha256: &[u8; 32],
        asked: &Sse,
        conditional: bool,
    ) -> Result<Stored, Failure> {
        let key = self.key(key);
        let checksum = self.options.checksum;
        let (sum, md5) = (checksum.sha256(sha256), checksum.md5(body));
        let named = Named { operation: actions::PUT.name, key: &key };
        let put = |client: aws_sdk_s3::Client, meter: Meter| {
            let (sse, kms_key) = sse_headers(asked);
            let put = client
                .put_object()
                .bucket(&self.bucket)
                .key(&key)
                .set_expected_bucket_owner(self.owner())
                .set_if_none_match(conditional.then(|| "*".to_owned()))
                .set_checksum_sha256(sum.clone())
                .set_content_md5(md5.clone())
                .set_server_side_encryption(sse)
                .set_ssekms_key_id(kms_key)
                .body(body.clone().into());
            let metered = meter.sending(body.clone());
            async move {
                let answer = put.customize().interceptor(metered).send().await;
                let answer = answer.map_err(|error| Failure::of(&error))?;
                // Whatever says yes without one has stored nothing: S3 always sends it.
                if answer.e_tag().is_none() || !meter.answered().may_be_s3() {
                    return Err(Failure::foreign(
                        meter.answered().status,
                        "an answer without the object's ETag",
                    ));
                }
                Ok(Stored {
                    version_id: version(answer.version_id()),
                    encryption: answer.server_side_encryption().map(|sse| sse.as_str().to_owned()),
                    kms_key_id: answer.ssekms_key_id().map(str::to_owned),
                })
            }
        };
        self.requests.send(named, put).await
    }

    async fn fetch_whole(
        &self,
        key: &str,
        version_id: Option<&str>,
        bytes_max: u64,
    ) -> Result<(Stored, Bytes)> {
        let operation = if version_id.is_some() { actions::GET_VERSION } else { actions::GET };
        let key = self.key(key);
        let get = |client: aws_sdk_s3::Client, meter: Meter| {
            let get = client
                .get_object()
                .bucket(&self.bucket)
                .key(&key)
                .set_version_id(version_id.map(str::to_owned))
                .set_expected_bucket_owner(self.owner());
            let key = &key;
            async move {
                let found = get.customize().interceptor(meter.streaming()).send().await;
                let found = found.map_err(|error| Failure::of(&error))?;
                if let Some(failure) = no_object(&found, &meter) {
                    return Err(failure);
                }
                let stored = Stored {
                    version_id: version(found.version_id()),
                    encryption: found.server_side_encryption().map(|sse| sse.as_str().to_owned()),
                    kms_key_id: found.ssekms_key_id().map(str::to_owned),
                };
                Ok((stored, receive(found, bytes_max, key).await?))
            }
        };
        let found = self.requests.send(Named { operation: operation.name, key: &key }, get).await;
        found.map_err(|failure| failure.explain(&self.asked(operation, &key)))
    }

    /// At most `bytes_max` bytes from byte `from` on, of the very object whose `etag` is given. It needs no other
    /// permission than the whole.
    pub(super) async fn part(
        &self,
        key: &str,
        from: u64,
        bytes_max: u64,
        etag: Option<&str>,
    ) -> Result<Part> {
        let key = self.key(key);
        match self.send_part(&key, from, bytes_max, etag).await {
            // There is no first byte of nothing.
            Err(failure) if failure.is_out_of_range() && from == 0 => {
                Ok(Part { length: Some(0), ..Part::default() })
            }
            Err(failure) if failure.is_precondition_failed() => Err(replaced(&key)),
            found => found.map_err(|failure| failure.explain(&self.asked(actions::GET, &key))),
        }
    }

    async fn send_part(
        &self,
        key: &str,
        from: u64,
        bytes_max: u64,
        etag: Option<&str>,
    ) -> Result<Part, Failure> {
        let last = from.saturating_add(bytes_max).saturating_sub(1);
        let get = |client: aws_sdk_s3::Client, meter: Meter| {
            let get = client
                .get_object()
                .bucket(&self.bucket)
                .key(key)
                .range(format!("bytes={from}-{last}"))
                .set_if_match(etag.map(str::to_owned))
                .set_expected_bucket_owner(self.owner());
            async move {
                let found = get.customize().interceptor(meter.streaming()).send().await;
                let found = found.map_err(|error| Failure::of(&error))?;
                if let Some(failure) = no_object(&found, &meter) {
                    return Err(failure);
                }
                let etag = found.e_tag().map(str::to_owned);
                let version_id = version(found.version_id());
                let announced = whole_length(&found, from, key)?;
                let body = receive_start(found, bytes_max, key).await?;
                // Without an announcement the end tells, where it came.
                let ended = from == 0 && (body.len() as u64) < bytes_max;
                let length = announced.or(ended.then_some(body.len() as u64));
                Ok(Part { body, length, etag, version_id })
            }
        };
        self.requests.send(Named { operation: actions::GET.name, key }, get).await
    }

    async fn page(&self, below: &str, next: &Next) -> Result<Page, Failure> {
        let named = Named { operation: actions::LIST.name, key: below };
        let page = async |client, meter| match next {
            Next::First => self.page_by_token(client, meter, below, None).await,
            Next::Token(token) => self.page_by_token(client, meter, below, Some(token)).await,
            Next::Marker(marker) => self.page_by_marker(client, meter, below, marker).await,
        };
        self.requests.send(named, page).await
    }

    async fn page_by_token(
        &self,
        client: aws_sdk_s3::Client,
        meter: Meter,
        below: &str,
        token: Option<&str>,
    ) -> Result<Page, Failure> {
        let list = client
            .list_objects_v2()
            .bucket(&self.bucket)
            .prefix(below)
            .delimiter("/")
            .set_continuation_token(token.map(str::to_owned))
            .set_expected_bucket_owner(self.owner());
        let page = list.customize().interceptor(meter.clone()).send().await;
        let page = page.map_err(|error| Failure::of(&error))?;
        if page.is_truncated().is_none() && page.name().is_none() {
            return Err(Failure::foreign(meter.answered().status, "a list without the bucket's name"));
        }
        let found = (page.common_prefixes(), page.contents());
        Ok(page_of(found, page.is_truncated(), page.next_continuation_token()))
    }

    async fn page_by_marker(
        &self,
        client: aws_sdk_s3::Client,
        meter: Meter,
        below: &str,
        marker: &str,
    ) -> Result<Page, Failure> {
        let list = client
            .list_objects()
            .bucket(&self.bucket)
            .prefix(below)
            .delimiter("/")
            .marker(marker)
            .set_expected_bucket_owner(self.owner());
        let page = list.customize().interceptor(meter.clone()).send().await;
        let page = page.map_err(|error| Failure::of(&error))?;
        let found = (page.common_prefixes(), page.contents());
        Ok(page_of(found, page.is_truncated(), page.next_marker()))
    }

    /// A PUT met an object. It is ours when its bytes are, or when an earlier try of this PUT got no answer and nobody may
    /// read what is there: the key is of this backup alone, and the bytes went with their checksum.
    async fn stored_before(&self, key: &str, body: &Bytes, failure: &Failure) -> Result<Stored> {
        let exists = |how: &str| {
            let message = format!("`{key}` is in {} already, {how}", self.location);
            Error::new(Code::ObjectExists, message)
                .help("Something else writes there; nothing of it was touched. Start the backup again.")
        };
        match self.fetch_whole(key, None, body.len() as u64).await {
            Ok((stored, bytes)) if bytes == *body => Ok(stored),
            Err(error) if error.code() == Code::Denied && failure.follows_a_lost_answer() => {
                Ok(Stored::default())
            }
            Err(error) if error.code() == Code::Denied => {
                Err(exists("and may not be read, so it cannot be compared").caused_by(error))
            }
            // Longer than ours: not ours.
            Err(error) if error.code() != Code::Damaged => Err(error),
            _ => Err(exists("with other bytes")),
        }
    }
}

/// The last try was refused, and an earlier one may have been done all the same.
fn refused_at_last(error: Error) -> Error {
    let what = "no answer says whether it was stored: the first try got none, and the next was refused";
    Error::new(Code::StoreHost, format!("{}: {what}", error.message())).caused_by(error)
}

/// What both ways to list answer.
fn page_of(
    (folders, objects): (&[CommonPrefix], &[Object]),
    truncated: Option<bool>,
    next: Option<&str>,
) -> Page {
    Page {
        folders: folders.iter().filter_map(|found| found.prefix().map(str::to_owned)).collect(),
        objects: objects.iter().filter_map(listed).collect(),
        truncated: truncated.unwrap_or(false),
        next: next.map(str::to_owned),
    }
}

fn listed(found: &Object) -> Option<Listed> {
    let modified = found.last_modified();
    Some(Listed {
        name: found.key()?.to_owned(),
        bytes: found.size().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
        modified: modified.and_then(|at| DateTime::from_timestamp(at.secs(), at.subsec_nanos())),
    })
}

/// A part of an object.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) body: Bytes,
    /// Bytes of the whole, where the answer says so or holds it.
    pub(super) length: Option<u64>,
    /// What tells this object from another of the same key.
    pub(super) etag: Option<String>,
    /// The version that it is a part of.
    pub(super) version_id: Option<String>,
}

/// Why an answer that says yes is not that of S3, which always sends an ETag; none if it is.
fn no_object(found: &GetObjectOutput, meter: &Meter) -> Option<Failure> {
    let object = found.e_tag().is_some() && meter.answered().may_be_s3();
    (!object).then(|| Failure::foreign(meter.answered().status, "an answer that is no object"))
}

/// `Content-Range: bytes FIRST-LAST/WHOLE` (RFC 9110, 14.4); a server that knows no ranges sends the whole, and does not
/// always say how long it is.
fn whole_length(found: &GetObjectOutput, from: u64, key: &str) -> Result<Option<u64>> {
    let told = |range: &str| {
        let (_, whole) = range.strip_prefix(&format!("bytes {from}-"))?.split_once('/')?;
        whole.parse().ok()
    };
    let length = match found.content_range() {
        None if from == 0 => return Ok(found.content_length().and_then(|length| u64::try_from(length).ok())),
        None => None,
        Some(range) => told(range),
    };
    match length {
        Some(length) => Ok(Some(length)),
        None => Err(Error::new(
            Code::StoreHost,
            format!("the storage does not say which part of `{key}` it sent"),
        )
        .help("Fetch the object with another tool, and name the file.")),
    }
}

fn replaced(key: &str) -> Error {
    Error::new(Code::Damaged, format!("`{key}` was replaced while it was read"))
        .help("Begin again, when nothing writes it any more.")
}

#[async_trait]
impl ObjectStore for Bucket {
    fn location(&self) -> &Location {
        &self.location
    }

    async fn put(&self, key: &str, body: Bytes, sha256: &[u8; 32], sse: &Sse) -> Result<Stored> {
        let mut answer = self.send_put(key, &body, sha256, sse, true).await;
        if answer
            .as_ref()
            .is_err_and(|failure| failure.is_not_implemented() && !failure.is_about_a_checksum())
        {
            // Some servers refuse conditional writes; names are unique anyway.
            answer = self.send_put(key, &body, sha256, sse, false).await;
        }
        let stored = match answer {
            Ok(stored) => stored,
            Err(failure) if failure.is_precondition_failed() => {
                self.stored_before(key, &body, &failure).await?
            }
            Err(failure) => {
                let key = self.key(key);
                let asked = Asked { sse: sse.header(), ..self.asked(actions::PUT, &key) };
                let unknown = failure.follows_a_lost_answer();
                let error = failure.explain(&asked);
                return Err(if unknown && error.refusal().is_some() {
                    refused_at_last(error)
                } else {
                    error
                });
            }
        };
        check_encryption(sse, &stored, key)?;
        Ok(stored)
    }

    async fn get(&self, key: &str, version_id: Option<&str>, bytes_max: u64) -> Result<Fetched> {
        let (stored, body) = self.fetch_whole(key, version_id, bytes_max.min(OBJECT_BYTES_MAX)).await?;
        Ok(Fetched { body, version_id: stored.version_id })
    }

    async fn get_start(&self, key: &str, bytes_max: u64) -> Result<Fetched> {
        let part = self.part(key, 0, bytes_max, None).await?;
        Ok(Fetched { body: part.body, version_id: part.version_id })
    }

    async fn list(&self, folder: &str) -> Result<Listing> {
        let mut below = self.key(folder);
        if !below.is_empty() && !below.ends_with('/') {
            below.push('/');
        }
        let (mut pages, mut next) = (Pages::new(&below), Next::First);
        loop {
            let page = self.page(&below, &next).await;
            let page = page.map_err(|failure| failure.explain(&self.asked(actions::LIST, &below)))?;
            match pages.take(&next, page)? {
                Some(more) => next = more,
                None => return Ok(pages.whole()),
            }
        }
    }

    async fn delete(&self, key: &str, version_id: Option<&str>) -> Result<()> {
        let operation = if version_id.is_some() { actions::DELETE_VERSION } else { actions::DELETE };
        let key = self.key(key);
        let delete = |client: aws_sdk_s3::Client, meter: Meter| {
            let delete = client
                .delete_object()
                .bucket(&self.bucket)
                .key(&key)
                .set_version_id(version_id.map(str::to_owned))
                .set_expected_bucket_owner(self.owner());
            async move {
                let deleted = delete.customize().interceptor(meter.clone()).send().await;
                deleted.map_err(|error| Failure::of(&error))?;
                match meter.answered().is_deletion() {
                    true => Ok(()),
                    false => Err(Failure::foreign(meter.answered().status, "an answer to no deletion")),
                }
            }
        };
        let deleted = self.requests.send(Named { operation: operation.name, key: &key }, delete).await;
        match deleted.map_err(|failure| failure.explain(&self.asked(operation, &key))) {
            Err(error) if error.code() == Code::ObjectMissing => Ok(()),
            other => other,
        }
    }
}

pub(super) fn sse_headers(asked: &Sse) -> (Option<ServerSideEncryption>, Option<String>) {
    match asked {
        Sse::None => (None, None),
        Sse::Aes256 => (Some(ServerSideEncryption::Aes256), None),
        Sse::Kms(key) => (Some(ServerSideEncryption::AwsKms), key.clone()),
        Sse::Dsse(key) => (Some(ServerSideEncryption::AwsKmsDsse), key.clone()),
    }
}

/// A bucket without versions answers nothing, or `null` where versions were suspended.
pub(super) fn version(id: Option<&str>) -> Option<String> {
    id.filter(|id| !id.is_empty() && *id != "null").map(str::to_owned)
}

/// Reads a body, which must have at most `bytes_max` bytes.
async fn receive(found: GetObjectOutput, bytes_max: u64, key: &str) -> Result<Bytes, Failure> {
    let too_long =
        || Failure::from(Error::new(Code::Damaged, format!("`{key}` is longer than {bytes_max} bytes")));
    if found.content_length().is_some_and(|length| u64::try_from(length).is_ok_and(|n| n > bytes_max)) {
        return Err(too_long());
    }
    let bytes = receive_start(found, bytes_max.saturating_add(1), key).await?;
    if bytes.len() as u64 > bytes_max { Err(too_long()) } else { Ok(bytes) }
}

/// Reads a body up to `bytes_max` bytes: a server that does not know ranges sends more. One that ends before the length
/// that was announced has broken off.
async fn receive_start(found: GetObjectOutput, bytes_max: u64, key: &str) -> Result<Bytes, Failure> {
    let announced = found.content_length().and_then(|length| u64::try_from(length).ok());
    let most = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let reserved = announced.unwrap_or(0).min(bytes_max).min(RESERVED_MAX);
    let mut body = found.body;
    let mut bytes = BytesMut::with_capacity(usize::try_from(reserved).unwrap_or(0));
    let broke = || Error::new(Code::StoreHost, format!("the connection broke while `{key}` was read"));
    while bytes.len() < most {
        let Some(chunk) = body.next().await else { break };
        let chunk = chunk.map_err(|e| Failure::broken(broke().caused_by(e)))?;
        bytes.extend_from_slice(&chunk[..chunk.len().min(most - bytes.len())]);
    }
    let whole = bytes.len() >= most || announced.is_none_or(|announced| bytes.len() as u64 >= announced);
    if whole { Ok(bytes.freeze()) } else { Err(Failure::broken(broke())) }
}

/// What was asked and what is reported must agree; a server that reports nothing is not believed, but said to.
fn check_encryption(asked: &Sse, stored: &Stored, key: &str) -> Result<()> {
    let (Some(wanted), Some(found)) = (asked.header(), stored.encryption.as_deref()) else { return Ok(()) };
    let same_key = match (asked.kms_key(), stored.kms_key_id.as_deref()) {
        (Some(wanted), Some(found)) if !wanted.contains("alias/") => {
            found == wanted || found.ends_with(&format!("/{wanted}"))
        }
        _ => true,
    };
    if found == wanted && same_key {
        return Ok(());
    }
    let reported =
        stored.kms_key_id.as_deref().map_or(found.to_owned(), |key| format!("{found} with key {key}"));
    Err(Error::new(
        Code::Encryption,
        format!("`{wanted}` encryption was asked for, but the server reports `{reported}` for `{key}`"),
    )
    .help("Do not trust this bucket's encryption until you know why; the bucket's default may override the request."))
}
