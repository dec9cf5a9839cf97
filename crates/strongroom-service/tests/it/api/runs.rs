//! Runs, as clients ask for them.

use serde_json::{Value, json};
use strongroom_service::model::Role;

use super::bed::Answer;
use super::site::{Site, at};

fn field(answer: Answer) -> String {
    answer.must_be(400).json()["errors"][0]["field"].as_str().unwrap().to_owned()
}

fn run(run: &Value) -> String {
    format!("/api/v1/runs/{}", run["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_plan_has_one_run_that_is_not_over() {
    let site = Site::new().await;
    let plan = site.plan(&site.settings("a")).await;
    let path = format!("{}/run", at(&plan));
    let first = site.call("POST", &path).header("idempotency-key", "k").send().await.must_be(201);
    let asked = first.json();
    assert_eq!(first.header("location"), run(&asked));
    assert_eq!((&asked["state"], &asked["trigger"]), (&json!("queued"), &json!("request")));
    let again = site.call("POST", &path).header("idempotency-key", "k").send().await.must_be(201);
    assert_eq!(again.json()["id"], asked["id"]);
    let other = json!({ "kind": "backup", "plan": plan["id"] });
    let refused = site.call("POST", "/api/v1/runs").json(&other).send().await.must_be(409).json();
    assert!(refused["detail"].as_str().unwrap().contains(asked["id"].as_str().unwrap()), "{refused}");
    site.call("DELETE", &at(&plan)).header("if-match", "*").send().await.must_be(409);

    let cancelled = site.call("POST", &format!("{}/cancel", run(&asked))).send().await.must_be(200).json();
    assert_eq!(cancelled["state"], "cancelled");
    site.call("POST", &format!("{}/cancel", run(&asked))).send().await.must_be(409);
    site.call("POST", "/api/v1/runs").json(&other).send().await.must_be(201);
    let listed = site.call("GET", "/api/v1/runs?kind=backup&state=cancelled").send().await.json();
    assert_eq!(listed["items"][0]["id"], asked["id"]);
    let summary = site.call("GET", "/api/v1/summary").send().await.must_be(200).json();
    assert_eq!((&summary["queued"], &summary["days"][0]["cancelled"]), (&json!(1), &json!(1)), "{summary}");
}

#[tokio::test]
async fn what_overwrites_wants_the_name_of_the_deployment() {
    let site = Site::new().await;
    let plan = site.plan(&site.settings("a")).await;
    let backup = site.backup(&plan).await;
    let restorer = site.token(Role::Operator, true).await;
    let restore = |more: Value| {
        let mut body = json!({
            "kind": "restore", "backup": backup, "target": site.deployment["id"], "preview": "a".repeat(64),
        });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let ask = |body: &Value| site.api.post("/api/v1/runs").bearer(&restorer).json(body).send();
    let drop = json!({ "settings": { "existing": "drop" } });
    assert_eq!(field(ask(&restore(drop.clone())).await), "confirm_target");
    let wrong = json!({ "settings": { "existing": "drop" }, "confirm_target": "shop2" });
    assert_eq!(field(ask(&restore(wrong)).await), "confirm_target");
    let short = ask(&restore(json!({ "preview": "abc" }))).await.must_be(400).json();
    assert!(short["detail"].as_str().unwrap().contains("a text of 64 to 64 characters"), "{short}");
    let mut without = restore(json!({}));
    without.as_object_mut().unwrap().remove("preview");
    assert_eq!(field(ask(&without).await), "preview");
    let typed = json!({ "settings": { "existing": "drop" }, "confirm_target": "shop" });
    let asked = ask(&restore(typed.clone())).await.must_be(201).json();
    assert_eq!((&asked["deployment"], &asked["plan"]), (&site.deployment["id"], &Value::Null));

    // No role includes the right to restore.
    let refused = site.call("POST", "/api/v1/runs").json(&restore(typed)).send().await.must_be(403);
    assert_eq!(refused.json()["code"], "SR-FORBIDDEN");
    let question = json!({ "backup": backup, "target": site.deployment["id"] });
    site.call("POST", "/api/v1/restores/preview").json(&question).send().await.must_be(403);
    let question = json!({ "backup": backup, "target": "dep_01kb0s4r1q8f6v2m9c3t7x5zyb" });
    let preview = site.api.post("/api/v1/restores/preview").bearer(&restorer).json(&question);
    assert_eq!(field(preview.send().await), "target");
}

#[tokio::test]
async fn other_kinds_of_runs_are_asked_for_by_what_they_are_about() {
    let site = Site::new().await;
    let plan = site.plan(&site.settings("a")).await;
    let backup = site.backup(&plan).await;
    let operator = site.token(Role::Operator, false).await;
    let ask = |body: Value| site.api.post("/api/v1/runs").bearer(&operator).json(&body).send();
    let verify = ask(json!({ "kind": "verify", "backup": backup })).await.must_be(201).json();
    assert_eq!(verify["location"], site.location["id"]);
    let found = site.call("GET", &format!("/api/v1/runs?backup={backup}")).send().await.json();
    assert_eq!(found["items"][0]["id"], verify["id"]);
    ask(json!({ "kind": "prove", "location": site.location["id"] })).await.must_be(201);
    ask(json!({ "kind": "sweep", "location": site.location["id"] })).await.must_be(403);
    let sweep = json!({ "kind": "sweep", "location": site.location["id"] });
    site.call("POST", "/api/v1/runs").json(&sweep).send().await.must_be(201);
    let nowhere = json!({ "kind": "prove", "location": "loc_01kb0s4r1q8f6v2m9c3t7x5zyb" });
    assert_eq!(field(ask(nowhere).await), "location");
    assert_eq!(field(ask(json!({ "kind": "verify", "backup": backup, "deep": true })).await), "deep");
    ask(json!({ "kind": "dance" })).await.must_be(400);
    let log = site.call("GET", &format!("{}/log", run(&verify))).send().await.must_be(200).json();
    assert_eq!(log["items"], json!([]));
}
