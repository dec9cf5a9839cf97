//! Stores that fail at every possible moment: what is called a backup restores, and nothing else is called one.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use strongroom_engine::backup::{Options, prepare};
use strongroom_engine::bucket::{Fetched, Listing, ObjectStore, Sse, Stored};
use strongroom_engine::catalog::{self, Entry};
use strongroom_engine::deployment::Deployment;
use strongroom_engine::{BackupId, Code, Compression, Error, HelpCommand, Location, Result, verify};
use testbed::Mongod;
use tokio_util::sync::CancellationToken;

use crate::bucket_contract::put;
use crate::setup::{back_up, backup, folder, job, options, small_collections, unwatched};
use crate::users::Warnings;

/// What goes wrong with the n-th write or deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It does not happen.
    Fails,
    /// It happens, and the answer is lost.
    AnswerLost,
    /// It and everything after it does not happen: the store, or this machine, is gone.
    Gone,
}

#[derive(Debug)]
struct Faulty {
    inner: Arc<dyn ObjectStore>,
    at: usize,
    fault: Fault,
    changes: AtomicUsize,
}

impl Faulty {
    fn new(inner: &Arc<dyn ObjectStore>, at: usize, fault: Fault) -> Arc<Self> {
        Arc::new(Self { inner: inner.clone(), at, fault, changes: AtomicUsize::new(0) })
    }

    fn broken() -> Error {
        Error::new(Code::StoreHost, "the connection broke")
    }

    /// Whether this change happens, and whether it is answered.
    fn fate(&self) -> (bool, bool) {
        let change = self.changes.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::Fails => (change != self.at, change != self.at),
            Fault::AnswerLost => (true, change != self.at),
            Fault::Gone => (change < self.at, change < self.at),
        }
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    fn location(&self) -> &Location {
        self.inner.location()
    }

    async fn put(&self, key: &str, body: Bytes, sha256: &[u8; 32], sse: &Sse) -> Result<Stored> {
        let (happens, answered) = self.fate();
        let stored = if happens { Some(self.inner.put(key, body, sha256, sse).await?) } else { None };
        stored.filter(|_| answered).ok_or_else(Self::broken)
    }

    async fn get(&self, key: &str, version_id: Option<&str>, bytes_max: u64) -> Result<Fetched> {
        self.inner.get(key, version_id, bytes_max).await
    }

    async fn get_start(&self, key: &str, bytes_max: u64) -> Result<Fetched> {
        self.inner.get_start(key, bytes_max).await
    }

    async fn list(&self, folder: &str) -> Result<Listing> {
        self.inner.list(folder).await
    }

    async fn delete(&self, key: &str, version_id: Option<&str>) -> Result<()> {
        let (happens, answered) = self.fate();
        if happens {
            self.inner.delete(key, version_id).await?;
        }
        if answered { Ok(()) } else { Err(Self::broken()) }
    }
}

/// How many backups there are; each of them must be sound.
async fn sound_backups(store: &Arc<dyn ObjectStore>) -> usize {
    let mut backups = 0;
    for entry in catalog::list(&**store, None).await.unwrap() {
        if let Entry::Backup(summary) = entry {
            let manifest = catalog::find(&**store, None, &summary.id).await.unwrap();
            let report = verify(store.clone(), &manifest, 2, &unwatched()).await.unwrap();
            assert_eq!(report.problems, []);
            backups += 1;
        }
    }
    backups
}

/// Changes that one backup of the source makes to a store.
async fn changes_of_a_backup(source: &Mongod) -> usize {
    let place = tempfile::tempdir().unwrap();
    let counting = Faulty::new(&folder(place.path()), usize::MAX, Fault::Fails);
    let store: Arc<dyn ObjectStore> = counting.clone();
    backup(source, &store, options(Compression::None)).await.unwrap();
    counting.changes.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_write_fails_there_is_no_half_backup() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    let changes = changes_of_a_backup(&source).await;
    assert!(changes >= 4, "prelude, segment, note, manifest");
    let manifest = changes - 1;
    for at in 0..changes {
        for fault in [Fault::Fails, Fault::AnswerLost, Fault::Gone] {
            let place = tempfile::tempdir().unwrap();
            let honest = folder(place.path());
            let faulty: Arc<dyn ObjectStore> = Faulty::new(&honest, at, fault);
            let outcome = backup(&source, &faulty, options(Compression::None)).await;
            if (at, fault) == (manifest, Fault::AnswerLost) {
                // It is read back, so there is a backup.
                outcome.unwrap();
                assert_eq!(sound_backups(&honest).await, 1);
                continue;
            }
            let error = outcome.unwrap_err();
            assert_eq!(error.code(), Code::StoreHost, "{fault:?} at {at}");
            assert_eq!(error.message().contains("not known whether"), at == manifest, "{error}");
            if !place.path().join("default").exists() {
                continue;
            }
            // Only a store that is gone keeps pieces, or one that may still make a backup of them.
            assert!(fault == Fault::Gone || at == manifest, "pieces are left after {fault:?} at {at}");
            assert_eq!(sound_backups(&honest).await, 0, "{fault:?} at {at}");
            // And the next backup is none the worse.
            backup(&source, &honest, options(Compression::None)).await.unwrap();
            assert_eq!(sound_backups(&honest).await, 1);
        }
    }
}

