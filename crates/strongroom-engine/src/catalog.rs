//! The backups that a location holds: finding, listing and deleting them.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::bucket::{Fetched, Listed, ObjectStore, Sse};
use crate::error::{Class, Code, Error, Result};
use crate::hash::sha256;
use crate::help;
use crate::help::{Command, Setting};
use crate::job::Job;
use crate::layout::{self, BackupId, PlanName};
use crate::manifest::{self, Manifest};
use crate::progress::{Event, Phase, Warning};
use crate::summary::{self, Summary};

/// Requests under way at once while backups are listed.
const LISTED_AT_ONCE: usize = 32;
/// Manifests without a summary, which are fetched whole, in memory at once.
const WHOLE_AT_ONCE: usize = 2;
/// Manifests that a store may fail to give before the store is said to fail, and not they.
const FAILING_MAX: usize = 8;
/// Requests under way at once while segments are deleted.
const DELETED_AT_ONCE: usize = 8;
/// What a person may write instead of an id.
const LATEST: &str = "latest";

/// One backup's place in a location.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
    Backup(Box<Summary>),
    /// No backup: one that is being made now, or never came about. When the newest of its objects was written tells these
    /// apart; by the clock of the store, where it says that.
    Unfinished(Place, Option<DateTime<Utc>>),
    /// No backup: a run that failed left its log, and nothing else. When it was written; by the clock of the store, where it
    /// says that.
    LogOnly(Place, Option<DateTime<Utc>>),
    /// No backup any more: its deletion has begun and not ended.
    Deleting(Place),
    /// Its manifest cannot be read.
    Unreadable(Place, Error),
    /// A whole plan whose folder cannot be listed: which backups it has is not known.
    Unlisted(PlanName, Error),
}

/// What a deletion freed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// Objects deleted.
    pub objects: u64,
    /// Their bytes, as the manifest says; without those of a log.
    pub stored_bytes: u64,
}

impl Place {
    pub(crate) fn key(&self, name: &str) -> String {
        layout::backup_key(&self.plan, &self.id, name)
    }

    /// Reads the manifest that was found here. It lists nothing that stands elsewhere.
    fn manifest(&self, found: &Fetched) -> Result<Manifest> {
        let manifest = Manifest::from_json(&found.body).map_err(|e| e.context(format!("backup `{self}`")))?;
        self.is_that_of(&manifest.id, &manifest.plan)?;
        Ok(manifest)
    }

    /// The same, of which all may be deleted: what Strongroom does not write there, it did not write.
    fn deletable(&self, found: &Fetched) -> Result<Manifest> {
        let manifest = self.manifest(found)?;
        let folder = self.key("");
        let ours = |key: &str| key.strip_prefix(&folder).is_some_and(layout::is_ours);
        match manifest.segments.iter().find(|segment| !ours(&segment.key)) {
            None => Ok(manifest),
            Some(foreign) => {
                let what =
                    format!("the manifest of `{self}` lists `{}`, which no backup writes", foreign.key);
                Err(Error::new(Code::Damaged, what).help("Somebody changed it. Nothing was deleted."))
            }
        }
    }

    /// Refuses a manifest that was copied or moved here from another place.
    fn is_that_of(&self, id: &str, plan: &str) -> Result<()> {
        if id == self.id.as_str() && plan == self.plan.as_str() {
            return Ok(());
        }
        Err(Error::new(Code::Damaged, format!("the manifest at `{self}` is that of `{plan}/{id}`")).help(
            "Backups cannot be copied or renamed within a location. Move the folder back to its own place.",
        ))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.plan, self.id)
    }
}

