//! The settings of a bucket, read and written with its owner's credentials, which are used and not kept.

use aws_config::{Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, BucketLocationConstraint,
    BucketVersioningStatus, CreateBucketConfiguration, DefaultRetention, ExpirationStatus,
    LifecycleExpiration, LifecycleRule as SdkRule, LifecycleRuleFilter, NoncurrentVersionExpiration,
    ObjectLockConfiguration, ObjectLockEnabled, ObjectLockRetentionMode, ObjectLockRule, ObjectOwnership,
    OwnershipControls, OwnershipControlsRule, PublicAccessBlockConfiguration, ServerSideEncryption,
    ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule, Tag, Tagging,
    VersioningConfiguration,
};

use super::actions::{LIST, Operation};
use super::administration;
use super::explain::Asked;
use super::facts::{BucketFacts, DefaultEncryption, LifecycleRule, ObjectLock, PublicAccessBlock, Seen};
use super::failure::{Failure, SdkFailure};
use super::{Sse, StoreOptions, session};
use crate::error::{Code, Error, Result};

const TAG: &str = "managed-by";
const TAG_VALUE: &str = "strongroom";

/// A bucket and an account, with credentials that may change them.
#[derive(Debug)]
pub struct Admin {
    pub(super) shared: SdkConfig,
    pub(super) options: StoreOptions,
    pub(super) bucket: String,
    client: Client,
}

/// A bucket that was looked for.
#[derive(Debug)]
pub struct Opened {
    /// The bucket and its account.
    pub admin: Admin,
    /// Whether the bucket exists.
    pub exists: bool,
}

impl Admin {
    /// Opens the bucket where it lies. No request changes anything.
    ///
    /// # Errors
    /// As the server cannot be reached or knows no such key.
    pub async fn open(bucket: &str, options: StoreOptions) -> Result<Opened> {
        let shared = session::shared(&options, None).await?;
        let client = session::s3(&options, &shared);
        let mut admin = Self { shared, options, bucket: bucket.into(), client };
        let exists = admin.find().await?;
        Ok(Opened { admin, exists })
    }

    /// Whether the bucket is there; if it lies in another region, requests go there from now on.
    async fn find(&mut self) -> Result<bool> {
        let head = self
            .client
            .head_bucket()
            .bucket(&self.bucket)
            .set_expected_bucket_owner(self.options.expected_owner.clone());
        let failure = match head.send().await {
            Ok(_) => return Ok(true),
            Err(error) => Failure::of(&error),
        };
        let elsewhere = failure.bucket_region().filter(|region| *region != self.region());
        if let Some(region) = elsewhere.map(str::to_owned) {
            self.shared = session::shared(&self.options, Some(Region::new(region))).await?;
            self.client = session::s3(&self.options, &self.shared);
        }
        match failure.status() {
            Some(404) => Ok(false),
            Some(403) if self.options.expected_owner.is_some() => {
                let owner = self.options.expected_owner.as_deref().unwrap_or_default();
                let message = format!("the bucket `{}` does not belong to account {owner}, or may not be looked at", self.bucket);
                Err(Error::new(Code::Denied, message).help(
                    "Check the name: somebody else may own it. If it is yours, use credentials of its account with s3:ListBucket on it.",
                ))
            }
            // It is there, and may be looked at setting by setting.
            Some(301 | 400 | 403) if failure.bucket_region().is_some() => Ok(true),
            Some(403) => Err(Error::new(Code::Denied, format!("the bucket `{}` may not be looked at", self.bucket)).help(
                "It belongs to another account, or these credentials lack s3:ListBucket on it: use the credentials of the bucket's owner (AWS_PROFILE).",
            )),
            _ => Err(self.explained(&failure, administration::HEAD_BUCKET)),
        }
    }

    /// The region of the bucket, or the one it would be made in.
    #[must_use]
    pub fn region(&self) -> &str {
        self.shared.region().map_or(super::environment::FIRST_REGION, AsRef::as_ref)
    }

