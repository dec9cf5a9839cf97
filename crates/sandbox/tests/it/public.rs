//! What may be public, and what Block Public Access does about it: access control lists and bucket policies.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketCannedAcl, ObjectCannedAcl, ObjectOwnership, OwnershipControls, OwnershipControlsRule, Permission,
    PublicAccessBlockConfiguration,
};
use sandbox::Sandbox;

use crate::setup::{anonymous, client, outcome, owner};

async fn set_block(client: &Client, acls: bool, ignore: bool, policy: bool, restrict: bool) {
    let block = PublicAccessBlockConfiguration::builder()
        .block_public_acls(acls)
        .ignore_public_acls(ignore)
        .block_public_policy(policy)
        .restrict_public_buckets(restrict)
        .build();
    let put = client.put_public_access_block().bucket("box").public_access_block_configuration(block);
    put.send().await.unwrap();
}

async fn allow_acls(client: &Client) {
    let rule = OwnershipControlsRule::builder().object_ownership(ObjectOwnership::BucketOwnerPreferred);
    let controls = OwnershipControls::builder().rules(rule.build().unwrap()).build().unwrap();
    client.put_bucket_ownership_controls().bucket("box").ownership_controls(controls).send().await.unwrap();
}

async fn put(client: &Client, acl: Option<ObjectCannedAcl>) -> String {
    let put = client.put_object().bucket("box").key("k").body(ByteStream::from_static(b"x")).set_acl(acl);
    outcome(put.send().await)
}

async fn read(client: &Client) -> String {
    outcome(client.get_object().bucket("box").key("k").send().await)
}

async fn put_policy(client: &Client, policy: &str) -> String {
    outcome(client.put_bucket_policy().bucket("box").policy(policy).send().await)
}

#[tokio::test]
async fn where_the_owner_owns_all_there_are_no_acls() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let owner = owner(&sandbox).await;
    assert_eq!(put(&owner, Some(ObjectCannedAcl::BucketOwnerFullControl)).await, "allowed");
    assert_eq!(put(&owner, Some(ObjectCannedAcl::Private)).await, "AccessControlListNotSupported");
    assert_eq!(put(&owner, Some(ObjectCannedAcl::PublicRead)).await, "AccessControlListNotSupported");
    let object = owner.put_object_acl().bucket("box").key("k").acl(ObjectCannedAcl::BucketOwnerFullControl);
    assert_eq!(outcome(object.send().await), "AccessControlListNotSupported");
    let bucket = owner.put_bucket_acl().bucket("box").acl(BucketCannedAcl::Private);
    assert_eq!(outcome(bucket.send().await), "AccessControlListNotSupported");
    for grants in [
        owner.get_bucket_acl().bucket("box").send().await.unwrap().grants().to_vec(),
        owner.get_object_acl().bucket("box").key("k").send().await.unwrap().grants().to_vec(),
    ] {
        assert_eq!(grants.len(), 1);
        assert_eq!(grants[0].permission(), Some(&Permission::FullControl));
    }
}

#[tokio::test]
async fn a_public_acl_is_blocked_ignored_or_does_what_it_says() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let owner = owner(&sandbox).await;
    let stranger = anonymous(&sandbox);
    allow_acls(&owner).await;
    for acl in
        [ObjectCannedAcl::PublicRead, ObjectCannedAcl::PublicReadWrite, ObjectCannedAcl::AuthenticatedRead]
    {
        assert_eq!(put(&owner, Some(acl)).await, "AccessDenied");
    }
    assert_eq!(put(&owner, Some(ObjectCannedAcl::Private)).await, "allowed");
    let acl = owner.put_object_acl().bucket("box").key("k").acl(ObjectCannedAcl::PublicRead);
    assert_eq!(outcome(acl.send().await), "AccessDenied");

    set_block(&owner, false, true, true, true).await;
    assert_eq!(put(&owner, Some(ObjectCannedAcl::PublicRead)).await, "allowed");
    assert_eq!(read(&stranger).await, "AccessDenied", "it is ignored");
    set_block(&owner, true, false, true, true).await;
    assert_eq!(read(&stranger).await, "allowed", "what is blocked now stays where it was put before");
    assert_eq!(outcome(stranger.list_objects_v2().bucket("box").send().await), "AccessDenied");
    set_block(&owner, false, false, true, true).await;
    let private = owner.put_object_acl().bucket("box").key("k").acl(ObjectCannedAcl::Private);
    private.send().await.unwrap();
    assert_eq!(read(&stranger).await, "AccessDenied");
    owner.put_bucket_acl().bucket("box").acl(BucketCannedAcl::PublicRead).send().await.unwrap();
    assert_eq!(outcome(stranger.list_objects_v2().bucket("box").send().await), "allowed");
    let grants = owner.get_bucket_acl().bucket("box").send().await.unwrap();
    assert_eq!(grants.grants()[1].permission(), Some(&Permission::Read));
}

