//! Objects: written, read, copied.

use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response, s3_error};

use super::acl::{self, given_acl};
use super::checks::{check_conditions, given_sums, md5_hex};
use super::encryption::{bucket_key, check_customer_key, encryption, given_encryption, sse};
use super::lock::{self, given_lock};
use super::{Answer, Api, answer};
use crate::access::Caller;
use crate::buckets::{Content, NULL_VERSION, Versioning};

pub(super) async fn put(api: &Api, req: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
    let mut input = req.input;
    let (acl, lock, now) = (given_acl!(input), given_lock!(input), api.0.now());
    let (default, acl, lock) = api.bucket(&input.bucket, |bucket| {
        check_conditions(bucket, &input.key, input.if_none_match.as_ref(), input.if_match.as_ref())?;
        let acl = acl::of_new_object(&bucket.settings, &acl)?;
        let lock = lock.read(&bucket.settings, now)?.or_default(bucket.settings.lock.as_ref(), now);
        Ok((bucket.default_encryption.clone(), acl, lock))
    })?;
    let asked = given_encryption!(input);
    let encryption = encryption(asked, &default, &api.0.region)?;
    let sums = given_sums!(input);
    lock::check_has_sum(&lock, sums.any(&req.headers), "Put Object")?;
    let bytes = api.collect(input.body.take(), input.content_length).await?;
    let sums = sums.and_trailers(req.trailing_headers.as_ref());
    sums.check(&bytes)?;
    let content = Content {
        etag: md5_hex(&bytes),
        sha256: sums.sha256.clone(),
        encryption: encryption.clone(),
        content_type: input.content_type.map(|kind| kind.to_string()),
        metadata: input.metadata,
        acl,
        lock,
        blob: api.blob(bytes)?,
    };
    let etag = content.etag.clone();
    let version_id = api.bucket(&input.bucket, |bucket| {
        // Somebody may have been quicker while the body came in.
        check_conditions(bucket, &input.key, input.if_none_match.as_ref(), input.if_match.as_ref())?;
        Ok(bucket.add(&input.key, Some(content), now))
    })?;
    answer(PutObjectOutput {
        e_tag: Some(ETag::Strong(etag)),
        version_id,
        checksum_sha256: sums.sha256,
        checksum_crc32: sums.crc32,
        checksum_crc32c: sums.crc32c,
        checksum_crc64nvme: sums.crc64,
        server_side_encryption: sse(&encryption),
        bucket_key_enabled: bucket_key(&encryption),
        ssekms_key_id: encryption.kms_key_id,
        sse_customer_algorithm: encryption.customer_key_md5.as_ref().map(|_| "AES256".into()),
        sse_customer_key_md5: encryption.customer_key_md5,
        ..PutObjectOutput::default()
    })
}

