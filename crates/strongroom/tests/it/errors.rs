//! Bad input gets a clear error: what, why, what to do. And nothing is lost.

use std::fs;
use std::path::PathBuf;

use bson::doc;
use testbed::Mongod;
use testbed::mongod::Options;

use crate::setup::{BUCKET, FIRST, Guarded, SECOND, done, policy, program, run, small};

#[tokio::test(flavor = "multi_thread")]
async fn each_missing_permission_is_named_with_the_statement_that_gives_it() {
    let source = small().await;
    let guarded = Guarded::bucket(&policy(true, &FIRST, vec![])).await;
    let id = guarded.backup(&source, &[]).await.ok().json()["id"].as_str().unwrap().to_owned();
    let location = guarded.location();
    let without =
        |missing: &str| -> Vec<&str> { FIRST.into_iter().filter(|action| *action != missing).collect() };

    guarded.set_policy(&policy(true, &without("s3:PutObject"), vec![]));
    let statement = format!(
        r#"{{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::{BUCKET}/shop/*"}}"#
    );
    guarded.backup(&source, &[]).await.failed(
        "SR-DENIED",
        4,
        &["`s3:PutObject` on `arn:aws:s3:::", &statement],
    );
    guarded.set_policy(&policy(true, &without("s3:GetObject"), vec![]));
    guarded.run(&["verify", &location, &id]).await.failed("SR-DENIED", 4, &["`s3:GetObject`"]);
    guarded.set_policy(&policy(true, &without("s3:DeleteObject"), vec![]));
    guarded.run(&["delete", &location, &id, "--yes"]).await.failed("SR-DENIED", 4, &["`s3:DeleteObject`"]);
    guarded.set_policy(&policy(false, &FIRST, vec![]));
    guarded.run(&["list", &location]).await.failed("SR-DENIED", 4, &["`s3:ListBucket` on `arn:aws:s3:::"]);
    // Half of the deletion happened while it was refused: with the permission back it goes to its end.
    guarded.set_policy(&policy(true, &FIRST, vec![]));
    guarded.run(&["delete", &location, &id, "--yes"]).await.ok();
    assert_eq!(guarded.keys().await, ["shop/RESTORE.md"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_versioned_bucket_each_missing_permission_on_versions_is_named() {
    let source = small().await;
    let both = [&FIRST[..], &SECOND].concat();
    let guarded = Guarded::bucket(&policy(true, &both, vec![])).await;
    guarded.keep_versions().await;
    let id = guarded.backup(&source, &[]).await.ok().json()["id"].as_str().unwrap().to_owned();
    let location = guarded.location();
    guarded.set_policy(&policy(true, &[&FIRST[..], &["s3:DeleteObjectVersion"]].concat(), vec![]));
    guarded.run(&["verify", &location, &id]).await.failed("SR-DENIED", 4, &["`s3:GetObjectVersion`"]);
    guarded.set_policy(&policy(true, &[&FIRST[..], &["s3:GetObjectVersion"]].concat(), vec![]));
    guarded.run(&["delete", &location, &id, "--yes"]).await.failed(
        "SR-DENIED",
        4,
        &["`s3:DeleteObjectVersion`"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_clocks_regions_and_buckets_that_are_wrong_are_told_apart() {
    let elsewhere = sandbox::Sandbox::builder().region("eu-central-1");
    let guarded = Guarded::of(elsewhere, &policy(true, &FIRST, vec![])).await;
    let location = guarded.location();
    // No region is set: the answer names it.
    guarded.run(&["list", &location]).await.ok();
    let mut wrong_region = guarded.command(&["list", &location]);
    wrong_region.env("AWS_REGION", "ap-south-1");
    run(wrong_region).await.ok();

    guarded.run(&["list", "s3://nobodys-bucket/x"]).await.failed("SR-DENIED", 4, &[]);
    let mut as_owner = guarded.command(&["list", "s3://nobodys-bucket/x"]);
    let owner = guarded.sandbox.owner();
    as_owner
        .env("AWS_ACCESS_KEY_ID", &owner.id)
        .env("AWS_SECRET_ACCESS_KEY", &owner.secret)
        .env("AWS_REGION", "eu-central-1");
    run(as_owner).await.failed("SR-BUCKET-MISSING", 4, &["there is no bucket `nobodys-bucket`"]);

    let mut wrong_secret = guarded.command(&["list", &location]);
    wrong_secret.env("AWS_SECRET_ACCESS_KEY", "not-the-secret-at-all");
    let refused = run(wrong_secret).await;
    refused.failed("SR-KEY", 4, &["secret access key does not belong"]);
    assert!(!refused.stderr.contains("not-the-secret-at-all"));
    let mut unknown = guarded.command(&["list", &location]);
    unknown.env("AWS_ACCESS_KEY_ID", "AKIANOSUCHKEY");
    run(unknown).await.failed("SR-KEY", 4, &["does not know this access key"]);
    let mut none = guarded.command(&["list", &location]);
    none.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    run(none).await.failed("SR-KEY", 4, &["no AWS credentials were found", "AWS_PROFILE"]);
    guarded.sandbox.account().set_access_key_active(&guarded.key.id, false).unwrap();
    guarded.run(&["list", &location]).await.failed("SR-KEY", 4, &[]);
    guarded.sandbox.account().set_access_key_active(&guarded.key.id, true).unwrap();

    guarded.sandbox.set_clock_offset(3600);
    guarded.run(&["list", &location]).await.failed(
        "SR-CLOCK",
        4,
        &["seconds behind the storage's", "timedatectl"],
    );
    guarded.sandbox.set_clock_offset(0);

    let mut nowhere = guarded.command(&["list", &location]);
    nowhere.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").env("AWS_MAX_ATTEMPTS", "1");
    run(nowhere).await.failed("SR-STORE-HOST", 4, &["cannot be reached", "AWS_ENDPOINT_URL"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn why_nobody_answers_and_why_no_key_was_had_are_told_apart() {
    let guarded = Guarded::bucket(&policy(true, &FIRST, vec![])).await;
    let location = guarded.location();
    let port = guarded.sandbox.endpoint().rsplit_once(':').unwrap().1.to_owned();
    let try_at = async |endpoint: &str| {
        let mut command = guarded.command(&["list", &location]);
        command.env("AWS_ENDPOINT_URL", endpoint).env("AWS_MAX_ATTEMPTS", "1");
        run(command).await
    };
    try_at("http://127.0.0.1:1").await.failed("SR-STORE-HOST", 4, &["nothing listens there", "refused"]);
    let unknown = try_at("http://no-such-host.invalid").await;
    unknown.failed("SR-STORE-ADDRESS", 4, &["its name is not known", "name server"]);
    let plain = try_at(&format!("https://127.0.0.1:{port}")).await;
    plain.failed("SR-STORE-ADDRESS", 4, &["no trusted TLS connection", "https or http"]);

    let place = tempfile::tempdir().unwrap();
    let profiles = place.path().join("config");
    fs::write(&profiles, "[profile broken]\ncredential_process = /bin/false\n").unwrap();
    let mut broken = guarded.command(&["list", &location]);
    broken.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    broken.env("AWS_CONFIG_FILE", &profiles).env("AWS_PROFILE", "broken");
    run(broken).await.failed("SR-KEY", 4, &["the AWS credentials cannot be loaded", "AWS_PROFILE"]);

    let key =
        format!("aws_access_key_id = {}\naws_secret_access_key = {}", guarded.key.id, guarded.key.secret);
    let endpoint = guarded.sandbox.endpoint();
    let profile = format!("[profile right]\n{key}\nregion = us-east-1\nendpoint_url = {endpoint}\n");
    fs::write(&profiles, profile).unwrap();
    let mut right = program(&["list", &location]);
    right.env("AWS_CONFIG_FILE", &profiles).env("AWS_PROFILE", "right");
    run(right).await.ok();

    // As with every AWS tool, what stands on the command line goes before the environment.
    let mut named = program(&["list", &location, "--profile", "right"]);
    named.env("AWS_CONFIG_FILE", &profiles).env("AWS_PROFILE", "broken");
    run(named).await.ok();
    let mut unknown = program(&["list", &location, "--profile", "nobody"]);
    unknown.env("AWS_CONFIG_FILE", &profiles).env("AWS_PROFILE", "right");
    run(unknown).await.failed("SR-KEY", 4, &["nobody"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_cannot_be_read_is_told_apart() {
    let place = tempfile::tempdir().unwrap();
    let location = format!("file://{}", place.path().join("store").display());
    let backup = async |uri: &str| run(program(&["backup", "--uri", uri, "--to", &location])).await;
    backup("http://localhost").await.failed("SR-URI", 2, &["mongodb://"]);
    backup("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300").await.failed(
        "SR-MONGO-HOST",
        3,
        &["refused"],
    );
    backup("mongodb://no-such-host.invalid/?serverSelectionTimeoutMS=300").await.failed(
        "SR-MONGO-ADDRESS",
        3,
        &["no-such-host.invalid:27017: ", "directConnection=true"],
    );

    let locked =
        Mongod::start(Options { replica_set: true, auth: true, ..Options::default() }).await.unwrap();
    let admin = locked.client().await.unwrap().database("admin");
    let small =
        doc! {"createUser": "reader", "pwd": "reader-secret", "roles": [{"role": "read", "db": "shop"}]};
    admin.run_command(small).await.unwrap();
    let right = doc! {"createUser": "saver", "pwd": "saver-secret", "roles": ["backup"]};
    admin.run_command(right).await.unwrap();
    let wrong = backup(&locked.uri_for("saver:wrong-secret@")).await;
    wrong.failed("SR-MONGO-AUTH", 3, &["authSource"]);
    assert!(!wrong.stderr.contains("wrong-secret"));
    let missing = backup(&locked.uri_for("reader:reader-secret@")).await;
    missing.failed("SR-MONGO-PRIVILEGE", 3, &["`reader` lacks `find` on `local.oplog.rs`", "role `backup`"]);
    assert!(!missing.stderr.contains("reader-secret"));
    backup(&locked.uri_for("saver:saver-secret@")).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_answers_is_told_apart() {
    let arguments = vec!["--setParameter".into(), "enableTestCommands=1".into()];
    let server = Mongod::start(Options { arguments, ..Options::default() }).await.unwrap();
    let orders = server.client().await.unwrap().database("shop").collection("orders");
    orders.insert_one(doc! { "_id": 1 }).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let (uri, location) = (server.uri(), format!("file://{}", place.path().display()));
    let backup = async |more: &[&str]| {
        run(program(&[&["backup", "--uri", &uri, "--to", &location], more].concat())).await
    };
    let wrong = ["--include", "shop.orders", "--query", r#"{"a": {"$nosuch": 1}}"#];
    backup(&wrong).await.failed("SR-MONGO", 3, &["shop.orders", "$nosuch"]);
    // 112 is WriteConflict, 11600 InterruptedAtShutdown, 239 SnapshotTooOld.
    for (answer, code) in [(112, "SR-MONGO-BUSY"), (11600, "SR-MONGO-BUSY"), (239, "SR-SNAPSHOT-TOO-OLD")] {
        let data = doc! { "failCommands": ["listCollections"], "errorCode": answer, "appName": "strongroom" };
        let point = doc! { "configureFailPoint": "failCommand", "mode": "alwaysOn", "data": data };
        server.command("admin", point).await.unwrap();
        backup(&[]).await.failed(code, 3, &[]);
    }
}

/// A disk that is full, or a reader that stopped.
#[tokio::test]
async fn an_answer_that_cannot_be_written_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    let mut command = program(&["list", &format!("file://{}", place.path().display())]);
    command.stdout(fs::File::create("/dev/full").unwrap()).stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    done(output).failed("SR-INTERNAL", 1, &["the answer cannot be written", "No space left"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found_and_named_and_never_restored() {
    let (source, target) = (small().await, Mongod::standalone().await.unwrap());
    let guarded = Guarded::bucket(&policy(true, &FIRST, vec![])).await;
    let id = guarded.backup(&source, &[]).await.ok().json()["id"].as_str().unwrap().to_owned();
    let location = guarded.location();
    let shown = guarded.run(&["--json", "show", &location, &id]).await.ok().json();
    let namespaces = shown["namespaces"].as_array().unwrap();
    let orders = namespaces.iter().position(|namespace| namespace["collection"] == "orders").unwrap();
    let holds_orders = |segment: &&serde_json::Value| segment["contents"][0]["namespace"] == orders;
    let segment = shown["segments"].as_array().unwrap().iter().find(holds_orders).unwrap();
    let key = segment["key"].as_str().unwrap().to_owned();
    let at = format!("shop/{key}");
    assert!(guarded.sandbox.damage(BUCKET, &at, |bytes| bytes[20] ^= 1));
    let verified = guarded.run(&["--json", "verify", &location, &id]).await;
    verified.failed("SR-DAMAGED", 5, &["1 problem"]);
    let answer = verified.json();
    assert_eq!(answer["sound"], false);
    let problem = answer["problems"][0].to_string();
    assert!(problem.contains(&key) && problem.contains("SHA-256"), "{problem}");
    let broken_archive = guarded.run(&["--json", "cat", &location, &id]).await;
    broken_archive.failed("SR-DAMAGED", 5, &[&key]);
    assert!(!String::from_utf8_lossy(&broken_archive.stdout).contains("SR-DAMAGED"));
    guarded.run(&["restore", &location, &id, "--uri", &target.uri()]).await.failed("SR-DAMAGED", 5, &[&key]);
    let orders = target.client().await.unwrap().database("shop").collection::<bson::Document>("orders");
    assert_eq!(orders.count_documents(doc! {}).await.unwrap(), 0);

    guarded.owner_client().await.delete_object().bucket(BUCKET).key(&at).send().await.unwrap();
    let verified = guarded.run(&["verify", &location, &id]).await;
    verified.failed("SR-DAMAGED", 5, &[]);
    assert!(verified.text().contains("there is no object"), "{}", verified.text());

    let manifest = format!("shop/default/{id}/manifest.json");
    assert!(guarded.sandbox.damage(BUCKET, &manifest, |bytes| {
        *bytes =
            String::from_utf8(bytes.clone()).unwrap().replace("\"version\": 1,", "\"version\": 99,").into();
    }));
    guarded.run(&["show", &location, &id]).await.failed(
        "SR-NEWER-FORMAT",
        5,
        &["version 99", "newer Strongroom"],
    );
    assert!(guarded.sandbox.damage(BUCKET, &manifest, |bytes| bytes.truncate(100)));
    guarded.run(&["show", &location, &id]).await.failed("SR-DAMAGED", 5, &["line "]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_targets_that_do_not_fit_are_refused() {
    let source = small().await;
    let place = tempfile::tempdir().unwrap();
    let location = format!("file://{}", place.path().display());
    let uri = source.uri();
    run(program(&["list", "file:///nonexistent/folder"])).await.failed(
        "SR-BUCKET-MISSING",
        4,
        &["no folder"],
    );
    run(program(&["show", &location, "latest"])).await.failed("SR-NOT-A-BACKUP", 7, &["there is no backup"]);
    run(program(&["backup", "--uri", &uri, "--to", &location])).await.ok();
    run(program(&["show", &location, "yesterday"])).await.failed("SR-NOT-A-BACKUP", 7, &["Ids look like"]);
    run(program(&["show", &location, "20200101T000000Z-aaaa"])).await.failed(
        "SR-NOT-A-BACKUP",
        7,
        &["strongroom list"],
    );
    run(program(&["restore", &location, "latest", "--uri", &uri])).await.failed(
        "SR-TARGET-NOT-EMPTY",
        6,
        &["shop.orders", "--drop"],
    );
    run(program(&["delete", &location, "20200101T000000Z-aaaa"])).await.failed("SR-USAGE", 2, &["--yes"]);
    run(program(&["backup", "--uri", &uri, "--to", &location, "--include", "shop"])).await.failed(
        "SR-USAGE",
        2,
        &["`shop.*`"],
    );
    run(program(&["backup", "--uri", &uri, "--to", &location, "--include", "nope.*"])).await.failed(
        "SR-USAGE",
        2,
        &["no collection matches"],
    );
    run(program(&["backup", "--uri", &uri, "--to", &location, "--sse", "AES256"])).await.failed(
        "SR-USAGE",
        2,
        &["no server-side encryption"],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn with_small_disk_a_backup_reports_that_it_is_full_and_leaves_nothing_there() {
    let source = Mongod::standalone().await.unwrap();
    let mut state = 7_u64;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let noise = |i: i64| {
        let bytes = (0..1000).map(|_| byte()).collect();
        doc! {"_id": i, "noise": bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes }}
    };
    let documents: Vec<bson::Document> = (0..3000).map(noise).collect();
    source.client().await.unwrap().database("shop").collection("noise").insert_many(documents).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let path: PathBuf = place.path().join("tiny");
    fs::create_dir(&path).unwrap();
    let script = r#""$3" backup --uri "$4" --to "file://$1"; status=$?; find "$1" -type f; exit $status"#;
    let mut command = testbed::small_disk::command(&path, script);
    command.arg(assert_cmd::cargo::cargo_bin!("strongroom")).arg(source.uri());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let outcome = done(output);
    outcome.failed("SR-SPACE", 4, &["No space left", "Free some space"]);
    assert_eq!(outcome.text(), "");
}
