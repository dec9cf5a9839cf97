//! Runs whose workers vanished: backups begin again, restores fail and say what is in their targets.

use chrono::TimeDelta;

use crate::job::{self, Event, Remains};
use crate::runs::{Means, TOUCHES, leave};
use crate::state::runs::{Claimed, Holding};
use crate::state::{Conn, StateError, Tx, log_lines, runs};

/// Runs that are taken over in one go.
const AT_ONCE: u64 = 100;
/// Lines of a log that are read at once.
const LINES_AT_ONCE: u64 = 1_000;

/// Takes runs from workers that were not heard of for longer than their lease. Such a worker may only have been frozen, so
/// what its try stored is swept once it cannot be writing any more.
///
/// # Errors
/// As the state fails.
pub async fn reap(means: &Means) -> Result<(), StateError> {
    let mut tx = means.state.begin().await?;
    let lost = runs::reap(&mut tx, AT_ONCE).await?;
    if lost.is_empty() {
        return Ok(());
    }
    for claimed in &lost {
        take_over(&mut tx, means, claimed, means.timing.settles_after).await?;
    }
    tx.commit().await
}

/// Takes back the runs that a worker of this name had when its process ended, before it is started again: nobody else
/// bears the name, so nobody is writing any more.
///
/// # Errors
/// As the state fails.
pub async fn recover(means: &Means, worker: &str) -> Result<u64, StateError> {
    let mut tx = means.state.begin().await?;
    let lost = runs::of_worker(&mut tx, worker).await?;
    for claimed in &lost {
        take_over(&mut tx, means, claimed, TimeDelta::zero()).await?;
    }
    tx.commit().await?;
    Ok(lost.len() as u64)
}

async fn take_over(
    tx: &mut Tx,
    means: &Means,
    lost: &Claimed,
    settles_after: TimeDelta,
) -> Result<(), StateError> {
    let Claimed { run, fence } = lost;
    let in_target = touched(tx, lost).await?;
    let event = Event::LeaseLost(Remains { objects: true, in_target });
    let Ok((next, effects)) = job::step(run, event, means.now()) else { return Ok(()) };
    tracing::warn!(run = %run.id, state = next.state.as_str(), "the worker of a run is gone");
    if runs::store(tx, &next, Holding::Fence(*fence), &effects).await? {
        leave(tx, &next, &effects, settles_after, means).await?;
    }
    Ok(())
}

/// What a restore said that it would write to.
async fn touched(conn: &mut Conn, lost: &Claimed) -> Result<Vec<String>, StateError> {
    let (mut names, mut number) = (Vec::new(), 0);
    loop {
        let lines = log_lines::after(conn, &lost.run.id, number, LINES_AT_ONCE).await?;
        let Some(last) = lines.last() else { return Ok(names) };
        number = last.number;
        names.extend(lines.into_iter().filter(|line| line.code == TOUCHES).map(|line| line.message));
    }
}