/// What becomes of the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    /// It is stored, the answer is lost, and from then on nothing is answered.
    Stored,
    /// It is on its way for longer than anybody waits.
    UnderWay,
}

/// A store that stops to answer when the manifest was sent.
#[derive(Debug)]
struct Silent {
    inner: Arc<dyn ObjectStore>,
    late: Late,
    cancel: CancellationToken,
    on_its_way: Mutex<Option<(String, Bytes)>>,
}

impl Silent {
    fn is_gone(&self) -> bool {
        self.late == Late::Stored && self.on_its_way.lock().unwrap().is_some()
    }

    /// The request that was given up takes effect.
    async fn arrives(&self) {
        let (key, body) = self.on_its_way.lock().unwrap().take().unwrap();
        put(&*self.inner, &key, &body, &Sse::None).await.unwrap();
    }
}

#[async_trait]
impl ObjectStore for Silent {
    fn location(&self) -> &Location {
        self.inner.location()
    }

    async fn put(&self, key: &str, body: Bytes, sha256: &[u8; 32], sse: &Sse) -> Result<Stored> {
        if !key.ends_with("manifest.json") {
            return self.inner.put(key, body, sha256, sse).await;
        }
        *self.on_its_way.lock().unwrap() = Some((key.to_owned(), body));
        match self.late {
            Late::Stored => Err(Faulty::broken()),
            Late::UnderWay => {
                self.cancel.cancel();
                std::future::pending().await
            }
        }
    }

    async fn get(&self, key: &str, version_id: Option<&str>, bytes_max: u64) -> Result<Fetched> {
        if self.is_gone() { Err(Faulty::broken()) } else { self.inner.get(key, version_id, bytes_max).await }
    }

    async fn get_start(&self, key: &str, bytes_max: u64) -> Result<Fetched> {
        self.inner.get_start(key, bytes_max).await
    }

    async fn list(&self, folder: &str) -> Result<Listing> {
        self.inner.list(folder).await
    }