/// Everything at the location that looks like a backup, the oldest first; of one plan if one is given. Of each manifest
/// only the beginning is fetched, so memory and time grow with the number of backups and not with what they hold.
///
/// # Errors
/// As the store fails. A single manifest that cannot be read, for whatever reason, is an entry, not an error; so is one
/// plan of several that may not be listed.
pub async fn list(store: &dyn ObjectStore, plan: Option<&PlanName>) -> Result<Vec<Entry>> {
    let (places, mut entries) = match plan {
        Some(plan) => (places(store, Some(plan)).await?, Vec::new()),
        None => places_that_may_be_listed(store).await?,
    };
    let whole = Semaphore::new(WHOLE_AT_ONCE);
    let mut found = stream::iter(places).map(|place| entry(store, &whole, place)).buffered(LISTED_AT_ONCE);
    let mut failing = 0;
    while let Some(entry) = found.next().await {
        match entry {
            Entry::Unreadable(_, error) if is_of_the_store(&error) => return Err(error),
            Entry::Unreadable(_, error) if is_passing(&error) && failing == FAILING_MAX => return Err(error),
            entry => {
                failing += usize::from(matches!(&entry, Entry::Unreadable(_, error) if is_passing(error)));
                entries.push(entry);
            }
        }
    }
    match refused_all(&entries) {
        Some(error) => Err(error),
        None => Ok(entries),
    }
}

/// The places of all plans in order, and an entry for each plan that may not be listed. Where none may be, that is an
/// error.
async fn places_that_may_be_listed(store: &dyn ObjectStore) -> Result<(Vec<Place>, Vec<Entry>)> {
    let (mut found, mut unlisted, mut listed) = (Vec::new(), Vec::new(), 0);
    let mut plans = plans(store).await?.into_iter().peekable();
    while let Some(plan) = plans.next() {
        match places(store, Some(&plan)).await {
            Ok(of_plan) => {
                listed += 1;
                found.extend(of_plan);
            }
            Err(error) if error.code() == Code::Denied && (listed > 0 || plans.peek().is_some()) => {
                unlisted.push(Entry::Unlisted(plan, error));
            }
            Err(error) => return Err(error),
        }
    }
    found.sort_by(|a, b| (&a.id, &a.plan).cmp(&(&b.id, &b.plan)));
    Ok((found, unlisted))
}

/// Where no manifest at all can be had from the store, that is the news, and not a list of it.
fn refused_all(entries: &[Entry]) -> Option<Error> {
    let mut first = None;
    for entry in entries {
        match entry {
            Entry::Backup(_) => return None,
            Entry::Unreadable(_, error) if error.code() == Code::Denied || is_passing(error) => {
                first = first.or_else(|| Some(error.clone()));
            }
            Entry::Unreadable(..) => return None,
            Entry::Unfinished(..) | Entry::LogOnly(..) | Entry::Deleting(_) | Entry::Unlisted(..) => {}
        }
    }
    first
}

async fn entry(store: &dyn ObjectStore, whole: &Semaphore, place: Place) -> Entry {
    let mut read = read_summary(store, whole, &place).await;
    if read.as_ref().is_err_and(may_be_damaged_on_the_way) {
        read = read_summary(store, whole, &place).await;
    }
    let found = match read {
        Ok(Some(summary)) => return Entry::Backup(Box::new(summary)),
        Ok(None) => without_manifest(store, &place).await,
        Err(error) => Err(error),
    };
    found.unwrap_or_else(|error| Entry::Unreadable(place, error))
}

/// What is damaged, or of another format, may have become so on the way: it is fetched once more before it is called that.
fn may_be_damaged_on_the_way(error: &Error) -> bool {
    matches!(error.code(), Code::Damaged | Code::NewerFormat)
}

/// Whether the whole store is out of reach, rather than one object in it.
fn is_of_the_store(error: &Error) -> bool {
    matches!(error.code(), Code::Key | Code::Clock | Code::BucketMissing | Code::BucketRegion)
}

/// Whether it may be of the whole store, and may be of one object in it.
fn is_passing(error: &Error) -> bool {
    error.code().class() == Class::Passing
}

/// The summary of the backup at a place; none where no manifest stands.
async fn read_summary(store: &dyn ObjectStore, whole: &Semaphore, place: &Place) -> Result<Option<Summary>> {
    let Some(start) = get_start(store, place, summary::BYTES_MAX).await? else { return Ok(None) };
    if let Some(summary) = Manifest::summary(&start.body)? {
        place.is_that_of(&summary.id, &summary.plan)?;
        return Ok(Some(summary));
    }
    // Never closed.
    let _permit = whole.acquire().await;
    match get(store, place, layout::MANIFEST).await? {
        Some(found) => place.manifest(&found).map(|manifest| Some(Summary::from(&manifest))),
        None => Ok(None),
    }
}

