//! Servers that answer as no service would, or refuse.

use std::process::Command;

use serde_json::{Value, json};

use super::standin::{Reply, Request, Standin};
use crate::setup::{Done, program, run};

const ID: &str = "dep_01kb0s4r1q8f6v2m9c3t7x5zya";

fn asking(server: &str, arguments: &[&str]) -> Command {
    let mut command = program(arguments);
    command.env("STRONGROOM_SERVER", server).env("STRONGROOM_TOKEN", "CANARY");
    command
}

async fn ask(standin: &Standin, arguments: &[&str]) -> Done {
    let done = run(asking(standin.address(), arguments)).await;
    assert!(!done.stderr.contains("CANARY") && !done.text().contains("CANARY"), "{done:?}");
    done
}

fn problem(status: u16, code: &str, detail: &str) -> Reply {
    let problem = json!({"type": "about:blank", "title": "x", "status": status, "detail": detail, "code": code, "request_id": "0"});
    Reply::Json(status, problem)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_sent_to_its_server_and_never_to_where_a_redirect_leads() {
    let other = Standin::start(|_| Reply::Json(200, json!({"items": []}))).await;
    let elsewhere = other.address().to_owned();
    let standin =
        Standin::start(move |_| Reply::With(307, vec![("location", elsewhere.clone())], Value::Null)).await;
    let done = ask(&standin, &["deployment", "list"]).await;
    done.failed("SR-SERVICE-ANSWER", 12, &["leads elsewhere"]);
    assert!(standin.seen()[0].headers.contains("authorization: bearer canary"));
    assert!(other.seen().is_empty(), "{:?}", other.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_measure_are_given_up() {
    let huge = Standin::start(|_| Reply::Huge(64 << 20)).await;
    ask(&huge, &["summary"]).await.failed("SR-SERVICE-ANSWER", 12, &["larger than 16 MiB"]);
    let endless = Standin::start(|_| Reply::Endless).await;
    // A request that may be repeated is sent three times.
    let done =
        ask(&endless, &["token", "create", "--name", "a", "--role", "viewer", "--timeout", "1s"]).await;
    done.failed("SR-SERVICE-HOST", 12, &["did not answer within 1 s", "--timeout"]);
    let circle = Standin::start(|_| Reply::Json(200, json!({"items": [{}], "next": "again"}))).await;
    ask(&circle, &["user", "list"]).await.failed("SR-SERVICE-ANSWER", 12, &["go round in a circle"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_none_are_told_apart() {
    let page =
        Standin::start(|_| Reply::Raw(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n<html>".to_vec())).await;
    ask(&page, &["summary"]).await.failed("SR-SERVICE-ANSWER", 12, &["not JSON"]);
    let gateway =
        Standin::start(|_| Reply::Raw(b"HTTP/1.1 502 Bad\r\nconnection: close\r\n\r\n<html>".to_vec())).await;
    ask(&gateway, &["summary"]).await.failed("SR-SERVICE-HOST", 12, &["502"]);
    assert_eq!(gateway.seen().len(), 3, "what may pass is tried again");
    let garbage = Standin::start(|_| Reply::Raw(b"\x00\x01garbage".to_vec())).await;
    ask(&garbage, &["summary"]).await.failed("SR-SERVICE-HOST", 12, &["cannot be reached"]);
    let nobody = run(asking("http://127.0.0.1:1", &["--json", "summary"])).await;
    nobody.failed("SR-SERVICE-HOST", 12, &["http://127.0.0.1:1", "refused"]);
    assert_eq!(nobody.json()["error"]["class"], "passing");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_from_a_server_steer_no_terminal() {
    let name = "shop\u{1b}[2J\u{202e}\nprod";
    let standin = Standin::start(move |request: &Request| match request.path.as_str() {
        path if path.starts_with("/api/v1/deployments?") => {
            Reply::Json(200, json!({"items": [{"id": ID, "name": name, "address": "mongodb://a"}]}))
        }
        path if path.ends_with(ID) => {
            Reply::Json(200, json!({"id": ID, "name": name, "labels": {"\u{1b}": "\u{9b}"}}))
        }
        _ => problem(409, "SR-\u{1b}CONFLICT", "it \u{1b}[2J is\u{202e} used"),
    })
    .await;
    for arguments in [&["deployment", "list"][..], &["deployment", "show", ID], &["summary"]] {
        let done = ask(&standin, arguments).await;
        let printed = format!("{}{}", done.text(), done.stderr);
        assert!(!printed.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{printed:?}");
        assert!(printed.contains("\\u{1b}"), "{printed:?}");
    }
    let listed = ask(&standin, &["deployment", "list"]).await;
    assert_eq!(listed.text().lines().count(), 2, "{}", listed.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_and_a_stale_version_say_what_to_do() {
    let wrong = Standin::start(|_| problem(401, "SR-SIGN-IN", "the token is not valid")).await;
    ask(&wrong, &["plan", "list"]).await.failed("SR-SIGN-IN", 10, &["strongroom login"]);
    let stale = Standin::start(|request: &Request| match request.method.as_str() {
        "GET" => Reply::With(200, vec![("etag", "\"3\"".into())], json!({"id": ID, "name": "shop"})),
        _ => problem(412, "SR-CHANGED", "the deployment was changed since it was read"),
    })
    .await;
    let done = ask(&stale, &["deployment", "update", ID, "--runs-at-once", "2"]).await;
    done.failed("SR-CHANGED", 11, &["changed since it was read", "run this command again"]);
    let sent = stale.seen().pop().unwrap();
    assert_eq!((sent.method.as_str(), &sent.body), ("PATCH", &json!({"runs_at_once": 2})));
    assert!(sent.headers.contains("if-match: \"3\""), "{}", sent.headers);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_carries_one_key_however_often_it_is_sent() {
    let standin = Standin::start(|request: &Request| match request.method.as_str() {
        "POST" => problem(503, "SR-UNAVAILABLE", "the database cannot be reached"),
        _ => Reply::Json(200, json!({"items": []})),
    })
    .await;
    let mut command = asking(standin.address(), &["deployment", "create", "--name", "shop"]);
    command.env("STRONGROOM_URI", "mongodb://u:hush@h");
    let done = run(command).await;
    done.failed("SR-UNAVAILABLE", 12, &["cannot be reached"]);
    assert!(!done.stderr.contains("hush"));
    let keys: Vec<String> = standin
        .seen()
        .iter()
        .map(|request| {
            request.headers.lines().find(|line| line.starts_with("idempotency-key")).unwrap().to_owned()
        })
        .collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_goes_over_http_to_this_machine_only() {
    let elsewhere = run(asking("http://192.0.2.1:8270", &["plan", "list"])).await;
    elsewhere.failed("SR-USAGE", 2, &["is http", "--insecure-http"]);
    let nowhere = run(program(&["plan", "list"])).await;
    nowhere.failed("SR-USAGE", 2, &["no service was named", "strongroom login URL"]);
}
