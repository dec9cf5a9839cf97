//! A run that a worker has: everything it writes counts only while it still has it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::TimeDelta;
use strongroom_engine::catalog::{Deleted, Place};
use strongroom_engine::{BackupId, Code, Error, Result};
use tokio_util::sync::CancellationToken;

use super::Claim;
use super::log::Recorder;
use super::means::{Means, of_state};
use crate::job::{self, Effect, Event, Remains};
use crate::model::{Backup, BackupKey, BackupState, Level, LocationId, Run, RunId};
use crate::state::leftovers::{self, Leftover};
use crate::state::runs::{self, Claimed, Heartbeat, Holding};
use crate::state::{StateError, Tx, backups, log_lines};

/// Names of a target that are remembered one by one.
const TOUCHED_MAX: usize = 100;
/// A backup that could not be deleted is tried again after so long.
const SWEPT_AGAIN_AFTER: TimeDelta = TimeDelta::hours(6);

/// Why a run is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Somebody asked for it.
    Cancelled,
    /// The service is stopped.
    HandedOver,
    /// It took too long.
    Deadline,
    /// It is another worker's by now, or nobody knows.
    Lost,
}

/// A run that a worker has.
pub(super) struct Held {
    pub(super) means: Means,
    pub(super) id: RunId,
    pub(super) fence: i64,
    pub(super) location: Option<LocationId>,
    pub(super) recorder: Arc<Recorder>,
    /// Stops the work.
    pub(super) cancel: CancellationToken,
    why: Mutex<Option<Why>>,
    touched: Mutex<Vec<String>>,
}

fn lost() -> Error {
    Error::new(Code::Cancelled, "the run is another worker's by now")
}

impl Held {
    pub(super) fn new(means: &Means, claimed: &Claimed, recorder: Arc<Recorder>) -> Self {
        Self {
            means: means.clone(),
            id: claimed.run.id.clone(),
            fence: claimed.fence,
            location: claimed.run.location.clone(),
            recorder,
            cancel: CancellationToken::new(),
            why: Mutex::default(),
            touched: Mutex::default(),
        }
    }

    /// Stops the work. The first reason counts, but that the run is lost goes before all.
    pub(super) fn stop(&self, why: Why) {
        let mut known = self.why_locked();
        if known.is_none() || why == Why::Lost {
            *known = Some(why);
        }
        drop(known);
        self.cancel.cancel();
    }

    pub(super) fn why(&self) -> Option<Why> {
        *self.why_locked()
    }

    fn why_locked(&self) -> MutexGuard<'_, Option<Why>> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is left if the try ends now.
    pub(super) fn remains(&self) -> Remains {
        let in_target = self.touched.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Remains { objects: self.recorder.objects_left(), in_target }
    }

    /// Writes the log so far, says how far the work is, and renews the lease.
    pub(super) async fn beat(&self) -> Result<Heartbeat, StateError> {
        let mut tx = self.means.state.begin().await?;
        let lines = self.recorder.untold();
        let held = log_lines::append(&mut tx, &self.id, self.fence, &lines).await?;
        let progress = self.recorder.progress();
        let lease = self.means.timing.lease;
        let beat = match held {
            true => runs::heartbeat(&mut tx, &self.id, self.fence, lease, Some(&progress)).await?,
            false => Heartbeat::Lost,
        };
        tx.commit().await?;
        self.recorder.told(&lines);
        Ok(beat)
    }

    /// Changes the run by an event, and stores what follows from it. `besides` is done in the same transaction.
    pub(super) async fn change(
        &self,
        event: Event,
        made: Option<&Backup>,
    ) -> Result<Option<(Run, Vec<Effect>)>, StateError> {
        let mut tx = self.means.state.begin().await?;
        let Some(claimed) = runs::get_to_change(&mut tx, &self.id).await? else { return Ok(None) };
        if claimed.fence != self.fence {
            return Ok(None);
        }
        let lines = self.recorder.untold();
        let now = self.means.now();
        let Ok((run, effects)) = job::step(&claimed.run, event, now) else { return Ok(None) };
        if !log_lines::append(&mut tx, &self.id, self.fence, &lines).await? {
            return Ok(None);
        }
        if let Some(backup) = made {
            backups::insert(&mut tx, backup).await?;
            tx.tell("backup.made", Some(backup.id.as_str()), serde_json::json!({ "plan": backup.plan }));
        }
        if !runs::store(&mut tx, &run, Holding::Fence(self.fence), &effects).await? {
            return Ok(None);
        }
        // The worker itself has stopped writing, so what it left can go at once.
        leave(&mut tx, &run, &effects, TimeDelta::zero(), &self.means).await?;
        tx.commit().await?;
        self.recorder.told(&lines);
        Ok(Some((run, effects)))
    }

    /// A write that only counts while the run is held.
    async fn held(&self) -> Result<Tx> {
        let mut tx = self.means.state.begin().await.map_err(|e| of_state(&e))?;
        let beat = runs::heartbeat(&mut tx, &self.id, self.fence, self.means.timing.lease, None).await;
        match beat.map_err(|e| of_state(&e))? {
            Heartbeat::Alive => Ok(tx),
            Heartbeat::CancelRequested => {
                self.stop(Why::Cancelled);
                Err(Error::new(Code::Cancelled, "somebody asked for the run to stop"))
            }
            Heartbeat::Lost => {
                self.stop(Why::Lost);
                Err(lost())
            }
        }
    }

