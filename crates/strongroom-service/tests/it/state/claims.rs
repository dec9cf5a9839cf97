//! Runs that several workers want.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use strongroom_service::job::{self, Effect, Event};
use strongroom_service::model::{BackupMade, Deployment, Run, RunId, RunOutcome, RunState};
use strongroom_service::state::runs::{Claimed, Heartbeat, Holding};
use strongroom_service::state::{State, StateError, counts, deployments, log_lines, runs};

use super::bed::Bed;
use super::on_both;

const LEASE: TimeDelta = TimeDelta::seconds(30);

async fn claim(state: &State, worker: &str) -> Option<Claimed> {
    let mut tx = state.begin().await.unwrap();
    let claimed = runs::claim(&mut tx, worker, 64, LEASE).await.unwrap();
    tx.commit().await.unwrap();
    claimed
}

async fn store(state: &State, (run, effects): (Run, Vec<Effect>), holding: Holding) -> bool {
    let mut tx = state.begin().await.unwrap();
    let stored = runs::store(&mut tx, &run, holding, &effects).await.unwrap();
    tx.commit().await.unwrap();
    stored
}

/// The run after an event.
fn step(bed: &Bed, run: &Run, event: Event) -> (Run, Vec<Effect>) {
    job::step(run, event, bed.now()).unwrap()
}

fn failed() -> Event {
    Event::Failed(job::Failure {
        class: strongroom_engine::Class::User,
        problem: serde_json::from_value(serde_json::json!({"code": "SR-DENIED", "message": "why"})).unwrap(),
        remains: job::Remains::default(),
        random: 0.5,
    })
}

async fn ids_of_running(bed: &Bed, ids: &[RunId]) -> usize {
    let mut running = 0;
    for id in ids {
        running += usize::from(bed.run_now(id).await.state == RunState::Running);
    }
    running
}

