//! A bucket on S3 or on a server that speaks its protocol.

use async_trait::async_trait;
use aws_config::Region;
use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::put_object::PutObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use tokio::sync::RwLock;

use super::actions::{self, Operation};
use super::failure::{Asked, Failure, SdkFailure};
use super::{Fetched, Listing, ObjectStore, Sse, StoreOptions, Stored};
use super::{retry, session};
use crate::error::{Code, Error, Result};
use crate::location::Location;

/// A bucket, or a prefix in one.
#[derive(Debug)]
pub(super) struct Bucket {
    location: Location,
    bucket: String,
    prefix: String,
    options: StoreOptions,
    client: RwLock<Option<Client>>,
}

impl Bucket {
    pub(super) fn new(bucket: String, prefix: String, options: StoreOptions) -> Self {
        let location = Location::S3 { bucket: bucket.clone(), prefix: prefix.clone() };
        Self { location, bucket, prefix, options, client: RwLock::new(None) }
    }

    /// The client; made at the first request, in the region that is configured.
    async fn client(&self) -> Client {
        if let Some(client) = &*self.client.read().await {
            return client.clone();
        }
        self.client.write().await.get_or_insert(client(&self.options, None).await).clone()
    }

    /// If the answer says that the bucket lies elsewhere: a client for there. Its answers carry the region
    /// even when they refuse, so no permission is needed to learn it.
    async fn moved(&self, failure: &Failure, client: &Client) -> Option<Client> {
        let region = failure.bucket_region()?;
        if client.config().region().is_some_and(|known| known.as_ref() == region) {
            return None;
        }
        let there = self::client(&self.options, Some(Region::new(region.to_owned()))).await;
        *self.client.write().await = Some(there.clone());
        Some(there)
    }

    /// Makes a request, and once more where the bucket really is.
    async fn request<T, E, F>(&self, operation: Operation, key: &str, send: impl Fn(Client) -> F) -> Result<T>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: SdkFailure,
    {
        match self.try_request(send).await {
            Ok(answer) => Ok(answer),
            Err(failure) => Err(failure.explain(&self.asked(operation, key))),
        }
    }