#[tokio::test]
async fn an_acl_needs_a_right_of_its_own() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    owner(&sandbox).await;
    let account = sandbox.account();
    account.create_user("u").unwrap();
    let puts =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}]}"#;
    account.put_user_policy("u", "puts", puts).unwrap();
    let key = account.create_access_key("u").unwrap();
    let user = client(&sandbox.endpoint(), sandbox.region(), &key.id, &key.secret);
    assert_eq!(put(&user, None).await, "allowed");
    assert_eq!(put(&user, Some(ObjectCannedAcl::BucketOwnerFullControl)).await, "AccessDenied");
    let acls = puts.replace("s3:PutObject", "s3:PutObjectAcl");
    account.put_user_policy("u", "acls", &acls).unwrap();
    assert_eq!(put(&user, Some(ObjectCannedAcl::BucketOwnerFullControl)).await, "allowed");
}

const PUBLIC: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::box/*"}]}"#;

#[tokio::test]
async fn a_public_policy_is_blocked_restricted_or_does_what_it_says() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let owner = owner(&sandbox).await;
    let stranger = anonymous(&sandbox);
    assert_eq!(put(&owner, None).await, "allowed");
    assert_eq!(put_policy(&owner, PUBLIC).await, "AccessDenied");
    let pinned =
        PUBLIC.replace(r#""Action""#, r#""Condition":{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}},"Action""#);
    assert_eq!(put_policy(&owner, &pinned).await, "allowed");
    assert_eq!(is_public(&owner).await, Some(false));
    assert_eq!(read(&stranger).await, "allowed", "it is not public, and so not restricted");

    set_block(&owner, true, true, false, true).await;
    assert_eq!(put_policy(&owner, PUBLIC).await, "allowed");
    assert_eq!(is_public(&owner).await, Some(true));
    assert_eq!(read(&stranger).await, "AccessDenied", "it is restricted");
    set_block(&owner, true, true, true, false).await;
    assert_eq!(read(&stranger).await, "allowed");
    assert_eq!(put_policy(&owner, &PUBLIC.replace("Allow", "Deny")).await, "allowed");
    assert_eq!(is_public(&owner).await, Some(false));
}

#[tokio::test]
async fn a_restricted_bucket_is_closed_to_other_accounts_too() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let owner = owner(&sandbox).await;
    assert_eq!(put(&owner, None).await, "allowed");
    let other = sandbox.other_account("999988887777");
    other.create_user("u").unwrap();
    let reads =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
    other.put_user_policy("u", "reads", reads).unwrap();
    let key = other.create_access_key("u").unwrap();
    let stranger = client(&sandbox.endpoint(), sandbox.region(), &key.id, &key.secret);
    for (restrict, expected) in [(false, "allowed"), (true, "AccessDenied")] {
        set_block(&owner, true, true, false, restrict).await;
        assert_eq!(put_policy(&owner, PUBLIC).await, "allowed");
        assert_eq!([read(&stranger).await, read(&owner).await], [expected, "allowed"]);
    }
}

async fn is_public(client: &Client) -> Option<bool> {
    let status = client.get_bucket_policy_status().bucket("box").send().await.unwrap();
    status.policy_status().unwrap().is_public()
}
