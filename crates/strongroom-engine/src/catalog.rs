//! The backups that a location holds: finding, listing and deleting them.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use crate::bucket::{Fetched, ObjectStore, Sse};
use crate::error::{Code, Error, Result};
use crate::hash::sha256;
use crate::layout::{self, BackupId, PlanName};
use crate::manifest::{self, Manifest};
use crate::progress::{Event, Observer, Phase};

/// Requests under way at once while backups are listed or segments deleted.
const REQUESTS_AT_ONCE: usize = 8;

/// One backup's place in a location.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Its plan.
    pub plan: PlanName,
    /// Its name.
    pub id: BackupId,
}

/// What stands at the place of a backup.
#[derive(Debug)]
pub enum Entry {
    /// A backup.
    Backup(Box<Manifest>),
    /// No backup: one that is being made now, or never came about.
    Unfinished(Place),
    /// No backup any more: its deletion has begun and not ended.
    Deleting(Place),
    /// Its manifest cannot be read.
    Unreadable(Place, Error),
}

/// What a deletion freed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// Objects deleted.
    pub objects: u64,
    /// Their bytes, as the manifest says.
    pub stored_bytes: u64,
}

impl Place {
    fn key(&self, name: &str) -> String {
        layout::backup_key(&self.plan, &self.id, name)
    }
}

/// Everything at the location that looks like a backup, the oldest first; of one plan if one is given.
///
/// # Errors
/// As the store fails; a manifest that cannot be read is an entry, not an error.
pub async fn list(store: &dyn ObjectStore, plan: Option<&PlanName>) -> Result<Vec<Entry>> {
    let places = places(store, plan).await?;
    stream::iter(places).map(|place| entry(store, place)).buffered(REQUESTS_AT_ONCE).try_collect().await
}

/// Finds the backup called `name`: an id, or `latest`; of one plan if one is given.
///
/// # Errors
/// [`Code::NotABackup`] when there is none of that name; [`Code::Damaged`] and [`Code::NewerFormat`] when its
/// manifest cannot be used.
pub async fn find(store: &dyn ObjectStore, plan: Option<&PlanName>, name: &str) -> Result<Manifest> {
    let fetched = locate(store, plan, name).await?;
    Manifest::from_json(&fetched.1.body).map_err(|e| e.context(format!("backup `{}`", fetched.0.id)))
}

/// Deletes the backup called `name`: first its manifest, so that it is no backup any more, then its segments;
/// each by its version, so that a versioned bucket frees the bytes. What was begun and not ended is ended.
///
/// # Errors
/// [`Code::NotABackup`] when there is none of that name; as the store fails: then the same call goes on later.
pub async fn delete(
    store: Arc<dyn ObjectStore>,
    plan: Option<&PlanName>,
    id: &BackupId,
    observer: &dyn Observer,
) -> Result<Deleted> {
    let (place, manifest) = begin_deletion(&*store, plan, id).await?;
    observer.observe(&Event::Phase { phase: Phase::Deleting });
    let deletions = manifest.segments.iter().map(|segment| {
        let store = store.clone();
        async move {
            store.delete(&segment.key, segment.version_id.as_deref()).await?;
            observer
                .observe(&Event::Segment { key: segment.key.clone(), stored_bytes: segment.stored_bytes });
            Ok::<u64, Error>(1)
        }
    });
    let segments: Vec<u64> = stream::iter(deletions).buffer_unordered(REQUESTS_AT_ONCE).try_collect().await?;
    let key = place.key(layout::DELETING);
    match store.get(&key, None, manifest::BYTES_MAX).await {
        Ok(found) => store.delete(&key, found.version_id.as_deref()).await?,
        Err(error) if error.code() == Code::ObjectMissing => {}
        Err(error) => return Err(error),
    }
    Ok(Deleted { objects: segments.len() as u64 + 1, stored_bytes: manifest.totals.stored_bytes })
}

