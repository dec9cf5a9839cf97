//! One object as a stream: read in parts, so that it is never in memory whole.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::StoreOptions;
use super::s3::{Bucket, Part};
use crate::error::{Code, Error, Result};
use crate::location::Location;

/// Large enough to make round trips cheap; two are in memory, the one that is read and the one that comes next.
const PART_BYTES: u64 = 8 << 20;

/// Reads the object at `location`, whose prefix is its whole key. What fails while reading is an
/// [`Error`](crate::error::Error) within the [`io::Error`]. Reading blocks, and is not for the threads of the
/// runtime; this call is, and must be made on one.
///
/// # Errors
/// [`Code::Usage`] when no object is named; [`Code::ObjectMissing`] when there is no such file.
pub fn open_object(location: &Location, options: StoreOptions) -> Result<Box<dyn Read + Send>> {
    match location {
        Location::S3 { bucket, prefix } if prefix.is_empty() => {
            Err(Error::new(Code::Usage, format!("`s3://{bucket}` names a bucket, and no object in it"))
                .help("Write it as s3://bucket/key."))
        }
        Location::S3 { bucket, prefix } => Ok(Box::new(Parts {
            bucket: Arc::new(Bucket::new(bucket.clone(), String::new(), options)),
            key: prefix.clone(),
            runtime: Handle::current(),
            next: None,
            fetched: 0,
            etag: None,
            rest: Bytes::new(),
            ended: false,
        })),
        Location::Folder(path) => {
            let file = File::open(path).map_err(|e| {
                Error::new(Code::ObjectMissing, format!("`{}` cannot be read: {e}", path.display()))
            })?;
            Ok(Box::new(file))
        }
    }
}

/// An object of a bucket on its way, part by part.
struct Parts {
    bucket: Arc<Bucket>,
    key: String,
    runtime: Handle,
    /// The part that comes next is under way while this one is read.
    next: Option<JoinHandle<Result<Part>>>,
    /// Bytes fetched so far.
    fetched: u64,
    /// Every part must be of the same object.
    etag: Option<String>,
    /// What is fetched and not yet read.
    rest: Bytes,
    ended: bool,
}

impl Parts {
    fn begin(&self) -> JoinHandle<Result<Part>> {
        let (bucket, key, from) = (self.bucket.clone(), self.key.clone(), self.fetched);
        let etag = self.etag.clone();
        self.runtime.spawn(async move { bucket.part(&key, from, PART_BYTES, etag.as_deref()).await })
    }

    fn advance(&mut self) -> Result<()> {
        let coming = self.next.take().unwrap_or_else(|| self.begin());
        let part = self.runtime.block_on(coming);
        let part =
            part.map_err(|e| Error::new(Code::Internal, "a request ended abruptly").caused_by(e))??;
        self.fetched += part.body.len() as u64;
        let length = part.length.ok_or_else(|| {
            Error::new(Code::StoreHost, format!("the storage does not say how long `{}` is", self.key))
                .help("Fetch the object with another tool, and name the file.")
        })?;
        self.ended = self.fetched >= length;
        if part.body.is_empty() && !self.ended {
            let message = format!("the storage sent nothing of the rest of `{}`", self.key);
            return Err(Error::new(Code::StoreHost, message));
        }
        self.etag = part.etag;
        self.rest = part.body;
        if !self.ended {
            self.next = Some(self.begin());
        }
        Ok(())
    }
}

impl Read for Parts {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() && !self.ended {
            self.advance().map_err(io::Error::other)?;
        }
        let length = bytes.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut bytes[..length]);
        Ok(length)
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let Some(next) = &self.next {
            next.abort();
        }
    }
}