    pub(super) fn explained(&self, failure: &Failure, operation: Operation) -> Error {
        let (profile, role) = (self.options.profile.as_deref(), self.options.role.as_ref());
        failure.explain(&Asked {
            operation,
            bucket: &self.bucket,
            prefix: "",
            key: "",
            sse: None,
            profile,
            role,
        })
    }

    fn done<T, E: SdkFailure>(&self, answer: Result<T, SdkError<E>>, operation: Operation) -> Result<T> {
        answer.map_err(|error| self.explained(&Failure::of(&error), operation))
    }

    /// What an answer tells of a setting. `missing` is the code for one that is not set, if there is one.
    fn seen<T, E: SdkFailure>(
        &self,
        answer: Result<T, SdkError<E>>,
        missing: &str,
        operation: Operation,
    ) -> Result<Seen<Option<T>>> {
        let failure = match answer {
            Ok(answer) => return Ok(Seen::Is(Some(answer))),
            Err(error) => Failure::of(&error),
        };
        match (failure.code(), failure.status()) {
            (code, _) if code == missing && !code.is_empty() => Ok(Seen::Is(None)),
            ("NotImplemented" | "MethodNotAllowed" | "UnsupportedOperation", _) | (_, Some(405 | 501)) => {
                Ok(Seen::NotOffered)
            }
            ("AccessDenied", _) | (_, Some(403)) => Ok(Seen::Denied(operation.action.into())),
            // A body that is no answer to this question: the server took it for another one.
            (_, Some(200)) => Ok(Seen::NotOffered),
            _ => Err(self.explained(&failure, operation)),
        }
    }

    /// All settings, as far as these credentials may look.
    ///
    /// # Errors
    /// As the server fails; what may not be looked at is no error.
    pub async fn facts(&self) -> Result<BucketFacts> {
        Ok(BucketFacts {
            made_here: self.made_here().await?,
            public_access_block: self.public_access_block().await?,
            ownership: self.ownership().await?,
            encryption: self.encryption().await?,
            versioning: self.versioning().await?,
            lifecycle: self.lifecycle().await?.map(|rules| rules.iter().map(rule).collect()),
            object_lock: self.object_lock().await?,
            policy: self.policy().await?,
            policy_public: self.policy_public().await?,
        })
    }

    async fn made_here(&self) -> Result<Seen<bool>> {
        let answer = self.client.get_bucket_tagging().bucket(&self.bucket).send().await;
        let seen = self.seen(answer, "NoSuchTagSet", administration::GET_BUCKET_TAGGING)?;
        let ours = |tag: &Tag| tag.key() == TAG && tag.value() == TAG_VALUE;
        Ok(seen.map(|tags| tags.is_some_and(|tags| tags.tag_set().iter().any(ours))))
    }

    async fn public_access_block(&self) -> Result<Seen<Option<PublicAccessBlock>>> {
        let answer = self.client.get_public_access_block().bucket(&self.bucket).send().await;
        let operation = administration::GET_PUBLIC_ACCESS_BLOCK;
        let seen = self.seen(answer, "NoSuchPublicAccessBlockConfiguration", operation)?;
        Ok(match seen {
            // An answer without the setting is the answer to something else.
            Seen::Is(Some(answer)) => match answer.public_access_block_configuration() {
                None => Seen::NotOffered,
                Some(found) => Seen::Is(Some(PublicAccessBlock {
                    block_public_acls: found.block_public_acls().unwrap_or(false),
                    ignore_public_acls: found.ignore_public_acls().unwrap_or(false),
                    block_public_policy: found.block_public_policy().unwrap_or(false),
                    restrict_public_buckets: found.restrict_public_buckets().unwrap_or(false),
                })),
            },
            other => other.map(|_| None),
        })
    }

    async fn ownership(&self) -> Result<Seen<Option<String>>> {
        let answer = self.client.get_bucket_ownership_controls().bucket(&self.bucket).send().await;
        let operation = administration::GET_BUCKET_OWNERSHIP_CONTROLS;
        let seen = self.seen(answer, "OwnershipControlsNotFoundError", operation)?;
        Ok(match seen {
            Seen::Is(Some(answer)) => {
                match answer.ownership_controls().and_then(|controls| controls.rules().first()) {
                    None => Seen::NotOffered,
                    Some(rule) => Seen::Is(Some(rule.object_ownership().as_str().to_owned())),
                }
            }
            other => other.map(|_| None),
        })
    }

