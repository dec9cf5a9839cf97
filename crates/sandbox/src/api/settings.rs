//! Settings of a bucket that are kept as they are given: Block Public Access, Object Ownership, lifecycle, tags.
//! Source: Amazon S3 API Reference, the pages of these operations and "Error responses".

use std::collections::HashSet;

use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};

use super::{Answer, Api, answer};

/// Rules of one lifecycle (Amazon S3 User Guide, "Managing the lifecycle of objects").
const RULES_MAX: usize = 1000;
/// Tags of one bucket (AWS Billing User Guide, "User-defined tag restrictions").
const TAGS_MAX: usize = 50;
const TAG_KEY_MAX: usize = 128;
const TAG_VALUE_MAX: usize = 256;

pub(super) fn put_public_access_block(
    api: &Api,
    req: S3Request<PutPublicAccessBlockInput>,
) -> Answer<PutPublicAccessBlockOutput> {
    let asked = req.input.public_access_block_configuration;
    // What is left out is off.
    let complete = PublicAccessBlockConfiguration {
        block_public_acls: Some(asked.block_public_acls.unwrap_or(false)),
        block_public_policy: Some(asked.block_public_policy.unwrap_or(false)),
        ignore_public_acls: Some(asked.ignore_public_acls.unwrap_or(false)),
        restrict_public_buckets: Some(asked.restrict_public_buckets.unwrap_or(false)),
    };
    api.bucket(&req.input.bucket, |bucket| {
        bucket.settings.public_access_block = Some(complete);
        Ok(())
    })?;
    answer(PutPublicAccessBlockOutput {})
}

pub(super) fn get_public_access_block(
    api: &Api,
    req: S3Request<GetPublicAccessBlockInput>,
) -> Answer<GetPublicAccessBlockOutput> {
    let found = api.bucket(&req.input.bucket, |bucket| Ok(bucket.settings.public_access_block.clone()))?;
    let Some(found) = found else {
        let code = S3ErrorCode::Custom("NoSuchPublicAccessBlockConfiguration".into());
        let mut missing = S3Error::with_message(code, "The public access block configuration was not found");
        missing.set_status_code(http::StatusCode::NOT_FOUND);
        return Err(missing);
    };
    answer(GetPublicAccessBlockOutput { public_access_block_configuration: Some(found) })
}

pub(super) fn delete_public_access_block(
    api: &Api,
    req: S3Request<DeletePublicAccessBlockInput>,
) -> Answer<DeletePublicAccessBlockOutput> {
    api.bucket(&req.input.bucket, |bucket| {
        bucket.settings.public_access_block = None;
        Ok(())
    })?;
    answer(DeletePublicAccessBlockOutput {})
}

/// One of the three that there are.
pub(super) fn known_ownership(asked: ObjectOwnership) -> S3Result<ObjectOwnership> {
    match asked.as_str() {
        "BucketOwnerEnforced" | "BucketOwnerPreferred" | "ObjectWriter" => Ok(asked),
        _ => Err(s3_error!(MalformedXML, "ObjectOwnership is not one of its three values")),
    }
}

pub(super) fn put_ownership(
    api: &Api,
    req: S3Request<PutBucketOwnershipControlsInput>,
) -> Answer<PutBucketOwnershipControlsOutput> {
    let mut rules = req.input.ownership_controls.rules.into_iter();
    let (Some(rule), None) = (rules.next(), rules.next()) else {
        return Err(s3_error!(MalformedXML, "there is exactly one rule"));
    };
    let ownership = known_ownership(rule.object_ownership)?;
    api.bucket(&req.input.bucket, |bucket| {
        bucket.settings.ownership = Some(ownership);
        Ok(())
    })?;
    answer(PutBucketOwnershipControlsOutput {})
}

pub(super) fn get_ownership(
    api: &Api,
    req: S3Request<GetBucketOwnershipControlsInput>,
) -> Answer<GetBucketOwnershipControlsOutput> {
    let found = api.bucket(&req.input.bucket, |bucket| {
        let missing =
            || s3_error!(OwnershipControlsNotFoundError, "The bucket ownership controls were not found");
        bucket.settings.ownership.clone().ok_or_else(missing)
    })?;
    let rules = vec![OwnershipControlsRule { object_ownership: found }];
    answer(GetBucketOwnershipControlsOutput { ownership_controls: Some(OwnershipControls { rules }) })
}

pub(super) fn delete_ownership(
    api: &Api,
    req: S3Request<DeleteBucketOwnershipControlsInput>,
) -> Answer<DeleteBucketOwnershipControlsOutput> {
    api.bucket(&req.input.bucket, |bucket| {
        bucket.settings.ownership = None;
        Ok(())
    })?;
    answer(DeleteBucketOwnershipControlsOutput {})
}

pub(super) fn put_lifecycle(
    api: &Api,
    req: S3Request<PutBucketLifecycleConfigurationInput>,
) -> Answer<PutBucketLifecycleConfigurationOutput> {
    let mut rules = req.input.lifecycle_configuration.map(|given| given.rules).unwrap_or_default();
    check_lifecycle(&rules)?;
    for rule in rules.iter_mut().filter(|rule| rule.id.as_ref().is_none_or(String::is_empty)) {
        rule.id = Some(hex::encode(rand::random::<[u8; 16]>()));
    }
    api.bucket(&req.input.bucket, |bucket| {
        bucket.settings.lifecycle = Some(rules);
        Ok(())
    })?;
    answer(PutBucketLifecycleConfigurationOutput::default())
}

