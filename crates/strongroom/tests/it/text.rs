//! What a person reads.

use crate::setup::{program, run};

#[tokio::test]
async fn every_commands_help_opens_with_an_example() {
    for command in ["backup", "list", "show", "verify", "restore", "cat", "delete"] {
        let help = run(program(&[command, "--help"])).await.ok().text();
        assert!(help.starts_with(&format!("Example: strongroom {command} ")), "{help}");
    }
}

#[tokio::test]
async fn a_wrong_command_line_is_an_error_like_every_other() {
    let unknown = run(program(&["--json", "list", "file:///tmp", "--no-such-option"])).await;
    unknown.failed(
        "SR-USAGE",
        2,
        &["unexpected argument '--no-such-option'", "\n        Usage: strongroom list"],
    );
    let error = unknown.json()["error"].clone();
    let members: Vec<&String> = error.as_object().unwrap().keys().collect();
    assert_eq!(members, ["code", "class", "message", "help", "causes"]);
    assert_eq!((error["code"].as_str(), error["class"].as_str()), (Some("SR-USAGE"), Some("user")));
    let missing = run(program(&["backup"])).await;
    missing.failed(
        "SR-USAGE",
        2,
        &["were not provided:\n  --to <LOCATION>\n  help: Usage: strongroom backup"],
    );
    let nowhere = run(program(&["--json", "list", "nowhere"])).await;
    nowhere.failed("SR-LOCATION", 2, &["cannot use `nowhere`", "help: Write it as s3://"]);
    assert_eq!(nowhere.json()["error"]["code"], "SR-LOCATION");
    let no_uri = run(program(&["backup", "--to", "file:///nonexistent"])).await;
    no_uri.failed("SR-USAGE", 2, &["no MongoDB URI was given", "STRONGROOM_URI"]);
    let nothing = run(program(&[])).await;
    assert_eq!((nothing.status, nothing.stdout.len()), (2, 0));
    assert!(nothing.stderr.contains("Commands:"), "{}", nothing.stderr);
    let version = run(program(&["--version"])).await.ok().text();
    assert!(version.starts_with("strongroom "), "{version}");
}

#[tokio::test]
async fn a_uri_in_the_wrong_place_does_not_show_its_password() {
    let uri = "mongodb://user:hush@localhost";
    for arguments in [
        &["list", uri][..],
        &["backup", uri, "--to", "file:///nonexistent"],
        &["backup", "--to", uri, "--uri", uri],
        &["backup", "--to", "file:///nonexistent", "--uri-file", uri],
        &["show", "file:///nonexistent", uri],
        &["delete", "file:///nonexistent", uri, "--yes"],
        &["list", "file:///nonexistent", "--plan", uri],
    ] {
        let outcome = run(program(&[&["--json"], arguments].concat())).await;
        assert_ne!(outcome.status, 0);
        assert!(!outcome.stderr.contains("hush") && !outcome.text().contains("hush"), "{outcome:?}");
    }
}

#[tokio::test]
async fn what_the_command_line_says_goes_before_the_environment() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("uri");
    std::fs::write(&file, "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100\n").unwrap();
    let to = format!("file://{}", place.path().join("store").display());
    let mut command = program(&["backup", "--to", &to, "--uri-file", file.to_str().unwrap()]);
    command.env("STRONGROOM_URI", "no-uri-at-all");
    run(command).await.failed("SR-MONGO-HOST", 3, &["refused"]);
    let mut command = program(&["backup", "--to", &to]);
    command.env("STRONGROOM_URI", "no-uri-at-all");
    run(command).await.failed("SR-URI", 2, &[]);
}
