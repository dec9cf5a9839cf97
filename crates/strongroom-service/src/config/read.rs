//! From a file and the environment to a configuration.

use std::fmt;
use std::path::Path;

use strongroom_engine::{Code, Error, Result};

use super::check::Problem;
use super::{Config, lines};

/// A configuration file is a page; a larger one is something else.
const FILE_MAX: u64 = 1024 * 1024;

/// A configuration and where its values come from.
#[derive(Debug, Clone)]
pub struct Given {
    /// The values.
    pub config: Config,
    /// The file's name and text.
    file: Option<(String, String)>,
    /// Keys that came from the environment.
    set: Vec<String>,
}

/// Reads the file, if there is one; then variables of the environment go before it.
///
/// # Errors
/// `SR-USAGE`: the file cannot be read, is no configuration (with line and key), or a variable has no such value.
pub fn read(path: Option<&Path>, environment: impl Fn(&str) -> Option<String>) -> Result<Given> {
    let file = path.map(|path| text_of(path).map(|text| (path.display().to_string(), text))).transpose()?;
    let config = match &file {
        Some((name, text)) => parse(name, text)?,
        None => Config::default(),
    };
    let mut given = Given { config, file, set: Vec::new() };
    for key in Config::keys() {
        let variable = key.variable();
        let Some(text) = environment(&variable) else { continue };
        given.config.set(&key.name, &text).map_err(|why| {
            Error::new(Code::Usage, format!("the variable `{variable}` cannot be used: {why}"))
        })?;
        given.set.push(key.name);
    }
    Ok(given)
}

fn text_of(path: &Path) -> Result<String> {
    let failed = |e: std::io::Error| {
        let path = path.display();
        Error::new(Code::Usage, format!("the configuration `{path}` cannot be read: {e}")).caused_by(e)
    };
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > FILE_MAX {
        let path = path.display();
        return Err(Error::new(Code::Usage, format!("`{path}` is no configuration: it has {length} bytes")));
    }
    std::fs::read_to_string(path).map_err(failed)
}

fn parse(name: &str, text: &str) -> Result<Config> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Config::default());
    }
    serde_saphyr::from_str(text).map_err(|wrong| {
        let line = wrong.location().and_then(|place| usize::try_from(place.line()).ok());
        let place = Place { file: name, line, key: line.and_then(|line| lines::key_at(text, line)) };
        Error::new(Code::Usage, format!("{place}: {}", words(&wrong)))
            .help("docs/CONFIG.md lists every key with its meaning.")
    })
}

/// What is wrong, without the place that stands before it anyway, and without the line itself, which may hold a secret.
fn words(wrong: &serde_saphyr::Error) -> String {
    let text = wrong.without_snippet().to_string();
    let end = text.rfind(" at line ").or_else(|| text.find('\n')).unwrap_or(text.len());
    text[..end].to_owned()
}

/// Where something stands.
struct Place<'a> {
    file: &'a str,
    line: Option<usize>,
    key: Option<String>,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        self.key.iter().try_for_each(|key| write!(f, ", `{key}`"))
    }
}

impl Given {
    /// Fails with everything that is wrong, each with where it stands.
    ///
    /// # Errors
    /// `SR-USAGE`.
    pub fn check(&self, problems: &[Problem]) -> Result<()> {
        if problems.is_empty() {
            return Ok(());
        }
        let texts: Vec<_> = problems.iter().map(|p| format!("{}: {}", self.place(p.key), p.text)).collect();
        let error = Error::new(Code::Usage, texts.join("\n"));
        Err(match problems {
            [only] => error.help(only.help.clone()),
            several => error.help(several.iter().map(|p| p.help.as_str()).collect::<Vec<_>>().join("\n")),
        })
    }

    fn place(&self, key: &str) -> String {
        let variable = super::settings::variable(key);
        match &self.file {
            _ if self.set.iter().any(|set| set == key) => format!("the variable `{variable}`"),
            Some((file, text)) => {
                Place { file, line: lines::line_of(text, key), key: Some(key.into()) }.to_string()
            }
            None => format!("`{key}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Int, Role};

    fn given(text: &str, set: &[(&str, &str)]) -> Result<Given> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.yaml");
        std::fs::write(&path, text).unwrap();
        let value = |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, text)| (*text).to_owned());
        read(Some(&path), value)
    }

