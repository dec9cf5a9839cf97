//! Plain and encrypted connections on one port.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use sandbox::Sandbox;

use crate::setup::{outcome, owner, tls_client};

const TLS_ONLY: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*Object","Resource":"arn:aws:s3:::box/*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#;

async fn put(client: &Client) -> String {
    let put = client.put_object().bucket("box").key("k").body(ByteStream::from_static(b"hello"));
    outcome(put.send().await)
}

#[tokio::test]
async fn one_port_takes_plain_and_encrypted_connections() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let plain = owner(&sandbox).await;
    let encrypted = tls_client(&sandbox, sandbox.owner(), true);
    assert_eq!(put(&encrypted).await, "allowed");
    let read = plain.get_object().bucket("box").key("k").send().await.unwrap();
    assert_eq!(read.body.collect().await.unwrap().to_vec(), b"hello");
    assert_eq!(put(&tls_client(&sandbox, sandbox.owner(), false)).await, "no answer");
    assert_eq!(put(&plain).await, "allowed", "a connection that fails is no other's trouble");
}

#[tokio::test]
async fn a_policy_may_ask_for_tls() {
    for behind_a_proxy in [false, true] {
        let sandbox = Sandbox::builder().secure_transport(behind_a_proxy).start().await.unwrap();
        let plain = owner(&sandbox).await;
        // A Deny for everyone makes nothing public.
        plain.put_bucket_policy().bucket("box").policy(TLS_ONLY).send().await.unwrap();
        assert_eq!(put(&plain).await, if behind_a_proxy { "allowed" } else { "AccessDenied" });
        assert_eq!(put(&tls_client(&sandbox, sandbox.owner(), true)).await, "allowed");
    }
}
