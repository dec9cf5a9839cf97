//! How a run goes on: the one function through which every run changes its state.
//!
//! It is pure. What happened comes in as an [`Event`] and what is to be done about it goes out as [`Effect`]s, so that
//! one process and many workers follow the same rules: a run that ended stays as it ended, a lost worker's backup begins
//! again under a new name, and a restore is never begun twice.

mod ended;

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use strongroom_engine::{BackupId, Class};

use crate::model::{Problem, Run, RunKind, RunOutcome, RunState};
use crate::retry;
pub use ended::{DEADLINE, Remains, WORKER_LOST, WORKER_STOPPED};
use ended::{of_cancelled, restore_ended, too_late, worker_lost};

/// A run whose workers vanish is begun so often at least, whatever its plan says: that is seldom the run's own fault, but
/// one that brings down every worker must end.
const TRIES_WITH_LOST_WORKERS: u64 = 3;

/// What happened to a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A worker took it.
    Claimed,
    /// The backup that it makes has a name, under which nothing is stored yet.
    Named(BackupId),
    /// The work is done.
    Succeeded(Box<RunOutcome>),
    /// The work failed.
    Failed(Failure),
    /// Somebody asked for it to stop.
    CancelRequested,
    /// The work stopped since somebody had asked for it, and took back what it could.
    Cancelled(Remains),
    /// The worker is being stopped, and gave the run back.
    HandedOver(Remains),
    /// The worker has not been heard of for longer than its lease.
    LeaseLost(Remains),
    /// Its deadline came, and the work stopped.
    DeadlinePassed(Remains),
    /// It could not start in time, for this reason.
    Missed(Problem),
    /// A newer run of its plan does what it was to do, for this reason.
    Superseded(Problem),
}

/// Why the work failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Who or what can put it right.
    pub class: Class,
    /// What failed, and why. Of a restore it says what the target holds.
    pub problem: Problem,
    /// What it left behind.
    pub remains: Remains,
    /// Evenly spread over 0 to 1; it spreads the next tries of runs that failed together.
    pub random: f64,
}

/// What is to be done because of a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The work is to stop.
    Stop,
    /// It is tried again, not before this.
    TryAgain(DateTime<Utc>),
    /// What the try left under this name is to be cleared away, once nobody can be writing it any more.
    Sweep(BackupId),
    /// The log goes beside the backup of this name.
    KeepLog(BackupId),
    /// The run is counted, and its plan's status follows.
    Count,
    /// Whoever listens is told.
    Tell(News),
}

/// What those who listen are told of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum News {
    /// It was begun.
    Started,
    /// It is to stop.
    Stopping,
    /// It waits for its next try.
    Waiting,
    /// It ended well.
    Succeeded,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// It never began.
    Skipped,
}

impl News {
    /// The kind of event that says so.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "run.started",
            Self::Stopping => "run.stopping",
            Self::Waiting => "run.waiting",
            Self::Succeeded => "run.succeeded",
            Self::Failed => "run.failed",
            Self::Cancelled => "run.cancelled",
            Self::Skipped => "run.skipped",
        }
    }
}

/// Something that cannot happen to a run in this state. The run stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotPossible {
    /// Where the run is.
    pub state: RunState,
    event: &'static str,
}

impl fmt::Display for NotPossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a run that is {} cannot be {}", self.state.as_str(), self.event)
    }
}

impl std::error::Error for NotPossible {}

/// The run after `event`, and what is to be done about it.
///
/// # Errors
/// [`NotPossible`] for whatever would change a run that ended, and for what does not fit where the run is.
pub fn step(run: &Run, event: Event, now: DateTime<Utc>) -> Result<(Run, Vec<Effect>), NotPossible> {
    let refused = NotPossible { state: run.state, event: event.name() };
    let mut next = run.clone();
    let effects = match run.state {
        RunState::Queued => queued(&mut next, event, now),
        RunState::Running => running(&mut next, event, now),
        RunState::Succeeded | RunState::Failed | RunState::Cancelled | RunState::Skipped => None,
    };
    effects.map(|effects| (next, effects)).ok_or(refused)
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the run was {}", self.name())
    }
}

