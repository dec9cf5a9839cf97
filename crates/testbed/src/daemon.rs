//! A server that ends with the one who started it, however that one ends.

use std::fs::File;
use std::io;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Runs a command, and ends it when its own input ends.
const WATCHDOG: &str = r#""$@" & read -r _; kill -KILL $! 2>/dev/null; wait"#;

/// A running server. Dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Daemon {
    stdin: Option<ChildStdin>,
    watchdog: Child,
}

impl Daemon {
    /// Starts `program`; `command` is made from the watchdog's shell and gets folder and environment.
    pub(crate) fn start(
        program: &str,
        arguments: &[&str],
        log: File,
        set: impl FnOnce(&mut Command),
    ) -> io::Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", WATCHDOG, "watchdog", program]).args(arguments);
        command.stdin(Stdio::piped()).stderr(log.try_clone()?).stdout(log);
        set(&mut command);
        let mut watchdog = command.spawn()?;
        Ok(Self { stdin: watchdog.stdin.take(), watchdog })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Nothing can be done about a failure here, and nothing depends on it.
        let _ = self.watchdog.wait();
    }
}
