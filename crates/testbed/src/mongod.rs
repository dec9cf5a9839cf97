//! A real mongod on loopback that ends with its owner, however the owner ends.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::options::ClientOptions;
use mongodb::{Client, Database};
use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::libraries;
use crate::tools::Missing;
use crate::versions;

/// The user and password of a server with access control.
pub const ROOT: (&str, &str) = ("root", "root-secret");
pub(crate) const SET: &str = "rs0";
const START_TRIES: u32 = 3;
pub(crate) const READY_TRIES: u32 = 300;
pub(crate) const READY_PAUSE: Duration = Duration::from_millis(100);

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A replica set of one member, rather than a standalone server.
    pub replica_set: bool,
    /// Access control, with the user [`ROOT`]; needs `replica_set`.
    pub auth: bool,
    /// What the members of one set know each other by; one that is made up if not said.
    pub key: Option<String>,
    /// TLS with these, and nothing else.
    pub tls: Option<Arc<Certificates>>,
    /// Where its data goes; a temporary folder if not said.
    pub parent: Option<PathBuf>,
    /// Further arguments.
    pub arguments: Vec<String>,
}

/// A running mongod. Dropped, it is ended and its data is gone.
#[derive(Debug)]
pub struct Mongod {
    port: u16,
    options: Options,
    // Held for what its drop does: the watchdog's read ends, and it ends mongod.
    stdin: Option<ChildStdin>,
    watchdog: Child,
    folder: TempDir,
}

/// Starts mongod, and ends it when its input ends: when the owner lets go of it or dies, `kill -9` included.
const WATCHDOG: &str = r#""$@" & read -r _; kill -KILL $! 2>/dev/null; wait"#;

impl Mongod {
    /// A standalone server without access control.
    ///
    /// # Errors
    /// When it cannot be had or does not start, with the end of its log.
    pub async fn standalone() -> Result<Self, Missing> {
        Self::start(Options::default()).await
    }

    /// A replica set of one member, its primary ready.
    ///
    /// # Errors
    /// As [`standalone`](Self::standalone).
    pub async fn replica_set() -> Result<Self, Missing> {
        Self::start(Options { replica_set: true, ..Options::default() }).await
    }

    /// A server as told.
    ///
    /// # Errors
    /// As [`standalone`](Self::standalone).
    pub async fn start(options: Options) -> Result<Self, Missing> {
        let mut last = Missing("mongod was not tried".into());
        for _ in 0..START_TRIES {
            let started = Self::spawn(options.clone())?;
            match started.make_ready().await {
                Ok(()) => return Ok(started),
                // The free port may have been taken by somebody else meanwhile.
                Err(error) => last = Missing(format!("mongod did not start: {error}: {}", started.log_end())),
            }
        }
        Err(last)
    }

    pub(crate) fn spawn(options: Options) -> Result<Self, Missing> {
        let failed = |e: io::Error| Missing(format!("mongod cannot be started: {e}"));
        let program = versions::mongod()?;
        let parent = options.parent.clone().unwrap_or_else(std::env::temp_dir);
        let folder = tempfile::Builder::new().prefix("mongod-").tempdir_in(parent).map_err(failed)?;
        let port = free_port().map_err(failed)?;
        let mut command = Command::new("sh");
        if let Some(libraries) = libraries::missing(&program)? {
            libraries.add_to(&mut command);
        }
        command.args(["-c", WATCHDOG, "mongod-watchdog"]).arg(program).args(["--bind_ip", "127.0.0.1"]);
        command.args(["--port", &port.to_string(), "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket"]);
        command.arg("--dbpath").arg(folder.path());
        command.args(["--setParameter", "diagnosticDataCollectionEnabled=false"]);
        if options.replica_set {
            command.args(["--replSet", SET, "--oplogSize", "64"]);
        }
        if options.auth {
            command
                .args(["--auth", "--keyFile"])
                .arg(key_file(folder.path(), options.key.as_deref()).map_err(failed)?);
        }
        if let Some(certificates) = &options.tls {
            command.args(["--tlsMode", "requireTLS", "--tlsCAFile"]).arg(certificates.ca());
            command.arg("--tlsCertificateKeyFile").arg(certificates.server());
        }
        let log = File::create(folder.path().join("log")).map_err(failed)?;
        command
            .args(&options.arguments)
            .stdin(Stdio::piped())
            .stderr(log.try_clone().map_err(failed)?)
            .stdout(log);
        let mut watchdog = command.spawn().map_err(failed)?;
        Ok(Self { port, options, stdin: watchdog.stdin.take(), watchdog, folder })
    }

