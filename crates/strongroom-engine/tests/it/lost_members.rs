//! A member that is read and dies or hangs meanwhile: the backup goes on with another one, at the same moment.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bson::{Document, doc};
use mongodb::Client;
use strongroom_engine::backup::{self, ConsistencyMode};
use strongroom_engine::deployment::{ConnectOptions, Deployment};
use strongroom_engine::restore::Existing;
use strongroom_engine::{
    Bytes, Compression, Consistency, Event, Filter, Manifest, Observer, Period, Waits, verify,
};
use testbed::mongod::Options;
use testbed::{Mongod, Set};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::setup::{back_up, folder, job, options, restore, unwatched};

/// Keeps what it is told, and says when the first documents came.
#[derive(Default)]
struct Heard {
    events: Mutex<Vec<Event>>,
    began: Notify,
}

impl Observer for Heard {
    fn observe(&self, event: &Event) {
        if matches!(event, Event::Advanced { .. }) {
            self.began.notify_one();
        }
        self.events.lock().unwrap().push(event.clone());
    }
}

/// What becomes of the member that is read.
#[derive(Clone, Copy)]
enum Fate {
    Killed,
    Stopped,
}

impl Fate {
    fn befall(self, set: &mut Set, address: &str) {
        let place = set.members().iter().position(|member| member.address() == address).unwrap();
        match self {
            Self::Killed => set.end(place),
            Self::Stopped => stop(&set.members()[place]),
        }
    }
}

fn stop(member: &Mongod) {
    let watchdog = member.watchdog_id();
    let children = std::fs::read_to_string(format!("/proc/{watchdog}/task/{watchdog}/children")).unwrap();
    let process = children.split_whitespace().next().unwrap();
    assert!(Command::new("kill").args(["-STOP", process]).status().unwrap().success());
}

async fn three(documents: i32, bytes: usize) -> Set {
    let set = Set::start(&[doc! {}, doc! {}, doc! {}], Options::default()).await.unwrap();
    let db = set.client().await.unwrap().database("shop");
    let ring = doc! { "create": "ring", "capped": true, "size": 1_000_000 };
    db.run_command(ring).await.unwrap();
    for (name, documents, bytes) in [("large", documents, bytes), ("small", 50, 100), ("ring", 50, 100)] {
        let pad = "x".repeat(bytes);
        for first in (0..documents).step_by(20) {
            let some = (first..documents.min(first + 20)).map(|i| doc! { "_id": i, "pad": &pad });
            db.collection::<Document>(name).insert_many(some).await.unwrap();
        }
    }
    set
}

