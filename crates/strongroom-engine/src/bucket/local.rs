//! A folder as a store: the same names, each object a file that is there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::held::{self, Held};
use super::{Fetched, Listed, Listing, OBJECT_BYTES_MAX, ObjectStore, Sse, Stored};
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

/// A folder with the layout of a bucket. Only its owner may read what is in it. Its clones are the same store.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    location: Location,
    root: PathBuf,
    /// The folders that must stay where they are while this store is in use.
    held: Arc<Mutex<Held>>,
}

impl Folder {
    pub(super) fn new(root: PathBuf) -> Self {
        let held = Arc::new(Mutex::new(Held::new(root.clone())));
        Self { location: Location::Folder(root.clone()), root, held }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fails when there is no such folder, and when it may not be looked at.
    async fn there(&self) -> Result<()> {
        let looked = self.blocking(self.root.clone(), "list", |_, root| match fs::metadata(root)?.is_dir() {
            true => Ok(()),
            false => Err(ErrorKind::NotADirectory.into()),
        });
        match looked.await {
            Err(error) if error.code() == Code::ObjectMissing => Err(no_folder(&self.root)),
            other => other,
        }
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
        let outcome = tokio::task::spawn_blocking(move || {
            folder.held().check(&path)?;
            // A failure has another reason when the folder went away in the middle of it.
            work(&folder, &path).or_else(|error| folder.held().check(&path).and(Err(error)))
        });
        outcome
            .await
            .map_err(|e| Error::new(Code::Internal, "a file operation ended abruptly").caused_by(e))?
            .map_err(|e| explain(&e, &format!("cannot {doing} `{}`", named.display())))
    }

    /// A deletion beside it may remove the folder while it is still empty: then all of it again. A folder that
    /// something of this store is in is never made again.
    fn write(&self, path: &Path, body: &[u8]) -> io::Result<()> {
        for _ in 1..WRITES {
            match self.write_once(path, body) {
                Err(e) if e.kind() == ErrorKind::NotFound => self.held().check(path)?,
                other => return other,
            }
        }
        self.write_once(path, body)
    }

    /// A plan's folder may be a link to where there is room. Below it a link leads to what may be of another backup: through
    /// it is read, and nothing is written or deleted.
    fn below_no_link(&self, path: &Path) -> io::Result<()> {
        let own = path.ancestors().skip(1).take_while(|a| *a != self.root && a.parent() != Some(&self.root));
        match own.filter(|folder| folder.is_symlink()).last() {
            Some(link) => Err(io::Error::other(format!(
                "`{}` is a link, and what it leads to may belong to another backup",
                link.display()
            ))),
            None => Ok(()),
        }
    }

    fn write_once(&self, path: &Path, body: &[u8]) -> io::Result<()> {
        self.below_no_link(path)?;
        let folder = path.parent().unwrap_or(&self.root);
        create_folders(folder)?;
        let partial = folder.join(format!("{PARTIAL}{:016x}", rand::random::<u64>()));
        // The open file holds the lock that says that somebody is still at it.
        let written = write_whole(&partial, body).and_then(|_locked| publish(&partial, path));
        // After a success the partial name may still be there as a second link.
        match fs::remove_file(&partial) {
            Err(e) if e.kind() != ErrorKind::NotFound && written.is_ok() => return Err(e),
            _ => {}
        }
        written?;
        sync(folder)?;
        // What was mounted here may be gone since the folders were looked at: then this is not where the rest is.
        let mut held = self.held();
        held.check(path).and_then(|()| held.written(path))
    }
}

/// Creates the folders down to `folder`, and makes the name of each new one last.
fn create_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let new = folder.ancestors().take_while(|ancestor| !ancestor.is_dir()).count();
    fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    // The last of these was there before, and holds the name of the uppermost new one.
    folder.ancestors().take(new + 1).try_for_each(sync)
}

