//! What must not be shown: looked for in answers, the log, the audit log and the database.

use std::io::Write;
use std::sync::{Arc, Mutex};

use http::Method;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use super::bed::Api;

const CANARIES: [&str; 4] = ["uri-canary", "key-canary-secret", "role-canary-secret", "password-canary"];

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

fn refuse_canaries(what: &str, text: &str) {
    for canary in CANARIES {
        assert!(!text.contains(canary), "{canary} in {what}: {text}");
    }
}

#[tokio::test]
async fn no_secret_is_in_an_answer_the_log_the_audit_log_or_the_database() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE);
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let api = Api::new().await;
    let admin = api.admin().await;
    let post = |path: &str, body| api.post(path).bearer(&admin).json(body).header("idempotency-key", path);
    let uri = "mongodb://backup:uri-canary@127.0.0.1:1/?connectTimeoutMS=100&serverSelectionTimeoutMS=100";
    let deployment = json!({ "name": "shop", "uri": uri });
    let location = json!({
        "name": "bucket", "location": "s3://bucket/p", "bucket": { "access": "split" },
        "credentials": { "kind": "key", "id": "AKIA", "secret": "key-canary-secret" },
        "pruner": {
            "kind": "role", "arn": "arn:aws:iam::1:role/r", "key": { "id": "AKIB", "secret": "role-canary-secret" },
        },
    });
    let user = json!({ "login": "ada", "role": "viewer", "password": "password-canary" });
    let mut answers = Vec::new();
    for (path, body) in
        [("/api/v1/deployments", &deployment), ("/api/v1/locations", &location), ("/api/v1/users", &user)]
    {
        let made = post(path, body).send().await.must_be(201);
        answers.push(post(path, body).send().await.must_be(201).text);
        let one = format!("{path}/{}", made.json()["id"].as_str().unwrap());
        answers.extend([made.text, api.get(path).bearer(&admin).send().await.text]);
        answers.push(api.get(&one).bearer(&admin).send().await.must_be(200).text);
        if path == "/api/v1/deployments" {
            answers.push(api.post(&format!("{one}/test")).bearer(&admin).send().await.must_be(200).text);
            let change = json!({ "uri": "mongodb://backup:uri-canary@db.example/" });
            let patch = api.call(Method::PATCH, &one).bearer(&admin).header("if-match", "*").json(&change);
            answers.push(patch.send().await.must_be(200).text);
        }
    }
    let sign_in = json!({ "login": "ada", "password": "password-canary" });
    answers.push(api.post("/api/v1/session").json(&sign_in).send().await.must_be(201).text);
    answers.push(api.post("/api/v1/session").json(&json!({ "login": "password-canary" })).send().await.text);
    let wrong = json!({ "name": 1, "uri": "mongodb://backup:uri-canary@db/" });
    answers.push(post("/api/v1/deployments", &wrong).send().await.text);
    let audit = api.get("/api/v1/audit?limit=200").bearer(&admin).send().await.must_be(200).text;
    assert!(audit.contains("deployment.create") && audit.contains("session.create"), "{audit}");
    refuse_canaries("the audit log", &audit);
    for answer in &answers {
        refuse_canaries("an answer", answer);
    }
    refuse_canaries("the log", &String::from_utf8_lossy(&log.0.lock().unwrap()));
    for file in std::fs::read_dir(api.folder.path()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            refuse_canaries("the database", &String::from_utf8_lossy(&std::fs::read(path).unwrap()));
        }
    }
}

#[tokio::test]
async fn a_replaced_location_keeps_the_key_whose_secret_is_left_out_and_asks_for_that_of_another() {
    let api = Api::new().await;
    let admin = api.admin().await;
    let body = |key| json!({ "name": "bucket", "location": "s3://bucket/p", "credentials": key });
    let first = body(json!({ "kind": "key", "id": "AKIA", "secret": "one" }));
    let made = api.post("/api/v1/locations").bearer(&admin).json(&first).send().await.must_be(201).json();
    let path = format!("/api/v1/locations/{}", made["id"].as_str().unwrap());
    let put = |key| {
        let call = api.call(Method::PUT, &path).bearer(&admin).header("if-match", "*");
        call.json(&body(key)).send()
    };
    let kept = put(json!({ "kind": "key", "id": "AKIA" })).await.must_be(200).json();
    assert_eq!(kept["credentials"], json!({ "kind": "key", "id": "AKIA" }));
    let other = put(json!({ "kind": "key", "id": "AKIB" })).await.must_be(400).json();
    assert_eq!(other["errors"][0]["field"], "credentials.secret");
    put(json!({ "kind": "ambient" })).await.must_be(200);
    put(json!({ "kind": "key", "id": "AKIA" })).await.must_be(400);
}
