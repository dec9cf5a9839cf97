//! Object Lock. Source: Amazon S3 API Reference, the pages of these operations and "Error responses".

use std::time::SystemTime;

use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::{Answer, Api, answer};
use crate::access::Caller;
use crate::buckets::{Content, Settings, Versioning};
use crate::lock::{self, BucketLock, Lock, Mode, Period, Retention};

/// The longest default retention, in either unit.
const DAYS_MAX: i32 = 36_500;
const YEARS_MAX: i32 = 100;

/// What the headers of a new object ask for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) mode: Option<ObjectLockMode>,
    pub(super) until: Option<Timestamp>,
    pub(super) hold: Option<ObjectLockLegalHoldStatus>,
}

/// From a request for a new object: three operations have the same fields for it.
macro_rules! given_lock {
    ($input:ident) => {
        $crate::api::lock::Asked {
            mode: $input.object_lock_mode.take(),
            until: $input.object_lock_retain_until_date.take(),
            hold: $input.object_lock_legal_hold_status.take(),
        }
    };
}
pub(super) use given_lock;

impl Asked {
    /// The lock, without what the bucket adds.
    pub(super) fn read(&self, settings: &Settings, now: SystemTime) -> S3Result<Lock> {
        let retention = match (&self.mode, &self.until) {
            (None, None) => None,
            (Some(mode), Some(until)) => Some(retention(mode.as_str(), until, now)?),
            _ => {
                return Err(s3_error!(
                    InvalidArgument,
                    "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
                ));
            }
        };
        let legal_hold = self.hold.as_ref().map(|status| on_or_off(status.as_str())).transpose()?;
        let lock = Lock { retention, legal_hold };
        if lock != Lock::default() {
            bucket_lock(settings)?;
        }
        Ok(lock)
    }
}

fn retention(mode: &str, until: &Timestamp, now: SystemTime) -> S3Result<Retention> {
    let Some(mode) = Mode::parse(mode) else {
        return Err(s3_error!(InvalidArgument, "Unknown wormMode directive."));
    };
    if *until <= Timestamp::from(now) {
        return Err(s3_error!(InvalidArgument, "The retain until date must be in the future!"));
    }
    Ok(Retention { mode, until: until.clone() })
}

fn on_or_off(status: &str) -> S3Result<bool> {
    match status {
        "ON" => Ok(true),
        "OFF" => Ok(false),
        _ => Err(s3_error!(InvalidArgument, "Legal Hold must be either of 'ON' or 'OFF'")),
    }
}

fn bucket_lock(settings: &Settings) -> S3Result<BucketLock> {
    let missing = || s3_error!(InvalidRequest, "Bucket is missing Object Lock Configuration");
    settings.lock.ok_or_else(missing)
}

/// What is locked must say its checksum; `what` is `Put Object` or `Put Part`.
pub(super) fn check_has_sum(lock: &Lock, has_sum: bool, what: &str) -> S3Result<()> {
    if *lock == Lock::default() || has_sum {
        return Ok(());
    }
    Err(s3_error!(
        InvalidRequest,
        "Content-MD5 OR x-amz-checksum- HTTP header is required for {what} requests with Object Lock parameters"
    ))
}

pub(super) fn protected() -> S3Error {
    s3_error!(AccessDenied, "Access Denied because object protected by object lock.")
}

/// Whether the caller wants and may pass governance by.
pub(super) fn bypass(api: &Api, caller: Option<&Caller>, wants: Option<bool>, object: &str) -> bool {
    let may = |caller| api.0.may(caller, "s3:BypassGovernanceRetention", object);
    wants == Some(true) && caller.is_some_and(may)
}

/// What an answer tells of a version's lock: mode, date and hold, each to those who may ask for it.
pub(super) fn shown(
    api: &Api,
    caller: Option<&Caller>,
    object: &str,
    lock: &Lock,
) -> (Option<ObjectLockMode>, Option<Timestamp>, Option<ObjectLockLegalHoldStatus>) {
    let may = |action| caller.is_some_and(|caller| api.0.may(caller, action, object));
    let retention = lock.retention.as_ref().filter(|_| may("s3:GetObjectRetention"));
    let hold = lock.legal_hold.filter(|_| may("s3:GetObjectLegalHold"));
    (
        retention.map(|kept| ObjectLockMode::from_static(kept.mode.name())),
        retention.map(|kept| kept.until.clone()),
        hold.map(status),
    )
}

