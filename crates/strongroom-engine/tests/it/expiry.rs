//! Documents that expire: after a restore, not while it runs, and only if they should.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bson::{DateTime, Document, doc};
use strongroom_engine::deployment::Target;
use strongroom_engine::restore::{self, Existing, Expiry, Restored, Source, Ttl};
use strongroom_engine::{Compression, Manifest};
use testbed::{Mongod, mongod};
use tokio_util::sync::CancellationToken;

use crate::setup::{backup, folder, job, options, restore_with};
use crate::users::Warnings;

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

#[tokio::test(flavor = "multi_thread")]
async fn what_the_target_lets_expire_already_is_not_called_held_and_said_in_time() {
    let (source, target) = (source().await, Mongod::replica_set().await.unwrap());
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let manifest = backup(&source, &store, options(Compression::None)).await.unwrap();
    // The same index and another one, and a collection with a rule of its own.
    let index = |name: &str, seconds: i32| {
        let index = doc! { "key": { name: 1 }, "name": format!("{name}_1"), "expireAfterSeconds": seconds };
        doc! { "createIndexes": "plain", "indexes": [index] }
    };
    let clustered = doc! { "key": { "_id": 1 }, "unique": true };
    for command in [
        index("at", 3600),
        index("other", 60),
        doc! { "create": "clustered", "clusteredIndex": clustered, "expireAfterSeconds": 7200_i64 },
    ] {
        target.command("shop", command).await.unwrap();
    }
    let settings =
        restore::Options { ttl: Ttl::Hold, existing: Existing::Keep, ..restore::Options::default() };
    let connected = Target::connect(&target.uri().parse().unwrap()).await.unwrap();
    let prepared =
        restore::prepare(Source::backup(store, manifest.into()), connected, settings).await.unwrap();
    let held = |expiring: &[Expiry]| {
        let rules = expiring.iter().map(|e| (e.namespace.clone(), e.index.clone(), e.after_seconds, e.held));
        rules.collect::<BTreeSet<_>>()
    };
    let index = |name: &str| Some(name.to_owned());
    let expected = BTreeSet::from([
        ("shop.series".to_owned(), None, Some(3600), true),
        ("shop.clustered".to_owned(), None, Some(7200), false),
        ("shop.plain".to_owned(), index("at_1"), Some(3600), false),
        ("shop.plain".to_owned(), index("other_1"), Some(60), false),
    ]);
    assert_eq!(held(&prepared.preview().expiring), expected);
    let heard = Arc::new(Warnings::default());
    let done = prepared.run(job(heard.clone(), CancellationToken::new())).await.unwrap();
    assert_eq!((held(&done.expiring), &done.exceptions), (expected, &vec![]));
    let heard = heard.0.lock().unwrap().clone();
    let switches = [
        r#"runCommand({collMod: "clustered", expireAfterSeconds: "off"})"#,
        r#"runCommand({collMod: "plain", index: {name: "at_1", expireAfterSeconds: 2147483647}})"#,
        r#"runCommand({collMod: "plain", index: {name: "other_1", expireAfterSeconds: 2147483647}})"#,
    ];
    for switch in switches {
        assert_eq!(heard.iter().filter(|said| said.contains(switch)).count(), 1, "{switch}: {heard:?}");
    }
    // The same as a driver sends it, which is what the sentences say.
    for command in [
        doc! { "collMod": "clustered", "expireAfterSeconds": "off" },
        doc! { "collMod": "plain", "index": { "name": "at_1", "expireAfterSeconds": i32::MAX } },
    ] {
        target.command("shop", command).await.unwrap();
    }
}