    async fn encryption(&self) -> Result<Seen<Option<DefaultEncryption>>> {
        let answer = self.client.get_bucket_encryption().bucket(&self.bucket).send().await;
        let operation = administration::GET_BUCKET_ENCRYPTION;
        let seen = self.seen(answer, "ServerSideEncryptionConfigurationNotFoundError", operation)?;
        Ok(seen.map(|answer| {
            let rule = answer?.server_side_encryption_configuration?.rules.into_iter().next()?;
            let default = rule.apply_server_side_encryption_by_default?;
            Some(DefaultEncryption {
                mode: default.sse_algorithm.as_str().to_owned(),
                kms_key_id: default.kms_master_key_id,
                bucket_key: rule.bucket_key_enabled.unwrap_or(false),
            })
        }))
    }

    async fn versioning(&self) -> Result<Seen<Option<String>>> {
        let answer = self.client.get_bucket_versioning().bucket(&self.bucket).send().await;
        let seen = self.seen(answer, "", administration::GET_BUCKET_VERSIONING)?;
        Ok(seen.map(|answer| answer?.status.map(|status| status.as_str().to_owned())))
    }

    async fn lifecycle(&self) -> Result<Seen<Vec<SdkRule>>> {
        let answer = self.client.get_bucket_lifecycle_configuration().bucket(&self.bucket).send().await;
        let operation = administration::GET_BUCKET_LIFECYCLE_CONFIGURATION;
        let seen = self.seen(answer, "NoSuchLifecycleConfiguration", operation)?;
        Ok(seen.map(|answer| answer.and_then(|answer| answer.rules).unwrap_or_default()))
    }

    async fn object_lock(&self) -> Result<Seen<Option<ObjectLock>>> {
        let answer = self.client.get_object_lock_configuration().bucket(&self.bucket).send().await;
        let operation = administration::GET_OBJECT_LOCK_CONFIGURATION;
        let seen = self.seen(answer, "ObjectLockConfigurationNotFoundError", operation)?;
        Ok(seen.map(|answer| {
            let configuration = answer?.object_lock_configuration?;
            configuration.object_lock_enabled.as_ref()?;
            let retention = configuration.rule.and_then(|rule| rule.default_retention);
            Some(ObjectLock {
                mode: retention.as_ref().and_then(|r| r.mode()).map(|mode| mode.as_str().to_owned()),
                days: retention.as_ref().and_then(DefaultRetention::days),
                years: retention.as_ref().and_then(DefaultRetention::years),
            })
        }))
    }

    /// The text of the bucket policy.
    ///
    /// # Errors
    /// As the server fails.
    pub async fn policy(&self) -> Result<Seen<Option<String>>> {
        let answer = self.client.get_bucket_policy().bucket(&self.bucket).send().await;
        let seen = self.seen(answer, "NoSuchBucketPolicy", administration::GET_BUCKET_POLICY)?;
        Ok(seen.map(|answer| answer.and_then(|answer| answer.policy)))
    }

    async fn policy_public(&self) -> Result<Seen<bool>> {
        let answer = self.client.get_bucket_policy_status().bucket(&self.bucket).send().await;
        let operation = administration::GET_BUCKET_POLICY_STATUS;
        let seen = self.seen(answer, "NoSuchBucketPolicy", operation)?;
        Ok(seen.map(|answer| answer.and_then(|answer| answer.policy_status?.is_public).unwrap_or(false)))
    }

    /// Whether anything stands below the prefix.
    ///
    /// # Errors
    /// As the server fails or denies it.
    pub async fn holds_objects(&self, prefix: &str) -> Result<bool> {
        let listed =
            self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix).max_keys(1).send().await;
        let listed = self.done(listed, LIST)?;
        Ok(!listed.contents().is_empty())
    }
}

