//! Backups that expired, and what tries without a backup left behind, are deleted: each by its versions, so that a bucket
//! that keeps versions really shrinks. What is refused or cut off stays for the next sweep.

use std::sync::Arc;

use strongroom_engine::bucket::ObjectStore;
use strongroom_engine::catalog::{self, Deleted, Place};
use strongroom_engine::{BackupId, Code, Error, Job, Manifest, PlanName, Result, clean};

use super::Claim;
use crate::model::{BackupKey, Swept};

/// What is to go from one location.
#[derive(Debug)]
pub struct Work {
    /// The location, by one who may delete.
    pub store: Arc<dyn ObjectStore>,
    /// Backups whose grace is over, the oldest first.
    pub expired: Vec<Expired>,
    /// What tries left that gave no backup, and that nobody can be writing any more.
    pub leftovers: Vec<Place>,
}

/// A backup whose grace is over.
#[derive(Debug, Clone)]
pub struct Expired {
    /// Its id in the catalogue.
    pub key: BackupKey,
    /// The folder of its plan.
    pub folder: PlanName,
    /// Its name.
    pub name: BackupId,
}

/// What a sweep did, and what of the leftovers turned out to be a backup after all.
#[derive(Debug, Default)]
pub struct Done {
    /// Counts.
    pub swept: Swept,
    /// Tries whose manifest was stored though nobody heard of it. They are backups, and stay.
    pub whole: Vec<(Place, Manifest)>,
}

/// Deletes what can be deleted.
///
/// # Errors
/// As the claim fails, and [`Code::Cancelled`]; as the store fails where nothing at all could be deleted. The next sweep
/// goes on from there.
pub async fn run(work: Work, claim: &dyn Claim, job: &Job) -> Result<Done> {
    let (mut done, mut first) = (Done::default(), None);
    for expired in &work.expired {
        job.check()?;
        if !claim.begins_to_delete(&expired.key).await? {
            continue;
        }
        match delete(&work.store, expired, job).await {
            Ok(freed) => {
                claim.deleted(&expired.key, freed).await?;
                done.swept.add(freed);
            }
            Err(error) if error.code() == Code::Cancelled => return Err(error),
            Err(error) => {
                if is_whole(&work.store, expired).await {
                    claim.kept_whole(&expired.key).await?;
                }
                done.swept.left += 1;
                first = first.or(Some(error));
            }
        }
    }
    for place in work.leftovers {
        match clear(&work.store, &place, claim, job).await {
            Ok(Left::Nothing(objects, bytes)) => {
                done.swept.objects += objects;
                done.swept.bytes += bytes;
            }
            Ok(Left::Something) => done.swept.left += 1,
            Ok(Left::Backup(manifest)) => done.whole.push((place, *manifest)),
            Err(error) if error.code() == Code::Cancelled => return Err(error),
            Err(error) => {
                done.swept.left += 1;
                first = first.or(Some(error));
            }
        }
    }
    match first {
        Some(error) if done.swept.objects == 0 => Err(error),
        _ => Ok(done),
    }
}

impl Swept {
    fn add(&mut self, freed: Deleted) {
        self.backups += 1;
        self.objects += freed.objects;
        self.bytes += freed.stored_bytes;
    }
}

/// One that is gone already, such as by a sweep that was cut off before it could say so, is deleted.
async fn delete(store: &Arc<dyn ObjectStore>, expired: &Expired, job: &Job) -> Result<Deleted> {
    let Expired { folder, name, .. } = expired;
    match catalog::delete(store.clone(), Some(folder), name, job).await {
        Err(error) if error.code() == Code::NotABackup => Ok(Deleted::default()),
        other => other,
    }
}

async fn is_whole(store: &Arc<dyn ObjectStore>, expired: &Expired) -> bool {
    catalog::find(&**store, Some(&expired.folder), expired.name.as_str()).await.is_ok()
}

enum Left {
    Nothing(u64, u64),
    Something,
    Backup(Box<Manifest>),
}

async fn clear(store: &Arc<dyn ObjectStore>, place: &Place, claim: &dyn Claim, job: &Job) -> Result<Left> {
    job.check()?;
    let Some(cleared) = clean::one(store.clone(), place.clone(), job).await? else {
        let manifest = catalog::find(&**store, Some(&place.plan), place.id.as_str()).await?;
        return Ok(Left::Backup(Box::new(manifest)));
    };
    if !cleared.left.is_empty() {
        return Ok(Left::Something);
    }
    claim.cleared(place).await?;
    Ok::<_, Error>(Left::Nothing(cleared.objects, cleared.stored_bytes))
}
