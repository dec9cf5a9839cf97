//! What the service of the bench stands on.

use std::path::PathBuf;

use clap::ValueEnum;
use testbed::Postgres;

use crate::Outcome;

/// Where the state of the service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// What the service stands on.
pub(super) struct Place {
    pub(super) folder: tempfile::TempDir,
    pub(super) url: String,
    pub(super) program: PathBuf,
    _server: Option<Postgres>,
}

impl Place {
    pub(super) fn new(engine: Engine) -> Outcome<Self> {
        let folder = tempfile::Builder::new().prefix("bench-service-").tempdir()?;
        let server = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Postgres::start()?),
        };
        let url = match &server {
            Some(server) => server.url("strongroom"),
            None => format!("sqlite://{}", folder.path().join("strongroom.db").display()),
        };
        let program = std::env::current_exe()?.with_file_name("strongroom");
        if !program.exists() {
            return Err(format!("{} is not built", program.display()).into());
        }
        Ok(Self { folder, url, program, _server: server })
    }

    /// The file of the master key.
    pub(super) fn key(&self) -> PathBuf {
        self.folder.path().join("master.key")
    }

    /// The folder that backups go to.
    pub(super) fn backups(&self) -> PathBuf {
        self.folder.path().join("backups")
    }
}
