//! What is checked before something is written: checksums and conditions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest, Md5};
use s3s::dto::ETagCondition;
use s3s::{S3Result, s3_error};
use sha2::Sha256;

use crate::buckets;

pub(super) fn md5_hex(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// Compares what arrived with what the client says it sent.
pub(super) fn check_sums(bytes: &[u8], md5: Option<&str>, sha256: Option<&str>) -> S3Result<()> {
    let wrong = |given: Option<&str>, found: String| given.is_some_and(|given| given != found);
    if wrong(md5, BASE64.encode(Md5::digest(bytes))) || wrong(sha256, BASE64.encode(Sha256::digest(bytes))) {
        return Err(s3_error!(BadDigest, "The checksum you specified did not match what we received."));
    }
    Ok(())
}

/// Checksums of newer clients, over the whole body.
pub(super) fn check_crcs(
    bytes: &[u8],
    crc32: Option<&str>,
    crc32c: Option<&str>,
    crc64: Option<&str>,
) -> S3Result<()> {
    use crc_fast::{CrcAlgorithm, checksum};
    let four = |algorithm| BASE64.encode(&checksum(algorithm, bytes).to_be_bytes()[4..]);
    let eight = |algorithm| BASE64.encode(checksum(algorithm, bytes).to_be_bytes());
    let wrong = crc32.is_some_and(|given| given != four(CrcAlgorithm::Crc32IsoHdlc))
        || crc32c.is_some_and(|given| given != four(CrcAlgorithm::Crc32Iscsi))
        || crc64.is_some_and(|given| given != eight(CrcAlgorithm::Crc64Nvme));
    if wrong {
        Err(s3_error!(BadDigest, "The checksum you specified did not match what we received."))
    } else {
        Ok(())
    }
}

/// Conditions on what a write would replace.
pub(super) fn check_conditions(
    bucket: &buckets::Bucket,
    key: &str,
    if_none_match: Option<&ETagCondition>,
    if_match: Option<&ETagCondition>,
) -> S3Result<()> {
    let current = bucket.current(key).map(|(_, content)| content.etag.as_str());
    let failed =
        || s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold");
    let fits = |condition: &ETagCondition, etag: &str| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    };
    match (if_none_match, current) {
        (Some(ETagCondition::ETag(_)), _) => {
            return Err(s3_error!(NotImplemented, "If-None-Match takes `*` only on a write"));
        }
        (Some(condition), Some(etag)) if fits(condition, etag) => return Err(failed()),
        _ => {}
    }
    match (if_match, current) {
        (Some(_), None) => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
        (Some(condition), Some(etag)) if !fits(condition, etag) => Err(failed()),
        _ => Ok(()),
    }
}
