//! The operations, on what is stored: one file for each concern.
#![expect(
    clippy::needless_pass_by_value,
    reason = "every operation takes its request as the trait hands it on"
)]

mod acl;
mod bucket;
mod checks;
mod delete;
mod encryption;
mod listing;
mod lock;
mod multipart;
mod object;
mod policy;
mod settings;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};

use crate::access::Caller;
use crate::buckets::{self, Blob, Content, Version};
use crate::state::State;

#[derive(Debug, Clone)]
pub(crate) struct Api(pub(crate) Arc<State>);

type Answer<T> = S3Result<S3Response<T>>;

fn answer<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

/// Which function does an operation. The trait has one method for each; all of them only hand on.
macro_rules! operations {
    ($($name:ident($input:ident) -> $output:ident = $file:ident::$function:ident $(.$wait:tt)?;)*) => {
        #[async_trait::async_trait]
        impl S3 for Api {
            $(
                async fn $name(&self, req: S3Request<$input>) -> Answer<$output> {
                    $file::$function(self, req)$(.$wait)?
                }
            )*
        }
    };
}

operations! {
    create_bucket(CreateBucketInput) -> CreateBucketOutput = bucket::create;
    delete_bucket(DeleteBucketInput) -> DeleteBucketOutput = bucket::delete;
    list_buckets(ListBucketsInput) -> ListBucketsOutput = bucket::list;
    head_bucket(HeadBucketInput) -> HeadBucketOutput = bucket::head;
    get_bucket_location(GetBucketLocationInput) -> GetBucketLocationOutput = bucket::location;
    put_bucket_versioning(PutBucketVersioningInput) -> PutBucketVersioningOutput = bucket::put_versioning;
    get_bucket_versioning(GetBucketVersioningInput) -> GetBucketVersioningOutput = bucket::get_versioning;
    put_bucket_encryption(PutBucketEncryptionInput) -> PutBucketEncryptionOutput = encryption::put;
    get_bucket_encryption(GetBucketEncryptionInput) -> GetBucketEncryptionOutput = encryption::get;
    delete_bucket_encryption(DeleteBucketEncryptionInput) -> DeleteBucketEncryptionOutput = encryption::delete;
    put_bucket_policy(PutBucketPolicyInput) -> PutBucketPolicyOutput = policy::put;
    get_bucket_policy(GetBucketPolicyInput) -> GetBucketPolicyOutput = policy::get;
    delete_bucket_policy(DeleteBucketPolicyInput) -> DeleteBucketPolicyOutput = policy::delete;
    put_public_access_block(PutPublicAccessBlockInput) -> PutPublicAccessBlockOutput = settings::put_public_access_block;
    get_public_access_block(GetPublicAccessBlockInput) -> GetPublicAccessBlockOutput = settings::get_public_access_block;
    delete_public_access_block(DeletePublicAccessBlockInput) -> DeletePublicAccessBlockOutput = settings::delete_public_access_block;
    put_bucket_ownership_controls(PutBucketOwnershipControlsInput) -> PutBucketOwnershipControlsOutput = settings::put_ownership;
    get_bucket_ownership_controls(GetBucketOwnershipControlsInput) -> GetBucketOwnershipControlsOutput = settings::get_ownership;
    delete_bucket_ownership_controls(DeleteBucketOwnershipControlsInput) -> DeleteBucketOwnershipControlsOutput = settings::delete_ownership;
    put_bucket_lifecycle_configuration(PutBucketLifecycleConfigurationInput) -> PutBucketLifecycleConfigurationOutput = settings::put_lifecycle;
    get_bucket_lifecycle_configuration(GetBucketLifecycleConfigurationInput) -> GetBucketLifecycleConfigurationOutput = settings::get_lifecycle;
    delete_bucket_lifecycle(DeleteBucketLifecycleInput) -> DeleteBucketLifecycleOutput = settings::delete_lifecycle;
    put_bucket_tagging(PutBucketTaggingInput) -> PutBucketTaggingOutput = settings::put_tagging;
    get_bucket_tagging(GetBucketTaggingInput) -> GetBucketTaggingOutput = settings::get_tagging;
    delete_bucket_tagging(DeleteBucketTaggingInput) -> DeleteBucketTaggingOutput = settings::delete_tagging;
    get_bucket_policy_status(GetBucketPolicyStatusInput) -> GetBucketPolicyStatusOutput = policy::status;
    put_bucket_acl(PutBucketAclInput) -> PutBucketAclOutput = acl::put_of_bucket;
    get_bucket_acl(GetBucketAclInput) -> GetBucketAclOutput = acl::get_of_bucket;
    put_object_acl(PutObjectAclInput) -> PutObjectAclOutput = acl::put_of_object;
    get_object_acl(GetObjectAclInput) -> GetObjectAclOutput = acl::get_of_object;
    put_object_lock_configuration(PutObjectLockConfigurationInput) -> PutObjectLockConfigurationOutput = lock::put_configuration;
    get_object_lock_configuration(GetObjectLockConfigurationInput) -> GetObjectLockConfigurationOutput = lock::get_configuration;
    put_object_retention(PutObjectRetentionInput) -> PutObjectRetentionOutput = lock::put_retention;
    get_object_retention(GetObjectRetentionInput) -> GetObjectRetentionOutput = lock::get_retention;
    put_object_legal_hold(PutObjectLegalHoldInput) -> PutObjectLegalHoldOutput = lock::put_legal_hold;
    get_object_legal_hold(GetObjectLegalHoldInput) -> GetObjectLegalHoldOutput = lock::get_legal_hold;
    put_object(PutObjectInput) -> PutObjectOutput = object::put .await;
    get_object(GetObjectInput) -> GetObjectOutput = object::get;
    head_object(HeadObjectInput) -> HeadObjectOutput = object::head;
    copy_object(CopyObjectInput) -> CopyObjectOutput = object::copy;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput = delete::one;
    delete_objects(DeleteObjectsInput) -> DeleteObjectsOutput = delete::many;
    list_objects_v2(ListObjectsV2Input) -> ListObjectsV2Output = listing::objects_v2;
    list_objects(ListObjectsInput) -> ListObjectsOutput = listing::objects;
    list_object_versions(ListObjectVersionsInput) -> ListObjectVersionsOutput = listing::versions;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput = multipart::create;
    upload_part(UploadPartInput) -> UploadPartOutput = multipart::part .await;
    list_parts(ListPartsInput) -> ListPartsOutput = multipart::parts;
    list_multipart_uploads(ListMultipartUploadsInput) -> ListMultipartUploadsOutput = multipart::uploads;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput = multipart::complete;
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput = multipart::abort;
}

