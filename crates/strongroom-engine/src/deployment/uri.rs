//! The connection string: a secret that is never printed.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use mongodb::error::ErrorKind;
use mongodb::options::{ClientOptions, Tls};
use percent_encoding::percent_decode_str;

use super::failure::explain;
use super::secrets::without_secrets_of;
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::{Help, Setting};
use crate::selection::Filter;

const HELP: &str = "Write it as mongodb://user:password@host:27017/?replicaSet=name or mongodb+srv://user:password@host; \
                    percent-encode `:`, `/`, `?`, `#`, `[`, `]`, `@` and `%` in user and password.";

const SCHEMES: [&str; 2] = ["mongodb://", "mongodb+srv://"];

/// Options that the driver understands, in lower case (its `parse_option_pair`). The specification of connection
/// strings says of any other: warn, and ignore it.
const UNDERSTOOD: [&str; 39] = [
    "appname",
    "authmechanism",
    "authmechanismproperties",
    "authsource",
    "compressors",
    "connecttimeoutms",
    "directconnection",
    "enableoverloadretargeting",
    "heartbeatfrequencyms",
    "journal",
    "loadbalanced",
    "localthresholdms",
    "maxadaptiveretries",
    "maxconnecting",
    "maxidletimems",
    "maxpoolsize",
    "maxstalenessseconds",
    "minpoolsize",
    "readconcernlevel",
    "readpreference",
    "readpreferencetags",
    "replicaset",
    "retryreads",
    "retrywrites",
    "servermonitoringmode",
    "serverselectiontimeoutms",
    "sockettimeoutms",
    "srvmaxhosts",
    "srvservicename",
    "ssl",
    "tls",
    "tlsallowinvalidcertificates",
    "tlscafile",
    "tlscertificatekeyfile",
    "tlsinsecure",
    "w",
    "waitqueuetimeoutms",
    "wtimeoutms",
    "zlibcompressionlevel",
];

/// Options that decide how a connection is made, and that are not supported: without them it could not be made, or would
/// go elsewhere.
const REFUSED: [(&str, &str); 5] = [
    (
        "tlscertificatekeyfilepassword",
        "Decrypt the key file, for example with `openssl pkey`, and let only its owner read it.",
    ),
    ("proxyhost", "A proxy is not supported: run Strongroom where the servers can be reached."),
    ("proxyport", "A proxy is not supported: run Strongroom where the servers can be reached."),
    ("proxyusername", "A proxy is not supported: run Strongroom where the servers can be reached."),
    ("proxypassword", "A proxy is not supported: run Strongroom where the servers can be reached."),
];

/// What messages may be compressed with.
const COMPRESSORS: [&str; 2] = ["zstd", "zlib"];

/// Without any meaning for a program that handles documents as bytes: not worth a warning.
const MEANINGLESS: &str = "uuidrepresentation";

/// The database that a user is mostly made in: naming it limits nothing.
const ADMIN: &str = "admin";

/// A MongoDB connection string with any of its options. Neither `Debug` nor an error shows what is secret in it.
#[derive(Clone)]
pub struct ConnectionString(String);

impl FromStr for ConnectionString {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let refuse = |why: &str| Err(Error::new(Code::Uri, format!("the MongoDB URI {why}")).help(HELP));
        if !SCHEMES.iter().any(|scheme| text.starts_with(scheme)) {
            return refuse("does not begin with `mongodb://` or `mongodb+srv://`");
        }
        if SCHEMES.iter().map(|scheme| text.matches(scheme).count()).sum::<usize>() > 1 {
            return refuse("is more than one: several stand in the same text");
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return refuse(
                "holds white space; it must be one connection string, and nothing may stand beside it",
            );
        }
        Ok(Self(text.into()))
    }
}

impl ConnectionString {
    pub(super) async fn options(&self) -> Result<ClientOptions> {
        let (_, refused) = self.not_understood();
        if let Some((option, help)) = refused {
            let what = format!("the MongoDB URI cannot be used: the option `{option}` is not supported");
            return Err(Error::new(Code::Uri, what).help(help));
        }
        let options = ClientOptions::parse(&*self.understood()).await.map_err(|e| {
            if matches!(&*e.kind, ErrorKind::DnsResolve { .. }) {
                return self.scrub(explain(&e));
            }
            let why = self.without_secrets(&in_words(&e.kind));
            Error::new(Code::Uri, format!("the MongoDB URI cannot be used: {why}")).help(HELP)
        })?;
        readable_files(&options)?;
        Ok(options)
    }

    /// The names of options in it that are ignored, since they are not known, or say nothing to a backup or restore.
    #[must_use]
    pub fn ignored_options(&self) -> Vec<String> {
        self.not_understood().0
    }

    /// The database that stands behind the hosts. Other tools limit a job to it; where no `authSource` is given, it is
    /// also where the user was made.
    #[must_use]
    pub fn database(&self) -> Option<String> {
        let (rest, _) = self.around_options();
        let rest = rest.split_once("://").map_or("", |(_, rest)| rest);
        let hosts = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
        let database = hosts.split_once('/').map_or("", |(_, database)| database);
        Some(percent_decode_str(database).decode_utf8_lossy().into_owned()).filter(|name| !name.is_empty())
    }

