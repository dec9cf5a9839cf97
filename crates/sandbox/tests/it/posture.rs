//! What a bucket is set to, and what that does: Block Public Access, ownership, lifecycle, tags.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
    ObjectOwnership, OwnershipControls, OwnershipControlsRule, PublicAccessBlockConfiguration,
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule, Tag, Tagging,
};
use sandbox::Sandbox;

use crate::setup::{client, outcome, owner};

fn block(all: bool) -> PublicAccessBlockConfiguration {
    PublicAccessBlockConfiguration::builder()
        .block_public_acls(all)
        .ignore_public_acls(all)
        .block_public_policy(all)
        .restrict_public_buckets(all)
        .build()
}

fn owned_as(ownership: ObjectOwnership) -> OwnershipControls {
    let rule = OwnershipControlsRule::builder().object_ownership(ownership).build().unwrap();
    OwnershipControls::builder().rules(rule).build().unwrap()
}

#[tokio::test]
async fn a_new_bucket_has_the_defaults_of_april_2023() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = owner(&sandbox).await;
    sandbox.create_bucket("other");
    for bucket in ["box", "other"] {
        let blocked = client.get_public_access_block().bucket(bucket).send().await.unwrap();
        assert_eq!(blocked.public_access_block_configuration(), Some(&block(true)));
        let owned = client.get_bucket_ownership_controls().bucket(bucket).send().await.unwrap();
        assert_eq!(owned.ownership_controls(), Some(&owned_as(ObjectOwnership::BucketOwnerEnforced)));
        let encrypted = client.get_bucket_encryption().bucket(bucket).send().await.unwrap();
        let rule = &encrypted.server_side_encryption_configuration().unwrap().rules()[0];
        let by_default = rule.apply_server_side_encryption_by_default().unwrap();
        assert_eq!(by_default.sse_algorithm(), &ServerSideEncryption::Aes256);
    }
}

#[tokio::test]
async fn settings_that_are_missing_have_their_own_codes() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = owner(&sandbox).await;
    client.delete_public_access_block().bucket("box").send().await.unwrap();
    client.delete_bucket_ownership_controls().bucket("box").send().await.unwrap();
    let missing = [
        outcome(client.get_public_access_block().bucket("box").send().await),
        outcome(client.get_bucket_ownership_controls().bucket("box").send().await),
        outcome(client.get_bucket_lifecycle_configuration().bucket("box").send().await),
        outcome(client.get_bucket_tagging().bucket("box").send().await),
        outcome(client.get_bucket_policy().bucket("box").send().await),
        outcome(client.get_bucket_policy_status().bucket("box").send().await),
    ];
    let codes = [
        "NoSuchPublicAccessBlockConfiguration",
        "OwnershipControlsNotFoundError",
        "NoSuchLifecycleConfiguration",
        "NoSuchTagSet",
        "NoSuchBucketPolicy",
        "NoSuchBucketPolicy",
    ];
    assert_eq!(missing, codes);
}

#[tokio::test]
async fn settings_come_back_as_they_were_put() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = owner(&sandbox).await;
    let some = PublicAccessBlockConfiguration::builder().block_public_acls(true).build();
    client
        .put_public_access_block()
        .bucket("box")
        .public_access_block_configuration(some)
        .send()
        .await
        .unwrap();
    let blocked = client.get_public_access_block().bucket("box").send().await.unwrap();
    let blocked = blocked.public_access_block_configuration().unwrap();
    assert_eq!((blocked.block_public_acls(), blocked.block_public_policy()), (Some(true), Some(false)));

    let written = owned_as(ObjectOwnership::ObjectWriter);
    client
        .put_bucket_ownership_controls()
        .bucket("box")
        .ownership_controls(written.clone())
        .send()
        .await
        .unwrap();
    let owned = client.get_bucket_ownership_controls().bucket("box").send().await.unwrap();
    assert_eq!(owned.ownership_controls(), Some(&written));

    let tag = Tag::builder().key("team").value("backups").build().unwrap();
    let tags = Tagging::builder().tag_set(tag.clone()).build().unwrap();
    client.put_bucket_tagging().bucket("box").tagging(tags).send().await.unwrap();
    assert_eq!(
        client.get_bucket_tagging().bucket("box").send().await.unwrap().tag_set(),
        std::slice::from_ref(&tag)
    );
    let twice = Tagging::builder().tag_set(tag.clone()).tag_set(tag).build().unwrap();
    assert_eq!(outcome(client.put_bucket_tagging().bucket("box").tagging(twice).send().await), "InvalidTag");
    client.delete_bucket_tagging().bucket("box").send().await.unwrap();
    assert_eq!(outcome(client.get_bucket_tagging().bucket("box").send().await), "NoSuchTagSet");
}

