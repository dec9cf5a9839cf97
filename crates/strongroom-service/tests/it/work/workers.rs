//! Workers that stop, vanish or come too late.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use strongroom_engine::BackupId;
use strongroom_service::job::{self, Event};
use strongroom_service::model::{RestoreRequest, RestoreSettings, RunKind, RunRequest, RunState};
use strongroom_service::state::runs::{Claimed, Holding, RunFilter};
use strongroom_service::state::{log_lines, runs};
use strongroom_service::upkeep;

use super::house::{House, exists};

/// A worker that claims a run and is never heard of again.
async fn claimed_by_the_dead(house: &House) -> Claimed {
    let mut tx = house.means.state.begin().await.unwrap();
    let claimed = runs::claim(&mut tx, "dead", 4, TimeDelta::seconds(60)).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    claimed
}

async fn named_by_the_dead(house: &House, claimed: &Claimed, name: &BackupId) {
    let mut tx = house.means.state.begin().await.unwrap();
    let (run, effects) = job::step(&claimed.run, Event::Named(name.clone()), house.now()).unwrap();
    assert!(runs::store(&mut tx, &run, Holding::Fence(claimed.fence), &effects).await.unwrap());
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_whose_process_died_begins_again_and_what_it_left_is_swept() {
    let house = House::new().await;
    house.fill(10).await;
    let plan = house.plan("nightly", json!({})).await;
    house.tick().await;
    let dead = claimed_by_the_dead(&house).await;
    let name = BackupId::new(house.now(), 7);
    named_by_the_dead(&house, &dead, &name).await;
    house.leave_pieces(&plan, &name);

    assert_eq!(upkeep::recover(&house.means, "dead").await.unwrap(), 1);
    let worker = house.worker();
    let run = house.until_ended(&dead.run.id).await;
    assert_eq!((run.state, run.attempt), (RunState::Succeeded, 2), "{:?}", run.problem);
    assert_ne!(run.backup_name, Some(name.clone()));
    upkeep::look_after(&house.means).await.unwrap();
    let sweeps = house.runs(RunFilter { kind: Some(RunKind::Sweep), ..RunFilter::default() }).await;
    let [sweep] = &sweeps[..] else { panic!("{sweeps:?}") };
    assert_eq!(house.until_ended(&sweep.id).await.state, RunState::Succeeded);
    assert!(!exists(&house.place(), &plan, name.as_str()));
    assert_eq!(house.stored(&plan).len(), 1);
    worker.stop().await;
    house.all_restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_frozen_worker_left_is_not_touched_while_it_may_still_be_writing() {
    let house = House::new().await;
    house.fill(10).await;
    let plan = house.plan("nightly", json!({})).await;
    house.tick().await;
    let frozen = claimed_by_the_dead(&house).await;
    let name = BackupId::new(house.now(), 7);
    named_by_the_dead(&house, &frozen, &name).await;
    house.leave_pieces(&plan, &name);
    house.clock.forward(TimeDelta::seconds(61));
    upkeep::reap(&house.means).await.unwrap();
    upkeep::look_after(&house.means).await.unwrap();
    assert!(house.runs(RunFilter { kind: Some(RunKind::Sweep), ..RunFilter::default() }).await.is_empty());
    assert!(exists(&house.place(), &plan, name.as_str()));

    // It wakes up, and finds that nothing it writes counts any more.
    let mut tx = house.means.state.begin().await.unwrap();
    let late =
        runs::heartbeat(&mut tx, &frozen.run.id, frozen.fence, TimeDelta::seconds(60), None).await.unwrap();
    assert_eq!(late, runs::Heartbeat::Lost);
    drop(tx);
    house.clock.forward(TimeDelta::hours(1));
    upkeep::look_after(&house.means).await.unwrap();
    assert_eq!(house.runs(RunFilter { kind: Some(RunKind::Sweep), ..RunFilter::default() }).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_whose_worker_vanished_fails_and_names_what_is_in_the_target() {
    let house = House::new().await;
    house.fill(10).await;
    let plan = house.plan("nightly", json!({})).await;
    let worker = house.worker();
    house.tick().await;
    house.until_ended(&house.runs_of(&plan).await[0].id).await;
    worker.stop().await;
    let backup = house.backups().await.remove(0);
    let id = house
        .request(RunRequest::Restore(RestoreRequest {
            backup: backup.id,
            target: house.deployment.clone(),
            settings: RestoreSettings::default(),
            preview: "0".repeat(64).parse().unwrap(),
            confirm_target: None,
        }))
        .await;
    let dead = claimed_by_the_dead(&house).await;
    let line = |number, message: &str| {
        serde_json::from_value(json!({
            "number": number, "at": house.now(), "level": "info", "code": "target", "message": message,
        }))
        .unwrap()
    };
    let mut tx = house.means.state.begin().await.unwrap();
    let lines = [line(1, "shop.items"), line(2, "shop.orders")];
    assert!(log_lines::append(&mut tx, &id, dead.fence, &lines).await.unwrap());
    tx.commit().await.unwrap();
    house.clock.forward(TimeDelta::seconds(61));
    upkeep::reap(&house.means).await.unwrap();
    let run = house.run(&id).await;
    assert_eq!(run.state, RunState::Failed);
    let problem = run.problem.unwrap();
    assert!(problem.message.contains("`shop.items`, `shop.orders`"), "{problem:?}");
    house.all_restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lost_its_run_stores_no_manifest() {
    let house = House::new().await;
    house.fill(3000).await;
    let plan = house.plan("slow", json!({"backup": {"readers": 1, "max_rate": "1MB"}})).await;
    let worker = house.worker();
    house.tick().await;
    let id = house.runs_of(&plan).await[0].id.clone();
    let first = house.until(&id, |run| run.backup_name.is_some()).await.backup_name;
    house.clock.forward(TimeDelta::seconds(61));
    // Somebody takes it over before the worker says that it is still there.
    let mut tx = house.means.state.begin().await.unwrap();
    let taken = runs::get_to_change(&mut tx, &id).await.unwrap().unwrap();
    let (run, effects) =
        job::step(&taken.run, Event::LeaseLost(job::Remains::default()), house.now()).unwrap();
    assert!(runs::store(&mut tx, &run, Holding::Fence(taken.fence), &effects).await.unwrap());
    tx.commit().await.unwrap();
    let run = house.until_ended(&id).await;
    assert_eq!(run.state, RunState::Succeeded, "{:?}", run.problem);
    assert_ne!(run.backup_name, first);
    assert_eq!(house.stored(&plan), [run.backup_name.unwrap().to_string()]);
    worker.stop().await;
    house.all_restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_stopped_hands_its_backup_over() {
    let house = House::new().await;
    house.fill(3000).await;
    let plan = house.plan("slow", json!({"backup": {"readers": 1, "max_rate": "1MB"}})).await;
    let worker = house.worker_named("old");
    house.tick().await;
    let id = house.runs_of(&plan).await[0].id.clone();
    house.until(&id, |run| run.backup_name.is_some()).await;
    worker.stop().await;
    let waiting = house.run(&id).await;
    assert_eq!((waiting.state, waiting.attempt), (RunState::Queued, 0), "no try is lost");
    assert!(house.stored(&plan).is_empty());
    let worker = house.worker_named("new");
    assert_eq!(house.until_ended(&id).await.state, RunState::Succeeded);
    tokio::time::sleep(Duration::from_millis(10)).await;
    worker.stop().await;
    house.all_restore().await;
}
