//! Clearing away what is no backup: pieces that a killed run left, deletions that were cut off and, only where that is
//! asked for, folders whose manifest cannot be used. First [`look`], which changes nothing; [`Dead::clear`] then deletes
//! just what was found, unless it has changed since.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use serde::Serialize;

use crate::bucket::ObjectStore;
use crate::catalog::{self, Contents, Entry, Place};
use crate::error::{Code, Error, Result};
use crate::job::Job;
use crate::layout::{self, PlanName};
use crate::progress::{Event, Phase};
use crate::quantity::Period;

/// Requests under way at once while objects are deleted.
const DELETED_AT_ONCE: usize = 8;
/// The youngest that may be called dead: a backup that is slow writes its next segment long before.
const YOUNGEST: Period = Period::seconds(60 * 60);
/// How far the clock of the store may be ahead of this machine's: so far S3 accepts requests.
const CLOCKS_DIFFER: TimeDelta = TimeDelta::minutes(15);

/// What is to be cleared away.
#[derive(Debug, Clone)]
pub struct Options {
    /// Of this plan only.
    pub plan: Option<PlanName>,
    /// Only what nothing was written to for this long; at least one hour.
    pub older_than: Period,
    /// Also folders whose manifest is damaged.
    pub damaged: bool,
    /// Also backups that a newer Strongroom made.
    pub newer: bool,
}

/// Why something is no backup that this program can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It has no manifest.
    Unfinished,
    /// It is the log of a run that failed, and nothing else.
    LogOnly,
    /// Its deletion was cut off.
    Deleting,
    /// Its manifest is damaged.
    Damaged,
    /// A newer Strongroom made it.
    Newer,
}

/// Something that can be cleared away.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// Why it can be cleared.
    pub why: Why,
    /// Its objects.
    pub objects: u64,
    /// Their bytes.
    pub stored_bytes: u64,
    /// When the newest of them was written, by the clock of the store; none in an empty folder.
    pub last_written: Option<DateTime<Utc>>,
    #[serde(skip)]
    contents: Contents,
    #[serde(skip)]
    log_stays: bool,
}

/// Something that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stays {
    /// Where it stands.
    #[serde(flatten)]
    pub place: Place,
    /// Why.
    pub reason: String,
}

/// What was found, and what of it can be cleared away.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Dead {
    /// What can be cleared away, the oldest first.
    pub found: Vec<Found>,
    /// What is no backup either, and stays.
    pub stays: Vec<Stays>,
    /// Plans that could not be looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unlisted: Vec<Unlisted>,
}

/// A plan whose folder cannot be listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unlisted {
    /// Which one.
    pub plan: PlanName,
    /// Why.
    pub reason: String,
}

/// What was cleared away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Cleared {
    /// Folders of which nothing is left.
    pub folders: u64,
    /// Objects deleted.
    pub objects: u64,
    /// Their bytes.
    pub stored_bytes: u64,
    /// What is left, and why.
    pub left: Vec<Stays>,
}

impl Options {
    /// # Errors
    /// [`Code::Usage`] for an age at which a running backup could be taken for dead.
    pub fn check(&self) -> Result<()> {
        if self.older_than >= YOUNGEST {
            return Ok(());
        }
        let age = self.older_than;
        Err(Error::new(
            Code::Usage,
            format!("`{age}` is too short: a running backup could be taken for dead"),
        )
        .help(format!("Choose {YOUNGEST} or longer.")))
    }

    /// Why what stands at a place can be cleared, or why not; none for a sound backup, and for a plan that is `unlisted`.
    fn judge(&self, entry: Entry, unlisted: &mut Vec<Unlisted>) -> Option<(Place, Result<Why, String>)> {
        let (place, error) = match entry {
            Entry::Backup(_) => return None,
            Entry::Unfinished(place, _) => return Some((place, Ok(Why::Unfinished))),
            Entry::LogOnly(place, _) => return Some((place, Ok(Why::LogOnly))),
            Entry::Deleting(place) => return Some((place, Ok(Why::Deleting))),
            Entry::Unreadable(place, error) => (place, error),
            Entry::Unlisted(plan, error) => {
                unlisted.push(Unlisted { plan, reason: error.message().to_owned() });
                return None;
            }
        };
        let why = match error.code() {
            Code::Damaged if self.damaged => Ok(Why::Damaged),
            Code::NewerFormat if self.newer => Ok(Why::Newer),
            _ => Err(error.message().to_owned()),
        };
        Some((place, why))
    }
}