impl Event {
    /// What it does to a run, as a participle.
    fn name(&self) -> &'static str {
        match self {
            Self::Claimed => "claimed",
            Self::Named(_) => "named",
            Self::Succeeded(_) => "finished",
            Self::Failed(_) => "failed",
            Self::CancelRequested | Self::Cancelled(_) => "cancelled",
            Self::HandedOver(_) => "handed over",
            Self::LeaseLost(_) => "taken over",
            Self::DeadlinePassed(_) => "stopped at its deadline",
            Self::Missed(_) => "missed",
            Self::Superseded(_) => "superseded",
        }
    }
}

/// What becomes of a run that waits.
fn queued(run: &mut Run, event: Event, now: DateTime<Utc>) -> Option<Vec<Effect>> {
    let begun = run.started_at.is_some();
    match event {
        Event::Claimed => Some(claimed(run, now)),
        Event::CancelRequested => {
            run.cancel_requested = true;
            Some(end(run, RunState::Cancelled, run.problem.clone(), now))
        }
        Event::DeadlinePassed(_) if begun => {
            let problem = too_late(run, &Remains::default());
            Some(end(run, RunState::Failed, Some(problem), now))
        }
        Event::Missed(problem) | Event::Superseded(problem) if !begun => {
            Some(end(run, RunState::Skipped, Some(problem), now))
        }
        _ => None,
    }
}

/// What becomes of a run that a worker has.
fn running(run: &mut Run, event: Event, now: DateTime<Utc>) -> Option<Vec<Effect>> {
    match event {
        Event::Named(name) if run.request.kind() == RunKind::Backup && run.backup_name.is_none() => {
            run.backup_name = Some(name);
            Some(Vec::new())
        }
        Event::Succeeded(outcome) => Some(succeeded(run, *outcome, now)),
        Event::Failed(failure) => Some(failed(run, failure, now)),
        Event::CancelRequested if !run.cancel_requested => {
            run.cancel_requested = true;
            Some(vec![Effect::Stop, Effect::Tell(News::Stopping)])
        }
        Event::Cancelled(remains) if run.cancel_requested => {
            let problem = of_cancelled(run, "the run was cancelled", &remains);
            Some(give_up(run, RunState::Cancelled, problem, &remains, now))
        }
        Event::HandedOver(remains) => Some(handed_over(run, &remains, now)),
        Event::LeaseLost(remains) => Some(lost(run, &remains, now)),
        Event::DeadlinePassed(remains) => {
            let problem = too_late(run, &remains);
            Some(give_up(run, RunState::Failed, Some(problem), &remains, now))
        }
        _ => None,
    }
}

fn claimed(run: &mut Run, now: DateTime<Utc>) -> Vec<Effect> {
    run.state = RunState::Running;
    run.attempt += 1;
    // A try stores under a name of its own.
    run.backup_name = None;
    run.progress = None;
    if run.started_at.is_none() {
        run.started_at = Some(now);
        run.deadline_at = run.limits.deadline_minutes.map(|minutes| now + minutes_of(minutes.get()));
    }
    vec![Effect::Tell(News::Started)]
}

fn minutes_of(minutes: u64) -> TimeDelta {
    TimeDelta::minutes(i64::try_from(minutes).unwrap_or(i64::MAX / 60_000))
}

fn succeeded(run: &mut Run, outcome: RunOutcome, now: DateTime<Utc>) -> Vec<Effect> {
    let name = run.backup_name.clone();
    run.outcome = Some(outcome);
    let mut effects = end(run, RunState::Succeeded, None, now);
    effects.extend(name.map(Effect::KeepLog));
    effects
}

fn failed(run: &mut Run, failure: Failure, now: DateTime<Utc>) -> Vec<Effect> {
    let Failure { class, problem, remains, random } = failure;
    if run.cancel_requested {
        return give_up(run, RunState::Cancelled, Some(problem), &remains, now);
    }
    let pause = retry::pause(run.request.kind(), class, run.attempt, &run.limits, random);
    let again = pause.and_then(|pause| TimeDelta::from_std(pause).ok()).map(|pause| now + pause);
    match again.filter(|at| run.deadline_at.is_none_or(|deadline| *at < deadline)) {
        Some(at) => wait(run, at, Some(problem), &remains),
        None => give_up(run, RunState::Failed, Some(problem), &remains, now),
    }
}