/// Changes. Each is made whole or not at all, and the same again changes nothing.
impl Admin {
    /// Makes the bucket, with a tag that says who made it.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn create_bucket(&self, object_lock: bool) -> Result<()> {
        // The first region has no name here.
        let place = Some(self.region()).filter(|region| *region != super::environment::FIRST_REGION);
        let place = place.map(|region| {
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(region))
                .build()
        });
        let create = self.client.create_bucket().bucket(&self.bucket).set_create_bucket_configuration(place);
        let create = create.set_object_lock_enabled_for_bucket(object_lock.then_some(true));
        self.done(create.send().await, administration::CREATE_BUCKET)?;
        Ok(())
    }

    /// Says on the bucket who made it.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn tag(&self) -> Result<()> {
        let tag = Tag::builder().key(TAG).value(TAG_VALUE).build().map_err(incomplete)?;
        let tags = Tagging::builder().tag_set(tag).build().map_err(incomplete)?;
        let answer = self.client.put_bucket_tagging().bucket(&self.bucket).tagging(tags).send().await;
        self.done(answer, administration::PUT_BUCKET_TAGGING)?;
        Ok(())
    }

    /// Switches all of Block Public Access on.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn block_public_access(&self) -> Result<()> {
        let all = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .ignore_public_acls(true)
            .block_public_policy(true)
            .restrict_public_buckets(true)
            .build();
        let put =
            self.client.put_public_access_block().bucket(&self.bucket).public_access_block_configuration(all);
        self.done(put.send().await, administration::PUT_PUBLIC_ACCESS_BLOCK)?;
        Ok(())
    }

    /// Switches ACLs off.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn enforce_owner(&self) -> Result<()> {
        let rule = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::BucketOwnerEnforced);
        let rule = rule.build().map_err(incomplete)?;
        let controls = OwnershipControls::builder().rules(rule).build().map_err(incomplete)?;
        let put =
            self.client.put_bucket_ownership_controls().bucket(&self.bucket).ownership_controls(controls);
        self.done(put.send().await, administration::PUT_BUCKET_OWNERSHIP_CONTROLS)?;
        Ok(())
    }

    /// Sets what S3 encrypts with where a request asks for nothing.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn set_encryption(&self, sse: &Sse) -> Result<()> {
        let mode = ServerSideEncryption::from(sse.header().unwrap_or("AES256"));
        let default = ServerSideEncryptionByDefault::builder()
            .sse_algorithm(mode)
            .set_kms_master_key_id(sse.kms_key().map(str::to_owned))
            .build()
            .map_err(incomplete)?;
        let bucket_key = sse.takes_bucket_key().then_some(true);
        let rule = ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(default)
            .set_bucket_key_enabled(bucket_key)
            .build();
        let all = ServerSideEncryptionConfiguration::builder().rules(rule).build().map_err(incomplete)?;
        let put = self
            .client
            .put_bucket_encryption()
            .bucket(&self.bucket)
            .server_side_encryption_configuration(all);
        self.done(put.send().await, administration::PUT_BUCKET_ENCRYPTION)?;
        Ok(())
    }

    /// Switches versions on.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn keep_versions(&self) -> Result<()> {
        let on = VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
        let put = self.client.put_bucket_versioning().bucket(&self.bucket).versioning_configuration(on);
        self.done(put.send().await, administration::PUT_BUCKET_VERSIONING)?;
        Ok(())
    }

    /// Adds a lifecycle rule, or replaces the one of its name; takes it away where none is given. Others stay.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn set_lifecycle_rule(&self, id: &str, rule: Option<&LifecycleRule>) -> Result<()> {
        let mut rules = match self.lifecycle().await? {
            Seen::Is(rules) => rules,
            Seen::Denied(_) | Seen::NotOffered => Vec::new(),
        };
        rules.retain(|found| found.id() != Some(id));
        if let Some(rule) = rule {
            rules.push(sdk_rule(rule)?);
        }
        if rules.is_empty() {
            let delete = self.client.delete_bucket_lifecycle().bucket(&self.bucket).send().await;
            self.done(delete, administration::DELETE_BUCKET_LIFECYCLE)?;
            return Ok(());
        }
        let all =
            BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build().map_err(incomplete)?;
        let put = self
            .client
            .put_bucket_lifecycle_configuration()
            .bucket(&self.bucket)
            .lifecycle_configuration(all);
        self.done(put.send().await, administration::PUT_BUCKET_LIFECYCLE_CONFIGURATION)?;
        Ok(())
    }

    /// Locks every new version for so many days.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn lock_objects(&self, mode: &str, days: u32) -> Result<()> {
        let retention = DefaultRetention::builder()
            .mode(ObjectLockRetentionMode::from(mode))
            .days(i32::try_from(days).unwrap_or(i32::MAX))
            .build();
        let lock = ObjectLockConfiguration::builder()
            .object_lock_enabled(ObjectLockEnabled::Enabled)
            .rule(ObjectLockRule::builder().default_retention(retention).build())
            .build();
        let put =
            self.client.put_object_lock_configuration().bucket(&self.bucket).object_lock_configuration(lock);
        self.done(put.send().await, administration::PUT_OBJECT_LOCK_CONFIGURATION)?;
        Ok(())
    }

    /// Sets the bucket policy, or takes it away where none is given.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn set_policy(&self, text: Option<&str>) -> Result<()> {
        match text {
            Some(text) => {
                let put = self.client.put_bucket_policy().bucket(&self.bucket).policy(text).send().await;
                self.done(put, administration::PUT_BUCKET_POLICY)?;
            }
            None => {
                let delete = self.client.delete_bucket_policy().bucket(&self.bucket).send().await;
                self.done(delete, administration::DELETE_BUCKET_POLICY)?;
            }
        }
        Ok(())
    }

    /// Deletes the bucket, which must be empty.
    ///
    /// # Errors
    /// [`Code::Denied`] without the permission; as the server fails.
    pub async fn delete_bucket(&self) -> Result<()> {
        let delete = self.client.delete_bucket().bucket(&self.bucket).send().await;
        self.done(delete, administration::DELETE_BUCKET)?;
        Ok(())
    }
}