    async fn try_request<T, E, F>(&self, send: impl Fn(Client) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, SdkError<E>>>,
        E: SdkFailure,
    {
        let client = self.client().await;
        let failure = match send(client.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(error) => Failure::of(&error),
        };
        match self.moved(&failure, &client).await {
            Some(there) => send(there).await.map_err(|error| Failure::of(&error)),
            None => Err(failure),
        }
    }

    /// A request of this bucket, for its errors.
    fn asked<'a>(&'a self, operation: Operation, key: &'a str) -> Asked<'a> {
        let profile = self.options.profile.as_deref();
        Asked { operation, bucket: &self.bucket, prefix: &self.prefix, key, sse: None, profile }
    }

    fn key(&self, key: &str) -> String {
        if self.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", self.prefix) }
    }

    async fn send_put(
        &self,
        key: &str,
        body: &Bytes,
        sha256: &[u8; 32],
        asked: &Sse,
        conditional: bool,
    ) -> Result<PutObjectOutput, Failure> {
        let key = self.key(key);
        self.try_request(|client| {
            let (sse, kms_key) = sse_headers(asked);
            client
                .put_object()
                .bucket(&self.bucket)
                .key(&key)
                .set_expected_bucket_owner(self.options.expected_owner.clone())
                .set_if_none_match(conditional.then(|| "*".to_owned()))
                .checksum_sha256(BASE64.encode(sha256))
                .set_server_side_encryption(sse)
                .set_ssekms_key_id(kms_key)
                .body(ByteStream::from(body.clone()))
                .send()
        })
        .await
    }

    async fn fetch(&self, key: &str, version_id: Option<&str>) -> Result<GetObjectOutput> {
        let operation = if version_id.is_some() { actions::GET_VERSION } else { actions::GET };
        let key = self.key(key);
        self.request(operation, &key, |client| {
            client
                .get_object()
                .bucket(&self.bucket)
                .key(&key)
                .set_version_id(version_id.map(str::to_owned))
                .set_expected_bucket_owner(self.options.expected_owner.clone())
                .send()
        })
        .await
    }

    /// A body that breaks off is fetched again: the SDK repeats requests, not the reading of their answers.
    async fn fetch_whole(
        &self,
        key: &str,
        version_id: Option<&str>,
        bytes_max: u64,
    ) -> Result<(Stored, Bytes)> {
        let mut failures = 0;
        loop {
            let found = self.fetch(key, version_id).await?;
            let stored = Stored {
                version_id: version(found.version_id()),
                encryption: found.server_side_encryption().map(|sse| sse.as_str().to_owned()),
                kms_key_id: found.ssekms_key_id().map(str::to_owned),
            };
            match receive(found, bytes_max, key).await {
                Err(error) if error.code() == Code::StoreHost => {
                    failures += 1;
                    let Some(pause) = retry::pause(failures) else { return Err(error) };
                    tokio::time::sleep(pause).await;
                }
                received => return Ok((stored, received?)),
            }
        }
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
        let mut failures = 0;
        loop {
            let found = match self.send_part(key, from, bytes_max, etag).await {
                // There is no first byte of nothing.
                Err(failure) if failure.is_out_of_range() && from == 0 => return Ok(Part::default()),
                Err(failure) if failure.is_precondition_failed() => return Err(replaced(key)),
                Err(failure) => {
                    return Err(failure.explain(&self.asked(actions::GET, &self.key(key))));
                }
                Ok(found) => found,
            };
            let etag = found.e_tag().map(str::to_owned);
            let version_id = version(found.version_id());
            let length = whole_length(&found, from, key)?;
            match receive_start(found, bytes_max, key).await {
                Err(error) if error.code() == Code::StoreHost => {
                    failures += 1;
                    let Some(pause) = retry::pause(failures) else { return Err(error) };
                    tokio::time::sleep(pause).await;
                }
                received => return Ok(Part { body: received?, length, etag, version_id }),
            }
        }
    }

    async fn send_part(
        &self,
        key: &str,
        from: u64,
        bytes_max: u64,
        etag: Option<&str>,
    ) -> Result<GetObjectOutput, Failure> {
        let key = self.key(key);
        let last = from.saturating_add(bytes_max).saturating_sub(1);
        self.try_request(|client| {
            client
                .get_object()
                .bucket(&self.bucket)
                .key(&key)
                .range(format!("bytes={from}-{last}"))
                .set_if_match(etag.map(str::to_owned))
                .set_expected_bucket_owner(self.options.expected_owner.clone())
                .send()
        })
        .await
    }

    /// What an earlier try of the same PUT may have stored, its answer lost: the same bytes, or somebody else's.
    async fn stored_before(&self, key: &str, body: &Bytes) -> Result<Stored> {
        match self.fetch_whole(key, None, body.len() as u64).await {
            Ok((stored, bytes)) if bytes == *body => return Ok(stored),
            // Longer than ours: not ours.
            Err(error) if error.code() != Code::Damaged => return Err(error),
            _ => {}
        }
        Err(Error::new(
            Code::ObjectExists,
            format!("`{key}` is in {} already, with other bytes", self.location),
        )
        .help("Something else writes there; nothing of it was touched. Start the backup again."))
    }
}

/// A part of an object.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) body: Bytes,
    /// Bytes of the whole.
    pub(super) length: u64,
    /// What tells this object from another of the same key.
    pub(super) etag: Option<String>,
    /// The version that it is a part of.
    pub(super) version_id: Option<String>,
}