    /// Whether its database and the selection of a job mean the same: a database that is named and not obeyed would be
    /// read, or written to, by surprise.
    ///
    /// # Errors
    /// [`Code::Uri`] for a database other than `admin` to which the selection is not limited.
    pub fn agrees_with(&self, filter: &Filter) -> Result<()> {
        let Some(database) = self.database().filter(|name| name != ADMIN) else { return Ok(()) };
        if filter.databases().is_some_and(|chosen| chosen.len() == 1 && chosen.contains(&database)) {
            return Ok(());
        }
        let what =
            format!("the MongoDB URI names the database `{database}`, and the job is not limited to it");
        let also =
            format!(". For a user who was made in `{database}`, write `authSource={database}` in its place.");
        let help: Help = help![
            "Take the database out of the URI; to limit the job to it, add ",
            Setting::Include.to(format!("{database}.*")),
            also,
        ];
        Err(Error::new(Code::Uri, what).help(help))
    }

    /// The same error, with whatever part of the secret a lower layer may have quoted taken out.
    pub(super) fn scrub(&self, error: Error) -> Error {
        error.map_texts(|text| self.without_secrets(text))
    }

    /// `text`, with the password and other secrets replaced by stars, in each of their forms.
    #[must_use]
    pub fn without_secrets(&self, text: &str) -> String {
        without_secrets_of(&self.0, text)
    }

    fn around_options(&self) -> (&str, &str) {
        self.0.split_once('?').unwrap_or((&self.0, ""))
    }

    /// What is ignored, and the first option that cannot be.
    fn not_understood(&self) -> (Vec<String>, Option<(String, &'static str)>) {
        let (mut ignored, mut refused) = (Vec::new(), None);
        for name in self.around_options().1.split('&').filter_map(|option| Some(option.split_once('=')?.0)) {
            let plain = name.to_lowercase();
            if let Some((_, help)) = REFUSED.iter().find(|(option, _)| *option == plain) {
                refused.get_or_insert((name.to_owned(), *help));
            } else if is_unknown(&plain) && plain != MEANINGLESS {
                ignored.push(self.without_secrets(name));
            }
        }
        (ignored, refused)
    }

    /// The connection string without the options that are ignored. Of compressors those that are not built in are left
    /// out: a server takes one of the others, or none.
    fn understood(&self) -> Cow<'_, str> {
        let (before, options) = self.around_options();
        let kept: Vec<Cow<'_, str>> = options.split('&').filter_map(kept).collect();
        let kept = kept.join("&");
        if kept == options { Cow::Borrowed(&self.0) } else { Cow::Owned(format!("{before}?{kept}")) }
    }
}

/// What is left of an option.
fn kept(option: &str) -> Option<Cow<'_, str>> {
    let Some((name, value)) = option.split_once('=') else {
        return Some(option.into()).filter(|_| !option.is_empty());
    };
    let plain = name.to_lowercase();
    if plain != "compressors" {
        return (!is_unknown(&plain)).then_some(option.into());
    }
    let built_in = |one: &&str| COMPRESSORS.iter().any(|known| known.eq_ignore_ascii_case(one));
    let left: Vec<&str> = value.split(',').filter(built_in).collect();
    (!left.is_empty()).then(|| format!("{name}={}", left.join(",")).into())
}

fn is_unknown(option: &str) -> bool {
    !UNDERSTOOD.contains(&option) && !REFUSED.iter().any(|(refused, _)| *refused == option)
}