pub(super) fn get(api: &Api, req: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
    let input = req.input;
    let (version, content) = match api.found(&input.bucket, &input.key, input.version_id.as_deref())? {
        Ok(found) => found,
        Err(missing) => return api.missing(&req.extensions, &input.bucket, missing),
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
    let versioning = api.bucket(&input.bucket, |bucket| Ok(bucket.versioning))?;
    let object = format!("arn:aws:s3:::{}/{}", input.bucket, input.key);
    let caller = req.extensions.get::<Caller>();
    let (mode, until, hold) = lock::shown(api, caller, &object, &content.lock);
    let status =
        if content_range.is_some() { http::StatusCode::PARTIAL_CONTENT } else { http::StatusCode::OK };
    let output = GetObjectOutput {
        content_length: Some(bytes.len() as i64),
        content_range,
        accept_ranges: Some("bytes".into()),
        body: Some(StreamingBlob::wrap(futures::stream::once(async move { Ok::<_, std::io::Error>(bytes) }))),
        e_tag: Some(ETag::Strong(content.etag)),
        last_modified: Some(version.modified.into()),
        version_id: shown(&version.id, versioning),
        content_type: content.content_type.and_then(|kind| kind.parse().ok()),
        metadata: content.metadata,
        checksum_sha256: content.sha256.filter(|_| input.checksum_mode.is_some()),
        server_side_encryption: sse(&content.encryption),
        bucket_key_enabled: bucket_key(&content.encryption),
        ssekms_key_id: content.encryption.kms_key_id,
        sse_customer_algorithm: content.encryption.customer_key_md5.as_ref().map(|_| "AES256".into()),
        sse_customer_key_md5: content.encryption.customer_key_md5,
        object_lock_mode: mode,
        object_lock_retain_until_date: until,
        object_lock_legal_hold_status: hold,
        ..GetObjectOutput::default()
    };
    Ok(S3Response::with_status(output, status))
}

pub(super) fn head(api: &Api, req: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
    let input = req.input;
    let (version, content) = match api.found(&input.bucket, &input.key, input.version_id.as_deref())? {
        Ok(found) => found,
        Err(missing) => return api.missing(&req.extensions, &input.bucket, missing),
    };
    check_customer_key(&content, input.sse_customer_key.as_deref())?;
    let versioning = api.bucket(&input.bucket, |bucket| Ok(bucket.versioning))?;
    let object = format!("arn:aws:s3:::{}/{}", input.bucket, input.key);
    let caller = req.extensions.get::<Caller>();
    let (mode, until, hold) = lock::shown(api, caller, &object, &content.lock);
    answer(HeadObjectOutput {
        content_length: Some(content.blob.length().cast_signed()),
        accept_ranges: Some("bytes".into()),
        e_tag: Some(ETag::Strong(content.etag)),
        last_modified: Some(version.modified.into()),
        version_id: shown(&version.id, versioning),
        metadata: content.metadata,
        server_side_encryption: sse(&content.encryption),
        bucket_key_enabled: bucket_key(&content.encryption),
        ssekms_key_id: content.encryption.kms_key_id,
        sse_customer_algorithm: content.encryption.customer_key_md5.as_ref().map(|_| "AES256".into()),
        sse_customer_key_md5: content.encryption.customer_key_md5,
        object_lock_mode: mode,
        object_lock_retain_until_date: until,
        object_lock_legal_hold_status: hold,
        ..HeadObjectOutput::default()
    })
}

pub(super) fn copy(api: &Api, req: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
    let mut input = req.input;
    let CopySource::Bucket { bucket, key, version_id } = &input.copy_source else {
        return Err(s3_error!(NotImplemented, "access points are not supported"));
    };
    let (_, source) = match api.found(bucket, key, version_id.as_deref())? {
        Ok(found) => found,
        Err(missing) => return api.missing(&req.extensions, bucket, missing),
    };
    check_customer_key(&source, input.copy_source_sse_customer_key.as_deref())?;
    let (acl, lock, now) = (given_acl!(input), given_lock!(input), api.0.now());
    let (default, acl, lock) = api.bucket(&input.bucket, |bucket| {
        let acl = acl::of_new_object(&bucket.settings, &acl)?;
        let lock = lock.read(&bucket.settings, now)?.or_default(bucket.settings.lock.as_ref(), now);
        Ok((bucket.default_encryption.clone(), acl, lock))
    })?;
    let asked = given_encryption!(input);
    let encryption = encryption(asked, &default, &api.0.region)?;
    let content = Content { encryption: encryption.clone(), acl, lock, ..source };
    let etag = content.etag.clone();
    let version_id = api.bucket(&input.bucket, |bucket| Ok(bucket.add(&input.key, Some(content), now)))?;
    let result = CopyObjectResult {
        e_tag: Some(ETag::Strong(etag)),
        last_modified: Some(now.into()),
        ..CopyObjectResult::default()
    };
    answer(CopyObjectOutput {
        copy_object_result: Some(result),
        version_id,
        server_side_encryption: sse(&encryption),
        bucket_key_enabled: bucket_key(&encryption),
        ssekms_key_id: encryption.kms_key_id,
        ..CopyObjectOutput::default()
    })
}

/// The version id in an answer: none where the bucket never had versions.
fn shown(id: &str, versioning: Versioning) -> Option<String> {
    (versioning != Versioning::Never || id != NULL_VERSION).then(|| id.to_owned())
}
