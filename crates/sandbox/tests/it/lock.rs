//! Object Lock: versions that stay.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{
    BucketVersioningStatus, CompletedMultipartUpload, CompletedPart, DefaultRetention, Delete,
    ObjectIdentifier, ObjectLockConfiguration, ObjectLockEnabled, ObjectLockLegalHold,
    ObjectLockLegalHoldStatus, ObjectLockMode, ObjectLockRetention, ObjectLockRetentionMode, ObjectLockRule,
    VersioningConfiguration,
};
use sandbox::Sandbox;

use crate::setup::{client, outcome, owner, summing_owner};

const DAY: i64 = 24 * 60 * 60;
/// The CRC-32 of `x`.
const X_SUM: &str = "jNwWgw==";
const BUCKET: &str = "locked";

async fn locked(sandbox: &Sandbox) -> Client {
    let client = owner(sandbox).await;
    client.create_bucket().bucket(BUCKET).object_lock_enabled_for_bucket(true).send().await.unwrap();
    client
}

async fn keep_for(client: &Client, days: i32, mode: ObjectLockRetentionMode) {
    let default = DefaultRetention::builder().days(days).mode(mode).build();
    let configuration = ObjectLockConfiguration::builder()
        .object_lock_enabled(ObjectLockEnabled::Enabled)
        .rule(ObjectLockRule::builder().default_retention(default).build())
        .build();
    let put = client.put_object_lock_configuration().bucket(BUCKET).object_lock_configuration(configuration);
    put.send().await.unwrap();
}

fn body(put: PutObjectFluentBuilder) -> PutObjectFluentBuilder {
    put.key("k").body(ByteStream::from_static(b"x")).checksum_crc32(X_SUM)
}

async fn put(client: &Client) -> String {
    let put = body(client.put_object().bucket(BUCKET)).send().await.unwrap();
    put.version_id().unwrap().to_owned()
}

async fn delete(client: &Client, version: &str, bypass: bool) -> String {
    let delete = client.delete_object().bucket(BUCKET).key("k").version_id(version);
    outcome(delete.set_bypass_governance_retention(bypass.then_some(true)).send().await)
}

/// So many days from the sandbox's time on.
async fn in_days(client: &Client, days: i64) -> DateTime {
    let head = client.head_object().bucket(BUCKET).key("k").send().await.unwrap();
    DateTime::from_secs(head.last_modified().unwrap().secs() + days * DAY)
}

#[tokio::test]
async fn a_locked_bucket_keeps_versions_for_good() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = locked(&sandbox).await;
    let versioning = client.get_bucket_versioning().bucket(BUCKET).send().await.unwrap();
    assert_eq!(versioning.status(), Some(&BucketVersioningStatus::Enabled));
    let off = VersioningConfiguration::builder().status(BucketVersioningStatus::Suspended).build();
    let off = client.put_bucket_versioning().bucket(BUCKET).versioning_configuration(off).send().await;
    assert_eq!(outcome(off), "InvalidBucketState");
    let missing = client.get_object_lock_configuration().bucket("box").send().await;
    assert_eq!(outcome(missing), "ObjectLockConfigurationNotFoundError");
    let enabled = ObjectLockConfiguration::builder().object_lock_enabled(ObjectLockEnabled::Enabled).build();
    let put = client.put_object_lock_configuration().bucket("box").object_lock_configuration(enabled);
    assert_eq!(outcome(put.send().await), "InvalidBucketState", "it has no versions");
    keep_for(&client, 3, ObjectLockRetentionMode::Compliance).await;
    let found = client.get_object_lock_configuration().bucket(BUCKET).send().await.unwrap();
    let rule = found.object_lock_configuration().unwrap().rule().unwrap();
    assert_eq!(rule.default_retention().unwrap().days(), Some(3));
}

