//! Where requests of the service may lead: people name endpoints and webhooks, and a name may lead
//! to what only this machine can reach, such as a cloud's metadata with its credentials.
//!
//! The check of addresses is pure. At the edge a name is resolved, each of its addresses is checked, and the request
//! goes to the addresses that were checked, since a name may lead elsewhere a moment later.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use strongroom_engine::{Code, Error, Result};

use crate::config::Egress;

/// What a request is for: backups may go to a server at home, and what others can trigger may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The endpoint of a location, or the identity provider that the configuration names.
    Storage,
    /// A webhook.
    Web,
}

/// Kinds of addresses that are not the open internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Public,
    Private,
    Loopback,
    /// Link-local, and metadata of clouds: nothing there is meant for a backup.
    Local,
    /// No single machine: multicast, broadcast, unspecified, reserved.
    Nobody,
}

/// Addresses of metadata services that are not link-local: AWS over IPv6; Alibaba Cloud; Oracle's old one (each from the
/// provider's documentation of its instance metadata).
const METADATA: [IpAddr; 3] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// The IPv4 address that an IPv6 address leads to: mapped (`::ffff:a.b.c.d`), compatible (`::a.b.c.d`), NAT64 (RFC 6052,
/// RFC 8215) and 6to4 (RFC 3056).
fn inner(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = address.segments();
    let of = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match [a, b, c, d, e, f] {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] | [0x64, 0xff9b, 1, _, _, _] => of(g, h),
        [0, 0, 0, 0, 0, 0] if g != 0 => of(g, h),
        [0x2002, high, low, ..] => of(high, low),
        _ => None,
    }
}

fn kind(address: IpAddr) -> Kind {
    if METADATA.contains(&address) {
        return Kind::Local;
    }
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => inner(address).map_or_else(|| kind_v6(address), |inner| kind(inner.into())),
    }
}

fn kind_v4(address: Ipv4Addr) -> Kind {
    match address.octets() {
        [169, 254, ..] => Kind::Local,
        [127, ..] => Kind::Loopback,
        [10, ..] | [192, 168, ..] | [172, 16..=31, ..] | [100, 64..=127, ..] => Kind::Private,
        [0 | 224..=255, ..] => Kind::Nobody,
        _ => Kind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Kind::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xff00..=0xffff, ..] => Kind::Nobody,
        // Link-local, and the site-local addresses of old.
        [0xfe80..=0xfeff, ..] => Kind::Local,
        [0xfc00..=0xfdff, ..] => Kind::Private,
        _ => Kind::Public,
    }
}

/// Why an address is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    address: IpAddr,
    why: &'static str,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the address {} {}", self.address, self.why)
    }
}

impl std::error::Error for Refusal {}

