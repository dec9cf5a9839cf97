//! What the tests share: a store in a folder, a backup, a restore.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use strongroom_engine::bucket::{ObjectStore, StoreOptions, open};
use strongroom_engine::deployment::{Deployment, Target};
use strongroom_engine::restore::{self, Existing, Restored, Source};
use strongroom_engine::{
    BackupId, Clock, Compression, Filter, Job, Manifest, Observer, Result, Waits, backup,
};
use testbed::Mongod;
use tokio_util::sync::CancellationToken;

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct Fixed;

#[async_trait::async_trait]
impl Clock for Fixed {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000, 0).unwrap()
    }

    async fn sleep_until(&self, _: DateTime<Utc>) {}
}

/// A job that `observer` watches and `cancel` stops.
pub(crate) fn job(observer: Arc<dyn Observer>, cancel: CancellationToken) -> Job {
    Job { observer, cancel, clock: Arc::new(Fixed), waits: Waits::default() }
}

/// A job that nobody watches or stops.
pub(crate) fn unwatched() -> Job {
    Job::unwatched(Arc::new(Fixed))
}

pub(crate) fn folder(path: &std::path::Path) -> Arc<dyn ObjectStore> {
    open(&format!("file://{}", path.display()).parse().unwrap(), StoreOptions::default()).unwrap()
}

pub(crate) fn options(compression: Compression) -> backup::Options {
    backup::Options { readers: 2, compression, ..backup::Options::default() }
}

pub(crate) async fn backup(
    source: &Mongod,
    store: &Arc<dyn ObjectStore>,
    options: backup::Options,
) -> Result<Manifest> {
    let deployment = Deployment::connect(&source.uri().parse().unwrap()).await?;
    back_up(deployment, store.clone(), options, unwatched()).await
}

/// A backup from its preparation to its end.
pub(crate) async fn back_up(
    deployment: Deployment,
    store: Arc<dyn ObjectStore>,
    options: backup::Options,
    job: Job,
) -> Result<Manifest> {
    let id = BackupId::new(job.clock.now(), rand::random());
    backup::prepare(deployment, store, options, id, &job).await?.run(&job).await
}

pub(crate) async fn restore(
    store: &Arc<dyn ObjectStore>,
    manifest: &Manifest,
    target: &Mongod,
    existing: Existing,
    filter: Filter,
) -> Result<Restored> {
    let options = restore::Options { filter, existing, writers: 2, ..restore::Options::default() };
    restore_with(Source::backup(store.clone(), Arc::new(manifest.clone())), target, options).await
}

pub(crate) async fn restore_with(
    source: Source,
    target: &Mongod,
    options: restore::Options,
) -> Result<Restored> {
    let target = Target::connect(&target.uri().parse().unwrap()).await?;
    restore::prepare(source, target, options).await?.run(unwatched()).await
}

/// A few documents in a few collections.
pub(crate) async fn small_collections(source: &Mongod) {
    let db = source.client().await.unwrap().database("shop");
    for name in ["a", "b", "c"] {
        let documents = (0..10).map(|i| bson::doc! {"_id": i, "in": name});
        db.collection::<bson::Document>(name).insert_many(documents).await.unwrap();
    }
}
