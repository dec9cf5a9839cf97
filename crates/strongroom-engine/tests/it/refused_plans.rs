//! A plan that its bucket would refuse, told from the policies that can be read, and then refused.

use sandbox::Sandbox;
use serde_json::json;
use strongroom_engine::bucket::{AccessKey, Sse, StoreOptions};
use strongroom_engine::guard::{Access, KnownPolicies, Settings, documents, known_policies, refused};
use strongroom_engine::{Code, PlanName};
use testbed::Moto;

use crate::bucket::{bucket, client};
use crate::bucket_contract::put;

const BUCKET: &str = "youraccountname-mlab-backups";

fn options(endpoint: &str, (id, secret): (&str, &str)) -> StoreOptions {
    let key = AccessKey { id: id.into(), secret: secret.into(), session_token: None };
    StoreOptions {
        endpoint: Some(endpoint.into()),
        region: Some("us-east-1".into()),
        key: Some(key),
        ..StoreOptions::default()
    }
}

fn settings(access: Access) -> Settings {
    Settings { access, ..Settings::new(BUCKET, "shop") }
}

/// The sandbox has no STS: only the bucket's policy can be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_policy_that_may_be_read_foretells_what_the_bucket_refuses() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    assert!(sandbox.create_bucket(BUCKET));
    sandbox.account().create_user("backup").unwrap();
    let allow = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": format!("arn:aws:s3:::{BUCKET}/*")},
        {"Effect": "Allow", "Action": ["s3:GetBucketPolicy", "s3:ListBucket"], "Resource": format!("arn:aws:s3:::{BUCKET}")}]});
    sandbox.account().put_user_policy("backup", "own", &allow.to_string()).unwrap();
    let key = sandbox.account().create_access_key("backup").unwrap();
    let policy = json!({"Version": "2012-10-17", "Statement": [{"Sid": "HeaderRequired", "Effect": "Deny", "Principal": "*",
        "Action": "s3:PutObject", "Resource": format!("arn:aws:s3:::{BUCKET}/*"),
        "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}}}]});
    let owner = sandbox.owner();
    let owner = client(&sandbox.endpoint(), (&owner.id, &owner.secret));
    owner.put_bucket_policy().bucket(BUCKET).policy(policy.to_string()).send().await.unwrap();

    let known = known_policies(&options(&sandbox.endpoint(), (&key.id, &key.secret)), BUCKET).await;
    assert!(known.bucket_known && known.identity.is_none(), "{known:?}");
    let (plan, settings) = (PlanName::default(), settings(Access::Single));
    let refusal = refused(&settings, &plan, &Sse::None, &known).unwrap();
    assert_eq!(refusal.statements[0].sid.as_deref(), Some("HeaderRequired"));
    assert!(refusal.error().help_text().unwrap().to_string().contains("`sse: AES256`"), "{refusal:?}");
    assert_eq!(refused(&settings, &plan, &Sse::Aes256, &known), None);

    // And so it is.
    let store = bucket(&sandbox.endpoint(), (&key.id, &key.secret));
    let error = put(&*store, "default/a", b"x", &Sse::None).await.unwrap_err();
    assert_eq!(error.code(), refusal.error().code());
    put(&*store, "default/a", b"x", &Sse::Aes256).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn with_moto_the_policies_of_a_user_are_read_once_and_judged_later() {
    let moto = tokio::task::spawn_blocking(Moto::start).await.unwrap().unwrap();
    let (wanted, plan) = (settings(Access::Classic), PlanName::default());
    let iam = aws_sdk_iam::Config::builder()
        .behavior_version(aws_sdk_iam::config::BehaviorVersion::latest())
        .region(aws_sdk_iam::config::Region::new("us-east-1"))
        .endpoint_url(moto.endpoint())
        .credentials_provider(aws_sdk_iam::config::Credentials::new("admin", "admin", None, None, "test"))
        .build();
    let iam = aws_sdk_iam::Client::from_conf(iam);
    iam.create_user().user_name("mLabUser").send().await.unwrap();
    let text = documents(&wanted)[0].policy.to_string();
    let given = iam.put_user_policy().user_name("mLabUser").policy_name("mLab").policy_document(text);
    given.send().await.unwrap();
    let key = iam.create_access_key().user_name("mLabUser").send().await.unwrap().access_key.unwrap();
    let own = options(&moto.endpoint(), (key.access_key_id(), key.secret_access_key()));
    let known = known_policies(&own, BUCKET).await;
    drop(moto);

    let kept: KnownPolicies = serde_json::from_str(&serde_json::to_string(&known).unwrap()).unwrap();
    assert!(kept.caller.as_deref().is_some_and(|arn| arn.ends_with(":user/mLabUser")), "{kept:?}");
    let refusal = refused(&wanted, &plan, &Sse::None, &kept).unwrap();
    assert!(refusal.statements[0].policy.contains("mLab"), "{refusal:?}");
    assert_eq!(refusal.error().code(), Code::Denied);
    assert_eq!(refused(&wanted, &plan, &Sse::Aes256, &kept), None);
}
