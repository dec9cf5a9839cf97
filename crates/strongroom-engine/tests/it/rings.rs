//! Capped collections whose `_id`s come back, read while they are written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bson::{Document, Timestamp, doc};
use futures::TryStreamExt;
use mongodb::{Client, Collection};
use strongroom_engine::backup::ConsistencyMode;
use strongroom_engine::restore::{Options, Source};
use strongroom_engine::{ClusterTime, Compression, Consistency, Manifest, backup};
use testbed::{Mongod, dataset};

use crate::setup::{self, folder, options, restore_with};

const RING: &str = "ring";

#[derive(Clone, Copy)]
enum Writing {
    /// Each of five documents is deleted and inserted again, forever the same.
    DeletedAndInserted,
    /// The ring throws its oldest out, and thirty `_id`s take turns.
    ThrownOut,
}

async fn write(ring: Collection<Document>, writing: Writing, stop: Arc<AtomicBool>) {
    for n in 0_i32.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        match writing {
            Writing::DeletedAndInserted => {
                ring.delete_one(doc! { "_id": n % 5 }).await.unwrap();
                ring.insert_one(doc! { "_id": n % 5 }).await.unwrap();
            }
            Writing::ThrownOut => drop(ring.insert_one(doc! { "_id": n % 30, "n": n }).await.unwrap()),
        }
    }
}

/// What the ring held at a moment, by all that the oplog says of it.
async fn held(client: &Client, at: ClusterTime) -> Vec<Document> {
    let oplog = client.database("local").collection::<Document>("oplog.rs");
    let ts = Timestamp { time: at.seconds, increment: at.increment };
    let entries = oplog.find(doc! { "ns": format!("shop.{RING}"), "ts": { "$lte": ts } }).await.unwrap();
    let mut held: Vec<Document> = Vec::new();
    for entry in entries.try_collect::<Vec<_>>().await.unwrap() {
        let o = entry.get_document("o").unwrap();
        held.retain(|known| known.get("_id") != o.get("_id"));
        if entry.get_str("op").unwrap() == "i" {
            held.push(o.clone());
        }
    }
    held
}

async fn restored(place: &tempfile::TempDir, manifest: &Manifest, at: Option<ClusterTime>) -> Vec<Document> {
    let target = Mongod::replica_set().await.unwrap();
    let source = Source::backup(folder(place.path()), Arc::new(manifest.clone()));
    let outcome = restore_with(source, &target, Options { at, ..Options::default() }).await.unwrap();
    assert_eq!(outcome.exceptions, Vec::<String>::new());
    let ring = target.client().await.unwrap().database("shop").collection::<Document>(RING);
    ring.find(doc! {}).await.unwrap().try_collect().await.unwrap()
}

async fn a_ring_comes_back(writing: Writing, consistency: ConsistencyMode) {
    let source = Mongod::replica_set().await.unwrap();
    let client = source.client().await.unwrap();
    let db = client.database("shop");
    db.run_command(doc! { "create": RING, "capped": true, "size": 100_000, "max": 10 }).await.unwrap();
    // Something to read beside it, so that the window is not empty.
    dataset::generate(&client, 20_000_000).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write(db.collection(RING), writing, stop.clone()));
    while held(&client, ClusterTime { seconds: u32::MAX, increment: 0 }).await.len() < 3 {}
    let place = tempfile::tempdir().unwrap();
    let wanted = backup::Options { consistency, ..options(Compression::None) };
    let manifest = setup::backup(&source, &folder(place.path()), wanted).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let Consistency::Oplog { at, .. } = manifest.consistency else { panic!("a ring needs the oplog") };
    let last = manifest.oplog.as_ref().unwrap().to;
    for moment in [at, last] {
        let found = restored(&place, &manifest, Some(moment)).await;
        assert_eq!(found, held(&client, moment).await, "{moment}, {consistency:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_whose_documents_are_deleted_and_inserted_again_comes_back_whole() {
    a_ring_comes_back(Writing::DeletedAndInserted, ConsistencyMode::Snapshot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_whose_ids_take_turns_comes_back_whole() {
    a_ring_comes_back(Writing::ThrownOut, ConsistencyMode::Snapshot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_oplog_alone_a_ring_whose_ids_come_back_is_whole_too() {
    a_ring_comes_back(Writing::DeletedAndInserted, ConsistencyMode::Oplog).await;
    a_ring_comes_back(Writing::ThrownOut, ConsistencyMode::Oplog).await;
}
