//! Who asks, and what for.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use sandbox::{Account, AccountError, Sandbox, TemporaryKey};

use crate::setup::{client, outcome, owner, session_client};

#[tokio::test]
async fn a_bucket_of_another_owner_than_expected_is_refused() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let owner = owner(&sandbox).await;
    for (expected, outcomes) in [(sandbox.account().id(), "allowed"), ("999988887777", "AccessDenied")] {
        let put = owner.put_object().bucket("box").key("k").expected_bucket_owner(expected).send().await;
        let listed = owner.list_objects_v2().bucket("box").expected_bucket_owner(expected).send().await;
        assert_eq!([outcome(put), outcome(listed)], [outcomes; 2]);
    }
}

const EVERYTHING: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"999988887777"},"Action":"sts:AssumeRole"}]}"#;

async fn put(client: &Client) -> String {
    outcome(client.put_object().bucket("box").key("k").body(ByteStream::from_static(b"x")).send().await)
}

async fn list(client: &Client) -> String {
    outcome(client.list_objects_v2().bucket("box").send().await)
}

fn with_role(account: &Account) {
    account.put_policy("everything", EVERYTHING).unwrap();
    account.create_role("writer", TRUST).unwrap();
    account.attach_role_policy("writer", "everything").unwrap();
}

#[tokio::test]
async fn a_roles_session_has_its_policies_and_no_more_than_its_own() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    owner(&sandbox).await;
    let account = sandbox.account();
    with_role(account);
    let session = session_client(&sandbox, &account.assume_role("writer", "nightly", None).unwrap());
    assert_eq!([put(&session).await, list(&session).await], ["allowed"; 2]);
    let judged = sandbox.decisions().pop().unwrap();
    let arn = "arn:aws:sts::111122223333:assumed-role/writer/nightly";
    assert_eq!(judged.request.principal.arn().as_deref(), Some(arn));
    assert_eq!(
        judged.request.context.get("aws:principalarn"),
        Some(&["arn:aws:iam::111122223333:role/writer".to_owned()][..])
    );

    let only_put = EVERYTHING.replace("s3:*", "s3:PutObject");
    let narrow = account.assume_role("writer", "nightly", Some(&only_put)).unwrap();
    let narrow = session_client(&sandbox, &narrow);
    assert_eq!(put(&narrow).await, "allowed");
    let refused = narrow.list_objects_v2().bucket("box").send().await.unwrap_err();
    assert!(
        refused.message().unwrap().ends_with("because no session policy allows the s3:ListBucket action")
    );
    assert_eq!(list(&session).await, "allowed", "the other session has no such policy");
}

#[tokio::test]
async fn a_temporary_key_needs_its_token() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    owner(&sandbox).await;
    let account = sandbox.account();
    with_role(account);
    let key = account.assume_role("writer", "s", None).unwrap();
    let bare = client(&sandbox.endpoint(), sandbox.region(), &key.id, &key.secret);
    assert_eq!(list(&bare).await, "InvalidToken");
    let wrong = TemporaryKey { session_token: "guessed".into(), ..key.clone() };
    assert_eq!(list(&session_client(&sandbox, &wrong)).await, "InvalidToken");
    let url = PresigningConfig::expires_in(Duration::from_secs(60)).unwrap();
    let url =
        session_client(&sandbox, &key).get_object().bucket("box").key("k").presigned(url).await.unwrap();
    assert!(url.uri().contains("X-Amz-Security-Token="));
    account.set_access_key_active(&key.id, false).unwrap();
    assert_eq!(list(&session_client(&sandbox, &key)).await, "InvalidAccessKeyId");
    assert!(matches!(account.assume_role("nobody", "s", None), Err(AccountError::Missing("role", _))));
    let open = TRUST.replace(r#""Action""#, r#""Resource":"*","Action""#);
    assert!(matches!(account.create_role("r", &open), Err(AccountError::Malformed(_))));
}

#[tokio::test]
async fn another_account_needs_the_buckets_policy_and_its_own() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let owner = owner(&sandbox).await;
    let other = sandbox.other_account("999988887777");
    with_role(&other);
    let stranger = session_client(&sandbox, &other.assume_role("writer", "s", None).unwrap());
    let refused = stranger.list_objects_v2().bucket("box").send().await.unwrap_err();
    assert!(refused.message().unwrap().contains("because no resource-based policy allows"));
    let shared = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999988887777:role/writer"},"Action":"s3:ListBucket","Resource":"arn:aws:s3:::box"}]}"#;
    owner.put_bucket_policy().bucket("box").policy(shared).send().await.unwrap();
    assert_eq!([list(&stranger).await, put(&stranger).await], ["allowed", "AccessDenied"]);
    other.create_role("idle", TRUST).unwrap();
    let idle = session_client(&sandbox, &other.assume_role("idle", "s", None).unwrap());
    assert_eq!(list(&idle).await, "AccessDenied");
}