fn expiring(days: i32) -> LifecycleRule {
    LifecycleRule::builder()
        .id("old")
        .filter(LifecycleRuleFilter::builder().prefix("backups/").build())
        .expiration(LifecycleExpiration::builder().days(days).build())
        .status(ExpirationStatus::Enabled)
        .build()
        .unwrap()
}

async fn put_rules(client: &Client, rules: Vec<LifecycleRule>) -> String {
    let all = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build().unwrap();
    outcome(
        client.put_bucket_lifecycle_configuration().bucket("box").lifecycle_configuration(all).send().await,
    )
}

#[tokio::test]
async fn a_lifecycle_is_checked_and_kept() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = owner(&sandbox).await;
    assert_eq!(put_rules(&client, vec![expiring(30)]).await, "allowed");
    let kept = client.get_bucket_lifecycle_configuration().bucket("box").send().await.unwrap();
    assert_eq!(kept.rules(), [expiring(30)]);
    assert_eq!(put_rules(&client, vec![expiring(0)]).await, "InvalidArgument");
    assert_eq!(put_rules(&client, vec![expiring(1), expiring(2)]).await, "InvalidArgument");
    client.delete_bucket_lifecycle().bucket("box").send().await.unwrap();
    let gone = client.get_bucket_lifecycle_configuration().bucket("box").send().await;
    assert_eq!(outcome(gone), "NoSuchLifecycleConfiguration");
}

#[tokio::test]
async fn a_bucket_key_is_told_of_objects_under_kms() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let client = owner(&sandbox).await;
    let by_default =
        ServerSideEncryptionByDefault::builder().sse_algorithm(ServerSideEncryption::AwsKms).build().unwrap();
    let rule = ServerSideEncryptionRule::builder()
        .apply_server_side_encryption_by_default(by_default)
        .bucket_key_enabled(true)
        .build();
    let rules = ServerSideEncryptionConfiguration::builder().rules(rule).build().unwrap();
    let put = client.put_bucket_encryption().bucket("box").server_side_encryption_configuration(rules);
    put.send().await.unwrap();
    let found = client.get_bucket_encryption().bucket("box").send().await.unwrap();
    let rule = &found.server_side_encryption_configuration().unwrap().rules()[0];
    assert_eq!(rule.bucket_key_enabled(), Some(true));
    let put = client.put_object().bucket("box").key("k").send().await.unwrap();
    assert_eq!(put.bucket_key_enabled(), Some(true));
    let plain =
        client.put_object().bucket("box").key("k").server_side_encryption(ServerSideEncryption::Aes256);
    assert_eq!(plain.send().await.unwrap().bucket_key_enabled(), None);
}

#[tokio::test]
async fn each_setting_has_an_action_of_its_own() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    owner(&sandbox).await;
    let account = sandbox.account();
    account.create_user("u").unwrap();
    let reads = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Resource":"arn:aws:s3:::box","Action":["s3:GetBucketPublicAccessBlock","s3:GetBucketOwnershipControls","s3:GetLifecycleConfiguration","s3:GetBucketTagging","s3:GetBucketPolicyStatus"]}]}"#;
    account.put_user_policy("u", "reads", reads).unwrap();
    let key = account.create_access_key("u").unwrap();
    let user = client(&sandbox.endpoint(), sandbox.region(), &key.id, &key.secret);
    let read = [
        outcome(user.get_public_access_block().bucket("box").send().await),
        outcome(user.get_bucket_ownership_controls().bucket("box").send().await),
        outcome(user.get_bucket_lifecycle_configuration().bucket("box").send().await),
        outcome(user.get_bucket_tagging().bucket("box").send().await),
        outcome(user.get_bucket_policy_status().bucket("box").send().await),
    ];
    let codes = ["allowed", "allowed", "NoSuchLifecycleConfiguration", "NoSuchTagSet", "NoSuchBucketPolicy"];
    assert_eq!(read, codes);
    let written = [
        outcome(user.delete_public_access_block().bucket("box").send().await),
        outcome(user.delete_bucket_ownership_controls().bucket("box").send().await),
        outcome(user.delete_bucket_lifecycle().bucket("box").send().await),
        outcome(user.delete_bucket_tagging().bucket("box").send().await),
    ];
    assert_eq!(written, ["AccessDenied"; 4]);
}
