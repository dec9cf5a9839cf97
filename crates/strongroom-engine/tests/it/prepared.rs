//! A backup as a value: shown and recorded under its id before anything is read or stored.

use std::sync::{Arc, Mutex};

use strongroom_engine::bucket::ObjectStore;
use strongroom_engine::deployment::{Deployment, Target};
use strongroom_engine::restore::{self, Existing, Source};
use strongroom_engine::{
    BackupId, Code, Compression, Consistency, Event, Manifest, Observer, Renames, backup,
};
use testbed::Mongod;
use tokio_util::sync::CancellationToken;

use crate::setup::{backup as backed_up, folder, job, options, small_collections, unwatched};

#[derive(Default)]
struct Heard(Mutex<Vec<Event>>);

impl Observer for Heard {
    fn observe(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

fn id() -> BackupId {
    "20261123T020000Z-7f3k".parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_known_before_it_is_made_and_is_made_as_it_was_shown() {
    let source = Mongod::replica_set().await.unwrap();
    small_collections(&source).await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let heard = Arc::new(Heard::default());
    let job = job(heard.clone(), CancellationToken::new());
    let deployment = Deployment::connect(&source.uri().parse().unwrap()).await.unwrap();
    let wanted = options(Compression::None);
    let prepared = backup::prepare(deployment, store.clone(), wanted, id(), &job).await.unwrap();

    let began = Event::Began { backup: Some(id().to_string()), plan: Some("default".into()) };
    assert_eq!(heard.0.lock().unwrap()[0], began);
    let shown = serde_json::to_value(&prepared).unwrap();
    assert_eq!(shown["id"], id().as_str());
    assert_eq!(shown["source"]["member"], prepared.outline().source.member);
    assert_eq!(shown["consistency"], "snapshot");
    let names: Vec<_> =
        prepared.outline().namespaces.iter().map(|n| (n.collection.clone(), n.documents)).collect();
    for name in ["a", "b", "c"] {
        assert!(names.contains(&(name.into(), 10)), "{names:?}");
    }
    assert!(prepared.outline().memory_bytes > 0 && prepared.outline().segments > 0);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0, "nothing is stored yet");

    // What is written from now on is not in it: its moment is settled.
    let moment = prepared.outline().moment;
    small_collections_again(&source).await;
    let manifest = prepared.run(&job).await.unwrap();
    assert_eq!(manifest.id, id().as_str());
    assert_eq!(
        Some(manifest.consistency),
        moment.from.map(|cluster_time| Consistency::Snapshot { cluster_time })
    );
    assert_eq!(manifest.namespaces.iter().find(|n| n.collection == "a").unwrap().documents, 10);
}

async fn small_collections_again(source: &Mongod) {
    let db = source.client().await.unwrap().database("shop");
    db.collection::<bson::Document>("a").insert_one(bson::doc! { "_id": 1000 }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_cancelled_between_the_two_steps_leaves_nothing() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    let place = tempfile::tempdir().unwrap();
    let job = unwatched();
    let deployment = Deployment::connect(&source.uri().parse().unwrap()).await.unwrap();
    let wanted = options(Compression::None);
    let prepared = backup::prepare(deployment, folder(place.path()), wanted, id(), &job).await.unwrap();
    job.cancel.cancel();
    assert_eq!(prepared.run(&job).await.unwrap_err().code(), Code::Cancelled);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

/// Somebody else has taken the work over by the time that everything but the manifest is stored.
struct TakenOver;

#[async_trait::async_trait]
impl backup::Permit for TakenOver {
    async fn may_commit(&self) -> strongroom_engine::Result<()> {
        Err(strongroom_engine::Error::new(Code::Cancelled, "taken over"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_taken_over_stores_no_manifest() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    let place = tempfile::tempdir().unwrap();
    let job = unwatched();
    let deployment = Deployment::connect(&source.uri().parse().unwrap()).await.unwrap();
    let wanted = options(Compression::None);
    let prepared = backup::prepare(deployment, folder(place.path()), wanted, id(), &job).await.unwrap();
    let error = prepared.permitted_by(Arc::new(TakenOver)).run(&job).await.unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
    let store = folder(place.path());
    assert!(strongroom_engine::catalog::list(&*store, None).await.unwrap().is_empty());
}

async fn digest(
    (store, manifest): (&Arc<dyn ObjectStore>, &Arc<Manifest>),
    target: &Mongod,
    options: restore::Options,
) -> String {
    let target = Target::connect(&target.uri().parse().unwrap()).await.unwrap();
    let source = Source::backup(store.clone(), manifest.clone());
    restore::prepare(source, target, options).await.unwrap().digest().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restores_digest_changes_with_what_it_does_and_with_nothing_else() {
    let (source, target) = (Mongod::standalone().await.unwrap(), Mongod::standalone().await.unwrap());
    small_collections(&source).await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let first = Arc::new(backed_up(&source, &store, options(Compression::None)).await.unwrap());
    let plain = || restore::Options { existing: Existing::Drop, ..restore::Options::default() };
    let shown = digest((&store, &first), &target, plain()).await;
    assert!(shown.len() == 64 && shown.bytes().all(|b| b.is_ascii_hexdigit()), "{shown}");

    let one_writer = restore::Options { writers: 7, ..plain() };
    assert_eq!(digest((&store, &first), &target, one_writer).await, shown, "how quick it is does not matter");
    let client = target.client().await.unwrap();
    client.database("other").collection("x").insert_one(bson::doc! {}).await.unwrap();
    client.database("shop").collection("unconcerned").insert_one(bson::doc! {}).await.unwrap();
    assert_eq!(digest((&store, &first), &target, plain()).await, shown);

    let renames = Renames::new(vec!["shop.a=shop.z".to_owned()]).unwrap();
    let mut seen = vec![shown.clone()];
    for options in [
        restore::Options { renames, ..plain() },
        restore::Options { existing: Existing::Keep, ..plain() },
        restore::Options { indexes: restore::Indexes::None, ..plain() },
    ] {
        let other = digest((&store, &first), &target, options).await;
        assert!(!seen.contains(&other));
        seen.push(other);
    }
    client.database("shop").collection("a").insert_one(bson::doc! {}).await.unwrap();
    let there = digest((&store, &first), &target, plain()).await;
    assert!(!seen.contains(&there), "now something is replaced");
    client.database("shop").collection::<bson::Document>("a").drop().await.unwrap();
    assert_eq!(digest((&store, &first), &target, plain()).await, shown);

    let second = Arc::new(backed_up(&source, &store, options(Compression::None)).await.unwrap());
    assert_ne!(digest((&store, &second), &target, plain()).await, shown, "another backup");
}