fn check_lifecycle(rules: &[LifecycleRule]) -> S3Result<()> {
    if rules.is_empty() || rules.len() > RULES_MAX {
        return Err(s3_error!(MalformedXML, "there are 1 to {RULES_MAX} rules"));
    }
    let ids: Vec<&String> = rules.iter().filter_map(|rule| rule.id.as_ref()).collect();
    if ids.iter().collect::<HashSet<_>>().len() < ids.len() {
        return Err(s3_error!(
            InvalidArgument,
            "Rule ID must be unique. Found same ID for more than one rule"
        ));
    }
    rules.iter().try_for_each(check_rule)
}

fn check_rule(rule: &LifecycleRule) -> S3Result<()> {
    const ID_MAX: usize = 255;
    if rule.id.as_ref().is_some_and(|id| id.chars().count() > ID_MAX) {
        return Err(s3_error!(InvalidArgument, "ID length should not exceed allowed limit of {ID_MAX}"));
    }
    if !matches!(rule.status.as_str(), "Enabled" | "Disabled") {
        return Err(s3_error!(MalformedXML, "Status is Enabled or Disabled"));
    }
    if rule.filter.is_some() == rule.prefix.is_some() {
        return Err(s3_error!(MalformedXML, "a rule has a Filter, or the older Prefix"));
    }
    let acts = rule.expiration.is_some()
        || rule.abort_incomplete_multipart_upload.is_some()
        || rule.noncurrent_version_expiration.is_some()
        || rule.noncurrent_version_transitions.as_ref().is_some_and(|all| !all.is_empty())
        || rule.transitions.as_ref().is_some_and(|all| !all.is_empty());
    if !acts {
        return Err(s3_error!(InvalidRequest, "At least one action needs to be specified in a rule."));
    }
    let aborted = rule.abort_incomplete_multipart_upload.as_ref();
    let days = [
        rule.expiration.as_ref().and_then(|expiration| expiration.days),
        rule.noncurrent_version_expiration.as_ref().and_then(|expiration| expiration.noncurrent_days),
        aborted.and_then(|abort| abort.days_after_initiation),
    ];
    if days.into_iter().flatten().any(|days| days <= 0) {
        return Err(s3_error!(InvalidArgument, "'Days' for an action must be a positive integer"));
    }
    Ok(())
}

pub(super) fn get_lifecycle(
    api: &Api,
    req: S3Request<GetBucketLifecycleConfigurationInput>,
) -> Answer<GetBucketLifecycleConfigurationOutput> {
    let rules = api.bucket(&req.input.bucket, |bucket| {
        let missing =
            || s3_error!(NoSuchLifecycleConfiguration, "The lifecycle configuration does not exist");
        bucket.settings.lifecycle.clone().ok_or_else(missing)
    })?;
    answer(GetBucketLifecycleConfigurationOutput {
        rules: Some(rules),
        ..GetBucketLifecycleConfigurationOutput::default()
    })
}

pub(super) fn delete_lifecycle(
    api: &Api,
    req: S3Request<DeleteBucketLifecycleInput>,
) -> Answer<DeleteBucketLifecycleOutput> {
    api.bucket(&req.input.bucket, |bucket| {
        bucket.settings.lifecycle = None;
        Ok(())
    })?;
    answer(DeleteBucketLifecycleOutput {})
}

pub(super) fn put_tagging(
    api: &Api,
    req: S3Request<PutBucketTaggingInput>,
) -> Answer<PutBucketTaggingOutput> {
    let tags = req.input.tagging.tag_set;
    check_tags(&tags)?;
    api.bucket(&req.input.bucket, |bucket| {
        bucket.settings.tags = Some(tags);
        Ok(())
    })?;
    answer(PutBucketTaggingOutput {})
}

fn check_tags(tags: &[Tag]) -> S3Result<()> {
    if tags.len() > TAGS_MAX {
        return Err(s3_error!(InvalidTag, "Bucket tag count cannot be greater than {TAGS_MAX}"));
    }
    let mut keys = HashSet::new();
    for tag in tags {
        let key = tag.key.as_deref().unwrap_or_default();
        if key.is_empty() || key.chars().count() > TAG_KEY_MAX {
            return Err(s3_error!(InvalidTag, "The TagKey you have provided is invalid"));
        }
        if tag.value.as_deref().unwrap_or_default().chars().count() > TAG_VALUE_MAX {
            return Err(s3_error!(InvalidTag, "The TagValue you have provided is invalid"));
        }
        if !keys.insert(key) {
            return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
        }
    }
    Ok(())
}

pub(super) fn get_tagging(
    api: &Api,
    req: S3Request<GetBucketTaggingInput>,
) -> Answer<GetBucketTaggingOutput> {
    let tag_set = api.bucket(&req.input.bucket, |bucket| {
        let missing = || s3_error!(NoSuchTagSet, "The TagSet does not exist");
        bucket.settings.tags.clone().ok_or_else(missing)
    })?;
    answer(GetBucketTaggingOutput { tag_set })
}

pub(super) fn delete_tagging(
    api: &Api,
    req: S3Request<DeleteBucketTaggingInput>,
) -> Answer<DeleteBucketTaggingOutput> {
    api.bucket(&req.input.bucket, |bucket| {
        bucket.settings.tags = None;
        Ok(())
    })?;
    answer(DeleteBucketTaggingOutput {})
}
