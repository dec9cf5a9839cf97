//! Connections and cursors that are lost while a backup is made, which goes on where it stopped; and a restore that is
//! stopped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bson::{Document, doc};
use strongroom_engine::deployment::{Deployment, Target};
use strongroom_engine::restore::{self, Source};
use strongroom_engine::{
    Code, Compression, Consistency, Event, Filter, Manifest, Observer, Phase, Silent, verify,
};
use testbed::Mongod;
use testbed::mongod::Options;
use tokio_util::sync::CancellationToken;

use crate::setup::{back_up, backup, folder, job, options, small_collections, unwatched};

/// Counts what was read, and keeps what was warned of.
#[derive(Debug, Default)]
struct Watching {
    documents: AtomicU64,
    warnings: Mutex<Vec<String>>,
}

impl Observer for Watching {
    fn observe(&self, event: &Event) {
        match event {
            Event::Advanced { documents, .. } => {
                self.documents.fetch_add(*documents, Ordering::Relaxed);
            }
            Event::Warning(warning) => self.warnings.lock().unwrap().push(warning.to_string()),
            _ => {}
        }
    }
}

async fn server() -> Mongod {
    let arguments = ["--setParameter", "enableTestCommands=1"].map(String::from).to_vec();
    let server = Mongod::start(Options { replica_set: true, arguments, ..Options::default() }).await.unwrap();
    let db = server.client().await.unwrap().database("shop");
    let create = doc! { "create": "ring", "capped": true, "size": 20_000_000 };
    db.run_command(create).await.unwrap();
    for name in ["orders", "ring"] {
        let documents = (0..3000).map(|i| doc! { "_id": i, "pad": "x".repeat(4000) });
        db.collection::<Document>(name).insert_many(documents).await.unwrap();
    }
    server
}

async fn fail(server: &Mongod, times: i32, data: Document) {
    let mode = doc! { "times": times };
    let point = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
    server.command("admin", point).await.unwrap();
}

/// A backup, and the documents that were read for it.
async fn watched(server: &Mongod) -> (Manifest, u64, Vec<String>) {
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let watching = Arc::new(Watching::default());
    let deployment = Deployment::connect(&server.uri().parse().unwrap()).await.unwrap();
    let filter = Filter::new(vec!["shop.*".into()], vec![]).unwrap();
    let wanted = strongroom_engine::backup::Options { readers: 1, filter, ..options(Compression::None) };
    let cancel = CancellationToken::new();
    let manifest = back_up(deployment, store.clone(), wanted, job(watching.clone(), cancel)).await.unwrap();
    assert_eq!(verify(store, &manifest, 2, &unwatched()).await.unwrap().problems, []);
    let warnings = watching.warnings.lock().unwrap().clone();
    (manifest, watching.documents.load(Ordering::Relaxed), warnings)
}

fn assert_whole(manifest: &Manifest, read: u64) {
    for name in ["orders", "ring"] {
        let found = manifest.namespaces.iter().find(|n| n.collection == name).unwrap();
        assert_eq!(found.documents, 3000, "{name}");
    }
    assert_eq!(read, 6000, "documents were read again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_cursor_is_taken_up_where_it_stopped() {
    let server = server().await;
    // 43 is CursorNotFound, 175 QueryPlanKilled, 11602 InterruptedDueToReplStateChange.
    for code in [43, 175, 11602] {
        fail(&server, 4, doc! { "failCommands": ["getMore"], "errorCode": code, "appName": "strongroom" })
            .await;
        let (manifest, read, warnings) = watched(&server).await;
        assert_whole(&manifest, read);
        assert_eq!(warnings, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_it_is_overloaded_is_asked_again_later() {
    let server = server().await;
    let label = ["SystemOverloadedError"].to_vec();
    let data =
        doc! { "failCommands": ["getMore"], "errorCode": 2, "errorLabels": label, "appName": "strongroom" };
    fail(&server, 3, data).await;
    let (manifest, read, _) = watched(&server).await;
    assert_whole(&manifest, read);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_is_made_again() {
    let server = server().await;
    let data = doc! { "failCommands": ["getMore", "find"], "closeConnection": true, "appName": "strongroom" };
    fail(&server, 4, data).await;
    let (manifest, read, _) = watched(&server).await;
    assert_whole(&manifest, read);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_moment_that_is_lost_midway_costs_no_second_reading() {
    let server = server().await;
    // 239 is SnapshotTooOld.
    let data = doc! { "failCommands": ["getMore"], "errorCode": 239, "namespace": "shop.orders", "appName": "strongroom" };
    fail(&server, 1, data).await;
    let (manifest, read, warnings) = watched(&server).await;
    assert_whole(&manifest, read);
    let said = "`shop.orders` could not be read at the snapshot's moment to its end; the rest was read as it was then";
    assert_eq!(warnings, [said]);
    let Consistency::Oplog { read_plainly, .. } = &manifest.consistency else { panic!("{manifest:?}") };
    assert_eq!(read_plainly, &["shop.orders", "shop.ring"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stays_away_ends_the_backup_with_the_cause() {
    let server = server().await;
    let point = doc! { "failCommands": ["getMore"], "errorCode": 2, "appName": "strongroom" };
    fail(&server, 1000, point).await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let deployment = Deployment::connect(&server.uri().parse().unwrap()).await.unwrap();
    let cancel = CancellationToken::new();
    let wanted = options(Compression::None);
    let error = back_up(deployment, store.clone(), wanted, job(Arc::new(Silent), cancel)).await.unwrap_err();
    assert!(error.to_string().contains("shop."), "{error}");
    assert_eq!(store.list("default").await.unwrap().folders, Vec::<String>::new());
}

/// Stops a restore when a phase begins.
struct StopsAt {
    phase: Phase,
    cancel: CancellationToken,
}

impl Observer for StopsAt {
    fn observe(&self, event: &Event) {
        if *event == (Event::Phase { phase: self.phase }) {
            self.cancel.cancel();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_is_stopped_leaves_no_copies_of_users() {
    let source = Mongod::replica_set().await.unwrap();
    small_collections(&source).await;
    let user = doc! { "createUser": "anna", "pwd": "secret", "roles": ["readWriteAnyDatabase"] };
    source.command("admin", user).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let manifest = Arc::new(backup(&source, &store, options(Compression::None)).await.unwrap());
    for phase in [Phase::Inserting, Phase::BuildingIndexes, Phase::CreatingViews, Phase::MergingUsers] {
        let target = Mongod::replica_set().await.unwrap();
        let connected = Target::connect(&target.uri().parse().unwrap()).await.unwrap();
        let from = Source::backup(store.clone(), manifest.clone());
        let prepared = restore::prepare(from, connected, restore::Options::default()).await.unwrap();
        let cancel = CancellationToken::new();
        let stops = Arc::new(StopsAt { phase, cancel: cancel.clone() });
        let outcome = prepared.run(job(stops, cancel)).await;
        if phase != Phase::MergingUsers {
            assert_eq!(outcome.unwrap_err().code(), Code::Cancelled, "{phase:?}");
        }
        let listed = target.client().await.unwrap().database("admin").list_collection_names().await.unwrap();
        assert!(!listed.iter().any(|name| name.starts_with("temp")), "after {phase:?}: {listed:?}");
    }
}