    async fn leftover(&self, tx: &mut Tx, backup: &Backup, add: bool) -> Result<(), StateError> {
        let leftover = Leftover {
            location: backup.location.clone(),
            folder: backup.folder.clone(),
            name: backup.name.clone(),
            run: self.id.clone(),
            sweep_after: self.means.now(),
        };
        match add {
            true => leftovers::insert(tx, &leftover).await,
            false => leftovers::delete(tx, &leftover).await,
        }
    }

    async fn change_backup(
        &self,
        id: &BackupKey,
        change: impl FnOnce(&mut Backup) -> Change,
    ) -> Result<bool> {
        let mut tx = self.held().await?;
        let changed: Result<bool, StateError> = async {
            let Some(mut backup) = backups::get_to_change(&mut tx, id).await? else { return Ok(false) };
            let (news, remember) = match change(&mut backup) {
                Change::None => return Ok(false),
                Change::Told(news, remember) => (news, remember),
            };
            self.leftover(&mut tx, &backup, remember).await?;
            backups::update(&mut tx, &backup).await?;
            if let Some(news) = news {
                tx.tell(news, Some(id.as_str()), serde_json::json!({ "plan": backup.plan }));
            }
            tx.commit().await?;
            Ok(true)
        }
        .await;
        changed.map_err(|e| of_state(&e))
    }
}

/// What becomes of a backup of the catalogue.
enum Change {
    None,
    /// With this news; and whether something of it may be left in its location.
    Told(Option<&'static str>, bool),
}

/// Remembers what a try left that gave no backup: it is swept once nobody can be writing it any more.
pub(crate) async fn leave(
    tx: &mut Tx,
    run: &Run,
    effects: &[Effect],
    settles_after: TimeDelta,
    means: &Means,
) -> Result<(), StateError> {
    let swept: BTreeSet<&BackupId> = effects.iter().filter_map(swept_by).collect();
    let (Some(plan), Some(location)) = (&run.plan, &run.location) else { return Ok(()) };
    for name in swept {
        let Some(plan) = crate::state::plans::get(tx, plan).await? else { return Ok(()) };
        let leftover = Leftover {
            location: location.clone(),
            folder: plan.folder,
            name: name.clone(),
            run: run.id.clone(),
            sweep_after: means.now() + settles_after,
        };
        leftovers::insert(tx, &leftover).await?;
    }
    Ok(())
}

fn swept_by(effect: &Effect) -> Option<&BackupId> {
    match effect {
        Effect::Sweep(name) => Some(name),
        _ => None,
    }
}

#[async_trait]
impl Claim for Held {
    async fn named(&self, backup: &BackupId) -> Result<()> {
        let changed = self.change(Event::Named(backup.clone()), None).await.map_err(|e| of_state(&e))?;
        if changed.is_none() {
            self.stop(Why::Lost);
            return Err(lost());
        }
        Ok(())
    }

    async fn touches(&self, namespaces: &[String]) -> Result<()> {
        for name in namespaces.iter().take(TOUCHED_MAX) {
            self.recorder.line(Level::Info, TOUCHES, name);
        }
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = namespaces.to_vec();
        match self.beat().await.map_err(|e| of_state(&e))? {
            Heartbeat::Lost => {
                self.stop(Why::Lost);
                Err(lost())
            }
            Heartbeat::Alive | Heartbeat::CancelRequested => Ok(()),
        }
    }

    async fn renewed(&self) -> Result<()> {
        self.held().await?.commit().await.map_err(|e| of_state(&e))
    }

    async fn begins_to_delete(&self, backup: &BackupKey) -> Result<bool> {
        let now = self.means.now();
        let begin = |backup: &mut Backup| {
            let over = backup.sweep_after.is_some_and(|at| at <= now);
            if backup.state != BackupState::Expired || !over || !backup.holds.is_empty() {
                return Change::None;
            }
            (backup.state, backup.swept_at) = (BackupState::Swept, Some(now));
            Change::Told(Some("backup.swept"), true)
        };
        self.change_backup(backup, begin).await
    }

    async fn deleted(&self, backup: &BackupKey, _: Deleted) -> Result<()> {
        self.change_backup(backup, |_| Change::Told(None, false)).await.map(drop)
    }

    async fn kept_whole(&self, backup: &BackupKey) -> Result<()> {
        let again = self.means.now() + SWEPT_AGAIN_AFTER;
        let keep = |backup: &mut Backup| {
            (backup.state, backup.swept_at) = (BackupState::Expired, None);
            backup.sweep_after = Some(again);
            Change::Told(Some("backup.kept"), false)
        };
        self.change_backup(backup, keep).await.map(drop)
    }

    async fn cleared(&self, place: &Place) -> Result<()> {
        let Some(location) = &self.location else { return Ok(()) };
        let mut tx = self.held().await?;
        let (folder, name) = (place.plan.clone(), place.id.clone());
        let sweep_after = self.means.now();
        let leftover =
            Leftover { location: location.clone(), folder, name, run: self.id.clone(), sweep_after };
        leftovers::delete(&mut tx, &leftover).await.map_err(|e| of_state(&e))?;
        tx.commit().await.map_err(|e| of_state(&e))
    }
}

/// The code of lines that name what a restore may write to.
pub(crate) const TOUCHES: &str = "target";
