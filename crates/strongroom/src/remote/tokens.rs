//! The tokens that this machine keeps, in a file that only its owner reads.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strongroom_engine::{Code, Error, Result};

use super::Bearer;

const FILE: &str = "servers.json";
/// A file of many servers is a few kilobytes.
const FILE_MAX: u64 = 1 << 20;

/// What is kept, by the address of the service.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tokens {
    servers: BTreeMap<String, Kept>,
}

/// What is kept of one service.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    pub(crate) token: Bearer,
    /// The token's id, with which it is revoked.
    pub(crate) id: Option<String>,
}

impl Tokens {
    /// The file, in the folder that XDG's specification names.
    pub(crate) fn path() -> Result<PathBuf> {
        let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let config = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")));
        let config = config.ok_or_else(|| {
            Error::new(
                Code::Usage,
                "there is no place to keep a token: neither XDG_CONFIG_HOME nor HOME is set",
            )
            .help("Set one of them to a folder, or put the token into STRONGROOM_TOKEN.")
        })?;
        Ok(config.join("strongroom").join(FILE))
    }

    /// What the file holds; nothing if there is none.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let failed =
            |why: String| Error::new(Code::Usage, format!("the tokens cannot be read from `{shown}`: {why}"));
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(failed(e.to_string())),
        };
        let found = file.metadata().map_err(|e| failed(e.to_string()))?;
        if found.mode() & 0o077 != 0 {
            return Err(failed("others may read it".into()).help(format!(
                "Run `chmod 600 {shown}`. If others have read it, revoke its tokens as well."
            )));
        }
        let mut text = String::new();
        file.take(FILE_MAX).read_to_string(&mut text).map_err(|e| failed(e.to_string()))?;
        serde_json::from_str(&text).map_err(|e| {
            // What stands there may be a token: only the place is said.
            failed(format!("it is damaged in line {}", e.line())).help("Delete it, and sign in again.")
        })
    }

    pub(crate) fn get(&self, address: &str) -> Option<&Kept> {
        self.servers.get(address)
    }

    /// The address of the one service that there is a token for; none: there are several, or none.
    pub(crate) fn only(&self) -> Option<&str> {
        let mut addresses = self.servers.keys();
        addresses.next().filter(|_| addresses.next().is_none()).map(String::as_str)
    }

    pub(crate) fn put(&mut self, address: &str, kept: Kept) {
        self.servers.insert(address.into(), kept);
    }

    pub(crate) fn remove(&mut self, address: &str) -> Option<Kept> {
        self.servers.remove(address)
    }

    /// Writes the file anew, so that it is whole at any time.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let written = || -> io::Result<()> {
            let folder = path.parent().unwrap_or(Path::new("."));
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let new = folder.join(format!(".{FILE}.{:016x}", rand::random::<u64>()));
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
            let done = serde_json::to_writer_pretty(&mut file, self)
                .map_err(io::Error::from)
                .and_then(|()| writeln!(file))
                .and_then(|()| file.sync_all())
                .and_then(|()| fs::rename(&new, path));
            if done.is_err() {
                // The first failure is what counts.
                let _ = fs::remove_file(&new);
            }
            done
        };
        written().map_err(|e| {
            Error::new(Code::Internal, format!("the token cannot be kept in `{}`: {e}", path.display()))
                .caused_by(e)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_kept_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/strongroom/servers.json");
        assert!(Tokens::read(&path).unwrap().get("https://a").is_none());
        let mut tokens = Tokens::default();
        tokens.put("https://a", Kept { token: Bearer::new("CANARY".into()), id: None });
        tokens.write(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(Tokens::read(&path).unwrap().get("https://a").unwrap().token.expose(), "CANARY");
        assert!(!format!("{tokens:?}").contains("CANARY"));
    }

    #[test]
    fn a_file_that_others_can_read_or_that_is_damaged_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        fs::write(&path, "{\"servers\":{\"a\":{\"token\":[\"CANARY\"]}}}").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(Tokens::read(&path).unwrap_err().message().contains("others may read it"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = Tokens::read(&path).unwrap_err();
        assert!(error.message().contains("damaged in line 1") && !format!("{error:?}").contains("CANARY"));
    }
}
