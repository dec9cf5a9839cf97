//! The operations, on what is stored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use iam_policy::{Kind, Policy};
use md5::{Digest, Md5};
use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use sha2::Sha256;

use crate::access::Caller;
use crate::buckets::{self, Blob, Content, Encryption, NULL_VERSION, Upload, Version, Versioning};
use crate::state::State;

/// Names in one page of a listing (Amazon S3's own limit).
const PAGE_MAX: i32 = 1000;

#[derive(Debug, Clone)]
pub(crate) struct Api(pub(crate) Arc<State>);

type Answer<T> = S3Result<S3Response<T>>;

fn answer<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

impl Api {
    fn bucket<T>(&self, name: &str, work: impl FnOnce(&mut buckets::Bucket) -> S3Result<T>) -> S3Result<T> {
        self.0.buckets.with(|buckets| match buckets.get_mut(name) {
            Some(bucket) => work(bucket),
            None => Err(s3_error!(NoSuchBucket, "The specified bucket does not exist")),
        })
    }

    async fn collect(&self, body: Option<StreamingBlob>, length: Option<i64>) -> S3Result<Bytes> {
        let too_large = || s3_error!(EntityTooLarge, "Your proposed upload exceeds the maximum allowed size");
        let expected = length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0);
        if expected > self.0.object_bytes_max {
            return Err(too_large());
        }
        const RESERVED_MAX: u64 = 64 << 20;
        let mut bytes = BytesMut::with_capacity(expected.min(RESERVED_MAX) as usize);
        let Some(mut body) = body else { return Ok(bytes.freeze()) };
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|e| s3_error!(IncompleteBody, "{e}"))?;
            if (bytes.len() + chunk.len()) as u64 > self.0.object_bytes_max {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    fn blob(&self, bytes: Bytes) -> S3Result<Blob> {
        Blob::store(self.0.folder.as_ref(), bytes).map_err(S3Error::internal_error)
    }

    /// A key that is missing is only told to those who may list.
    fn missing<T>(&self, extensions: &http::Extensions, bucket: &str, what: S3Error) -> S3Result<T> {
        let Some(caller) = extensions.get::<Caller>() else { return Err(what) };
        if self.0.may(caller, "s3:ListBucket", &format!("arn:aws:s3:::{bucket}")) {
            return Err(what);
        }
        Err(s3_error!(AccessDenied, "Access Denied"))
    }

    fn found(
        &self,
        bucket: &str,
        key: &str,
        version: Option<&str>,
    ) -> S3Result<Result<(Version, Content), S3Error>> {
        self.bucket(bucket, |bucket| {
            let version = match version {
                Some(id) => bucket.version(key, id),
                None => bucket.current(key).map(|(version, _)| version),
            };
            let no_such = || s3_error!(NoSuchKey, "The specified key does not exist.");
            Ok(match version.map(|version| (version.clone(), version.content.clone())) {
                Some((version, Some(content))) => Ok((version, content)),
                Some((_, None)) => {
                    Err(s3_error!(MethodNotAllowed, "The specified version is a delete marker"))
                }
                None => Err(no_such()),
            })
        })
    }
}

/// The version id in an answer: none where the bucket never had versions.
fn shown(id: &str, versioning: Versioning) -> Option<String> {
    (versioning != Versioning::Never || id != NULL_VERSION).then(|| id.to_owned())
}

