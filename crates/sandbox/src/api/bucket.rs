//! Buckets themselves, and whether they keep versions.

use s3s::dto::*;
use s3s::{S3Request, s3_error};

use super::settings::known_ownership;
use super::{Answer, Api, acl, answer};
use crate::buckets::{self, Versioning};
use crate::lock::BucketLock;

pub(super) fn create(api: &Api, req: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
    let input = req.input;
    let grants = [
        input.grant_full_control.is_some(),
        input.grant_read.is_some(),
        input.grant_read_acp.is_some(),
        input.grant_write.is_some(),
        input.grant_write_acp.is_some(),
    ];
    let given = acl::Given::new(input.acl.as_ref().map(BucketCannedACL::as_str), &grants);
    let name = input.bucket;
    let mut bucket = api.0.new_bucket();
    if let Some(ownership) = input.object_ownership {
        bucket.settings.ownership = Some(known_ownership(ownership)?);
    }
    if input.object_lock_enabled_for_bucket == Some(true) {
        bucket.settings.lock = Some(BucketLock::default());
        bucket.versioning = Versioning::Enabled;
    }
    bucket.settings.acl = acl::of_new_bucket(&bucket.settings, &given)?;
    api.0.buckets.with(|buckets| {
        if buckets.contains_key(&name) {
            return Err(s3_error!(BucketAlreadyOwnedByYou, "You own this bucket already"));
        }
        buckets.insert(name.clone(), bucket);
        Ok(())
    })?;
    answer(CreateBucketOutput { location: Some(format!("/{name}")) })
}

pub(super) fn delete(api: &Api, req: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
    api.bucket(&req.input.bucket, |bucket| match bucket.objects.is_empty() {
        true => Ok(()),
        false => Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty")),
    })?;
    api.0.buckets.with(|buckets| buckets.remove(&req.input.bucket));
    answer(DeleteBucketOutput {})
}

pub(super) fn list(api: &Api, _: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
    let buckets = api.0.buckets.with(|buckets| {
        let bucket = |(name, bucket): (&String, &buckets::Bucket)| Bucket {
            name: Some(name.clone()),
            creation_date: Some(bucket.created.into()),
            bucket_region: Some(api.0.region.clone()),
        };
        buckets.iter().map(bucket).collect::<Vec<_>>()
    });
    answer(ListBucketsOutput { buckets: Some(buckets), ..ListBucketsOutput::default() })
}

pub(super) fn head(api: &Api, req: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
    api.bucket(&req.input.bucket, |_| Ok(()))?;
    answer(HeadBucketOutput { bucket_region: Some(api.0.region.clone()), ..HeadBucketOutput::default() })
}

pub(super) fn location(api: &Api, req: S3Request<GetBucketLocationInput>) -> Answer<GetBucketLocationOutput> {
    api.bucket(&req.input.bucket, |_| Ok(()))?;
    // The first region has no name here.
    let region = Some(api.0.region.clone()).filter(|region| region != "us-east-1");
    answer(GetBucketLocationOutput { location_constraint: region.map(BucketLocationConstraint::from) })
}

pub(super) fn put_versioning(
    api: &Api,
    req: S3Request<PutBucketVersioningInput>,
) -> Answer<PutBucketVersioningOutput> {
    let status = req.input.versioning_configuration.status;
    let versioning = match status.as_ref().map(BucketVersioningStatus::as_str) {
        Some("Enabled") => Versioning::Enabled,
        Some("Suspended") => Versioning::Suspended,
        _ => return Err(s3_error!(MalformedXML, "Status is Enabled or Suspended")),
    };
    api.bucket(&req.input.bucket, |bucket| {
        if bucket.settings.lock.is_some() && versioning != Versioning::Enabled {
            return Err(s3_error!(
                InvalidBucketState,
                "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
            ));
        }
        bucket.versioning = versioning;
        Ok(())
    })?;
    answer(PutBucketVersioningOutput {})
}

pub(super) fn get_versioning(
    api: &Api,
    req: S3Request<GetBucketVersioningInput>,
) -> Answer<GetBucketVersioningOutput> {
    let status = api.bucket(&req.input.bucket, |bucket| {
        Ok(match bucket.versioning {
            Versioning::Never => None,
            Versioning::Enabled => Some(BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED)),
            Versioning::Suspended => {
                Some(BucketVersioningStatus::from_static(BucketVersioningStatus::SUSPENDED))
            }
        })
    })?;
    answer(GetBucketVersioningOutput { status, ..GetBucketVersioningOutput::default() })
}
