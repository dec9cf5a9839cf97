//! The folders that a store in use must find where they were: a disk that is unmounted, or a folder that is removed, in
//! the middle of a job is an error, and is not made anew where it stood.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is held, and what for.
#[derive(Debug)]
pub(super) struct Held {
    root: PathBuf,
    /// Each folder, and how many objects of this store are below it. While it is open nothing else gets its number.
    folders: HashMap<PathBuf, (File, usize)>,
    /// What this store wrote and did not delete.
    written: HashSet<PathBuf>,
}

/// A folder that is held is not there any more.
#[derive(Debug)]
struct Vanished(PathBuf);

impl fmt::Display for Vanished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the folder `{}` that was there has vanished", self.0.display())
    }
}

impl std::error::Error for Vanished {}

/// Whether an error is that of a folder that vanished.
pub(super) fn says_so(error: &io::Error) -> bool {
    matches!(error.get_ref(), Some(inner) if inner.is::<Vanished>())
}

impl Held {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, folders: HashMap::new(), written: HashSet::new() }
    }

    /// Fails when a folder above `path` is not the one that it was. The location itself is held from the first time
    /// that it is seen.
    pub(super) fn check(&mut self, path: &Path) -> io::Result<()> {
        for folder in path.ancestors().take_while(|ancestor| ancestor.starts_with(&self.root)) {
            let Some((open, _)) = self.folders.get(folder) else { continue };
            let same = |found: &Metadata| {
                open.metadata().is_ok_and(|held| (held.dev(), held.ino()) == (found.dev(), found.ino()))
            };
            match fs::metadata(folder) {
                Ok(found) if same(&found) => {}
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Err(e),
                _ => return Err(io::Error::other(Vanished(folder.to_owned()))),
            }
        }
        if !self.folders.contains_key(&self.root) && self.root.is_dir() {
            // Where it may not be opened, what comes next says so.
            if let Ok(open) = File::open(&self.root) {
                self.folders.insert(self.root.clone(), (open, 1));
            }
        }
        Ok(())
    }

    /// An object was written: the folders above it must stay.
    pub(super) fn written(&mut self, path: &Path) -> io::Result<()> {
        if !self.written.insert(path.to_owned()) {
            return Ok(());
        }
        for folder in above(&self.root, path) {
            match self.folders.get_mut(folder) {
                Some((_, objects)) => *objects += 1,
                None => {
                    self.folders.insert(folder.to_owned(), (File::open(folder)?, 1));
                }
            }
        }
        Ok(())
    }

    /// An object was deleted: a folder that holds no other of this store may go.
    pub(super) fn deleted(&mut self, path: &Path) {
        if !self.written.remove(path) {
            return;
        }
        for folder in above(&self.root, path) {
            if let Some((_, objects)) = self.folders.get_mut(folder) {
                *objects -= 1;
                if *objects == 0 {
                    self.folders.remove(folder);
                }
            }
        }
    }
}

/// The folders between the location and an object in it.
fn above<'a>(root: &'a Path, path: &'a Path) -> impl Iterator<Item = &'a Path> {
    path.ancestors().skip(1).take_while(move |ancestor| *ancestor != root && ancestor.starts_with(root))
}
