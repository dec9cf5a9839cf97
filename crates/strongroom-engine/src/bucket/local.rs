//! A folder as a store: the same names, each object a file that is there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Fetched, Listing, ObjectStore, Sse, Stored};
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Command;
use crate::location::Location;

/// How the names of files that are not finished begin; no object's name does.
const PARTIAL: &str = ".partial-";
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Tries of a write whose folder is taken away by a deletion beside it.
const WRITES: usize = 5;

/// A folder with the layout of a bucket. Only its owner may read what is in it.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    location: Location,
    root: PathBuf,
}

impl Folder {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { location: Location::Folder(root.clone()), root }
    }

    /// Keys come from manifests too: nothing in one may lead out of the folder.
    fn path(&self, key: &str) -> Result<PathBuf> {
        let bad =
            |part: &str| matches!(part, "" | "." | "..") || part.contains('\0') || part.starts_with(PARTIAL);
        if key.split('/').any(bad) {
            return Err(Error::new(Code::Damaged, format!("`{key}` cannot be the name of an object")));
        }
        Ok(self.root.join(key))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        path: PathBuf,
        doing: &'static str,
        work: impl FnOnce(&Self, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = self.clone();
        let named = path.clone();
        let outcome = tokio::task::spawn_blocking(move || work(&folder, &path)).await;
        outcome
            .map_err(|e| Error::new(Code::Internal, "a file operation ended abruptly").caused_by(e))?
            .map_err(|e| explain(&e, &format!("cannot {doing} `{}`", named.display())))
    }

    /// Creates the folders down to `folder`, and makes their names last.
    fn create_folders(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
        for ancestor in folder.ancestors().take_while(|a| a.starts_with(&self.root)) {
            sync(ancestor)?;
        }
        self.root.parent().map_or(Ok(()), sync)
    }

    /// A deletion beside it may remove the folder while it is still empty: then all of it again.
    fn write(&self, path: &Path, body: &[u8]) -> io::Result<()> {
        for _ in 1..WRITES {
            match self.write_once(path, body) {
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                other => return other,
            }
        }
        self.write_once(path, body)
    }

    fn write_once(&self, path: &Path, body: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        self.create_folders(folder)?;
        let partial = folder.join(format!("{PARTIAL}{:016x}", rand::random::<u64>()));
        // The open file holds the lock that says that somebody is still at it.
        let written = write_whole(&partial, body).and_then(|_locked| publish(&partial, path));
        // After a success the partial name may still be there as a second link.
        match fs::remove_file(&partial) {
            Err(e) if e.kind() != ErrorKind::NotFound && written.is_ok() => return Err(e),
            _ => {}
        }
        written?;
        sync(folder)
    }
}

/// Returns the file, locked: the lock ends with the process, however that ends.
fn write_whole(path: &Path, body: &[u8]) -> io::Result<File> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    match file.lock() {
        Err(e) if e.kind() != ErrorKind::Unsupported => return Err(e),
        _ => {}
    }
    file.write_all(body)?;
    file.sync_all()?;
    Ok(file)
}

/// Removes what writers left in a folder when they were killed. Who still writes holds a lock.
fn remove_abandoned(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let partial = entry.file_name().to_str().is_some_and(|name| name.starts_with(PARTIAL));
        if partial && File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Gives the finished file its name, and never replaces another: a link fails where the name is taken. File
/// systems without links get a rename after a look.
fn publish(partial: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(partial, path) {
        Err(e) if matches!(e.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            if path.try_exists()? {
                return Err(ErrorKind::AlreadyExists.into());
            }
            fs::rename(partial, path)
        }
        other => other,
    }
}

/// A folder's names last only when the folder itself is synced.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[async_trait]
impl ObjectStore for Folder {
    fn location(&self) -> &Location {
        &self.location
    }

    async fn put(&self, key: &str, body: Bytes, _sha256: &[u8; 32], sse: &Sse) -> Result<Stored> {
        if *sse != Sse::None {
            return Err(Error::new(Code::Usage, "a folder has no server-side encryption"));
        }
        let written =
            self.blocking(self.path(key)?, "write", move |folder, path| match folder.write(path, &body) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(fs::read(path)? == body),
                other => other.map(|()| true),
            });
        if written.await? {
            return Ok(Stored::default());
        }
        Err(Error::new(
            Code::ObjectExists,
            format!("`{key}` is in {} already, with other bytes", self.location),
        ))
    }

    async fn get(&self, key: &str, _version_id: Option<&str>, bytes_max: u64) -> Result<Fetched> {
        let read = self.blocking(self.path(key)?, "read", move |_, path| {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            let mut body = Vec::with_capacity(usize::try_from(length.min(bytes_max)).unwrap_or(0));
            file.take(bytes_max.saturating_add(1)).read_to_end(&mut body)?;
            Ok(body)
        });
        match read.await {
            Ok(body) if body.len() as u64 > bytes_max => {
                Err(Error::new(Code::Damaged, format!("`{key}` is longer than {bytes_max} bytes")))
            }
            Ok(body) => Ok(Fetched { body: body.into(), version_id: None }),
            Err(error) if error.code() == Code::ObjectMissing && !self.root.is_dir() => {
                Err(no_folder(&self.root))
            }
            Err(error) => Err(error),
        }
    }

    async fn get_start(&self, key: &str, bytes_max: u64) -> Result<Fetched> {
        let read = self.blocking(self.path(key)?, "read", move |_, path| {
            let mut body = Vec::new();
            File::open(path)?.take(bytes_max).read_to_end(&mut body)?;
            Ok(body)
        });
        match read.await {
            Ok(body) => Ok(Fetched { body: body.into(), version_id: None }),
            Err(error) if error.code() == Code::ObjectMissing && !self.root.is_dir() => {
                Err(no_folder(&self.root))
            }
            Err(error) => Err(error),
        }
    }

    async fn list(&self, folder: &str) -> Result<Listing> {
        if !self.root.is_dir() {
            return Err(no_folder(&self.root));
        }
        let path = if folder.is_empty() { self.root.clone() } else { self.path(folder)? };
        self.blocking(path, "list", |_, path| names_in(path)).await
    }

    async fn delete(&self, key: &str, _version_id: Option<&str>) -> Result<()> {
        self.blocking(self.path(key)?, "delete", |folder, path| {
            match fs::remove_file(path) {
                Err(e) if is_missing(&e) => {}
                other => other?,
            }
            // A folder in a bucket is there as long as something is in it. One that stays is no failure:
            // something is in it, or it is gone already.
            for ancestor in path.ancestors().skip(1).take_while(|a| *a != folder.root) {
                if remove_abandoned(ancestor).and_then(|()| fs::remove_dir(ancestor)).is_err() {
                    break;
                }
            }
            Ok(())
        })
        .await
    }
}

