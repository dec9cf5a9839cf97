//! What loosens a plan waits, and can be called back.

use chrono::TimeDelta;
use serde_json::{Value, json};
use strongroom_service::model::Role;

use super::site::{Site, at};

fn keeps(last: u64) -> Value {
    json!({ "retention": { "last": last } })
}

#[tokio::test]
async fn fewer_kept_waits_and_more_kept_is_immediate() {
    let site = Site::new().await;
    let plan = site.plan(&site.with("a", &keeps(10))).await;
    let more = site.replace(&plan, &site.with("a", &keeps(20))).await;
    assert_eq!(
        (&more["plan"]["settings"]["retention"]["last"], &more["waiting"]),
        (&json!(20), &Value::Null)
    );

    let fewer = site.replace(&plan, &site.with("b", &keeps(5))).await;
    assert_eq!(fewer["plan"]["settings"]["retention"]["last"], 20);
    assert_eq!(fewer["plan"]["settings"]["name"], "b", "what loosens nothing holds at once");
    let change = &fewer["waiting"];
    assert_eq!(change["loosens"], json!(["fewer of the newest backups are kept: 5 instead of 20"]));
    assert_eq!(fewer["plan"]["status"]["waiting_changes"], json!([change["id"]]), "{fewer}");

    site.look_after().await;
    assert_eq!(site.plan_now(&plan).await["settings"]["retention"]["last"], 20, "it is too early");
    site.api.clock.forward(TimeDelta::hours(24));
    site.look_after().await;
    let now = site.plan_now(&plan).await;
    assert_eq!(now["settings"]["retention"]["last"], 5);
    assert_eq!(now["status"]["waiting_changes"], json!([]));
    let path = format!("/api/v1/changes/{}", change["id"].as_str().unwrap());
    assert_eq!(site.call("GET", &path).send().await.must_be(200).json()["state"], "applied");
    site.call("POST", &format!("{path}/call_back")).send().await.must_be(409);
}

#[tokio::test]
async fn a_change_that_is_called_back_never_takes_effect() {
    let site = Site::new().await;
    let plan = site.plan(&site.with("a", &keeps(10))).await;
    let change = site.replace(&plan, &site.with("a", &keeps(5))).await["waiting"].clone();
    let path = format!("/api/v1/changes/{}/call_back", change["id"].as_str().unwrap());
    let viewer = site.token(Role::Viewer, false).await;
    site.api.post(&path).bearer(&viewer).send().await.must_be(403);
    assert_eq!(site.call("POST", &path).send().await.must_be(200).json()["state"], "called_back");
    assert_eq!(site.plan_now(&plan).await["status"]["waiting_changes"], json!([]));
    site.api.clock.forward(TimeDelta::hours(48));
    site.look_after().await;
    assert_eq!(site.plan_now(&plan).await["settings"]["retention"]["last"], 10);
}

#[tokio::test]
async fn the_same_wish_again_does_not_begin_to_wait_anew() {
    let site = Site::new().await;
    let plan = site.plan(&site.with("a", &keeps(10))).await;
    let first = site.replace(&plan, &site.with("a", &keeps(5))).await["waiting"].clone();
    site.api.clock.forward(TimeDelta::hours(20));
    let again = site.replace(&plan, &site.with("a", &keeps(5))).await["waiting"].clone();
    assert_eq!(again, first);
    let other = site.replace(&plan, &site.with("a", &keeps(4))).await["waiting"].clone();
    assert_ne!(other["id"], first["id"]);
    let path = format!("/api/v1/changes/{}", first["id"].as_str().unwrap());
    assert_eq!(site.call("GET", &path).send().await.json()["state"], "called_back");
    let stricter = site.replace(&plan, &site.with("a", &keeps(10))).await;
    assert_eq!(stricter["waiting"], Value::Null);
    assert_eq!(stricter["plan"]["status"]["waiting_changes"], json!([]), "nothing waits any more");
}

