//! Requests that another site made a browser send. The browser adds the session's cookie by itself, so a request with a
//! cookie that changes something must come from a page of the service.

use http::header::ORIGIN;
use http::{HeaderMap, Method};

use super::Client;
use crate::config::Config;
use crate::control::{Error, Result, ServiceCode};

const FETCH_SITE: &str = "sec-fetch-site";

/// What a browser says about where a request comes from.
#[derive(Debug, PartialEq, Eq)]
enum From {
    /// A page of the service, or the person's own hand.
    Here,
    /// A page of another site.
    Elsewhere,
    /// It says nothing.
    Unknown,
}

/// Refuses a request with a session that changes something, unless it comes from a page of the service.
pub(super) fn check(method: &Method, headers: &HeaderMap, client: &Client, config: &Config) -> Result<()> {
    if method.is_safe() || sent_from(headers, client, config) == From::Here {
        return Ok(());
    }
    Err(cross_site())
}

/// The same for a request without a session, such as a sign-in: clients that are no browser say nothing, and may.
pub(super) fn check_anonymous(headers: &HeaderMap, client: &Client, config: &Config) -> Result<()> {
    if sent_from(headers, client, config) == From::Elsewhere { Err(cross_site()) } else { Ok(()) }
}

fn cross_site() -> Error {
    Error::new(ServiceCode::CrossSite, "the request does not come from a page of this service")
        .help("A program should use an API token. Behind a proxy, name it in `trusted_proxies`, or set `public_url`.")
}

fn sent_from(headers: &HeaderMap, client: &Client, config: &Config) -> From {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text(FETCH_SITE), text(ORIGIN.as_str())) {
        (Some("same-origin" | "none"), _) => From::Here,
        (Some(_), _) => From::Elsewhere,
        (None, Some(origin)) if is_ours(origin, client, config) => From::Here,
        (None, Some(_)) => From::Elsewhere,
        (None, None) => From::Unknown,
    }
}

fn is_ours(origin: &str, client: &Client, config: &Config) -> bool {
    if let Some(ours) = &config.public_url {
        return origin == ours.trim_end_matches('/');
    }
    let scheme = if client.https { "https" } else { "http" };
    client.host.as_ref().is_some_and(|host| origin == format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn from(headers: &[(&'static str, &'static str)]) -> From {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        let client = Client { address: None, https: true, host: Some("backups.example.com".into()) };
        sent_from(&map, &client, &Config::default())
    }

    #[test]
    fn pages_of_other_sites_are_told_from_our_own() {
        assert_eq!(from(&[(FETCH_SITE, "same-origin")]), From::Here);
        assert_eq!(
            from(&[(FETCH_SITE, "cross-site"), ("origin", "https://backups.example.com")]),
            From::Elsewhere
        );
        assert_eq!(from(&[(FETCH_SITE, "same-site")]), From::Elsewhere);
        assert_eq!(from(&[("origin", "https://backups.example.com")]), From::Here);
        for origin in ["http://backups.example.com", "https://backups.example.com.evil.example", "null"] {
            let mut map = HeaderMap::new();
            map.insert(ORIGIN, HeaderValue::from_static(origin));
            let client = Client { address: None, https: true, host: Some("backups.example.com".into()) };
            assert_eq!(sent_from(&map, &client, &Config::default()), From::Elsewhere, "{origin}");
        }
        assert_eq!(from(&[]), From::Unknown);
    }
}
