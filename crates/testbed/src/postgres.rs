//! A PostgreSQL server on loopback, its data in a temporary folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::debian::Unpacked;
use crate::mongod::free_port;
use crate::tools::{Missing, run};

/// The Debian package it comes from.
const PACKAGES: [&str; 1] = ["postgresql-15"];
/// Where that puts its programs.
const PROGRAMS: &str = "usr/lib/postgresql/15/bin";
/// Who owns the data. The database has no other user, and asks for no password.
const USER: &str = "strongroom";
/// PostgreSQL refuses to run as root.
const NOBODY: [&str; 4] = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"];

const READY_TRIES: u32 = 200;
const READY_PAUSE: Duration = Duration::from_millis(100);

/// A running server. Dropped, it is ended and its data is gone.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    // Dropped first, so that it ends before its folder.
    daemon: Option<Daemon>,
    folder: TempDir,
    programs: Option<Unpacked>,
}

/// The programs: the system's own, which is `None`, or unpacked.
fn programs() -> Result<Option<Unpacked>, Missing> {
    match Path::new("/").join(PROGRAMS).join("postgres").exists() {
        true => Ok(None),
        false => Unpacked::get("postgresql", &PACKAGES).map(Some),
    }
}

fn failed(e: impl std::fmt::Display) -> Missing {
    Missing(format!("PostgreSQL cannot be started: {e}"))
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

impl Postgres {
    /// Starts a server with one database, `strongroom`; takes about two seconds. Blocks.
    ///
    /// # Errors
    /// When its programs cannot be had or it does not come up.
    pub fn start() -> Result<Self, Missing> {
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("postgres-").tempdir().map_err(failed)?;
        let mut server = Self { port: free_port().map_err(failed)?, daemon: None, folder, programs };
        server.give_folder()?;
        let data = server.data();
        let settings =
            ["-D", &data, "-U", USER, "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"];
        run(server.command("initdb").args(settings), "run initdb")?;
        server.start_again()?;
        server.sql("postgres", &format!("CREATE DATABASE {USER}"))?;
        Ok(server)
    }

    /// Where a database is, such as `postgres://strongroom@127.0.0.1:40123/strongroom`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Runs statements in a database.
    ///
    /// # Errors
    /// When a statement fails.
    pub fn sql(&self, database: &str, statements: &str) -> Result<(), Missing> {
        let port = self.port.to_string();
        let mut command = self.command("psql");
        command.args(["-h", "127.0.0.1", "-p", &port, "-U", USER, "-d", database]);
        command.args(["-q", "-v", "ON_ERROR_STOP=1", "-c", statements]).stdout(Stdio::null());
        run(&mut command, "run psql")
    }

    /// Ends the server as if its machine had failed. Its data stays.
    pub fn stop(&mut self) {
        self.daemon = None;
    }

    /// Starts it again at the same port.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_again(&mut self) -> Result<(), Missing> {
        let log = File::create(self.folder.path().join("log")).map_err(failed)?;
        let (data, port, sockets) =
            (self.data(), self.port.to_string(), self.folder.path().display().to_string());
        let mut arguments = Vec::new();
        let program = self.under_nobody("postgres", &mut arguments);
        let local = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-k", &sockets];
        let own = [&["-D", &data, "-p", &port], &local[..]].concat();
        arguments.extend(own.into_iter().map(str::to_owned));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let started = Daemon::start(&program, &arguments, log, |command| self.settle(command));
        self.daemon = Some(started.map_err(failed)?);
        self.wait()
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    /// Lets the user that the server runs as into its folder.
    fn give_folder(&self) -> Result<(), Missing> {
        if !is_root() {
            return Ok(());
        }
        run(Command::new("chown").arg("nobody:nogroup").arg(self.folder.path()), "give PostgreSQL its folder")
    }

    fn program(&self, name: &str) -> PathBuf {
        self.programs.as_ref().map_or(Path::new("/"), Unpacked::root).join(PROGRAMS).join(name)
    }

    /// The program to run, and the arguments in front of its own.
    fn under_nobody(&self, name: &str, arguments: &mut Vec<String>) -> String {
        let program = self.program(name).display().to_string();
        if !is_root() {
            return program;
        }
        arguments.extend(NOBODY[1..].iter().map(|argument| (*argument).to_owned()));
        arguments.push(program);
        NOBODY[0].to_owned()
    }

    fn command(&self, name: &str) -> Command {
        let mut arguments = Vec::new();
        let mut command = Command::new(self.under_nobody(name, &mut arguments));
        command.args(arguments);
        self.settle(&mut command);
        command
    }

    /// Gives a command its folder and libraries.
    fn settle(&self, command: &mut Command) {
        command.current_dir(self.folder.path());
        if let Some(programs) = &self.programs {
            programs.add_to(command);
        }
    }

    fn wait(&self) -> Result<(), Missing> {
        for _ in 0..READY_TRIES {
            if self.sql("postgres", "SELECT 1").is_ok() {
                return Ok(());
            }
            std::thread::sleep(READY_PAUSE);
        }
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        Err(failed(log.lines().last().unwrap_or("it says nothing")))
    }
}
