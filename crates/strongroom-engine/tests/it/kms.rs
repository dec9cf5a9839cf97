//! A key that KMS wraps.

use strongroom_engine::Code;
use strongroom_engine::bucket::kms::{PLAINTEXT_BYTES_MAX, unwrap, wrap};
use strongroom_engine::bucket::{AccessKey, StoreOptions};
use testbed::Moto;

const CONTEXT: &[(&str, &str)] = &[("service", "strongroom"), ("purpose", "master key")];

async fn key(moto: &Moto) -> String {
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(aws_sdk_kms::config::BehaviorVersion::latest())
        .region(aws_sdk_kms::config::Region::new("us-east-1"))
        .endpoint_url(moto.endpoint())
        .credentials_provider(aws_sdk_kms::config::Credentials::new("admin", "admin", None, None, "test"))
        .build();
    let made = aws_sdk_kms::Client::from_conf(config).create_key().send().await.unwrap();
    made.key_metadata.unwrap().key_id
}

#[tokio::test(flavor = "multi_thread")]
async fn with_moto_a_key_comes_back_from_kms_under_the_same_key_and_context_alone() {
    let moto = tokio::task::spawn_blocking(Moto::start).await.unwrap().unwrap();
    let admin = AccessKey { id: "admin".into(), secret: "hush".into(), session_token: None };
    let options = StoreOptions {
        endpoint: Some(moto.endpoint()),
        region: Some("us-east-1".into()),
        key: Some(admin),
        ..StoreOptions::default()
    };
    let (id, secret) = (key(&moto).await, [7; 32]);
    let wrapped = wrap(&options, &id, &secret, CONTEXT).await.unwrap();
    assert!(!wrapped.windows(32).any(|part| part == secret));
    assert_eq!(unwrap(&options, &id, &wrapped, CONTEXT).await.unwrap(), secret);

    let other = unwrap(&options, &id, &wrapped, &CONTEXT[..1]).await.unwrap_err();
    assert_eq!(other.code(), Code::Encryption, "{other:?}");
    let mut changed = wrapped.clone();
    *changed.last_mut().unwrap() ^= 1;
    let changed = unwrap(&options, &id, &changed, CONTEXT).await.unwrap_err();
    let missing = wrap(&options, "11111111-2222-3333-4444-555555555555", &secret, CONTEXT).await.unwrap_err();
    for error in [&changed, &missing] {
        assert_eq!(error.code(), Code::Encryption, "{error:?}");
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
    let long = wrap(&options, &id, &[0; PLAINTEXT_BYTES_MAX + 1], CONTEXT).await.unwrap_err();
    assert_eq!(long.code(), Code::Usage);
}
