//! What the loops of the service take, called as it calls them, in this process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use strongroom_engine::{Clock, Waits};
use strongroom_service::events::Events;
use strongroom_service::job::{self, Event};
use strongroom_service::model::{BackupKey, BackupMade, Level, LogLine, Plan, Progress, RunOutcome, Trigger};
use strongroom_service::runs::{Means, Timing};
use strongroom_service::scheduler;
use strongroom_service::secrets::Keyring;
use strongroom_service::state::runs::Holding;
use strongroom_service::state::{PageRequest, State, backups, log_lines, plans, runs};

use super::clock::{SystemClock, now};
use super::figure::{Bound, figure};
use super::place::Place;
use super::seed::{Seeded, backup};
use crate::Outcome;
use crate::bench::measure::cpu_of;

const WORKER: &str = "bench";
const LEASE: TimeDelta = TimeDelta::minutes(1);
/// Runs of which each is taken from its beginning to its end.
const RUNS: usize = 200;
/// Lines that the log of a small backup has.
const LINES: u64 = 8;
const TICKS: u32 = 20;
/// Plans that are due at the same moment.
const DUE: u64 = 20;

/// Opens the state that the service has left, and measures bookkeeping and ticks.
pub(super) async fn measure(place: &Place, seeded: &Seeded) -> Outcome {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let state = State::open(&place.url.parse()?, clock.clone()).await?;
    let means = Means {
        events: Events::start(state.clone()).await?,
        keyring: Arc::new(Keyring::ephemeral()?),
        state,
        clock,
        waits: Waits::default(),
        timing: Timing::default(),
    };
    println!();
    bookkeeping(&means, seeded).await?;
    ticks(&means).await
}

/// All that is stored about a run, but for the work itself.
async fn bookkeeping(means: &Means, seeded: &Seeded) -> Outcome {
    let plan = plans::get(&mut means.state.reader().await?, &seeded.plan).await?.ok_or("no plan")?;
    let (before, begun) = (cpu_of(std::process::id())?, Instant::now());
    for _ in 0..RUNS {
        one_run(means, &plan).await?;
    }
    let each = |seconds: f64| seconds / RUNS as f64 * 1e3;
    let (cpu, wall) = (each(cpu_of(std::process::id())? - before), each(begun.elapsed().as_secs_f64()));
    figure(&format!("a run's bookkeeping, CPU (wall {wall:.1} ms)"), cpu, "ms", Bound::Below(5.0));
    Ok(())
}

async fn one_run(means: &Means, plan: &Plan) -> Outcome {
    let mut tx = means.state.begin().await?;
    runs::insert(&mut tx, &scheduler::of_plan(plan, Trigger::Request, now())).await?;
    tx.commit().await?;

    let mut tx = means.state.begin().await?;
    let claimed = runs::claim(&mut tx, WORKER, 4, LEASE).await?.ok_or("nothing to claim")?;
    tx.commit().await?;

    let (id, fence) = (&claimed.run.id, claimed.fence);
    let mut tx = means.state.begin().await?;
    runs::heartbeat(&mut tx, id, fence, LEASE, Some(&Progress::default())).await?;
    let line = |number| LogLine {
        number,
        at: now(),
        level: Level::Info,
        code: "phase".into(),
        message: "reading 40 collections".into(),
    };
    let lines: Vec<LogLine> = (1..=LINES).map(line).collect();
    log_lines::append(&mut tx, id, fence, &lines).await?;
    tx.commit().await?;

    let mut tx = means.state.begin().await?;
    let key = BackupKey::new(now(), rand::random());
    backups::insert(&mut tx, &backup(plan, &key, now())?).await?;
    let made = Event::Succeeded(Box::new(RunOutcome::Backup(BackupMade { backup: key })));
    let (run, effects) = job::step(&claimed.run, made, now()).map_err(|wrong| wrong.to_string())?;
    if !runs::store(&mut tx, &run, Holding::Fence(fence), &effects).await? {
        return Err("the run was lost".into());
    }
    Ok(tx.commit().await?)
}

async fn ticks(means: &Means) -> Outcome {
    let begun = Instant::now();
    for _ in 0..TICKS {
        scheduler::tick(means).await?;
    }
    let idle = begun.elapsed() / TICKS;
    figure("a tick of the scheduler, nothing due", millis(idle), "ms", Bound::Below(100.0));
    let page = PageRequest { after: None, limit: DUE.try_into()? };
    let found = plans::list(&mut means.state.reader().await?, &plans::PlanFilter::default(), &page).await?;
    let mut tx = means.state.begin().await?;
    for plan in &found.items {
        // Up to yesterday all is dealt with, so that today's occurrences are due.
        let mark = now() - TimeDelta::hours(7);
        plans::scheduled(&mut tx, &plan.id, mark, Some(now())).await?;
    }
    tx.commit().await?;
    let begun = Instant::now();
    scheduler::tick(means).await?;
    let what = format!("a tick of the scheduler, {} plans due at once", found.items.len());
    figure(&what, millis(begun.elapsed()), "ms", Bound::Below(100.0));
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
