//! Clients: endpoint, credentials, profile and region as every AWS tool reads them.

use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Credentials, RequestChecksumCalculation, ResponseChecksumValidation};

use super::StoreOptions;
use super::retry;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// From the begin of a request to the first byte of its answer: 32 MiB go up in that time at 110 KiB a second.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// Where a bucket is looked for when nothing says where it is; S3's answer names the right region.
pub(super) const FIRST_REGION: &str = "us-east-1";

/// What all services share.
pub(super) async fn shared(options: &StoreOptions, region: Option<Region>) -> SdkConfig {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).read_timeout(ANSWER_TIMEOUT).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts);
    if let Some(retry) = retry::config() {
        loader = loader.retry_config(retry);
    }
    if let Some(region) = region.or(options.region.clone().map(Region::new)) {
        loader = loader.region(region);
    }
    if let Some(endpoint) = &options.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(key) = options.key.clone() {
        let token = key.session_token;
        loader = loader.credentials_provider(Credentials::new(key.id, key.secret, token, None, "strongroom"));
    }
    if let Some(profile) = &options.profile {
        let credentials = ProfileFileCredentialsProvider::builder().profile_name(profile).build();
        loader = loader.profile_name(profile).credentials_provider(credentials);
    }
    let shared = loader.load().await;
    if shared.region().is_some() {
        return shared;
    }
    shared.into_builder().region(Region::from_static(FIRST_REGION)).build()
}

/// A server that is not Amazon's is addressed by path (`https://server/bucket/key`), which needs no DNS entry for
/// each bucket.
pub(super) fn s3(options: &StoreOptions, shared: &SdkConfig) -> Client {
    let config = aws_sdk_s3::config::Builder::from(shared)
        .force_path_style(endpoint(options, shared).is_some())
        .retry_classifier(retry::Conflicts)
        // Each PUT carries the SHA-256 of its body; what the SDK would add trips some servers.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    Client::from_conf(config.build())
}

/// The URL of a server that is not Amazon's.
pub(super) fn endpoint(options: &StoreOptions, shared: &SdkConfig) -> Option<String> {
    let named = options.endpoint.clone().or_else(|| std::env::var("AWS_ENDPOINT_URL_S3").ok());
    let endpoint = named.or(shared.endpoint_url().map(str::to_owned));
    endpoint.filter(|url| !url.contains(".amazonaws.com"))
}