/// Opens what must be a file. To open a pipe would wait for somebody to write into it.
fn open_file(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() {
        return File::open(path);
    }
    Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file"))
}

/// The first bytes of a file, `bytes_max` of them at most. Memory grows with what is there, and not with what somebody
/// says that there is.
fn read_start(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = open_file(path)?;
    let length = file.metadata()?.len().min(bytes_max).min(OBJECT_BYTES_MAX);
    let mut body = Vec::new();
    body.try_reserve_exact(usize::try_from(length).unwrap_or(usize::MAX))?;
    file.take(bytes_max).read_to_end(&mut body)?;
    Ok(body)
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
        if partial && open_file(&entry.path()).is_ok_and(|file| file.try_lock().is_ok()) {
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
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                    Ok(read_start(path, (body.len() as u64).saturating_add(1))? == body)
                }
                other => other.map(|()| true),
            });
        if written.await? {
            return Ok(Stored::default());
        }
        Err(Error::new(
            Code::ObjectExists,
            format!("`{key}` is in {} already, with other bytes", self.location),
        )
        .help("Something else writes there; nothing of it was touched. Start the backup again."))
    }

    async fn get(&self, key: &str, _version_id: Option<&str>, bytes_max: u64) -> Result<Fetched> {
        let bytes_max = bytes_max.min(OBJECT_BYTES_MAX);
        let found = self.get_start(key, bytes_max.saturating_add(1)).await?;
        match found.body.len() as u64 > bytes_max {
            true => Err(Error::new(Code::Damaged, format!("`{key}` is longer than {bytes_max} bytes"))),
            false => Ok(found),
        }
    }

    async fn get_start(&self, key: &str, bytes_max: u64) -> Result<Fetched> {
        let read = self.blocking(self.path(key)?, "read", move |_, path| read_start(path, bytes_max));
        match read.await {
            Ok(body) => Ok(Fetched { body: body.into(), version_id: None }),
            Err(error) if error.code() == Code::ObjectMissing => self.there().await.and(Err(error)),
            Err(error) => Err(error),
        }
    }

    async fn list(&self, folder: &str) -> Result<Listing> {
        self.there().await?;
        let path = if folder.is_empty() { self.root.clone() } else { self.path(folder)? };
        self.blocking(path, "list", |_, path| names_in(path)).await
    }

    async fn delete(&self, key: &str, _version_id: Option<&str>) -> Result<()> {
        self.blocking(self.path(key)?, "delete", |folder, path| {
            folder.below_no_link(path)?;
            folder.held().deleted(path);
            // What is deleted next must not be gone from the disk before this is; a folder that is gone lasts as well.
            let removed = fs::remove_file(path).and_then(|()| path.parent().map_or(Ok(()), sync));
            match removed {
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
        // What a link leads to counts, as it does when an object is read below it; a link that leads nowhere is there, too.
        let Ok(found) = fs::metadata(entry.path()).or_else(|_| entry.metadata()) else { continue };
        if found.is_dir() {
            listing.folders.push(name);
        } else if !name.starts_with(PARTIAL) {
            let modified = found.modified().ok().map(Into::into);
            listing.objects.push(Listed { name, bytes: found.len(), modified });
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
    if held::says_so(error) {
        return Error::new(Code::BucketMissing, message).help(
            "It was removed, or what was mounted there no longer is. Nothing was made anew in its place. Bring it back, then \
             begin again.",
        );
    }
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
        assert_eq!(folder.list("plan").await.unwrap().names().collect::<Vec<_>>(), ["one"]);
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

    /// What happens to a mounted disk, and to a folder that somebody clears away.
    #[tokio::test]
    async fn a_folder_that_vanishes_is_an_error_and_is_not_made_anew() {
        for gone in ["", "plan", "plan/id", "plan/id/segments"] {
            for replaced in [false, true] {
                let (temporary, folder) = store();
                put(&folder, "plan/id/segments/0").await.unwrap();
                let vanishes = folder.root.join(gone);
                fs::rename(&vanishes, temporary.path().join("elsewhere")).unwrap();
                if replaced {
                    fs::create_dir_all(&vanishes).unwrap();
                }
                for key in ["plan/id/segments/1", "plan/id/segments/deeper/2"] {
                    let error = put(&folder, key).await.unwrap_err();
                    assert_eq!(error.code(), Code::BucketMissing, "{gone} {replaced}: {error}");
                    assert!(error.message().contains("vanished"), "{error}");
                }
                let error = folder.get("plan/id/segments/0", None, 10).await.unwrap_err();
                assert_eq!(error.code(), Code::BucketMissing, "{gone} {replaced}: {error}");
                assert_eq!(vanishes.exists(), replaced, "{gone}");
            }
        }
    }

    #[tokio::test]
    async fn a_location_that_vanishes_after_it_was_listed_is_not_made_anew() {
        let (temporary, folder) = store();
        fs::create_dir(&folder.root).unwrap();
        folder.list("").await.unwrap();
        fs::rename(&folder.root, temporary.path().join("elsewhere")).unwrap();
        assert_eq!(put(&folder, "plan/one").await.unwrap_err().code(), Code::BucketMissing);
        assert!(!folder.root.exists());
    }

    #[tokio::test]
    async fn what_is_no_file_is_an_error_and_never_waited_for() {
        use std::os::unix::net::UnixListener;
        let (_temporary, folder) = store();
        put(&folder, "plan/one").await.unwrap();
        let made = std::process::Command::new("mkfifo").arg(folder.root.join("plan/pipe")).status();
        assert!(made.unwrap().success());
        let _socket = UnixListener::bind(folder.root.join("plan/socket")).unwrap();
        fs::create_dir(folder.root.join("plan/folder")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.root.join("plan/device")).unwrap();
        for name in ["pipe", "socket", "folder", "device"] {
            let key = format!("plan/{name}");
            for error in [
                folder.get(&key, None, 10).await.unwrap_err(),
                folder.get_start(&key, 10).await.unwrap_err(),
                put(&folder, &key).await.unwrap_err(),
            ] {
                assert!(error.message().contains("it is not a file"), "{name}: {error}");
            }
        }
    }

    #[tokio::test]
    async fn a_file_longer_than_any_object_is_not_read_whole() {
        let (_temporary, folder) = store();
        fs::create_dir(&folder.root).unwrap();
        File::create(folder.root.join("huge")).unwrap().set_len(1 << 40).unwrap();
        let error = folder.get("huge", None, 32 << 40).await.unwrap_err();
        assert_eq!(error.code(), Code::Damaged);
        assert_eq!(folder.get_start("huge", 7).await.unwrap().body, [0_u8; 7][..]);
    }

    #[tokio::test]
    async fn a_plan_that_is_a_link_is_listed_as_it_is_written() {
        let (temporary, folder) = store();
        fs::create_dir(&folder.root).unwrap();
        let other = temporary.path().join("other");
        fs::create_dir(&other).unwrap();
        std::os::unix::fs::symlink(&other, folder.root.join("plan")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.root.join("broken")).unwrap();
        put(&folder, "plan/id/one").await.unwrap();
        assert_eq!(folder.list("").await.unwrap().folders, ["plan"]);
        assert_eq!(folder.list("plan").await.unwrap().folders, ["id"]);
        folder.delete("plan/id/one", None).await.unwrap();
        assert_eq!(folder.list("plan").await.unwrap(), Listing::default());
    }

    #[test]
    fn a_refusal_is_not_taken_for_a_folder_that_is_missing() {
        for (kind, code) in
            [(ErrorKind::PermissionDenied, Code::Denied), (ErrorKind::NotFound, Code::ObjectMissing)]
        {
            assert_eq!(explain(&kind.into(), "cannot list").code(), code);
        }
    }
}
