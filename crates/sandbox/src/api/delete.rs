//! Objects deleted, one or many at once.

use std::time::SystemTime;

use s3s::dto::*;
use s3s::{S3Request, s3_error};

use super::{Answer, Api, answer};
use crate::access::Caller;
use crate::buckets;

pub(super) fn one(api: &Api, req: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
    let input = req.input;
    let now = api.0.now();
    let deleted =
        api.bucket(&input.bucket, |bucket| Ok(delete(bucket, &input.key, input.version_id, now)))?;
    answer(deleted)
}

pub(super) fn many(api: &Api, req: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
    let Some(caller) = req.extensions.get::<Caller>() else { return Err(s3_error!(AccessDenied)) };
    let input = req.input;
    let now = api.0.now();
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for ObjectIdentifier { key, version_id, .. } in input.delete.objects {
        let mut one = caller.clone();
        one.operation = "DeleteObjects (one key)".into();
        one.request.action = match version_id {
            Some(_) => "s3:DeleteObjectVersion".into(),
            None => "s3:DeleteObject".into(),
        };
        one.request.resource = format!("arn:aws:s3:::{}/{key}", input.bucket);
        if let Err(denied) = api.0.judge(&one) {
            let message = denied.message().map(str::to_owned);
            let code = Some(denied.code().as_str().to_owned());
            errors.push(Error { code, key: Some(key), message, version_id });
            continue;
        }
        let done = api.bucket(&input.bucket, |bucket| Ok(delete(bucket, &key, version_id.clone(), now)))?;
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
