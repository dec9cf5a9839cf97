//! The connection string: a secret that is never printed.

use std::fmt;
use std::str::FromStr;

use mongodb::error::ErrorKind;
use mongodb::options::ClientOptions;

use super::failure::explain;
use crate::error::{Code, Error, Result};

const HELP: &str = "Write it as mongodb://user:password@host:27017/?replicaSet=name or mongodb+srv://user:password@host; \
                    percent-encode `:`, `/`, `?`, `#`, `[`, `]`, `@` and `%` in user and password.";

/// Options whose values are secret (a session token may stand in the properties).
const SECRET_OPTIONS: [&str; 2] = ["tlsCertificateKeyFilePassword", "authMechanismProperties"];

/// A MongoDB connection string with any of its options. Neither `Debug` nor an error shows what is secret in it.
#[derive(Clone)]
pub struct ConnectionString(String);

impl FromStr for ConnectionString {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.starts_with("mongodb://") || text.starts_with("mongodb+srv://") {
            return Ok(Self(text.into()));
        }
        Err(Error::new(Code::Uri, "the MongoDB URI does not begin with `mongodb://` or `mongodb+srv://`")
            .help(HELP))
    }
}

impl ConnectionString {
    pub(super) async fn options(&self) -> Result<ClientOptions> {
        ClientOptions::parse(&self.0).await.map_err(|e| {
            if matches!(&*e.kind, ErrorKind::DnsResolve { .. }) {
                return self.scrub(explain(&e));
            }
            let why = self.without_secrets(&e.kind.to_string());
            Error::new(Code::Uri, format!("the MongoDB URI cannot be used: {why}")).help(HELP)
        })
    }

    /// The same error, with whatever part of the secret a lower layer may have quoted taken out.
    pub(super) fn scrub(&self, error: Error) -> Error {
        error.map_texts(|text| self.without_secrets(text))
    }

    /// `text`, with every piece of the password replaced by stars.
    #[must_use]
    pub fn without_secrets(&self, text: &str) -> String {
        self.secrets().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }

    /// Every piece of the part before the last `@` that may be a password, also of a malformed URI (a password
    /// with a bare `@` or `/` in it), and the options that are secret.
    fn secrets(&self) -> impl Iterator<Item = &str> {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let user_info = rest.rsplit_once('@').map_or("", |(before, _)| before);
        let password = user_info.split_once(':').map_or("", |(_, password)| password);
        let options = self.0.split_once('?').map_or("", |(_, options)| options).split('&');
        let options = options.filter_map(|option| {
            let (name, value) = option.split_once('=')?;
            SECRET_OPTIONS.iter().any(|secret| secret.eq_ignore_ascii_case(name)).then_some(value)
        });
        let password = std::iter::once(password).chain(password.split(['@', ':', '/']));
        password.chain(options).filter(|piece| !piece.is_empty())
    }
}

impl fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectionString(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_error_and_no_debug_output_shows_the_password() {
        for uri in [
            "mongodb://u:s3cr@t@localhost",
            "mongodb://u:s3cr/t@localhost",
            "mongodb://u:s3cr%zzt@localhost",
            "mongodb://u:s3crt@local host:99999",
            "mongodb://u:s3crt@localhost/?tls=perhaps",
        ] {
            let uri: ConnectionString = uri.parse().unwrap();
            assert!(!format!("{uri:?}").contains("s3cr"));
            if let Err(error) = uri.options().await {
                assert_eq!(error.code(), Code::Uri);
                assert!(!format!("{error:?}").contains("s3cr"), "{error:?}");
            }
        }
    }

    #[test]
    fn secret_options_are_taken_out_too() {
        let uri = "mongodb://localhost/?tls=true&tlsCertificateKeyFilePassword=s3cret&appName=x";
        let uri: ConnectionString = uri.parse().unwrap();
        assert_eq!(uri.without_secrets("it is s3cret, says x"), "it is ***, says x");
    }

    /// The name cannot be resolved, and that is what is said: not that the URI is none.
    #[tokio::test]
    async fn a_name_in_dns_is_looked_up() {
        let uri: ConnectionString =
            "mongodb+srv://u:s3cret@cluster0.example.invalid/?tls=true".parse().unwrap();
        let error = uri.options().await.unwrap_err();
        assert_eq!(error.code(), Code::MongoHost, "{error:?}");
        assert!(
            error.message().contains("resolved") && !format!("{error:?}").contains("s3cret"),
            "{error:?}"
        );
    }

    #[test]
    fn another_scheme_is_refused() {
        let error = "http://u:s3cret@localhost".parse::<ConnectionString>().unwrap_err();
        assert_eq!(error.code(), Code::Uri);
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}
