//! What is checked before something is written: checksums and conditions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest, Md5};
use s3s::dto::ETagCondition;
use s3s::{S3Result, TrailingHeaders, s3_error};
use sha2::Sha256;

use crate::buckets;

pub(super) fn md5_hex(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// What a client says of the bytes that it sends, in headers or after them. SHA-1 is taken on trust.
#[derive(Debug)]
pub(super) struct Sums {
    pub(super) md5: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) crc32: Option<String>,
    pub(super) crc32c: Option<String>,
    pub(super) crc64: Option<String>,
    pub(super) sha1: Option<String>,
}

/// From a request with a body: two operations have the same fields for it.
macro_rules! given_sums {
    ($input:ident) => {
        $crate::api::checks::Sums {
            md5: $input.content_md5.take(),
            sha256: $input.checksum_sha256.take(),
            crc32: $input.checksum_crc32.take(),
            crc32c: $input.checksum_crc32c.take(),
            crc64: $input.checksum_crc64nvme.take(),
            sha1: $input.checksum_sha1.take(),
        }
    };
}
pub(super) use given_sums;

impl Sums {
    /// Whether there is one, or one is announced for the end of the body.
    pub(super) fn any(&self, headers: &http::HeaderMap) -> bool {
        let Self { md5, sha256, crc32, crc32c, crc64, sha1 } = self;
        let announced = headers.get("x-amz-trailer").and_then(|value| value.to_str().ok());
        [md5, sha256, crc32, crc32c, crc64, sha1].iter().any(|sum| sum.is_some())
            || announced.is_some_and(|name| name.starts_with("x-amz-checksum-"))
    }

    /// With those that came after the body.
    pub(super) fn and_trailers(mut self, trailers: Option<&TrailingHeaders>) -> Self {
        let get = |name: &str| {
            trailers?.read(|headers| headers.get(name)?.to_str().ok().map(str::to_owned)).flatten()
        };
        self.sha256 = self.sha256.or_else(|| get("x-amz-checksum-sha256"));
        self.crc32 = self.crc32.or_else(|| get("x-amz-checksum-crc32"));
        self.crc32c = self.crc32c.or_else(|| get("x-amz-checksum-crc32c"));
        self.crc64 = self.crc64.or_else(|| get("x-amz-checksum-crc64nvme"));
        self
    }

    /// Compares them with what arrived.
    pub(super) fn check(&self, bytes: &[u8]) -> S3Result<()> {
        use crc_fast::{CrcAlgorithm, checksum};
        let four = |algorithm| BASE64.encode(&checksum(algorithm, bytes).to_be_bytes()[4..]);
        let eight = |algorithm| BASE64.encode(checksum(algorithm, bytes).to_be_bytes());
        let differs = |given: &Option<String>, found: &dyn Fn() -> String| {
            given.as_ref().is_some_and(|given| *given != found())
        };
        let wrong = differs(&self.md5, &|| BASE64.encode(Md5::digest(bytes)))
            || differs(&self.sha256, &|| BASE64.encode(Sha256::digest(bytes)))
            || differs(&self.crc32, &|| four(CrcAlgorithm::Crc32IsoHdlc))
            || differs(&self.crc32c, &|| four(CrcAlgorithm::Crc32Iscsi))
            || differs(&self.crc64, &|| eight(CrcAlgorithm::Crc64Nvme));
        match wrong {
            true => Err(s3_error!(BadDigest, "The checksum you specified did not match what we received.")),
            false => Ok(()),
        }
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
