//! Servers that lack something, or do not do what they should.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ObjectCannedAcl;
use sandbox::{Feature, Sandbox};

use crate::setup::{anonymous, client, outcome, owner};

#[tokio::test]
async fn what_a_server_lacks_is_not_implemented() {
    let features = [
        Feature::PublicAccessBlock,
        Feature::OwnershipControls,
        Feature::ObjectLock,
        Feature::PolicyStatus,
        Feature::Lifecycle,
    ];
    for lacking in features {
        let sandbox = Sandbox::builder().without(lacking).start().await.unwrap();
        let client = owner(&sandbox).await;
        let answers = [
            outcome(client.get_public_access_block().bucket("box").send().await),
            outcome(client.get_bucket_ownership_controls().bucket("box").send().await),
            outcome(client.get_object_lock_configuration().bucket("box").send().await),
            outcome(client.get_bucket_policy_status().bucket("box").send().await),
            outcome(client.get_bucket_lifecycle_configuration().bucket("box").send().await),
        ];
        for (feature, answer) in features.iter().zip(answers) {
            assert_eq!(answer == "NotImplemented", *feature == lacking, "{feature:?} without {lacking:?}");
        }
    }
}

#[tokio::test]
async fn a_server_may_lack_what_headers_ask_for() {
    let sandbox = Sandbox::builder()
        .without(Feature::ConditionalWrites)
        .without(Feature::CustomerKeys)
        .without(Feature::EncryptionReports)
        .start()
        .await
        .unwrap();
    let client = owner(&sandbox).await;
    let put = || client.put_object().bucket("box").key("k").body(ByteStream::from_static(b"x"));
    let refused = put().if_none_match("*").send().await.unwrap_err();
    assert_eq!(refused.code(), Some("NotImplemented"));
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 501);
    let under_a_key =
        put().sse_customer_algorithm("AES256").sse_customer_key("a2V5").sse_customer_key_md5("x");
    assert_eq!(outcome(under_a_key.send().await), "NotImplemented");
    assert_eq!(put().send().await.unwrap().server_side_encryption(), None);
}

#[tokio::test]
async fn a_server_without_block_public_access_blocks_nothing() {
    let sandbox = Sandbox::builder()
        .without(Feature::PublicAccessBlock)
        .without(Feature::OwnershipControls)
        .start()
        .await
        .unwrap();
    let client = owner(&sandbox).await;
    let put = client.put_object().bucket("box").key("k").acl(ObjectCannedAcl::PublicRead);
    assert_eq!(outcome(put.send().await), "allowed");
    let read = anonymous(&sandbox).get_object().bucket("box").key("k").send().await;
    assert_eq!(outcome(read), "allowed");
}

#[tokio::test]
async fn an_endpoint_may_enforce_nothing() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let owner = owner(&sandbox).await;
    let deny = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::box/*"}]}"#;
    owner.put_bucket_policy().bucket("box").policy(deny).send().await.unwrap();
    sandbox.account().create_user("u").unwrap();
    let key = sandbox.account().create_access_key("u").unwrap();
    let user = client(&sandbox.endpoint(), sandbox.region(), &key.id, &key.secret);
    for (ignored, expected) in [(true, "allowed"), (false, "AccessDenied")] {
        sandbox.ignore_policies(ignored);
        let put = user.put_object().bucket("box").key("k").send().await;
        let read = anonymous(&sandbox).get_object().bucket("box").key("k").send().await;
        assert_eq!([outcome(put), outcome(read)], [expected, "AccessDenied"]);
    }
}
