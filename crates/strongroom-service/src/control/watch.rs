//! Following what changes: only what the actor may see, and only as long as they are signed in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::{Actor, Credential, Error, Result, Scope, ServiceCode, sessions};
use crate::events::{Followed, Follower};
use crate::model::{DeploymentId, PlanId, Progress, RunId};
use crate::service::Service;
use crate::state::events::StoredEvent;
use crate::state::{self};

/// Streams of one user or token at a time.
const STREAMS_MAX: usize = 20;
/// After this long without an event there is a sign of life, and the session is looked at again.
const QUIET: Duration = Duration::from_secs(15);
/// Runs of which a stream remembers whether they may be seen.
const RUNS_KNOWN: usize = 1000;

/// What a stream shows next.
#[derive(Debug)]
pub enum Seen {
    /// Nothing happened for a while.
    Nothing,
    /// Something changed.
    Change(Arc<StoredEvent>),
    /// How far a run is.
    Progress(RunId, Progress),
    /// Some events are missing; they go on after this number.
    Resync(i64),
}

/// Streams that are open, by whose they are.
#[derive(Debug, Default)]
pub struct Streams(Mutex<HashMap<String, usize>>);

/// An open stream, counted until it is dropped.
#[derive(Debug)]
struct Counted {
    service: Arc<Service>,
    whose: String,
}

impl Counted {
    fn new(service: Arc<Service>, whose: String) -> Result<Self> {
        let mut open = service.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(whose.clone()).or_default();
        if *count >= STREAMS_MAX {
            let message = format!("there are {STREAMS_MAX} event streams open already");
            return Err(Error::new(ServiceCode::TooMany, message).retry_after(QUIET.as_secs()));
        }
        *count += 1;
        drop(open);
        Ok(Self { service, whose })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.service.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.whose) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.whose);
            }
        }
    }
}

/// Somebody who follows.
#[derive(Debug)]
pub struct Watch {
    counted: Counted,
    actor: Actor,
    credential: Credential,
    follower: Follower,
    looked: Instant,
    runs: HashMap<RunId, bool>,
}

impl Watch {
    /// Follows events after the number `last`, or from now on.
    ///
    /// # Errors
    /// `SR-TOO-MANY` if there are too many streams of this user or token.
    pub async fn begin(
        service: Arc<Service>,
        actor: Actor,
        credential: Credential,
        last: Option<i64>,
    ) -> Result<Self> {
        let counted = Counted::new(service, actor.key())?;
        let follower = counted.service.events.follow(last).await?;
        Ok(Self { counted, actor, credential, follower, looked: Instant::now(), runs: HashMap::new() })
    }

    /// What comes next; none: the session has ended, or the service does.
    pub async fn next(&mut self) -> Option<Seen> {
        loop {
            let followed = tokio::time::timeout(QUIET, self.follower.next()).await.ok();
            if self.looked.elapsed() >= QUIET || may_end_it(&followed) {
                self.looked = Instant::now();
                if !sessions::is_alive(&self.counted.service, &self.credential).await {
                    return None;
                }
            }
            match followed {
                None => return Some(Seen::Nothing),
                Some(None) => return None,
                Some(Some(Followed::Resync(seq))) => return Some(Seen::Resync(seq)),
                Some(Some(Followed::Event(event))) => {
                    if shows(&self.actor.scope, &event) {
                        return Some(Seen::Change(event));
                    }
                }
                Some(Some(Followed::Progress(progress))) => {
                    let (run, progress) = &*progress;
                    if self.shows_run(run).await {
                        return Some(Seen::Progress(run.clone(), progress.clone()));
                    }
                }
            }
        }
    }

    /// A run's plan and deployment never change.
    async fn shows_run(&mut self, id: &RunId) -> bool {
        if self.actor.scope.is_whole() {
            return true;
        }
        if let Some(known) = self.runs.get(id) {
            return *known;
        }
        let shown = self.looks_at_run(id).await.unwrap_or(false);
        if self.runs.len() >= RUNS_KNOWN {
            self.runs.clear();
        }
        self.runs.insert(id.clone(), shown);
        shown
    }

    async fn looks_at_run(&self, id: &RunId) -> Result<bool> {
        let mut conn = self.counted.service.state.reader().await?;
        let run = state::runs::get(&mut conn, id).await?;
        Ok(run.is_some_and(|run| is_of(&self.actor.scope, run.plan.as_ref(), run.deployment.as_ref())))
    }
}

/// Whether the session or token of a stream may just have ended.
fn may_end_it(followed: &Option<Option<Followed>>) -> bool {
    let Some(Some(Followed::Event(event))) = followed else { return false };
    ["session.", "token.", "user."].iter().any(|start| event.kind.starts_with(start))
}

/// Whether an event may be seen. Events of a plan or deployment name it in their data, or are about it.
fn shows(scope: &Scope, event: &StoredEvent) -> bool {
    if scope.is_whole() {
        return true;
    }
    let named = |name: &str| event.data.get(name).and_then(Value::as_str).or(event.subject.as_deref());
    let plan: Option<PlanId> = named("plan").and_then(|id| id.parse().ok());
    let deployment: Option<DeploymentId> = named("deployment").and_then(|id| id.parse().ok());
    is_of(scope, plan.as_ref(), deployment.as_ref())
}

/// Whether something of this plan and this deployment is within a scope that is not the whole.
fn is_of(scope: &Scope, plan: Option<&PlanId>, deployment: Option<&DeploymentId>) -> bool {
    match (plan, deployment) {
        (Some(plan), Some(deployment)) => scope.has_plan(plan, deployment),
        (None, Some(deployment)) => scope.plans.is_empty() && scope.has_deployment(deployment),
        (Some(plan), None) => scope.deployments.is_empty() && scope.plans.contains(plan),
        (None, None) => false,
    }
}