fn names_in(folder: &Path) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let entries = match fs::read_dir(folder) {
        Err(e) if is_missing(&e) => return Ok(listing),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if entry.file_type()?.is_dir() {
            listing.folders.push(name);
        } else if !name.starts_with(PARTIAL) {
            listing.objects.push(name);
        }
    }
    listing.folders.sort_unstable();
    listing.objects.sort_unstable();
    Ok(listing)
}

/// Below the name of an object there is nothing, as there is below a name that is not there.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn no_folder(root: &Path) -> Error {
    Error::new(Code::BucketMissing, format!("there is no folder `{}`", root.display())).help(help![
        "Check the path; ",
        Command::Backup,
        " creates it."
    ])
}

fn explain(error: &io::Error, doing: &str) -> Error {
    let message = format!("{doing}: {error}");
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::new(Code::Space, message).help(help![
            "Free some space (",
            Command::Delete,
            " removes backups) or back up to another place."
        ]),
        _ if is_missing(error) => Error::new(Code::ObjectMissing, message),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Error::new(Code::Denied, message)
            .help("Give the user that runs Strongroom the right to read and write this folder."),
        _ => Error::new(Code::Store, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Folder) {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(temporary.path().join("store"));
        (temporary, folder)
    }

    async fn put(folder: &Folder, key: &str) -> Result<Stored> {
        folder.put(key, Bytes::from_static(b"x"), &[0; 32], &Sse::None).await
    }

    #[tokio::test]
    async fn no_key_leads_out_of_the_folder() {
        let (temporary, folder) = store();
        for key in ["../x", "/etc/passwd", "a/../../x", "a//b", "", "a/.partial-1", "a\0b"] {
            assert!(put(&folder, key).await.is_err(), "{key}");
            assert!(folder.get(key, None, 10).await.is_err(), "{key}");
            assert!(folder.delete(key, None).await.is_err(), "{key}");
        }
        assert!(!temporary.path().join("x").exists());
    }

    #[tokio::test]
    async fn only_the_owner_may_read_what_is_stored() {
        use std::os::unix::fs::PermissionsExt;
        let (_temporary, folder) = store();
        put(&folder, "plan/one").await.unwrap();
        for (name, mode) in [("", FOLDER_MODE), ("plan", FOLDER_MODE), ("plan/one", FILE_MODE)] {
            let found = fs::metadata(folder.root.join(name)).unwrap().permissions().mode();
            assert_eq!(found & 0o777, mode, "{name}");
        }
    }

    #[tokio::test]
    async fn what_a_killed_writer_left_does_not_keep_a_deleted_folder() {
        let (_temporary, folder) = store();
        put(&folder, "plan/one").await.unwrap();
        fs::write(folder.root.join("plan/.partial-0"), b"half").unwrap();
        assert_eq!(folder.list("plan").await.unwrap().objects, ["one"]);
        folder.delete("plan/one", None).await.unwrap();
        assert!(!folder.root.join("plan").exists());
    }

    #[tokio::test]
    async fn what_is_being_written_is_left_to_its_writer() {
        let (_temporary, folder) = store();
        put(&folder, "plan/one").await.unwrap();
        let partial = folder.root.join("plan/.partial-0");
        let writer = write_whole(&partial, b"half").unwrap();
        folder.delete("plan/one", None).await.unwrap();
        assert!(partial.exists());
        drop(writer);
        folder.delete("plan/one", None).await.unwrap();
        assert!(!folder.root.join("plan").exists());
    }

    /// Deletions remove empty folders; writers beside them must not notice.
    #[tokio::test(flavor = "multi_thread")]
    async fn writing_and_deleting_side_by_side_in_one_folder_both_succeed() {
        let (_temporary, folder) = store();
        let work = (0..4).map(|worker| {
            let folder = folder.clone();
            tokio::spawn(async move {
                for round in 0..50 {
                    let key = format!("plan/{worker}-{round}");
                    put(&folder, &key).await.unwrap();
                    folder.delete(&key, None).await.unwrap();
                }
            })
        });
        for done in work.collect::<Vec<_>>() {
            done.await.unwrap();
        }
        assert_eq!(folder.list("").await.unwrap(), Listing::default());
    }
}
