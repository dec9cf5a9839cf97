//! The connection string: a secret that is never printed.

use std::fmt;
use std::str::FromStr;

use mongodb::options::ClientOptions;

use crate::error::{Code, Error, Result};

const HELP: &str = "Write it as mongodb://user:password@host:27017/?replicaSet=name or mongodb+srv://user:password@host; \
                    percent-encode `:`, `/`, `?`, `#`, `[`, `]`, `@` and `%` in user and password.";

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
            let why = self.without_secrets(&e.kind.to_string());
            Error::new(Code::Uri, format!("the MongoDB URI cannot be used: {why}")).help(HELP)
        })
    }

    /// The same error, with whatever part of the secret a lower layer may have quoted taken out.
    pub(super) fn scrub(&self, error: Error) -> Error {
        let message = self.without_secrets(error.message());
        if message == error.message() {
            return error;
        }
        let scrubbed = Error::new(error.code(), message);
        match error.help_text() {
            Some(help) => scrubbed.help(help),
            None => scrubbed,
        }
    }

    /// `text`, with every piece of the password replaced by stars.
    #[must_use]
    pub fn without_secrets(&self, text: &str) -> String {
        self.secrets().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }

    /// Every piece of the part before the last `@` that may be a password, also of a malformed URI
    /// (a password with a bare `@` or `/` in it).
    fn secrets(&self) -> impl Iterator<Item = &str> {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let user_info = rest.rsplit_once('@').map_or("", |(before, _)| before);
        let password = user_info.split_once(':').map_or("", |(_, password)| password);
        std::iter::once(password).chain(password.split(['@', ':', '/'])).filter(|piece| !piece.is_empty())
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
    fn another_scheme_is_refused() {
        let error = "http://u:s3cret@localhost".parse::<ConnectionString>().unwrap_err();
        assert_eq!(error.code(), Code::Uri);
        assert!(!format!("{error:?}").contains("s3cret"));
    }
}
