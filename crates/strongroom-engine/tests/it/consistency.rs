//! What moment a backup holds, under a writer that never rests.
//!
//! The writer keeps a ledger: transactions move amounts between accounts in several collections, so that at every
//! moment all balances sum to zero. A copy that mixes moments does not.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bson::{Document, doc};
use futures::TryStreamExt;
use mongodb::options::IndexOptions;
use mongodb::{Client, IndexModel};
use strongroom_engine::backup::{self, ConsistencyMode};
use strongroom_engine::bucket::ObjectStore;
use strongroom_engine::deployment::Deployment;
use strongroom_engine::restore::{self, Existing, Source};
use strongroom_engine::{
    Compression, Consistency, Event, Filter, Manifest, NamespaceKind, Observer, Warning,
};
use testbed::Mongod;
use testbed::mongod::Options;
use tokio_util::sync::CancellationToken;

use crate::setup::{back_up, backup, folder, job, options, restore, restore_with, small_collections};

const BOOKS: u32 = 8;
const ACCOUNTS: u32 = 400;

/// Books with accounts, and a ring that is written in the same transactions' wake.
async fn open_books(client: &Client) {
    let db = client.database("bank");
    for book in 0..BOOKS {
        let accounts =
            (0..ACCOUNTS).map(|i| doc! { "_id": i64::from(i), "balance": 0_i64, "pad": "x".repeat(2000) });
        db.collection::<Document>(&format!("book{book}")).insert_many(accounts).await.unwrap();
    }
    db.run_command(doc! { "create": "ring", "capped": true, "size": 100_000 }).await.unwrap();
}

/// Moves amounts until it is dropped; how many transactions were committed.
struct Writer {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Writer {
    async fn start(server: &Mongod) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = server.client().await.unwrap();
        let (stopped, counted) = (stop.clone(), done.clone());
        let task = tokio::spawn(async move {
            let mut random = 12345_u32;
            let mut next = |below: u32| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 8) % below
            };
            while !stopped.load(Ordering::Relaxed) {
                let moves: Vec<(u32, u32)> = (0..6).map(|_| (next(BOOKS), next(ACCOUNTS))).collect();
                transfer(&client, &moves, counted.load(Ordering::Relaxed)).await;
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let writer = Self { stop, done, task };
        writer.wait_for(20).await;
        writer
    }

