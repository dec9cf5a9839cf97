//! Documents that expire: after a restore, not while it runs, and only if they should.

use std::time::Duration;

use bson::{DateTime, Document, doc};
use strongroom_engine::restore::{self, Expiry, Restored, Source, Ttl};
use strongroom_engine::{Compression, Manifest};
use testbed::{Mongod, mongod};

use crate::setup::{backup, folder, options, restore_with};

const PAST: i64 = 1_577_836_800_000; // 2020
// 2035. Later than 2038 MongoDB 7.0 lets nothing of a time-series expire.
const FUTURE: i64 = 2_051_222_400_000;

const DATES: [i64; 4] = [PAST, PAST + 1, PAST + 2, FUTURE];

/// An index, a clustered collection and a time-series that let documents expire; of each 3 are past their time.
async fn source() -> Mongod {
    let source = Mongod::replica_set().await.unwrap();
    let run = async |command| source.command("shop", command).await.unwrap();
    source.command("admin", doc! { "setParameter": 1, "ttlMonitorEnabled": false }).await.unwrap();
    let clustered = doc! { "key": { "_id": 1 }, "unique": true };
    run(doc! { "create": "clustered", "clusteredIndex": clustered, "expireAfterSeconds": 3600_i64 }).await;
    run(doc! { "create": "series", "timeseries": { "timeField": "at" }, "expireAfterSeconds": 3600_i64 })
        .await;
    run(doc! { "create": "plain" }).await;
    let index = doc! { "key": { "at": 1 }, "name": "at_1", "expireAfterSeconds": 3600 };
    run(doc! { "createIndexes": "plain", "indexes": [index] }).await;
    let dated = |(id, at): (usize, i64)| doc! { "_id": id as i32, "at": DateTime::from_millis(at) };
    for collection in ["plain", "series"] {
        let documents: Vec<Document> = DATES.into_iter().enumerate().map(dated).collect();
        run(doc! { "insert": collection, "documents": documents }).await;
    }
    let documents = DATES.map(|at| doc! { "_id": DateTime::from_millis(at) });
    run(doc! { "insert": "clustered", "documents": documents.to_vec() }).await;
    source
}

/// The manifest of a backup of it, restored into a server that looks for expired documents every second.
async fn restored(ttl: Ttl) -> (Mongod, Restored) {
    let arguments = ["--setParameter", "ttlMonitorSleepSecs=1"].map(str::to_owned).to_vec();
    let eager = mongod::Options { replica_set: true, arguments, ..mongod::Options::default() };
    let (source, target) = (source().await, Mongod::start(eager).await.unwrap());
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let manifest: Manifest = backup(&source, &store, options(Compression::None)).await.unwrap();
    let settings = restore::Options { ttl, ..restore::Options::default() };
    let done = restore_with(Source::backup(store, manifest.into()), &target, settings).await.unwrap();
    // Of the time-series there are two buckets.
    assert_eq!((done.documents, &done.exceptions), (10, &vec![]));
    (target, done)
}

async fn left(target: &Mongod) -> [i32; 3] {
    let mut left = [0; 3];
    for (left, collection) in left.iter_mut().zip(["clustered", "plain", "series"]) {
        let pipeline = [doc! { "$count": "n" }];
        let found = target
            .command("shop", doc! { "aggregate": collection, "pipeline": pipeline.to_vec(), "cursor": {} });
        let found = found.await.unwrap();
        let batch = found.get_document("cursor").unwrap().get_array("firstBatch").unwrap();
        *left = batch[0].as_document().unwrap().get_i32("n").unwrap();
    }
    left
}

async fn becomes(target: &Mongod, wanted: [i32; 3]) {
    for _ in 0..300 {
        if left(target).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{:?} documents are left", left(target).await);
}

fn pasts(expiring: &[Expiry]) -> Vec<(&str, Option<u64>)> {
    expiring.iter().map(|expiry| (expiry.namespace.as_str(), expiry.past)).collect()
}

const THREE_OF_EACH: [(&str, Option<u64>); 3] =
    [("shop.clustered", Some(3)), ("shop.series", Some(3)), ("shop.plain", Some(3))];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_past_its_time_is_counted_and_expires_after_the_restore() {
    let (target, done) = restored(Ttl::Keep).await;
    assert_eq!(pasts(&done.expiring), THREE_OF_EACH);
    becomes(&target, [1, 1, 1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_stays_until_it_is_switched_on() {
    let (target, done) = restored(Ttl::Hold).await;
    assert_eq!(pasts(&done.expiring), THREE_OF_EACH);
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(left(&target).await, [4, 4, 4], "the server looked several times");
    let commands: Vec<_> =
        done.expiring.iter().filter_map(|expiry| expiry.switched_on_by.as_deref()).collect();
    assert_eq!(
        commands,
        [
            r#"db.getSiblingDB("shop").runCommand({collMod: "clustered", expireAfterSeconds: 3600})"#,
            r#"db.getSiblingDB("shop").runCommand({collMod: "series", expireAfterSeconds: 3600})"#,
            r#"db.getSiblingDB("shop").runCommand({collMod: "plain", index: {name: "at_1", expireAfterSeconds: 3600}})"#,
        ]
    );
    // The same as a driver sends it.
    for (collection, rule) in [
        ("clustered", doc! { "expireAfterSeconds": 3600 }),
        ("series", doc! { "expireAfterSeconds": 3600 }),
        ("plain", doc! { "index": { "name": "at_1", "expireAfterSeconds": 3600 } }),
    ] {
        let mut command = doc! { "collMod": collection };
        command.extend(rule);
        target.command("shop", command).await.unwrap();
    }
    becomes(&target, [1, 1, 1]).await;
}
