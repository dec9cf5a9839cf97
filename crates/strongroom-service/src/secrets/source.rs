//! Where master keys come from: a file that only its owner reads, a variable of the environment, or a file that AWS KMS
//! decrypts.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use strongroom_engine::bucket::{StoreOptions, kms};
use strongroom_engine::{Code, Error, Result};
use zeroize::Zeroizing;

use super::keyring::MasterKey;

/// A file of keys is a few lines; a larger one is something else.
const FILE_MAX: u64 = 64 * 1024;
/// Keys of one source: rotations need two.
const KEYS_MAX: usize = 16;
/// What KMS binds a master key to, and writes into its log.
const CONTEXT: kms::Context<'static> = &[("strongroom", "master-key")];

/// A place that master keys are read from, one a line, the one that seals first: as base64 or in hexadecimal digits, or
/// what KMS made of the key as base64. Empty lines and lines that begin with `#` do not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file that nobody but its owner may read.
    File(PathBuf),
    /// The variable of this name.
    Environment(String),
    /// A file that KMS decrypts.
    Kms(PathBuf, KmsKey),
}

/// A key in AWS KMS. Endpoint, region and credentials come from where every AWS tool takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsKey {
    /// Its id, ARN or alias.
    pub id: String,
    /// The AWS profile to use it with.
    pub profile: Option<String>,
}

impl KmsKey {
    fn options(&self) -> StoreOptions {
        StoreOptions { profile: self.profile.clone(), ..StoreOptions::default() }
    }
}

impl KeySource {
    /// The keys. `environment` gives the value of a variable.
    ///
    /// # Errors
    /// `SR-MASTER-KEY`: the file or variable is missing, others may read the file, or something in it is no key. The
    /// errors of KMS.
    pub async fn read(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Vec<MasterKey>> {
        match self {
            Self::File(path) => keys(&read_private(path)?).map_err(|e| in_file(path, e)),
            Self::Environment(name) => {
                let text = environment(name).map(Zeroizing::new).ok_or_else(|| {
                    Error::new(
                        Code::MasterKey,
                        format!("the variable `{name}` with the master key is not set"),
                    )
                })?;
                keys(&text).map_err(|e| e.context(format_args!("the variable `{name}`")))
            }
            Self::Kms(path, key) => unwrapped(&read_text(path)?, key).await.map_err(|e| in_file(path, e)),
        }
    }

    /// The file that the keys come from.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::Kms(path, _) => Some(path),
            Self::Environment(_) => None,
        }
    }
}

fn in_file(path: &Path, why: Error) -> Error {
    why.context(format_args!("the file `{}`", path.display()))
}

async fn unwrapped(text: &str, key: &KmsKey) -> Result<Vec<MasterKey>> {
    let mut keys = Vec::new();
    for (at, line) in lines(text)? {
        let wrapped = STANDARD.decode(line).map_err(|_| {
            Error::new(Code::MasterKey, format!("line {at}: a key that KMS encrypted is base64"))
        })?;
        let bytes = Zeroizing::new(kms::unwrap(&key.options(), &key.id, &wrapped, CONTEXT).await?);
        keys.push(MasterKey::new(&bytes).map_err(|e| e.context(format_args!("line {at}")))?);
    }
    Ok(keys)
}

/// The text of a file that only its owner may read.
fn read_private(path: &Path) -> Result<Zeroizing<String>> {
    let shown = path.display();
    let mode = fs::metadata(path).map_err(|e| unread(path, e))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(Error::new(
            Code::MasterKey,
            format!("others than its owner may read the master key in `{shown}` (mode {mode:04o})"),
        )
        .help(format!("Run `chmod 600 {shown}`.")));
    }
    read_text(path)
}

fn read_text(path: &Path) -> Result<Zeroizing<String>> {
    let size = fs::metadata(path).map_err(|e| unread(path, e))?.len();
    if size > FILE_MAX {
        let shown = path.display();
        return Err(Error::new(
            Code::MasterKey,
            format!("`{shown}` is no file of keys: it has {size} bytes"),
        ));
    }
    fs::read_to_string(path).map(Zeroizing::new).map_err(|e| unread(path, e))
}

fn unread(path: &Path, why: std::io::Error) -> Error {
    Error::new(Code::MasterKey, format!("the master key cannot be read from `{}`: {why}", path.display()))
        .help("`strongroom key generate FILE` makes one.")
        .caused_by(why)
}

/// The lines that hold keys, with their numbers.
fn lines(text: &str) -> Result<Vec<(usize, &str)>> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    let lines: Vec<_> = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
    match lines.len() {
        0 => Err(Error::new(Code::MasterKey, "it holds no key")),
        1..=KEYS_MAX => Ok(lines),
        many => {
            Err(Error::new(Code::MasterKey, format!("it holds {many} keys, and {KEYS_MAX} are the most")))
        }
    }
}

fn keys(text: &str) -> Result<Vec<MasterKey>> {
    let lines = lines(text)?.into_iter();
    lines.map(|(at, line)| key(line).map_err(|e| e.context(format_args!("line {at}")))).collect()
}

