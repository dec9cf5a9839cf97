//! The live channel: what changes, as it changes, for everybody who looks on.
//!
//! One task reads stored events in the order of their numbers and sends each to all followers. So a follower misses
//! nothing and sees nothing twice, whichever process made the change and however transactions overlapped.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{Receiver, Sender, channel};
use tokio::task::AbortHandle;

use crate::model::{Progress, RunId};
use crate::state::events::{self as stored, StoredEvent};
use crate::state::{Result, State};

/// How many events a follower may be behind before it must begin anew.
const BEHIND: usize = 1024;
/// How many stored events are read at once.
const AT_ONCE: u64 = 1000;
/// How often events of other processes are looked for, and how soon again after the database was lost.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What a follower gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Followed {
    /// Something changed.
    Event(Arc<StoredEvent>),
    /// How far a run is. It is not stored: whoever missed it reads the run.
    Progress(Arc<(RunId, Progress)>),
    /// Some events are missing. Everything is to be read anew; events go on after this number.
    Resync(i64),
}

#[derive(Debug, Clone)]
enum Sent {
    Event(Arc<StoredEvent>),
    Progress(Arc<(RunId, Progress)>),
    Gap,
}

/// The live channel. Clones are the same one; it ends with the last of them.
#[derive(Debug, Clone)]
pub struct Events {
    state: State,
    sender: Sender<Sent>,
    _pump: Arc<Pump>,
}

#[derive(Debug)]
struct Pump(AbortHandle);

impl Drop for Pump {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Events {
    /// Begins to send what is stored from now on.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn start(state: State) -> Result<Self> {
        let last = stored::newest(&mut state.reader().await?).await?;
        let (sender, _) = channel(BEHIND);
        let task = tokio::spawn(pump(state.clone(), sender.clone(), last));
        Ok(Self { state, sender, _pump: Arc::new(Pump(task.abort_handle())) })
    }

    /// Sends how far a run is to those who follow at the moment.
    pub fn progress(&self, run: RunId, progress: Progress) {
        // Nobody follows: nobody misses it.
        let _ = self.sender.send(Sent::Progress(Arc::new((run, progress))));
    }

    /// Follows events: those after the number `last_seen`, or those from now on.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn follow(&self, last_seen: Option<i64>) -> Result<Follower> {
        // First the live ones, then the stored ones: what comes in between is in both, and is dropped once.
        let live = self.sender.subscribe();
        let mut conn = self.state.reader().await?;
        let newest = stored::newest(&mut conn).await?;
        let oldest = stored::oldest(&mut conn).await?;
        let mut follower = Follower { live, backlog: VecDeque::new(), last: newest };
        match last_seen {
            Some(seen) if seen > newest || seen + 1 < oldest => {
                follower.backlog.push_back(Followed::Resync(newest));
            }
            Some(seen) => {
                let missed = stored::after(&mut conn, seen, stored::KEPT.unsigned_abs()).await?;
                follower.last = missed.last().map_or(seen, |event| event.seq);
                follower.backlog = missed.into_iter().map(|event| Followed::Event(Arc::new(event))).collect();
            }
            None => {}
        }
        Ok(follower)
    }
}

/// Somebody who follows events.
#[derive(Debug)]
pub struct Follower {
    live: Receiver<Sent>,
    backlog: VecDeque<Followed>,
    last: i64,
}

impl Follower {
    /// What comes next; none: the service ends.
    pub async fn next(&mut self) -> Option<Followed> {
        if let Some(stored) = self.backlog.pop_front() {
            return Some(stored);
        }
        loop {
            match self.live.recv().await {
                Ok(Sent::Event(event)) if event.seq <= self.last => {}
                Ok(Sent::Event(event)) => {
                    self.last = event.seq;
                    return Some(Followed::Event(event));
                }
                Ok(Sent::Progress(progress)) => return Some(Followed::Progress(progress)),
                Ok(Sent::Gap) | Err(RecvError::Lagged(_)) => return Some(Followed::Resync(self.last)),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

/// Sends what is stored after `last`, for as long as it lives.
async fn pump(state: State, sender: Sender<Sent>, mut last: i64) {
    loop {
        match next(&state, last).await {
            Ok(events) if events.is_empty() => wait(&state).await,
            Ok(events) => {
                for event in events {
                    // More was stored at once than is kept.
                    if event.seq != last + 1 {
                        let _ = sender.send(Sent::Gap);
                    }
                    last = event.seq;
                    let _ = sender.send(Sent::Event(Arc::new(event)));
                }
            }
            // The service says elsewhere that it has lost its database.
            Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

async fn next(state: &State, last: i64) -> Result<Vec<StoredEvent>> {
    stored::after(&mut state.reader().await?, last, AT_ONCE).await
}

/// Until this process has stored something, or another one may have.
async fn wait(state: &State) {
    if !state.is_shared() {
        return state.committed().await;
    }
    tokio::select! {
        () = state.committed() => {}
        () = tokio::time::sleep(LOOK_AGAIN) => {}
    }
}
