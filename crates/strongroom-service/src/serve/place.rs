//! Where the state and the master key are.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use strongroom_engine::{Code, Error, Result};

use super::private_folder;
use crate::config::Config;
use crate::secrets::{KeySource, KmsKey, MasterKey, write_new_key};
use crate::state::StateUrl;

type Value = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Variables of the environment, by name.
#[derive(Clone)]
pub struct Environment(Arc<Value>);

impl Environment {
    /// Those that `value` gives.
    pub fn new(value: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(value))
    }

    /// The value of a variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment")
    }
}

/// Where things are.
pub(super) struct Place {
    pub(super) state: StateUrl,
    /// The file of the state, if it is a file that the service chose itself.
    own_state: Option<PathBuf>,
    /// The folder of what has no other place.
    data: PathBuf,
    source: Source,
}

enum Source {
    Given(KeySource),
    /// The file that the first start makes.
    Own(PathBuf),
}

impl Place {
    pub(super) fn of(config: &Config, environment: &Environment) -> Result<Self> {
        let data = data(config, environment)?;
        let named = state_named(config)?;
        let own_state = named.is_none().then(|| data.join("strongroom.db"));
        let state = match (named, &own_state) {
            (Some(url), _) => url,
            (None, Some(path)) => StateUrl::from(path.clone()),
            (None, None) => StateUrl::from(data.join("strongroom.db")),
        };
        let keys = &config.master_key;
        let source = match (&keys.file, &keys.variable, keys.kms_file.clone().zip(keys.kms_key.clone())) {
            (Some(file), _, _) => Source::Given(KeySource::File(file.clone())),
            (None, Some(name), _) => Source::Given(KeySource::Environment(name.clone())),
            (None, None, Some((file, id))) => {
                Source::Given(KeySource::Kms(file, KmsKey { id, profile: keys.kms_profile.clone() }))
            }
            (None, None, None) => Source::Own(data.join("master.key")),
        };
        Ok(Self { state, own_state, data, source })
    }

    /// The master keys; none where the first start would make one.
    pub(super) async fn keys(&self, environment: &Environment) -> Result<Option<Vec<MasterKey>>> {
        match &self.source {
            Source::Own(path) if !path.exists() && self.is_first_start() => Ok(None),
            Source::Own(path) => {
                KeySource::File(path.clone()).read(|name| environment.get(name)).await.map(Some)
            }
            Source::Given(source) => source.read(|name| environment.get(name)).await.map(Some),
        }
    }

    /// The master keys. At the first start a key is made, unless the configuration names where it comes from.
    pub(super) async fn keys_or_new(&self, environment: &Environment) -> Result<Option<Vec<MasterKey>>> {
        if self.own_state.is_some() || matches!(self.source, Source::Own(_)) {
            private_folder(&self.data)?;
        }
        match (&self.source, self.keys(environment).await?) {
            (Source::Own(path), None) => {
                let key = write_new_key(path, None).await?;
                tracing::warn!(
                    path = %path.display(),
                    "made a master key: keep a copy elsewhere, secrets in the state cannot be read without it"
                );
                Ok(Some(vec![key]))
            }
            (_, keys) => Ok(keys),
        }
    }

    /// The file of keys, if they come from one.
    pub(super) fn key_file(&self) -> Option<KeySource> {
        match &self.source {
            Source::Own(path) => Some(KeySource::File(path.clone())),
            Source::Given(source) => source.file().map(|_| source.clone()),
        }
    }

    /// Whether there is no state yet that secrets could be in. A database elsewhere may hold some.
    fn is_first_start(&self) -> bool {
        self.own_state.as_ref().is_some_and(|path| !path.exists())
    }
}

fn state_named(config: &Config) -> Result<Option<StateUrl>> {
    let text = match (&config.state.url, &config.state.url_file) {
        (Some(url), _) => url.expose().to_owned(),
        (None, Some(path)) => std::fs::read_to_string(path).map_err(|e| {
            let path = path.display();
            Error::new(Code::Usage, format!("`state.url_file`: `{path}` cannot be read: {e}")).caused_by(e)
        })?,
        (None, None) => return Ok(None),
    };
    let url = text.trim().parse().map_err(|wrong| {
        Error::new(Code::Usage, format!("{wrong}"))
            .help("Write it as `sqlite:///path/to/file` or `postgres://user@host/database`.")
    })?;
    Ok(Some(url))
}

/// The folder of what has no other place (systemd.exec, `StateDirectory=`; XDG Base Directory Specification).
fn data(config: &Config, environment: &Environment) -> Result<PathBuf> {
    let set = |name: &str| environment.get(name).filter(|text| !text.is_empty()).map(PathBuf::from);
    // Several folders of systemd have colons between them.
    let of_unit = environment.get("STATE_DIRECTORY");
    let of_unit = of_unit.and_then(|text| text.split(':').next().map(PathBuf::from));
    let found = config.data.clone().or(of_unit).or_else(|| {
        set("XDG_STATE_HOME")
            .or_else(|| set("HOME").map(|home| home.join(".local/state")))
            .map(|folder| folder.join("strongroom"))
    });
    found.ok_or_else(|| {
        Error::new(Code::Usage, "there is no folder for the state: `HOME` is not set")
            .help("Name one as `data` in the configuration.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(set: &[(&'static str, &'static str)]) -> Environment {
        let set = set.to_vec();
        Environment::new(move |name| set.iter().find(|(key, _)| *key == name).map(|(_, text)| (*text).into()))
    }

    #[test]
    fn the_folder_is_the_configurations_then_systemds_then_the_users() {
        let of = |config: &Config, set: &[_]| data(config, &environment(set)).unwrap();
        let none = Config::default();
        let unit = [("STATE_DIRECTORY", "/var/lib/strongroom:/x"), ("HOME", "/h")];
        assert_eq!(of(&none, &unit), PathBuf::from("/var/lib/strongroom"));
        let xdg = [("XDG_STATE_HOME", "/s"), ("HOME", "/h")];
        assert_eq!(of(&none, &xdg), PathBuf::from("/s/strongroom"));
        assert_eq!(of(&none, &xdg[1..]), PathBuf::from("/h/.local/state/strongroom"));
        let named = Config { data: Some("/d".into()), ..Config::default() };
        assert_eq!(of(&named, &unit), PathBuf::from("/d"));
        assert_eq!(data(&none, &environment(&[])).unwrap_err().code(), Code::Usage);
    }

    #[tokio::test]
    async fn a_master_key_is_made_once_and_never_beside_a_state_that_has_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data: Some(folder.path().join("data")), ..Config::default() };
        let none = environment(&[]);
        let place = Place::of(&config, &none).unwrap();
        assert!(place.keys(&none).await.unwrap().is_none());
        let made = place.keys_or_new(&none).await.unwrap().unwrap();
        let again = place.keys_or_new(&none).await.unwrap().unwrap();
        assert_eq!(made[0].id(), again[0].id());
        std::fs::write(folder.path().join("data/strongroom.db"), "").unwrap();
        std::fs::remove_file(folder.path().join("data/master.key")).unwrap();
        assert_eq!(place.keys_or_new(&none).await.unwrap_err().code(), Code::MasterKey);
    }
}