/// From here on it is no backup, and what it consisted of is remembered until all of it is gone.
async fn begin_deletion(
    store: &dyn ObjectStore,
    plan: Option<&PlanName>,
    id: &BackupId,
) -> Result<(Place, Manifest)> {
    for place in candidates(store, plan, id).await? {
        if let Some(found) = get(store, &place.key(layout::MANIFEST)).await? {
            let manifest = Manifest::from_json(&found.body)?;
            let sha256 = sha256(&found.body);
            // Where a policy demands encryption it demands it of this object too.
            let sse = Sse::of(&manifest.encryption);
            store.put(&place.key(layout::DELETING), found.body, &sha256, &sse).await?;
            store.delete(&place.key(layout::MANIFEST), found.version_id.as_deref()).await?;
            return Ok((place, manifest));
        }
        if let Some(found) = get(store, &place.key(layout::DELETING)).await? {
            let manifest = Manifest::from_json(&found.body)?;
            return Ok((place, manifest));
        }
    }
    Err(not_a_backup(store, id.as_str()))
}

async fn entry(store: &dyn ObjectStore, place: Place) -> Result<Entry> {
    if let Some(found) = get(store, &place.key(layout::MANIFEST)).await? {
        return Ok(match Manifest::from_json(&found.body) {
            Ok(manifest) => Entry::Backup(Box::new(manifest)),
            Err(error) => Entry::Unreadable(place, error),
        });
    }
    let folder = layout::backup_folder(&place.plan, &place.id);
    let listing = store.list(&folder).await?;
    if listing.objects.iter().any(|name| name == layout::DELETING) {
        return Ok(Entry::Deleting(place));
    }
    Ok(Entry::Unfinished(place))
}

async fn locate(store: &dyn ObjectStore, plan: Option<&PlanName>, name: &str) -> Result<(Place, Fetched)> {
    let candidates = match name {
        "latest" => {
            let mut places = places(store, plan).await?;
            places.sort_by(|a, b| b.id.cmp(&a.id));
            places
        }
        name => candidates(store, plan, &name.parse()?).await?,
    };
    for place in candidates {
        if let Some(found) = get(store, &place.key(layout::MANIFEST)).await? {
            return Ok((place, found));
        }
    }
    Err(not_a_backup(store, name))
}

fn not_a_backup(store: &dyn ObjectStore, name: &str) -> Error {
    let message = match name {
        "latest" => format!("there is no backup in {}", store.location()),
        name => format!("there is no backup `{name}` in {}", store.location()),
    };
    Error::new(Code::NotABackup, message).help("`strongroom list LOCATION` shows the backups that are there.")
}

/// Where a backup of this name may stand: one place in each plan.
async fn candidates(store: &dyn ObjectStore, plan: Option<&PlanName>, id: &BackupId) -> Result<Vec<Place>> {
    let plans = match plan {
        Some(plan) => vec![plan.clone()],
        None => plans(store).await?,
    };
    Ok(plans.into_iter().map(|plan| Place { plan, id: id.clone() }).collect())
}

/// Folders that are no plans are somebody else's, and none of our business.
async fn plans(store: &dyn ObjectStore) -> Result<Vec<PlanName>> {
    Ok(store.list("").await?.folders.iter().filter_map(|name| name.parse().ok()).collect())
}

async fn places(store: &dyn ObjectStore, plan: Option<&PlanName>) -> Result<Vec<Place>> {
    let plans = match plan {
        Some(plan) => vec![plan.clone()],
        None => plans(store).await?,
    };
    let mut places = Vec::new();
    for plan in plans {
        let ids = store.list(plan.as_str()).await?.folders;
        let ids = ids.iter().filter_map(|name| name.parse::<BackupId>().ok());
        places.extend(ids.map(|id| Place { plan: plan.clone(), id }));
    }
    places.sort_by(|a, b| (&a.id, &a.plan).cmp(&(&b.id, &b.plan)));
    Ok(places)
}

async fn get(store: &dyn ObjectStore, key: &str) -> Result<Option<Fetched>> {
    match store.get(key, None, manifest::BYTES_MAX).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code() == Code::ObjectMissing => Ok(None),
        Err(error) => Err(error),
    }
}
