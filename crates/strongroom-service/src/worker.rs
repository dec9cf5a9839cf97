//! A worker: it claims runs, does them, and says so.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::events::Followed;
use crate::job::Effect;
use crate::model::{RunKind, RunState};
use crate::runs::attempt::{Attempt, Canceller, Ended};
use crate::runs::{Means, keep_log};
use crate::state::runs::Claimed;
use crate::state::{StateError, runs, settings};
use crate::upkeep;

/// A worker. Of one name there is one at a time.
pub struct Worker {
    means: Means,
    name: String,
    /// Woken when there may be something to claim.
    wake: Notify,
    /// The runs that it does.
    busy: Mutex<HashMap<String, Canceller>>,
    /// Stops what is still at work when the service is to end.
    hand_over: CancellationToken,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Worker").field(&self.name).finish()
    }
}

impl Worker {
    /// A worker of this name.
    #[must_use]
    pub fn new(means: Means, name: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            means,
            name: name.into(),
            wake: Notify::new(),
            busy: Mutex::default(),
            hand_over: CancellationToken::new(),
        })
    }

    fn busy(&self) -> MutexGuard<'_, HashMap<String, Canceller>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims and does runs until `stop`. Then it claims none any more, lets those that are at work finish for a while,
    /// and hands over the rest: backups wait for their next try, restores fail and say what is in their targets.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        let listening = tokio::spawn(self.clone().listen());
        while !stop.is_cancelled() {
            self.claim_all(&tasks).await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wake.notified() => {}
                () = tokio::time::sleep(self.means.timing.look) => {}
            }
        }
        tasks.close();
        let timing = self.means.timing;
        if tokio::time::timeout(timing.finish_within, tasks.wait()).await.is_err() {
            self.hand_over.cancel();
            if tokio::time::timeout(timing.hand_over_within, tasks.wait()).await.is_err() {
                tracing::warn!(worker = %self.name, "runs did not stop in time; another worker takes them over");
            }
        }
        listening.abort();
    }

    /// Hears what may be claimed, and what is to stop.
    async fn listen(self: Arc<Self>) {
        loop {
            let Ok(mut follower) = self.means.events.follow(None).await else {
                tokio::time::sleep(self.means.timing.look).await;
                continue;
            };
            while let Some(next) = follower.next().await {
                match next {
                    Followed::Event(event) if event.kind == "run.stopping" => {
                        if let Some(run) =
                            event.subject.as_ref().and_then(|run| self.busy().get(run).cloned())
                        {
                            run.cancel();
                        }
                    }
                    Followed::Event(event)
                        if event.kind.starts_with("run.") || event.kind.starts_with("settings.") =>
                    {
                        self.wake.notify_one();
                    }
                    Followed::Resync(_) => self.wake.notify_one(),
                    Followed::Event(_) | Followed::Progress(_) => {}
                }
            }
            if self.hand_over.is_cancelled() {
                return;
            }
        }
    }

    /// Claims what may be begun, and begins it.
    async fn claim_all(self: &Arc<Self>, tasks: &TaskTracker) {
        loop {
            match self.claim().await {
                Ok(Some(claimed)) => {
                    tasks.spawn(self.clone().work(claimed));
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(worker = %self.name, %error, "no run can be claimed");
                    return;
                }
            }
        }
    }

    async fn claim(&self) -> Result<Option<Claimed>, StateError> {
        let mut tx = self.means.state.begin().await?;
        let (settings, _) = settings::get(&mut tx).await?;
        let at_once = settings.runs_at_once.get();
        let claimed = runs::claim(&mut tx, &self.name, at_once, self.means.timing.lease).await?;
        if claimed.is_some() {
            tx.commit().await?;
        }
        Ok(claimed)
    }

    async fn work(self: Arc<Self>, claimed: Claimed) {
        let (id, kind, plan) = (claimed.run.id.clone(), claimed.run.request.kind(), claimed.run.plan.clone());
        let attempt = match Attempt::new(&self.means, claimed).await {
            Ok(attempt) => attempt,
            Err(error) => {
                tracing::warn!(run = %id, %error, "a run that was claimed cannot be begun; it is taken over later");
                return;
            }
        };
        let canceller = attempt.canceller();
        self.busy().insert(id.to_string(), canceller.clone());
        tracing::info!(run = %id, ?kind, plan = plan.as_ref().map(tracing::field::display), "a run began");
        let ended = attempt.run(self.hand_over.clone()).await;
        self.busy().remove(id.as_str());
        self.after(&ended, &canceller).await;
        self.wake.notify_one();
    }

    /// What is to be done once the end is stored. None of it is needed for the run to be as it ended.
    async fn after(&self, ended: &Ended, canceller: &Canceller) {
        let Some(run) = &ended.run else { return };
        let problem = run.problem.as_ref().map(|problem| problem.message.as_str());
        tracing::info!(run = %run.id, state = run.state.as_str(), problem, "a run ended, or waits again");
        for effect in &ended.effects {
            if let Effect::KeepLog(name) = effect {
                let log = Attempt::log(canceller);
                let kept = keep_log(&self.means, run, name, log).await;
                if let Err(error) = kept {
                    tracing::warn!(run = %run.id, %error, "the log of a run could not be put beside its backup");
                }
            }
        }
        if let (RunKind::Backup, RunState::Succeeded, Some(plan)) = (run.request.kind(), run.state, &run.plan)
            && let Err(error) = upkeep::retain(&self.means, plan).await
        {
            tracing::warn!(run = %run.id, %error, "retention could not be applied; it is again within a minute");
        }
    }
}
