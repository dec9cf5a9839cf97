//! Objects deleted, one or many at once.

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::{Answer, Api, answer, lock};
use crate::access::Caller;

pub(super) fn one(api: &Api, req: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
    let input = req.input;
    let object = format!("arn:aws:s3:::{}/{}", input.bucket, input.key);
    let caller = req.extensions.get::<Caller>();
    let bypass = lock::bypass(api, caller, input.bypass_governance_retention, &object);
    answer(delete(api, &input.bucket, &input.key, input.version_id, bypass)?)
}

pub(super) fn many(api: &Api, req: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
    let Some(caller) = req.extensions.get::<Caller>() else { return Err(s3_error!(AccessDenied)) };
    let input = req.input;
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for ObjectIdentifier { key, version_id, .. } in input.delete.objects {
        let wants = input.bypass_governance_retention;
        match one_of_many(api, caller, &input.bucket, (&key, version_id.clone()), wants) {
            Ok(done) => deleted.push(done),
            Err(denied) => errors.push(Error {
                code: Some(denied.code().as_str().to_owned()),
                message: denied.message().map(str::to_owned),
                key: Some(key),
                version_id,
            }),
        }
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

fn one_of_many(
    api: &Api,
    caller: &Caller,
    bucket: &str,
    (key, version_id): (&str, Option<String>),
    wants_bypass: Option<bool>,
) -> S3Result<DeletedObject> {
    let action = if version_id.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
    let object = format!("arn:aws:s3:::{bucket}/{key}");
    let mut one = caller.asking(action, &object);
    one.operation = "DeleteObjects (one key)".into();
    api.0.judge(&one)?;
    let bypass = lock::bypass(api, Some(&one), wants_bypass, &object);
    let done = delete(api, bucket, key, version_id.clone(), bypass)?;
    Ok(DeletedObject {
        key: Some(key.to_owned()),
        version_id,
        delete_marker: done.delete_marker,
        delete_marker_version_id: done.version_id.filter(|_| done.delete_marker == Some(true)),
    })
}

/// Deletes a version that is not locked, or puts a marker over all of them.
fn delete(
    api: &Api,
    bucket: &str,
    key: &str,
    version: Option<String>,
    bypass: bool,
) -> S3Result<DeleteObjectOutput> {
    let now = api.0.now();
    api.bucket(bucket, |bucket| {
        let Some(id) = version else {
            let marker = bucket.delete(key, now);
            return Ok(DeleteObjectOutput {
                delete_marker: marker.is_some().then_some(true),
                version_id: marker,
                ..DeleteObjectOutput::default()
            });
        };
        let content = bucket.version(key, &id).and_then(|version| version.content.as_ref());
        if content.is_some_and(|content| content.lock.holds(now, bypass)) {
            return Err(lock::protected());
        }
        let was_marker = bucket.delete_version(key, &id);
        Ok(DeleteObjectOutput {
            delete_marker: was_marker.then_some(true),
            version_id: Some(id),
            ..DeleteObjectOutput::default()
        })
    })
}
