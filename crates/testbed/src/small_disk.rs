//! A file system too small for what is written to it. It is mounted in a user namespace, which needs no root, but a
//! kernel or container that allows such namespaces.

use std::path::Path;
use std::process::Command;

use crate::tools::{Missing, run};

const MOUNT: &str = r#"mount -t tmpfs -o size=1m none "$1" && exec sh -c "$2" sh "$@""#;

/// A command that mounts 1 MiB at `folder` and runs a shell script, whose arguments are `folder`, the script itself
/// and what is added to the command. The file system is gone when the script ends.
#[must_use]
pub fn command(folder: &Path, script: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", MOUNT, "sh"]).arg(folder).arg(script);
    command
}

/// Whether one can be mounted here.
///
/// # Errors
/// Where it cannot, with what the system says.
pub fn try_it() -> Result<(), Missing> {
    let folder = tempfile::tempdir().map_err(|e| Missing(format!("no temporary folder: {e}")))?;
    run(&mut command(folder.path(), "true"), "mount a file system in a user namespace")
}
