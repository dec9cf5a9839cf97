//! One try of a run: the work, and beside it the heart that beats for it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use strongroom_engine::catalog::Place;
use strongroom_engine::{BackupId, Code, Error, Job, Manifest, Result};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::held::{Held, Why};
use super::load::{Task, load};
use super::log::Recorder;
use super::means::{Means, of_state};
use super::{Claim, backup, failure, problem, prove, restore, sweep, verify};
use crate::job::{Effect, Event};
use crate::model::{Backup, BackupKey, BackupMade, BackupState, Run, RunOutcome};
use crate::state::runs::{Claimed, Heartbeat};
use crate::state::{StateError, backups, log_lines};

/// Bytes of the stack of a run's thread, as a main thread has them: some futures of the engine are large.
const STACK: usize = 8 << 20;
/// How soon a write that the state did not take is tried again.
const WRITE_AGAIN: Duration = Duration::from_millis(500);

/// A try that a worker is at.
pub struct Attempt {
    held: Arc<Held>,
    run: Run,
    job: Job,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Attempt").field(&self.run.id).finish()
    }
}

/// What a try that went well gave.
struct Made {
    outcome: RunOutcome,
    backup: Option<Box<Backup>>,
}

/// How a try ended.
#[derive(Debug)]
pub struct Ended {
    /// The run as it is since. None: it is another worker's, or nobody knows.
    pub run: Option<Run>,
    /// What is still to be done about it.
    pub effects: Vec<Effect>,
}

impl Attempt {
    /// The try that was claimed.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn new(means: &Means, claimed: Claimed) -> Result<Self, StateError> {
        let last = log_lines::last(&mut means.state.reader().await?, &claimed.run.id).await?;
        let recorder = Arc::new(Recorder::new(means.clock.clone(), last));
        let held = Arc::new(Held::new(means, &claimed, recorder.clone()));
        let (cancel, clock) = (held.cancel.clone(), means.clock.clone());
        let job = Job { observer: recorder, cancel, clock, waits: means.waits };
        Ok(Self { held, run: claimed.run, job })
    }

    /// Stops it, since somebody asked for it.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller(self.held.clone())
    }

    /// Does the work, and stores how it ended. `hand_over` stops it when the service is stopped.
    pub async fn run(self, hand_over: CancellationToken) -> Ended {
        let work = in_a_thread(self.held.clone(), self.run.clone(), self.job.clone());
        let beating = tokio::spawn(beat(self.held.clone(), self.run.deadline_at, hand_over));
        let abruptly = |_| Err(Error::new(Code::Internal, "the work of the run ended abruptly"));
        let outcome = work.await.unwrap_or_else(abruptly);
        let ended = self.end(outcome).await;
        beating.abort();
        ended
    }

    async fn end(&self, outcome: Result<Made>) -> Ended {
        let nothing = Ended { run: None, effects: Vec::new() };
        let (event, made) = match (outcome, self.held.why()) {
            (_, Some(Why::Lost)) => return nothing,
            (Ok(made), _) => (Event::Succeeded(Box::new(made.outcome)), made.backup),
            (Err(error), why) => (self.unsuccessful(&error, why), None),
        };
        self.write_down(&event);
        loop {
            match self.held.change(event.clone(), made.as_deref()).await {
                Ok(Some((run, effects))) => return Ended { run: Some(run), effects },
                Ok(None) => return nothing,
                Err(error) if self.held.why() == Some(Why::Lost) => {
                    tracing::warn!(run = %self.run.id, %error, "the end of a run could not be stored, and the run is lost");
                    return nothing;
                }
                Err(_) => tokio::time::sleep(WRITE_AGAIN).await,
            }
        }
    }

    fn unsuccessful(&self, error: &Error, why: Option<Why>) -> Event {
        let remains = self.held.remains();
        match why {
            Some(Why::Cancelled) => Event::Cancelled(remains),
            Some(Why::HandedOver) => Event::HandedOver(remains),
            Some(Why::Deadline) => Event::DeadlinePassed(remains),
            Some(Why::Lost) | None => Event::Failed(failure(error, remains, rand::random())),
        }
    }

    /// The last line of the log of this try.
    fn write_down(&self, event: &Event) {
        let recorder = &self.held.recorder;
        match event {
            Event::Failed(failure) => recorder.ended(Some(&failure.problem)),
            Event::Succeeded(_) => recorder.ended(None),
            event => recorder.ended(Some(&problem(&Error::new(Code::Cancelled, event.to_string())))),
        }
    }

    /// The log of this try, a line of JSON each.
    #[must_use]
    pub fn log(canceller: &Canceller) -> String {
        canceller.0.recorder.json_lines()
    }
}

/// Stops a try from elsewhere.
#[derive(Clone)]
pub struct Canceller(Arc<Held>);

impl Canceller {
    /// Stops it, since somebody asked for it.
    pub fn cancel(&self) {
        self.0.stop(Why::Cancelled);
    }
}

