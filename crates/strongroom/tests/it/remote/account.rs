//! Signing in and out.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::standin::{Reply, Request, Standin};
use crate::service::Serving;
use crate::setup::{Done, done, program, run};

const TOKEN: &str = "tok_01kb0s4r1q8f6v2m9c3t7x5zya";

/// Runs a command with lines of stdin.
async fn with_stdin(mut command: Command, lines: impl Into<String>) -> Done {
    let lines = lines.into();
    let work = move || {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    done(tokio::task::spawn_blocking(work).await.unwrap())
}

fn service(request: &Request) -> Reply {
    match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/api/v1/session") => {
            let cookie = "strongroom_session=srs_CANARY; HttpOnly; Path=/".to_owned();
            Reply::With(201, vec![("set-cookie", cookie)], json!({}))
        }
        ("GET", "/api/v1/session") => Reply::Json(200, json!({"role": "admin", "restorer": true})),
        ("POST", "/api/v1/tokens") => {
            Reply::Json(201, json!({"token": {"id": TOKEN}, "bearer": "srt_CANARY"}))
        }
        ("DELETE", _) => Reply::Json(204, Value::Null),
        _ => Reply::Json(200, json!({"items": []})),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn login_keeps_a_token_for_its_owner_alone_and_logout_revokes_it() {
    let standin = Standin::start(service).await;
    let home = tempfile::tempdir().unwrap();
    let of_home = |arguments: &[&str]| {
        let mut command = program(arguments);
        command.env("XDG_CONFIG_HOME", home.path());
        command
    };
    let login = of_home(&["login", standin.address(), "--login", "anna"]);
    let signed_in = with_stdin(login, "hush hush\n").await.ok();
    assert!(!format!("{signed_in:?}").contains("CANARY"));
    let file = home.path().join("strongroom/servers.json");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(kept.contains("srt_CANARY") && !kept.contains("hush") && !kept.contains("srs_"), "{kept}");
    let seen = standin.seen();
    assert_eq!(seen[0].body, json!({"login": "anna", "password": "hush hush"}));
    assert_eq!((&seen[2].body["role"], &seen[2].body["restorer"]), (&json!("admin"), &json!(true)));
    assert_eq!((seen[3].method.as_str(), seen[3].path.as_str()), ("DELETE", "/api/v1/session"));

    run(of_home(&["plan", "list"])).await.ok();
    assert!(standin.seen().iter().any(|request| request.headers.contains("bearer srt_canary")));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    run(of_home(&["plan", "list"])).await.failed("SR-USAGE", 2, &["no service was named"]);
    let named = run(of_home(&["plan", "list", "--server", standin.address()])).await;
    named.failed("SR-USAGE", 2, &["others may read it", "chmod 600"]);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();

    run(of_home(&["logout"])).await.ok();
    let last = standin.seen().pop().unwrap();
    assert_eq!((last.method.as_str(), last.path), ("DELETE", format!("/api/v1/tokens/{TOKEN}")));
    assert!(!std::fs::read_to_string(&file).unwrap().contains("CANARY"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_link_that_the_service_prints_makes_the_first_admin_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let serving = Serving::start(&folder.path().join("data"), &[], &[]).await;
    let url = format!("http://{}", serving.address);
    let link = format!("{url}/setup#{}", serving.link().await);
    let first = || {
        let mut command = program(&["login", &url, "--login", "anna", "--first-admin"]);
        command.env("XDG_CONFIG_HOME", folder.path());
        command
    };
    let lines = format!("{link}\na password of some length\n");
    let made = with_stdin(first(), lines.clone()).await;
    assert_eq!(made.status, 0, "{}", made.stderr);
    let mut users = program(&["user", "list", "--json"]);
    users.env("XDG_CONFIG_HOME", folder.path());
    let users = with_stdin(users, "").await;
    let listed = String::from_utf8_lossy(&users.stdout);
    assert!(listed.contains("anna") && listed.contains("admin"), "{listed} {}", users.stderr);
    let again = with_stdin(first(), lines).await;
    assert_eq!(again.status, 10, "a link is used once: {}", again.stderr);
    serving.signal("-TERM");
    serving.ended().await;
}