/// Looks for what can be cleared away. Changes nothing.
///
/// # Errors
/// [`Code::Usage`] for an age that is too short; as the store fails.
pub async fn look(store: &dyn ObjectStore, options: &Options, job: &Job) -> Result<Dead> {
    options.check()?;
    let (now, mut dead) = (job.clock.now(), Dead::default());
    for entry in job.unless_cancelled(catalog::list(store, options.plan.as_ref())).await? {
        let Some((place, why)) = options.judge(entry, &mut dead.unlisted) else { continue };
        let contents = job.unless_cancelled(Contents::of(store, &place)).await?;
        let may_go = why.and_then(|why| {
            has_no_manifest(why, &contents)?;
            may_go(&place, &contents, now, options.older_than).map(|()| why)
        });
        match may_go {
            Ok(why) => dead.found.push(Found::new(place, why, contents)),
            Err(reason) => dead.stays.push(Stays { place, reason }),
        }
    }
    Ok(dead)
}

/// Clears away what a backup left under its name that never came about, however young it is: for one who started it, and
/// knows that nobody writes it any more. A deletion that was cut off is ended. The log of the run stays until it is old. None
/// where it is a backup, which stays too.
///
/// # Errors
/// [`Code::Cancelled`]; as the store fails. The same again goes on from there.
pub async fn one(store: Arc<dyn ObjectStore>, place: Place, job: &Job) -> Result<Option<Cleared>> {
    let contents = job.unless_cancelled(Contents::of(&*store, &place)).await?;
    if contents.has(layout::MANIFEST) {
        return Ok(None);
    }
    let mut cleared = Cleared::default();
    if let Err(reason) = nothing_foreign(&contents) {
        cleared.left.push(Stays { place, reason });
        return Ok(Some(cleared));
    }
    if contents.0.is_empty() || contents.is_only_a_log() {
        return Ok(Some(cleared));
    }
    let why = if contents.has(layout::DELETING) { Why::Deleting } else { Why::Unfinished };
    let log_stays = why == Why::Unfinished && contents.has(layout::LOG);
    let found = Found { log_stays, ..Found::new(place, why, contents) };
    job.unless_cancelled(found.clear(&store, job, &mut cleared)).await?;
    cleared.folders = u64::from(!log_stays);
    Ok(Some(cleared))
}

/// What was taken for one without a manifest may have got one since.
fn has_no_manifest(why: Why, contents: &Contents) -> Result<(), String> {
    match why {
        Why::Unfinished | Why::LogOnly | Why::Deleting if contents.has(layout::MANIFEST) => {
            Err("it has a manifest, which was not there before".into())
        }
        _ => Ok(()),
    }
}

fn nothing_foreign(contents: &Contents) -> Result<(), String> {
    match contents.0.iter().find(|object| !layout::is_ours(&object.name)) {
        Some(foreign) => Err(format!("Strongroom did not write `{}`, which is in it", foreign.name)),
        None => Ok(()),
    }
}

/// Whether nobody writes it any more, and nothing of anybody else is in it; else why it stays.
fn may_go(place: &Place, contents: &Contents, now: DateTime<Utc>, older_than: Period) -> Result<(), String> {
    nothing_foreign(contents)?;
    let written = if contents.0.is_empty() { place.id.time() } else { contents.newest() };
    let Some(written) = written else { return Err("when it was written is not known".into()) };
    // As far as time can be counted, nothing is older.
    let least = TimeDelta::from_std(older_than.duration()).unwrap_or(TimeDelta::MAX);
    if now - written >= least {
        return Ok(());
    }
    if written - now > CLOCKS_DIFFER {
        return Err(format!("it was last written to at {written}, which is not yet: a clock is wrong"));
    }
    Err(format!("it was written to within the last {older_than} and may be running"))
}

impl Found {
    fn new(place: Place, why: Why, contents: Contents) -> Self {
        let objects = contents.0.len() as u64;
        let stored_bytes = contents.0.iter().map(|object| object.bytes).fold(0, u64::saturating_add);
        Self {
            place,
            why,
            objects,
            stored_bytes,
            last_written: contents.newest(),
            contents,
            log_stays: false,
        }
    }

