//! Changes that no replay of the oplog can repeat, while the capped collections of a backup are still being read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bson::{Document, doc};
use futures::TryStreamExt;
use mongodb::Database;
use strongroom_engine::backup::Options;
use strongroom_engine::bucket::ObjectStore;
use strongroom_engine::deployment::Deployment;
use strongroom_engine::restore::{self, Source};
use strongroom_engine::{
    Code, Compression, Consistency, Error, Event, Manifest, Observer, Result, Warning, verify,
};
use testbed::Mongod;
use tokio_util::sync::CancellationToken;

use crate::on_the_way::{Through, Way};
use crate::setup::{back_up, folder, job, options, restore_with, small_collections, unwatched};

#[derive(Debug, Clone, Copy)]
enum Change {
    Rename,
    Out,
    ToCapped,
}

impl Change {
    async fn make(self, db: &Database) {
        match self {
            Self::Rename => {
                let rename = |from: &str, to: &str| {
                    doc! { "renameCollection": format!("shop.{from}"), "to": format!("shop.{to}") }
                };
                let admin = db.client().database("admin");
                if admin.run_command(rename("a", "z")).await.is_err() {
                    admin.run_command(rename("z", "a")).await.unwrap();
                }
            }
            Self::Out => {
                let pipeline = [doc! { "$set": { "again": true } }, doc! { "$out": "b" }];
                let out = db.collection::<Document>("b").aggregate(pipeline).await.unwrap();
                out.try_collect::<Vec<_>>().await.unwrap();
            }
            Self::ToCapped => {
                db.run_command(doc! { "convertToCapped": "c", "size": 100_000 }).await.unwrap();
            }
        }
    }
}

/// Makes the change when the first segment of an attempt is stored: one capped collection was read, the other one
/// will be.
struct Changing {
    db: Database,
    change: Change,
    state: Mutex<State>,
}

struct State {
    /// How often it is still made.
    left: u32,
    /// Whether it is not made in this attempt any more.
    is_made: bool,
    anew: Vec<String>,
    /// Objects that could not be deleted.
    kept: u64,
}

impl Changing {
    fn new(db: &Database, change: Change, times: u32) -> Arc<Self> {
        let state = State { left: times, is_made: false, anew: Vec::new(), kept: 0 };
        Arc::new(Self { db: db.clone(), change, state: Mutex::new(state) })
    }

    /// Whether it is time for the change.
    fn takes(&self, event: &Event) -> bool {
        let mut state = self.state.lock().unwrap();
        match event {
            Event::Planned { .. } => state.is_made = false,
            Event::Warning(Warning::BegunAnew { reason }) => state.anew.push(reason.clone()),
            Event::Warning(Warning::ObjectsLeft { objects, .. }) => state.kept += objects,
            Event::Segment { .. } if !state.is_made && state.left > 0 => {
                (state.is_made, state.left) = (true, state.left - 1);
                return true;
            }
            _ => {}
        }
        false
    }

    fn anew(&self) -> Vec<String> {
        self.state.lock().unwrap().anew.clone()
    }
}

impl Observer for Changing {
    fn observe(&self, event: &Event) {
        if self.takes(event) {
            let change = self.change.make(&self.db);
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(change));
        }
    }
}

/// Three collections, and two capped ones that come first.
async fn shop() -> (Mongod, Database) {
    let server = Mongod::replica_set().await.unwrap();
    small_collections(&server).await;
    let db = server.client().await.unwrap().database("shop");
    for ring in ["ring1", "ring2"] {
        db.run_command(doc! { "create": ring, "capped": true, "size": 100_000 }).await.unwrap();
        let documents = (0..10).map(|i| doc! { "_id": i });
        db.collection::<Document>(ring).insert_many(documents).await.unwrap();
    }
    (server, db)
}

