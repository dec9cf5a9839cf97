//! The beginning of a backup's archive, compared with its manifest: each repeats what the other says of options and
//! indexes, so that damage to one of them is seen.

use std::io::Read;

use mongo_archive::{Decoder, Event, Metadata, Prelude};
use tokio::task::block_in_place;

use crate::bucket::ObjectStore;
use crate::error::{Code, Error, Result};
use crate::extended_json;
use crate::job::Job;
use crate::manifest::{Manifest, Namespace, Segment};
use crate::segments::{self, wrong};

/// Fetches the beginning of the archive and compares it.
///
/// # Errors
/// [`Code::Damaged`] when they differ; as the store fails.
pub(crate) async fn check(store: &dyn ObjectStore, manifest: &Manifest, job: &Job) -> Result<()> {
    let Some(first) = manifest.segments.first() else { return Err(wrong("the manifest lists no segments")) };
    let body = segments::fetch(store, first, job).await?;
    block_in_place(|| compare_stored(manifest, first, &body))
        .map_err(|e| segments::damaged(first, e.message()))
}

/// Compares a segment's stored bytes, which should hold the beginning of the archive and nothing else.
///
/// # Errors
/// [`Code::Damaged`], which does not say yet in which segment.
pub(crate) fn compare_stored(manifest: &Manifest, segment: &Segment, stored: &[u8]) -> Result<()> {
    let mut decoder = segments::archive(manifest.compression, segment, stored)?;
    compare_first(manifest, &mut decoder)?;
    match decoder.next().map_err(wrong)? {
        None => Ok(()),
        Some(_) => Err(wrong("it holds more than the archive's beginning")),
    }
}

fn compare_first<R: Read>(manifest: &Manifest, decoder: &mut Decoder<R>) -> Result<()> {
    match decoder.next().map_err(wrong)? {
        Some(Event::Prelude(prelude)) => compare(manifest, prelude),
        _ => Err(wrong("it does not begin as an archive does")),
    }
}

fn compare(manifest: &Manifest, prelude: &Prelude) -> Result<()> {
    let (found, wanted) = (&prelude.metadata, &manifest.namespaces);
    match found.iter().zip(wanted).find(|(found, wanted)| !agree(found, wanted)) {
        Some((_, wanted)) => Err(differs(&format!("what it says of `{}` is", wanted.name()))),
        None if found.len() == wanted.len() => Ok(()),
        None => Err(differs("its collections are")),
    }
}

fn differs(what: &str) -> Error {
    Error::new(Code::Damaged, format!("{what} not what the manifest says"))
}

fn agree(found: &Metadata, wanted: &Namespace) -> bool {
    found.db == wanted.db
        && found.collection == wanted.collection
        && found.kind == wanted.kind.as_str()
        && same(&found.metadata, wanted.archived_metadata())
}

/// By value: a manifest may have been written anew with other white space.
fn same(one: &str, other: &str) -> bool {
    one == other
        || matches!((extended_json::read(one), extended_json::read(other)), (Ok(one), Ok(other)) if one == other)
}