    async fn delete(&self, key: &str, version_id: Option<&str>) -> Result<()> {
        self.inner.delete(key, version_id).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_may_be_there_keeps_its_segments() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    for (late, code) in [(Late::Stored, Code::StoreHost), (Late::UnderWay, Code::Cancelled)] {
        let place = tempfile::tempdir().unwrap();
        let (inner, cancel) = (folder(place.path()), CancellationToken::new());
        let on_its_way = Mutex::default();
        let silent = Arc::new(Silent { inner: inner.clone(), late, cancel: cancel.clone(), on_its_way });
        let deployment = Deployment::connect(&source.uri().parse().unwrap()).await.unwrap();
        let job = job(Arc::new(strongroom_engine::Silent), cancel);
        let made = back_up(deployment, silent.clone(), options(Compression::None), job).await;
        let error = made.unwrap_err();
        assert_eq!(error.code(), code, "{error:?}");
        assert!(error.message().contains("not known whether the backup `default/"), "{error}");
        assert!(error.help_text().unwrap().parts().contains(&HelpCommand::List.into()));
        assert_eq!(sound_backups(&inner).await, 0);
        silent.arrives().await;
        assert_eq!(sound_backups(&inner).await, 1, "{late:?}");
    }
}

/// A store that answers nothing any more, from the moment on at which a person stops the backup.
#[derive(Debug)]
struct Hanging {
    inner: Arc<dyn ObjectStore>,
    /// What is in the key of the object that it happens at.
    at: &'static str,
    cancel: CancellationToken,
}

impl Hanging {
    async fn answers(&self) {
        if self.cancel.is_cancelled() {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl ObjectStore for Hanging {
    fn location(&self) -> &Location {
        self.inner.location()
    }

    async fn put(&self, key: &str, body: Bytes, sha256: &[u8; 32], sse: &Sse) -> Result<Stored> {
        if key.contains(self.at) {
            self.cancel.cancel();
        }
        self.answers().await;
        self.inner.put(key, body, sha256, sse).await
    }

    async fn get(&self, key: &str, version_id: Option<&str>, bytes_max: u64) -> Result<Fetched> {
        self.answers().await;
        self.inner.get(key, version_id, bytes_max).await
    }

    async fn get_start(&self, key: &str, bytes_max: u64) -> Result<Fetched> {
        self.answers().await;
        self.inner.get_start(key, bytes_max).await
    }

    async fn list(&self, folder: &str) -> Result<Listing> {
        self.answers().await;
        self.inner.list(folder).await
    }

    async fn delete(&self, key: &str, version_id: Option<&str>) -> Result<()> {
        self.answers().await;
        self.inner.delete(key, version_id).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_backup_does_not_wait_for_a_store_that_hangs_and_names_what_may_be_there() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    for (at, said) in [
        // The first one is stored last of all segments.
        ("segments/00000-", ["did not say in time whether `default/", "could not be deleted"]),
        ("manifest.json", ["", ""]),
    ] {
        let (place, cancel) = (tempfile::tempdir().unwrap(), CancellationToken::new());
        let store = Arc::new(Hanging { inner: folder(place.path()), at, cancel: cancel.clone() });
        let deployment = Deployment::connect(&source.uri().parse().unwrap()).await.unwrap();
        let heard = Arc::new(Warnings::default());
        let making = back_up(deployment, store, options(Compression::None), job(heard.clone(), cancel));
        // As long as a loaded machine may need. A store that hangs does so for ever.
        let made = tokio::time::timeout(std::time::Duration::from_secs(60), making).await;
        let error = made.expect("it ends").unwrap_err();
        assert_eq!(error.code(), Code::Cancelled, "{error:?}");
        let is_unknown = error.message().contains("not known whether the backup `default/");
        assert_eq!(is_unknown, at == "manifest.json", "{error:?}");
        let heard = heard.0.lock().unwrap().join("\n");
        assert!(said.iter().all(|part| heard.contains(part)), "{at}: {heard}");
        assert_eq!(sound_backups(&folder(place.path())).await, 0);
    }
}

/// A store in which somebody clears away what looks like pieces, while the backup runs.
#[derive(Debug)]
struct Cleared {
    inner: Arc<dyn ObjectStore>,
    root: PathBuf,
    shorten: bool,
    /// It cannot be asked for afterwards.
    gone: bool,
}

#[async_trait]
impl ObjectStore for Cleared {
    fn location(&self) -> &Location {
        self.inner.location()
    }

    async fn put(&self, key: &str, body: Bytes, sha256: &[u8; 32], sse: &Sse) -> Result<Stored> {
        let segment = key.contains("/segments/00001-").then(|| self.root.join(key));
        let stored = self.inner.put(key, body, sha256, sse).await?;
        match segment {
            Some(path) if self.shorten => std::fs::write(path, b"short").unwrap(),
            Some(path) => std::fs::remove_file(path).unwrap(),
            None => {}
        }
        Ok(stored)
    }

    async fn get(&self, key: &str, version_id: Option<&str>, bytes_max: u64) -> Result<Fetched> {
        self.inner.get(key, version_id, bytes_max).await
    }

    async fn get_start(&self, key: &str, bytes_max: u64) -> Result<Fetched> {
        if self.gone {
            return Err(Faulty::broken());
        }
        self.inner.get_start(key, bytes_max).await
    }

    async fn list(&self, folder: &str) -> Result<Listing> {
        self.inner.list(folder).await
    }

    async fn delete(&self, key: &str, version_id: Option<&str>) -> Result<()> {
        self.inner.delete(key, version_id).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_that_vanish_while_a_backup_runs_are_noticed() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    for (shorten, gone) in [(false, false), (true, false), (true, true)] {
        let place = tempfile::tempdir().unwrap();
        let (inner, root) = (folder(place.path()), place.path().to_owned());
        let cleared = Arc::new(Cleared { inner: inner.clone(), root, shorten, gone });
        let error = backup(&source, &(cleared as Arc<dyn ObjectStore>), options(Compression::None)).await;
        let error = error.unwrap_err();
        if gone {
            // Then nobody knows whether it is there.
            assert_eq!(error.code(), Code::StoreHost, "{error:?}");
        } else {
            assert_eq!(error.code(), Code::ObjectMissing, "{error:?}");
            assert!(error.message().contains("/segments/00001-"), "{error}");
        }
        assert!(!place.path().join("default").exists(), "what is left of it is taken back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_somebody_else_is_met_and_not_deleted() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    for name in ["segments/00000-00000.bson", "segments/00001-00000.bson", "manifest.json"] {
        let place = tempfile::tempdir().unwrap();
        let store = folder(place.path());
        let id: BackupId = "20261123T020000Z-7f3k".parse().unwrap();
        let key = format!("default/{id}/{name}");
        put(&*store, &key, b"mine", &Sse::None).await.unwrap();
        let deployment = Deployment::connect(&source.uri().parse().unwrap()).await.unwrap();
        let (wanted, job) = (options(Compression::None), unwatched());
        let prepared = prepare(deployment, store.clone(), wanted, id, &job).await.unwrap();
        let error = prepared.run(&job).await.unwrap_err();
        assert_eq!(error.code(), Code::ObjectExists, "{name}: {error:?}");
        assert_eq!(std::fs::read(place.path().join(&key)).unwrap(), b"mine", "{name}");
        let listed = store.list(&format!("default/{}", "20261123T020000Z-7f3k/segments")).await.unwrap();
        let left: Vec<_> = listed.names().filter(|left| !name.ends_with(left)).collect();
        assert_eq!(left, Vec::<&str>::new(), "{name}: its own segments are taken back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_stops_anywhere_can_be_ended() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    for at in 0..8 {
        for fault in [Fault::Fails, Fault::AnswerLost, Fault::Gone] {
            let place = tempfile::tempdir().unwrap();
            let honest = folder(place.path());
            let manifest = backup(&source, &honest, options(Compression::None)).await.unwrap();
            let id = manifest.id.parse().unwrap();
            let faulty: Arc<dyn ObjectStore> = Faulty::new(&honest, at, fault);
            let first = catalog::delete(faulty, None, &id, &unwatched()).await;
            // Half deleted it is either still a sound backup, or none.
            sound_backups(&honest).await;
            if first.is_err() {
                match catalog::delete(honest.clone(), None, &id, &unwatched()).await {
                    // All was done but the last answer.
                    Err(error) => assert_eq!(error.code(), Code::NotABackup, "{fault:?} at {at}"),
                    Ok(deleted) => assert_eq!(deleted.stored_bytes, manifest.totals.stored_bytes),
                }
            }
            assert!(!place.path().join("default").exists(), "{fault:?} at {at}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_the_place_of_the_plan_is_refused_before_anything_is_read() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("nightly"), b"mine").unwrap();
    let wanted = Options { plan: "nightly".parse().unwrap(), ..options(Compression::None) };
    let deployment = Deployment::connect(&source.uri().parse().unwrap()).await.unwrap();
    let id: BackupId = "20261123T020000Z-7f3k".parse().unwrap();
    let error = prepare(deployment, folder(place.path()), wanted, id, &unwatched()).await.unwrap_err();
    assert_eq!(error.code(), Code::Usage, "{error}");
    assert!(error.message().contains("`nightly`") && error.message().contains("is a file"), "{error}");
    assert_eq!(std::fs::read(place.path().join("nightly")).unwrap(), b"mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_the_place_of_the_note_is_refused_before_anything_is_read() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("RESTORE.md")).unwrap();
    let deployment = Deployment::connect(&source.uri().parse().unwrap()).await.unwrap();
    let id: BackupId = "20261123T020000Z-7f3k".parse().unwrap();
    let job = unwatched();
    let prepared = prepare(deployment, folder(place.path()), options(Compression::None), id, &job).await;
    let error = prepared.unwrap_err();
    assert_eq!(error.code(), Code::Usage);
    assert!(error.message().contains("`RESTORE.md`"), "{error}");
    std::fs::remove_dir(place.path().join("RESTORE.md")).unwrap();
    backup(&source, &folder(place.path()), options(Compression::None)).await.unwrap();
}
