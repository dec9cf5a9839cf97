//! A backup opens no more of a server's files than it reads.

use std::time::{Duration, Instant};

use bson::doc;
use strongroom_engine::Compression;
use testbed::Mongod;

use crate::setup::{backup, folder, options};

const COLLECTIONS: usize = 200;
/// Of the server itself: its journal, its own collections, connections.
const SLACK: usize = 60;

fn process_id(server: &Mongod) -> u32 {
    let watchdog = server.watchdog_id();
    let children = std::fs::read_to_string(format!("/proc/{watchdog}/task/{watchdog}/children")).unwrap();
    children.split_whitespace().next().unwrap().parse().unwrap()
}

fn open_files(server: &Mongod) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", process_id(server))).unwrap().count()
}

/// Has the server close what it does not use, and from then on keep open what it uses.
async fn close_idle_files(server: &Mongod) -> usize {
    let set = async |idle: u32, least: u32| {
        let manager = format!(
            "file_manager=(close_idle_time={idle},close_scan_interval=1,close_handle_minimum={least})"
        );
        server
            .command("admin", doc! { "setParameter": 1, "wiredTigerEngineRuntimeConfig": manager })
            .await
            .unwrap();
    };
    server.command("admin", doc! { "fsync": 1 }).await.unwrap();
    set(1, 0).await;
    let begun = Instant::now();
    while open_files(server) > COLLECTIONS / 2 && begun.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    set(10_000, 2_000).await;
    open_files(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_opens_the_data_of_collections_and_not_their_indexes() {
    let source = Mongod::standalone().await.unwrap();
    let db = source.client().await.unwrap().database("shop");
    for i in 0..COLLECTIONS {
        let name = format!("c{i}");
        let index = |field: &str| doc! { "key": { field: 1 }, "name": field };
        let indexes = [index("x"), index("y"), index("z")];
        db.run_command(doc! { "createIndexes": &name, "indexes": indexes.to_vec() }).await.unwrap();
        db.run_command(doc! { "insert": &name, "documents": [{ "_id": 1, "x": 1 }] }).await.unwrap();
    }
    let before = close_idle_files(&source).await;
    assert!(before <= COLLECTIONS / 2, "the server did not close its files: {before} are open");
    let place = tempfile::tempdir().unwrap();
    let manifest = backup(&source, &folder(place.path()), options(Compression::None)).await.unwrap();
    assert!(manifest.totals.documents >= COLLECTIONS as u64);
    let opened = open_files(&source) - before;
    assert!(opened <= COLLECTIONS + SLACK, "{opened} files were opened for {COLLECTIONS} collections");
}
