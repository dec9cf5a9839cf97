//! A folder as a store: the same names, each object a file that is there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Fetched, Listing, ObjectStore, Sse, Stored};
use crate::error::{Code, Error, Result};
use crate::location::Location;

/// How the names of files that are not finished begin; no object's name does.
const PARTIAL: &str = ".partial-";
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

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
        key: &str,
        doing: &'static str,
        work: impl FnOnce(&Self, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let path = self.path(key)?;
        let folder = self.clone();
        let named = path.clone();
        let outcome = tokio::task::spawn_blocking(move || work(&folder, &path)).await;
        outcome
            .map_err(|e| Error::new(Code::Internal, "a file operation ended abruptly").source(e))?
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

    fn write(&self, path: &Path, body: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        self.create_folders(folder)?;
        let partial = folder.join(format!("{PARTIAL}{:016x}", rand::random::<u64>()));
        let written = write_whole(&partial, body).and_then(|()| publish(&partial, path));
        // After a success the partial name may still be there as a second link.
        match fs::remove_file(&partial) {
            Err(e) if e.kind() != ErrorKind::NotFound && written.is_ok() => return Err(e),
            _ => {}
        }
        written?;
        sync(folder)
    }
}

fn write_whole(path: &Path, body: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.write_all(body)?;
    file.sync_all()
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
        let written = self.blocking(key, "write", move |folder, path| match folder.write(path, &body) {
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
        let read = self.blocking(key, "read", move |_, path| {
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

    async fn list(&self, folder: &str) -> Result<Listing> {
        if !self.root.is_dir() {
            return Err(no_folder(&self.root));
        }
        let path = if folder.is_empty() { self.root.clone() } else { self.path(folder)? };
        let mut listing = Listing::default();
        let entries = match fs::read_dir(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(listing),
            other => other.map_err(|e| explain(&e, &format!("cannot list `{}`", path.display())))?,
        };
        for entry in entries {
            let entry = entry.map_err(|e| explain(&e, &format!("cannot list `{}`", path.display())))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let kind = entry.file_type().map_err(|e| explain(&e, &format!("cannot look at `{name}`")))?;
            if kind.is_dir() {
                listing.folders.push(name);
            } else if !name.starts_with(PARTIAL) {
                listing.objects.push(name);
            }
        }
        listing.folders.sort_unstable();
        listing.objects.sort_unstable();
        Ok(listing)
    }

    async fn delete(&self, key: &str, _version_id: Option<&str>) -> Result<()> {
        self.blocking(key, "delete", |folder, path| {
            match fs::remove_file(path) {
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                other => other?,
            }
            // A folder in a bucket is there as long as something is in it.
            for ancestor in path.ancestors().skip(1).take_while(|a| *a != folder.root) {
                if fs::remove_dir(ancestor).is_err() {
                    break;
                }
            }
            Ok(())
        })
        .await
    }
}

fn no_folder(root: &Path) -> Error {
    Error::new(Code::BucketMissing, format!("there is no folder `{}`", root.display()))
        .help("Check the path; `strongroom backup` creates it.")
}

fn explain(error: &io::Error, doing: &str) -> Error {
    let message = format!("{doing}: {error}");
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::new(Code::Space, message)
            .help("Free some space (`strongroom delete` removes backups) or back up to another place."),
        ErrorKind::NotFound => Error::new(Code::ObjectMissing, message),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Error::new(Code::Denied, message)
            .help("Give the user that runs Strongroom the right to read and write this folder."),
        _ => Error::new(Code::Store, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_key_leads_out_of_the_folder() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(temporary.path().join("store"));
        for key in ["../x", "/etc/passwd", "a/../../x", "a//b", "", "a/.partial-1", "a\0b"] {
            assert!(folder.put(key, Bytes::from_static(b"x"), &[0; 32], &Sse::None).await.is_err(), "{key}");
            assert!(folder.get(key, None, 10).await.is_err(), "{key}");
        }
        assert!(!temporary.path().join("x").exists());
    }
}