/// A worker that is stopped did nothing wrong, and neither did its run: the try does not count.
fn handed_over(run: &mut Run, remains: &Remains, now: DateTime<Utc>) -> Vec<Effect> {
    if run.cancel_requested {
        return give_up(run, RunState::Cancelled, None, remains, now);
    }
    if run.request.kind() == RunKind::Restore {
        let problem = restore_ended(run, WORKER_STOPPED, "the service was stopped", remains);
        return give_up(run, RunState::Failed, Some(problem), remains, now);
    }
    run.attempt = run.attempt.saturating_sub(1);
    wait(run, now, run.problem.clone(), remains)
}

fn lost(run: &mut Run, remains: &Remains, now: DateTime<Utc>) -> Vec<Effect> {
    // Nobody took anything back.
    let remains = &Remains { objects: true, ..remains.clone() };
    if run.request.kind() == RunKind::Restore {
        let problem = restore_ended(run, WORKER_LOST, "the worker was lost", remains);
        return give_up(run, RunState::Failed, Some(problem), remains, now);
    }
    let problem = worker_lost(run);
    if run.cancel_requested {
        return give_up(run, RunState::Cancelled, Some(problem), remains, now);
    }
    match run.attempt < run.limits.attempts.get().max(TRIES_WITH_LOST_WORKERS) {
        true => wait(run, now, Some(problem), remains),
        false => give_up(run, RunState::Failed, Some(problem), remains, now),
    }
}

/// The run waits for its next try.
fn wait(run: &mut Run, at: DateTime<Utc>, problem: Option<Problem>, remains: &Remains) -> Vec<Effect> {
    let mut effects = vec![Effect::TryAgain(at), Effect::Tell(News::Waiting)];
    effects.extend(of_the_try(run, remains));
    run.state = RunState::Queued;
    run.due_at = at;
    run.problem = problem;
    run.progress = None;
    effects
}

/// The run ends without having done what was asked for.
fn give_up(
    run: &mut Run,
    state: RunState,
    problem: Option<Problem>,
    remains: &Remains,
    now: DateTime<Utc>,
) -> Vec<Effect> {
    let of_the_try = of_the_try(run, remains);
    let mut effects = end(run, state, problem, now);
    effects.extend(of_the_try);
    effects
}

/// What a try that gave no backup leaves to be done under its name.
fn of_the_try(run: &Run, remains: &Remains) -> Vec<Effect> {
    let Some(name) = run.backup_name.clone() else { return Vec::new() };
    match remains.objects {
        true => vec![Effect::KeepLog(name.clone()), Effect::Sweep(name)],
        false => vec![Effect::KeepLog(name)],
    }
}