/// The SDK's builders ask at run time whether all is there.
pub(super) fn incomplete(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Code::Internal, "a request is incomplete").caused_by(error)
}

fn rule(rule: &SdkRule) -> LifecycleRule {
    let filter = rule.filter().and_then(|filter| filter.prefix().or_else(|| filter.and()?.prefix()));
    #[expect(deprecated, reason = "older rules have their prefix there")]
    let prefix = filter.or(rule.prefix()).unwrap_or_default();
    LifecycleRule {
        id: rule.id().unwrap_or_default().into(),
        enabled: *rule.status() == ExpirationStatus::Enabled,
        prefix: prefix.into(),
        abort_days: rule
            .abort_incomplete_multipart_upload()
            .and_then(AbortIncompleteMultipartUpload::days_after_initiation),
        noncurrent_days: rule
            .noncurrent_version_expiration()
            .and_then(NoncurrentVersionExpiration::noncurrent_days),
        expired_markers: rule
            .expiration()
            .and_then(LifecycleExpiration::expired_object_delete_marker)
            .unwrap_or(false),
        expire_days: rule.expiration().and_then(LifecycleExpiration::days),
    }
}

fn sdk_rule(rule: &LifecycleRule) -> Result<SdkRule> {
    let abort = AbortIncompleteMultipartUpload::builder().set_days_after_initiation(rule.abort_days).build();
    let noncurrent =
        rule.noncurrent_days.map(|days| NoncurrentVersionExpiration::builder().noncurrent_days(days).build());
    let markers = rule
        .expired_markers
        .then(|| LifecycleExpiration::builder().expired_object_delete_marker(true).build());
    SdkRule::builder()
        .id(&rule.id)
        .status(ExpirationStatus::Enabled)
        .filter(LifecycleRuleFilter::builder().prefix(&rule.prefix).build())
        .abort_incomplete_multipart_upload(abort)
        .set_noncurrent_version_expiration(noncurrent)
        .set_expiration(markers)
        .build()
        .map_err(incomplete)
}
