//! Debian packages, unpacked into `target/tools` instead of installed: nobody needs to be root for it, and the
//! system stays as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::{self, Missing, run};

/// Packages, unpacked below a folder as they would be below `/`.
#[derive(Debug, Clone)]
pub(crate) struct Unpacked {
    root: PathBuf,
}

impl Unpacked {
    /// Fetches packages together with their dependencies that the system lacks, once for all test programs.
    ///
    /// # Errors
    /// Where there is no `apt-get` or `dpkg`, or it cannot fetch them.
    pub(crate) fn get(name: &str, packages: &[&str]) -> Result<Self, Missing> {
        Self::get_with(name, packages, |_| Ok(()))
    }

    /// As [`get`](Self::get), and changes what was unpacked, once.
    ///
    /// # Errors
    /// As [`get`](Self::get), and as `change` fails.
    pub(crate) fn get_with(
        name: &str,
        packages: &[&str],
        change: impl FnOnce(&Path) -> Result<(), Missing>,
    ) -> Result<Self, Missing> {
        let root = tools::once(name, packages, |root| {
            tools::announce(&format!(
                "fetching the Debian packages {} (up to a minute)",
                packages.join(", ")
            ));
            let work = tempfile::tempdir_in(tools::folder())
                .map_err(|e| Missing(format!("no temporary folder: {e}")))?;
            fetch(work.path(), packages)?;
            unpack(&archives(work.path()), root)?;
            change(root)
        })?;
        Ok(Self { root })
    }

    /// What stands for `/`.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A file or folder among the libraries.
    pub(crate) fn library(&self, name: &str) -> PathBuf {
        self.root.join("usr/lib/x86_64-linux-gnu").join(name)
    }

    /// Lets a command and what it starts find the programs and libraries.
    pub(crate) fn add_to(&self, command: &mut Command) {
        let libraries = [self.library(""), self.library("ceph"), self.root.join("lib/x86_64-linux-gnu")];
        prepend(command, "LD_LIBRARY_PATH", &libraries);
        prepend(command, "PATH", &[self.root.join("usr/bin")]);
    }
}

fn prepend(command: &mut Command, variable: &str, folders: &[PathBuf]) {
    let before = std::env::var(variable).unwrap_or_default();
    let mut all: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    // An empty entry would stand for the working directory.
    all.extend((!before.is_empty()).then_some(before));
    command.env(variable, all.join(":"));
}

fn archives(work: &Path) -> PathBuf {
    work.join("cache/archives")
}

/// With state of its own, so that neither the system's lock nor its (often empty) package lists matter.
fn fetch(work: &Path, packages: &[&str]) -> Result<(), Missing> {
    for folder in [work.join("state/lists/partial"), archives(work).join("partial")] {
        fs::create_dir_all(&folder)
            .map_err(|e| Missing(format!("cannot create {}: {e}", folder.display())))?;
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.arg("-qq").arg("-o").arg(format!("Dir::State={}", work.join("state").display()));
        command.arg("-o").arg(format!("Dir::Cache={}", work.join("cache").display()));
        command.args(["-o", "Dir::State::status=/var/lib/dpkg/status", "-o", "Debug::NoLocking=true"]);
        // Root would otherwise fetch as a user who may not write here.
        command.args(["-o", "APT::Sandbox::User=root"]).args(arguments);
        run(&mut command, &format!("fetch the Debian packages {}", packages.join(", ")))
    };
    apt(&["update"])?;
    let install = ["install", "--download-only", "--yes", "--no-install-recommends"];
    apt(&[&install[..], packages].concat())
}

fn unpack(archives: &Path, root: &Path) -> Result<(), Missing> {
    let listed = fs::read_dir(archives)
        .map_err(|e| Missing(format!("cannot read {}: {e}", archives.display())))?
        .filter_map(|entry| Some(entry.ok()?.path()));
    for package in listed.filter(|path| path.extension().is_some_and(|extension| extension == "deb")) {
        run(Command::new("dpkg").arg("-x").args([&package, root]), "unpack Debian packages")?;
    }
    Ok(())
}
