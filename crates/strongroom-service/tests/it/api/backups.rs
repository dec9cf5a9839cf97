//! The catalogue, as clients meet it.

use chrono::TimeDelta;
use serde_json::json;
use strongroom_service::model::{BackupKey, Role};

use super::site::Site;

fn at(backup: &BackupKey) -> String {
    format!("/api/v1/backups/{backup}")
}

#[tokio::test]
async fn a_backup_is_found_by_what_it_is() {
    let site = Site::new().await;
    let plan = site.plan(&site.settings("a")).await;
    let old = site.backup(&plan).await;
    let between = site.now();
    let new = site.backup(&plan).await;
    let ids = |query: String| {
        let call = site.call("GET", &format!("/api/v1/backups?{query}"));
        async {
            let found = call.send().await.must_be(200).json();
            let items = found["items"].as_array().unwrap().clone();
            items.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    let plan_id = plan["id"].as_str().unwrap();
    assert_eq!(ids(format!("plan={plan_id}")).await, [new.to_string(), old.to_string()]);
    let time = between.format("%Y-%m-%dT%H:%M:%SZ");
    assert_eq!(ids(format!("from={time}")).await, [new.to_string()]);
    assert_eq!(ids(format!("to={time}")).await, [old.to_string()]);
    assert!(ids("held=true".into()).await.is_empty());
    assert!(ids("state=expired".into()).await.is_empty());
    site.call("GET", "/api/v1/backups?state=lost").send().await.must_be(400);
}

#[tokio::test]
async fn a_backup_that_expired_can_be_kept_again() {
    let site = Site::new().await;
    let plan = site.plan(&site.with("a", &json!({ "retention": { "last": 1 } }))).await;
    let (old, newest) = (site.backup(&plan).await, site.backup(&plan).await);
    let post = |backup: &BackupKey, what: &str| site.call("POST", &format!("{}/{what}", at(backup))).send();
    let refused = post(&newest, "expire").await.must_be(409).json();
    assert!(refused["detail"].as_str().unwrap().contains("newest good backup"), "{refused}");
    post(&old, "keep").await.must_be(409);
    let operator = site.token(Role::Operator, false).await;
    site.api.post(&format!("{}/expire", at(&old))).bearer(&operator).send().await.must_be(403);
    let expired = post(&old, "expire").await.must_be(200).json();
    assert_eq!(expired["state"], "expired");
    let sweep_after: chrono::DateTime<chrono::Utc> =
        expired["sweep_after"].as_str().unwrap().parse().unwrap();
    assert_eq!(sweep_after, site.now() + TimeDelta::hours(168));
    let kept = post(&old, "keep").await.must_be(200).json();
    assert_eq!((&kept["state"], &kept["sweep_after"]), (&json!("kept"), &serde_json::Value::Null));
    assert_eq!(kept["holds"][0]["reason"], "kept again after it had expired");
    site.look_after().await;
    let still = site.call("GET", &at(&old)).send().await.json();
    assert_eq!(still["state"], "kept", "the rules would let it expire again");
}

#[tokio::test]
async fn a_hold_is_placed_at_once_and_lifted_after_a_delay() {
    let site = Site::new().await;
    let plan = site.plan(&site.settings("a")).await;
    let (old, _newest) = (site.backup(&plan).await, site.backup(&plan).await);
    let hold = format!("{}/hold", at(&old));
    let operator = site.token(Role::Operator, false).await;
    let reason = json!({ "reason": "audit of 2023" });
    site.call("DELETE", &hold).send().await.must_be(409);
    site.call("POST", &format!("{}/expire", at(&old))).send().await.must_be(200);
    let held = site.api.post(&hold).bearer(&operator).json(&reason).send().await.must_be(200).json();
    assert_eq!(held["holds"][0]["reason"], "audit of 2023");
    assert_eq!(held["state"], "kept", "what is held is not deleted when its grace is over");
    let refused = site.call("POST", &format!("{}/expire", at(&old))).send().await.must_be(409).json();
    assert!(refused["detail"].as_str().unwrap().contains("audit of 2023"), "{refused}");
    site.api.call("DELETE".parse().unwrap(), &hold).bearer(&operator).send().await.must_be(403);
    let change = site.call("DELETE", &hold).send().await.must_be(202).json();
    assert_eq!(change["loosens"], json!(["the backup is no longer held (audit of 2023)"]));
    let again = site.call("DELETE", &hold).send().await.must_be(202).json();
    assert_eq!(again["id"], change["id"]);
    let still = site.call("GET", &at(&old)).send().await.json();
    assert_eq!(still["holds"].as_array().unwrap().len(), 1);
    site.api.clock.forward(TimeDelta::hours(24));
    site.look_after().await;
    let free = site.call("GET", &at(&old)).send().await.json();
    assert_eq!(free["holds"], json!([]));
}
