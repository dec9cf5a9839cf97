//! What is due becomes a run: each occurrence of a plan once, those that were missed as one run that says so.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::events::Followed;
use crate::job::{self, Event};
use crate::model::{
    BackupRequest, NewPlan, Plan, PlanId, Problem, Run, RunId, RunLimits, RunRequest, RunState, Settings,
    Trigger,
};
use crate::runs::{Means, refusal};
use crate::schedule::{Decision, Due, Gap, Look, decide, start_within};
use crate::state::runs::Holding;
use crate::state::{StateError, Tx, locations, plans, runs, settings};

/// The code of occurrences that could not start in time.
pub const MISSED: &str = "SR-MISSED";
/// The code of a run that waited until a newer one of its plan was due.
pub const SUPERSEDED: &str = "SR-SUPERSEDED";

/// Plans that are looked at in one go, and runs that wait.
const AT_ONCE: u64 = 500;
/// A clock that is off by more, compared with the time that has passed, has jumped.
const JUMP: TimeDelta = TimeDelta::seconds(10);

/// Looks at what is due until `stop`: when the next plan is, when something announces a change, and now and then besides.
pub async fn run(means: Arc<Means>, stop: CancellationToken) {
    let mut clock = Watched::new(&means);
    while !stop.is_cancelled() {
        clock.look(&means).await;
        let pause = match tick(&means).await {
            Ok(next) => next.map(|next| (next - means.now()).to_std().unwrap_or_default()),
            Err(error) => {
                tracing::warn!(%error, "what is due cannot be looked at");
                None
            }
        };
        let pause = pause.unwrap_or(means.timing.look).min(means.timing.look);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
            () = plans_changed(&means) => {}
        }
    }
}

/// Returns when a plan or the settings were changed.
async fn plans_changed(means: &Means) {
    let Ok(mut follower) = means.events.follow(None).await else {
        return tokio::time::sleep(means.timing.look).await;
    };
    while let Some(next) = follower.next().await {
        match next {
            Followed::Event(event)
                if ["plan.", "settings."].iter().any(|kind| event.kind.starts_with(kind)) =>
            {
                return;
            }
            Followed::Resync(_) => return,
            Followed::Event(_) | Followed::Progress(_) => {}
        }
    }
}

/// The clock, compared with the time that has really passed.
struct Watched {
    clock: DateTime<Utc>,
    passed: Instant,
}

impl Watched {
    fn new(means: &Means) -> Self {
        Self { clock: means.now(), passed: Instant::now() }
    }

    /// Says so if the clock has jumped since the last look.
    async fn look(&mut self, means: &Means) {
        let (now, passed) = (means.now(), self.passed.elapsed());
        let by = now - self.clock - TimeDelta::from_std(passed).unwrap_or_default();
        *self = Self::new(means);
        if by.abs() > JUMP
            && let Err(error) = jumped(means, by).await
        {
            tracing::warn!(%error, "that the clock jumped cannot be stored");
        }
    }
}

async fn jumped(means: &Means, by: TimeDelta) -> Result<(), StateError> {
    tracing::warn!(seconds = by.num_seconds(), "the clock of this machine jumped");
    let mut tx = means.state.begin().await?;
    tx.tell("clock.jumped", None, json!({ "seconds": by.num_seconds() }));
    tx.commit().await
}

/// Makes runs of what is due, and gives up what waited too long. Says when the next plan is due.
///
/// # Errors
/// As the state fails. What was decided about single plans stays.
pub async fn tick(means: &Means) -> Result<Option<DateTime<Utc>>, StateError> {
    let now = means.now();
    let mut conn = means.state.reader().await?;
    let (settings, _) = settings::get(&mut conn).await?;
    let waiting = runs::waiting(&mut conn, now, AT_ONCE).await?;
    let due = if settings.paused { Vec::new() } else { plans::due(&mut conn, now, AT_ONCE).await? };
    drop(conn);
    for run in waiting {
        give_up_in_vain(means, &run, now).await?;
    }
    for plan in due {
        look_at(means, &plan.id, &settings, now).await?;
    }
    plans::next_due(&mut means.state.reader().await?).await
}

/// A run that waits may have waited too long for its beginning, or for its next try.
async fn give_up_in_vain(means: &Means, run: &Run, now: DateTime<Utc>) -> Result<(), StateError> {
    let late = run.start_by.is_some_and(|by| by < now);
    let event = match (run.started_at, run.deadline_at) {
        (None, _) if late => Event::Missed(missed(&Gap {
            count: 1,
            first: run.scheduled_for.unwrap_or(run.due_at),
            last: run.scheduled_for.unwrap_or(run.due_at),
        })),
        (Some(_), Some(deadline)) if deadline <= now => Event::DeadlinePassed(job::Remains::default()),
        _ => return Ok(()),
    };
    let mut tx = means.state.begin().await?;
    change_queued(&mut tx, &run.id, event, now).await?;
    tx.commit().await
}

async fn change_queued(tx: &mut Tx, id: &RunId, event: Event, now: DateTime<Utc>) -> Result<(), StateError> {
    let Some(found) = runs::get_to_change(tx, id).await? else { return Ok(()) };
    if found.run.state != RunState::Queued {
        return Ok(());
    }
    if let Ok((run, effects)) = job::step(&found.run, event, now) {
        runs::store(tx, &run, Holding::Queued, &effects).await?;
    }
    Ok(())
}

