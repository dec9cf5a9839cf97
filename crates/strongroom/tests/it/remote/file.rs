//! `apply`: a service becomes what a file says, and then there is nothing left to do.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};

use super::standin::{Reply, Request, Standin};
use crate::setup::{Done, program, run};

const FILE: &str = "\
deployments: [{name: shop, uri: {env: SHOP_URI}}]
locations: [{name: eu, location: 's3://my-backups/shop', credentials: {kind: key, id: AKIA, secret: {env: KEY}}}]
plans:
  - {name: nightly, deployment: shop, location: eu, schedule: {kind: cron, pattern: '0 2 * * *', zone: UTC}, retention: {last: 3}}
";

/// Keeps what it is sent, as the API would show it.
fn keeper() -> impl Fn(&Request) -> Reply + Send + Sync {
    let kept = Mutex::new(BTreeMap::<String, Vec<Value>>::new());
    move |request| {
        let path = request.path.split('?').next().unwrap_or_default().to_owned();
        let mut kept = kept.lock().unwrap();
        match request.method.as_str() {
            "GET" => Reply::Json(200, json!({"items": kept.get(&path).cloned().unwrap_or_default()})),
            "POST" => {
                let made = shown(&path, request.body.clone());
                kept.entry(path).or_default().push(made.clone());
                Reply::Json(201, made)
            }
            _ => Reply::Json(500, Value::Null),
        }
    }
}

fn shown(path: &str, mut body: Value) -> Value {
    let end = "01kb0s4r1q8f6v2m9c3t7x5zya";
    let meta =
        json!({"created_at": "2026-11-25T02:00:00Z", "updated_at": "2026-11-25T02:00:00Z", "version": 1});
    let mut made = match path {
        "/api/v1/plans" => json!({
            "id": format!("plan_{end}"), "settings": body, "folder": "nightly",
            "status": {"failed_since_good": 0, "waiting_changes": []},
        }),
        "/api/v1/locations" => {
            let members = body.as_object_mut().unwrap();
            members["credentials"].as_object_mut().unwrap().remove("secret").unwrap();
            members.insert("id".into(), format!("loc_{end}").into());
            body
        }
        _ => {
            let members = body.as_object_mut().unwrap();
            members.remove("uri").unwrap();
            members.insert("address".into(), "mongodb://h".into());
            members.insert("id".into(), format!("dep_{end}").into());
            body
        }
    };
    made.as_object_mut().unwrap().extend(meta.as_object().unwrap().clone());
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_applied_twice_shows_no_difference_the_second_time() {
    let standin = Standin::start(keeper()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backups.yaml");
    std::fs::write(&file, FILE).unwrap();
    let ask = async |more: &[&str], secrets: bool| -> Done {
        let mut command = program(&[&["apply", file.to_str().unwrap()], more].concat());
        command.env("STRONGROOM_SERVER", standin.address()).env("STRONGROOM_TOKEN", "t");
        if secrets {
            command.env("SHOP_URI", "mongodb://u:CANARY@h").env("KEY", "CANARY");
        }
        let done = run(command).await;
        assert!(!format!("{}{}", done.text(), done.stderr).contains("CANARY"), "{done:?}");
        done
    };
    let changes = || standin.seen().iter().filter(|request| request.method != "GET").count();
    ask(&["--yes"], false).await.failed("SR-USAGE", 2, &["`SHOP_URI`", "is not set"]);
    ask(&[], true).await.failed("SR-USAGE", 2, &["nobody can confirm", "Pass --yes"]);
    let shown = ask(&["--dry-run"], true).await.ok().text();
    assert!(
        shown.contains("deployment `shop` is made") && shown.contains("nothing has been changed"),
        "{shown}"
    );
    assert_eq!(changes(), 0, "nothing is changed before somebody agrees and every secret is there");

    let first = ask(&["--yes"], true).await.ok().text();
    assert!(first.contains("3 steps done"), "{first}");
    let seen = standin.seen();
    let sent = |path: &str| seen.iter().find(|r| r.method == "POST" && r.path == path).unwrap().body.clone();
    assert_eq!(sent("/api/v1/deployments")["uri"], "mongodb://u:CANARY@h");
    assert_eq!(sent("/api/v1/plans")["deployment"], "dep_01kb0s4r1q8f6v2m9c3t7x5zya");
    let second = ask(&["--yes"], true).await.ok().text();
    assert_eq!(second, "no difference: everything is as the file says\n");
    assert_eq!(changes(), 3);
}