fn md5_hex(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

fn sse(encryption: &Encryption) -> Option<ServerSideEncryption> {
    encryption.algorithm.clone().map(ServerSideEncryption::from)
}

/// What a request asks for, or else what the bucket does with all objects.
fn encryption(
    asked: Option<ServerSideEncryption>,
    kms_key_id: Option<String>,
    customer_key: Option<&str>,
    default: &Encryption,
    region: &str,
) -> S3Result<Encryption> {
    if let Some(key) = customer_key {
        let key =
            BASE64.decode(key).map_err(|_| s3_error!(InvalidArgument, "the customer key is not Base64"))?;
        return Ok(Encryption {
            customer_key_md5: Some(BASE64.encode(Md5::digest(key))),
            ..Encryption::default()
        });
    }
    let Some(asked) = asked else { return Ok(default.clone()) };
    let algorithm = asked.as_str().to_owned();
    let kms_key_id = match algorithm.as_str() {
        "AES256" => None,
        "aws:kms" | "aws:kms:dsse" => {
            let key = kms_key_id.unwrap_or_else(|| "aws-s3-default".into());
            let is_arn = key.starts_with("arn:");
            Some(if is_arn { key } else { format!("arn:aws:kms:{region}:111122223333:key/{key}") })
        }
        _ => return Err(s3_error!(InvalidArgument, "The encryption method specified is not supported")),
    };
    Ok(Encryption { algorithm: Some(algorithm), kms_key_id, customer_key_md5: None })
}

/// An object under a client's key is read with that key only.
fn check_customer_key(content: &Content, key: Option<&str>) -> S3Result<()> {
    let given = key.and_then(|key| BASE64.decode(key).ok()).map(|key| BASE64.encode(Md5::digest(key)));
    match (&content.encryption.customer_key_md5, given) {
        (None, None) => Ok(()),
        (Some(wanted), Some(given)) if *wanted == given => Ok(()),
        (Some(_), Some(_)) => Err(s3_error!(AccessDenied, "Access Denied")),
        _ => Err(s3_error!(
            InvalidRequest,
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object."
        )),
    }
}

/// Compares what arrived with what the client says it sent.
fn check_sums(bytes: &[u8], md5: Option<&str>, sha256: Option<&str>) -> S3Result<()> {
    let wrong = |given: Option<&str>, found: String| given.is_some_and(|given| given != found);
    if wrong(md5, BASE64.encode(Md5::digest(bytes))) || wrong(sha256, BASE64.encode(Sha256::digest(bytes))) {
        return Err(s3_error!(BadDigest, "The checksum you specified did not match what we received."));
    }
    Ok(())
}

/// Checksums of newer clients, over the whole body.
fn check_crcs(bytes: &[u8], crc32: Option<&str>, crc32c: Option<&str>, crc64: Option<&str>) -> S3Result<()> {
    use crc_fast::{CrcAlgorithm, checksum};
    let four = |algorithm| BASE64.encode(&checksum(algorithm, bytes).to_be_bytes()[4..]);
    let eight = |algorithm| BASE64.encode(checksum(algorithm, bytes).to_be_bytes());
    let wrong = crc32.is_some_and(|given| given != four(CrcAlgorithm::Crc32IsoHdlc))
        || crc32c.is_some_and(|given| given != four(CrcAlgorithm::Crc32Iscsi))
        || crc64.is_some_and(|given| given != eight(CrcAlgorithm::Crc64Nvme));
    if wrong {
        Err(s3_error!(BadDigest, "The checksum you specified did not match what we received."))
    } else {
        Ok(())
    }
}

/// Conditions on what a write would replace.
fn check_conditions(
    bucket: &buckets::Bucket,
    key: &str,
    if_none_match: Option<&ETagCondition>,
    if_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let current = bucket.current(key).map(|(_, content)| content.etag.as_str());
    let failed =
        || s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold");
    let fits = |condition: &ETagCondition, etag: &str| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    };
    match (if_none_match, current) {
        (Some(ETagCondition::ETag(_)), _) => {
            return Err(s3_error!(NotImplemented, "If-None-Match takes `*` only on a write"));
        }
        (Some(condition), Some(etag)) if fits(condition, etag) => return Err(failed()),
        _ => {}
    }
    match (if_match, current) {
        (Some(_), None) => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
        (Some(condition), Some(etag)) if !fits(condition, etag) => Err(failed()),
        _ => Ok(()),
    }
}

/// One page of names under a prefix, folders put together.
struct Page<'a> {
    entries: Vec<&'a str>,
    folders: Vec<String>,
    /// The last name or folder of the page, if there is more.
    next: Option<String>,
}

fn page<'a>(
    keys: impl Iterator<Item = &'a str>,
    prefix: &str,
    delimiter: Option<&str>,
    after: Option<&str>,
    max: i32,
) -> Page<'a> {
    let mut page = Page { entries: Vec::new(), folders: Vec::new(), next: None };
    let mut last: Option<String> = None;
    let room = usize::try_from(max.clamp(0, PAGE_MAX)).unwrap_or(0);
    for key in keys.filter(|key| key.starts_with(prefix)) {
        let folder = delimiter.filter(|d| !d.is_empty()).and_then(|delimiter| {
            let rest = &key[prefix.len()..];
            rest.find(delimiter).map(|at| key[..prefix.len() + at + delimiter.len()].to_owned())
        });
        let name = folder.as_deref().unwrap_or(key);
        let seen = after.is_some_and(|after| name <= after || key <= after) || last.as_deref() == Some(name);
        if seen {
            continue;
        }
        if page.entries.len() + page.folders.len() == room {
            page.next = last;
            break;
        }
        last = Some(name.to_owned());
        match folder {
            Some(folder) => page.folders.push(folder),
            None => page.entries.push(key),
        }
    }
    page
}