#[tokio::test]
async fn what_is_locked_needs_a_checksum() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = locked(&sandbox).await;
    let put = || client.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"x"));
    assert_eq!(outcome(put().send().await), "allowed", "nothing is locked yet");
    keep_for(&client, 1, ObjectLockRetentionMode::Governance).await;
    let refused = put().send().await.unwrap_err();
    assert_eq!(refused.code(), Some("InvalidRequest"));
    assert_eq!(
        refused.message(),
        Some(
            "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"
        )
    );
    let summing = summing_owner(&sandbox);
    for algorithm in ["CRC32", "CRC32C", "CRC64NVME", "SHA256", "SHA1"] {
        let put = summing.put_object().bucket(BUCKET).key("k").body(ByteStream::from_static(b"x"));
        let put = put.checksum_algorithm(algorithm.into()).send().await;
        assert_eq!(outcome(put), "allowed", "{algorithm}");
    }
    assert_eq!(outcome(put().content_md5("nd1Hkw5cUe13vV4D5isGew==").send().await), "BadDigest");
}

#[tokio::test]
async fn compliance_holds_against_everyone_until_its_date() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = locked(&sandbox).await;
    keep_for(&client, 1, ObjectLockRetentionMode::Compliance).await;
    let version = put(&client).await;
    let marker = client.delete_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(marker.delete_marker(), Some(true), "a marker deletes nothing");
    assert_eq!(delete(&client, marker.version_id().unwrap(), false).await, "allowed");
    let refused = client.delete_object().bucket(BUCKET).key("k").version_id(&version).send().await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.message(), Some("Access Denied because object protected by object lock."));
    assert_eq!(delete(&client, &version, true).await, "AccessDenied");
    let identifier = ObjectIdentifier::builder().key("k").version_id(&version).build().unwrap();
    let many = Delete::builder().objects(identifier).build().unwrap();
    let done = client.delete_objects().bucket(BUCKET).delete(many).send().await.unwrap();
    assert_eq!(done.errors()[0].code(), Some("AccessDenied"));

    let now = in_days(&client, 0).await;
    let shorter = retention(now, 3600, ObjectLockRetentionMode::Compliance);
    assert_eq!(set_retention(&client, shorter, true).await, "AccessDenied");
    let longer = retention(in_days(&client, 2).await, 0, ObjectLockRetentionMode::Compliance);
    assert_eq!(set_retention(&client, longer, false).await, "allowed");
    let head = client.head_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(head.object_lock_mode(), Some(&ObjectLockMode::Compliance));
}

#[tokio::test]
async fn a_retention_ends_by_the_sandboxs_clock() {
    // Signatures may be fifteen minutes off, so the client's clock need not follow.
    const SOON: i64 = 5 * 60;
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = locked(&sandbox).await;
    let version = put(&client).await;
    let soon = retention(in_days(&client, 0).await, SOON, ObjectLockRetentionMode::Compliance);
    assert_eq!(set_retention(&client, soon, false).await, "allowed");
    assert_eq!(delete(&client, &version, false).await, "AccessDenied");
    sandbox.set_clock_offset(2 * SOON);
    assert_eq!(delete(&client, &version, false).await, "allowed");
}

fn retention(from: DateTime, seconds: i64, mode: ObjectLockRetentionMode) -> ObjectLockRetention {
    let until = DateTime::from_secs(from.secs() + seconds);
    ObjectLockRetention::builder().mode(mode).retain_until_date(until).build()
}

async fn set_retention(client: &Client, retention: ObjectLockRetention, bypass: bool) -> String {
    let put = client.put_object_retention().bucket(BUCKET).key("k").retention(retention);
    outcome(put.set_bypass_governance_retention(bypass.then_some(true)).send().await)
}

