//! Plans, as clients meet them.

use chrono::TimeDelta;
use serde_json::{Value, json};
use strongroom_service::model::Role;

use super::bed::Answer;
use super::site::{Site, at, location};

fn field(answer: Answer) -> String {
    answer.must_be(400).json()["errors"][0]["field"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_plan_is_made_shown_changed_and_deleted() {
    let site = Site::new().await;
    let made =
        site.call("POST", "/api/v1/plans").json(&site.settings("Shop, nightly")).send().await.must_be(201);
    assert_eq!(made.header("etag"), "\"1\"");
    let plan = made.json();
    assert_eq!(made.header("location"), at(&plan));
    assert_eq!(plan["folder"], "shop-nightly");
    assert!(!plan["status"]["next_due"].is_null(), "{plan}");
    assert_eq!(site.plan_now(&plan).await, plan);

    let renamed = site.with("renamed", &json!({ "labels": { "team": "shop" } }));
    let changed = site.replace(&plan, &renamed).await;
    assert_eq!(changed["waiting"], Value::Null);
    assert_eq!(changed["plan"]["folder"], "shop-nightly", "the folder stays");
    let stale = site.call("PUT", &at(&plan)).header("if-match", "\"1\"").json(&renamed).send().await;
    assert_eq!(stale.must_be(412).json()["code"], "SR-CHANGED");
    let found = site.call("GET", "/api/v1/plans?label=team%3Dshop&failing=false").send().await.must_be(200);
    assert_eq!(found.json()["items"][0]["settings"]["name"], "renamed");

    site.call("DELETE", &at(&plan)).send().await.must_be(400);
    site.call("DELETE", &at(&plan)).header("if-match", "\"2\"").send().await.must_be(204);
    site.call("GET", &at(&plan)).send().await.must_be(404);
    let audit = site.call("GET", "/api/v1/audit?action=plan.delete").send().await.json();
    assert_eq!(audit["items"][0]["before"]["settings"]["name"], "renamed");
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused_by_their_field() {
    let site = Site::new().await;
    let refused = |more: Value| {
        let settings = site.with("a", &more);
        let call = site.call("POST", "/api/v1/plans").json(&settings);
        async { field(call.send().await) }
    };
    let cron = |pattern: &str| json!({ "schedule": { "kind": "cron", "pattern": pattern, "zone": "UTC" } });
    assert!(refused(cron("0 0 2 * * *")).await.starts_with("schedule"), "no seconds");
    assert!(refused(cron("0 0 31 2 *")).await.starts_with("schedule"), "a date that never comes");
    let past = json!({ "schedule": { "kind": "once", "at": "2020-01-01T00:00:00Z" } });
    assert_eq!(refused(past).await, "schedule");
    assert_eq!(refused(json!({ "deployment": "dep_01kb0s4r1q8f6v2m9c3t7x5zyb" })).await, "deployment");
    assert_eq!(refused(json!({ "location": "loc_01kb0s4r1q8f6v2m9c3t7x5zyb" })).await, "location");
    assert_eq!(refused(json!({ "name": "日本" })).await, "folder");
    assert_eq!(refused(json!({ "folder": "../up" })).await, "folder");
    assert_eq!(refused(json!({ "retention": { "last": 0 } })).await, "retention.last");
    assert_eq!(refused(json!({ "retention": { "lats": 3 } })).await, "retention.lats");
    assert_eq!(refused(json!({ "backup": { "encryption": "rot13" } })).await, "backup.encryption");
}

#[tokio::test]
async fn a_name_and_a_folder_are_of_one_plan() {
    let site = Site::new().await;
    let plan = site.plan(&site.with("a", &json!({ "folder": "nightly" }))).await;
    let again = |settings: Value| site.call("POST", "/api/v1/plans").json(&settings).send();
    let name = again(site.settings("a")).await.must_be(409).json();
    assert_eq!((&name["code"], &name["errors"][0]["field"]), (&json!("SR-TAKEN"), &json!("name")));
    let folder = again(site.with("b", &json!({ "folder": "nightly" }))).await.must_be(409).json();
    assert_eq!(folder["errors"][0]["field"], "folder");
    let moved = site.with("a", &json!({ "folder": "other" }));
    let moved = site.call("PUT", &at(&plan)).header("if-match", "*").json(&moved).send().await;
    assert_eq!(field(moved), "folder");
}

#[tokio::test]
async fn a_plan_is_made_once_with_the_same_key() {
    let site = Site::new().await;
    let create = |name: &str| {
        let settings = site.settings(name);
        site.call("POST", "/api/v1/plans").header("idempotency-key", "k").json(&settings).send()
    };
    let first = create("a").await.must_be(201).json();
    assert_eq!(create("a").await.must_be(201).json()["id"], first["id"]);
    assert_eq!(create("b").await.must_be(422).json()["code"], "SR-KEY-REUSED");
}

#[tokio::test]
async fn a_pause_takes_the_next_run_away_and_loosens_nothing() {
    let site = Site::new().await;
    let plan = site.plan(&site.settings("a")).await;
    let post = |what: &str| site.call("POST", &format!("{}/{what}", at(&plan))).send();
    let paused = post("pause").await.must_be(200).json();
    assert_eq!((&paused["settings"]["paused"], &paused["status"]["next_due"]), (&json!(true), &Value::Null));
    let none = site.call("GET", &format!("{}/occurrences", at(&plan))).send().await.must_be(200).json();
    assert_eq!(none["items"], json!([]));
    let changes = site.call("GET", "/api/v1/changes").send().await.must_be(200).json();
    assert_eq!(changes["items"], json!([]));
    site.api.clock.forward(TimeDelta::days(3));
    let resumed = post("resume").await.must_be(200).json();
    let next = resumed["status"]["next_due"].as_str().unwrap();
    assert!(
        next.parse::<chrono::DateTime<chrono::Utc>>().unwrap() > site.now(),
        "what was missed is not made up for"
    );
}

#[tokio::test]
async fn the_next_runs_are_shown_with_the_clock_of_their_zone() {
    let site = Site::new().await;
    let schedule = json!({ "kind": "cron", "pattern": "30 2 * * *", "zone": "Europe/Berlin" });
    // From 25 November 2026 on: the hour is skipped on 28 March 2027.
    site.api.clock.forward(TimeDelta::days(121));
    let settings = site.with("a", &json!({ "schedule": schedule }));
    let plan = site.plan(&settings).await;
    let path = format!("{}/occurrences?limit=5", at(&plan));
    let shown = site.call("GET", &path).send().await.must_be(200).json();
    assert_eq!(shown["items"].as_array().unwrap().len(), 5);
    let noted = shown["items"].as_array().unwrap().iter().find(|item| !item["note"].is_null()).unwrap();
    assert!(noted["note"].as_str().unwrap().contains("02:30 does not exist"), "{noted}");
    let preview = site.call("POST", "/api/v1/plans/preview").json(&settings).send().await.must_be(200).json();
    assert_eq!(preview["occurrences"].as_array().unwrap()[..5], shown["items"].as_array().unwrap()[..]);
    site.call("GET", &format!("{}/occurrences?limit=101", at(&plan))).send().await.must_be(400);
}

#[tokio::test]
async fn a_plan_that_its_bucket_refuses_is_flagged_with_the_statement() {
    let site = Site::new().await;
    let demanding = json!({ "access": "single", "encryption": "AES256", "header_required": true });
    let strict = location(&site.api, &site.admin, "strict", &demanding).await;
    let settings = |encryption: &str| {
        let more = json!({ "location": strict["id"], "backup": { "encryption": encryption } });
        site.with("a", &more)
    };
    let preview = site.call("POST", "/api/v1/plans/preview").json(&settings("none")).send().await;
    let warning = preview.must_be(200).json()["warnings"][0].clone();
    assert_eq!(warning["code"], "SR-DENIED");
    let plan = site.plan(&settings("none")).await;
    let refused = plan["status"]["refused_by_bucket"].clone();
    assert_eq!(refused, warning);
    assert!(refused["message"].as_str().unwrap().contains("would be refused"), "{refused}");
    assert!(refused["help"].as_str().unwrap().contains("\"s3:x-amz-server-side-encryption\""), "{refused}");
    let summary = site.call("GET", "/api/v1/summary").send().await.must_be(200).json();
    assert_eq!(summary["plans"]["refused_by_bucket"], 1);
    let changed = site.replace(&plan, &settings("AES256")).await;
    assert_eq!(changed["plan"]["status"]["refused_by_bucket"], Value::Null);
}

#[tokio::test]
async fn a_token_sees_only_its_plans() {
    let site = Site::new().await;
    let (ours, theirs) = (site.plan(&site.settings("ours")).await, site.plan(&site.settings("theirs")).await);
    let token = site.api.token(Role::Admin, false, json!({ "plans": [ours["id"]] })).await;
    let call = |method: &str, path: &str| site.api.call(method.parse().unwrap(), path).bearer(&token);
    let list = call("GET", "/api/v1/plans").send().await.must_be(200).json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(list["items"][0]["id"], ours["id"]);
    call("GET", &at(&ours)).send().await.must_be(200);
    for (method, path) in [("GET", at(&theirs)), ("POST", format!("{}/pause", at(&theirs)))] {
        call(method, &path).send().await.must_be(404);
    }
    call("POST", &format!("{}/run", at(&theirs))).send().await.must_be(404);
    call("POST", "/api/v1/plans").json(&site.settings("new")).send().await.must_be(403);
    let kept = site.backup(&theirs).await;
    call("GET", &format!("/api/v1/backups/{kept}")).send().await.must_be(404);
    let run = json!({ "kind": "verify", "backup": kept });
    assert_eq!(field(call("POST", "/api/v1/runs").json(&run).send().await), "backup");
}

#[tokio::test]
async fn pages_stay_whole_while_plans_are_added() {
    let site = Site::new().await;
    for name in ["a", "b", "c", "d"] {
        site.plan(&site.settings(name)).await;
        site.api.clock.forward(TimeDelta::seconds(1));
    }
    let page = |query: String| site.call("GET", &format!("/api/v1/plans?limit=2{query}")).send();
    let names = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| item["settings"]["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = page(String::new()).await.must_be(200).json();
    site.plan(&site.settings("e")).await;
    let second = page(format!("&after={}", first["next"].as_str().unwrap())).await.must_be(200).json();
    assert_eq!((names(&first), names(&second)), (vec!["d".into(), "c".into()], vec!["b".into(), "a".into()]));
    assert!(second.get("next").is_none());
}

#[tokio::test]
async fn the_simulator_foresees_what_a_plan_keeps() {
    let site = Site::new().await;
    let plan = site.plan(&site.with("a", &json!({ "retention": { "last": 3 } }))).await;
    let scenario = json!({ "until": site.now() + TimeDelta::days(30) });
    let simulate = |body: Value| site.call("POST", "/api/v1/simulations").json(&body).send();
    let kept = simulate(json!({ "plan": plan["id"], "scenario": scenario })).await.must_be(200).json();
    let more = site.with("a", &json!({ "retention": { "last": 10 } }));
    let other = json!({ "plan": plan["id"], "settings": more, "scenario": scenario });
    let other = simulate(other).await.must_be(200).json();
    assert!(other["count"].as_u64() > kept["count"].as_u64(), "{kept} {other}");
    assert_eq!(field(simulate(json!({ "scenario": scenario })).await), "settings");
    let past = json!({ "until": "2020-01-01T00:00:00Z" });
    assert_eq!(field(simulate(json!({ "plan": plan["id"], "scenario": past })).await), "scenario");
}
