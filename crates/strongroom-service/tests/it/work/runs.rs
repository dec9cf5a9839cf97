//! Kinds of runs, how they are tried again, and how they are stopped.

use serde_json::json;
use strongroom_engine::Job;
use strongroom_service::model::{
    RestoreRequest, RestoreSettings, RunOutcome, RunRequest, RunState, Secret, VerifyRequest,
};
use strongroom_service::runs::load::{Task, load};
use strongroom_service::runs::restore;
use strongroom_service::state::{deployments, log_lines, secrets};
use testbed::Mongod;

use super::house::{House, exists};

async fn set_uri(house: &House, id: &str, uri: &str) {
    let mut tx = house.means.state.begin().await.unwrap();
    let uri = Secret::try_from(uri.to_owned()).unwrap();
    secrets::put(&mut tx, &house.means.keyring, deployments::TABLE, id, "uri", &uri).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_verified_and_restored_as_it_was_shown_and_its_plan_is_proven() {
    let house = House::new().await;
    house.fill(20).await;
    let plan = house.plan("nightly", json!({})).await;
    let worker = house.worker();
    house.tick().await;
    house.until_ended(&house.runs_of(&plan).await[0].id).await;
    let backup = house.backups().await.remove(0);

    let verify = house.request(RunRequest::Verify(VerifyRequest { backup: backup.id.clone() })).await;
    let verified = house.until_ended(&verify).await;
    let Some(RunOutcome::Verify(outcome)) = &verified.outcome else { panic!("{verified:#?}") };
    assert_eq!((verified.state, outcome.problems), (RunState::Succeeded, 0));
    assert!(house.plan_now(&plan).await.status.last_proven_at.is_some());

    let target = Mongod::standalone().await.unwrap();
    set_uri(&house, house.deployment.as_str(), &target.uri()).await;
    let mut asked = RestoreRequest {
        backup: backup.id.clone(),
        target: house.deployment.clone(),
        settings: RestoreSettings::default(),
        preview: "0".repeat(64).parse().unwrap(),
        confirm_target: None,
    };
    let other = house.until_ended(&house.request(RunRequest::Restore(asked.clone())).await).await;
    assert_eq!(other.state, RunState::Failed);
    assert_eq!(other.problem.unwrap().code, "SR-TARGET-CHANGED", "only what was shown is done");

    asked.preview = digest(&house, &asked).await.parse().unwrap();
    let restored = house.until_ended(&house.request(RunRequest::Restore(asked.clone())).await).await;
    let Some(RunOutcome::Restore(outcome)) = &restored.outcome else { panic!("{restored:#?}") };
    assert!(outcome.matches && outcome.documents >= 20, "{outcome:?}");

    asked.settings.existing = "drop".parse().unwrap();
    asked.preview = digest(&house, &asked).await.parse().unwrap();
    let unsure = house.until_ended(&house.request(RunRequest::Restore(asked.clone())).await).await;
    assert_eq!(
        unsure.problem.unwrap().code,
        "SR-TARGET-NOT-EMPTY",
        "what is replaced is confirmed by its name"
    );
    asked.confirm_target = Some("shop".parse().unwrap());
    let replaced = house.until_ended(&house.request(RunRequest::Restore(asked)).await).await;
    assert_eq!(replaced.state, RunState::Succeeded, "{:?}", replaced.problem);
    worker.stop().await;
    house.all_restore().await;
}

/// Of the preview that a person would be shown.
async fn digest(house: &House, asked: &RestoreRequest) -> String {
    let job = Job::unwatched(house.means.clock.clone());
    let run = strongroom_service::scheduler::queued(
        RunRequest::Restore(asked.clone()),
        strongroom_service::model::Trigger::Request,
        house.now(),
    );
    let name = strongroom_engine::BackupId::new(house.now(), 0);
    let Task::Restore(work, _) = load(&house.means, &run, name, job.observer.clone()).await.unwrap() else {
        panic!()
    };
    restore::prepare(&work, &asked.settings, &job).await.unwrap().digest().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_tried_again_and_the_log_says_so() {
    let house = House::new().await;
    house.fill(10).await;
    set_uri(&house, house.deployment.as_str(), "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=200").await;
    let plan = house.plan("nightly", json!({"running": {"retry_after_seconds": 1}})).await;
    let worker = house.worker();
    house.tick().await;
    let id = house.runs_of(&plan).await[0].id.clone();
    let waiting = house.until(&id, |run| run.attempt == 1 && run.state == RunState::Queued).await;
    assert_eq!(waiting.problem.unwrap().code, "SR-MONGO-HOST");
    set_uri(&house, house.deployment.as_str(), &house.source.uri()).await;
    let run = house.until_ended(&id).await;
    assert_eq!(run.state, RunState::Succeeded, "{:?}", run.problem);
    assert!(run.attempt >= 2);
    let lines = log_lines::after(&mut house.means.state.reader().await.unwrap(), &id, 0, 1000).await.unwrap();
    assert!(lines.iter().any(|line| line.code == "SR-MONGO-HOST"), "{lines:?}");
    assert_eq!(lines.last().unwrap().code, "succeeded");
    assert!(lines.windows(2).all(|pair| pair[0].number + 1 == pair[1].number));
    let name = house.backups().await[0].name.to_string();
    let log = house.place().join("nightly").join(name).join("log.jsonl");
    for _ in 0..100 {
        if log.exists() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(std::fs::read_to_string(&log).unwrap().contains("\"succeeded\""));
    worker.stop().await;
    house.all_restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_a_person_can_put_right_fails_at_once() {
    let house = House::new().await;
    let plan = house.plan("nightly", json!({"backup": {"readers": 1, "include": ["["]}})).await;
    let worker = house.worker();
    house.tick().await;
    let run = house.until_ended(&house.runs_of(&plan).await[0].id).await;
    assert_eq!((run.state, run.attempt), (RunState::Failed, 1));
    let status = house.plan_now(&plan).await.status;
    assert_eq!((status.failed_since_good, status.last_problem), (1, run.problem));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_cancelled_ends_soon_and_leaves_no_backup() {
    let house = House::new().await;
    house.fill(5000).await;
    let plan = house.plan("slow", json!({"backup": {"readers": 1, "max_rate": "200KB"}})).await;
    let worker = house.worker();
    house.tick().await;
    let id = house.runs_of(&plan).await[0].id.clone();
    let running = house.until(&id, |run| run.backup_name.is_some()).await;
    house.cancel(&id).await;
    let run = house.until_ended(&id).await;
    assert_eq!(run.state, RunState::Cancelled);
    assert!(house.backups().await.is_empty() && house.stored(&plan).is_empty());
    let segments = house.place().join("slow").join(running.backup_name.unwrap().as_str()).join("segments");
    assert!(!segments.exists() || std::fs::read_dir(segments).unwrap().next().is_none());
    worker.stop().await;
    assert!(!exists(&house.place(), &plan, "manifest.json"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_takes_too_long_is_stopped_and_fails() {
    let house = House::new().await;
    house.fill(5000).await;
    let slow = json!({"backup": {"readers": 1, "max_rate": "200KB"}, "running": {"deadline_minutes": 1}});
    let plan = house.plan("slow", slow).await;
    let worker = house.worker();
    house.tick().await;
    let id = house.runs_of(&plan).await[0].id.clone();
    house.until(&id, |run| run.backup_name.is_some()).await;
    house.clock.forward(chrono::TimeDelta::minutes(1));
    let run = house.until_ended(&id).await;
    assert_eq!((run.state, run.problem.unwrap().code.as_str()), (RunState::Failed, "SR-DEADLINE"));
    assert!(house.stored(&plan).is_empty());
    worker.stop().await;
}
