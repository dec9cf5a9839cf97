//! Stores that fail at every possible moment: what is called a backup restores, and nothing else is called one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use strongroom_engine::bucket::{Fetched, Listing, ObjectStore, Sse, Stored};
use strongroom_engine::catalog::{self, Entry};
use strongroom_engine::compression::Compression;
use strongroom_engine::error::{Code, Error, Result};
use strongroom_engine::location::Location;
use strongroom_engine::verify::verify;
use testbed::Mongod;

use crate::setup::{backup, folder, options, small_collections, unwatched};

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
    for at in 0..changes {
        for fault in [Fault::Fails, Fault::AnswerLost, Fault::Gone] {
            let place = tempfile::tempdir().unwrap();
            let honest = folder(place.path());
            let faulty: Arc<dyn ObjectStore> = Faulty::new(&honest, at, fault);
            let outcome = backup(&source, &faulty, options(Compression::None)).await;
            assert_eq!(outcome.unwrap_err().code(), Code::StoreHost, "{fault:?} at {at}");
            if !place.path().join("default").exists() {
                continue;
            }
            // Only a store that is gone keeps pieces, and they are no backup.
            assert_eq!(fault, Fault::Gone, "pieces are left after {fault:?} at {at}");
            assert_eq!(sound_backups(&honest).await, 0, "{fault:?} at {at}");
            // And the next backup is none the worse.
            backup(&source, &honest, options(Compression::None)).await.unwrap();
            assert_eq!(sound_backups(&honest).await, 1);
        }
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