fn key(line: &str) -> Result<MasterKey> {
    let bytes = Zeroizing::new(hex::decode(line).or_else(|_| STANDARD.decode(line)).map_err(|_| {
        Error::new(Code::MasterKey, "a key is 64 hexadecimal digits, or 44 characters of base64")
    })?);
    MasterKey::new(&bytes)
}

/// Writes a new key into a file that must not exist yet, and that only its owner may read. With a key in KMS the file
/// holds what KMS made of it.
///
/// # Errors
/// `SR-MASTER-KEY` if the file exists or cannot be written; the errors of KMS.
pub async fn write_new_key(path: &Path, kms: Option<&KmsKey>) -> Result<MasterKey> {
    let (key, line) = new_key(kms).await?;
    write_private(path, &line).map_err(|e| unwritten(path, e))?;
    Ok(key)
}

/// Puts a new key in front of those in a file. The file is replaced in one step: who reads it meanwhile sees the old
/// keys or all of them.
///
/// # Errors
/// `SR-MASTER-KEY` if the file holds no keys, others may read it, or it cannot be written; the errors of KMS.
pub async fn put_new_key_first(path: &Path, kms: Option<&KmsKey>) -> Result<MasterKey> {
    let text = if kms.is_some() { read_text(path)? } else { read_private(path)? };
    let held = match kms {
        Some(_) => lines(&text).map(|lines| lines.len()),
        None => keys(&text).map(|keys| keys.len()),
    };
    if held.map_err(|e| in_file(path, e))? >= KEYS_MAX {
        let error = Error::new(Code::MasterKey, format!("it holds {KEYS_MAX} keys, which are the most"));
        return Err(in_file(path, error.help("Remove those that the service does not need any more.")));
    }
    let (key, line) = new_key(kms).await?;
    replace(path, &Zeroizing::new(format!("{}{}", *line, *text))).map_err(|e| unwritten(path, e))?;
    Ok(key)
}

/// A new key, and the line of a file that holds it.
async fn new_key(kms: Option<&KmsKey>) -> Result<(MasterKey, Zeroizing<String>)> {
    let bytes = MasterKey::random_bytes()?;
    let text = match kms {
        Some(key) => STANDARD.encode(kms::wrap(&key.options(), &key.id, &*bytes, CONTEXT).await?),
        None => STANDARD.encode(*bytes),
    };
    let text = Zeroizing::new(text);
    Ok((MasterKey::new(&*bytes)?, Zeroizing::new(format!("{}\n", *text))))
}

/// Replaces a file in one step.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    let replaced = write_private(&beside, text).and_then(|()| {
        like(path, &beside)?;
        fs::rename(&beside, path)
    });
    if replaced.is_err() {
        let _ = fs::remove_file(&beside);
    }
    replaced
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

    #[tokio::test]
    async fn a_key_that_was_made_is_read_back_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let made = write_new_key(&path, None).await.unwrap();
        let read = KeySource::File(path.clone()).read(none).await.unwrap();
        assert_eq!(read.iter().map(MasterKey::id).collect::<Vec<_>>(), [made.id()]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(write_new_key(&path, None).await.unwrap_err().code(), Code::MasterKey);
    }

    #[tokio::test]
    async fn a_master_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        write_new_key(&path, None).await.unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = KeySource::File(path.clone()).read(none).await.unwrap_err();
        assert_eq!(refused.code(), Code::MasterKey, "SR-MASTER-KEY");
        assert!(refused.message().contains("(mode 0640)"), "{refused}");
        assert!(refused.help_text().unwrap().to_string().contains("chmod 600"));
        let missing = KeySource::File(folder.path().join("none")).read(none).await.unwrap_err();
        assert!(missing.help_text().unwrap().to_string().contains("key generate"));
    }

    #[tokio::test]
    async fn a_new_key_is_put_before_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let first = write_new_key(&path, None).await.unwrap();
        let second = put_new_key_first(&path, None).await.unwrap();
        let read = KeySource::File(path.clone()).read(none).await.unwrap();
        assert_eq!(read.iter().map(MasterKey::id).collect::<Vec<_>>(), [second.id(), first.id()]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(put_new_key_first(&folder.path().join("none"), None).await.is_err());
    }

    #[tokio::test]
    async fn keys_are_read_in_both_spellings_and_errors_name_the_line_but_not_the_key() {
        let bytes = MasterKey::random_bytes().unwrap();
        let spelled = format!("# old\n{}\n\n {} \n", hex::encode(*bytes), STANDARD.encode(*bytes));
        let set = async |text: &str| {
            let source = KeySource::Environment("KEYS".into());
            source.read(|name| (name == "KEYS").then(|| text.to_owned())).await
        };
        let read = set(&spelled).await.unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].id(), read[1].id());
        let wrong = set(&format!("{}\nhush-hush", hex::encode(*bytes))).await.unwrap_err();
        assert!(wrong.message().contains("line 2") && !wrong.message().contains("hush"), "{wrong}");
        for text in ["", "#", "abcd", &"A".repeat(44), &spelled.repeat(9)] {
            assert_eq!(set(text).await.unwrap_err().code(), Code::MasterKey, "{text}");
        }
        assert!(
            KeySource::Environment("KEYS".into()).read(none).await.unwrap_err().message().contains("not set")
        );
    }
}
