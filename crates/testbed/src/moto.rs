//! moto: AWS' APIs for IAM, STS and S3 in one process on loopback. It keeps what is made, and enforces nothing.

use std::fs::{self, File};
use std::time::Duration;

use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::mongod::free_port;
use crate::tools::{Missing, Python};

const PACKAGE: &str = "moto[server]==5.2.5";
const READY_TRIES: u32 = 300;
const READY_PAUSE: Duration = Duration::from_millis(200);

/// A running server. Dropped, it is gone with all that it holds.
#[derive(Debug)]
pub struct Moto {
    port: u16,
    // Dropped first, so that it ends before its folder.
    _daemon: Daemon,
    _folder: TempDir,
}

impl Moto {
    /// Starts it on a free port. Blocks; takes some seconds.
    ///
    /// # Errors
    /// When it cannot be had or does not come up.
    pub fn start() -> Result<Self, Missing> {
        let python = Python::get("moto", &[PACKAGE])?;
        let program = python.program("moto_server").display().to_string();
        let failed = |e: std::io::Error| Missing(format!("moto cannot be started: {e}"));
        let folder = tempfile::Builder::new().prefix("moto-").tempdir().map_err(failed)?;
        let (port, said) = (free_port().map_err(failed)?, folder.path().join("log"));
        let arguments = ["-H", "127.0.0.1", "-p", &port.to_string()];
        let log = File::create(&said).map_err(failed)?;
        let daemon =
            Daemon::start(&program, &arguments, log, |command| python.add_to(command)).map_err(failed)?;
        for _ in 0..READY_TRIES {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(Self { port, _daemon: daemon, _folder: folder });
            }
            std::thread::sleep(READY_PAUSE);
        }
        let said = fs::read_to_string(said).unwrap_or_default();
        Err(Missing(format!("moto did not come up: {}", said.lines().last().unwrap_or_default())))
    }

    /// Where it is, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