/// Does the work in a thread of its own: between two waits it may compute for long, and the threads that answer people
/// stay free. A thread that is still at work does not keep the process from ending.
fn in_a_thread(held: Arc<Held>, run: Run, job: Job) -> oneshot::Receiver<Result<Made>> {
    let (done, outcome) = oneshot::channel();
    let runtime = Handle::current();
    let work = move || {
        let made = runtime.block_on(perform(held, run, job));
        // Nobody waits any more: the process ends.
        let _ = done.send(made);
    };
    // Where no thread can be had, nothing is sent, and the run fails.
    let _ = std::thread::Builder::new().name("run".into()).stack_size(STACK).spawn(work);
    outcome
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Canceller").field(&self.0.id).finish()
    }
}

async fn perform(held: Arc<Held>, run: Run, job: Job) -> Result<Made> {
    let name = BackupId::new(job.clock.now(), rand::random());
    let task = load(&held.means, &run, name, job.observer.clone()).await?;
    let claim: Arc<dyn Claim> = held.clone();
    let plain = |outcome| Made { outcome, backup: None };
    Ok(match task {
        Task::Backup(work) => catalogued(&backup::run(*work, &claim, &job).await?, &run, &job)?,
        Task::Verify(work) => plain(RunOutcome::Verify(verify::run(work, &job).await?)),
        Task::Restore(work, asked) => {
            plain(RunOutcome::Restore(restore::run(*work, &asked, &*claim, &job).await?))
        }
        Task::Prove(opening) => plain(RunOutcome::Prove(prove::run(run.id.clone(), &opening, &job).await?)),
        Task::Sweep(work) => {
            let done = sweep::run(work, &*claim, &job).await?;
            for (place, manifest) in done.whole {
                adopt(&held, &run, &place, &manifest).await?;
            }
            plain(RunOutcome::Sweep(done.swept))
        }
    })
}

/// A backup that was made, with its entry of the catalogue.
fn catalogued(manifest: &Manifest, run: &Run, job: &Job) -> Result<Made> {
    let key = BackupKey::new(job.clock.now(), rand::random());
    let backup = backup::entry(key.clone(), manifest, run)?;
    Ok(Made { outcome: RunOutcome::Backup(BackupMade { backup: key }), backup: backup.map(Box::new) })
}

/// A try of which nobody had heard that it stored its manifest: it is a backup, and the catalogue says so. Of one that
/// was to be deleted nothing was, and it stays expired.
async fn adopt(held: &Held, sweep: &Run, place: &Place, manifest: &Manifest) -> Result<()> {
    let Some(location) = &sweep.location else { return Ok(()) };
    let adopted: Result<(), StateError> = async {
        let mut conn = held.means.state.reader().await?;
        let known = backups::find(&mut conn, location, &place.plan, &place.id).await?;
        drop(conn);
        let mut tx = held.means.state.begin().await?;
        match known {
            Some(mut backup) if backup.state == BackupState::Swept => {
                (backup.state, backup.swept_at) = (BackupState::Expired, None);
                backups::update(&mut tx, &backup).await?;
            }
            Some(_) => {}
            None => {
                let maker =
                    crate::state::leftovers::of_place(&mut tx, location, &place.plan, &place.id).await?;
                let maker = match maker {
                    Some(run) => crate::state::runs::get(&mut tx, &run).await?,
                    None => None,
                };
                let key = BackupKey::new(held.means.now(), rand::random());
                let made_by = maker.as_ref().unwrap_or(sweep);
                if let Ok(Some(backup)) = backup::entry(key, manifest, made_by) {
                    backups::insert(&mut tx, &backup).await?;
                    tx.tell(
                        "backup.made",
                        Some(backup.id.as_str()),
                        serde_json::json!({ "plan": backup.plan }),
                    );
                }
            }
        }
        tx.commit().await
    }
    .await;
    adopted.map_err(|e| of_state(&e))?;
    held.cleared(place).await
}

/// Tells those who look on how far the work is, and renews the lease, until the work has ended.
async fn beat(held: Arc<Held>, deadline: Option<DateTime<Utc>>, hand_over: CancellationToken) {
    let timing = held.means.timing;
    let mut told = None;
    // Until then the lease holds for sure; the clock of this machine is used, since no other one can be asked when the
    // state is away.
    let lease = timing.lease.to_std().unwrap_or_default();
    let mut beaten = Instant::now();
    loop {
        tokio::select! {
            () = hand_over.cancelled(), if held.why().is_none() => held.stop(Why::HandedOver),
            () = tokio::time::sleep(timing.progress) => {}
        }
        let progress = held.recorder.progress();
        if told.as_ref() != Some(&progress) {
            held.means.events.progress(held.id.clone(), progress.clone());
            told = Some(progress);
        }
        if deadline.is_some_and(|deadline| held.means.now() >= deadline) {
            held.stop(Why::Deadline);
        }
        if beaten.elapsed() < timing.heartbeat {
            continue;
        }
        let asked = Instant::now();
        match held.beat().await {
            Ok(Heartbeat::Alive) => beaten = asked,
            Ok(Heartbeat::CancelRequested) => {
                beaten = asked;
                held.stop(Why::Cancelled);
            }
            Ok(Heartbeat::Lost) => return held.stop(Why::Lost),
            // Somebody else may have it soon.
            Err(_) if beaten.elapsed() + timing.heartbeat >= lease => return held.stop(Why::Lost),
            Err(error) => tracing::warn!(run = %held.id, %error, "the lease of a run could not be renewed"),
        }
    }
}
