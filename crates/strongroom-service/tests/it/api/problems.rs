//! What clients are told when a request is wrong.

use std::fmt::Write;

use http::Method;
use serde_json::{Value, json};

use super::bed::{Answer, Api, Call};

/// What a person sees of a problem; its request id changes.
fn shown(answer: &Answer) -> String {
    let mut problem = answer.json();
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(problem["request_id"], answer.header("x-request-id"));
    problem.as_object_mut().unwrap().remove("request_id");
    format!("{problem:#}")
}

#[tokio::test]
async fn every_kind_of_bad_request_is_answered_with_a_problem_that_names_what_is_wrong() {
    let api = Api::new().await;
    let admin = api.admin().await;
    let user =
        |body: &str| api.post("/api/v1/users").bearer(&admin).body("application/json", body.to_owned());
    let location = |body: Value| api.post("/api/v1/locations").bearer(&admin).json(&body);
    let deployment =
        |uri: &str| api.post("/api/v1/deployments").bearer(&admin).json(&json!({ "name": "a", "uri": uri }));
    let settings = || api.call(Method::PUT, "/api/v1/settings").bearer(&admin).json(&json!({}));
    let list = |query: &str| api.get(&format!("/api/v1/deployments?{query}")).bearer(&admin);
    let calls: Vec<(&str, Call)> = vec![
        ("no JSON", user("{")),
        ("another type", api.post("/api/v1/users").bearer(&admin).body("text/plain", "{}")),
        ("a missing field", user(r#"{"login":"a"}"#)),
        ("an unknown field", user(r#"{"login":"a","role":"viewer","admin":true}"#)),
        ("a field twice", user(r#"{"login":"a","login":"b","role":"viewer"}"#)),
        ("a wrong type", user(r#"{"login":7,"role":"viewer"}"#)),
        ("an unknown choice", user(r#"{"login":"a","role":"root"}"#)),
        ("U+0000", user(r#"{"login":"a\u0000","role":"viewer"}"#)),
        ("a control character", user(r#"{"login":"a\n","role":"viewer"}"#)),
        ("a short password", user(r#"{"login":"a","role":"viewer","password":"hush"}"#)),
        ("a large body", user(&format!("\"{}\"", "x".repeat(300 * 1024)))),
        ("a number out of bounds", settings().header("if-match", "*").json(&json!({ "runs_at_once": 257 }))),
        ("no If-Match", settings()),
        ("If-Match that is no ETag", settings().header("if-match", "3")),
        ("an old If-Match", settings().header("if-match", "\"7\"")),
        ("a long idempotency key", user("{}").header("idempotency-key", &"k".repeat(256))),
        ("a wrong id", api.get("/api/v1/users/usr_1").bearer(&admin)),
        ("an id of nothing", api.get("/api/v1/users/usr_01kb0s4r1q8f6v2m9c3t7x5zya").bearer(&admin)),
        ("a page of none", list("limit=0")),
        ("an unknown parameter", list("sort=name")),
        ("a parameter twice", list("limit=1&limit=2")),
        ("U+0000 in a parameter", list("name=a%00")),
        ("no such path", api.get("/api/v1/nothing").bearer(&admin)),
        ("no such method", api.call(Method::PUT, "/api/v1/users").bearer(&admin)),
        ("nobody signed in", api.get("/api/v1/users")),
        ("a token of another service", api.get("/api/v1/users").bearer("ghp_123")),
        ("a URI of something else", deployment("postgres://u:hush@db/")),
        ("a password that is not escaped", deployment("mongodb://backup:12345/hush@db.example/")),
        (
            "an unknown field in a tagged enum",
            location(
                json!({ "name": "a", "location": "s3://bucket", "credentials": { "kind": "ambient", "x": 1 } }),
            ),
        ),
        (
            "an endpoint of the cloud's metadata",
            location(
                json!({ "name": "a", "location": "s3://bucket", "endpoint": "http://169.254.169.254/" }),
            ),
        ),
        ("a folder that is not allowed", location(json!({ "name": "a", "location": "file:///etc" }))),
        (
            "a key without its secret",
            location(
                json!({ "name": "a", "location": "s3://bucket", "credentials": { "kind": "key", "id": "AKIA" } }),
            ),
        ),
        (
            "an identity that does not exist",
            location(json!({ "name": "a", "location": "s3://bucket", "pruner": { "kind": "ambient" } })),
        ),
    ];
    let mut all = String::new();
    for (what, call) in calls {
        let answer = call.send().await;
        assert!(answer.status.is_client_error(), "{what}: {answer:?}");
        writeln!(all, "## {what}\n{}\n", shown(&answer)).unwrap();
    }
    assert!(!all.contains("hush"), "{all}");
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn every_answer_has_strict_headers_and_a_path_that_says_which_methods_it_takes() {
    let api = Api::new().await;
    for answer in [api.get("/api/v1/openapi.json").send().await, api.get("/nowhere").send().await] {
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(answer.headers.get("strict-transport-security").is_none(), "this is plain HTTP");
    }
    let answer = api.call(Method::DELETE, "/api/v1/setup").send().await.must_be(405);
    let allowed = answer.header("allow");
    assert!(allowed.contains("GET") && allowed.contains("POST"), "{allowed}");
}
