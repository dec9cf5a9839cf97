//! The jobs: backup, list, show, verify, restore, cat, delete.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use testbed::fingerprint::{differences, fingerprint};
use testbed::{Mongod, dataset};

use crate::setup::{FIRST, Guarded, SECOND, deny_unencrypted, policy, program, run, small};

#[tokio::test(flavor = "multi_thread")]
async fn mlabs_first_policy_is_enough_and_nothing_else_is_asked_for() {
    let (source, target) = (Mongod::replica_set().await.unwrap(), Mongod::replica_set().await.unwrap());
    dataset::every_kind(&source.client().await.unwrap()).await.unwrap();
    let guarded = Guarded::bucket(&policy(true, &FIRST, vec![])).await;
    let made = guarded.backup(&source, &["--sse", "AES256"]).await.ok().json();
    assert_eq!(made["encryption"]["requested"], "AES256");
    assert_eq!(made["encryption"]["reported"], "AES256");
    let id = made["id"].as_str().unwrap();
    let location = guarded.location();

    let listed = guarded.run(&["--json", "list", &location]).await.ok().json();
    assert_eq!(listed["backups"][0]["id"], id);
    let shown = guarded.run(&["--json", "show", &location, "latest"]).await.ok().json();
    assert_eq!(shown["id"], id);
    let verified = guarded.run(&["--json", "verify", &location, id]).await.ok().json();
    assert_eq!(verified["sound"], true);
    let dry = guarded.run(&["restore", &location, id, "--uri", &target.uri(), "--dry-run"]).await.ok();
    assert!(dry.text().contains("nothing has been changed"));
    guarded.run(&["restore", &location, id, "--uri", &target.uri()]).await.ok();
    let wanted = fingerprint(&source.client().await.unwrap()).await.unwrap();
    let found = fingerprint(&target.client().await.unwrap()).await.unwrap();
    assert_eq!(differences(&wanted, &found), Vec::<String>::new());

    guarded.run(&["delete", &location, id, "--yes"]).await.ok();
    assert_eq!(guarded.keys().await, ["shop/RESTORE.md"]);
    let asked: BTreeSet<String> = guarded.sandbox.requests().into_keys().collect();
    let known = ["CreateBucket", "DeleteObject", "GetObject", "ListObjectsV2", "PutObject"];
    assert_eq!(
        asked,
        known.map(str::to_owned).into(),
        "no HeadBucket, and nothing else that needs more permissions"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mlabs_two_tests_an_encrypted_backup_succeeds_and_an_unencrypted_one_is_refused() {
    let source = small().await;
    let guarded = Guarded::bucket(&policy(true, &FIRST, deny_unencrypted())).await;
    let refused = guarded.backup(&source, &[]).await;
    refused.failed(
        "SR-DENIED",
        4,
        &["s3:PutObject", "explicit deny in an identity-based policy", "--sse AES256"],
    );
    assert_eq!(refused.json()["error"]["code"], "SR-DENIED");
    assert_eq!(guarded.keys().await, Vec::<String>::new());
    guarded.backup(&source, &["--sse", "aws:kms"]).await.failed("SR-DENIED", 4, &[]);
    guarded.backup(&source, &["--sse", "AES256"]).await.ok();
    guarded.run(&["verify", &guarded.location(), "latest"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_versioned_bucket_mlabs_second_policy_is_enough_and_deleting_frees_the_bytes() {
    let source = small().await;
    let guarded = Guarded::bucket(&policy(true, &[&FIRST[..], &SECOND].concat(), deny_unencrypted())).await;
    guarded.keep_versions().await;
    let id =
        guarded.backup(&source, &["--sse", "AES256"]).await.ok().json()["id"].as_str().unwrap().to_owned();
    let location = guarded.location();
    let shown = guarded.run(&["--json", "show", &location, &id]).await.ok().json();
    assert!(shown["segments"].as_array().unwrap().iter().all(|segment| segment["version_id"].is_string()));
    guarded.run(&["verify", &location, &id]).await.ok();
    let before = guarded.sandbox.stored_bytes(crate::setup::BUCKET);
    let deleted = guarded.run(&["--json", "delete", &location, &id, "--yes"]).await.ok().json();
    let freed = before - guarded.sandbox.stored_bytes(crate::setup::BUCKET);
    assert!(freed >= deleted["stored_bytes"].as_u64().unwrap());
    let note = include_str!("../../../strongroom-engine/src/RESTORE.md").len() as u64;
    assert_eq!(guarded.sandbox.stored_bytes(crate::setup::BUCKET), note, "no version is left but the note's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_reports_no_encryption_is_said_to_report_nothing() {
    let source = small().await;
    let silent = sandbox::Sandbox::builder().reports_encryption(false);
    let guarded = Guarded::of(silent, &policy(true, &FIRST, vec![])).await;
    let made = guarded.backup(&source, &[]).await.ok().json();
    assert!(made["encryption"]["reported"].is_null());
    let text = guarded.run(&["show", &guarded.location(), "latest"]).await.ok().text();
    assert!(text.contains("the server reported nothing"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cat_is_an_archive_that_reads_to_its_end_plain_and_gzipped() {
    let source = small().await;
    let place = tempfile::tempdir().unwrap();
    let location = format!("file://{}", place.path().display());
    run(program(&["backup", "--uri", &source.uri(), "--to", &location, "-q"])).await.ok();
    let plain = run(program(&["cat", &location, "latest", "-q"])).await.ok().stdout;
    let summary = mongo_archive::Summary::of(&plain[..], mongo_archive::Limits::default()).unwrap();
    assert_eq!(summary.wrong().count(), 0);
    assert!(summary.namespaces().values().any(|namespace| namespace.documents == 2000));
    let gzipped = run(program(&["cat", &location, "latest", "-q", "--gzip"])).await.ok().stdout;
    let mut unzipped = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&gzipped[..]), &mut unzipped).unwrap();
    assert!(unzipped == plain);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_fails_because_nobody_reads_on() {
    let source = small().await;
    let place = tempfile::tempdir().unwrap();
    let (location, uri) = (format!("file://{}", place.path().display()), source.uri());
    run(program(&["backup", "--uri", &uri, "--to", &location, "-q"])).await.ok();
    for arguments in [
        &["cat", &location, "latest"][..],
        &["cat", &location, "latest", "--gzip"],
        &["list", &location],
        &["--json", "list", &location],
        &["show", &location, "latest"],
        &["--json", "verify", &location, "latest"],
        &["restore", &location, "latest", "--uri", &uri, "--dry-run"],
        &["--help"],
    ] {
        let mut command = program(arguments);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stdout(writer);
        let done = run(command).await.ok();
        assert!(!done.stderr.contains("error") && !done.stderr.contains("panicked"), "{}", done.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_no_backup_no_segments_and_no_cursor() {
    let source = Mongod::standalone().await.unwrap();
    dataset::generate(&source.client().await.unwrap(), 60_000_000).await.unwrap();
    let guarded = Guarded::bucket(&policy(true, &FIRST, vec![])).await;
    let (uri, location) = (source.uri(), guarded.location());
    let mut command = guarded.command(&[
        "backup",
        "--uri",
        &uri,
        "--to",
        &location,
        "--compress",
        "zstd:19",
        "--readers",
        "1",
    ]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id().to_string();
    while guarded.keys().await.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(130), "{:?} {:?}", output.status.signal(), output.stderr);
    assert_eq!(guarded.keys().await, Vec::<String>::new());
    let status = source.command("admin", bson::doc! { "serverStatus": 1 }).await.unwrap();
    let cursors = status.get_document("metrics").unwrap().get_document("cursor").unwrap();
    assert_eq!(cursors.get_document("open").unwrap().get_i64("total").unwrap(), 0);
}

/// The storage takes connections and never answers, so that the cleaning up after the first Ctrl-C hangs too.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_ctrl_c_ends_at_once() {
    let source = small().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut command = program(&["backup", "--uri", &source.uri(), "--to", "s3://silent-bucket/shop"]);
    command.env("AWS_ENDPOINT_URL", endpoint).env("AWS_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", "AKIATEST").env("AWS_SECRET_ACCESS_KEY", "secret");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id().to_string();
    let interrupt =
        || assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let connection = silent.accept().await.unwrap();
    interrupt();
    // Two signals in a row would arrive as one: the first must have been noticed.
    let (lines, noticed) = tokio::task::spawn_blocking(move || {
        let noticed = lines.any(|line| line == "cleaning up");
        (lines, noticed)
    })
    .await
    .unwrap();
    assert!(noticed);
    interrupt();
    let (status, said) = tokio::task::spawn_blocking(move || {
        let said: Vec<String> = lines.collect();
        (child.wait().unwrap(), said.join("\n"))
    })
    .await
    .unwrap();
    drop(connection);
    assert_eq!(status.code(), Some(130));
    assert!(said.contains("error[SR-CANCELLED]") && said.contains("at once"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_backup_is_no_backup_and_does_not_hinder_the_next() {
    let source = Mongod::standalone().await.unwrap();
    dataset::generate(&source.client().await.unwrap(), 60_000_000).await.unwrap();
    let guarded = Guarded::bucket(&policy(true, &FIRST, vec![])).await;
    let (uri, location) = (source.uri(), guarded.location());
    let arguments = ["backup", "--uri", &uri, "--to", &location, "--compress", "zstd:19", "--readers", "1"];
    let mut child = guarded.command(&arguments).stderr(Stdio::null()).spawn().unwrap();
    while guarded.keys().await.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let listed = guarded.run(&["--json", "list", &location]).await.ok().json();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 0);
    assert_eq!(listed["others"][0]["state"], "unfinished");
    let unfinished = listed["others"][0]["id"].as_str().unwrap();
    guarded.run(&["restore", &location, unfinished, "--uri", &uri]).await.failed("SR-NOT-A-BACKUP", 7, &[]);
    guarded.backup(&source, &[]).await.ok();
    guarded.run(&["verify", &location, "latest"]).await.ok();
}