    async fn wait_for(&self, more: u64) {
        let until = self.done.load(Ordering::Relaxed) + more;
        while self.done.load(Ordering::Relaxed) < until {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
    }
}

async fn transfer(client: &Client, moves: &[(u32, u32)], number: u64) {
    let db = client.database("bank");
    let mut session = client.start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    for (i, (book, account)) in moves.iter().enumerate() {
        let amount = if i % 2 == 0 { 7_i64 } else { -7 };
        let books = db.collection::<Document>(&format!("book{book}"));
        let change = doc! { "$inc": { "balance": amount } };
        books.update_one(doc! { "_id": i64::from(*account) }, change).session(&mut session).await.unwrap();
    }
    session.commit_transaction().await.unwrap();
    let number = i64::try_from(number).unwrap();
    db.collection::<Document>("ring").insert_one(doc! { "_id": number }).await.unwrap();
}

/// The sum over all accounts of all books, and whether the ring holds a run of numbers without a gap.
async fn sum(server: &Mongod) -> (i64, bool) {
    let db = server.client().await.unwrap().database("bank");
    let mut sum = 0;
    for book in 0..BOOKS {
        let total = doc! { "$group": { "_id": null, "sum": { "$sum": "$balance" }, "n": { "$sum": 1 } } };
        let books = db.collection::<Document>(&format!("book{book}"));
        let found: Vec<Document> = books.aggregate([total]).await.unwrap().try_collect().await.unwrap();
        assert_eq!(found[0].get_i32("n").unwrap(), i32::try_from(ACCOUNTS).unwrap());
        sum += found[0].get_i64("sum").unwrap();
    }
    let ring: Vec<Document> =
        db.collection::<Document>("ring").find(doc! {}).await.unwrap().try_collect().await.unwrap();
    let numbers: Vec<i64> = ring.iter().map(|d| d.get_i64("_id").unwrap()).collect();
    (sum, numbers.windows(2).all(|pair| pair[1] == pair[0] + 1))
}

async fn source() -> Mongod {
    let server = Mongod::replica_set().await.unwrap();
    open_books(&server.client().await.unwrap()).await;
    server
}

fn wanted(consistency: ConsistencyMode) -> backup::Options {
    backup::Options { consistency, ..options(Compression::None) }
}

/// A place for backups, and one that was made there while the writer ran.
async fn backup_under_writes(
    source: &Mongod,
    wanted: backup::Options,
) -> (tempfile::TempDir, Arc<dyn ObjectStore>, Manifest) {
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let writer = Writer::start(source).await;
    let manifest = backup(source, &store, wanted).await.unwrap();
    writer.end().await;
    (place, store, manifest)
}

async fn restored(store: &Arc<dyn ObjectStore>, manifest: &Manifest) -> (i64, bool) {
    let target = Mongod::replica_set().await.unwrap();
    let outcome = restore(store, manifest, &target, Existing::Refuse, Filter::default()).await.unwrap();
    assert_eq!(outcome.exceptions, Vec::<String>::new());
    sum(&target).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_under_writes_is_one_moment() {
    let source = source().await;
    let (_place, store, manifest) = backup_under_writes(&source, wanted(ConsistencyMode::Snapshot)).await;
    // The ring cannot be read in the past, so the oplog leads on to where it was read.
    let Consistency::Oplog { read_plainly, from, at } = &manifest.consistency else {
        panic!("{:?}", manifest.consistency)
    };
    assert_eq!(read_plainly, &["bank.ring"]);
    let window = manifest.oplog.as_ref().unwrap();
    assert!(window.from == *from && from <= at && *at <= window.to && window.cut_short.is_none());
    assert_eq!(manifest.namespaces.last().unwrap().kind, NamespaceKind::Oplog);
    assert_eq!(restored(&store, &manifest).await, (0, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_ring_a_snapshot_needs_no_replay() {
    let source = source().await;
    let filter = Filter::new(vec!["bank.book*".into()], vec![]).unwrap();
    let wanted = backup::Options { filter, ..wanted(ConsistencyMode::Snapshot) };
    let (_place, store, manifest) = backup_under_writes(&source, wanted).await;
    assert!(matches!(manifest.consistency, Consistency::Snapshot { .. }), "{:?}", manifest.consistency);
    assert_eq!(restored(&store, &manifest).await.0, 0);
}

/// How many collections were late for the snapshot, each time that it is said.
#[derive(Default)]
struct Late(Mutex<Vec<u64>>);

impl Observer for Late {
    fn observe(&self, event: &Event) {
        if let Event::Warning(Warning::SnapshotGone { namespaces, .. }) = event {
            self.0.lock().unwrap().push(*namespaces);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_snapshots_moment_is_lost_the_oplog_makes_it_one() {
    // A history of no seconds: the moment is gone as soon as a write comes after it.
    let arguments = ["--setParameter", "minSnapshotHistoryWindowInSeconds=0"].map(String::from).to_vec();
    let server = Mongod::start(Options { replica_set: true, arguments, ..Options::default() }).await.unwrap();
    open_books(&server.client().await.unwrap()).await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let late = Arc::new(Late::default());
    let writer = Writer::start(&server).await;
    let manifest = backup_observed(&server, &store, ConsistencyMode::Snapshot, late.clone()).await.unwrap();
    writer.end().await;
    let Consistency::Oplog { read_plainly, .. } = &manifest.consistency else {
        panic!("{:?}", manifest.consistency)
    };
    assert!(read_plainly.len() > 1, "nothing had to be read plainly but {read_plainly:?}");
    // The ring is no surprise.
    assert_eq!(*late.0.lock().unwrap(), [read_plainly.len() as u64 - 1], "it is said once, for all of them");
    assert_eq!(restored(&store, &manifest).await, (0, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_oplog_alone_it_is_one_moment_too() {
    let source = source().await;
    let (_place, store, manifest) = backup_under_writes(&source, wanted(ConsistencyMode::Oplog)).await;
    assert!(matches!(manifest.consistency, Consistency::Oplog { .. }), "{:?}", manifest.consistency);
    assert_eq!(restored(&store, &manifest).await, (0, true));
}

/// The proof that the tests above can fail.
#[tokio::test(flavor = "multi_thread")]
async fn without_consistency_a_copy_can_be_torn() {
    let source = source().await;
    let writer = Writer::start(&source).await;
    let mut torn = false;
    for _ in 0..20 {
        let place = tempfile::tempdir().unwrap();
        let store = folder(place.path());
        let manifest =
            backup(&source, &store, backup::Options { readers: 1, ..wanted(ConsistencyMode::None) })
                .await
                .unwrap();
        assert!(matches!(manifest.consistency, Consistency::None { .. }));
        assert_eq!(manifest.oplog, None);
        let (sum, _) = restored(&store, &manifest).await;
        torn |= sum != 0;
        if torn {
            break;
        }
    }
    writer.end().await;
    assert!(torn, "twenty copies without consistency, and none was torn");
}

/// Does something once, when it is told of the right event.
struct Meanwhile<F> {
    when: fn(&Event) -> bool,
    act: F,
    done: AtomicBool,
}

/// The moment is fixed, and nothing is read yet.
fn planned(event: &Event) -> bool {
    matches!(event, Event::Planned { .. })
}

/// A thousand documents or more were read.
fn advanced(event: &Event) -> bool {
    matches!(event, Event::Advanced { documents, .. } if *documents >= 1000)
}

impl<F: Fn() -> Fut + Send + Sync, Fut: Future<Output = ()>> Observer for Meanwhile<F> {
    fn observe(&self, event: &Event) {
        if (self.when)(event) && !self.done.swap(true, Ordering::Relaxed) {
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on((self.act)()));
        }
    }
}

async fn backup_meanwhile<Fut: Future<Output = ()>>(
    server: &Mongod,
    store: &Arc<dyn ObjectStore>,
    act: impl Fn() -> Fut + Send + Sync + 'static,
) -> strongroom_engine::Result<Manifest> {
    let observer = Meanwhile { when: planned, act, done: AtomicBool::new(false) };
    backup_observed(server, store, ConsistencyMode::Snapshot, Arc::new(observer)).await
}

async fn backup_observed(
    server: &Mongod,
    store: &Arc<dyn ObjectStore>,
    consistency: ConsistencyMode,
    observer: Arc<dyn Observer>,
) -> strongroom_engine::Result<Manifest> {
    let deployment = Deployment::connect(&server.uri().parse().unwrap()).await.unwrap();
    let wanted = backup::Options { readers: 1, ..wanted(consistency) };
    back_up(deployment, store.clone(), wanted, job(observer, CancellationToken::new())).await
}

/// What is restored, up to the end of the backup's oplog, is what the server holds now, to the last fact.
async fn assert_comes_back(server: &Mongod, store: &Arc<dyn ObjectStore>, manifest: &Manifest) {
    let target = Mongod::replica_set().await.unwrap();
    let source = Source::backup(store.clone(), Arc::new(manifest.clone()));
    let at = manifest.oplog.as_ref().map(|window| window.to);
    restore_with(source, &target, restore::Options { at, ..restore::Options::default() }).await.unwrap();
    let theirs = testbed::fingerprint(&server.client().await.unwrap()).await.unwrap();
    let ours = testbed::fingerprint(&target.client().await.unwrap()).await.unwrap();
    assert_eq!(ours, theirs);
}

/// Since MongoDB 7.0 a snapshot still has what was dropped or renamed after it; before, the rest is read plainly.
fn survives_drops(manifest: &Manifest) -> bool {
    let major = manifest.source.server_version.split('.').next().unwrap();
    major.parse::<u32>().unwrap() >= 7
}

#[track_caller]
fn assert_read_despite_drops(manifest: &Manifest) {
    let snapshot = matches!(manifest.consistency, Consistency::Snapshot { .. });
    assert_eq!(snapshot, survives_drops(manifest), "{:?}", manifest.consistency);
}

async fn shop() -> (Mongod, mongodb::Database) {
    let server = Mongod::replica_set().await.unwrap();
    small_collections(&server).await;
    let db = server.client().await.unwrap().database("shop");
    (server, db)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_or_made_meanwhile_is_as_at_the_moment() {
    let (server, db) = shop().await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let changed = db.clone();
    let manifest = backup_meanwhile(&server, &store, move || {
        let db = changed.clone();
        async move {
            db.collection::<Document>("a").drop().await.unwrap();
            db.collection::<Document>("b").drop().await.unwrap();
            db.collection::<Document>("b").insert_one(doc! { "_id": "again" }).await.unwrap();
            db.collection::<Document>("new").insert_one(doc! { "_id": "new" }).await.unwrap();
            let unique = IndexOptions::builder().unique(true).build();
            let index = IndexModel::builder().keys(doc! { "in": 1, "_id": 1 }).options(unique).build();
            db.collection::<Document>("c").create_index(index).await.unwrap();
            db.collection::<Document>("c").delete_one(doc! { "_id": 3 }).await.unwrap();
        }
    })
    .await
    .unwrap();
    assert_read_despite_drops(&manifest);
    assert_comes_back(&server, &store, &manifest).await;
}

/// Renames `a` to `z`, or back.
async fn rename(db: mongodb::Database) {
    let rename = |from: &str, to: &str| {
        doc! { "renameCollection": format!("shop.{from}"), "to": format!("shop.{to}") }
    };
    let admin = db.client().database("admin");
    if admin.run_command(rename("a", "z")).await.is_err() {
        admin.run_command(rename("z", "a")).await.unwrap();
    }
}

/// Does something each time that a moment is fixed.
struct EachTime<F>(F);

impl<F: Fn() -> Fut + Send + Sync, Fut: Future<Output = ()>> Observer for EachTime<F> {
    fn observe(&self, event: &Event) {
        if planned(event) {
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on((self.0)()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_that_would_have_to_be_replayed_fails_the_backup() {
    let (server, db) = shop().await;
    let before = testbed::fingerprint(db.client()).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let always = Arc::new(EachTime(move || rename(db.clone())));
    let error = match backup_observed(&server, &store, ConsistencyMode::Snapshot, always).await {
        Err(error) => error,
        Ok(manifest) => {
            assert!(survives_drops(&manifest));
            let target = Mongod::replica_set().await.unwrap();
            restore(&store, &manifest, &target, Existing::Refuse, Filter::default()).await.unwrap();
            let ours = testbed::fingerprint(&target.client().await.unwrap()).await.unwrap();
            return assert_eq!(ours, before);
        }
    };
    assert!(error.to_string().contains("`shop.z` was renamed to `shop.a`"), "{error}");
    assert_eq!(store.list("default").await.unwrap().folders, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_rename_that_would_have_to_be_replayed_costs_no_backup() {
    for consistency in [ConsistencyMode::Snapshot, ConsistencyMode::Oplog] {
        let (server, db) = shop().await;
        let before = testbed::fingerprint(db.client()).await.unwrap();
        let place = tempfile::tempdir().unwrap();
        let store = folder(place.path());
        let (when, done) = (planned as fn(&Event) -> bool, AtomicBool::new(false));
        let once = Arc::new(Meanwhile { when, act: move || rename(db.clone()), done });
        let manifest = backup_observed(&server, &store, consistency, once).await.unwrap();
        let target = Mongod::replica_set().await.unwrap();
        restore(&store, &manifest, &target, Existing::Refuse, Filter::default()).await.unwrap();
        let ours = testbed::fingerprint(&target.client().await.unwrap()).await.unwrap();
        let now = testbed::fingerprint(&server.client().await.unwrap()).await.unwrap();
        let is_first_moment = consistency == ConsistencyMode::Snapshot && survives_drops(&manifest);
        assert_eq!(ours, if is_first_moment { before } else { now });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_that_need_not_be_replayed_ends_the_window() {
    let (server, db) = shop().await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    // Another collection appears and is renamed: nothing that the backup reads.
    let manifest = backup_meanwhile(&server, &store, move || {
        let db = db.clone();
        async move {
            db.collection::<Document>("passing").insert_one(doc! {}).await.unwrap();
            let rename = doc! { "renameCollection": "shop.passing", "to": "shop.by" };
            db.client().database("admin").run_command(rename).await.unwrap();
        }
    })
    .await
    .unwrap();
    assert!(matches!(manifest.consistency, Consistency::Snapshot { .. }), "{:?}", manifest.consistency);
    let cut_short = manifest.oplog.as_ref().unwrap().cut_short.as_ref().unwrap();
    assert!(cut_short.contains("`shop.passing` was renamed"), "{cut_short}");
    let target = Mongod::replica_set().await.unwrap();
    let outcome = restore(&store, &manifest, &target, Existing::Refuse, Filter::default()).await.unwrap();
    assert_eq!(outcome.documents, 30);
}

/// A prepared transaction: its entries stand in the oplog before the moment, its commit after it.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_began_before_the_moment_is_whole() {
    // Only a shard prepares transactions, unless it is a test's.
    let arguments = ["--setParameter", "enableTestCommands=1"].map(String::from).to_vec();
    let server = Mongod::start(Options { replica_set: true, arguments, ..Options::default() }).await.unwrap();
    small_collections(&server).await;
    let db = server.client().await.unwrap().database("shop");
    let mut session = db.client().start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    for i in 0..3 {
        let document = doc! { "_id": format!("t{i}"), "pad": "x".repeat(1_000_000) };
        db.collection::<Document>("a").insert_one(document).session(&mut session).await.unwrap();
    }
    // Prepared, its entries stand in the oplog; only then the moment of the backup comes.
    let admin = db.client().database("admin");
    let prepared = admin.run_command(doc! { "prepareTransaction": 1 }).session(&mut session).await.unwrap();
    let at = prepared.get_timestamp("prepareTimestamp").unwrap();
    let session = Arc::new(tokio::sync::Mutex::new(session));
    // So that the moment is later than the prepared entry.
    db.collection::<Document>("b").insert_one(doc! { "_id": "later" }).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let commit = doc! { "commitTransaction": 1, "commitTimestamp": at };
    let written = db.clone();
    let manifest = backup_meanwhile(&server, &store, move || {
        let (admin, commit, db, session) = (admin.clone(), commit.clone(), written.clone(), session.clone());
        async move {
            admin.run_command(commit).session(&mut *session.lock().await).await.unwrap();
            // A change that makes a replay necessary.
            db.collection::<Document>("c").drop().await.unwrap();
        }
    })
    .await
    .unwrap();
    let window = manifest.oplog.as_ref().unwrap();
    assert!(window.from.seconds >= at.time);
    assert_read_despite_drops(&manifest);
    assert_comes_back(&server, &store, &manifest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_moves_while_it_is_read_comes_back_once() {
    let server = Mongod::replica_set().await.unwrap();
    let moving = server.client().await.unwrap().database("shop").collection::<Document>("moving");
    let documents = (0..6000).map(|i| doc! { "_id": i, "pad": "x".repeat(900) });
    moving.insert_many(documents).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let act = move || {
        let moving = moving.clone();
        async move {
            // The first document was read; it comes again at the end.
            moving.delete_one(doc! { "_id": 0 }).await.unwrap();
            moving.insert_one(doc! { "_id": 0, "again": true }).await.unwrap();
        }
    };
    let observer = Arc::new(Meanwhile { when: advanced, act, done: AtomicBool::new(false) });
    let manifest = backup_observed(&server, &store, ConsistencyMode::Oplog, observer).await.unwrap();
    assert_eq!(manifest.namespaces.iter().find(|n| n.collection == "moving").unwrap().documents, 6001);
    let target = Mongod::replica_set().await.unwrap();
    let outcome = restore(&store, &manifest, &target, Existing::Refuse, Filter::default()).await.unwrap();
    assert_eq!((outcome.refused, outcome.exceptions), (0, vec![]));
    let theirs = testbed::fingerprint(&server.client().await.unwrap()).await.unwrap();
    assert_eq!(testbed::fingerprint(&target.client().await.unwrap()).await.unwrap(), theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_takes_a_part_of_a_collection_and_no_oplog() {
    let (server, db) = shop().await;
    db.run_command(doc! { "create": "view", "viewOn": "a", "pipeline": [] }).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let query: strongroom_engine::Query = r#"{"_id": {"$gte": {"$numberInt": "7"}}}"#.parse().unwrap();
    let filter = Filter::new(vec!["shop.a".into(), "shop.b".into()], vec![]).unwrap();
    let part = backup::Options { query: Some(query.clone()), filter, ..wanted(ConsistencyMode::Snapshot) };
    let manifest = backup(&server, &store, part.clone()).await.unwrap();
    assert!(matches!(manifest.consistency, Consistency::Snapshot { .. }), "{:?}", manifest.consistency);
    assert_eq!(manifest.oplog, None);
    assert_eq!(manifest.selection.query, Some(serde_json::json!({"_id": {"$gte": {"$numberInt": "7"}}})));
    let target = Mongod::replica_set().await.unwrap();
    let outcome = restore(&store, &manifest, &target, Existing::Refuse, Filter::default()).await.unwrap();
    assert_eq!((outcome.documents, outcome.namespaces), (6, 2));
    let error = backup(&server, &store, backup::Options { consistency: ConsistencyMode::Oplog, ..part })
        .await
        .unwrap_err();
    assert!(error.message().contains("keeps no oplog"), "{error}");
}

/// A tool that replays the whole oplog of an archive would put the document back.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_took_effect_before_the_moment_is_not_kept() {
    let (server, db) = shop().await;
    let (a, place) = (db.collection::<Document>("a"), tempfile::tempdir().unwrap());
    let mut session = db.client().start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    a.update_one(doc! { "_id": 1 }, doc! { "$set": { "x": 1 } }).session(&mut session).await.unwrap();
    session.commit_transaction().await.unwrap();
    a.update_one(doc! { "_id": 1 }, doc! { "$set": { "x": 2 } }).await.unwrap();
    let manifest = backup(&server, &folder(place.path()), wanted(ConsistencyMode::Snapshot)).await.unwrap();
    let oplog = manifest.namespaces.last().unwrap();
    assert_eq!((oplog.kind, oplog.documents), (NamespaceKind::Oplog, 0));
}