#[tokio::test]
async fn governance_is_passed_by_with_a_right_and_a_header() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let owner = locked(&sandbox).await;
    let account = sandbox.account();
    account.create_user("u").unwrap();
    let rights = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"*","Action":["s3:GetObject*","s3:PutObject","s3:DeleteObjectVersion"]}]}"#;
    account.put_user_policy("u", "rights", rights).unwrap();
    let key = account.create_access_key("u").unwrap();
    let user = client(&sandbox.endpoint(), sandbox.region(), &key.id, &key.secret);
    put(&user).await;
    let until = in_days(&user, 1).await;
    let asked = || {
        let put = body(user.put_object().bucket(BUCKET)).object_lock_mode(ObjectLockMode::Governance);
        put.object_lock_retain_until_date(until)
    };
    assert_eq!(outcome(asked().send().await), "AccessDenied", "s3:PutObjectRetention is missing");
    account.put_user_policy("u", "more", &rights.replace("s3:PutObject", "s3:PutObjectRetention")).unwrap();
    let version = asked().send().await.unwrap().version_id().unwrap().to_owned();
    let kept = user.get_object_retention().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(kept.retention().unwrap().retain_until_date(), Some(&until));

    assert_eq!(delete(&user, &version, false).await, "AccessDenied");
    assert_eq!(delete(&user, &version, true).await, "AccessDenied", "the right is missing");
    account
        .put_user_policy("u", "pass", &rights.replace("s3:PutObject", "s3:BypassGovernanceRetention"))
        .unwrap();
    assert_eq!(delete(&user, &version, false).await, "AccessDenied", "the header is missing");
    assert_eq!(delete(&user, &version, true).await, "allowed");
    assert_eq!(outcome(owner.get_object_retention().bucket("box").key("k").send().await), "InvalidRequest");
}

#[tokio::test]
async fn a_legal_hold_holds_until_it_is_taken_away() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = locked(&sandbox).await;
    let held = body(client.put_object().bucket(BUCKET));
    let held = held.object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On).send().await.unwrap();
    let version = held.version_id().unwrap();
    let found = client.get_object_legal_hold().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(found.legal_hold().unwrap().status(), Some(&ObjectLockLegalHoldStatus::On));
    assert_eq!(delete(&client, version, true).await, "AccessDenied");
    let off = ObjectLockLegalHold::builder().status(ObjectLockLegalHoldStatus::Off).build();
    client.put_object_legal_hold().bucket(BUCKET).key("k").legal_hold(off).send().await.unwrap();
    assert_eq!(delete(&client, version, false).await, "allowed");
    put(&client).await;
    let none = client.get_object_legal_hold().bucket(BUCKET).key("k").send().await;
    assert_eq!(outcome(none), "NoSuchObjectLockConfiguration");
    let elsewhere = body(client.put_object().bucket("box"));
    let elsewhere = elsewhere.object_lock_legal_hold_status(ObjectLockLegalHoldStatus::On).send().await;
    assert_eq!(outcome(elsewhere), "InvalidRequest", "the bucket has no Object Lock");
}

#[tokio::test]
async fn uploads_in_parts_are_locked_too() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = locked(&sandbox).await;
    keep_for(&client, 1, ObjectLockRetentionMode::Compliance).await;
    let begun = client.create_multipart_upload().bucket(BUCKET).key("k");
    let begun = begun.send().await.unwrap();
    let part =
        || client.upload_part().bucket(BUCKET).key("k").part_number(1).upload_id(begun.upload_id().unwrap());
    let part = || part().body(ByteStream::from_static(b"x"));
    assert_eq!(outcome(part().send().await), "InvalidRequest");
    let done = part().checksum_crc32(X_SUM).send().await.unwrap();
    let one = CompletedPart::builder().part_number(1).e_tag(done.e_tag().unwrap()).build();
    let all = CompletedMultipartUpload::builder().parts(one).build();
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("k").multipart_upload(all);
    let complete = complete.upload_id(begun.upload_id().unwrap()).send().await.unwrap();
    assert_eq!(delete(&client, complete.version_id().unwrap(), true).await, "AccessDenied");
}
