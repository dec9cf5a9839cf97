//! What of a configuration cannot go together. Pure: what the disk holds is looked at where it is used.

use super::{Config, Oidc};

/// Something that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key.
    pub key: &'static str,
    /// What is wrong.
    pub text: String,
    /// What to do.
    pub help: String,
}

fn problem(key: &'static str, text: impl Into<String>, help: impl Into<String>) -> Problem {
    Problem { key, text: text.into(), help: help.into() }
}

impl Config {
    /// Everything that is wrong in itself.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        [self.exposed(), self.half_a_certificate(), self.wrong_public_url()]
            .into_iter()
            .flatten()
            .chain(self.two_places())
            .chain(self.oidc.problems(self.public_url.is_some()))
            .chain(self.session_problem())
            .collect()
    }

    /// Whether the service itself speaks TLS.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls.certificate.is_some() && self.tls.key.is_some()
    }

    fn exposed(&self) -> Option<Problem> {
        let kept = self.listen.ip().to_canonical().is_loopback()
            || self.has_tls()
            || !self.trusted_proxies.is_empty()
            || self.insecure;
        (!kept).then(|| {
            problem(
                "listen",
                format!("{} can be reached from other machines, and nothing encrypts the way", self.listen),
                "Give `tls.certificate` and `tls.key`, or name the proxies that do TLS in `trusted_proxies`, or set \
                 `insecure: true` for a network that you trust.",
            )
        })
    }

    fn half_a_certificate(&self) -> Option<Problem> {
        let help = "Give both `tls.certificate` and `tls.key`.";
        match (&self.tls.certificate, &self.tls.key) {
            (Some(_), None) => Some(problem("tls.key", "a certificate was given without its key", help)),
            (None, Some(_)) => {
                Some(problem("tls.certificate", "a key was given without its certificate", help))
            }
            _ => None,
        }
    }

    fn wrong_public_url(&self) -> Option<Problem> {
        let url = self.public_url.as_deref()?;
        let parsed = reqwest::Url::parse(url).ok().filter(|url| {
            let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.path() == "/" && plain
        });
        match parsed {
            Some(_) => None,
            None => Some(problem(
                "public_url",
                "this is not `https://` followed by a host and perhaps a port",
                "Write it as browsers show it, without a path: `https://backups.example.com`.",
            )),
        }
    }

    fn two_places(&self) -> impl Iterator<Item = Problem> {
        let keys = &self.master_key;
        let places = [keys.file.is_some(), keys.variable.is_some(), keys.kms_file.is_some()];
        let several = places.iter().filter(|given| **given).count() > 1;
        let several = several.then(|| {
            let help = "Keep one of `master_key.file`, `master_key.variable` and `master_key.kms_file`.";
            problem("master_key.file", "the master key is to come from several places", help)
        });
        let half = keys.kms_file.is_some() != keys.kms_key.is_some();
        let half = half.then(|| {
            let help = "Give both `master_key.kms_file` and `master_key.kms_key`.";
            problem("master_key.kms_key", "KMS decrypts a file with a key, and one of them is missing", help)
        });
        let both = self.state.url.is_some() && self.state.url_file.is_some();
        let state = both.then(|| {
            problem("state.url", "the state is given by `url` and by `url_file`", "Keep one of the two.")
        });
        several.into_iter().chain(half).chain(state)
    }

    fn session_problem(&self) -> Option<Problem> {
        (self.session.idle_hours > self.session.hours).then(|| {
            problem(
                "session.idle_hours",
                "an unused session would last longer than a used one",
                "Make `session.hours` at least as large.",
            )
        })
    }
}

impl Oidc {
    /// Whether people may sign in so.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.issuer.is_some() && self.client_id.is_some()
    }

    fn problems(&self, has_public_url: bool) -> Vec<Problem> {
        let mut found = Vec::new();
        match (&self.issuer, &self.client_id) {
            (None, None) => return found,
            (Some(_), None) => found.push(problem(
                "oidc.client_id",
                "an issuer was given, and no client id",
                "Give the id that the provider has for this service.",
            )),
            (None, Some(_)) => found.push(problem(
                "oidc.issuer",
                "a client id was given, and no issuer",
                "Give the provider's issuer URL.",
            )),
            (Some(_), Some(_)) => {}
        }
        if !has_public_url {
            found.push(problem(
                "public_url",
                "it is missing, and the identity provider sends people back to it",
                "Give it as browsers show it.",
            ));
        }
        if self.roles.is_empty() {
            found.push(problem(
                "oidc.roles",
                "no value of the claim gives a role, so nobody would get in",
                "Say which values give which role, such as `{strongroom-admins: admin}`.",
            ));
        }
        if self.client_secret.is_some() && self.client_secret_file.is_some() {
            found.push(problem(
                "oidc.client_secret",
                "the client's secret is given twice",
                "Keep `client_secret_file`.",
            ));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(change: impl FnOnce(&mut Config)) -> Vec<&'static str> {
        let mut config = Config::default();
        change(&mut config);
        config.problems().iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn other_addresses_than_loopback_want_something_that_encrypts() {
        assert!(keys(|_| {}).is_empty());
        assert!(keys(|c| c.listen = "[::1]:1".parse().unwrap()).is_empty());
        for open in ["0.0.0.0:1", "[::]:1", "192.168.0.1:1"] {
            let listen = |c: &mut Config| c.listen = open.parse().unwrap();
            assert_eq!(keys(listen), ["listen"]);
            assert!(keys(|c| (listen(c), c.insecure = true).1).is_empty());
            assert!(
                keys(|c| (listen(c), c.trusted_proxies = vec!["10.0.0.1".parse().unwrap()]).1).is_empty()
            );
            let half = |c: &mut Config| (listen(c), c.tls.key = Some("k".into())).1;
            assert_eq!(keys(half), ["listen", "tls.certificate"]);
            assert!(keys(|c| (half(c), c.tls.certificate = Some("c".into())).1).is_empty());
        }
    }

    #[test]
    fn a_public_url_is_an_origin() {
        for good in ["https://a.example", "http://localhost:8270", "https://a.example/"] {
            assert!(keys(|c| c.public_url = Some(good.into())).is_empty(), "{good}");
        }
        for bad in [
            "a.example",
            "ftp://a.example",
            "https://a.example/x",
            "https://u@a.example",
            "https://a.example/?x",
        ] {
            assert_eq!(keys(|c| c.public_url = Some(bad.into())), ["public_url"], "{bad}");
        }
    }

    #[test]
    fn a_sign_in_through_a_provider_wants_all_that_it_needs() {
        let issuer = |c: &mut Config| c.oidc.issuer = Some("https://idp.example".into());
        assert_eq!(keys(issuer), ["oidc.client_id", "public_url", "oidc.roles"]);
        let whole = |c: &mut Config| {
            issuer(c);
            c.oidc.client_id = Some("strongroom".into());
            c.public_url = Some("https://a.example".into());
            c.oidc.roles.insert("ops".into(), crate::model::Role::Operator);
        };
        assert!(keys(whole).is_empty());
    }
}