impl Egress {
    /// Whether requests may go to this address.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, address: IpAddr, purpose: Purpose) -> Result<(), Refusal> {
        let refuse = |why| Err(Refusal { address, why });
        let plain = match address {
            IpAddr::V6(v6) => inner(v6).map_or(address, IpAddr::V4),
            IpAddr::V4(_) => address,
        };
        let names = |networks: &[crate::config::Network]| {
            networks.iter().any(|network| network.contains(plain) || network.contains(address))
        };
        if names(&self.deny) {
            return refuse("is in `egress.deny`");
        }
        if names(&self.allow) {
            return Ok(());
        }
        let storage = purpose == Purpose::Storage;
        match kind(address) {
            Kind::Public => Ok(()),
            Kind::Private if storage && self.private => Ok(()),
            Kind::Loopback if storage && self.loopback => Ok(()),
            Kind::Private => refuse("is in a private network"),
            Kind::Loopback => refuse("is this machine"),
            Kind::Local => refuse("is link-local or serves a cloud's metadata"),
            Kind::Nobody => refuse("belongs to no machine"),
        }
    }

    /// Whether a URL may be asked, as far as its text says: only a name must still be resolved. Every spelling of an
    /// address counts (`0x7f.1`, `2130706433`, `[::ffff:7f00:1]`).
    ///
    /// # Errors
    /// `SR-USAGE`: it is no URL of HTTP, or leads where requests may not go.
    pub fn check_url(&self, text: &str, purpose: Purpose) -> Result<Url> {
        let wrong = |why: &str| {
            Error::new(Code::Usage, format!("the address cannot be used: {why}"))
                .help("Write it as `https://` followed by a host and perhaps a port.")
        };
        // The text is not quoted: somebody may have written a password into it.
        let url = Url::parse(text).map_err(|_| wrong("this is no URL"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(wrong("it begins neither with `https://` nor with `http://`"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("it holds a user name or a password"));
        }
        match address(&url) {
            Some(address) => self.check(address, purpose).map_err(|refusal| refused(&refusal))?,
            None if url.host_str().is_none_or(str::is_empty) => return Err(wrong("it names no host")),
            None => {}
        }
        Ok(url)
    }

    /// The addresses that a URL leads to, each of which may be asked.
    ///
    /// # Errors
    /// As [`Egress::check_url`]; `SR-STORE-ADDRESS` if the name leads nowhere.
    pub async fn resolve(&self, text: &str, purpose: Purpose) -> Result<Vec<SocketAddr>> {
        let url = self.check_url(text, purpose)?;
        let port = url.port_or_known_default().unwrap_or(443);
        if let Some(address) = address(&url) {
            return Ok(vec![(address, port).into()]);
        }
        let host = url.host_str().unwrap_or_default();
        let found = tokio::net::lookup_host((host, port)).await.map_err(|e| {
            Error::new(Code::StoreAddress, format!("the host `{host}` cannot be found")).caused_by(e)
        })?;
        let found: Vec<_> = found.collect();
        let checked = found.iter().try_for_each(|found| self.check(found.ip(), purpose));
        checked.map_err(|refusal| refused(&refusal).context(format_args!("the host `{host}`")))?;
        Ok(found)
    }
}

fn refused(refusal: &Refusal) -> Error {
    Error::new(Code::Usage, format!("requests may not go there: {refusal}"))
        .help("Name its network in `egress.allow` of the configuration if the service is to go there.")
}

/// The address that a URL names, however it is spelled. The parser of URLs knows every spelling.
fn address(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// Resolves the names of a client's requests to addresses that may be asked, at each connection anew.
#[derive(Debug, Clone)]
pub struct Resolver {
    egress: Arc<Egress>,
    purpose: Purpose,
}

impl Resolver {
    /// A resolver for requests of this kind.
    #[must_use]
    pub fn new(egress: Arc<Egress>, purpose: Purpose) -> Self {
        Self { egress, purpose }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { egress, purpose } = self.clone();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            for address in &found {
                egress.check(address.ip(), purpose)?;
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused_address(text: &str, purpose: Purpose) -> bool {
        Egress::default().check(text.parse().unwrap(), purpose).is_err()
    }

    #[test]
    fn link_local_and_metadata_addresses_are_refused_in_every_form() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "fec0::1",
            "fd00:ec2::254",
            "100.100.100.200",
            "192.0.0.192",
            "0.0.0.0",
            "::",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
        ] {
            assert!(refused_address(address, Purpose::Storage), "{address}");
            assert!(refused_address(address, Purpose::Web), "{address}");
        }
    }

    #[test]
    fn a_server_at_home_may_hold_backups_and_take_no_webhooks() {
        for address in [
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "fd12::1",
            "64:ff9b::a00:1",
        ] {
            assert!(!refused_address(address, Purpose::Storage), "{address}");
            assert!(refused_address(address, Purpose::Web), "{address}");
        }
        for address in ["52.216.0.1", "172.32.0.1", "2a05:d018::1", "64:ff9b::3400:1"] {
            assert!(!refused_address(address, Purpose::Web), "{address}");
        }
    }

    #[test]
    fn what_the_configuration_says_goes_before() {
        let allow = vec!["169.254.0.0/16".parse().unwrap(), "fd12::/16".parse().unwrap()];
        let deny = vec!["52.0.0.0/8".parse().unwrap()];
        let egress = Egress { loopback: false, private: false, allow, deny };
        let allowed = |text: &str| egress.check(text.parse().unwrap(), Purpose::Storage).is_ok();
        assert!(allowed("169.254.169.254") && allowed("::ffff:169.254.1.1") && allowed("fd12::1"));
        assert!(allowed("8.8.8.8") && !allowed("52.1.1.1") && !allowed("::ffff:52.1.1.1"));
        assert!(!allowed("127.0.0.1") && !allowed("10.0.0.1") && !allowed("fd13::1"));
    }

    #[test]
    fn no_spelling_of_an_address_gets_by() {
        for host in [
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "0251.0376.0251.0376",
            "169.254.43518",
            "[::ffff:a9fe:a9fe]",
            "[::ffff:169.254.169.254]",
            "169.254.169.254.",
            "１６９.254.169.254",
        ] {
            let url = format!("http://{host}/latest/meta-data");
            let error = Egress::default().check_url(&url, Purpose::Storage).unwrap_err();
            assert!(error.message().contains("metadata"), "{host}: {error}");
        }
        for wrong in ["ftp://a.example", "file:///etc/passwd", "https://u:CANARY@a.example", "CANARY", ""] {
            let error = Egress::default().check_url(wrong, Purpose::Storage).unwrap_err();
            assert!(!format!("{error:?}").contains("CANARY"), "{error:?}");
        }
        assert!(Egress::default().check_url("https://s3.eu-west-1.amazonaws.com", Purpose::Web).is_ok());
    }

    #[tokio::test]
    async fn a_name_is_refused_for_the_address_it_leads_to() {
        let egress = Egress::default();
        let home = egress.resolve("http://localhost:9000", Purpose::Storage).await.unwrap();
        assert!(home.iter().all(|found| found.ip().is_loopback() && found.port() == 9000));
        let refused = egress.resolve("http://localhost:9000", Purpose::Web).await.unwrap_err();
        assert!(
            refused.message().contains("the host `localhost`") && refused.message().contains("this machine")
        );
        let nowhere = egress.resolve("http://nowhere.invalid", Purpose::Storage).await.unwrap_err();
        assert_eq!(nowhere.code(), Code::StoreAddress);
    }
}