impl Api {
    pub(super) fn bucket<T>(
        &self,
        name: &str,
        work: impl FnOnce(&mut buckets::Bucket) -> S3Result<T>,
    ) -> S3Result<T> {
        self.0.buckets.with(|buckets| match buckets.get_mut(name) {
            Some(bucket) => work(bucket),
            None => Err(s3_error!(NoSuchBucket, "The specified bucket does not exist")),
        })
    }

    pub(super) async fn collect(&self, body: Option<StreamingBlob>, length: Option<i64>) -> S3Result<Bytes> {
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

    pub(super) fn blob(&self, bytes: Bytes) -> S3Result<Blob> {
        Blob::store(self.0.folder.as_ref(), bytes).map_err(S3Error::internal_error)
    }

    /// A key that is missing is only told to those who may list.
    pub(super) fn missing<T>(
        &self,
        extensions: &http::Extensions,
        bucket: &str,
        what: S3Error,
    ) -> S3Result<T> {
        let Some(caller) = extensions.get::<Caller>() else { return Err(what) };
        let mut asked = caller.clone();
        let object = format!("arn:aws:s3:::{bucket}/");
        if self.0.missing_key_is_prefix
            && let Some(key) = caller.request.resource.strip_prefix(&object)
        {
            asked.request.context.set("s3:prefix", key);
        }
        if self.0.may(&asked, "s3:ListBucket", &format!("arn:aws:s3:::{bucket}")) {
            return Err(what);
        }
        Err(s3_error!(AccessDenied, "Access Denied"))
    }

    pub(super) fn found(
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

    /// Changes what is kept of a version, or of the newest.
    pub(super) fn change(
        &self,
        extensions: &http::Extensions,
        bucket: &str,
        key: &str,
        version: Option<&str>,
        work: impl FnOnce(&mut Content) -> S3Result<()>,
    ) -> S3Result<()> {
        let id = match self.found(bucket, key, version)? {
            Ok((found, _)) => found.id,
            Err(missing) => return self.missing(extensions, bucket, missing),
        };
        self.bucket(bucket, |bucket| match bucket.content_mut(key, &id) {
            Some(content) => work(content),
            None => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
        })
    }
}