fn end(run: &mut Run, state: RunState, problem: Option<Problem>, now: DateTime<Utc>) -> Vec<Effect> {
    run.state = state;
    run.ended_at = Some(now);
    run.problem = problem;
    let news = match state {
        RunState::Succeeded => News::Succeeded,
        RunState::Cancelled => News::Cancelled,
        RunState::Skipped => News::Skipped,
        RunState::Failed | RunState::Queued | RunState::Running => News::Failed,
    };
    vec![Effect::Count, Effect::Tell(news)]
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::model::{
        BackupKey, BackupMade, BackupRequest, DeploymentId, Int, LocationId, PlanId, ProveRequest,
        RestoreRequest, RestoreSettings, RunId, RunLimits, RunRequest, SweepRequest, Trigger, VerifyRequest,
    };

    fn at(seconds: i64) -> DateTime<Utc> {
        Utc.timestamp_opt(1_795_000_000 + seconds, 0).unwrap()
    }

    fn request(kind: RunKind) -> RunRequest {
        let (backup, location) = (BackupKey::new(at(0), 1), LocationId::new(at(0), 1));
        match kind {
            RunKind::Backup => RunRequest::Backup(BackupRequest { plan: PlanId::new(at(0), 1) }),
            RunKind::Verify => RunRequest::Verify(VerifyRequest { backup }),
            RunKind::Restore => RunRequest::Restore(RestoreRequest {
                backup,
                target: DeploymentId::new(at(0), 1),
                settings: RestoreSettings::default(),
                preview: "0".repeat(64).parse().unwrap(),
                confirm_target: None,
            }),
            RunKind::Prove => RunRequest::Prove(ProveRequest { location }),
            RunKind::Sweep => RunRequest::Sweep(SweepRequest { location }),
        }
    }

    fn run(kind: RunKind, attempts: u64) -> Run {
        Run {
            id: RunId::new(at(0), 1),
            request: request(kind),
            trigger: Trigger::Schedule,
            requested_by: None,
            plan: None,
            deployment: None,
            location: None,
            state: RunState::Queued,
            scheduled_for: None,
            due_at: at(0),
            start_by: None,
            limits: RunLimits { attempts: Int::try_from(attempts).unwrap(), ..RunLimits::default() },
            attempt: 0,
            started_at: None,
            deadline_at: None,
            ended_at: None,
            cancel_requested: false,
            backup_name: None,
            progress: None,
            problem: None,
            outcome: None,
            created_at: at(0),
        }
    }

    fn problem(code: &str) -> Problem {
        Problem { code: code.into(), message: "why".into(), help: None }
    }

    fn failure(class: Class) -> Event {
        let remains = Remains { objects: true, in_target: Vec::new() };
        Event::Failed(Failure { class, problem: problem("SR-X"), remains, random: 0.5 })
    }

    fn outcome() -> Event {
        let made = BackupMade { backup: BackupKey::new(at(0), 2) };
        Event::Succeeded(Box::new(RunOutcome::Backup(made)))
    }

    fn name(number: u32) -> BackupId {
        BackupId::new(at(0), number)
    }

    fn left(names: &[&str]) -> Remains {
        Remains { objects: false, in_target: names.iter().map(|name| (*name).to_owned()).collect() }
    }

    /// The run after all of these, each of which must be possible, and the last effects.
    fn after(mut run: Run, events: Vec<Event>) -> (Run, Vec<Effect>) {
        let mut effects = Vec::new();
        for event in events {
            (run, effects) = step(&run, event, at(10)).unwrap();
        }
        (run, effects)
    }

    fn kinds() -> impl Strategy<Value = RunKind> {
        prop::sample::select(vec![
            RunKind::Backup,
            RunKind::Verify,
            RunKind::Restore,
            RunKind::Prove,
            RunKind::Sweep,
        ])
    }

    fn classes() -> impl Strategy<Value = Class> {
        prop::sample::select(vec![Class::User, Class::Passing, Class::Lasting, Class::Damage])
    }

    fn events() -> impl Strategy<Value = Event> {
        let remains = || prop::bool::ANY.prop_map(|objects| Remains { objects, ..left(&["shop.orders"]) });
        prop_oneof![
            4 => Just(Event::Claimed),
            2 => (0..100_u32).prop_map(|number| Event::Named(name(number))),
            1 => Just(outcome()),
            3 => classes().prop_map(failure),
            1 => Just(Event::CancelRequested),
            1 => remains().prop_map(Event::Cancelled),
            2 => remains().prop_map(Event::HandedOver),
            2 => remains().prop_map(Event::LeaseLost),
            1 => remains().prop_map(Event::DeadlinePassed),
            1 => Just(Event::Missed(problem("SR-MISSED"))),
            1 => Just(Event::Superseded(problem("SR-SUPERSEDED"))),
        ]
    }

    /// What a run that waits or runs is sent until it ends: always what keeps it going for longest.
    fn hard_to_end(run: &Run) -> Event {
        match (run.state, run.attempt % 2) {
            (RunState::Queued, _) => Event::Claimed,
            (_, 0) => Event::LeaseLost(Remains::default()),
            _ => failure(Class::Passing),
        }
    }

    proptest! {
        #[test]
        fn a_run_ends_once_and_stays_as_it_ended(
            kind in kinds(),
            attempts in 1..=20_u64,
            events in prop::collection::vec(events(), 0..60),
        ) {
            let (mut run, mut ends) = (run(kind, attempts), 0);
            for (second, event) in (0..).zip(events) {
                let before = run.clone();
                let Ok((next, effects)) = step(&run, event, at(second)) else { continue };
                prop_assert!(!before.state.ended(), "{before:?}");
                let counted = effects.iter().filter(|effect| **effect == Effect::Count).count();
                prop_assert_eq!(counted, usize::from(next.state.ended()));
                prop_assert_eq!(next.ended_at.is_some(), next.state.ended());
                prop_assert_eq!(next.outcome.is_some(), next.state == RunState::Succeeded);
                ends += counted;
                run = next;
            }
            prop_assert!(ends <= 1);
        }

        #[test]
        fn tries_are_bounded_and_a_restore_is_begun_once(
            kind in kinds(),
            attempts in 1..=20_u64,
            events in prop::collection::vec(events(), 0..200),
        ) {
            let (mut run, mut begun) = (run(kind, attempts), 0);
            for event in events {
                let begins = event == Event::Claimed;
                let Ok((next, _)) = step(&run, event, at(0)) else { continue };
                begun += usize::from(begins);
                run = next;
            }
            prop_assert!(run.attempt <= attempts.max(TRIES_WITH_LOST_WORKERS));
            prop_assert!(kind != RunKind::Restore || begun <= 1);
        }

        #[test]
        fn from_wherever_a_run_is_it_comes_to_an_end(
            kind in kinds(),
            attempts in 1..=20_u64,
            events in prop::collection::vec(events(), 0..40),
        ) {
            let mut run = run(kind, attempts);
            for event in events {
                if let Ok((next, _)) = step(&run, event, at(0)) {
                    run = next;
                }
            }
            for _ in 0..=2 * attempts.max(TRIES_WITH_LOST_WORKERS) {
                if run.state.ended() {
                    break;
                }
                (run, _) = step(&run, hard_to_end(&run), at(0)).unwrap();
            }
            prop_assert!(run.state.ended(), "{run:?}");
        }

        #[test]
        fn nothing_is_left_of_a_try_without_somebody_to_sweep_it(
            attempts in 1..=20_u64,
            events in prop::collection::vec(events(), 0..60),
        ) {
            let mut run = run(RunKind::Backup, attempts);
            for event in events {
                let lost = matches!(event, Event::LeaseLost(_));
                let before = run.backup_name.clone().filter(|_| lost && run.state == RunState::Running);
                let Ok((next, effects)) = step(&run, event, at(0)) else { continue };
                if let Some(name) = before {
                    prop_assert!(effects.contains(&Effect::Sweep(name)));
                }
                run = next;
            }
        }
    }

    #[test]
    fn a_backup_whose_worker_is_lost_begins_again_under_a_new_name() {
        let events = vec![Event::Claimed, Event::Named(name(1)), Event::LeaseLost(Remains::default())];
        let (waiting, effects) = after(run(RunKind::Backup, 1), events);
        assert_eq!(waiting.state, RunState::Queued);
        assert!(effects.contains(&Effect::Sweep(name(1))), "{effects:?}");
        let (again, _) = after(waiting, vec![Event::Claimed]);
        assert_eq!((again.attempt, again.backup_name.clone()), (2, None));
        let (named, _) = after(again, vec![Event::Named(name(2))]);
        assert!(step(&named, Event::Named(name(3)), at(0)).is_err(), "one try has one name");
    }

    #[test]
    fn a_restore_that_ends_too_early_names_what_is_in_the_target() {
        for (event, code) in [
            (Event::LeaseLost(left(&["shop.orders", "shop.carts"])), WORKER_LOST),
            (Event::HandedOver(left(&["shop.orders", "shop.carts"])), WORKER_STOPPED),
            (Event::DeadlinePassed(left(&["shop.orders", "shop.carts"])), DEADLINE),
        ] {
            let (failed, _) = after(run(RunKind::Restore, 5), vec![Event::Claimed, event]);
            let problem = failed.problem.unwrap();
            assert_eq!((failed.state, problem.code.as_str()), (RunState::Failed, code));
            assert!(
                problem.message.contains("may hold a part of `shop.orders`, `shop.carts`"),
                "{problem:?}"
            );
        }
        let (failed, _) =
            after(run(RunKind::Restore, 5), vec![Event::Claimed, Event::LeaseLost(Remains::default())]);
        assert!(failed.problem.unwrap().message.contains("nothing was written"));
    }

    #[test]
    fn no_try_begins_after_the_deadline() {
        let mut run = run(RunKind::Backup, 20);
        run.limits.deadline_minutes = Some(Int::of(1));
        run.limits.retry_after_seconds = Int::of(600);
        let (failed, _) = after(run, vec![Event::Claimed, failure(Class::Passing)]);
        assert_eq!(failed.state, RunState::Failed);
        assert_eq!(failed.problem.unwrap().code, "SR-X", "the failure is the news, and not the deadline");
    }

    #[test]
    fn a_run_that_is_stopped_by_its_deadline_says_why_the_try_before_failed() {
        let mut run = run(RunKind::Backup, 20);
        run.limits.deadline_minutes = Some(Int::of(30));
        let tried = vec![Event::Claimed, failure(Class::Passing)];
        let (waiting, _) = after(run, tried);
        let (failed, _) = after(waiting, vec![Event::DeadlinePassed(Remains::default())]);
        let problem = failed.problem.unwrap();
        assert_eq!((failed.state, problem.code.as_str()), (RunState::Failed, DEADLINE));
        assert!(problem.message.ends_with("within 30 minutes; the last try failed: why"), "{problem:?}");
    }

    #[test]
    fn a_cancel_ends_what_waits_at_once_and_what_runs_when_it_stopped() {
        let (ended, _) = after(run(RunKind::Backup, 3), vec![Event::CancelRequested]);
        assert_eq!(ended.state, RunState::Cancelled);
        let begun = vec![Event::Claimed, Event::Named(name(1)), Event::CancelRequested];
        let (stopping, effects) = after(run(RunKind::Backup, 3), begun);
        assert_eq!(effects, [Effect::Stop, Effect::Tell(News::Stopping)]);
        let (ended, effects) = after(stopping.clone(), vec![Event::Cancelled(Remains::default())]);
        assert_eq!(ended.state, RunState::Cancelled);
        assert!(effects.contains(&Effect::KeepLog(name(1))), "{effects:?}");
        let (failed, _) = after(stopping.clone(), vec![failure(Class::Passing)]);
        assert_eq!(failed.state, RunState::Cancelled, "what fails while it is to stop is not tried again");
        let (made, _) = after(stopping, vec![outcome()]);
        assert_eq!(made.state, RunState::Succeeded, "what was made before the request came is made");
    }

    #[test]
    fn work_is_not_cancelled_unless_somebody_asked() {
        let (running, _) = after(run(RunKind::Backup, 3), vec![Event::Claimed]);
        let refused = step(&running, Event::Cancelled(Remains::default()), at(0)).unwrap_err();
        assert_eq!(refused.to_string(), "a run that is running cannot be cancelled");
    }

    #[test]
    fn a_backup_that_is_handed_over_has_lost_no_try() {
        let handed = vec![Event::Claimed, Event::HandedOver(Remains::default())];
        let (mut run, _) = after(run(RunKind::Backup, 1), handed.clone());
        assert_eq!((run.state, run.attempt), (RunState::Queued, 0));
        for _ in 0..5 {
            (run, _) = after(run, handed.clone());
        }
        let (failed, _) = after(run, vec![Event::Claimed, failure(Class::Passing)]);
        assert_eq!(failed.state, RunState::Failed);
    }

    #[test]
    fn only_what_never_began_is_missed_or_superseded() {
        for event in [Event::Missed(problem("SR-MISSED")), Event::Superseded(problem("SR-SUPERSEDED"))] {
            let (skipped, _) = after(run(RunKind::Backup, 3), vec![event.clone()]);
            assert_eq!(skipped.state, RunState::Skipped);
            let (waiting, _) = after(run(RunKind::Backup, 3), vec![Event::Claimed, failure(Class::Passing)]);
            assert!(step(&waiting, event, at(0)).is_err());
        }
    }
}