on_both! {
    async fn a_run_is_claimed_once_however_many_want_it(bed: Bed) {
        let plans = bed.plans(&["a", "b", "c", "d", "e"]).await;
        for plan in &plans {
            for _ in 0..3 {
                bed.queued(plan).await;
            }
        }
        let mut workers = tokio::task::JoinSet::new();
        for number in 0..6 {
            let state = bed.state.clone();
            let now = bed.now();
            workers.spawn(async move {
                let mut done = Vec::new();
                while let Some(Claimed { run, fence }) = claim(&state, &format!("worker {number}")).await {
                    tokio::task::yield_now().await;
                    let ended = job::step(&run, failed(), now).unwrap();
                    assert!(store(&state, ended, Holding::Fence(fence)).await, "nobody else had it");
                    done.push(run.id);
                }
                done
            });
        }
        let mut times = BTreeMap::new();
        while let Some(done) = workers.join_next().await {
            for id in done.unwrap() {
                *times.entry(id).or_insert(0) += 1;
            }
        }
        // A worker that finds all plans at work goes home; what is left then is claimed by nobody, but nothing twice.
        assert!(times.values().all(|times| *times == 1), "{times:?}");
        assert!(times.len() >= 5, "{times:?}");
    }

    async fn one_run_of_a_plan_is_at_work_at_a_time(bed: Bed) {
        let plans = bed.plans(&["a"]).await;
        let (first, second) = (bed.queued(&plans[0]).await, bed.queued(&plans[0]).await);
        let claimed = claim(&bed.state, "one").await.unwrap();
        assert_eq!(claimed.run.id, first.id);
        assert_eq!(claim(&bed.state, "two").await, None);
        let ended = step(&bed, &claimed.run, failed());
        assert!(store(&bed.state, ended, Holding::Fence(claimed.fence)).await);
        assert_eq!(claim(&bed.state, "two").await.unwrap().run.id, second.id);
    }

    async fn limits_of_deployments_locations_and_workers_hold(bed: Bed) {
        let plans = bed.plans(&["a", "b", "c"]).await;
        // Three plans of one deployment, which two runs may read at a time.
        let mut tx = bed.begin().await;
        let shared = Deployment { runs_at_once: 2.try_into().unwrap(), ..bed.deployment("shared") };
        deployments::insert(&mut tx, &shared).await.unwrap();
        tx.commit().await.unwrap();
        let mut ids = Vec::new();
        for plan in &plans {
            let run = Run { deployment: Some(shared.id.clone()), ..bed.run(plan) };
            let mut tx = bed.begin().await;
            runs::insert(&mut tx, &run).await.unwrap();
            tx.commit().await.unwrap();
            ids.push(run.id);
        }
        let (one, two, three) =
            tokio::join!(claim(&bed.state, "1"), claim(&bed.state, "2"), claim(&bed.state, "3"));
        assert_eq!([one, two, three].iter().flatten().count(), 2);
        assert_eq!(ids_of_running(&bed, &ids).await, 2);
        let mut tx = bed.begin().await;
        assert_eq!(runs::claim(&mut tx, "1", 1, LEASE).await.unwrap(), None, "the worker has one already");
    }

    async fn nothing_is_claimed_while_everything_is_paused(bed: Bed) {
        use strongroom_service::model::Settings;
        use strongroom_service::state::settings;
        let plans = bed.plans(&["a"]).await;
        bed.queued(&plans[0]).await;
        let mut tx = bed.begin().await;
        settings::update(&mut tx, &Settings { paused: true, ..Settings::default() }, 0).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(claim(&bed.state, "one").await, None);
        let mut tx = bed.begin().await;
        assert_eq!(settings::update(&mut tx, &Settings::default(), 0).await, Err(StateError::Conflict));
        settings::update(&mut tx, &Settings::default(), 1).await.unwrap();
        tx.commit().await.unwrap();
        assert!(claim(&bed.state, "one").await.is_some());
    }

    async fn a_run_that_is_not_due_waits(bed: Bed) {
        let plans = bed.plans(&["a"]).await;
        // By the clock of either database.
        let later = Run { due_at: bed.now() + TimeDelta::days(36_500), ..bed.run(&plans[0]) };
        let mut tx = bed.begin().await;
        runs::insert(&mut tx, &later).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(claim(&bed.state, "one").await, None);
    }

    async fn a_worker_that_comes_back_late_writes_nothing(bed: Bed) {
        let plans = bed.plans(&["a"]).await;
        bed.queued(&plans[0]).await;
        let late = claim(&bed.state, "late").await.unwrap();
        // A lease that is over as it begins.
        let mut tx = bed.begin().await;
        let over = TimeDelta::seconds(-1);
        assert_eq!(runs::heartbeat(&mut tx, &late.run.id, late.fence, over, None).await, Ok(Heartbeat::Alive));
        tx.commit().await.unwrap();

        let mut tx = bed.begin().await;
        let lost = runs::reap(&mut tx, 10).await.unwrap();
        assert_eq!(lost.len(), 1);
        let (again, effects) = step(&bed, &lost[0].run, Event::LeaseLost(job::Remains::default()));
        assert_eq!(again.state, RunState::Queued);
        assert!(runs::store(&mut tx, &again, Holding::Fence(lost[0].fence), &effects).await.unwrap());
        tx.commit().await.unwrap();

        let mut tx = bed.begin().await;
        let answer = runs::heartbeat(&mut tx, &late.run.id, late.fence, LEASE, None).await;
        assert_eq!(answer, Ok(Heartbeat::Lost));
        let line = serde_json::json!({"number": 1, "at": bed.now(), "level": "info", "code": "x", "message": "y"});
        let line = serde_json::from_value(line).unwrap();
        assert_eq!(log_lines::append(&mut tx, &late.run.id, late.fence, &[line]).await, Ok(false));
        tx.commit().await.unwrap();
        let ended = step(&bed, &late.run, failed());
        assert!(!store(&bed.state, ended.clone(), Holding::Fence(late.fence)).await);

        // Also when another worker has it.
        let next = claim(&bed.state, "next").await.unwrap();
        assert!(next.fence > late.fence);
        assert!(!store(&bed.state, ended, Holding::Fence(late.fence)).await);
        assert_eq!(bed.run_now(&late.run.id).await.state, RunState::Running);
    }

    async fn a_run_with_a_lease_is_left_alone(bed: Bed) {
        let plans = bed.plans(&["a"]).await;
        bed.queued(&plans[0]).await;
        claim(&bed.state, "one").await.unwrap();
        let mut tx = bed.begin().await;
        assert_eq!(runs::reap(&mut tx, 10).await, Ok(vec![]));
    }

    async fn a_worker_hears_that_somebody_asked_for_a_stop(bed: Bed) {
        let plans = bed.plans(&["a"]).await;
        bed.queued(&plans[0]).await;
        let claimed = claim(&bed.state, "one").await.unwrap();
        let mut tx = bed.begin().await;
        let Claimed { run, fence } = runs::get_to_change(&mut tx, &claimed.run.id).await.unwrap().unwrap();
        let (run, effects) = step(&bed, &run, Event::CancelRequested);
        assert!(runs::store(&mut tx, &run, Holding::Fence(fence), &effects).await.unwrap());
        tx.commit().await.unwrap();
        let mut tx = bed.begin().await;
        let answer = runs::heartbeat(&mut tx, &run.id, claimed.fence, LEASE, None).await;
        assert_eq!(answer, Ok(Heartbeat::CancelRequested));
        tx.commit().await.unwrap();
        // The worker has not looked yet and stores what it knows: the wish stays.
        assert!(store(&bed.state, (claimed.run.clone(), vec![]), Holding::Fence(claimed.fence)).await);
        assert!(bed.run_now(&run.id).await.cancel_requested);
    }

    async fn an_occurrence_gets_one_run(bed: Bed) {
        let plans = bed.plans(&["a"]).await;
        let at = Some(bed.now());
        let mut tx = bed.begin().await;
        assert_eq!(runs::insert(&mut tx, &Run { scheduled_for: at, ..bed.run(&plans[0]) }).await, Ok(true));
        assert_eq!(runs::insert(&mut tx, &Run { scheduled_for: at, ..bed.run(&plans[0]) }).await, Ok(false));
        assert_eq!(runs::insert(&mut tx, &bed.run(&plans[0])).await, Ok(true), "asked for by a person");
        tx.commit().await.unwrap();
    }

    async fn a_run_that_ends_is_counted_and_its_plan_follows(bed: Bed) {
        let plans = bed.plans(&["a"]).await;
        bed.queued(&plans[0]).await;
        let Claimed { run, fence } = claim(&bed.state, "one").await.unwrap();
        assert!(store(&bed.state, step(&bed, &run, failed()), Holding::Fence(fence)).await);
        let status = bed.plan_now(&plans[0]).await.status;
        assert_eq!(status.failed_since_good, 1);
        assert_eq!(status.last_problem.unwrap().code, "SR-DENIED");

        bed.queued(&plans[0]).await;
        let Claimed { run, fence } = claim(&bed.state, "one").await.unwrap();
        let backup = bed.stored_backup(&plans[0], Some(&run)).await;
        let made = RunOutcome::Backup(BackupMade { backup: backup.id.clone() });
        let ended = step(&bed, &run, Event::Succeeded(Box::new(made)));
        assert!(store(&bed.state, ended, Holding::Fence(fence)).await);
        let plan = bed.plan_now(&plans[0]).await;
        assert_eq!(plan.version, 1, "nobody changed its settings");
        assert_eq!(plan.status.last_good, Some(backup.id));
        assert_eq!((plan.status.failed_since_good, plan.status.last_problem), (0, None));

        let day = bed.now().date_naive();
        for of in [Some(&plan.id), None] {
            let kind = strongroom_service::model::RunKind::Backup;
            let days = counts::by_day(&mut bed.reader().await, of, kind, day, day).await.unwrap();
            assert_eq!(days.len(), 1);
            assert_eq!((days[0].succeeded, days[0].failed, days[0].stored_bytes), (1, 1, 300));
        }
    }
}
