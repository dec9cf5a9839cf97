//! Bucket policies.

use iam_policy::{Kind, Policy};
use s3s::dto::*;
use s3s::{S3Request, s3_error};

use super::{Answer, Api, answer};
use crate::public::is_public;

pub(super) fn put(api: &Api, req: S3Request<PutBucketPolicyInput>) -> Answer<PutBucketPolicyOutput> {
    let text = req.input.policy;
    let policy = Policy::parse(&text, Kind::Resource).map_err(|e| s3_error!(MalformedPolicy, "{e}"))?;
    api.bucket(&req.input.bucket, |bucket| {
        if bucket.settings.blocks(|block| block.block_public_policy) && is_public(&policy) {
            return Err(s3_error!(
                AccessDenied,
                "public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access"
            ));
        }
        bucket.policy = Some((policy, text));
        Ok(())
    })?;
    answer(PutBucketPolicyOutput {})
}

pub(super) fn get(api: &Api, req: S3Request<GetBucketPolicyInput>) -> Answer<GetBucketPolicyOutput> {
    let policy = api.bucket(&req.input.bucket, |bucket| {
        let text = bucket.policy.as_ref().map(|(_, text)| text.clone());
        text.ok_or_else(|| s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist"))
    })?;
    answer(GetBucketPolicyOutput { policy: Some(policy) })
}

pub(super) fn delete(api: &Api, req: S3Request<DeleteBucketPolicyInput>) -> Answer<DeleteBucketPolicyOutput> {
    api.bucket(&req.input.bucket, |bucket| {
        bucket.policy = None;
        Ok(())
    })?;
    answer(DeleteBucketPolicyOutput {})
}

pub(super) fn status(
    api: &Api,
    req: S3Request<GetBucketPolicyStatusInput>,
) -> Answer<GetBucketPolicyStatusOutput> {
    let is_public = api.bucket(&req.input.bucket, |bucket| {
        let public = bucket.policy.as_ref().map(|(policy, _)| is_public(policy));
        public.ok_or_else(|| s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist"))
    })?;
    answer(GetBucketPolicyStatusOutput { policy_status: Some(PolicyStatus { is_public: Some(is_public) }) })
}
