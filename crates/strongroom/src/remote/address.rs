//! Where a service is.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;
use strongroom_engine::{Code, Error, Result};

/// The address of a service, such as `https://backups.example.com`. It has no user, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address(Url);

impl Address {
    /// Reads an address. Without TLS it must lead to this machine, unless that was `insecure`ly allowed.
    pub(crate) fn parse(text: &str, insecure: bool) -> Result<Self> {
        let wrong = |why: &str| {
            // The text itself may hold a password.
            Error::new(Code::Usage, format!("the address of the service {why}"))
                .help("Write it as https://backups.example.com, or http://127.0.0.1:8270 on this machine.")
        };
        let mut url = Url::parse(text).map_err(|_| wrong("is not a URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("holds a user or a password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("has a query or a fragment"));
        }
        match url.scheme() {
            "https" => {}
            "http" if insecure || is_loopback(&url) => {}
            "http" => {
                return Err(Error::new(
                    Code::Usage,
                    "the address of the service is http, and not on this machine",
                )
                .help(
                    "Use https: over http anybody on the way can read the token. --insecure-http allows it.",
                ));
            }
            _ => return Err(wrong("is neither https nor http")),
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The URL of a path below it, which begins with a slash.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.to_string().trim_end_matches('/'))
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.0.scheme() == "http"
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_in_one_way() {
        for (given, kept) in [
            ("https://backups.example.com", "https://backups.example.com"),
            ("HTTPS://Backups.Example.com:443/", "https://backups.example.com"),
            ("http://127.0.0.1:8270/", "http://127.0.0.1:8270"),
            ("http://[::1]:8270", "http://[::1]:8270"),
            ("https://example.com/strongroom/", "https://example.com/strongroom"),
        ] {
            assert_eq!(Address::parse(given, false).unwrap().to_string(), kept);
        }
        let address = Address::parse("https://example.com/strongroom/", false).unwrap();
        assert_eq!(address.join("/api/v1/me"), "https://example.com/strongroom/api/v1/me");
    }

    #[test]
    fn plain_http_leads_to_this_machine_only() {
        for elsewhere in ["http://backups.example.com", "http://127.0.0.1.example.com", "http://10.0.0.1"] {
            assert!(
                Address::parse(elsewhere, false).unwrap_err().message().contains("is http"),
                "{elsewhere}"
            );
            assert!(Address::parse(elsewhere, true).is_ok(), "{elsewhere}");
        }
    }

    #[test]
    fn what_an_address_must_not_hold_is_refused_and_not_repeated() {
        for wrong in ["backups", "ftp://h", "https://u:CANARY@h", "https://h/?x=CANARY", "https://h/#CANARY"]
        {
            let error = Address::parse(wrong, true).unwrap_err();
            assert!(!error.message().contains("CANARY"), "{error}");
        }
    }
}