async fn backup(server: &Mongod, store: &Arc<dyn ObjectStore>, changing: &Arc<Changing>) -> Result<Manifest> {
    let deployment = Deployment::connect(&server.uri().parse().unwrap()).await.unwrap();
    let wanted = Options { readers: 1, ..options(Compression::None) };
    back_up(deployment, store.clone(), wanted, job(changing.clone(), CancellationToken::new())).await
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// What is restored is what the server holds, and nothing but the backup and its note is in `place`.
async fn assert_comes_back(server: &Mongod, place: &Path, manifest: &Manifest) {
    let store = folder(place);
    assert_eq!(verify(store.clone(), manifest, 2, &unwatched()).await.unwrap().problems, []);
    let target = Mongod::replica_set().await.unwrap();
    let source = Source::backup(store, Arc::new(manifest.clone()));
    let restored = restore_with(source, &target, restore::Options::default()).await.unwrap();
    assert_eq!(restored.exceptions, Vec::<String>::new());
    let theirs = testbed::fingerprint(&server.client().await.unwrap()).await.unwrap();
    let ours = testbed::fingerprint(&target.client().await.unwrap()).await.unwrap();
    assert_eq!(ours, theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_replayed_while_capped_collections_are_read_begins_the_backup_anew() {
    for change in [Change::Rename, Change::Out, Change::ToCapped] {
        let (server, db) = shop().await;
        let place = tempfile::tempdir().unwrap();
        let changing = Changing::new(&db, change, 1);
        let manifest = backup(&server, &folder(place.path()), &changing).await.unwrap();
        let anew = changing.anew();
        assert!(anew.len() == 1 && anew[0].contains("`shop."), "{change:?}: {anew:?}");
        let Consistency::Oplog { from, .. } = &manifest.consistency else { panic!("{manifest:?}") };
        assert_eq!(manifest.oplog.as_ref().map(|window| window.from), Some(*from));
        assert_comes_back(&server, place.path(), &manifest).await;
        // The manifest and RESTORE.md.
        assert_eq!(files(place.path()).len(), manifest.segments.len() + 2, "{change:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_replayed_and_always_comes_again_fails_the_backup_with_the_cause() {
    let (server, db) = shop().await;
    let place = tempfile::tempdir().unwrap();
    let changing = Changing::new(&db, Change::Rename, u32::MAX);
    let error = backup(&server, &folder(place.path()), &changing).await.unwrap_err();
    assert_eq!(error.code(), Code::Mongo);
    for part in ["after 3 tries at a later moment", "`shop.z` was renamed to `shop.a`"] {
        assert!(error.message().contains(part), "{error}");
    }
    assert_eq!(changing.anew().len(), 3);
    assert_eq!(files(place.path()), Vec::<PathBuf>::new());
}

/// Cancels the backup when it begins anew.
struct Cancelling(Arc<Changing>, CancellationToken);

impl Observer for Cancelling {
    fn observe(&self, event: &Event) {
        self.0.observe(event);
        if matches!(event, Event::Warning(Warning::BegunAnew { .. })) {
            self.1.cancel();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_cancelled_when_it_begins_anew_leaves_nothing() {
    let (server, db) = shop().await;
    let place = tempfile::tempdir().unwrap();
    let (changing, cancel) = (Changing::new(&db, Change::Rename, 1), CancellationToken::new());
    let observer = Arc::new(Cancelling(changing.clone(), cancel.clone()));
    let deployment = Deployment::connect(&server.uri().parse().unwrap()).await.unwrap();
    let wanted = Options { readers: 1, ..options(Compression::None) };
    let made = back_up(deployment, folder(place.path()), wanted, job(observer, cancel)).await;
    assert_eq!(made.unwrap_err().code(), Code::Cancelled);
    assert_eq!((changing.anew().len(), files(place.path())), (1, Vec::new()));
}

/// Deletes nothing, as for an identity that may only write.
#[derive(Debug)]
struct WriteOnly(Arc<dyn ObjectStore>);

#[async_trait]
impl Way for WriteOnly {
    fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.0
    }

    async fn delete(&self, key: &str, _: Option<&str>) -> Result<()> {
        Err(Error::new(Code::Denied, format!("`{key}` may not be deleted")))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stored_and_cannot_be_deleted_is_in_nobodys_way() {
    let (server, db) = shop().await;
    let place = tempfile::tempdir().unwrap();
    let changing = Changing::new(&db, Change::Rename, 2);
    let store: Arc<dyn ObjectStore> = Arc::new(Through(WriteOnly(folder(place.path()))));
    let manifest = backup(&server, &store, &changing).await.unwrap();
    assert_eq!(changing.anew().len(), 2);
    assert_comes_back(&server, place.path(), &manifest).await;
    let kept = changing.state.lock().unwrap().kept;
    assert!(kept >= 2, "{kept}");
    assert_eq!(files(place.path()).len() as u64, manifest.segments.len() as u64 + 2 + kept);
}
