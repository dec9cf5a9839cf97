//! What is written to a target arrives as it was and stays there: through elections, broken connections and members that
//! are gone; and nothing of anybody else is changed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bson::{Document, RawDocumentBuf, Timestamp, doc, rawdoc};
use futures::TryStreamExt;
use strongroom_engine::bucket::ObjectStore;
use strongroom_engine::deployment::Target;
use strongroom_engine::restore::{self, Existing, Options, Restored, Source};
use strongroom_engine::{Code, Compression, Error, Event, Job, Manifest, Observer, Phase, Waits};
use testbed::mongod::Options as Arguments;
use testbed::{Mongod, Set};
use tokio_util::sync::CancellationToken;

use crate::refused::case;
use crate::setup::{backup, folder, job, options, restore_with, unwatched};

const EMPTY: Timestamp = Timestamp { time: 0, increment: 0 };

/// Puts documents there as they are: an ordinary insert would fill in their timestamps.
async fn put(server: &Mongod, documents: &[RawDocumentBuf]) {
    let _ = server.command("shop", doc! { "create": "a" }).await;
    let operations =
        documents.iter().map(|document| rawdoc! { "op": "i", "ns": "shop.a", "o": document.clone() });
    let operations: bson::RawArrayBuf = operations.collect();
    let client = server.client().await.unwrap();
    let command = rawdoc! { "applyOps": operations, "allowAtomic": false };
    client.database("admin").run_raw_command(command).await.unwrap();
}

async fn documents(server: &Mongod, db: &str, collection: &str) -> Vec<RawDocumentBuf> {
    let collection = server.client().await.unwrap().database(db).collection::<RawDocumentBuf>(collection);
    collection.find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap().try_collect().await.unwrap()
}