/// Decides about one plan, and does what was decided in one transaction.
async fn look_at(
    means: &Means,
    id: &PlanId,
    settings: &Settings,
    now: DateTime<Utc>,
) -> Result<(), StateError> {
    let mut tx = means.state.begin().await?;
    let Some((plan, mark)) = plans::to_schedule(&mut tx, id).await? else { return Ok(()) };
    if plan.settings.paused || plan.status.next_due.is_none_or(|due| due > now) {
        return Ok(());
    }
    let taken: BTreeSet<_> = runs::occurrences_after(&mut tx, id, mark).await?;
    let decision = decide(&Look {
        schedule: &plan.settings.schedule,
        running: &plan.settings.running,
        quiet: settings.quiet_hours.as_ref(),
        mark,
        taken: &taken,
        now,
    });
    carry_out(&mut tx, &plan, &decision, now).await?;
    tx.commit().await
}

async fn carry_out(
    tx: &mut Tx,
    plan: &Plan,
    decision: &Decision,
    now: DateTime<Utc>,
) -> Result<(), StateError> {
    if let Some(by) = decision.clock_went_back.filter(|by| *by > JUMP) {
        tracing::warn!(plan = %plan.id, seconds = by.num_seconds(), "the clock was put back; no occurrence runs twice");
        tx.tell("clock.jumped", Some(plan.id.as_str()), json!({ "seconds": -by.num_seconds() }));
    }
    if let Some(gap) = &decision.missed {
        let skipped = Run {
            state: RunState::Skipped,
            scheduled_for: Some(gap.last),
            ended_at: Some(now),
            problem: Some(missed(gap)),
            ..of_plan(plan, Trigger::Schedule, now)
        };
        runs::insert(tx, &skipped).await?;
    }
    if let Some(due) = &decision.run {
        supersede(tx, plan, now).await?;
        runs::insert(tx, &occurrence(plan, due, now)).await?;
        flag(tx, plan).await?;
    }
    plans::scheduled(tx, &plan.id, decision.mark, decision.next).await
}

/// An older run of the plan that has not begun would do the same: the newer one does it.
async fn supersede(tx: &mut Tx, plan: &Plan, now: DateTime<Utc>) -> Result<(), StateError> {
    let Some(open) = runs::open_of(tx, &plan.id).await? else { return Ok(()) };
    if open.state != RunState::Queued || open.started_at.is_some() || open.trigger == Trigger::Request {
        return Ok(());
    }
    let problem = Problem {
        code: SUPERSEDED.into(),
        message: "the run had not begun when the next one of its plan was due".into(),
        help: Some("Let fewer plans run at the same time, or more runs at once.".into()),
    };
    change_queued(tx, &open.id, Event::Superseded(problem), now).await
}

fn missed(gap: &Gap) -> Problem {
    Problem {
        code: MISSED.into(),
        message: gap.to_string(),
        help: Some("See whether the service was stopped, or too many runs were at work at that time.".into()),
    }
}

/// The run of an occurrence.
fn occurrence(plan: &Plan, due: &Due, now: DateTime<Utc>) -> Run {
    let trigger = if due.catch_up { Trigger::CatchUp } else { Trigger::Schedule };
    let within = start_within(&plan.settings.schedule, &plan.settings.running, due.scheduled_for);
    let by = due.scheduled_for + within;
    // What was held up by quiet hours has its time from their end.
    let start_by = (!due.catch_up).then_some(if by > now { by } else { now + within });
    Run { scheduled_for: Some(due.scheduled_for), start_by, ..of_plan(plan, trigger, now) }
}

/// A run that makes a backup of a plan, and may begin at once.
#[must_use]
pub fn of_plan(plan: &Plan, trigger: Trigger, now: DateTime<Utc>) -> Run {
    let NewPlan { deployment, location, running, .. } = &plan.settings;
    Run {
        deployment: Some(deployment.clone()),
        location: Some(location.clone()),
        plan: Some(plan.id.clone()),
        limits: RunLimits::of(running),
        ..queued(RunRequest::Backup(BackupRequest { plan: plan.id.clone() }), trigger, now)
    }
}

/// A run that may begin at once, and uses nothing yet.
#[must_use]
pub fn queued(request: RunRequest, trigger: Trigger, now: DateTime<Utc>) -> Run {
    Run {
        id: RunId::new(now, rand::random()),
        request,
        trigger,
        requested_by: None,
        plan: None,
        deployment: None,
        location: None,
        state: RunState::Queued,
        scheduled_for: None,
        due_at: now,
        start_by: None,
        limits: RunLimits::default(),
        attempt: 0,
        started_at: None,
        deadline_at: None,
        ended_at: None,
        cancel_requested: false,
        backup_name: None,
        progress: None,
        problem: None,
        outcome: None,
        created_at: now,
    }
}

/// Says on the plan that its bucket would refuse what is about to be stored, as far as the location's settings tell.
async fn flag(tx: &mut Tx, plan: &Plan) -> Result<(), StateError> {
    let Some(location) = locations::get(tx, &plan.settings.location).await? else { return Ok(()) };
    match refusal(&location, &plan.folder, &plan.settings.backup.encryption) {
        Some(problem) => plans::set_refused(tx, &plan.id, Some(&problem)).await,
        None => Ok(()),
    }
}
