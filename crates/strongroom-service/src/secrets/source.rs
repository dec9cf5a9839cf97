//! Where master keys come from: a file that only its owner reads, or a variable of the environment.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use strongroom_engine::{Code, Error, Result};
use zeroize::Zeroizing;

use super::keyring::MasterKey;

/// A file of keys is a few lines; a larger one is something else.
const FILE_MAX: u64 = 64 * 1024;
/// Keys of one source: rotations need two.
const KEYS_MAX: usize = 16;

/// A place that master keys are read from, one a line as base64 or in hexadecimal digits, the one that seals first.
/// Empty lines and lines that begin with `#` do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file that nobody but its owner may read.
    File(PathBuf),
    /// The variable of this name.
    Environment(String),
}

impl KeySource {
    /// The keys. `environment` gives the value of a variable.
    ///
    /// # Errors
    /// `SR-MASTER-KEY`: the file or variable is missing, others may read the file, or something in it is no key.
    pub fn read(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Vec<MasterKey>> {
        match self {
            Self::File(path) => {
                let text = read_private(path)?;
                keys(&text).map_err(|e| e.context(format_args!("the file `{}`", path.display())))
            }
            Self::Environment(name) => {
                let text = environment(name).map(Zeroizing::new).ok_or_else(|| {
                    Error::new(
                        Code::MasterKey,
                        format!("the variable `{name}` with the master key is not set"),
                    )
                })?;
                keys(&text).map_err(|e| e.context(format_args!("the variable `{name}`")))
            }
        }
    }
}

/// The text of a file that only its owner may read.
fn read_private(path: &Path) -> Result<Zeroizing<String>> {
    let shown = path.display();
    let failed = |e: std::io::Error| {
        Error::new(Code::MasterKey, format!("the master key cannot be read from `{shown}`: {e}"))
            .help("`strongroom key generate FILE` makes one.")
            .caused_by(e)
    };
    let found = fs::metadata(path).map_err(failed)?;
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Error::new(
            Code::MasterKey,
            format!("others than its owner may read the master key in `{shown}` (mode {mode:04o})"),
        )
        .help(format!("Run `chmod 600 {shown}`.")));
    }
    if found.len() > FILE_MAX {
        let size = found.len();
        return Err(Error::new(
            Code::MasterKey,
            format!("`{shown}` is no file of keys: it has {size} bytes"),
        ));
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(failed)
}

fn keys(text: &str) -> Result<Vec<MasterKey>> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines: Vec<_> = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
    match lines.len() {
        0 => Err(Error::new(Code::MasterKey, "it holds no key")),
        1..=KEYS_MAX => lines
            .into_iter()
            .map(|(at, line)| key(line).map_err(|e| e.context(format_args!("line {at}"))))
            .collect(),
        many => {
            Err(Error::new(Code::MasterKey, format!("it holds {many} keys, and {KEYS_MAX} are the most")))
        }
    }
}

fn key(line: &str) -> Result<MasterKey> {
    let bytes = Zeroizing::new(hex::decode(line).or_else(|_| STANDARD.decode(line)).map_err(|_| {
        Error::new(Code::MasterKey, "a key is 64 hexadecimal digits, or 44 characters of base64")
    })?);
    MasterKey::new(&bytes)
}

/// Writes a new key into a file that must not exist yet, and that only its owner may read.
///
/// # Errors
/// `SR-MASTER-KEY` if the file exists or cannot be written.
pub fn write_new_key(path: &Path) -> Result<MasterKey> {
    let (key, line) = new_key()?;
    write_private(path, &line).map_err(|e| unwritten(path, e))?;
    Ok(key)
}

