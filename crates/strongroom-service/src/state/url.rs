//! Where the state is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use super::StateError;

/// Where the state is: a file (`/var/lib/strongroom/strongroom.db` or `sqlite:///var/lib/strongroom/strongroom.db`), or
/// a database (`postgres://user@host/database?sslmode=verify-full`).
///
/// It is shown without its password and its options.
#[derive(Clone)]
pub struct StateUrl(pub(super) Place);

#[derive(Clone)]
pub(super) enum Place {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

impl FromStr for StateUrl {
    type Err = StateError;

    fn from_str(text: &str) -> Result<Self, StateError> {
        let wrong = |why: &str| StateError::Address(why.to_owned());
        if let Some((scheme, rest)) = text.split_once("://") {
            return match scheme {
                "sqlite" => Self::file(rest),
                "postgres" | "postgresql" => match text.parse() {
                    Ok(options) => Ok(Self(Place::Postgres(Box::new(options)))),
                    // The error of the parser may hold a piece of the password.
                    Err(_) => Err(wrong("it is no URL of PostgreSQL")),
                },
                _ => Err(wrong("it begins with neither `sqlite://` nor `postgres://`, and is no path")),
            };
        }
        Self::file(text)
    }
}

impl StateUrl {
    fn file(path: &str) -> Result<Self, StateError> {
        if path.is_empty() || path.contains(['?', '\0']) {
            return Err(StateError::Address("a path without `?` is wanted".to_owned()));
        }
        Ok(Self(Place::Sqlite(PathBuf::from(path))))
    }

    /// Whether one process alone can open it.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.0, Place::Sqlite(_))
    }
}

impl From<PathBuf> for StateUrl {
    fn from(path: PathBuf) -> Self {
        Self(Place::Sqlite(path))
    }
}

impl fmt::Display for StateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Place::Postgres(options) => {
                let (host, port) = (options.get_host(), options.get_port());
                let database = options.get_database().unwrap_or_else(|| options.get_username());
                write!(f, "postgres://{host}:{port}/{database}")
            }
        }
    }
}

impl fmt::Debug for StateUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<StateUrl>().map_or_else(|e| e.to_string(), |url| url.to_string())
    }

    #[test]
    fn a_path_is_a_file_of_sqlite() {
        assert_eq!(shown("/var/lib/strongroom.db"), "sqlite:///var/lib/strongroom.db");
        assert_eq!(shown("sqlite:///var/lib/strongroom.db"), "sqlite:///var/lib/strongroom.db");
        assert_eq!(shown("state.db"), "sqlite://state.db");
    }

    #[test]
    fn the_password_of_a_url_is_never_shown() {
        let url = "postgres://backup:hunter2@db.example.com/strongroom?sslmode=require&password=hunter2";
        assert_eq!(shown(url), "postgres://db.example.com:5432/strongroom");
        let wrong = shown("postgres://backup:hunter2@db.example.com:notaport/strongroom");
        assert!(!wrong.contains("hunter2"), "{wrong}");
    }

    #[test]
    fn other_addresses_are_refused() {
        for wrong in ["", "mysql://localhost/x", "sqlite://", "sqlite://a.db?mode=memory"] {
            assert!(wrong.parse::<StateUrl>().is_err(), "{wrong}");
        }
    }
}