async fn without_manifest(store: &dyn ObjectStore, place: &Place) -> Result<Entry> {
    let contents = Contents::of(store, place).await?;
    if contents.has(layout::DELETING) {
        return Ok(Entry::Deleting(place.clone()));
    }
    if contents.is_only_a_log() {
        return Ok(Entry::LogOnly(place.clone(), contents.newest()));
    }
    Ok(Entry::Unfinished(place.clone(), contents.newest()))
}

/// What stands in the folder of a backup, named from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contents(pub(crate) Vec<Listed>);

impl Contents {
    /// Lists them.
    pub(crate) async fn of(store: &dyn ObjectStore, place: &Place) -> Result<Self> {
        let folder = layout::backup_folder(&place.plan, &place.id);
        let mut objects = store.list(&folder).await?.objects;
        for segment in store.list(&format!("{folder}/{}", layout::SEGMENTS)).await?.objects {
            objects.push(Listed { name: format!("{}/{}", layout::SEGMENTS, segment.name), ..segment });
        }
        Ok(Self(objects))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|object| object.name == name)
    }

    pub(crate) fn is_only_a_log(&self) -> bool {
        matches!(&self.0[..], [only] if only.name == layout::LOG)
    }

    /// When the newest of them was written; none where that is not known of one of them.
    pub(crate) fn newest(&self) -> Option<DateTime<Utc>> {
        let times: Option<Vec<_>> = self.0.iter().map(|object| object.modified).collect();
        times?.into_iter().max()
    }
}

/// Finds the backup called `name`: an id, or `latest`; of one plan if one is given.
///
/// # Errors
/// [`Code::NotABackup`] when there is none of that name; [`Code::SeveralPlans`] for `latest` when no plan is given and
/// several have backups; [`Code::Damaged`] and [`Code::NewerFormat`] when its manifest cannot be used.
pub async fn find(store: &dyn ObjectStore, plan: Option<&PlanName>, name: &str) -> Result<Manifest> {
    let found = match name {
        LATEST => latest(store, plan).await?,
        name => first_with_manifest(store, candidates(store, plan, &name.parse()?).await?).await?,
    };
    let (place, found) = found.ok_or_else(|| not_a_backup(store, name))?;
    match place.manifest(&found) {
        Err(error) if may_be_damaged_on_the_way(&error) => {
            let again = get(store, &place, layout::MANIFEST).await?;
            again.map_or(Err(error), |found| place.manifest(&found))
        }
        read => read,
    }
}

/// The newest backup, of the one plan that has any.
async fn latest(store: &dyn ObjectStore, plan: Option<&PlanName>) -> Result<Option<(Place, Fetched)>> {
    let plans = match plan {
        Some(plan) => vec![plan.clone()],
        None => with_backups(store).await?,
    };
    match &plans[..] {
        [] => Ok(None),
        [plan] => {
            let mut places = places(store, Some(plan)).await?;
            places.reverse();
            newest(store, places).await
        }
        several => Err(several_plans(several)),
    }
}

/// The first of `places`, the newest first, that has a manifest. Ids tell no order within one second, so of those the
/// manifests decide.
async fn newest(store: &dyn ObjectStore, places: Vec<Place>) -> Result<Option<(Place, Fetched)>> {
    let Some((place, found)) = first_with_manifest(store, places.clone()).await? else { return Ok(None) };
    let of_its_second =
        |other: &&Place| other.id.second() == place.id.second() && other.id.as_str() < place.id.as_str();
    let others: Vec<Place> = places.iter().filter(of_its_second).cloned().collect();
    if others.is_empty() {
        return Ok(Some((place, found)));
    }
    let mut finished = place.manifest(&found)?.finished_at;
    let mut newest = (place, found);
    for place in others {
        let Some(found) = get(store, &place, layout::MANIFEST).await? else { continue };
        // One that cannot be read says nothing of its age.
        let Ok(manifest) = place.manifest(&found) else { continue };
        if manifest.finished_at > finished {
            (finished, newest) = (manifest.finished_at, (place, found));
        }
    }
    Ok(Some(newest))
}