#[tokio::test]
async fn a_second_admin_must_agree_where_the_settings_say_so() {
    let site = Site::new().await;
    site.set(&json!({ "second_admin": true })).await;
    let plan = site.plan(&site.with("a", &keeps(10))).await;
    let change = site.replace(&plan, &site.with("a", &keeps(5))).await["waiting"].clone();
    assert_eq!(change["approval_wanted"], true);
    site.api.clock.forward(TimeDelta::hours(25));
    site.look_after().await;
    assert_eq!(site.plan_now(&plan).await["settings"]["retention"]["last"], 10, "nobody agreed");
    let path = format!("/api/v1/changes/{}/approve", change["id"].as_str().unwrap());
    site.call("POST", &path).send().await.must_be(403);
    let other = site.api.admin().await;
    let approved = site.api.post(&path).bearer(&other).send().await.must_be(200).json();
    assert_eq!(approved["approval_wanted"], false);
    assert!(approved["approved_by"].is_string() && approved["approved_by"] != approved["requested_by"]);
    site.api.post(&path).bearer(&other).send().await.must_be(409);
    site.look_after().await;
    assert_eq!(site.plan_now(&plan).await["settings"]["retention"]["last"], 5);
}

#[tokio::test]
async fn a_pause_in_between_outlives_the_change() {
    let site = Site::new().await;
    let plan = site.plan(&site.with("a", &keeps(10))).await;
    site.replace(&plan, &site.with("a", &keeps(5))).await;
    site.call("POST", &format!("{}/pause", at(&plan))).send().await.must_be(200);
    site.api.clock.forward(TimeDelta::hours(24));
    site.look_after().await;
    let now = site.plan_now(&plan).await;
    assert_eq!(
        (&now["settings"]["paused"], &now["settings"]["retention"]["last"]),
        (&json!(true), &json!(5))
    );
}

#[tokio::test]
async fn a_plan_that_is_deleted_keeps_its_backups_unless_they_are_to_expire() {
    let site = Site::new().await;
    let (one, other) = (site.plan(&site.settings("a")).await, site.plan(&site.settings("b")).await);
    let (kept, lost, held) = (site.backup(&one).await, site.backup(&other).await, site.backup(&other).await);
    let hold = site.call("POST", &format!("/api/v1/backups/{held}/hold"));
    hold.json(&json!({ "reason": "audit of 2023" })).send().await.must_be(200);
    site.call("DELETE", &at(&one)).header("if-match", "*").send().await.must_be(204);
    let path = format!("{}?backups=expire", at(&other));
    let change = site.call("DELETE", &path).header("if-match", "*").send().await.must_be(202).json();
    assert_eq!(change["loosens"], json!(["the plan is deleted, and its 2 backups with it"]));
    assert_eq!(site.plan_now(&other).await["status"]["waiting_changes"], json!([change["id"]]));
    site.api.clock.forward(TimeDelta::hours(24));
    site.look_after().await;
    site.call("GET", &at(&other)).send().await.must_be(404);
    for (backup, state) in [(&kept, "kept"), (&lost, "expired"), (&held, "kept")] {
        let now = site.call("GET", &format!("/api/v1/backups/{backup}")).send().await.json();
        assert_eq!(now["state"], state, "{now}");
    }
}

#[tokio::test]
async fn a_shorter_delay_waits_itself_and_then_nothing_does() {
    let site = Site::new().await;
    let plan = site.plan(&site.with("a", &keeps(10))).await;
    site.set(&json!({ "loosening_delay_hours": 0 })).await;
    let settings = site.call("GET", "/api/v1/settings").send().await.must_be(200).json();
    assert_eq!(settings["loosening_delay_hours"], 24, "nobody shortens the delay at once");
    assert!(!site.replace(&plan, &site.with("a", &keeps(5))).await["waiting"].is_null());
    site.api.clock.forward(TimeDelta::hours(24));
    site.look_after().await;
    let fewer = site.replace(&plan, &site.with("a", &keeps(4))).await;
    assert_eq!(
        (&fewer["plan"]["settings"]["retention"]["last"], &fewer["waiting"]),
        (&json!(4), &Value::Null)
    );
}
