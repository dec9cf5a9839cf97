//! Backups expire, are swept after their grace, and free what they took.

use chrono::TimeDelta;
use sandbox::Sandbox;
use serde_json::json;
use strongroom_service::model::{BackupState, Plan, RunKind, RunOutcome, RunState};
use strongroom_service::state::runs::RunFilter;
use strongroom_service::upkeep;

use super::house::House;

const BUCKET: &str = "backups";

async fn hourly_backups(house: &House, plan: &Plan, number: usize) {
    for _ in 0..number {
        house.tick().await;
        let newest = house.runs_of(plan).await.remove(0);
        let run = house.until_ended(&newest.id).await;
        assert_eq!(run.state, RunState::Succeeded, "{:?}", run.problem);
        house.clock.forward(TimeDelta::hours(1));
    }
}

/// The newest sweep, once it has ended.
async fn swept(house: &House) -> RunOutcome {
    upkeep::look_after(&house.means).await.unwrap();
    let sweeps = house.runs(RunFilter { kind: Some(RunKind::Sweep), ..RunFilter::default() }).await;
    let run = house.until_ended(&sweeps[0].id).await;
    assert_eq!(run.state, RunState::Succeeded, "{:?}", run.problem);
    run.outcome.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_frees_a_bucket_that_keeps_versions() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    assert!(sandbox.create_bucket(BUCKET) && sandbox.enable_versioning(BUCKET));
    let key = sandbox.owner().clone();
    let settings = json!({
        "location": format!("s3://{BUCKET}/shop"),
        "endpoint": sandbox.endpoint(),
        "region": "us-east-1",
        "credentials": {"kind": "key", "id": key.id},
    });
    let house = House::with(tempfile::tempdir().unwrap(), settings, Some(&key.secret)).await;
    house.fill(500).await;
    let plan = house.plan("hourly", json!({"retention": {"last": 2}})).await;
    let worker = house.worker();
    hourly_backups(&house, &plan, 3).await;
    let before = (sandbox.stored_bytes(BUCKET), sandbox.contents(BUCKET).len());
    upkeep::retain(&house.means, &plan.id).await.unwrap();
    let backups = house.backups().await;
    let expired: Vec<_> = backups.iter().filter(|backup| backup.state == BackupState::Expired).collect();
    let [expired] = expired[..] else { panic!("{backups:#?}") };
    assert!(!expired.reasons.is_empty() && backups.last() == Some(expired), "the oldest goes");

    house.clock.forward(TimeDelta::hours(169));
    let RunOutcome::Sweep(outcome) = swept(&house).await else { panic!() };
    assert_eq!((outcome.backups, outcome.left), (1, 0), "{outcome:?}");
    assert!(sandbox.stored_bytes(BUCKET) < before.0, "versions are freed too");
    assert!(sandbox.contents(BUCKET).len() < before.1);
    assert!(!sandbox.contents(BUCKET).iter().any(|name| name.contains(expired.name.as_str())));
    assert_eq!(house.backups().await.len(), 2);
    worker.stop().await;
    house.all_restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_good_backup_stays_however_old_it_is() {
    let house = House::new().await;
    house.fill(10).await;
    let plan = house.plan("hourly", json!({"retention": {"max_age_days": 1}})).await;
    let worker = house.worker();
    hourly_backups(&house, &plan, 2).await;
    house.clock.forward(TimeDelta::days(100));
    upkeep::retain(&house.means, &plan.id).await.unwrap();
    let states: Vec<_> = house.backups().await.iter().map(|backup| backup.state).collect();
    assert_eq!(states, [BackupState::Kept, BackupState::Expired]);
    worker.stop().await;
    house.all_restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_again_within_its_grace_is_not_deleted() {
    let house = House::new().await;
    house.fill(10).await;
    let plan = house.plan("hourly", json!({"retention": {"last": 1}})).await;
    let worker = house.worker();
    hourly_backups(&house, &plan, 2).await;
    upkeep::retain(&house.means, &plan.id).await.unwrap();
    assert!(house.backups().await.iter().any(|backup| backup.state == BackupState::Expired));
    let mut kept = house.plan_now(&plan).await;
    kept.settings.retention = serde_json::from_value(json!({"last": 5})).unwrap();
    let mut tx = house.means.state.begin().await.unwrap();
    strongroom_service::state::plans::update(&mut tx, &kept, kept.version).await.unwrap();
    tx.commit().await.unwrap();
    house.clock.forward(TimeDelta::days(30));
    upkeep::look_after(&house.means).await.unwrap();
    assert!(house.backups().await.iter().all(|backup| backup.state == BackupState::Kept));
    assert!(house.runs(RunFilter { kind: Some(RunKind::Sweep), ..RunFilter::default() }).await.is_empty());
    worker.stop().await;
    house.all_restore().await;
}
