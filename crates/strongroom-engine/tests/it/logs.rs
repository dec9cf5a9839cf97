//! The log of a run, beside the backup that it made or did not make.

use std::sync::Arc;

use bytes::Bytes;
use sandbox::Sandbox;
use strongroom_engine::bucket::{ObjectStore, Sse};
use strongroom_engine::catalog::{self, Entry, Place};
use strongroom_engine::clean::{self, Options, Why};
use strongroom_engine::guard::{Access, Settings, documents};
use strongroom_engine::{
    BackupId, Code, Compression, LOG_BYTES_MAX, Manifest, Period, PlanName, backup as backups, read_log,
    store_log, verify,
};
use testbed::Mongod;
use tokio_util::sync::CancellationToken;

use crate::bucket::bucket;
use crate::bucket_contract::put;
use crate::clean::{DAY, later};
use crate::setup::{backup, folder, options, small_collections, unwatched};

const BUCKET: &str = "youraccountname-mlab-backups";
const LINES: &[u8] = b"{\"code\":\"began\"}\n{\"code\":\"phase\"}\n";

fn place(manifest: &Manifest) -> (PlanName, BackupId) {
    (manifest.plan.parse().unwrap(), manifest.id.parse().unwrap())
}

async fn logged(store: &dyn ObjectStore, of: &(PlanName, BackupId), sse: &Sse) {
    store_log(store, (&of.0, &of.1), Bytes::from_static(LINES), sse).await.unwrap();
}

