//! Clients: endpoint, credentials, profile and region as every AWS tool reads them.

use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    Credentials, RequestChecksumCalculation, ResponseChecksumValidation, SharedCredentialsProvider,
};

use super::{StoreOptions, environment, retry, trust};
use crate::error::{Code, Error, Result};
use crate::role::{AssumedRole, SESSION_NAME};
use crate::waits::Wait;

/// What the SDK itself allows on top of each wait: where a request is watched, what watches it speaks first.
const SLACK: Duration = Duration::from_secs(2);

/// How long before the end of a role's session the next one begins.
const RENEWED_BEFORE: Duration = Duration::from_secs(60);

/// What the names of Amazon's servers hold.
const AMAZONS: &str = ".amazonaws.com";

/// What all services share.
///
/// # Errors
/// [`Code::Usage`](crate::error::Code::Usage) when the CA bundle that is named cannot be used.
pub(super) async fn shared(options: &StoreOptions, region: Option<Region>) -> Result<SdkConfig> {
    let longest = |wait| options.waits.longest(wait) + SLACK;
    // These requests are small; all tries of one together take as long as two that nobody answers.
    let answered = longest(Wait::Connect) + longest(Wait::FirstByte);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(longest(Wait::Connect))
        .read_timeout(answered)
        .operation_timeout(2 * answered)
        .build();
    let stalls = StalledStreamProtectionConfig::enabled().grace_period(longest(Wait::NextByte)).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts)
        .stalled_stream_protection(stalls);
    if let Some(trusting) = trust::client(options).await? {
        loader = loader.http_client(trusting);
    }
    if let Some(retry) = retry::config() {
        loader = loader.retry_config(retry);
    }
    loader = match region.or(options.region.clone().map(Region::new)) {
        Some(region) => loader.region(region),
        None => environment::with_region(loader, options).await,
    };
    if let Some(key) = options.key.clone() {
        let token = key.session_token;
        loader = loader.credentials_provider(Credentials::new(key.id, key.secret, token, None, "strongroom"));
    }
    if let Some(profile) = environment::profile(options) {
        loader = loader.profile_name(profile);
    }
    if let Some(profile) = &options.profile {
        let credentials = ProfileFileCredentialsProvider::builder().profile_name(profile).build();
        loader = loader.credentials_provider(credentials);
    }
    if let Some(endpoint) = &options.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    let shared = loader.load().await;
    let region = shared.region().cloned().unwrap_or(Region::from_static(environment::FIRST_REGION));
    let mut shared = shared.into_builder().region(region);
    if options.endpoint.is_none() && environment::is_blank("AWS_ENDPOINT_URL") {
        shared.set_endpoint_url(environment::of_profile(options, "endpoint_url").await);
    }
    let shared = shared.build();
    match &options.role {
        // On the heap: every request of a proof holds this future, and most of them need no role.
        Some(role) => Box::pin(as_role(role, options, shared, 2 * answered)).await,
        None => Ok(shared),
    }
}

/// Takes a role on with the credentials that were found. Its session lasts an hour, or what the role allows if that is
/// less, and is renewed before it ends.
async fn as_role(
    role: &AssumedRole,
    options: &StoreOptions,
    shared: SdkConfig,
    longest: Duration,
) -> Result<SdkConfig> {
    if !role.is_named() {
        return Err(Error::new(Code::Usage, format!("`{}` is not the ARN of a role", role.arn))
            .help("Write it as IAM shows it, such as arn:aws:iam::111122223333:role/backups."));
    }
    let mut asking = shared.clone().into_builder();
    if let Some(endpoint) = &options.endpoint {
        // Amazon's S3 knows no roles; other servers have both behind one address.
        let same = Some(endpoint.clone()).filter(|url| !url.contains(AMAZONS));
        asking.set_endpoint_url(environment::set("AWS_ENDPOINT_URL_STS").or(same));
    }
    let mut provider =
        AssumeRoleProvider::builder(&role.arn).session_name(SESSION_NAME).configure(&asking.build());
    if let Some(id) = &role.external_id {
        provider = provider.external_id(id);
    }
    let cache = IdentityCache::lazy().load_timeout(longest).buffer_time(RENEWED_BEFORE).build();
    let provider = SharedCredentialsProvider::new(provider.build().await);
    Ok(shared.into_builder().credentials_provider(provider).identity_cache(cache).build())
}

/// A server that is not Amazon's is addressed by path (`https://server/bucket/key`), which needs no DNS entry for
/// each bucket.
pub(super) fn s3(options: &StoreOptions, shared: &SdkConfig) -> Client {
    let endpoint = endpoint(options, shared);
    let mut config = aws_sdk_s3::config::Builder::from(shared)
        .force_path_style(endpoint.is_some())
        .retry_classifier(retry::Conflicts)
        // Each PUT carries the checksum of its body that was chosen; what the SDK would add trips some servers.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if endpoint.is_some() || environment::is_blank("AWS_ENDPOINT_URL_S3") {
        config.set_endpoint_url(endpoint.or(shared.endpoint_url().map(str::to_owned)));
    }
    Client::from_conf(config.build())
}