/// `Content-Range: bytes FIRST-LAST/WHOLE` (RFC 9110, 14.4); a server that knows no ranges sends the whole.
fn whole_length(found: &GetObjectOutput, from: u64, key: &str) -> Result<u64> {
    let given = match found.content_range() {
        None if from == 0 => found.content_length().and_then(|length| u64::try_from(length).ok()),
        None => None,
        Some(range) => range
            .strip_prefix(&format!("bytes {from}-"))
            .and_then(|range| range.split_once('/'))
            .and_then(|(_, whole)| whole.parse().ok()),
    };
    given.ok_or_else(|| {
        Error::new(Code::StoreHost, format!("the storage does not say which part of `{key}` it sent"))
            .help("Fetch the object with another tool, and name the file.")
    })
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
        if answer.as_ref().is_err_and(Failure::is_not_implemented) {
            // Some servers refuse conditional writes; names are unique anyway.
            answer = self.send_put(key, &body, sha256, sse, false).await;
        }
        let stored = match answer {
            Ok(answer) => Stored {
                version_id: version(answer.version_id()),
                encryption: answer.server_side_encryption().map(|sse| sse.as_str().to_owned()),
                kms_key_id: answer.ssekms_key_id().map(str::to_owned),
            },
            Err(failure) if failure.is_precondition_failed() => self.stored_before(key, &body).await?,
            Err(failure) => {
                let key = self.key(key);
                let asked = Asked { sse: sse.header(), ..self.asked(actions::PUT, &key) };
                return Err(failure.explain(&asked));
            }
        };
        check_encryption(sse, &stored, key)?;
        Ok(stored)
    }

    async fn get(&self, key: &str, version_id: Option<&str>, bytes_max: u64) -> Result<Fetched> {
        let (stored, body) = self.fetch_whole(key, version_id, bytes_max).await?;
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
        let mut listing = Listing::default();
        let mut token = None;
        loop {
            let page = self.request(actions::LIST, &below, |client| {
                client
                    .list_objects_v2()
                    .bucket(&self.bucket)
                    .prefix(&below)
                    .delimiter("/")
                    .set_continuation_token(token.clone())
                    .set_expected_bucket_owner(self.options.expected_owner.clone())
                    .send()
            });
            let page = page.await?;
            let name = |key: Option<&str>| {
                let name = key?.strip_prefix(below.as_str())?.trim_end_matches('/');
                (!name.is_empty()).then(|| name.to_owned())
            };
            listing.folders.extend(page.common_prefixes().iter().filter_map(|p| name(p.prefix())));
            listing.objects.extend(page.contents().iter().filter_map(|object| name(object.key())));
            let next = page.next_continuation_token().map(str::to_owned);
            if next.is_none() {
                // S3 sorts folders with their slash.
                listing.folders.sort_unstable();
                listing.objects.sort_unstable();
                return Ok(listing);
            }
            if next == token {
                return Err(Error::new(
                    Code::StoreHost,
                    "the storage repeats the same page of a list for ever",
                ));
            }
            token = next;
        }
    }

    async fn delete(&self, key: &str, version_id: Option<&str>) -> Result<()> {
        let operation = if version_id.is_some() { actions::DELETE_VERSION } else { actions::DELETE };
        let key = self.key(key);
        let deleted = self.request(operation, &key, |client| {
            client
                .delete_object()
                .bucket(&self.bucket)
                .key(&key)
                .set_version_id(version_id.map(str::to_owned))
                .set_expected_bucket_owner(self.options.expected_owner.clone())
                .send()
        });
        match deleted.await {
            Err(error) if error.code() == Code::ObjectMissing => Ok(()),
            other => other.map(|_| ()),
        }
    }
}

fn client(options: &StoreOptions, region: Option<Region>) -> BoxFuture<'_, Client> {
    Box::pin(async { session::s3(options, &session::shared(options, region).await) })
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
async fn receive(found: GetObjectOutput, bytes_max: u64, key: &str) -> Result<Bytes> {
    let too_long = || Error::new(Code::Damaged, format!("`{key}` is longer than {bytes_max} bytes"));
    if found.content_length().is_some_and(|length| u64::try_from(length).is_ok_and(|n| n > bytes_max)) {
        return Err(too_long());
    }
    let bytes = receive_start(found, bytes_max.saturating_add(1), key).await?;
    if bytes.len() as u64 > bytes_max { Err(too_long()) } else { Ok(bytes) }
}

/// Reads a body up to `bytes_max` bytes: a server that does not know ranges sends more.
async fn receive_start(found: GetObjectOutput, bytes_max: u64, key: &str) -> Result<Bytes> {
    let length = found.content_length().and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
    let most = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let mut body = found.body;
    let mut bytes = BytesMut::with_capacity(usize::try_from(length).map_or(most, |length| length.min(most)));
    while bytes.len() < most {
        let Some(chunk) = body.next().await else { break };
        let chunk = chunk.map_err(|e| {
            Error::new(Code::StoreHost, format!("the connection broke while `{key}` was read")).caused_by(e)
        })?;
        bytes.extend_from_slice(&chunk[..chunk.len().min(most - bytes.len())]);
    }
    Ok(bytes.freeze())
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
