//! What a person reads.

use testbed::Mongod;

use crate::setup::{program, run};

#[tokio::test]
async fn every_commands_help_opens_with_an_example() {
    for command in
        ["backup", "list", "show", "verify", "restore", "cat", "delete", "serve", "completions", "man"]
    {
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

/// A password is hidden as it is written and as it is meant, wherever the connection string comes from, and however
/// malformed it is.
#[tokio::test]
async fn no_form_of_a_password_is_printed() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("uri");
    let to = format!("file://{}", place.path().join("store").display());
    for uri in [
        "mongodb://u:CANARY%2Fp%40ss@a:1 mongodb://u:CANARY%2Fp%40ss@b:1",
        "mongodb://u:CANARY%2Fp%40ss@a:1\nmongodb://u:CANARY%2Fp%40ss@b:1\n",
        "mongodb://u:CANARY%2Fp%40ss@a:1mongodb://u:CANARY%2Fp%40ss@b:1",
        "mongodb://u:CANARY/p@ss@a:1",
        "mongodb://u:CANARY?p@ss@a:1",
        "mongodb://u:CANARY p@ss@a:1",
        "mongodb://u:CANARY%2Fp%40ss@a b",
        "mongodb://u:CANARY%2Fp%40ss@127.0.0.1:1/?serverSelectionTimeoutMS=100",
        "mongodb://u:CANARY%zz@127.0.0.1:1",
        "u:CANARY%2Fp%40ss@127.0.0.1:1",
    ] {
        std::fs::write(&file, uri).unwrap();
        let named = program(&["--json", "backup", "--to", &to, "--uri-file", file.to_str().unwrap()]);
        let given = program(&["--json", "backup", "--to", &to, "--uri", uri]);
        let mut set = program(&["--json", "restore", &to, "latest", "--dry-run"]);
        set.env("STRONGROOM_URI", uri);
        for command in [named, given, set] {
            let outcome = run(command).await;
            assert_ne!(outcome.status, 0);
            let printed = format!("{}{}", outcome.stderr, outcome.text());
            assert!(!printed.contains("CANARY") && !printed.contains("p@ss"), "{uri}: {printed}");
        }
    }
    let location = run(program(&["list", "s3://AKIAKEY:CANARY/p@bucket/p"])).await;
    location.failed("SR-LOCATION", 2, &[]);
    assert!(!location.stderr.contains("CANARY"), "{}", location.stderr);
}

/// What somebody wrote into an endpoint, or as the address of an archive, may hold what lets others in.
#[tokio::test]
async fn no_endpoint_and_no_signed_url_is_printed_with_what_it_holds() {
    let nowhere = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=100";
    for endpoint in [
        "u:CANARY@127.0.0.1:9",
        "http://u:CAN ARY@127.0.0.1:9",
        "http://127.0.0.1:9/?X-Amz-Signature=CANARY",
        "127.0.0.1:9?sig=CANARY",
        "http://[::CANARY",
        "ftp://u:CANARY@h",
    ] {
        for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"] {
            let mut list = program(&["--json", "list", "s3://my-backups/shop"]);
            list.env(variable, endpoint).env("AWS_ACCESS_KEY_ID", "AKIA").env("AWS_SECRET_ACCESS_KEY", "x");
            let outcome = run(list).await;
            outcome.failed("SR-USAGE", 2, &["the endpoint is not a URL", "AWS_ENDPOINT_URL"]);
            let printed = format!("{}{}", outcome.stderr, outcome.text());
            assert!(!printed.contains("CANARY") && !printed.contains("ARY@"), "{endpoint}: {printed}");
        }
    }
    for archive in [
        "https://b.s3.amazonaws.com/k?X-Amz-Signature=CANARY",
        "https://h/k?CANARY",
        "https://h/k#token=CANARY",
        "s3://my-backups/k?X-Amz-Credential=a&X-Amz-Signature=CANARY",
        "h/k?X-Amz-Signature=CANARY",
        "file:///nonexistent/k?X-Amz-Signature=CANARY&x=1",
    ] {
        let outcome = run(program(&["--json", "restore", "--archive", archive, "--uri", nowhere])).await;
        assert_ne!(outcome.status, 0);
        let printed = format!("{}{}", outcome.stderr, outcome.text());
        assert!(!printed.contains("CANARY"), "{archive}: {printed}");
    }
}