    fn refused(text: &str) -> String {
        let error = given(text, &[]).unwrap_err();
        assert_eq!(error.code(), Code::Usage);
        error.message().to_owned()
    }

    #[test]
    fn a_wrong_file_is_refused_with_line_and_key() {
        let unknown = refused("listen: 127.0.0.1:1\ntls:\n  certifcate: x\n");
        assert!(unknown.contains("config.yaml`, line 3, `tls.certifcate`: "), "{unknown}");
        assert!(unknown.contains("certificate"), "{unknown}");
        let range = refused("session:\n  hours: 0\n");
        assert!(range.contains("line 2, `session.hours`: 0 is not between 1 and 8760"), "{range}");
        let network = refused("trusted_proxies:\n  - 10.0.0.0/8\n  - nowhere\n");
        assert!(network.contains("line 3, `trusted_proxies`: this is no network"), "{network}");
        let twice = refused("insecure: true\ninsecure: false\n");
        assert!(twice.contains("line 2"), "{twice}");
        let address = refused("listen: here\n");
        assert!(address.contains("line 1, `listen`"), "{address}");
    }

    #[test]
    fn no_secret_of_a_wrong_file_is_shown() {
        for text in [
            "oidc:\n  client_secret: [CANARY]\n",
            "oidc: {client_secret: CANARY, x: 1}\n",
            "oidc:\n  client_secret: \"CANARY\n",
            "state:\n  url: CANARY\n  url: CANARY\n",
        ] {
            let error = given(text, &[]).unwrap_err();
            assert!(!format!("{error:?}").contains("CANARY"), "{error:?}");
        }
        let given = given("oidc: {client_secret: CANARY}\nstate: {url: CANARY}\n", &[]).unwrap();
        assert!(!format!("{:?}", given.config).contains("CANARY"));
    }

    #[test]
    fn a_variable_goes_before_the_file() {
        let set = [
            ("STRONGROOM_SESSION_HOURS", "24"),
            ("STRONGROOM_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
            ("STRONGROOM_OIDC_ROLES", "CN=ops,admin=admin"),
            ("STRONGROOM_LOG_FORMAT", "json"),
            ("STRONGROOM_STATE_URL", "postgres://u:p=a,b@h/d"),
        ];
        let set = [&set[..2], &[("STRONGROOM_OIDC_ROLES", "ops=operator,CN=a=admin")], &set[3..]].concat();
        let config = given("session: {hours: 1, idle_hours: 3}\n", &set).unwrap().config;
        assert_eq!((config.session.hours, config.session.idle_hours), (Int::of(24), Int::of(3)));
        assert_eq!(config.trusted_proxies.len(), 2);
        assert_eq!(config.log.format, crate::config::LogFormat::Json);
        assert_eq!(config.oidc.roles["CN=a"], Role::Admin);
        assert_eq!(config.state.url.unwrap().expose(), "postgres://u:p=a,b@h/d");
        let wrong = given("", &[("STRONGROOM_LISTEN", "here")]).unwrap_err();
        assert!(wrong.message().contains("`STRONGROOM_LISTEN` cannot be used: `here`"), "{wrong}");
    }

    #[test]
    fn what_does_not_go_together_is_named_with_its_place() {
        let file = given("# mine\nlisten: 0.0.0.0:1\noidc:\n  issuer: https://a\n", &[]).unwrap();
        let error = file.check(&file.config.problems()).unwrap_err();
        assert!(
            error.message().contains("config.yaml`, line 2, `listen`: 0.0.0.0:1 can be reached"),
            "{error}"
        );
        assert!(error.message().contains("line 3, `oidc.client_id`: an issuer was given"), "{error}");
        let variable = given("", &[("STRONGROOM_LISTEN", "0.0.0.0:1")]).unwrap();
        let error = variable.check(&variable.config.problems()).unwrap_err();
        assert!(error.message().starts_with("the variable `STRONGROOM_LISTEN`: "), "{error}");
    }

    #[test]
    fn an_empty_file_is_the_default() {
        for text in ["", "# nothing\n\n", "\n"] {
            assert_eq!(given(text, &[]).unwrap().config, Config::default());
        }
    }
}
