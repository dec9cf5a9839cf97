//! Access keys in the file that every AWS tool reads, `~/.aws/credentials`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use strongroom_engine::error::{Code, Error, Result};
use strongroom_engine::guard::provision::NewKey;

fn credentials_file() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("AWS_SHARED_CREDENTIALS_FILE") {
        return Ok(path.into());
    }
    let home = std::env::var_os("HOME")
        .ok_or_else(|| Error::new(Code::Usage, "HOME is not set: where is ~/.aws/credentials?"))?;
    Ok(Path::new(&home).join(".aws/credentials"))
}

/// Refuses a name that is taken or cannot be written, before a key is created that could not be kept.
pub(super) fn check_free(profile: &str) -> Result<()> {
    let path = credentials_file()?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if profile.is_empty() || !profile.chars().all(fits) {
        return Err(Error::new(Code::Usage, format!("`{profile}` cannot name a profile"))
            .help("Use letters, digits, `-`, `_` and `.`."));
    }
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(unwritable(&path, &e)),
    };
    if text.lines().any(|line| line.trim() == format!("[{profile}]")) {
        return Err(Error::new(
            Code::Usage,
            format!("`{}` has a profile `{profile}` already", path.display()),
        )
        .help("Choose another name, or take that one out."));
    }
    open(&path).map(drop)
}

fn open(path: &Path) -> Result<fs::File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| unwritable(path, &e))?;
    }
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(|e| unwritable(path, &e))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::new(Code::Usage, format!("`{}` cannot be written: {error}", path.display()))
        .help("Nothing was changed.")
}

/// Writes keys to the profile; several to profiles with the users' roles behind the name.
pub(super) fn write(profile: &str, keys: &[NewKey]) -> Result<()> {
    let path = credentials_file()?;
    let mut file = open(&path)?;
    for NewKey { user, key } in keys {
        let role = user
            .rsplit('-')
            .next()
            .filter(|_| keys.len() > 1)
            .map(|role| format!("-{role}"))
            .unwrap_or_default();
        let section = format!(
            "\n[{profile}{role}]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            key.id, key.secret
        );
        file.write_all(section.as_bytes()).map_err(|e| {
            unwritable(&path, &e).help("The key is shown above instead: its secret cannot be shown again.")
        })?;
    }
    Ok(())
}