/// Three documents in which an empty timestamp stands, once where its name stands again.
fn with_empty_timestamps() -> Vec<RawDocumentBuf> {
    vec![
        rawdoc! { "_id": 1, "at": EMPTY },
        rawdoc! { "_id": 2, "at": EMPTY, "x": 1, "at": 5 },
        rawdoc! { "_id": 3, "at": 5, "at": EMPTY, "in": { "at": EMPTY, "at": 1 } },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_with_empty_timestamps_come_back_byte_by_byte_whatever_their_names() {
    let source = Mongod::replica_set().await.unwrap();
    put(&source, &with_empty_timestamps()).await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let manifest = Arc::new(backup(&source, &store, options(Compression::None)).await.unwrap());
    let target = Mongod::standalone().await.unwrap();
    let restored = restore_with(Source::backup(store, manifest), &target, Options::default()).await.unwrap();
    assert_eq!((restored.documents, restored.refused, restored.exceptions), (3, 0, vec![]));
    assert_eq!(documents(&target, "shop", "a").await, with_empty_timestamps());
    for name in ["ts0-dup", "ts0-dup2"] {
        let target = Mongod::standalone().await.unwrap();
        let restored = restore_with(case(name).await, &target, Options::default()).await.unwrap();
        assert_eq!((restored.refused, restored.exceptions), (0, vec![]), "{name}");
        target.command("admin", doc! { "ping": 1 }).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_there_is_never_changed() {
    let source = Mongod::replica_set().await.unwrap();
    put(&source, &with_empty_timestamps()).await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let manifest = Arc::new(backup(&source, &store, options(Compression::None)).await.unwrap());
    let target = Mongod::standalone().await.unwrap();
    let theirs =
        rawdoc! { "_id": 1, "at": Timestamp { time: 1_700_000_000, increment: 7 }, "owner": "somebody else" };
    put(&target, std::slice::from_ref(&theirs)).await;
    let into = Options { existing: Existing::Keep, ..Options::default() };
    let restored = restore_with(Source::backup(store, manifest), &target, into).await.unwrap();
    assert_eq!((restored.documents, restored.refused), (2, 1));
    assert!(restored.exceptions[0].contains("E11000"), "{:?}", restored.exceptions);
    let [_, second, third] = &with_empty_timestamps()[..] else { unreachable!() };
    assert_eq!(documents(&target, "shop", "a").await, [theirs, second.clone(), third.clone()]);
}

/// Three members, of which one acknowledges what it alone has, as before MongoDB 5.0 and with an arbiter.
async fn lenient_set() -> Set {
    let set = Set::start(&[doc! {}, doc! {}, doc! {}], Arguments::default()).await.unwrap();
    let lenient = doc! { "setDefaultRWConcern": 1, "defaultWriteConcern": { "w": 1 } };
    set.client().await.unwrap().database("admin").run_command(lenient).await.unwrap();
    set
}

/// A backup of `documents` documents in each of four collections.
async fn some(store: &Arc<dyn ObjectStore>, documents: i32) -> (Mongod, Manifest) {
    let source = Mongod::replica_set().await.unwrap();
    let shop = source.client().await.unwrap().database("shop");
    for name in ["a1", "a2", "a3", "a4"] {
        let some = (0..documents).map(|i| doc! { "_id": i, "text": "x".repeat(1000) });
        shop.collection::<Document>(name).insert_many(some).await.unwrap();
    }
    let manifest = backup(&source, store, options(Compression::None)).await.unwrap();
    (source, manifest)
}

async fn hash(client: &mongodb::Client) -> Document {
    let answer = client.database("shop").run_command(doc! { "dbHash": 1 }).await.unwrap();
    answer.get_document("collections").unwrap().clone()
}

async fn restore_into(uri: String, source: Source, job: Job) -> Result<Restored, Error> {
    let target = Target::connect(&uri.parse().unwrap()).await?;
    let options = Options { writers: 2, ..Options::default() };
    restore::prepare(source, target, options).await?.run(job).await
}

/// Counts documents, and tells when some are there; keeps what was said of tries.
#[derive(Default)]
struct Watcher {
    advanced: tokio::sync::Notify,
    tries: Mutex<Vec<String>>,
}

impl Observer for Watcher {
    fn observe(&self, event: &Event) {
        match event {
            Event::Advanced { .. } => self.advanced.notify_one(),
            Event::Retrying { request, key, .. } => {
                self.tries.lock().unwrap().push(format!("{request} {key}"));
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_down_in_the_middle_loses_nothing() {
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let (source, manifest) = some(&store, 12_000).await;
    let set = lenient_set().await;
    let watcher = Arc::new(Watcher::default());
    let restoring = restore_into(
        set.uri(),
        Source::backup(store, Arc::new(manifest)),
        job(watcher.clone(), CancellationToken::new()),
    );
    let disturb = async {
        watcher.advanced.notified().await;
        let down = doc! { "replSetStepDown": 20, "secondaryCatchUpPeriodSecs": 5, "force": true };
        set.members()[0].command_here("admin", down).await.unwrap();
    };
    let restored = tokio::join!(restoring, disturb).0.unwrap();
    assert_eq!((restored.documents, restored.refused, restored.exceptions), (48_000, 0, vec![]));
    assert_eq!(hash(&set.client().await.unwrap()).await, hash(&source.client().await.unwrap()).await);
    assert!(!watcher.tries.lock().unwrap().is_empty(), "that it was tried again is said");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_dies_in_the_middle_takes_nothing_with_it() {
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let (source, manifest) = some(&store, 12_000).await;
    let mut set = lenient_set().await;
    let watcher = Arc::new(Watcher::default());
    let restoring = restore_into(
        set.uri(),
        Source::backup(store, Arc::new(manifest)),
        job(watcher.clone(), CancellationToken::new()),
    );
    let disturb = async {
        watcher.advanced.notified().await;
        set.end(0);
    };
    let restored = tokio::join!(restoring, disturb).0.unwrap();
    assert_eq!((restored.documents, restored.refused, restored.exceptions), (48_000, 0, vec![]));
    assert_eq!(hash(&set.client().await.unwrap()).await, hash(&source.client().await.unwrap()).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_majority_that_stands_still_is_named() {
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let (_source, manifest) = some(&store, 10).await;
    let members = [doc! {}, doc! { "priority": 0 }, doc! { "arbiterOnly": true, "priority": 0 }];
    let mut set = Set::start(&members, Arguments::default()).await.unwrap();
    set.end(1);
    let limits = ["majority=2s".parse().unwrap()];
    let watched = Job { waits: Waits::default().with(&limits), ..unwatched() };
    let error =
        restore_into(set.uri(), Source::backup(store, Arc::new(manifest)), watched).await.unwrap_err();
    assert_eq!(error.code(), Code::Stalled, "{error}");
    assert!(error.message().contains("no majority had what was written to `shop."), "{error}");
    assert!(error.help_text().unwrap().to_string().contains("majority=2s"));
}

/// Cancels when the phase begins and then something is asked for.
struct Stopper {
    phase: Phase,
    cancel: CancellationToken,
}

impl Observer for Stopper {
    fn observe(&self, event: &Event) {
        if matches!(event, Event::Phase { phase } if *phase == self.phase) {
            let cancel = self.cancel.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(300)).await;
                cancel.cancel();
            });
        }
    }
}

/// A server that holds commands back, as one behind a dead network would: a restore that is cancelled then ends all
/// the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_restore_does_not_wait_for_a_server_that_hangs() {
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let (_source, manifest) = some(&store, 10).await;
    let manifest = Arc::new(manifest);
    for (phase, command) in [(Phase::Preparing, "create"), (Phase::Inserting, "insert")] {
        let arguments = Arguments {
            replica_set: true,
            arguments: vec!["--setParameter".into(), "enableTestCommands=1".into()],
            ..Arguments::default()
        };
        let target = Mongod::start(arguments).await.unwrap();
        let hang = doc! {
            "configureFailPoint": "failCommand", "mode": "alwaysOn",
            "data": { "failCommands": [command], "blockConnection": true, "blockTimeMS": 600_000 },
        };
        target.command("admin", hang).await.unwrap();
        let cancel = CancellationToken::new();
        let stopper = Arc::new(Stopper { phase, cancel: cancel.clone() });
        let source = Source::backup(store.clone(), manifest.clone());
        let ended = restore_into(target.uri(), source, job(stopper, cancel));
        let ended = tokio::time::timeout(Duration::from_secs(60), ended).await.expect("it ends");
        assert_eq!(ended.unwrap_err().code(), Code::Cancelled, "{command}");
    }
}