/// The same for requests that are watched and sent again by [`Requests`](super::request::Requests), and not by the SDK;
/// at another URL of the server where one is given.
pub(super) async fn watched(options: &StoreOptions, to: Option<Place>) -> Result<Client> {
    let (region, url) = match to {
        Some(Place::Region(region)) => (Some(Region::new(region)), None),
        Some(Place::Url(url)) => (None, Some(url)),
        None => (None, None),
    };
    let shared = shared(options, region).await?;
    // The SDK would count the time that a body takes to go as one without an answer.
    let timeouts =
        TimeoutConfig::builder().connect_timeout(options.waits.longest(Wait::Connect) + SLACK).build();
    let shared = shared.into_builder().timeout_config(timeouts).build();
    let mut config = s3(options, &shared)
        .config()
        .to_builder()
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if url.is_some() {
        config.set_endpoint_url(url);
    }
    Ok(Client::from_conf(config.build()))
}

/// Where else a bucket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Region(String),
    /// The scheme and host of a server that belongs to the same service.
    Url(String),
}

/// Where a redirection leads, if that is the same service: the server that is asked, or one below its name; for
/// Amazon's, one of its regions. What is signed goes nowhere else, and never over a weaker connection.
pub(super) async fn redirected(options: &StoreOptions, to: &str) -> Result<Option<Place>> {
    let shared = shared(options, None).await?;
    Ok(match endpoint(options, &shared) {
        Some(endpoint) => below(&endpoint, to).map(Place::Url),
        None => region_of(to).map(Place::Region),
    })
}

/// The scheme and host of `to`, where it is the host of `endpoint` or one below it.
fn below(endpoint: &str, to: &str) -> Option<String> {
    let (scheme, host, path) = parts(endpoint)?;
    let (new_scheme, authority, _) = parts(to)?;
    let name = |authority: &str| authority.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let (own, new) = (name(host), name(authority));
    let same = new == own || new.ends_with(&format!(".{own}"));
    let as_safe = new_scheme == scheme || new_scheme == "https";
    let clean = !authority.contains(['@', '[', '\\', '%']) && !own.is_empty();
    (same && as_safe && clean).then(|| format!("{new_scheme}://{authority}{path}"))
}

/// Scheme, authority and path of a URL.
fn parts(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let path = rest[end..].split(['?', '#']).next().unwrap_or_default();
    matches!(scheme, "http" | "https").then_some((scheme, &rest[..end], path))
}

/// The region in the name of one of Amazon's servers, such as `bucket.s3.eu-west-1.amazonaws.com` or
/// `s3-eu-west-1.amazonaws.com` (Amazon S3 User Guide, "Making requests using the REST API").
fn region_of(url: &str) -> Option<String> {
    let (scheme, host, _) = parts(url)?;
    let host = host.strip_suffix(".cn").unwrap_or(host).strip_suffix(".amazonaws.com")?;
    let last = host.rsplit('.').next()?;
    let region = match last.strip_prefix("s3-") {
        Some(region) => region,
        None => host.strip_suffix(last)?.ends_with("s3.").then_some(last)?,
    };
    let plain = region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    (scheme == "https" && plain && region.contains('-')).then(|| region.to_owned())
}

/// The URL of a server that is not Amazon's. A path ends with a slash: the SDK puts the bucket right behind it.
pub(super) fn endpoint(options: &StoreOptions, shared: &SdkConfig) -> Option<String> {
    let named = options.endpoint.clone().or_else(|| environment::set("AWS_ENDPOINT_URL_S3"));
    let endpoint = named.or(shared.endpoint_url().map(str::to_owned));
    let endpoint = endpoint.filter(|url| !url.contains(AMAZONS))?;
    let has_path = parts(&endpoint).is_some_and(|(_, _, path)| !path.is_empty() && !path.ends_with('/'));
    Some(if has_path { format!("{endpoint}/") } else { endpoint })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirection_leads_to_no_other_service() {
        let endpoint = "https://s3.example.com:9000/base";
        for (to, followed) in [
            ("https://s3.example.com:9000/b/k", Some("https://s3.example.com:9000/base")),
            ("https://b.s3.example.com/k?x=1", Some("https://b.s3.example.com/base")),
            ("http://s3.example.com/b/k", None),
            ("https://evil.com/b/k", None),
            ("https://evils3.example.com/b/k", None),
            ("https://s3.example.com@evil.com/b/k", None),
            ("https://s3.example.com:x@evil.com/b/k", None),
            ("https://s3.example.com.evil.com/b/k", None),
            ("/b/k", None),
            ("", None),
        ] {
            assert_eq!(below(endpoint, to).as_deref(), followed, "{to}");
        }
    }

    #[test]
    fn amazons_servers_name_their_region() {
        for (to, region) in [
            ("https://bucket.s3.eu-west-1.amazonaws.com/k", Some("eu-west-1")),
            ("https://bucket.s3-us-west-2.amazonaws.com/k?a", Some("us-west-2")),
            ("https://s3.cn-north-1.amazonaws.com.cn/b/k", Some("cn-north-1")),
            ("http://bucket.s3.eu-west-1.amazonaws.com/k", None),
            ("https://bucket.s3.amazonaws.com/k", None),
            ("https://ec2.eu-west-1.amazonaws.com/k", None),
            ("https://s3.eu-west-1.amazonaws.com.evil.com/k", None),
            ("https://evil.com/s3.eu-west-1.amazonaws.com", None),
        ] {
            assert_eq!(region_of(to).as_deref(), region, "{to}");
        }
    }
}