/// The plans that have at least one backup.
async fn with_backups(store: &dyn ObjectStore) -> Result<Vec<PlanName>> {
    let mut found = Vec::new();
    for plan in plans(store).await? {
        for place in places(store, Some(&plan)).await?.into_iter().rev() {
            match get_start(store, &place, 1).await {
                Ok(None) => continue,
                Err(error) if is_of_the_store(&error) || is_passing(&error) => return Err(error),
                // One that cannot be read is there, too.
                Ok(Some(_)) | Err(_) => found.push(plan),
            }
            break;
        }
    }
    Ok(found)
}

fn several_plans(plans: &[PlanName]) -> Error {
    let names: Vec<String> = plans.iter().map(|plan| format!("`{plan}`")).collect();
    Error::new(
        Code::SeveralPlans,
        format!("`{LATEST}` could be of several plans: {} have backups here", names.join(", ")),
    )
    .help(help!["Say which plan is meant with ", Setting::Plan, ", or name a backup by its id."])
}

async fn first_with_manifest(
    store: &dyn ObjectStore,
    places: Vec<Place>,
) -> Result<Option<(Place, Fetched)>> {
    for place in places {
        if let Some(found) = get(store, &place, layout::MANIFEST).await? {
            return Ok(Some((place, found)));
        }
    }
    Ok(None)
}

/// Deletes the backup `id`: first its manifest, so that it is no backup any more, then its segments;
/// each by its version, so that a versioned bucket frees the bytes; then its log, if it has one. What was begun and not
/// ended is ended.
///
/// # Errors
/// [`Code::NotABackup`] when there is none of that name; [`Code::Cancelled`]; as the store fails. After these the same
/// call goes on from where this one stopped.
pub async fn delete(
    store: Arc<dyn ObjectStore>,
    plan: Option<&PlanName>,
    id: &BackupId,
    job: &Job,
) -> Result<Deleted> {
    job.check()?;
    let (place, manifest) = begin_deletion(&*store, plan, id).await?;
    job.observe(&Event::Began { backup: Some(manifest.id.clone()), plan: Some(manifest.plan.clone()) });
    job.phase(Phase::Deleting);
    let deletions = manifest.segments.iter().map(|segment| {
        let store = store.clone();
        async move {
            store.delete(&segment.key, segment.version_id.as_deref()).await?;
            job.observe(&Event::Segment { key: segment.key.clone(), stored_bytes: segment.stored_bytes });
            Ok::<_, Error>(())
        }
    });
    let deletions = stream::iter(deletions).buffer_unordered(DELETED_AT_ONCE).try_collect::<()>();
    job.unless_cancelled(deletions).await.map_err(|e| go_on_later(e, id))?;
    let logs = delete_log(&*store, &place, job).await?;
    let key = place.key(layout::DELETING);
    if let Some(found) = get(&*store, &place, layout::DELETING).await? {
        store.delete(&key, found.version_id.as_deref()).await?;
    }
    Ok(Deleted {
        objects: manifest.segments.len() as u64 + 1 + logs,
        stored_bytes: manifest.totals.stored_bytes,
    })
}

/// Deletes the log, if there is one, by the version that can be seen; how many were deleted.
async fn delete_log(store: &dyn ObjectStore, place: &Place, job: &Job) -> Result<u64> {
    let key = place.key(layout::LOG);
    let version = match if_there(store, place, layout::LOG, || store.get_start(&key, 1)).await {
        Ok(None) => return Ok(0),
        Ok(Some(found)) => found.version_id,
        // Policies that were made before there were logs do not let the one who deletes read them.
        Err(error) if error.code() == Code::Denied => None,
        Err(error) => return Err(error),
    };
    match store.delete(&key, version.as_deref()).await {
        Ok(()) => Ok(1),
        Err(error) if error.code() == Code::Denied && version.is_none() => {
            job.warn(Warning::ObjectsLeft { objects: 1, example: key });
            Ok(0)
        }
        Err(error) => Err(error),
    }
}