#[tokio::test]
async fn an_option_of_a_uri_that_is_not_known_is_named_and_ignored() {
    let server = Mongod::standalone().await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let to = format!("file://{}", place.path().display());
    let uri = format!("mongodb://{}/?timeoutMS=77777&slaveOk=true", server.address());
    let made = run(program(&["backup", "--uri", &uri, "--to", &to])).await;
    assert!(
        made.stderr.contains("warning: the option `timeoutMS` of the MongoDB URI is not known"),
        "{made:?}"
    );
    assert!(made.stderr.contains("`slaveOk`") && !made.stderr.contains("77777"), "{made:?}");
    made.ok();
}

#[tokio::test]
async fn the_database_of_a_uri_is_obeyed_or_refused() {
    let server = Mongod::standalone().await.unwrap();
    let db = server.client().await.unwrap();
    for name in ["shop", "other"] {
        db.database(name).collection("a").insert_one(bson::doc! { "_id": 1 }).await.unwrap();
    }
    let place = tempfile::tempdir().unwrap();
    let to = format!("file://{}", place.path().display());
    let uri = format!("mongodb://{}/shop", server.address());
    let refused = run(program(&["backup", "--uri", &uri, "--to", &to])).await;
    refused.failed("SR-URI", 2, &["names the database `shop`", "--include 'shop.*'"]);
    let made = run(program(&["--json", "backup", "--uri", &uri, "--to", &to, "--include", "shop.*"])).await;
    assert_eq!(made.ok().json()["totals"]["namespaces"], 1);
    let refused = run(program(&["restore", &to, "latest", "--uri", &uri, "--drop"])).await;
    refused.failed("SR-URI", 2, &["names the database `shop`"]);
    let admin = format!("mongodb://{}/admin", server.address());
    run(program(&["backup", "--uri", &admin, "--to", &to])).await.ok();
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

/// A manifest comes from a bucket, and whoever can write there could otherwise write on the screen.
#[tokio::test]
async fn what_a_manifest_holds_does_not_steer_the_terminal() {
    let server = Mongod::standalone().await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let to = format!("file://{}", place.path().display());
    let made = run(program(&["--json", "backup", "--uri", &server.uri(), "--to", &to])).await.ok().json();
    let manifest = place.path().join("default").join(made["id"].as_str().unwrap()).join("manifest.json");
    let text = std::fs::read_to_string(&manifest).unwrap();
    let version = made["source"]["server_version"].as_str().unwrap_or("6.0.5");
    let hostile = text.replace(&format!("\"{version}\""), "\"6\\u001b[2J\\u202e\\nbackup sound\"");
    assert_ne!(hostile, text);
    std::fs::write(&manifest, hostile).unwrap();
    let shown = run(program(&["show", &to, "latest"])).await.ok();
    assert!(shown.text().contains("MongoDB 6\\u{1b}[2J\\u{202e}\\nbackup sound at"), "{}", shown.text());
    let verified = run(program(&["verify", &to, "latest"])).await;
    let id = made["id"].as_str().unwrap();
    let hostile = text.replace(&format!("\"{id}\""), "\"x\\n20261123T020000Z-7f3k  default  complete\"");
    std::fs::write(&manifest, hostile).unwrap();
    let listed = run(program(&["list", &to])).await.ok();
    assert_eq!(listed.text().lines().count(), 2, "{}", listed.text());
    for text in [listed.text(), shown.text(), shown.stderr, verified.text(), verified.stderr] {
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    }
}
