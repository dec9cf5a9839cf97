//! Restores as a person asks for them: archives from anywhere, parts, other names.

use std::path::PathBuf;
use std::process::Stdio;

use bson::{Document, doc};
use testbed::Mongod;

use crate::setup::{BUCKET, Done, Guarded, done, policy, program, run, small};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}

async fn restore(target: &Mongod, arguments: &[&str]) -> Done {
    let uri = target.uri();
    run(program(&[&["restore", "--uri", &uri], arguments].concat())).await
}

/// The hashes that the fixtures must show after a right restore into this database.
async fn holds_what_was_dumped(target: &Mongod, db: &str) {
    let expected = std::fs::read(fixture("weird.expected.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
    let hashes = target.command(db, doc! { "dbHash": 1 }).await.unwrap();
    let hashes = hashes.get_document("collections").unwrap();
    for (collection, hash) in expected["weird"]["collections"].as_object().unwrap() {
        // Views know the name of their database.
        if collection != "system.views" {
            assert_eq!(hashes.get_str(collection).unwrap(), hash.as_str().unwrap(), "{collection}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_restored_from_stdin_from_a_file_and_from_a_bucket() {
    let target = Mongod::standalone().await.unwrap();
    let uri = target.uri();
    let mut command = program(&["--json", "restore", "--archive", "-", "--uri", &uri]);
    command.stdin(std::fs::File::open(fixture("weird.archive.gz")).unwrap());
    let restored = run(command).await.ok().json();
    assert_eq!(restored["exceptions"], serde_json::json!([]));
    holds_what_was_dumped(&target, "weird").await;

    let file = fixture("weird.archive");
    let file = file.to_str().unwrap();
    let dry =
        restore(&target, &["--archive", file, "--rename", "weird.*=copy.*", "--dry-run"]).await.ok().text();
    assert!(dry.contains("weird.mixed") && dry.contains("create") && dry.contains("as copy.mixed"), "{dry}");
    restore(&target, &["--archive", file, "--rename", "weird.*=copy.*"]).await.ok();
    holds_what_was_dumped(&target, "copy").await;

    let guarded = Guarded::bucket(&policy(false, &["s3:GetObject"], vec![])).await;
    let body = aws_sdk_s3::primitives::ByteStream::from(std::fs::read(file).unwrap());
    guarded
        .owner_client()
        .await
        .put_object()
        .bucket(BUCKET)
        .key("dumps/weird")
        .body(body)
        .send()
        .await
        .unwrap();
    let object = format!("s3://{BUCKET}/dumps/weird");
    guarded.run(&["restore", "--archive", &object, "--uri", &uri, "--drop"]).await.ok();
    holds_what_was_dumped(&target, "weird").await;
    let asked: Vec<String> = guarded.sandbox.requests().into_keys().collect();
    assert_eq!(
        asked,
        ["CreateBucket", "GetObject", "PutObject"],
        "reading an archive takes s3:GetObject alone"
    );
    let nothing = format!("s3://{BUCKET}/dumps/nothing");
    let missing = guarded.run(&["restore", "--archive", &nothing, "--uri", &uri]).await;
    missing.failed("SR-DENIED", 4, &["s3:GetObject", "dumps/nothing"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_archive_lacks_is_told_by_the_exit_status() {
    let target = Mongod::replica_set().await.unwrap();
    let file = fixture("server-oplog.archive.gz");
    let whole = ["--archive", file.to_str().unwrap(), "--users", "none"];
    let dry = restore(&target, &[&whole[..], &["--at", "1795455112.66", "--dry-run"]].concat()).await.ok();
    assert!(
        dry.text().contains("the oplog is replayed up to 2026-11-23T17:31:52Z (1795455112.66)"),
        "{}",
        dry.text()
    );
    let restored = restore(&target, &[&whole[..], &["--at", "2026-11-23T18:00:00Z"]].concat()).await;
    restored.failed("SR-INCOMPLETE", 8, &["restored, with 1 exception\n"]);
    let told = "not restored: the archive's oplog ends at 1795455112.66, before 2026-11-23T18:00:00Z";
    assert!(restored.text().contains(told), "{}", restored.text());
    holds_what_was_dumped(&target, "weird").await;
    let users = target.client().await.unwrap().database("admin").collection::<Document>("system.users");
    assert_eq!(users.count_documents(doc! {}).await.unwrap(), 0);
    let again = ["--archive", file.to_str().unwrap(), "--into-existing", "--exclude", "weird.capped"];
    let again = restore(&target, &again).await;
    again.failed("SR-INCOMPLETE", 8, &["exceptions"]);
    assert!(again.text().contains("the first: E11000 duplicate key"), "{}", again.text());

    let cut = tempfile::NamedTempFile::new().unwrap();
    let whole = std::fs::read(fixture("weird.archive")).unwrap();
    std::fs::write(cut.path(), &whole[..whole.len() - 20]).unwrap();
    let cut =
        restore(&target, &["--archive", cut.path().to_str().unwrap(), "--rename", "weird.*=cut.*"]).await;
    cut.failed("SR-DAMAGED", 5, &["is damaged", "the target holds a part of it", "Use another copy"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_comes_back_beside_the_one_that_is_there() {
    let source = small().await;
    let place = tempfile::tempdir().unwrap();
    let location = format!("file://{}", place.path().display());
    run(program(&["backup", "--uri", &source.uri(), "--to", &location, "-q"])).await.ok();
    let refused = restore(&source, &[&location, "latest"]).await;
    refused.failed("SR-TARGET-NOT-EMPTY", 6, &["`shop.orders`", "--rename"]);
    let beside =
        ["--include", "shop.orders", "--rename", "shop.orders=shop.orders_yesterday", "--indexes", "none"];
    restore(&source, &[&[&*location, "latest"], &beside[..]].concat()).await.ok();
    let found = source.client().await.unwrap().database("shop").collection::<Document>("orders_yesterday");
    assert_eq!(found.count_documents(doc! {}).await.unwrap(), 2000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_who_comes_along_and_what_they_may_do() {
    let (source, target) = (small().await, Mongod::standalone().await.unwrap());
    for (name, role) in [("eve\u{1b}[2J", "root"), ("bob", "read")] {
        let user = doc! { "createUser": name, "pwd": "secret", "roles": [role] };
        source.command("admin", user).await.unwrap();
    }
    let place = tempfile::tempdir().unwrap();
    let location = format!("file://{}", place.path().display());
    run(program(&["backup", "--uri", &source.uri(), "--to", &location, "-q"])).await.ok();
    let dry = restore(&target, &[&location, "latest", "--dry-run"]).await.ok().text();
    let eve = "the target gets user `eve\\u{1b}[2J@admin` (root@admin), which may do anything there\n";
    assert!(dry.contains(eve), "{dry}");
    assert!(dry.contains("the target gets user `bob@admin` (read@admin)\n"), "{dry}");
    let uri = target.uri();
    let json = ["--json", "restore", &location, "latest", "--uri", &uri, "--dry-run"];
    let users = run(program(&json)).await.ok().json()["grants"]["users"].clone();
    let said = |user: usize| (users[user]["name"].as_str().unwrap(), users[user]["may_do_anything"].clone());
    assert_eq!([said(0), said(1)], [("eve\u{1b}[2J@admin", true.into()), ("bob@admin", false.into())]);
    let none = restore(&target, &[&location, "latest", "--dry-run", "--users", "none"]).await.ok().text();
    assert!(!none.contains("the target gets"), "{none}");

    let archive = fixture("server-oplog.archive.gz");
    let dry = restore(&target, &["--archive", archive.to_str().unwrap(), "--dry-run"]).await.ok().text();
    assert!(dry.contains("users and roles are named before they are merged"), "{dry}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_cannot_be_meant_is_refused() {
    let nowhere = "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=500";
    let file = fixture("weird.archive");
    let file = file.to_str().unwrap();
    for (arguments, told) in [
        (&[][..], "--archive"),
        (&["s3://my-backups/shop"], "neither a backup nor an archive was named"),
        (&["s3://my-backups/shop", "latest", "--archive", "-"], "cannot be used with"),
        (&["--archive", "/nonexistent/dump"], "cannot open the archive `/nonexistent/dump`"),
        (&["--archive", "s3://my-backups"], "names a bucket, and no object in it"),
        (&["--archive", "gs://my-backups/dump"], "neither an S3 nor a file location"),
        (&["--archive", file, "--rename", "shop"], "cannot rename by `shop`"),
        (&["--archive", file, "--indexes", "only", "--drop"], "touches neither documents nor users"),
        (&["--archive", file, "--users", "all"], "merge, none or only"),
        (&["--archive", file, "--at", "yesterday"], "`yesterday` is not a moment"),
    ] {
        let refused = run(program(&[&["restore", "--uri", nowhere], arguments].concat())).await;
        assert_eq!(refused.status, 2, "{told}: {}", refused.stderr);
        assert!(refused.stderr.contains(told), "`{told}` is not in: {}", refused.stderr);
    }
}

/// A pipe that is still open must not hold up the end.
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_restore_that_waits_for_its_archive() {
    let target = Mongod::standalone().await.unwrap();
    let mut command = program(&["restore", "--archive", "-", "--uri", &target.uri()]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let whole = std::fs::read(fixture("weird.archive")).unwrap();
    let mut pipe = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut pipe, &whole[..whole.len() - 4]).unwrap();
    while target.client().await.unwrap().database("weird").list_collection_names().await.unwrap().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let ended = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    drop(pipe);
    done(ended).failed("SR-CANCELLED", 130, &[]);
}
