//! Clients.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use sandbox::Sandbox;

pub(crate) fn client(endpoint: &str, region: &str, key: &str, secret: &str) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version_latest()
        .region(Region::new(region.to_owned()))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new(key, secret, None, None, "test"))
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled())
        .request_checksum_calculation(aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(aws_sdk_s3::config::ResponseChecksumValidation::WhenRequired)
        .force_path_style(true)
        .build();
    Client::from_conf(config)
}

/// The owner of the sandbox, with a bucket `box`.
pub(crate) async fn owner(sandbox: &Sandbox) -> Client {
    let key = sandbox.owner();
    let client = client(&sandbox.endpoint(), sandbox.region(), &key.id, &key.secret);
    client.create_bucket().bucket("box").send().await.unwrap();
    client
}

/// `allowed`, or the error's code; an answer without one has its HTTP status.
pub(crate) fn outcome<T, E: ProvideErrorMetadata>(answer: Result<T, SdkError<E>>) -> String {
    match answer {
        Ok(_) => "allowed".into(),
        Err(error) => match (error.code(), error.raw_response()) {
            (Some(code), _) => code.to_owned(),
            (None, Some(answer)) => format!("HTTP {}", answer.status().as_u16()),
            (None, None) => "no answer".into(),
        },
    }
}
