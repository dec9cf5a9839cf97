//! Clients.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use sandbox::{AccessKey, Sandbox, TemporaryKey};

pub(crate) fn client(endpoint: &str, region: &str, key: &str, secret: &str) -> Client {
    Client::from_conf(config(endpoint, region, Credentials::new(key, secret, None, None, "test")).build())
}

fn config(endpoint: &str, region: &str, credentials: Credentials) -> Builder {
    aws_sdk_s3::Config::builder()
        .behavior_version_latest()
        .region(Region::new(region.to_owned()))
        .endpoint_url(endpoint)
        .credentials_provider(credentials)
        .retry_config(RetryConfig::disabled())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .force_path_style(true)
}

/// The owner as the SDK is by default: a checksum goes with every body.
pub(crate) fn summing_owner(sandbox: &Sandbox) -> Client {
    let key = sandbox.owner();
    let credentials = Credentials::new(&key.id, &key.secret, None, None, "test");
    let config = config(&sandbox.endpoint(), sandbox.region(), credentials);
    Client::from_conf(config.request_checksum_calculation(RequestChecksumCalculation::WhenSupported).build())
}

/// A client with the key of a role's session.
pub(crate) fn session_client(sandbox: &Sandbox, key: &TemporaryKey) -> Client {
    let credentials = Credentials::new(&key.id, &key.secret, Some(key.session_token.clone()), None, "test");
    Client::from_conf(config(&sandbox.endpoint(), sandbox.region(), credentials).build())
}

/// A client without a key.
pub(crate) fn anonymous(sandbox: &Sandbox) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version_latest()
        .region(Region::new(sandbox.region().to_owned()))
        .endpoint_url(sandbox.endpoint())
        .allow_no_auth()
        .retry_config(RetryConfig::disabled())
        .force_path_style(true);
    Client::from_conf(config.build())
}

/// A client that comes over TLS and trusts the sandbox's certificate, or only those of the system.
pub(crate) fn tls_client(sandbox: &Sandbox, key: &AccessKey, trusts: bool) -> Client {
    let trusted = match trusts {
        true => TrustStore::empty().with_pem_certificate(sandbox.certificate_pem()),
        false => TrustStore::default(),
    };
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(TlsContext::builder().with_trust_store(trusted).build().unwrap())
        .build_https();
    let credentials = Credentials::new(&key.id, &key.secret, None, None, "test");
    let config = config(&sandbox.tls_endpoint(), sandbox.region(), credentials);
    Client::from_conf(config.http_client(http).build())
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