fn go_on_later(error: Error, id: &BackupId) -> Error {
    match error.code() {
        Code::Cancelled => error
            .context(format!("`{id}` is no backup any more, and not all of its segments are deleted"))
            .help("Delete it again to go on from here."),
        _ => error,
    }
}

/// From here on it is no backup, and what it consisted of is remembered until all of it is gone.
async fn begin_deletion(
    store: &dyn ObjectStore,
    plan: Option<&PlanName>,
    id: &BackupId,
) -> Result<(Place, Manifest)> {
    for place in candidates(store, plan, id).await? {
        if let Some(found) = get(store, &place, layout::MANIFEST).await? {
            let manifest = place.deletable(&found)?;
            let sha256 = sha256(&found.body);
            // Where a policy demands encryption it demands it of this object too.
            let sse = Sse::of(&manifest.encryption);
            store.put(&place.key(layout::DELETING), found.body, &sha256, &sse).await?;
            store.delete(&place.key(layout::MANIFEST), found.version_id.as_deref()).await?;
            return Ok((place, manifest));
        }
        if let Some(found) = get(store, &place, layout::DELETING).await? {
            let manifest = place.deletable(&found)?;
            return Ok((place, manifest));
        }
    }
    Err(not_a_backup(store, id.as_str()))
}

fn not_a_backup(store: &dyn ObjectStore, name: &str) -> Error {
    let message = match name {
        LATEST => format!("there is no backup in {}", store.location()),
        name => format!("there is no backup `{name}` in {}", store.location()),
    };
    Error::new(Code::NotABackup, message).help(help![Command::List, " shows the backups that are there."])
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

async fn get(store: &dyn ObjectStore, place: &Place, name: &str) -> Result<Option<Fetched>> {
    let key = place.key(name);
    if_there(store, place, name, || store.get(&key, None, manifest::BYTES_MAX)).await
}

/// The beginning of a manifest.
async fn get_start(store: &dyn ObjectStore, place: &Place, bytes_max: u64) -> Result<Option<Fetched>> {
    let key = place.key(layout::MANIFEST);
    if_there(store, place, layout::MANIFEST, || store.get_start(&key, bytes_max)).await
}

/// None for an object that is not there, neither to be read nor in the listing. A policy that allows listing below the
/// prefix only makes some servers answer 403 instead of 404; and a server that lost some of its disks answers 404 for what
/// it lists all the same, which is no reason to take a backup for none.
async fn if_there<F>(
    store: &dyn ObjectStore,
    place: &Place,
    name: &str,
    read: impl Fn() -> F,
) -> Result<Option<Fetched>>
where
    F: Future<Output = Result<Fetched>>,
{
    let error = match read().await {
        Err(error) if matches!(error.code(), Code::ObjectMissing | Code::Denied) => error,
        found => return found.map(Some),
    };
    let listing = store.list(&layout::backup_folder(&place.plan, &place.id)).await;
    match (error.code(), listing) {
        (_, Ok(listing)) if !listing.has(name) => Ok(None),
        // Or it was written just now.
        (Code::ObjectMissing, Ok(_)) => read().await.map(Some).map_err(|error| match error.code() {
            Code::ObjectMissing => hidden(&place.key(name), error),
            _ => error,
        }),
        (Code::ObjectMissing, Err(denied)) if denied.code() == Code::Denied => Ok(None),
        (Code::ObjectMissing, Err(other)) => Err(other),
        _ => Err(error),
    }
}

fn hidden(key: &str, error: Error) -> Error {
    Error::new(Code::StoreBusy, format!("the storage lists `{key}`, and says that it is not there"))
        .caused_by(error)
        .help("Try again later. A server that lost some of its disks answers so: then look after it first.")
}
