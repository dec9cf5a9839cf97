//! One backup as one mongodump archive, for stock tools.

use std::io::{self, Read, Write};
use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio::task::block_in_place;

use crate::bucket::ObjectStore;
use crate::compression::Compression;
use crate::error::{Code, Error, Result};
use crate::job::Job;
use crate::manifest::{Manifest, Segment};
use crate::progress::{Event, Phase};
use crate::segments;
use crate::stream::Compressor;

/// Segments fetched ahead of the one being written.
const FETCHED_AHEAD: usize = 2;
/// The level of `gzip` where a backup that is stored otherwise is written with it.
const GZIP_LEVEL: u32 = 6;
/// Bytes of an archive that are handed on at once.
const COPIED_BYTES: usize = 64 * 1024;

/// Writes the archive, gzipped if asked; every segment is compared with the manifest before a byte of it is
/// written. Needs a multi-threaded runtime.
///
/// # Errors
/// [`Code::Cancelled`]; as the store fails or a segment is damaged. Then what was written is not a whole archive. When `out`
/// cannot take more: [`Code::Internal`] with the [`io::Error`] as source.
pub async fn cat(
    store: Arc<dyn ObjectStore>,
    manifest: &Manifest,
    gzip: bool,
    out: &mut (dyn Write + Send),
    job: &Job,
) -> Result<()> {
    job.observe(&Event::Began { backup: Some(manifest.id.clone()), plan: Some(manifest.plan.clone()) });
    job.phase(Phase::Writing);
    job.unless_cancelled(write_all(&*store, manifest, gzip, out, job)).await
}

async fn write_all(
    store: &dyn ObjectStore,
    manifest: &Manifest,
    gzip: bool,
    out: &mut (dyn Write + Send),
    job: &Job,
) -> Result<()> {
    let mut fetched = stream::iter(&manifest.segments)
        .map(async |segment| (segment, segments::fetch(store, segment, job).await))
        .buffered(FETCHED_AHEAD);
    while let Some((segment, body)) = fetched.next().await {
        let body = body?;
        block_in_place(|| write((manifest.compression, segment), gzip, &body, out))?;
        job.observe(&Event::Segment { key: segment.key.clone(), stored_bytes: segment.stored_bytes });
    }
    out.flush().map_err(unwritable)
}

fn unwritable(error: io::Error) -> Error {
    Error::new(Code::Internal, format!("the archive cannot be written on: {error}")).caused_by(error)
}

/// Gzip members may stand one after the other, so stored gzip segments go out as they are.
fn write(
    (compression, segment): (Compression, &Segment),
    gzip: bool,
    body: &[u8],
    out: &mut (dyn Write + Send),
) -> Result<()> {
    if gzip && matches!(compression, Compression::Gzip { .. }) {
        return out.write_all(body).map_err(unwritable);
    }
    let mut archive = segments::open(compression, segment, body)?;
    if !gzip {
        return copy(segment, &mut archive, out);
    }
    let mut member = Compressor::new(Compression::Gzip { level: GZIP_LEVEL }, out).map_err(unwritable)?;
    copy(segment, &mut archive, &mut member)?;
    member.finish().map(|_| ()).map_err(unwritable)
}

/// What cannot be read is damaged; what cannot be written is not.
fn copy(segment: &Segment, from: &mut impl Read, to: &mut (impl Write + ?Sized)) -> Result<()> {
    let mut buffer = vec![0; COPIED_BYTES];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&buffer[..read]).map_err(unwritable)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(segments::damaged(segment, error)),
        }
    }
}