/// Inserts into one collection and then into the other, so that at any moment the first has as many or one more.
async fn keep_writing(client: Client, enough: Arc<AtomicBool>) {
    let db = client.database("shop");
    for i in 0.. {
        for name in ["left", "right"] {
            // While a primary is lost there is none to insert into.
            while db.collection(name).insert_one(doc! { "_id": i }).await.is_err() {
                if enough.load(Ordering::Relaxed) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        if enough.load(Ordering::Relaxed) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn hashes(client: &Client) -> Document {
    let collections = ["large", "ring", "small"];
    let asked = doc! { "dbHash": 1, "collections": collections.to_vec() };
    let answer = client.database("shop").run_command(asked).await.unwrap();
    let hashes = answer.get_document("collections").unwrap().clone();
    assert_eq!(hashes.len(), collections.len());
    hashes
}

async fn restored(manifest: &Manifest, place: &std::path::Path) -> Mongod {
    let store = folder(place);
    assert_eq!(verify(store.clone(), manifest, 2, &unwatched()).await.unwrap().problems, []);
    let target = Mongod::replica_set().await.unwrap();
    restore(&store, manifest, &target, Existing::Refuse, Filter::default()).await.unwrap();
    target
}

/// A backup during which the member that is read meets its fate; what it said, once the copy is compared.
async fn backup_through(mut set: Set, work: backup::Options, fate: Fate) -> (Manifest, Vec<Event>) {
    let place = tempfile::tempdir().unwrap();
    let before = hashes(&set.client().await.unwrap()).await;
    let waits = Waits { first_byte: Period::seconds(5), ..Waits::default() };
    let limits = ConnectOptions { waits, ..ConnectOptions::default() };
    let deployment = Deployment::connect_with(&set.uri().parse().unwrap(), &limits).await.unwrap();
    let lost = deployment.source().member.clone();
    let enough = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(keep_writing(set.client().await.unwrap(), enough.clone()));
    let heard = Arc::new(Heard::default());
    let job = job(heard.clone(), CancellationToken::new());
    let running = tokio::spawn(back_up(deployment, folder(place.path()), work, job));
    heard.began.notified().await;
    fate.befall(&mut set, &lost);
    let manifest = running.await.unwrap().unwrap();
    enough.store(true, Ordering::Relaxed);
    writer.await.unwrap();

    let target = restored(&manifest, place.path()).await;
    let copy = target.client().await.unwrap();
    assert_eq!(hashes(&copy).await, before);
    let count = async |name: &str| {
        copy.database("shop").collection::<Document>(name).count_documents(doc! {}).await.unwrap()
    };
    let (left, right) = (count("left").await, count("right").await);
    assert!(left == right || left == right + 1, "torn: {left} and {right}");
    assert_told(&manifest, &heard, &lost);
    let events = heard.events.lock().unwrap().clone();
    (manifest, events)
}

fn assert_told(manifest: &Manifest, heard: &Heard, lost: &str) {
    let source = &manifest.source;
    assert_ne!(source.member, lost);
    let member = |name: &str| source.members.iter().find(|member| member.name == name).unwrap();
    assert!(member(lost).taken && member(lost).reason.contains("lost"), "{:?}", member(lost));
    assert!(member(&source.member).taken && member(&source.member).reason.contains(lost));
    let events = heard.events.lock().unwrap();
    assert!(events.iter().any(|event| matches!(event, Event::Retrying { .. })), "{events:?}");
    let next = |event: &Event| matches!(event, Event::Member(member) if member.reason.contains(lost));
    assert_eq!(events.iter().filter(|event| next(event)).count(), 1, "{events:?}");
}

/// Whether all but the ring, of which no server knows the past, was read at the snapshot's moment.
fn at_one_moment(manifest: &Manifest) -> bool {
    matches!(&manifest.consistency, Consistency::Oplog { read_plainly, .. } if *read_plainly == ["shop.ring"])
}

fn slowly(readers: usize, rate: u64) -> backup::Options {
    backup::Options { readers, max_rate: Bytes::new(rate), ..options(Compression::None) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_dies_is_replaced_at_the_same_moment() {
    let (manifest, _) = backup_through(three(60, 200_000).await, slowly(1, 3_000_000), Fate::Killed).await;
    assert!(at_one_moment(&manifest), "{:?}", manifest.consistency);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_hangs_is_replaced_at_the_same_moment() {
    let (manifest, _) = backup_through(three(60, 200_000).await, slowly(1, 3_000_000), Fate::Stopped).await;
    assert!(at_one_moment(&manifest), "{:?}", manifest.consistency);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_replaced_where_the_oplog_makes_it_one_moment() {
    let work = backup::Options { consistency: ConsistencyMode::Oplog, ..slowly(2, 3_000_000) };
    backup_through(three(60, 200_000).await, work, Fate::Killed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_of_a_member_that_is_lost_are_read_again_as_a_whole() {
    let (manifest, events) =
        backup_through(three(160, 1_000_000).await, slowly(2, 30_000_000), Fate::Killed).await;
    let large = manifest.namespaces.iter().find(|namespace| namespace.collection == "large").unwrap();
    assert_eq!(large.documents, 160);
    let again =
        |event: &&Event| matches!(event, Event::Warning(warning) if warning.to_string().contains("again"));
    assert!(events.iter().filter(again).count() >= 1, "{events:?}");
}
