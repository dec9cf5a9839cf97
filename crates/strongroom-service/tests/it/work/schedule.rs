//! What is due is run once, whatever the clock does.

use chrono::TimeDelta;
use serde_json::json;
use strongroom_service::model::{RunState, Trigger};

use super::house::House;

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_backup_happens_and_stands_in_the_catalogue() {
    let house = House::new().await;
    house.fill(10).await;
    let plan = house.plan("nightly", json!({})).await;
    let worker = house.worker();
    house.tick().await;
    house.tick().await;
    let [run] = &house.runs_of(&plan).await[..] else { panic!("one run for one occurrence") };
    let run = house.until_ended(&run.id).await;
    assert_eq!((run.state, run.trigger), (RunState::Succeeded, Trigger::Schedule), "{:?}", run.problem);
    let [backup] = &house.backups().await[..] else { panic!() };
    assert_eq!(Some(&backup.name), run.backup_name.as_ref());
    assert_eq!((backup.documents >= 10, backup.scheduled), (true, true));
    assert_eq!(house.stored(&plan), [backup.name.to_string()]);
    let status = house.plan_now(&plan).await.status;
    assert_eq!(status.last_good.as_ref(), Some(&backup.id));
    assert!(status.next_due.unwrap() > house.now());
    worker.stop().await;
    house.all_restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_occurrences_of_a_plan_are_never_at_work_together() {
    let house = House::new().await;
    house.fill(3000).await;
    let plan = house.plan("hourly", json!({"backup": {"readers": 1, "max_rate": "1MB"}})).await;
    let worker = house.worker();
    house.tick().await;
    let first = house.runs_of(&plan).await[0].id.clone();
    house.until(&first, |run| run.state == RunState::Running).await;
    house.clock.forward(TimeDelta::hours(1));
    house.tick().await;
    let second = house.runs_of(&plan).await[0].id.clone();
    assert_ne!(first, second);
    assert_eq!(house.run(&second).await.state, RunState::Queued);
    let first = house.until_ended(&first).await;
    let second = house.until_ended(&second).await;
    assert_eq!((first.state, second.state), (RunState::Succeeded, RunState::Succeeded));
    assert!(second.started_at >= first.ended_at);
    worker.stop().await;
    house.all_restore().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_downtime_one_run_makes_up_for_all_and_one_says_what_was_missed() {
    let house = House::new().await;
    let plan = house.plan("hourly", json!({})).await;
    house.tick().await;
    house.clock.forward(TimeDelta::hours(5) + TimeDelta::minutes(59));
    house.tick().await;
    let runs = house.runs_of(&plan).await;
    let late: Vec<_> = runs.iter().filter(|run| run.trigger == Trigger::CatchUp).collect();
    assert_eq!(late.len(), 1, "{runs:#?}");
    let missed: Vec<_> = runs
        .iter()
        .filter(|run| run.state == RunState::Skipped && run.trigger == Trigger::Schedule)
        .collect();
    let told: Vec<_> = missed.iter().map(|run| run.problem.as_ref().unwrap().message.as_str()).collect();
    assert!(told.iter().any(|message| message.starts_with("4 runs from")), "{told:?}");
    house.tick().await;
    assert_eq!(house.runs_of(&plan).await.len(), runs.len(), "nothing is made up for twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_back_runs_no_occurrence_twice() {
    let house = House::new().await;
    let plan = house.plan("hourly", json!({})).await;
    house.clock.forward(TimeDelta::hours(2));
    house.tick().await;
    let before: Vec<_> = house.runs_of(&plan).await.iter().map(|run| run.scheduled_for).collect();
    house.clock.forward(-TimeDelta::minutes(90));
    house.tick().await;
    house.clock.forward(TimeDelta::minutes(90));
    house.tick().await;
    let mut times: Vec<_> = house.runs_of(&plan).await.iter().filter_map(|run| run.scheduled_for).collect();
    let all = times.len();
    times.sort();
    times.dedup();
    assert_eq!(times.len(), all, "{before:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_could_not_start_in_time_is_missed_and_says_so() {
    let house = House::new().await;
    let plan = house.plan("hourly", json!({"running": {"start_within_minutes": 10}})).await;
    house.tick().await;
    house.clock.forward(TimeDelta::minutes(11));
    house.tick().await;
    let [run] = &house.runs_of(&plan).await[..] else { panic!() };
    assert_eq!(run.state, RunState::Skipped);
    assert_eq!(run.problem.as_ref().unwrap().code, "SR-MISSED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_plan_starts_nothing() {
    let house = House::new().await;
    let plan = house.plan("hourly", json!({"paused": true})).await;
    house.tick().await;
    assert!(house.runs_of(&plan).await.is_empty());
}