    /// Names of its objects in the order in which they go: first what makes it look like a backup, last what says that it
    /// is being deleted.
    fn steps(&self) -> [Vec<(&str, u64)>; 3] {
        let of = |wanted: &dyn Fn(&str) -> bool| {
            let objects = self.contents.0.iter().filter(|object| wanted(&object.name));
            objects.map(|object| (object.name.as_str(), object.bytes)).collect()
        };
        let between = |name: &str| match name {
            layout::MANIFEST | layout::DELETING => false,
            layout::LOG => !self.log_stays,
            _ => true,
        };
        [of(&|name| name == layout::MANIFEST), of(&between), of(&|name| name == layout::DELETING)]
    }

    /// Deletes all of it, unless it is no longer as it was found.
    async fn clear(&self, store: &Arc<dyn ObjectStore>, job: &Job, cleared: &mut Cleared) -> Result<()> {
        if Contents::of(&**store, &self.place).await? != self.contents {
            return Err(Error::new(Code::Incomplete, "it has changed since it was found"));
        }
        if self.why == Why::Deleting && self.end_deletion(store, job, cleared).await? {
            return Ok(());
        }
        if self.contents.0.is_empty() {
            // What is left of a folder on a disk goes with a name in it that is not there.
            return store.delete(&self.place.key(&format!("{}/none", layout::SEGMENTS)), None).await;
        }
        for step in self.steps() {
            let deletions = step.into_iter().map(|(name, bytes)| async move {
                let key = self.place.key(name);
                remove(&**store, &key).await?;
                job.observe(&Event::Segment { key, stored_bytes: bytes });
                Ok::<u64, Error>(bytes)
            });
            let done: Vec<_> = stream::iter(deletions).buffer_unordered(DELETED_AT_ONCE).collect().await;
            for bytes in done.iter().flatten() {
                cleared.objects += 1;
                cleared.stored_bytes += bytes;
            }
            done.into_iter().find_map(Result::err).map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    /// What remembers a deletion names the versions too; whether it could be read.
    async fn end_deletion(
        &self,
        store: &Arc<dyn ObjectStore>,
        job: &Job,
        cleared: &mut Cleared,
    ) -> Result<bool> {
        let Place { plan, id } = &self.place;
        match catalog::delete(store.clone(), Some(plan), id, &job.quiet()).await {
            Ok(_) => {
                cleared.objects += self.objects;
                cleared.stored_bytes += self.stored_bytes;
                Ok(true)
            }
            Err(error) if error.code() == Code::Damaged => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Deletes an object; by its version where that can be seen, which frees its bytes in a bucket that keeps versions.
async fn remove(store: &dyn ObjectStore, key: &str) -> Result<()> {
    match store.get_start(key, 1).await {
        Ok(found) => store.delete(key, found.version_id.as_deref()).await,
        Err(error) if error.code() == Code::ObjectMissing => Ok(()),
        // One who may delete need not be one who may read; and what is archived cannot be read.
        Err(error) if matches!(error.code(), Code::Denied | Code::Store | Code::Encryption) => {
            store.delete(key, None).await
        }
        Err(error) => Err(error),
    }
}

impl Dead {
    /// Deletes what was found. What has changed since stays, and so does what cannot be deleted; the answer names it.
    ///
    /// # Errors
    /// [`Code::Cancelled`]; as the store fails, where nothing at all could be deleted. The same again goes on from there.
    pub async fn clear(&self, store: Arc<dyn ObjectStore>, job: &Job) -> Result<Cleared> {
        job.observe(&Event::Began { backup: None, plan: None });
        job.phase(Phase::Deleting);
        let (mut cleared, mut first) = (Cleared::default(), None);
        for found in &self.found {
            match job.unless_cancelled(found.clear(&store, job, &mut cleared)).await {
                Ok(()) => cleared.folders += 1,
                Err(error) if error.code() == Code::Cancelled => return Err(error),
                Err(error) => {
                    let reason = error.message().to_owned();
                    cleared.left.push(Stays { place: found.place.clone(), reason });
                    first = first.or(Some(error));
                }
            }
        }
        match first {
            Some(error) if cleared.objects == 0 && error.code() != Code::Incomplete => Err(error),
            _ => Ok(cleared),
        }
    }
}
