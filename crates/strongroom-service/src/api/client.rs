//! Who sent a request, as far as the connection says.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::header::HOST;
use http::{HeaderMap, Request};

use crate::config::Config;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";
const FORWARDED_HOST: &str = "x-forwarded-host";

/// The other end of a request. What proxies say counts only if they are trusted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its address; none: the connection has none.
    pub address: Option<IpAddr>,
    /// Whether it speaks TLS.
    pub https: bool,
    /// The name that it asked for.
    pub host: Option<String>,
}

impl Client {
    /// The client of a request.
    pub(super) fn of<B>(request: &Request<B>, config: &Config) -> Self {
        let peer =
            request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical());
        let uri_host = request.uri().authority().map(http::uri::Authority::as_str);
        Self::seen(peer, request.headers(), uri_host, config)
    }

    fn seen(peer: Option<IpAddr>, headers: &HeaderMap, uri_host: Option<&str>, config: &Config) -> Self {
        let trusted = peer.is_some_and(|peer| is_trusted(peer, config));
        let forwarded = |name| text(headers, name).filter(|_| trusted);
        Self {
            address: if trusted { through_proxies(peer, headers, config) } else { peer },
            https: config.has_tls()
                || forwarded(FORWARDED_PROTO).is_some_and(|proto| proto.eq_ignore_ascii_case("https")),
            host: forwarded(FORWARDED_HOST)
                .or_else(|| text(headers, HOST.as_str()))
                .or(uri_host)
                .map(Into::into),
        }
    }
}

/// The last address of the list that is no trusted proxy: what stands before it anybody can have written.
fn through_proxies(peer: Option<IpAddr>, headers: &HeaderMap, config: &Config) -> Option<IpAddr> {
    let lines = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    let mut nearest = peer;
    for hop in hops.iter().rev() {
        let Ok(address) = hop.parse::<IpAddr>() else { break };
        nearest = Some(address.to_canonical());
        if !is_trusted(address.to_canonical(), config) {
            break;
        }
    }
    nearest
}

fn is_trusted(address: IpAddr, config: &Config) -> bool {
    config.trusted_proxies.iter().any(|network| network.contains(address))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn seen(peer: &str, forwarded: &[&'static str]) -> Option<String> {
        let config = Config { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Config::default() };
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
        }
        let client = Client::seen(Some(peer.parse().unwrap()), &headers, None, &config);
        client.address.map(|address| address.to_string())
    }

    #[test]
    fn only_trusted_proxies_say_who_the_client_is() {
        assert_eq!(seen("192.0.2.1", &["203.0.113.5"]).unwrap(), "192.0.2.1");
        assert_eq!(seen("10.0.0.1", &["203.0.113.5"]).unwrap(), "203.0.113.5");
        assert_eq!(seen("10.0.0.1", &["198.51.100.9, 203.0.113.5, 10.0.0.2"]).unwrap(), "203.0.113.5");
        assert_eq!(seen("10.0.0.1", &["198.51.100.9", "203.0.113.5"]).unwrap(), "203.0.113.5");
        assert_eq!(seen("10.0.0.1", &["nonsense"]).unwrap(), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", &[]).unwrap(), "10.0.0.1");
    }

    #[test]
    fn the_scheme_is_believed_of_trusted_proxies_only() {
        let config = Config { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Config::default() };
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
        let https = |peer: &str| Client::seen(Some(peer.parse().unwrap()), &headers, None, &config).https;
        assert!(https("10.0.0.1"));
        assert!(!https("192.0.2.1"));
    }
}
