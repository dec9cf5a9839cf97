//! The configuration of the service: one YAML file, and a variable of the environment for each of its keys.

mod check;
mod lines;
mod network;
mod read;
mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use settings::section;

pub use check::Problem;
pub use network::Network;
pub use read::{Given, read};
pub use settings::Key;

use crate::model::{Int, Role, Secret};

section! {
    /// Everything that is decided before the service starts. What can be changed while it runs is a setting in its API.
    Config {
        /// Address and port to listen on. Anything but loopback wants `tls`, `trusted_proxies` or `insecure`.
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 8270)),
        /// How browsers and programs reach the service, such as `https://backups.example.com`; needed for `oidc` and
        /// behind a proxy.
        public_url: Option<String> = None,
        /// Networks of proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
        trusted_proxies: Vec<Network> = Vec::new(),
        /// Listens on other addresses than loopback without TLS: passwords and tokens cross the network in the clear.
        insecure: bool = false,
        /// Folder for the state and the master key, where `state` and `master_key` name no other place. Without it:
        /// `$STATE_DIRECTORY`, then `$XDG_STATE_HOME/strongroom`, then `~/.local/state/strongroom`.
        data: Option<PathBuf> = None,
        /// Folders in which locations `file://` may lie; none: there may be no such locations.
        folders: Vec<PathBuf> = Vec::new(),
        /// How many seconds runs may go on after the service was told to stop. After that they are handed over: backups
        /// are tried again by the next that starts, restores end as failed.
        stop_seconds: Int<0, 86_400> = Int::of(300),
    } {
        /// TLS.
        tls: Tls,
        /// The state.
        state: State,
        /// The master key.
        master_key: MasterKeys,
        /// Work of this process.
        worker: Worker,
        /// Where endpoints may lead.
        egress: Egress,
        /// Signing in through an identity provider.
        oidc: Oidc,
        /// Sessions of browsers.
        session: Session,
        /// The log.
        log: Log,
    }
}

section! {
    /// TLS of the service itself.
    Tls {
        /// File of the certificate with its chain, as PEM. It is read again when it changes and at SIGHUP.
        certificate: Option<PathBuf> = None,
        /// File of the certificate's private key, as PEM.
        key: Option<PathBuf> = None,
    }
}

section! {
    /// The database of the service.
    State {
        /// `sqlite:///path` or `postgres://user@host/database`. Without it: `strongroom.db` in `data`.
        url: Option<Secret> = None,
        /// File that holds the URL instead, if it holds a password.
        url_file: Option<PathBuf> = None,
    }
}

section! {
    /// The keys that secrets in the state are sealed with: the first key of what is given seals, all of them open.
    MasterKeys {
        /// File of keys, one a line, mode 0600. Without any of these: `master.key` in `data`, made at the first start.
        file: Option<PathBuf> = None,
        /// Name of the variable that holds the keys instead.
        variable: Option<String> = None,
        /// File of a key that AWS KMS encrypted, made by `strongroom key generate FILE --kms-key KEY`. KMS decrypts it
        /// at each start, with credentials, region and endpoint from where every AWS tool takes them.
        kms_file: Option<PathBuf> = None,
        /// The key in KMS: an id, an ARN or an alias such as `alias/strongroom`.
        kms_key: Option<String> = None,
        /// AWS profile for KMS.
        kms_profile: Option<String> = None,
    }
}

section! {
    /// Work of this process.
    Worker {
        /// Runs at a time at most, whatever the settings say; none: what the settings say.
        runs_at_once: Option<Int<1, 256>> = None,
        /// Whether this process executes runs. One that does not still serves the API and the schedule.
        enabled: bool = true,
    }
}

section! {
    /// Where endpoints of locations, webhooks and identity providers may lead.
    Egress {
        /// Whether addresses of this machine are allowed for endpoints of locations.
        loopback: bool = true,
        /// Whether private networks are allowed (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, fc00::/7).
        private: bool = true,
        /// Networks that are allowed although they are link-local or serve a cloud's metadata.
        allow: Vec<Network> = Vec::new(),
        /// Networks that are not allowed.
        deny: Vec<Network> = Vec::new(),
    }
}

section! {
    /// Signing in through an OpenID Connect provider. It is offered when `issuer` and `client_id` are given.
    Oidc {
        /// The provider's issuer URL; its `/.well-known/openid-configuration` is fetched.
        issuer: Option<String> = None,
        /// This service's id there. Its redirect URI is `public_url` followed by `/api/v1/auth/oidc/callback`.
        client_id: Option<String> = None,
        /// The client's secret. Prefer `client_secret_file` or the variable.
        client_secret: Option<Secret> = None,
        /// File that holds the client's secret.
        client_secret_file: Option<PathBuf> = None,
        /// Scopes to ask for besides `openid`.
        scopes: Vec<String> = vec!["profile".into(), "email".into()],
        /// The claim that says what a user may do: a text or a list of texts.
        role_claim: String = "groups".into(),
        /// Values of the claim and the role of each (viewer, operator or admin), such as `{ops: operator}`. The highest
        /// role counts; a user without any does not get in.
        roles: BTreeMap<String, Role> = BTreeMap::new(),
        /// Values of the claim that make a user a restorer.
        restorers: Vec<String> = Vec::new(),
    }
}

