//! Requests at the same time, and requests that are repeated.

use futures::future::join_all;
use http::Method;
use serde_json::json;

use super::bed::Api;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_create_with_the_same_key_is_done_once_and_answered_alike() {
    let api = Api::new().await;
    let admin = api.admin().await;
    let body = json!({ "name": "shop", "uri": "mongodb://db.example/" });
    let create =
        || api.post("/api/v1/deployments").bearer(&admin).header("idempotency-key", "k1").json(&body);
    let answers = join_all((0..16).map(|_| create().send())).await;
    let ids: Vec<_> = answers.into_iter().map(|answer| answer.must_be(201).json()["id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let all = api.get("/api/v1/deployments").bearer(&admin).send().await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 1);

    let other = json!({ "name": "shop 2", "uri": "mongodb://db.example/" });
    let reused = api.post("/api/v1/deployments").bearer(&admin).header("idempotency-key", "k1").json(&other);
    assert_eq!(reused.send().await.must_be(422).json()["code"], "SR-KEY-REUSED");

    let somebody = api.admin().await;
    let taken = api.post("/api/v1/deployments").bearer(&somebody).header("idempotency-key", "k1").json(&body);
    assert_eq!(taken.send().await.must_be(409).json()["errors"][0]["field"], "name", "keys are one's own");
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let api = Api::new().await;
    let admin = api.admin().await;
    let body = json!({ "name": "shop", "uri": "mongodb://db.example/" });
    let create =
        || api.post("/api/v1/deployments").bearer(&admin).header("idempotency-key", "k1").json(&body);
    create().send().await.must_be(201);
    api.clock.forward(chrono::TimeDelta::hours(25));
    assert_eq!(create().send().await.must_be(409).json()["code"], "SR-TAKEN");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_changes_to_the_same_version_one_wins_and_the_others_are_told() {
    let api = Api::new().await;
    let admin = api.admin().await;
    let made = api.deployment(&admin, "shop").await;
    let path = format!("/api/v1/deployments/{}", made["id"].as_str().unwrap());
    let etag = api.get(&path).bearer(&admin).send().await.header("etag").to_owned();
    assert_eq!(etag, "\"1\"");
    let change = |at_once: u64| {
        let call = api.call(Method::PATCH, &path).bearer(&admin).header("if-match", &etag);
        call.json(&json!({ "runs_at_once": at_once })).send()
    };
    let answers = join_all((1..=8).map(change)).await;
    let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert_eq!(won[0].header("etag"), "\"2\"");
    let lost = answers.iter().filter(|answer| answer.status == 412);
    assert!(lost.clone().all(|answer| answer.json()["code"] == "SR-CHANGED"));
    assert_eq!(lost.count(), 7);
    let now = api.get(&path).bearer(&admin).send().await.json();
    assert_eq!(now["runs_at_once"], won[0].json()["runs_at_once"]);
}

#[tokio::test]
async fn settings_are_replaced_by_version_and_a_star_takes_any() {
    let api = Api::new().await;
    let admin = api.admin().await;
    let put = |tag: &str| api.call(Method::PUT, "/api/v1/settings").bearer(&admin).header("if-match", tag);
    let first = api.get("/api/v1/settings").bearer(&admin).send().await;
    let etag = first.header("etag").to_owned();
    let second = put(&etag).json(&json!({ "paused": true })).send().await.must_be(200);
    put(&etag).json(&json!({ "paused": false })).send().await.must_be(412);
    let read = api.get("/api/v1/settings").bearer(&admin).send().await;
    assert_eq!(read.header("etag"), second.header("etag"));
    assert_eq!(read.json()["paused"], true);
    put("*").json(&json!({ "paused": false })).send().await.must_be(200);
}