/// Puts a new key in front of those in a file. The file is replaced in one step: who reads it meanwhile sees the old
/// keys or all of them.
///
/// # Errors
/// `SR-MASTER-KEY` if the file holds no keys, others may read it, or it cannot be written.
pub fn put_new_key_first(path: &Path) -> Result<MasterKey> {
    let text = read_private(path)?;
    if keys(&text).map_err(|e| e.context(format_args!("the file `{}`", path.display())))?.len() >= KEYS_MAX {
        return Err(Error::new(
            Code::MasterKey,
            format!("`{}` holds {KEYS_MAX} keys, which are the most", path.display()),
        )
        .help("Remove those that the service does not need any more."));
    }
    let (key, line) = new_key()?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    let replaced = write_private(&beside, &Zeroizing::new(format!("{}{}", *line, *text))).and_then(|()| {
        like(path, &beside)?;
        fs::rename(&beside, path)
    });
    replaced.map_err(|e| {
        let _ = fs::remove_file(&beside);
        unwritten(path, e)
    })?;
    Ok(key)
}

fn new_key() -> Result<(MasterKey, Zeroizing<String>)> {
    let bytes = MasterKey::random_bytes()?;
    let text = Zeroizing::new(STANDARD.encode(*bytes));
    Ok((MasterKey::new(&*bytes)?, Zeroizing::new(format!("{}\n", *text))))
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Gives `to` the owner of `from`: root may rotate the keys of a service that runs as another user.
fn like(from: &Path, to: &Path) -> std::io::Result<()> {
    let (wanted, is) = (fs::metadata(from)?, fs::metadata(to)?);
    if (wanted.uid(), wanted.gid()) == (is.uid(), is.gid()) {
        return Ok(());
    }
    std::os::unix::fs::chown(to, Some(wanted.uid()), Some(wanted.gid()))
}

fn unwritten(path: &Path, why: std::io::Error) -> Error {
    let path = path.display();
    Error::new(Code::MasterKey, format!("the master key cannot be written to `{path}`: {why}")).caused_by(why)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn none(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn a_key_that_was_made_is_read_back_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let made = write_new_key(&path).unwrap();
        let read = KeySource::File(path.clone()).read(none).unwrap();
        assert_eq!(read.iter().map(MasterKey::id).collect::<Vec<_>>(), [made.id()]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(write_new_key(&path).unwrap_err().code(), Code::MasterKey);
    }

    #[test]
    fn a_master_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        write_new_key(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = KeySource::File(path.clone()).read(none).unwrap_err();
        assert_eq!(refused.code(), Code::MasterKey, "SR-MASTER-KEY");
        assert!(refused.message().contains("(mode 0640)"), "{refused}");
        assert!(refused.help_text().unwrap().to_string().contains("chmod 600"));
        let missing = KeySource::File(folder.path().join("none")).read(none).unwrap_err();
        assert!(missing.help_text().unwrap().to_string().contains("key generate"));
    }

    #[test]
    fn a_new_key_is_put_before_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let first = write_new_key(&path).unwrap();
        let second = put_new_key_first(&path).unwrap();
        let read = KeySource::File(path.clone()).read(none).unwrap();
        assert_eq!(read.iter().map(MasterKey::id).collect::<Vec<_>>(), [second.id(), first.id()]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(put_new_key_first(&folder.path().join("none")).is_err());
    }

    #[test]
    fn keys_are_read_in_both_spellings_and_errors_name_the_line_but_not_the_key() {
        let bytes = MasterKey::random_bytes().unwrap();
        let spelled = format!("# old\n{}\n\n {} \n", hex::encode(*bytes), STANDARD.encode(*bytes));
        let set = |text: &str| {
            let text = text.to_owned();
            KeySource::Environment("KEYS".into()).read(move |name| (name == "KEYS").then(|| text.clone()))
        };
        let read = set(&spelled).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].id(), read[1].id());
        let wrong = set(&format!("{}\nhush-hush", hex::encode(*bytes))).unwrap_err();
        assert!(wrong.message().contains("line 2") && !wrong.message().contains("hush"), "{wrong}");
        for text in ["", "#", "abcd", &"A".repeat(44), &spelled.repeat(9)] {
            assert_eq!(set(text).unwrap_err().code(), Code::MasterKey, "{text}");
        }
        assert!(KeySource::Environment("KEYS".into()).read(none).unwrap_err().message().contains("not set"));
    }
}