fn common_prefixes(folders: Vec<String>) -> Option<CommonPrefixList> {
    Some(folders.into_iter().map(|prefix| CommonPrefix { prefix: Some(prefix) }).collect())
}

fn object(key: &str, version: &Version, content: &Content) -> Object {
    Object {
        key: Some(key.into()),
        size: Some(content.blob.length().cast_signed()),
        e_tag: Some(ETag::Strong(content.etag.clone())),
        last_modified: Some(version.modified.into()),
        ..Object::default()
    }
}

fn live(bucket: &buckets::Bucket) -> impl Iterator<Item = &str> {
    bucket.objects.keys().filter(|key| bucket.current(key).is_some()).map(String::as_str)
}

#[async_trait::async_trait]
impl S3 for Api {
    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        let (now, default) = (self.0.now(), self.0.default_encryption());
        let name = req.input.bucket;
        self.0.buckets.with(|buckets| {
            if buckets.contains_key(&name) {
                return Err(s3_error!(BucketAlreadyOwnedByYou, "You own this bucket already"));
            }
            buckets.insert(name.clone(), buckets::Bucket::new(now, default));
            Ok(())
        })?;
        answer(CreateBucketOutput { location: Some(format!("/{name}")) })
    }

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
        self.bucket(&req.input.bucket, |bucket| match bucket.objects.is_empty() {
            true => Ok(()),
            false => Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty")),
        })?;
        self.0.buckets.with(|buckets| buckets.remove(&req.input.bucket));
        answer(DeleteBucketOutput {})
    }

    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        let buckets = self.0.buckets.with(|buckets| {
            let bucket = |(name, bucket): (&String, &buckets::Bucket)| Bucket {
                name: Some(name.clone()),
                creation_date: Some(bucket.created.into()),
                bucket_region: Some(self.0.region.clone()),
            };
            buckets.iter().map(bucket).collect::<Vec<_>>()
        });
        answer(ListBucketsOutput { buckets: Some(buckets), ..ListBucketsOutput::default() })
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        self.bucket(&req.input.bucket, |_| Ok(()))?;
        answer(HeadBucketOutput { bucket_region: Some(self.0.region.clone()), ..HeadBucketOutput::default() })
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> Answer<GetBucketLocationOutput> {
        self.bucket(&req.input.bucket, |_| Ok(()))?;
        // The first region has no name here.
        let region = Some(self.0.region.clone()).filter(|region| region != "us-east-1");
        answer(GetBucketLocationOutput { location_constraint: region.map(BucketLocationConstraint::from) })
    }

    async fn put_bucket_versioning(
        &self,
        req: S3Request<PutBucketVersioningInput>,
    ) -> Answer<PutBucketVersioningOutput> {
        let status = req.input.versioning_configuration.status;
        let versioning = match status.as_ref().map(BucketVersioningStatus::as_str) {
            Some("Enabled") => Versioning::Enabled,
            Some("Suspended") => Versioning::Suspended,
            _ => return Err(s3_error!(MalformedXML, "Status is Enabled or Suspended")),
        };
        self.bucket(&req.input.bucket, |bucket| {
            bucket.versioning = versioning;
            Ok(())
        })?;
        answer(PutBucketVersioningOutput {})
    }

    async fn get_bucket_versioning(
        &self,
        req: S3Request<GetBucketVersioningInput>,
    ) -> Answer<GetBucketVersioningOutput> {
        let status = self.bucket(&req.input.bucket, |bucket| {
            Ok(match bucket.versioning {
                Versioning::Never => None,
                Versioning::Enabled => {
                    Some(BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED))
                }
                Versioning::Suspended => {
                    Some(BucketVersioningStatus::from_static(BucketVersioningStatus::SUSPENDED))
                }
            })
        })?;
        answer(GetBucketVersioningOutput { status, ..GetBucketVersioningOutput::default() })
    }

    async fn put_bucket_encryption(
        &self,
        req: S3Request<PutBucketEncryptionInput>,
    ) -> Answer<PutBucketEncryptionOutput> {
        let rules = req.input.server_side_encryption_configuration.rules;
        let rule = rules.into_iter().find_map(|rule| rule.apply_server_side_encryption_by_default);
        let Some(rule) = rule else { return Err(s3_error!(MalformedXML, "no default encryption is given")) };
        let none = Encryption::default();
        let asked =
            encryption(Some(rule.sse_algorithm), rule.kms_master_key_id, None, &none, &self.0.region)?;
        self.bucket(&req.input.bucket, |bucket| {
            bucket.default_encryption = asked;
            Ok(())
        })?;
        answer(PutBucketEncryptionOutput {})
    }

    async fn get_bucket_encryption(
        &self,
        req: S3Request<GetBucketEncryptionInput>,
    ) -> Answer<GetBucketEncryptionOutput> {
        let default = self.bucket(&req.input.bucket, |bucket| Ok(bucket.default_encryption.clone()))?;
        let Some(algorithm) = sse(&default) else {
            return Err(s3_error!(
                ServerSideEncryptionConfigurationNotFoundError,
                "The server side encryption configuration was not found"
            ));
        };
        let by_default =
            ServerSideEncryptionByDefault { kms_master_key_id: default.kms_key_id, sse_algorithm: algorithm };
        let rule = ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(by_default),
            ..ServerSideEncryptionRule::default()
        };
        let configuration = ServerSideEncryptionConfiguration { rules: vec![rule] };
        answer(GetBucketEncryptionOutput { server_side_encryption_configuration: Some(configuration) })
    }

    async fn delete_bucket_encryption(
        &self,
        req: S3Request<DeleteBucketEncryptionInput>,
    ) -> Answer<DeleteBucketEncryptionOutput> {
        let default = self.0.default_encryption();
        self.bucket(&req.input.bucket, |bucket| {
            bucket.default_encryption = default;
            Ok(())
        })?;
        answer(DeleteBucketEncryptionOutput {})
    }

    async fn put_bucket_policy(&self, req: S3Request<PutBucketPolicyInput>) -> Answer<PutBucketPolicyOutput> {
        let text = req.input.policy;
        let policy = Policy::parse(&text, Kind::Resource).map_err(|e| s3_error!(MalformedPolicy, "{e}"))?;
        self.bucket(&req.input.bucket, |bucket| {
            bucket.policy = Some((policy, text));
            Ok(())
        })?;
        answer(PutBucketPolicyOutput {})
    }

    async fn get_bucket_policy(&self, req: S3Request<GetBucketPolicyInput>) -> Answer<GetBucketPolicyOutput> {
        let policy = self.bucket(&req.input.bucket, |bucket| {
            let text = bucket.policy.as_ref().map(|(_, text)| text.clone());
            text.ok_or_else(|| s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist"))
        })?;
        answer(GetBucketPolicyOutput { policy: Some(policy) })
    }

    async fn delete_bucket_policy(
        &self,
        req: S3Request<DeleteBucketPolicyInput>,
    ) -> Answer<DeleteBucketPolicyOutput> {
        self.bucket(&req.input.bucket, |bucket| {
            bucket.policy = None;
            Ok(())
        })?;
        answer(DeleteBucketPolicyOutput {})
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        let mut input = req.input;
        let default = self.bucket(&input.bucket, |bucket| {
            check_conditions(bucket, &input.key, input.if_none_match.as_ref(), input.if_match.as_ref())?;
            Ok(bucket.default_encryption.clone())
        })?;
        let customer_key = input.sse_customer_key.as_deref();
        let encryption = encryption(
            input.server_side_encryption.take(),
            input.ssekms_key_id.take(),
            customer_key,
            &default,
            &self.0.region,
        )?;
        let bytes = self.collect(input.body.take(), input.content_length).await?;
        check_sums(&bytes, input.content_md5.as_deref(), input.checksum_sha256.as_deref())?;
        let trailer = |name: &str| {
            let trailers = req.trailing_headers.as_ref()?;
            trailers.read(|headers| headers.get(name)?.to_str().ok().map(str::to_owned)).flatten()
        };
        let crc32 = input.checksum_crc32.take().or_else(|| trailer("x-amz-checksum-crc32"));
        let crc32c = input.checksum_crc32c.take().or_else(|| trailer("x-amz-checksum-crc32c"));
        let crc64 = input.checksum_crc64nvme.take().or_else(|| trailer("x-amz-checksum-crc64nvme"));
        check_crcs(&bytes, crc32.as_deref(), crc32c.as_deref(), crc64.as_deref())?;
        let content = Content {
            etag: md5_hex(&bytes),
            sha256: input.checksum_sha256.clone(),
            encryption: encryption.clone(),
            content_type: input.content_type.map(|kind| kind.to_string()),
            metadata: input.metadata,
            blob: self.blob(bytes)?,
        };
        let etag = content.etag.clone();
        let now = self.0.now();
        let version_id = self.bucket(&input.bucket, |bucket| {
            // Somebody may have been quicker while the body came in.
            check_conditions(bucket, &input.key, input.if_none_match.as_ref(), input.if_match.as_ref())?;
            Ok(bucket.add(&input.key, Some(content), now))
        })?;
        answer(PutObjectOutput {
            e_tag: Some(ETag::Strong(etag)),
            version_id,
            checksum_sha256: input.checksum_sha256,
            checksum_crc32: crc32,
            checksum_crc32c: crc32c,
            checksum_crc64nvme: crc64,
            server_side_encryption: sse(&encryption),
            ssekms_key_id: encryption.kms_key_id,
            sse_customer_algorithm: encryption.customer_key_md5.as_ref().map(|_| "AES256".into()),
            sse_customer_key_md5: encryption.customer_key_md5,
            ..PutObjectOutput::default()
        })
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        let input = req.input;
        let (version, content) = match self.found(&input.bucket, &input.key, input.version_id.as_deref())? {
            Ok(found) => found,
            Err(missing) => return self.missing(&req.extensions, &input.bucket, missing),
        };
        check_customer_key(&content, input.sse_customer_key.as_deref())?;
        let fits = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(etag) => etag.value() == content.etag,
        };
        if input.if_match.as_ref().is_some_and(|condition| !fits(condition)) {
            return Err(s3_error!(PreconditionFailed));
        }
        if input.if_none_match.as_ref().is_some_and(fits) {
            return Err(s3_error!(NotModified));
        }
        let bytes = content.blob.read().map_err(S3Error::internal_error)?;
        let whole = bytes.len() as u64;
        let (bytes, content_range) = match input.range {
            None => (bytes, None),
            Some(range) => {
                let range = range.check(whole)?;
                let shown = format!("bytes {}-{}/{whole}", range.start, range.end.saturating_sub(1));
                (bytes.slice(range.start as usize..range.end as usize), Some(shown))
            }
        };
        let versioning = self.bucket(&input.bucket, |bucket| Ok(bucket.versioning))?;
        let status =
            if content_range.is_some() { http::StatusCode::PARTIAL_CONTENT } else { http::StatusCode::OK };
        let output = GetObjectOutput {
            content_length: Some(bytes.len() as i64),
            content_range,
            accept_ranges: Some("bytes".into()),
            body: Some(StreamingBlob::wrap(futures::stream::once(
                async move { Ok::<_, std::io::Error>(bytes) },
            ))),
            e_tag: Some(ETag::Strong(content.etag)),
            last_modified: Some(version.modified.into()),
            version_id: shown(&version.id, versioning),
            content_type: content.content_type.and_then(|kind| kind.parse().ok()),
            metadata: content.metadata,
            checksum_sha256: content.sha256.filter(|_| input.checksum_mode.is_some()),
            server_side_encryption: sse(&content.encryption),
            ssekms_key_id: content.encryption.kms_key_id,
            sse_customer_algorithm: content.encryption.customer_key_md5.as_ref().map(|_| "AES256".into()),
            sse_customer_key_md5: content.encryption.customer_key_md5,
            ..GetObjectOutput::default()
        };
        Ok(S3Response::with_status(output, status))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        let input = req.input;
        let (version, content) = match self.found(&input.bucket, &input.key, input.version_id.as_deref())? {
            Ok(found) => found,
            Err(missing) => return self.missing(&req.extensions, &input.bucket, missing),
        };
        check_customer_key(&content, input.sse_customer_key.as_deref())?;
        let versioning = self.bucket(&input.bucket, |bucket| Ok(bucket.versioning))?;
        answer(HeadObjectOutput {
            content_length: Some(content.blob.length().cast_signed()),
            accept_ranges: Some("bytes".into()),
            e_tag: Some(ETag::Strong(content.etag)),
            last_modified: Some(version.modified.into()),
            version_id: shown(&version.id, versioning),
            metadata: content.metadata,
            server_side_encryption: sse(&content.encryption),
            ssekms_key_id: content.encryption.kms_key_id,
            sse_customer_algorithm: content.encryption.customer_key_md5.as_ref().map(|_| "AES256".into()),
            sse_customer_key_md5: content.encryption.customer_key_md5,
            ..HeadObjectOutput::default()
        })
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        let input = req.input;
        let now = self.0.now();
        let deleted =
            self.bucket(&input.bucket, |bucket| Ok(delete(bucket, &input.key, input.version_id, now)))?;
        answer(deleted)
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        let Some(caller) = req.extensions.get::<Caller>() else { return Err(s3_error!(AccessDenied)) };
        let input = req.input;
        let now = self.0.now();
        let (mut deleted, mut errors) = (Vec::new(), Vec::new());
        for ObjectIdentifier { key, version_id, .. } in input.delete.objects {
            let mut one = caller.clone();
            one.operation = "DeleteObjects (one key)".into();
            one.request.action = match version_id {
                Some(_) => "s3:DeleteObjectVersion".into(),
                None => "s3:DeleteObject".into(),
            };
            one.request.resource = format!("arn:aws:s3:::{}/{key}", input.bucket);
            if let Err(denied) = self.0.judge(&one) {
                let message = denied.message().map(str::to_owned);
                let code = Some(denied.code().as_str().to_owned());
                errors.push(Error { code, key: Some(key), message, version_id });
                continue;
            }
            let done =
                self.bucket(&input.bucket, |bucket| Ok(delete(bucket, &key, version_id.clone(), now)))?;
            deleted.push(DeletedObject {
                key: Some(key),
                version_id,
                delete_marker: done.delete_marker,
                delete_marker_version_id: done.version_id.filter(|_| done.delete_marker == Some(true)),
            });
        }
        if input.delete.quiet == Some(true) {
            deleted.clear();
        }
        answer(DeleteObjectsOutput {
            deleted: Some(deleted),
            errors: Some(errors),
            ..DeleteObjectsOutput::default()
        })
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        let input = req.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = match &input.continuation_token {
            Some(token) => {
                Some(BASE64.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(
                    || s3_error!(InvalidArgument, "The continuation token provided is incorrect"),
                )?)
            }
            None => input.start_after.clone(),
        };
        let max = input.max_keys.unwrap_or(PAGE_MAX).min(PAGE_MAX);
        self.bucket(&input.bucket, |bucket| {
            let page = page(live(bucket), &prefix, input.delimiter.as_deref(), after.as_deref(), max);
            let current =
                |key: &&str| bucket.current(key).map(|(version, content)| object(key, version, content));
            let contents: Vec<Object> = page.entries.iter().filter_map(current).collect();
            Ok(S3Response::new(ListObjectsV2Output {
                name: Some(input.bucket.clone()),
                prefix: Some(prefix.clone()),
                delimiter: input.delimiter.clone(),
                max_keys: Some(max),
                key_count: Some((contents.len() + page.folders.len()) as i32),
                is_truncated: Some(page.next.is_some()),
                next_continuation_token: page.next.map(|next| BASE64.encode(next)),
                continuation_token: input.continuation_token.clone(),
                start_after: input.start_after.clone(),
                contents: Some(contents),
                common_prefixes: common_prefixes(page.folders),
                ..ListObjectsV2Output::default()
            }))
        })
    }

    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
        let input = req.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let max = input.max_keys.unwrap_or(PAGE_MAX).min(PAGE_MAX);
        self.bucket(&input.bucket, |bucket| {
            let page = page(live(bucket), &prefix, input.delimiter.as_deref(), input.marker.as_deref(), max);
            let current =
                |key: &&str| bucket.current(key).map(|(version, content)| object(key, version, content));
            Ok(S3Response::new(ListObjectsOutput {
                name: Some(input.bucket.clone()),
                prefix: Some(prefix.clone()),
                delimiter: input.delimiter.clone(),
                max_keys: Some(max),
                marker: input.marker.clone(),
                is_truncated: Some(page.next.is_some()),
                next_marker: page.next,
                contents: Some(page.entries.iter().filter_map(current).collect()),
                common_prefixes: common_prefixes(page.folders),
                ..ListObjectsOutput::default()
            }))
        })
    }

    async fn list_object_versions(
        &self,
        req: S3Request<ListObjectVersionsInput>,
    ) -> Answer<ListObjectVersionsOutput> {
        let input = req.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let max = input.max_keys.unwrap_or(PAGE_MAX).min(PAGE_MAX);
        self.bucket(&input.bucket, |bucket| {
            let keys = bucket.objects.keys().map(String::as_str);
            // Versions of one key stay on one page, so a page may be a little longer than asked.
            let page = page(keys, &prefix, input.delimiter.as_deref(), input.key_marker.as_deref(), max);
            let (mut versions, mut markers) = (Vec::new(), Vec::new());
            for key in &page.entries {
                let all = bucket.objects.get(*key).map(Vec::as_slice).unwrap_or_default();
                for (place, version) in all.iter().enumerate().rev() {
                    let is_latest = Some(place + 1 == all.len());
                    match &version.content {
                        Some(content) => versions.push(ObjectVersion {
                            key: Some((*key).to_owned()),
                            version_id: Some(version.id.clone()),
                            is_latest,
                            size: Some(content.blob.length().cast_signed()),
                            e_tag: Some(ETag::Strong(content.etag.clone())),
                            last_modified: Some(version.modified.into()),
                            ..ObjectVersion::default()
                        }),
                        None => markers.push(DeleteMarkerEntry {
                            key: Some((*key).to_owned()),
                            version_id: Some(version.id.clone()),
                            is_latest,
                            last_modified: Some(version.modified.into()),
                            ..DeleteMarkerEntry::default()
                        }),
                    }
                }
            }
            Ok(S3Response::new(ListObjectVersionsOutput {
                name: Some(input.bucket.clone()),
                prefix: Some(prefix.clone()),
                delimiter: input.delimiter.clone(),
                max_keys: Some(max),
                is_truncated: Some(page.next.is_some()),
                next_key_marker: page.next,
                versions: Some(versions),
                delete_markers: Some(markers),
                common_prefixes: common_prefixes(page.folders),
                ..ListObjectVersionsOutput::default()
            }))
        })
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        let input = req.input;
        let default = self.bucket(&input.bucket, |bucket| Ok(bucket.default_encryption.clone()))?;
        let customer_key = input.sse_customer_key.as_deref();
        let encryption = encryption(
            input.server_side_encryption,
            input.ssekms_key_id,
            customer_key,
            &default,
            &self.0.region,
        )?;
        let id = hex::encode(rand::random::<[u8; 16]>());
        let upload = Upload {
            key: input.key.clone(),
            encryption: encryption.clone(),
            parts: BTreeMap::new(),
            content_type: input.content_type.map(|kind| kind.to_string()),
            initiated: self.0.now(),
        };
        self.bucket(&input.bucket, |bucket| {
            bucket.uploads.insert(id.clone(), upload);
            Ok(())
        })?;
        answer(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            server_side_encryption: sse(&encryption),
            ssekms_key_id: encryption.kms_key_id,
            ..CreateMultipartUploadOutput::default()
        })
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        let mut input = req.input;
        let bytes = self.collect(input.body.take(), input.content_length).await?;
        check_sums(&bytes, input.content_md5.as_deref(), input.checksum_sha256.as_deref())?;
        let etag = md5_hex(&bytes);
        let encryption = self.bucket(&input.bucket, |bucket| {
            let upload = bucket.uploads.get_mut(&input.upload_id).ok_or_else(no_such_upload)?;
            upload.parts.insert(input.part_number, (bytes, etag.clone()));
            Ok(upload.encryption.clone())
        })?;
        answer(UploadPartOutput {
            e_tag: Some(ETag::Strong(etag)),
            server_side_encryption: sse(&encryption),
            ssekms_key_id: encryption.kms_key_id,
            checksum_sha256: input.checksum_sha256,
            ..UploadPartOutput::default()
        })
    }

    async fn list_parts(&self, req: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
        let input = req.input;
        let parts = self.bucket(&input.bucket, |bucket| {
            let upload = bucket.uploads.get(&input.upload_id).ok_or_else(no_such_upload)?;
            let part = |(number, (bytes, etag)): (&i32, &(Bytes, String))| Part {
                part_number: Some(*number),
                size: Some(bytes.len() as i64),
                e_tag: Some(ETag::Strong(etag.clone())),
                ..Part::default()
            };
            Ok(upload.parts.iter().map(part).collect::<Vec<_>>())
        })?;
        answer(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            is_truncated: Some(false),
            parts: Some(parts),
            ..ListPartsOutput::default()
        })
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> Answer<ListMultipartUploadsOutput> {
        let input = req.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let uploads = self.bucket(&input.bucket, |bucket| {
            let upload = |(id, upload): (&String, &Upload)| MultipartUpload {
                key: Some(upload.key.clone()),
                upload_id: Some(id.clone()),
                initiated: Some(upload.initiated.into()),
                ..MultipartUpload::default()
            };
            let wanted = bucket.uploads.iter().filter(|(_, upload)| upload.key.starts_with(&prefix));
            Ok(wanted.map(upload).collect::<Vec<_>>())
        })?;
        answer(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: Some(prefix),
            is_truncated: Some(false),
            uploads: Some(uploads),
            ..ListMultipartUploadsOutput::default()
        })
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        let input = req.input;
        let wanted = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let (bytes, etag, upload) = self.bucket(&input.bucket, |bucket| {
            check_conditions(bucket, &input.key, input.if_none_match.as_ref(), input.if_match.as_ref())?;
            let upload = bucket.uploads.get(&input.upload_id).ok_or_else(no_such_upload)?;
            let (bytes, etag) = put_together(upload, &wanted)?;
            Ok((bytes, etag, (upload.encryption.clone(), upload.content_type.clone())))
        })?;
        let (encryption, content_type) = upload;
        let content = Content {
            blob: self.blob(bytes)?,
            etag: etag.clone(),
            sha256: None,
            encryption: encryption.clone(),
            content_type,
            metadata: None,
        };
        let now = self.0.now();
        let version_id = self.bucket(&input.bucket, |bucket| {
            bucket.uploads.remove(&input.upload_id);
            Ok(bucket.add(&input.key, Some(content), now))
        })?;
        answer(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(etag)),
            version_id,
            server_side_encryption: sse(&encryption),
            ssekms_key_id: encryption.kms_key_id,
            ..CompleteMultipartUploadOutput::default()
        })
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        self.bucket(&req.input.bucket, |bucket| {
            bucket.uploads.remove(&req.input.upload_id).map(|_| ()).ok_or_else(no_such_upload)
        })?;
        answer(AbortMultipartUploadOutput::default())
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        let input = req.input;
        let CopySource::Bucket { bucket, key, version_id } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "access points are not supported"));
        };
        let (_, source) = match self.found(bucket, key, version_id.as_deref())? {
            Ok(found) => found,
            Err(missing) => return self.missing(&req.extensions, bucket, missing),
        };
        check_customer_key(&source, input.copy_source_sse_customer_key.as_deref())?;
        let default = self.bucket(&input.bucket, |bucket| Ok(bucket.default_encryption.clone()))?;
        let customer_key = input.sse_customer_key.as_deref();
        let encryption = encryption(
            input.server_side_encryption,
            input.ssekms_key_id,
            customer_key,
            &default,
            &self.0.region,
        )?;
        let content = Content { encryption: encryption.clone(), ..source };
        let (etag, now) = (content.etag.clone(), self.0.now());
        let version_id =
            self.bucket(&input.bucket, |bucket| Ok(bucket.add(&input.key, Some(content), now)))?;
        let result = CopyObjectResult {
            e_tag: Some(ETag::Strong(etag)),
            last_modified: Some(now.into()),
            ..CopyObjectResult::default()
        };
        answer(CopyObjectOutput {
            copy_object_result: Some(result),
            version_id,
            server_side_encryption: sse(&encryption),
            ssekms_key_id: encryption.kms_key_id,
            ..CopyObjectOutput::default()
        })
    }
}