async fn source() -> Mongod {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    source
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_stands_beside_a_backup_and_goes_with_it() {
    let path = tempfile::tempdir().unwrap();
    let store = folder(path.path());
    let manifest = backup(&source().await, &store, options(Compression::None)).await.unwrap();
    let of = place(&manifest);
    let at = (&of.0, &of.1);
    assert_eq!(read_log(&*store, at).await.unwrap(), None);
    logged(&*store, &of, &Sse::None).await;
    logged(&*store, &of, &Sse::None).await;
    assert_eq!(read_log(&*store, at).await.unwrap().unwrap(), LINES);
    let other = store_log(&*store, at, Bytes::from_static(b"{}\n"), &Sse::None).await.unwrap_err();
    assert_eq!(other.code(), Code::ObjectExists, "a log is written once");
    let long = Bytes::from(vec![b' '; LOG_BYTES_MAX as usize + 1]);
    assert_eq!(store_log(&*store, at, long, &Sse::None).await.unwrap_err().code(), Code::Usage);

    assert_eq!(verify(store.clone(), &manifest, 2, &unwatched()).await.unwrap().problems, []);
    assert!(matches!(&catalog::list(&*store, None).await.unwrap()[..], [Entry::Backup(_)]));
    assert!(!path.path().join("default").join(&manifest.id).join("segments/log.jsonl").exists());
    let deleted = catalog::delete(store.clone(), None, &of.1, &unwatched()).await.unwrap();
    assert_eq!(deleted.objects, manifest.segments.len() as u64 + 2);
    assert!(!path.path().join("default").join(&manifest.id).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_with_nothing_but_a_log_is_no_backup_and_goes_by_its_age() {
    let path = tempfile::tempdir().unwrap();
    let store = folder(path.path());
    let of: (PlanName, BackupId) = (PlanName::default(), "20200101T000000Z-dead".parse().unwrap());
    logged(&*store, &of, &Sse::None).await;
    let entries = catalog::list(&*store, None).await.unwrap();
    assert!(matches!(&entries[..], [Entry::LogOnly(_, Some(_))]), "{entries:?}");
    assert_eq!(catalog::find(&*store, None, "latest").await.unwrap_err().code(), Code::NotABackup);
    let deletion = catalog::delete(store.clone(), None, &of.1, &unwatched()).await;
    assert_eq!(deletion.unwrap_err().code(), Code::NotABackup);

    let wanted = Options { plan: None, older_than: Period::seconds(DAY), damaged: false, newer: false };
    let young = clean::look(&*store, &wanted, &later(0)).await.unwrap();
    assert_eq!((young.found.len(), young.stays.len()), (0, 1), "{young:?}");
    let old = later(2 * DAY);
    let dead = clean::look(&*store, &wanted, &old).await.unwrap();
    assert_eq!(dead.found.iter().map(|found| found.why).collect::<Vec<_>>(), [Why::LogOnly]);
    let cleared = dead.clear(store.clone(), &old).await.unwrap();
    assert_eq!((cleared.objects, cleared.left.len()), (1, 0));
    assert!(!path.path().join("default").join(of.1.as_str()).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_try_left_is_cleared_away_at_once_and_its_log_stays_until_it_is_old() {
    let path = tempfile::tempdir().unwrap();
    let store = folder(path.path());
    let of: (PlanName, BackupId) = (PlanName::default(), "20200101T000000Z-dead".parse().unwrap());
    let place = || Place { plan: of.0.clone(), id: of.1.clone() };
    put(&*store, "default/20200101T000000Z-dead/segments/00001-00000.zst", b"x", &Sse::None).await.unwrap();
    logged(&*store, &of, &Sse::None).await;
    for objects in [1, 0] {
        let cleared = clean::one(store.clone(), place(), &unwatched()).await.unwrap().unwrap();
        assert_eq!((cleared.objects, cleared.left.len()), (objects, 0));
        assert_eq!(read_log(&*store, (&of.0, &of.1)).await.unwrap().unwrap(), LINES);
    }
}

/// A bucket with versions, and a store for each identity of split access.
async fn split(sandbox: &Sandbox) -> [Arc<dyn ObjectStore>; 3] {
    assert!(sandbox.create_bucket(BUCKET) && sandbox.enable_versioning(BUCKET));
    let mut settings = Settings::new(BUCKET, "shop");
    (settings.access, settings.versioned) = (Access::Split, true);
    let documents = documents(&settings);
    ["writer", "restorer", "pruner"].map(|role| {
        let document = documents.iter().find(|document| document.title().contains(role)).unwrap();
        sandbox.account().create_user(role).unwrap();
        sandbox.account().put_user_policy(role, "own", &document.policy.to_string()).unwrap();
        let key = sandbox.account().create_access_key(role).unwrap();
        bucket(&sandbox.endpoint(), (&key.id, &key.secret))
    })
}

fn encrypted() -> backups::Options {
    backups::Options { sse: Sse::Aes256, ..options(Compression::None) }
}

fn left(sandbox: &Sandbox) -> Vec<String> {
    sandbox.contents(BUCKET).into_iter().filter(|key| !key.contains("RESTORE.md")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn split_identities_write_read_and_delete_a_log_by_its_version() {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let [writer, restorer, pruner] = split(&sandbox).await;
    let manifest = backup(&source().await, &writer, encrypted()).await.unwrap();
    let of = place(&manifest);
    logged(&*writer, &of, &Sse::Aes256).await;
    assert_eq!(read_log(&*writer, (&of.0, &of.1)).await.unwrap_err().code(), Code::Denied);
    assert_eq!(read_log(&*restorer, (&of.0, &of.1)).await.unwrap().unwrap(), LINES);
    catalog::delete(pruner, None, &of.1, &unwatched()).await.unwrap();
    assert_eq!(left(&sandbox), Vec::<String>::new(), "no version and no marker is left");
}

/// Killed at any request, a deletion is ended by the next, and leaves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_is_killed_anywhere_leaves_no_log_once_it_is_ended() {
    let (sandbox, source) = (Sandbox::builder().start().await.unwrap(), source().await);
    let [writer, _, pruner] = split(&sandbox).await;
    for request in 1..20 {
        let manifest = backup(&source, &writer, encrypted()).await.unwrap();
        let of = place(&manifest);
        logged(&*writer, &of, &Sse::Aes256).await;
        let stop = CancellationToken::new();
        let ring = stop.clone();
        sandbox.at_request(request, move || ring.cancel());
        let job = unwatched();
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => false,
            done = catalog::delete(pruner.clone(), None, &of.1, &job) => done.is_ok(),
        };
        match catalog::delete(pruner.clone(), None, &of.1, &job).await {
            Ok(_) => {}
            Err(error) => assert_eq!(error.code(), Code::NotABackup, "request {request}: {error}"),
        }
        assert_eq!(left(&sandbox), Vec::<String>::new(), "killed at request {request}");
        if ended {
            return;
        }
    }
    panic!("a deletion of so few objects takes fewer requests");
}