    async fn make_ready(&self) -> Result<(), mongodb::error::Error> {
        let admin = self.answering().await?;
        if self.options.replica_set {
            let member = doc! { "_id": 0, "host": self.address() };
            let set = doc! { "_id": SET, "members": [member] };
            admin.run_command(doc! { "replSetInitiate": set }).await?;
            wait_for_primary(&admin).await?;
        }
        if self.options.auth {
            make_root(&admin).await?;
        }
        Ok(())
    }

    /// Its database `admin`, without a user, once it answers.
    pub(crate) async fn answering(&self) -> Result<Database, mongodb::error::Error> {
        let admin = client(&self.direct_uri("")).await?.database("admin");
        let mut answer = admin.run_command(doc! { "ping": 1 }).await;
        for _ in 0..READY_TRIES {
            if answer.is_ok() {
                break;
            }
            tokio::time::sleep(READY_PAUSE).await;
            answer = admin.run_command(doc! { "ping": 1 }).await;
        }
        answer?;
        Ok(admin)
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process that owns mongod; mongod is its only child.
    #[must_use]
    pub fn watchdog_id(&self) -> u32 {
        self.watchdog.id()
    }

    /// A connection string for it, with the root user where there is access control.
    #[must_use]
    pub fn uri(&self) -> String {
        self.uri_for(&self.root())
    }

    /// `root`'s user info, where there is access control.
    pub(crate) fn root(&self) -> String {
        if self.options.auth { format!("{}:{}@", ROOT.0, ROOT.1) } else { String::new() }
    }

    /// A connection string with this user info, such as `user:password@` or nothing.
    #[must_use]
    pub fn uri_for(&self, user: &str) -> String {
        let set = if self.options.replica_set { format!("?replicaSet={SET}") } else { "?".into() };
        format!("mongodb://{user}{}/{set}{}", self.address(), self.tls_options())
    }

    /// A connection string that leads to this member alone.
    #[must_use]
    pub fn direct_uri(&self, user: &str) -> String {
        format!("mongodb://{user}{}/?directConnection=true{}", self.address(), self.tls_options())
    }

    pub(crate) fn tls_options(&self) -> String {
        self.options.tls.as_ref().map(|certificates| certificates.uri_options()).unwrap_or_default()
    }

    /// A connected client.
    ///
    /// # Errors
    /// When it cannot connect.
    pub async fn client(&self) -> Result<Client, mongodb::error::Error> {
        client(&self.uri()).await
    }

    /// Runs a command on a database.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn command(&self, db: &str, command: Document) -> Result<Document, mongodb::error::Error> {
        self.client().await?.database(db).run_command(command).await
    }

    /// Runs a command on this member, whatever it is in its set.
    ///
    /// # Errors
    /// As the server answers.
    pub async fn command_here(&self, db: &str, command: Document) -> Result<Document, mongodb::error::Error> {
        client(&self.direct_uri(&self.root())).await?.database(db).run_command(command).await
    }

    fn log_end(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Mongod {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Nothing can be done about a failure here, and nothing depends on it.
        let _ = self.watchdog.wait();
    }
}

pub(crate) async fn wait_for_primary(admin: &Database) -> Result<(), mongodb::error::Error> {
    wait_until(admin, "isWritablePrimary").await
}

/// Waits until the member says this of itself; what comes next fails if it never does.
pub(crate) async fn wait_until(admin: &Database, state: &str) -> Result<(), mongodb::error::Error> {
    for _ in 0..READY_TRIES {
        let hello = admin.run_command(doc! { "hello": 1 }).await?;
        if hello.get_bool(state).unwrap_or(false) {
            return Ok(());
        }
        tokio::time::sleep(READY_PAUSE).await;
    }
    Ok(())
}

pub(crate) async fn make_root(admin: &Database) -> Result<(), mongodb::error::Error> {
    let user = doc! { "createUser": ROOT.0, "pwd": ROOT.1, "roles": ["root"] };
    admin.run_command(user).await.map(|_| ())
}

pub(crate) async fn client(uri: &str) -> Result<Client, mongodb::error::Error> {
    let mut options = ClientOptions::parse(uri).await?;
    options.server_selection_timeout = Some(Duration::from_secs(20));
    Client::with_options(options)
}

/// A port that was free a moment ago.
///
/// # Errors
/// When there is none.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn key_file(folder: &Path, key: Option<&str>) -> io::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("key");
    fs::write(&path, "one member needs a key too, for access control")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    let key = key.map_or_else(random_key, str::to_owned);
    fs::write(&path, key)?;
    Ok(path)
}

pub(crate) fn random_key() -> String {
    hex::encode(rand::random::<[u8; 24]>())
}
