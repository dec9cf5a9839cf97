//! The description of the API against the service that it describes: made-up requests, right and wrong ones, must get the
//! answers that it promises.

use reqwest::header::{COOKIE, SET_COOKIE};
use serde_json::{Value, json};
use testbed::tools;

use crate::service::{Serving, client};

const PASSWORD: &str = "correct horse battery";

/// What is looked at: no failure of the server, no answer that the description does not name, no wrong value taken.
///
/// Not that every value is taken that the description allows: a pattern of cron or a name that is taken is refused for
/// what no schema says.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
response_schema_conformance,negative_data_rejection,missing_required_header,unsupported_method,ignored_auth,\
use_after_free";

/// The first admin, made by the link, and a token of theirs. What requests do with the users stays without effect on it.
async fn admin_token(serving: &Serving) -> String {
    let http = client().build().unwrap();
    let url = |path: &str| format!("http://{}/api/v1/{path}", serving.address);
    let first = json!({ "link": serving.link().await, "login": "anna", "password": PASSWORD });
    let made = http.post(url("setup")).json(&first).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let session = made.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let token = json!({ "name": "probe", "role": "admin", "restorer": true });
    let made = http.post(url("tokens")).json(&token).header(COOKIE, session);
    let made = made.header("sec-fetch-site", "same-origin").send().await.unwrap();
    assert_eq!(made.status(), 201);
    made.json::<Value>().await.unwrap()["bearer"].as_str().unwrap().to_owned()
}

/// Something to ask for: what is made up knows no connection string.
async fn furnish(serving: &Serving, token: &str) {
    let http = client().build().unwrap();
    let post = async |path: &str, body: Value| {
        let url = format!("http://{}/api/v1/{path}", serving.address);
        let made = http.post(url).bearer_auth(token).json(&body).send().await.unwrap();
        let status = made.status();
        let made: Value = made.json().await.unwrap();
        assert_eq!(status, 201, "{made}");
        made["id"].clone()
    };
    let uri = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300";
    let deployment = post("deployments", json!({ "name": "shop", "uri": uri })).await;
    let location = json!({ "name": "here", "location": "s3://backups/shop", "region": "eu-central-1",
        "endpoint": "http://127.0.0.1:1" });
    let location = post("locations", location).await;
    let schedule = json!({ "kind": "cron", "pattern": "0 2 * * *", "zone": "Europe/Berlin" });
    let plan =
        json!({ "name": "nightly", "deployment": deployment, "location": location, "schedule": schedule });
    post("plans", plan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_answers_made_up_requests_as_its_description_says() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(&folder.path().join("data"), &[], &[]).await;
    let token = admin_token(&serving).await;
    furnish(&serving, &token).await;

    let mut probe = tools::schemathesis().unwrap();
    probe.current_dir(folder.path()).arg("run");
    probe.arg(format!("http://{}/api/v1/openapi.json", serving.address));
    probe.args([
        "--phases",
        "examples,coverage,fuzzing,stateful",
        "--max-examples",
        "10",
        "--checks",
        CHECKS,
    ]);
    // A stream of events does not end.
    probe.args(["--exclude-path", "/api/v1/events", "--generation-deterministic", "--request-timeout", "30"]);
    probe.args(["--no-color", "--suppress-health-check", "all"]);
    probe.args(["-H", &format!("Authorization: Bearer {token}")]);
    let probed = tokio::task::spawn_blocking(move || probe.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&probed.stdout);
    assert!(probed.status.success(), "{said}{}", String::from_utf8_lossy(&probed.stderr));

    serving.signal("-TERM");
    let (status, log) = serving.ended().await;
    assert_eq!(status, Some(0), "{log}");
    assert!(!log.contains("panicked") && !log.contains(&token), "{log}");
}