section! {
    /// Sessions of browsers.
    Session {
        /// Hours after which a session ends that was not used.
        idle_hours: Int<1, 8760> = Int::of(12),
        /// Hours after which a session ends in any case.
        hours: Int<1, 8760> = Int::of(168),
    }
}

section! {
    /// The log, on stderr.
    Log {
        /// `text` or `json`.
        format: LogFormat = LogFormat::Text,
        /// `error`, `warn`, `info`, `debug` or `trace`.
        level: LogLevel = LogLevel::Info,
    }
}

/// A choice by its name.
macro_rules! choice {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+ }) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
        pub enum $name {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $variant,)+
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(format!("it must be one of {}", [$($text),+].join(", "))),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $text,)+ })
            }
        }
    };
}

choice! {
    /// How the log is written.
    LogFormat {
        /// Lines for people.
        Text = "text",
        /// A JSON object a line.
        Json = "json",
    }
}

choice! {
    /// How much is logged.
    LogLevel {
        /// What failed.
        Error = "error",
        /// And what may soon.
        Warn = "warn",
        /// And what was done.
        Info = "info",
        /// And how.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

settings::values!(LogFormat LogLevel Network);

impl settings::Value for Role {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "viewer" => Ok(Self::Viewer),
            "operator" => Ok(Self::Operator),
            "admin" => Ok(Self::Admin),
            _ => Err(format!("`{text}` is not viewer, operator or admin")),
        }
    }

    fn shown(&self) -> String {
        self.word().into()
    }
}

impl Config {
    /// Every key, in the order of the documentation.
    #[must_use]
    pub fn keys() -> Vec<Key> {
        let mut keys = Vec::new();
        Self::describe("", &mut keys);
        keys
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;

    use super::*;

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/CONFIG.md");
    const INTRODUCTION: &str = "\
# Configuration of the service

`strongroom serve --config FILE` reads one YAML file. Each key also has a variable of the environment, which goes before
the file: the name in capitals, `STRONGROOM_` in front, and underscores for dots. In a variable the items of a list have
commas between them, and a map is written `key=value,key=value`. Without a file and variables the defaults hold: the
service then listens on loopback and keeps its state in a folder of the user.

`strongroom serve --config FILE --check-config` says what is wrong, with line and key, and does not start. Unknown keys
are refused. This page is generated from the code.

```yaml
listen: 0.0.0.0:8270
public_url: https://backups.example.com
tls:
  certificate: /etc/strongroom/tls.pem
  key: /etc/strongroom/tls.key
state:
  url_file: /etc/strongroom/state-url
master_key:
  file: /etc/strongroom/master.key
```

| key | variable | default | meaning |
|---|---|---|---|
";

    fn page() -> String {
        let mut page = String::from(INTRODUCTION);
        for key in Config::keys() {
            let default = if key.default.is_empty() { String::new() } else { format!("`{}`", key.default) };
            let (name, variable, meaning) = (&key.name, key.variable(), &key.meaning);
            writeln!(page, "| `{name}` | `{variable}` | {default} | {meaning} |").unwrap();
        }
        page
    }

    #[test]
    fn the_page_of_the_configuration_is_the_table_of_its_keys() {
        let page = page();
        if std::env::var_os("STRONGROOM_WRITE_DOCS").is_some() {
            std::fs::write(PAGE, &page).unwrap();
        }
        assert_eq!(std::fs::read_to_string(PAGE).unwrap(), page, "write it with STRONGROOM_WRITE_DOCS=1");
    }

    #[test]
    fn every_key_has_a_meaning_and_a_variable_of_its_own() {
        let keys = Config::keys();
        let variables: BTreeSet<_> = keys.iter().map(Key::variable).collect();
        assert_eq!(variables.len(), keys.len());
        for key in keys {
            assert!(key.meaning.ends_with('.') && !key.meaning.contains('|'), "{key:?}");
            assert!(!key.meaning.contains("  "), "{key:?}");
            assert!(variables.contains(&key.variable()));
        }
    }

    #[test]
    fn the_example_of_the_page_is_a_configuration() {
        let example = INTRODUCTION.split("```").nth(1).unwrap().trim_start_matches("yaml");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        std::fs::write(&path, example).unwrap();
        let given = read(Some(&path), |_| None).unwrap();
        assert_eq!(given.config.problems(), []);
        assert!(given.config.has_tls());
    }
}