/// The driver's words, without those that say what kind of its errors it is.
fn in_words(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::InvalidArgument { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

/// The files that it names: the driver says only that "a file" is not there.
fn readable_files(options: &ClientOptions) -> Result<()> {
    let Some(Tls::Enabled(tls)) = &options.tls else { return Ok(()) };
    let readable = |option: &str, path: Option<&PathBuf>| {
        let Some(path) = path else { return Ok(()) };
        read_some(path).map_err(|e| {
            let what = format!("cannot read `{}`, which the MongoDB URI names as `{option}`: {e}", path.display());
            Error::new(Code::Uri, what).help(
                "Name a PEM file that is there and that you may read; a relative path begins in the current folder.",
            )
        })
    };
    readable("tlsCAFile", tls.ca_file_path.as_ref())?;
    readable("tlsCertificateKeyFile", tls.cert_key_file_path.as_ref())
}

fn read_some(path: &Path) -> std::io::Result<()> {
    use std::io::Read;
    std::fs::File::open(path)?.read(&mut [0; 1]).map(drop)
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
            "mongodb://u:s3crt@localhost:99999",
            "mongodb://u:s3cr?t@localhost",
            "mongodb://u:s3cr#t@localhost",
            "mongodb://u:s3crt@localhost/?tls=perhaps",
            "mongodb://u:s3cr%40t",
            "mongodb://u:s3crt/shop?tls=true",
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
    fn only_one_connection_string_is_taken() {
        for text in [
            "mongodb://u:s3cret@a\nmongodb://u:s3cret@b",
            "mongodb://u:s3cret@a mongodb+srv://u:s3cret@b",
            "mongodb://u:s3cret@amongodb://u:s3cret@b",
            "mongodb://u:s3cret@a # the old one",
            "mongodb://u:s3 cret@a",
            "mongodb://u:s3\u{0}cret@a",
        ] {
            let error = text.parse::<ConnectionString>().unwrap_err();
            assert_eq!(error.code(), Code::Uri);
            assert!(!format!("{error:?}").contains("cret"), "{error:?}");
        }
        assert!("  mongodb://u:s3cret@a\n".parse::<ConnectionString>().is_ok());
    }

    #[tokio::test]
    async fn options_that_are_not_known_are_ignored_and_named_without_their_values() {
        let uri = "mongodb://u:p4ssword@h/?timeoutMS=5&tls=false&&uuidRepresentation=standard&slaveOk=s3cret&\
                   tlsDisableOCSPEndpointCheck=true&retryWrites=false&proxyless=1";
        let uri: ConnectionString = uri.parse().unwrap();
        let options = uri.options().await.unwrap();
        assert_eq!(options.retry_writes, Some(false));
        let named = ["timeoutMS", "slaveOk", "tlsDisableOCSPEndpointCheck", "proxyless"];
        assert_eq!(uri.ignored_options(), named);
        let plain: ConnectionString = "mongodb://h/?retryWrites=false".parse().unwrap();
        assert!(plain.ignored_options().is_empty() && *plain.understood() == *plain.0);
    }

    #[tokio::test]
    async fn compressors_that_are_not_built_in_are_left_out() {
        for (asked, taken) in [("snappy,zlib", 1), ("snappy", 0), ("zstd,zlib", 2), ("", 0)] {
            let uri: ConnectionString = format!("mongodb://h/?compressors={asked}").parse().unwrap();
            assert_eq!(uri.options().await.unwrap().compressors.map_or(0, |all| all.len()), taken);
        }
    }

    #[tokio::test]
    async fn what_would_connect_otherwise_than_said_is_refused() {
        for option in ["proxyHost=s3cret", "tls=true&tlsCertificateKeyFilePassword=s3cret"] {
            let uri: ConnectionString = format!("mongodb://h/?{option}").parse().unwrap();
            let error = uri.options().await.unwrap_err();
            assert_eq!(error.code(), Code::Uri);
            assert!(error.message().contains("is not supported"), "{error:?}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_named() {
        for option in ["tlsCAFile", "tlsCertificateKeyFile"] {
            let uri: ConnectionString =
                format!("mongodb://h/?tls=true&{option}=/not/there.pem").parse().unwrap();
            let error = uri.options().await.unwrap_err();
            assert!(
                error.message().contains("`/not/there.pem`") && error.message().contains(option),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_database_is_obeyed_or_refused() {
        let agrees = |uri: &str, include: &[&str]| {
            let filter = Filter::new(include.iter().map(ToString::to_string).collect(), vec![]).unwrap();
            uri.parse::<ConnectionString>().unwrap().agrees_with(&filter)
        };
        for (uri, include) in [
            ("mongodb://h", &[][..]),
            ("mongodb://h/", &[]),
            ("mongodb://h/?replicaSet=a/b", &[]),
            ("mongodb://u:p@h/admin", &[]),
            ("mongodb://u:p@h/admin?tls=true", &["shop.*"]),
            ("mongodb://u:p@a,b/shop?tls=true", &["shop.*"]),
            ("mongodb://u:p@a,b/sh%6Fp", &["shop.orders", "shop.carts"]),
        ] {
            agrees(uri, include).unwrap_or_else(|error| panic!("{uri}: {error}"));
        }
        for (uri, include) in [
            ("mongodb://h/shop", &[][..]),
            ("mongodb+srv://u:p@h/shop?authSource=admin", &[]),
            ("mongodb://h/shop", &["other.*"]),
            ("mongodb://h/shop", &["shop.*", "other.*"]),
            ("mongodb://h/shop", &["*"]),
        ] {
            let error = agrees(uri, include).unwrap_err();
            assert!(error.message().contains("the database `shop`"), "{error:?}");
            assert!(error.help_text().unwrap().to_string().contains("`include: shop.*`"), "{error:?}");
        }
    }

    /// The name cannot be resolved, and that is what is said: not that the URI is none.
    #[tokio::test]
    async fn a_name_in_dns_is_looked_up() {
        let uri: ConnectionString =
            "mongodb+srv://u:s3cret@cluster0.example.invalid/?tls=true".parse().unwrap();
        let error = uri.options().await.unwrap_err();
        assert!(matches!(error.code(), Code::MongoHost | Code::MongoAddress), "{error:?}");
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
