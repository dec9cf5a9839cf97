//! MongoDB's own tools. They are in no package registry, so this runs where you have them:
//! `MONGORESTORE=/path/to/mongorestore cargo test -p strongroom --test it with_mongorestore -- --ignored`

use std::process::{Command, Stdio};

use testbed::fingerprint::{differences, fingerprint};
use testbed::{Mongod, dataset};
use tokio_util::sync::CancellationToken;

use crate::setup::{program, run};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real mongorestore, named by MONGORESTORE"]
async fn mongorestore_restores_what_cat_writes_and_the_segments_themselves() {
    let mongorestore = std::env::var("MONGORESTORE").expect("MONGORESTORE names mongorestore");
    let source = Mongod::replica_set().await.unwrap();
    dataset::every_kind(&source.client().await.unwrap()).await.unwrap();
    dataset::around_admin(&source.client().await.unwrap()).await.unwrap();
    let wanted = fingerprint(&source.client().await.unwrap()).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let location = format!("file://{}", place.path().display());
    for (compress, gzip, raw) in [("zstd", false, false), ("zstd", true, false), ("gzip", true, true)] {
        run(program(&["backup", "--uri", &source.uri(), "--to", &location, "--compress", compress]))
            .await
            .ok();
        let target = Mongod::replica_set().await.unwrap();
        let mut restore = Command::new(&mongorestore);
        restore
            .args(["--archive", "--bypassDocumentValidation"])
            .arg(format!("--uri={}", target.uri()))
            .args(gzip.then_some("--gzip"));
        let mut child = restore.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let archive = if raw {
            let backup = std::fs::read_dir(place.path().join("default"))
                .unwrap()
                .map(|e| e.unwrap().path())
                .max()
                .unwrap();
            let mut segments: Vec<_> =
                std::fs::read_dir(backup.join("segments")).unwrap().map(|e| e.unwrap().path()).collect();
            segments.sort();
            segments.iter().flat_map(|segment| std::fs::read(segment).unwrap()).collect()
        } else {
            let cat = ["cat", &location, "latest"];
            let arguments = [&cat[..], if gzip { &["--gzip"] } else { &[] }].concat();
            run(program(&arguments)).await.ok().stdout
        };
        let written = tokio::task::spawn_blocking(move || std::io::Write::write_all(&mut input, &archive));
        let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
        written.await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let found = fingerprint(&target.client().await.unwrap()).await.unwrap();
        assert_eq!(
            differences(&wanted, &found),
            Vec::<String>::new(),
            "{compress}, gzip {gzip}, raw {raw}: {said}"
        );
        let admin = target.client().await.unwrap().database("admin");
        let audit = admin.collection::<bson::Document>("audit");
        assert_eq!(audit.count_documents(bson::doc! {}).await.unwrap(), 7);
    }
}

/// What was read at different moments, made one by the real mongorestore and by `restore`: the same.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the real mongorestore, named by MONGORESTORE"]
async fn mongorestore_replays_the_oplog_that_a_backup_holds() {
    let mongorestore = std::env::var("MONGORESTORE").expect("MONGORESTORE names mongorestore");
    let source = Mongod::replica_set().await.unwrap();
    let client = source.client().await.unwrap();
    dataset::generate(&client, 60_000_000).await.unwrap();
    let stop = CancellationToken::new();
    let writer = tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        for i in 0_i64.. {
            let events = client.database("bench").collection::<bson::Document>("events");
            let set = bson::doc! { "$set": { "touched": i } };
            events.update_many(bson::doc! { "user": i % 50 }, set).await.unwrap();
            events.insert_one(bson::doc! { "_id": i, "new": true }).await.unwrap();
            events.delete_one(bson::doc! { "_id": i - 10 }).await.unwrap();
        }
    }));
    let place = tempfile::tempdir().unwrap();
    let location = format!("file://{}", place.path().display());
    let arguments = ["--include", "bench.*", "--consistency", "oplog", "--readers", "1", "--to", &location];
    run(program(&[&["backup", "--uri", &source.uri()], &arguments[..]].concat())).await.ok();
    stop.cancel();
    writer.await.unwrap();
    let shown = run(program(&["show", &location, "latest", "--json"])).await.ok().json();
    let to = &shown["oplog"]["to"];
    let until = format!("{}.{}", to["seconds"], to["increment"]);
    let (ours, theirs) = (Mongod::replica_set().await.unwrap(), Mongod::replica_set().await.unwrap());
    run(program(&["restore", &location, "latest", "--uri", &ours.uri(), "--at", &until])).await.ok();
    let archive = place.path().join("archive");
    std::fs::write(&archive, run(program(&["cat", &location, "latest"])).await.ok().stdout).unwrap();
    let output = Command::new(&mongorestore)
        .args([
            "--oplogReplay",
            &format!("--uri={}", theirs.uri()),
            &format!("--archive={}", archive.display()),
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ours = fingerprint(&ours.client().await.unwrap()).await.unwrap();
    let theirs = fingerprint(&theirs.client().await.unwrap()).await.unwrap();
    assert_eq!(differences(&theirs, &ours), Vec::<String>::new());
}
