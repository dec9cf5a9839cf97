//! Uploads in parts.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::acl::{self, given_acl};
use super::checks::{check_conditions, given_sums, md5_hex};
use super::encryption::{bucket_key, encryption, given_encryption, sse};
use super::lock::{self, given_lock};
use super::{Answer, Api, answer};
use crate::buckets::{Content, Upload};

pub(super) fn create(
    api: &Api,
    req: S3Request<CreateMultipartUploadInput>,
) -> Answer<CreateMultipartUploadOutput> {
    let mut input = req.input;
    let (acl, lock, now) = (given_acl!(input), given_lock!(input), api.0.now());
    let (default, acl, lock) = api.bucket(&input.bucket, |bucket| {
        let acl = acl::of_new_object(&bucket.settings, &acl)?;
        Ok((bucket.default_encryption.clone(), acl, lock.read(&bucket.settings, now)?))
    })?;
    let asked = given_encryption!(input);
    let encryption = encryption(asked, &default, &api.0.region)?;
    let id = hex::encode(rand::random::<[u8; 16]>());
    let upload = Upload {
        key: input.key.clone(),
        encryption: encryption.clone(),
        parts: BTreeMap::new(),
        content_type: input.content_type.map(|kind| kind.to_string()),
        acl,
        lock,
        initiated: now,
    };
    api.bucket(&input.bucket, |bucket| {
        bucket.uploads.insert(id.clone(), upload);
        Ok(())
    })?;
    answer(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        server_side_encryption: sse(&encryption),
        bucket_key_enabled: bucket_key(&encryption),
        ssekms_key_id: encryption.kms_key_id,
        ..CreateMultipartUploadOutput::default()
    })
}

pub(super) async fn part(api: &Api, req: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
    let mut input = req.input;
    let sums = given_sums!(input);
    let lock = api.bucket(&input.bucket, |bucket| {
        let upload = bucket.uploads.get(&input.upload_id).ok_or_else(no_such_upload)?;
        Ok(upload.lock.clone().or_default(bucket.settings.lock.as_ref(), upload.initiated))
    })?;
    lock::check_has_sum(&lock, sums.any(&req.headers), "Put Part")?;
    let bytes = api.collect(input.body.take(), input.content_length).await?;
    let sums = sums.and_trailers(req.trailing_headers.as_ref());
    sums.check(&bytes)?;
    let etag = md5_hex(&bytes);
    let encryption = api.bucket(&input.bucket, |bucket| {
        let upload = bucket.uploads.get_mut(&input.upload_id).ok_or_else(no_such_upload)?;
        upload.parts.insert(input.part_number, (bytes, etag.clone()));
        Ok(upload.encryption.clone())
    })?;
    answer(UploadPartOutput {
        e_tag: Some(ETag::Strong(etag)),
        server_side_encryption: sse(&encryption),
        bucket_key_enabled: bucket_key(&encryption),
        ssekms_key_id: encryption.kms_key_id,
        checksum_sha256: sums.sha256,
        checksum_crc32: sums.crc32,
        checksum_crc32c: sums.crc32c,
        checksum_crc64nvme: sums.crc64,
        ..UploadPartOutput::default()
    })
}

pub(super) fn parts(api: &Api, req: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
    let input = req.input;
    let parts = api.bucket(&input.bucket, |bucket| {
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

pub(super) fn uploads(
    api: &Api,
    req: S3Request<ListMultipartUploadsInput>,
) -> Answer<ListMultipartUploadsOutput> {
    let input = req.input;
    let prefix = input.prefix.clone().unwrap_or_default();
    let uploads = api.bucket(&input.bucket, |bucket| {
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

pub(super) fn complete(
    api: &Api,
    req: S3Request<CompleteMultipartUploadInput>,
) -> Answer<CompleteMultipartUploadOutput> {
    let input = req.input;
    let wanted = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let now = api.0.now();
    let (bytes, etag, begun) = api.bucket(&input.bucket, |bucket| {
        check_conditions(bucket, &input.key, input.if_none_match.as_ref(), input.if_match.as_ref())?;
        let upload = bucket.uploads.get(&input.upload_id).ok_or_else(no_such_upload)?;
        let (bytes, etag) = put_together(upload, &wanted)?;
        let lock = upload.lock.clone().or_default(bucket.settings.lock.as_ref(), now);
        Ok((bytes, etag, (upload.encryption.clone(), upload.content_type.clone(), upload.acl, lock)))
    })?;
    let (encryption, content_type, acl, lock) = begun;
    let content = Content {
        blob: api.blob(bytes)?,
        etag: etag.clone(),
        sha256: None,
        encryption: encryption.clone(),
        content_type,
        metadata: None,
        acl,
        lock,
    };
    let version_id = api.bucket(&input.bucket, |bucket| {
        // Somebody may have been quicker while the parts were put together.
        check_conditions(bucket, &input.key, input.if_none_match.as_ref(), input.if_match.as_ref())?;
        bucket.uploads.remove(&input.upload_id);
        Ok(bucket.add(&input.key, Some(content), now))
    })?;
    answer(CompleteMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(ETag::Strong(etag)),
        version_id,
        server_side_encryption: sse(&encryption),
        bucket_key_enabled: bucket_key(&encryption),
        ssekms_key_id: encryption.kms_key_id,
        ..CompleteMultipartUploadOutput::default()
    })
}

pub(super) fn abort(
    api: &Api,
    req: S3Request<AbortMultipartUploadInput>,
) -> Answer<AbortMultipartUploadOutput> {
    api.bucket(&req.input.bucket, |bucket| {
        bucket.uploads.remove(&req.input.upload_id).map(|_| ()).ok_or_else(no_such_upload)
    })?;
    answer(AbortMultipartUploadOutput::default())
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
