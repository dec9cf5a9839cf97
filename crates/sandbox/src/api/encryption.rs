//! Encryption, as far as the protocol shows it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest, Md5};
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::{Answer, Api, answer};
use crate::buckets::{Content, Encryption};

pub(super) fn put(api: &Api, req: S3Request<PutBucketEncryptionInput>) -> Answer<PutBucketEncryptionOutput> {
    let rules = req.input.server_side_encryption_configuration.rules;
    let Some(rule) = rules.into_iter().next() else {
        return Err(s3_error!(MalformedXML, "there is no rule"));
    };
    let Some(by_default) = rule.apply_server_side_encryption_by_default else {
        return Err(s3_error!(MalformedXML, "no default encryption is given"));
    };
    let asked = Asked {
        algorithm: Some(by_default.sse_algorithm),
        kms_key_id: by_default.kms_master_key_id,
        bucket_key: rule.bucket_key_enabled,
        customer_key: None,
    };
    let asked = encryption(asked, &Encryption::default(), &api.0.region)?;
    api.bucket(&req.input.bucket, |bucket| {
        bucket.default_encryption = asked;
        Ok(())
    })?;
    answer(PutBucketEncryptionOutput {})
}

pub(super) fn get(api: &Api, req: S3Request<GetBucketEncryptionInput>) -> Answer<GetBucketEncryptionOutput> {
    let default = api.bucket(&req.input.bucket, |bucket| Ok(bucket.default_encryption.clone()))?;
    let Some(algorithm) = sse(&default) else {
        return Err(s3_error!(
            ServerSideEncryptionConfigurationNotFoundError,
            "The server side encryption configuration was not found"
        ));
    };
    let by_default =
        ServerSideEncryptionByDefault { kms_master_key_id: default.kms_key_id, sse_algorithm: algorithm };
    let rule = ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(by_default),
        bucket_key_enabled: Some(default.bucket_key),
    };
    let configuration = ServerSideEncryptionConfiguration { rules: vec![rule] };
    answer(GetBucketEncryptionOutput { server_side_encryption_configuration: Some(configuration) })
}

pub(super) fn delete(
    api: &Api,
    req: S3Request<DeleteBucketEncryptionInput>,
) -> Answer<DeleteBucketEncryptionOutput> {
    let default = api.0.default_encryption();
    api.bucket(&req.input.bucket, |bucket| {
        bucket.default_encryption = default;
        Ok(())
    })?;
    answer(DeleteBucketEncryptionOutput {})
}

pub(super) fn sse(encryption: &Encryption) -> Option<ServerSideEncryption> {
    encryption.algorithm.clone().map(ServerSideEncryption::from)
}

/// What a request says about encryption.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) algorithm: Option<ServerSideEncryption>,
    pub(super) kms_key_id: Option<String>,
    pub(super) bucket_key: Option<bool>,
    pub(super) customer_key: Option<String>,
}

/// What a request asks for, or else what the bucket does with all objects.
/// The encryption that a request's headers ask for, taken out of them. The types of the requests differ.
macro_rules! given_encryption {
    ($input:ident) => {
        $crate::api::encryption::Asked {
            algorithm: $input.server_side_encryption.take(),
            kms_key_id: $input.ssekms_key_id.take(),
            bucket_key: $input.bucket_key_enabled,
            customer_key: $input.sse_customer_key.take(),
        }
    };
}
pub(super) use given_encryption;

pub(super) fn encryption(asked: Asked, default: &Encryption, region: &str) -> S3Result<Encryption> {
    if let Some(key) = asked.customer_key {
        let key =
            BASE64.decode(key).map_err(|_| s3_error!(InvalidArgument, "the customer key is not Base64"))?;
        let customer_key_md5 = Some(BASE64.encode(Md5::digest(key)));
        return Ok(Encryption { customer_key_md5, ..Encryption::default() });
    }
    let bucket_key = asked.bucket_key.unwrap_or(default.bucket_key);
    let Some(algorithm) = asked.algorithm else { return Ok(Encryption { bucket_key, ..default.clone() }) };
    let kms_key_id = match algorithm.as_str() {
        "AES256" => None,
        "aws:kms" | "aws:kms:dsse" => {
            let key = asked.kms_key_id.unwrap_or_else(|| "aws-s3-default".into());
            let is_arn = key.starts_with("arn:");
            Some(if is_arn { key } else { format!("arn:aws:kms:{region}:111122223333:key/{key}") })
        }
        _ => return Err(s3_error!(InvalidArgument, "The encryption method specified is not supported")),
    };
    let algorithm = Some(algorithm.as_str().to_owned());
    Ok(Encryption { algorithm, kms_key_id, bucket_key, customer_key_md5: None })
}

/// Whether a bucket key is used, which is told of objects under a key of AWS KMS only.
pub(super) fn bucket_key(encryption: &Encryption) -> Option<bool> {
    (encryption.bucket_key && encryption.kms_key_id.is_some()).then_some(true)
}

/// An object under a client's key is read with that key only.
pub(super) fn check_customer_key(content: &Content, key: Option<&str>) -> S3Result<()> {
    let given = key.and_then(|key| BASE64.decode(key).ok()).map(|key| BASE64.encode(Md5::digest(key)));
    match (&content.encryption.customer_key_md5, given) {
        (None, None) => Ok(()),
        (Some(wanted), Some(given)) if *wanted == given => Ok(()),
        (Some(_), Some(_)) => Err(s3_error!(AccessDenied, "Access Denied")),
        _ => Err(s3_error!(
            InvalidRequest,
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object."
        )),
    }
}