fn status(on: bool) -> ObjectLockLegalHoldStatus {
    let name = if on { ObjectLockLegalHoldStatus::ON } else { ObjectLockLegalHoldStatus::OFF };
    ObjectLockLegalHoldStatus::from_static(name)
}

pub(super) fn put_configuration(
    api: &Api,
    req: S3Request<PutObjectLockConfigurationInput>,
) -> Answer<PutObjectLockConfigurationOutput> {
    let given = req.input.object_lock_configuration.unwrap_or_default();
    if given.object_lock_enabled.as_ref().map(ObjectLockEnabled::as_str) != Some("Enabled") {
        return Err(s3_error!(MalformedXML, "ObjectLockEnabled is Enabled"));
    }
    let default = given.rule.and_then(|rule| rule.default_retention).map(default_retention).transpose()?;
    api.bucket(&req.input.bucket, |bucket| {
        if bucket.versioning != Versioning::Enabled {
            return Err(s3_error!(
                InvalidBucketState,
                "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
            ));
        }
        bucket.settings.lock = Some(BucketLock { default });
        Ok(())
    })?;
    answer(PutObjectLockConfigurationOutput::default())
}

fn default_retention(given: DefaultRetention) -> S3Result<lock::DefaultRetention> {
    let mode = given.mode.as_ref().and_then(|mode| Mode::parse(mode.as_str()));
    let mode = mode.ok_or_else(|| s3_error!(MalformedXML, "Mode is GOVERNANCE or COMPLIANCE"))?;
    let within = |number: i32, max: i32| match u32::try_from(number) {
        Ok(number @ 1..) if number <= max.unsigned_abs() => Ok(number),
        Ok(1..) => Err(s3_error!(InvalidArgument, "Default retention period is too large")),
        _ => Err(s3_error!(InvalidArgument, "Default retention period must be a positive integer value")),
    };
    let period = match (given.days, given.years) {
        (Some(days), None) => Period::Days(within(days, DAYS_MAX)?),
        (None, Some(years)) => Period::Years(within(years, YEARS_MAX)?),
        _ => return Err(s3_error!(MalformedXML, "there are Days or Years")),
    };
    Ok(lock::DefaultRetention { mode, period })
}

pub(super) fn get_configuration(
    api: &Api,
    req: S3Request<GetObjectLockConfigurationInput>,
) -> Answer<GetObjectLockConfigurationOutput> {
    let found = api.bucket(&req.input.bucket, |bucket| {
        let missing = || {
            s3_error!(
                ObjectLockConfigurationNotFoundError,
                "Object Lock configuration does not exist for this bucket"
            )
        };
        bucket.settings.lock.ok_or_else(missing)
    })?;
    let rule = found.default.map(|default| ObjectLockRule {
        default_retention: Some(DefaultRetention {
            days: days(default.period),
            mode: Some(ObjectLockRetentionMode::from_static(default.mode.name())),
            years: years(default.period),
        }),
    });
    let enabled = Some(ObjectLockEnabled::from_static(ObjectLockEnabled::ENABLED));
    answer(GetObjectLockConfigurationOutput {
        object_lock_configuration: Some(ObjectLockConfiguration { object_lock_enabled: enabled, rule }),
    })
}

fn days(period: Period) -> Option<i32> {
    match period {
        Period::Days(days) => i32::try_from(days).ok(),
        Period::Years(_) => None,
    }
}

fn years(period: Period) -> Option<i32> {
    match period {
        Period::Years(years) => i32::try_from(years).ok(),
        Period::Days(_) => None,
    }
}

/// Judges a request whose condition keys are in its body.
fn judge(api: &Api, caller: Option<&Caller>, keys: &[(&str, Option<String>)]) -> S3Result<()> {
    let Some(caller) = caller else { return Err(s3_error!(AccessDenied, "Access Denied")) };
    let mut caller = caller.clone();
    for (key, value) in keys {
        if let Some(value) = value {
            caller.request.context.set(key, value.as_str());
        }
    }
    api.0.judge(&caller)
}

