//! A last look before a backup is one: every segment is there, with its length. Whatever happened to the storage while
//! the backup ran, such as a clean-up by somebody else, is seen now or never.

use std::collections::HashMap;

use crate::bucket::{Listing, ObjectStore};
use crate::error::{Code, Error, Result};
use crate::job::Job;
use crate::layout::{self, BackupId, PlanName};
use crate::manifest::{Manifest, Segment};
use crate::progress::Warning;

/// Lists the segments of a backup. An identity that may only write cannot: then that is said.
///
/// # Errors
/// [`Code::ObjectMissing`] for a segment that is not there or has another length; [`Code::Cancelled`]; as the store fails.
pub(super) async fn check(
    (store, job): (&dyn ObjectStore, &Job),
    (plan, id): (&PlanName, &BackupId),
    manifest: &Manifest,
) -> Result<()> {
    let folder = layout::segments_folder(plan, id);
    let listing = match job.unless_cancelled(store.list(&folder)).await {
        Err(error) if error.code() == Code::Denied => {
            job.warn(Warning::SegmentsNotSeen);
            return Ok(());
        }
        listing => listing?,
    };
    let mut wrong = Vec::new();
    for segment in not_as_stored(&manifest.segments, &folder, &listing) {
        // Some servers' lists lag behind, so the object itself is asked for.
        let found = store.get_start(&segment.key, segment.stored_bytes.saturating_add(1));
        match job.unless_cancelled(found).await {
            Ok(found) if found.body.len() as u64 == segment.stored_bytes => {}
            Err(error) if !matches!(error.code(), Code::ObjectMissing | Code::Denied) => return Err(error),
            _ => wrong.push(segment),
        }
    }
    match wrong.first() {
        None => Ok(()),
        Some(first) => Err(gone(store, wrong.len(), first)),
    }
}

/// Segments that the list does not show with their length.
fn not_as_stored<'a>(segments: &'a [Segment], folder: &str, listing: &Listing) -> Vec<&'a Segment> {
    let lengths: HashMap<&str, u64> =
        listing.objects.iter().map(|object| (object.name.as_str(), object.bytes)).collect();
    let length = |segment: &Segment| {
        let name = segment.key.strip_prefix(folder)?.strip_prefix('/')?;
        lengths.get(name).copied()
    };
    segments.iter().filter(|segment| length(segment) != Some(segment.stored_bytes)).collect()
}

fn gone(store: &dyn ObjectStore, number: usize, first: &Segment) -> Error {
    let location = store.location();
    let others = match number {
        1 => String::new(),
        number => format!("; {number} segments in all"),
    };
    let what = format!(
        "what the backup stored is no longer whole: `{}` is missing in {location}, or has another length{others}",
        first.key
    );
    Error::new(Code::ObjectMissing, what).help(
        "Something deleted or changed it while the backup ran. Find out what, and take the backup again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::Listed;

    #[test]
    fn a_segment_is_there_when_the_list_shows_it_with_its_length() {
        let segment = |name: &str| Segment {
            key: format!("p/b/segments/{name}"),
            version_id: None,
            stored_bytes: 5,
            raw_bytes: 0,
            sha256: String::new(),
            contents: Vec::new(),
        };
        let segments = ["there", "short", "gone"].map(segment);
        let listed = |name: &str, bytes| Listed { name: name.into(), bytes, modified: None };
        let objects = vec![listed("there", 5), listed("short", 4), listed("other", 5)];
        let listing = Listing { folders: Vec::new(), objects };
        let wrong = not_as_stored(&segments, "p/b/segments", &listing);
        let keys: Vec<&str> = wrong.iter().map(|segment| segment.key.as_str()).collect();
        assert_eq!(keys, ["p/b/segments/short", "p/b/segments/gone"]);
    }
}
