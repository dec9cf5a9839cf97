//! Where the files of a dump are: in a folder, in a bucket, or one after another in a tar archive.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Handle;

use super::path::clean;
use super::tar;
use crate::bucket::{self, ObjectStore, StoreOptions};
use crate::error::{Code, Error, Result};
use crate::location::Location;
use crate::stream::decompress_any;

/// Opens what is read from its beginning, as often as it is needed.
pub type Opener = Arc<dyn Fn() -> Result<Box<dyn Read + Send>> + Send + Sync>;

/// The most files, and folders within folders: far more than a dump has.
const FILES_MAX: usize = 2_000_000;
const DEPTH_MAX: usize = 16;

/// The files of a dump.
pub(super) enum Files {
    Folder(PathBuf),
    Objects(Box<Objects>),
    Tar(Opener),
}

/// Whether a file is to be read, asked once for each.
pub(super) type Wanted<'a> = dyn FnMut(&str) -> io::Result<bool> + 'a;
/// Reads one.
pub(super) type Visit<'a> = dyn FnMut(&str, &mut dyn Read) -> io::Result<()> + 'a;

impl Files {
    /// Hands each file that is `wanted` to `visit`, decompressed, whatever it is called.
    ///
    /// # Errors
    /// As reading, `wanted` or `visit` fails, the latter two within the [`io::Error`].
    pub(super) fn each(&self, wanted: &mut Wanted<'_>, visit: &mut Visit<'_>) -> io::Result<()> {
        match self {
            Self::Folder(root) => {
                for path in below(root)? {
                    if wanted(&path)? {
                        plain(&path, Box::new(File::open(root.join(&path))?), visit)?;
                    }
                }
                Ok(())
            }
            Self::Objects(objects) => {
                for path in objects.paths()? {
                    if wanted(&path)? {
                        plain(&path, objects.open(&path).map_err(io::Error::other)?, visit)?;
                    }
                }
                Ok(())
            }
            Self::Tar(open) => {
                let mut stream = decompress_any(open().map_err(io::Error::other)?)?;
                tar::each(&mut stream, &mut |path, contents| {
                    if wanted(path)? { plain(path, Box::new(contents), visit) } else { Ok(()) }
                })
            }
        }
    }
}

fn plain(path: &str, contents: Box<dyn Read + Send + '_>, visit: &mut Visit<'_>) -> io::Result<()> {
    visit(path, &mut decompress_any(contents)?)
}

/// Paths of all files below a folder, sorted.
fn below(root: &Path) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    let mut folders = vec![(String::new(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let name = entry.file_name();
            let path = clean([folder.as_bytes(), b"/", name.as_encoded_bytes()].concat().as_slice())?;
            let kind = entry.file_type()?;
            if kind.is_dir() && depth < DEPTH_MAX {
                folders.push((path, depth + 1));
            } else if kind.is_file() && files.len() < FILES_MAX {
                files.push(path);
            } else if !kind.is_file() {
                return Err(not_plain(&path));
            } else {
                return Err(too_many());
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Files of a bucket, below a prefix.
pub(super) struct Objects {
    bucket: String,
    prefix: String,
    store: Arc<dyn ObjectStore>,
    options: StoreOptions,
    runtime: Handle,
}

impl Objects {
    pub(super) fn new(bucket: String, prefix: String, options: StoreOptions) -> Result<Self> {
        let location = Location::S3 { bucket: bucket.clone(), prefix: prefix.clone() };
        let store = bucket::open(&location, options.clone())?;
        Ok(Self { bucket, prefix, store, options, runtime: Handle::current() })
    }

    pub(super) fn is_empty(&self) -> Result<bool> {
        let listing = self.runtime.block_on(self.store.list(""))?;
        Ok(listing.folders.is_empty() && listing.objects.is_empty())
    }

    fn paths(&self) -> io::Result<Vec<String>> {
        let mut paths = Vec::new();
        let mut folders = vec![(String::new(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            let listing = self.runtime.block_on(self.store.list(&folder)).map_err(io::Error::other)?;
            let within =
                |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            paths.extend(listing.objects.iter().map(|object| within(&object.name)));
            folders.extend(listing.folders.iter().map(|name| (within(name), depth + 1)));
            if depth > DEPTH_MAX || paths.len() > FILES_MAX {
                return Err(too_many());
            }
        }
        paths.sort_unstable();
        Ok(paths)
    }

    fn open(&self, path: &str) -> Result<Box<dyn Read + Send>> {
        let key = if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) };
        let location = Location::S3 { bucket: self.bucket.clone(), prefix: key };
        bucket::open_object(&location, self.options.clone())
    }
}

fn not_plain(path: &str) -> io::Error {
    let what = format!("`{}` is no plain file, but a link or something else", path.escape_debug());
    io::Error::other(Error::new(Code::Usage, what).help("Take it away, or put the file itself there."))
}

fn too_many() -> io::Error {
    let what =
        format!("it holds more than {FILES_MAX} files, or folders nested more deeply than {DEPTH_MAX}");
    io::Error::other(Error::new(Code::Usage, what).help("Give the folder of the dump alone."))
}