pub(super) fn put_retention(
    api: &Api,
    req: S3Request<PutObjectRetentionInput>,
) -> Answer<PutObjectRetentionOutput> {
    let (input, now) = (req.input, api.0.now());
    let caller = req.extensions.get::<Caller>();
    let given = input.retention.unwrap_or_default();
    judge(
        api,
        caller,
        &[
            ("s3:object-lock-mode", given.mode.as_ref().map(|mode| mode.as_str().to_owned())),
            ("s3:object-lock-retain-until-date", given.retain_until_date.as_ref().map(date).transpose()?),
        ],
    )?;
    let new = match (given.mode, given.retain_until_date) {
        (None, None) => None,
        (Some(mode), Some(until)) => Some(retention(mode.as_str(), &until, now)?),
        _ => return Err(s3_error!(MalformedXML, "Mode and RetainUntilDate are both given")),
    };
    api.bucket(&input.bucket, |bucket| bucket_lock(&bucket.settings))?;
    let object = format!("arn:aws:s3:::{}/{}", input.bucket, input.key);
    let bypass = bypass(api, caller, input.bypass_governance_retention, &object);
    let set = |content: &mut Content| {
        if !content.lock.may_become(new.as_ref(), now, bypass) {
            return Err(protected());
        }
        content.lock.retention = new;
        Ok(())
    };
    api.change(&req.extensions, &input.bucket, &input.key, input.version_id.as_deref(), set)?;
    answer(PutObjectRetentionOutput::default())
}

fn date(until: &Timestamp) -> S3Result<String> {
    let mut text = Vec::new();
    until.format(TimestampFormat::DateTime, &mut text).map_err(S3Error::internal_error)?;
    String::from_utf8(text).map_err(S3Error::internal_error)
}

pub(super) fn get_retention(
    api: &Api,
    req: S3Request<GetObjectRetentionInput>,
) -> Answer<GetObjectRetentionOutput> {
    let input = req.input;
    let lock = lock_of(api, &req.extensions, &input.bucket, &input.key, input.version_id.as_deref())?;
    let kept = lock.retention.ok_or_else(not_locked)?;
    let retention = ObjectLockRetention {
        mode: Some(ObjectLockRetentionMode::from_static(kept.mode.name())),
        retain_until_date: Some(kept.until),
    };
    answer(GetObjectRetentionOutput { retention: Some(retention) })
}

pub(super) fn put_legal_hold(
    api: &Api,
    req: S3Request<PutObjectLegalHoldInput>,
) -> Answer<PutObjectLegalHoldOutput> {
    let input = req.input;
    let status = input.legal_hold.and_then(|hold| hold.status);
    let status = status.ok_or_else(|| s3_error!(MalformedXML, "Status is ON or OFF"))?;
    let keys = [("s3:object-lock-legal-hold", Some(status.as_str().to_owned()))];
    judge(api, req.extensions.get::<Caller>(), &keys)?;
    let hold = on_or_off(status.as_str())?;
    api.bucket(&input.bucket, |bucket| bucket_lock(&bucket.settings))?;
    let set = |content: &mut Content| {
        content.lock.legal_hold = Some(hold);
        Ok(())
    };
    api.change(&req.extensions, &input.bucket, &input.key, input.version_id.as_deref(), set)?;
    answer(PutObjectLegalHoldOutput::default())
}

pub(super) fn get_legal_hold(
    api: &Api,
    req: S3Request<GetObjectLegalHoldInput>,
) -> Answer<GetObjectLegalHoldOutput> {
    let input = req.input;
    let lock = lock_of(api, &req.extensions, &input.bucket, &input.key, input.version_id.as_deref())?;
    let hold = lock.legal_hold.ok_or_else(not_locked)?;
    answer(GetObjectLegalHoldOutput { legal_hold: Some(ObjectLockLegalHold { status: Some(status(hold)) }) })
}

fn not_locked() -> S3Error {
    s3_error!(NoSuchObjectLockConfiguration, "The specified object does not have a ObjectLock configuration")
}

fn lock_of(
    api: &Api,
    extensions: &http::Extensions,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> S3Result<Lock> {
    api.bucket(bucket, |bucket| bucket_lock(&bucket.settings))?;
    match api.found(bucket, key, version)? {
        Ok((_, content)) => Ok(content.lock),
        Err(missing) => api.missing(extensions, bucket, missing),
    }
}