fn no_such_upload() -> S3Error {
    s3_error!(NoSuchUpload, "The specified upload does not exist. The upload ID may be invalid.")
}

/// The parts in the order that was asked for; the tag is that of their tags.
fn put_together(upload: &Upload, wanted: &[CompletedPart]) -> S3Result<(Bytes, String)> {
    let invalid = || s3_error!(InvalidPart, "One or more of the specified parts could not be found");
    let (mut bytes, mut tags) = (BytesMut::new(), Vec::new());
    for part in wanted {
        let (body, etag) =
            part.part_number.and_then(|number| upload.parts.get(&number)).ok_or_else(invalid)?;
        if part.e_tag.as_ref().is_some_and(|given| given.value() != etag) {
            return Err(invalid());
        }
        bytes.extend_from_slice(body);
        tags.extend(hex::decode(etag).map_err(|_| invalid())?);
    }
    if wanted.is_empty() {
        return Err(s3_error!(MalformedXML, "You must specify at least one part"));
    }
    Ok((bytes.freeze(), format!("{}-{}", md5_hex(&tags), wanted.len())))
}

fn delete(
    bucket: &mut buckets::Bucket,
    key: &str,
    version: Option<String>,
    now: SystemTime,
) -> DeleteObjectOutput {
    match version {
        Some(id) => {
            let was_marker = bucket.delete_version(key, &id);
            DeleteObjectOutput {
                delete_marker: was_marker.then_some(true),
                version_id: Some(id),
                ..DeleteObjectOutput::default()
            }
        }
        None => {
            let marker = bucket.delete(key, now);
            DeleteObjectOutput {
                delete_marker: marker.is_some().then_some(true),
                version_id: marker,
                ..DeleteObjectOutput::default()
            }
        }
    }
}
