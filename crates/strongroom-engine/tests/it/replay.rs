//! Whatever happened after a backup was read is there once its oplog was replayed: all of it, exactly, and only once.

use std::path::Path;
use std::sync::Arc;

use bson::{Bson, Document, RawDocumentBuf, Timestamp, doc, rawdoc};
use futures::TryStreamExt;
use mongo_archive::{Crc64, Encoder, Namespace as ArchiveNamespace};
use mongodb::Client;
use sha2::{Digest, Sha256};
use strongroom_engine::bucket::ObjectStore;
use strongroom_engine::error::{Code, Result};
use strongroom_engine::manifest::{
    ClusterTime, Compression, Consistency, Content, Manifest, NamespaceKind, OplogWindow, Segment, Totals,
};
use strongroom_engine::renames::Renames;
use strongroom_engine::restore::{Options, Restored, Source};
use strongroom_engine::selection::Filter;
use tempfile::TempDir;
use testbed::fingerprint::{differences, fingerprint};
use testbed::{Mongod, dataset, mongod};

use crate::changes;
use crate::setup::{backup, folder, options, restore_with};

/// A source, and a place for backups of it.
pub(crate) struct Bed {
    pub(crate) source: Mongod,
    pub(crate) client: Client,
    place: TempDir,
    store: Arc<dyn ObjectStore>,
}

impl Bed {
    async fn new() -> Self {
        let source = Mongod::replica_set().await.unwrap();
        let client = source.client().await.unwrap();
        let place = tempfile::tempdir().unwrap();
        let store = folder(place.path());
        Self { source, client, place, store }
    }

    async fn backup(&self) -> Manifest {
        backup(&self.source, &self.store, options(Compression::None)).await.unwrap()
    }

    /// The newest entry of the oplog.
    async fn now(&self) -> ClusterTime {
        let oplog = self.client.database("local").collection::<Document>("oplog.rs");
        let newest = oplog.find_one(doc! {}).sort(doc! { "$natural": -1 }).await.unwrap().unwrap();
        moment(newest.get_timestamp("ts").unwrap())
    }

    /// Every entry after a moment, as the server holds it.
    async fn entries(&self, from: ClusterTime) -> Vec<RawDocumentBuf> {
        let oplog = self.client.database("local").collection::<RawDocumentBuf>("oplog.rs");
        let from = Timestamp { time: from.seconds, increment: from.increment };
        oplog.find(doc! { "ts": { "$gt": from } }).await.unwrap().try_collect().await.unwrap()
    }

    /// The backup with these entries in place of its oplog.
    fn with_oplog(&self, manifest: &Manifest, from: ClusterTime, entries: &[RawDocumentBuf]) -> Manifest {
        with_oplog(self.place.path(), manifest, from, entries)
    }

    async fn restore(&self, manifest: &Manifest, target: &Mongod, options: Options) -> Result<Restored> {
        let source = Source::backup(self.store.clone(), Arc::new(manifest.clone()));
        restore_with(source, target, Options { writers: 2, ..options }).await
    }
}

fn moment(ts: Timestamp) -> ClusterTime {
    ClusterTime { seconds: ts.time, increment: ts.increment }
}

fn at(moment: ClusterTime) -> Options {
    Options { at: Some(moment), ..Options::default() }
}

fn with_oplog(place: &Path, manifest: &Manifest, from: ClusterTime, entries: &[RawDocumentBuf]) -> Manifest {
    let mut manifest = manifest.clone();
    let oplog = manifest.namespaces.iter().position(|n| n.kind == NamespaceKind::Oplog).unwrap();
    manifest.segments.retain(|segment| segment.contents.iter().all(|c| c.namespace != oplog));
    let mut crc = Crc64::new();
    let mut encoder = Encoder::blocks(Vec::new());
    let name = ArchiveNamespace { db: String::new(), collection: "oplog".into() };
    encoder.begin_block(&name).unwrap();
    for entry in entries {
        encoder.document(entry.as_bytes()).unwrap();
        crc.update(entry.as_bytes());
    }
    encoder.end_block().unwrap();
    encoder.eof(&name, crc.value()).unwrap();
    let bytes = encoder.finish().unwrap();
    let key = format!("{}/{}/segments/replayed.bson", manifest.plan, manifest.id);
    std::fs::write(place.join(&key), &bytes).unwrap();
    let content = Content {
        namespace: oplog,
        documents: entries.len() as u64,
        bytes: entries.iter().map(|entry| entry.as_bytes().len() as u64).sum(),
    };
    manifest.segments.push(Segment {
        key,
        version_id: None,
        stored_bytes: bytes.len() as u64,
        raw_bytes: bytes.len() as u64,
        sha256: hex::encode(Sha256::digest(&bytes)),
        contents: vec![content],
    });
    let namespace = &mut manifest.namespaces[oplog];
    (namespace.documents, namespace.bytes) = (content.documents, content.bytes);
    namespace.crc64 = format!("{:016x}", crc.value());
    manifest.totals = Totals::of(&manifest.namespaces, &manifest.segments);
    let last = entries.last().map_or(from, |entry| moment(entry.get_timestamp("ts").unwrap()));
    manifest.oplog = Some(OplogWindow { from, to: last, cut_short: None });
    Manifest::from_json(&manifest.to_json().unwrap()).unwrap()
}

/// Says that everything was read at some moment of the window.
fn read_later(manifest: &mut Manifest) {
    let window = manifest.oplog.clone().unwrap();
    let read_plainly = manifest.namespaces.iter().map(|n| n.name()).collect();
    manifest.consistency = Consistency::Oplog { from: window.from, at: window.to, read_plainly };
}

#[tokio::test(flavor = "multi_thread")]
async fn whenever_it_was_read_the_replay_leads_to_the_same() {
    let bed = Bed::new().await;
    dataset::every_kind(&bed.client).await.unwrap();
    changes::prepare(&bed.client).await;
    let from = bed.now().await;
    let mut backups = vec![bed.backup().await];
    changes::first(&bed.client).await;
    backups.push(bed.backup().await);
    changes::second(&bed.client).await;
    backups.push(bed.backup().await);
    let end = bed.now().await;
    let entries = bed.entries(from).await;
    let wanted = fingerprint(&bed.client).await.unwrap();

    for (stage, manifest) in backups.iter().enumerate() {
        let mut manifest = bed.with_oplog(manifest, from, &entries);
        read_later(&mut manifest);
        let target = Mongod::replica_set().await.unwrap();
        let restored = bed.restore(&manifest, &target, at(end)).await.unwrap();
        assert_eq!((restored.refused, restored.exceptions), (0, vec![]), "stage {stage}");
        let found = fingerprint(&target.client().await.unwrap()).await.unwrap();
        assert_eq!(differences(&wanted, &found), Vec::<String>::new(), "stage {stage}");
    }
    // Read at one moment, so that everything has to fit together; into other names.
    let Consistency::Oplog { from, .. } = backups[0].consistency else { panic!("the capped collection") };
    let entries = bed.entries(from).await;
    let manifest = bed.with_oplog(&backups[0], from, &entries);
    let target = Mongod::replica_set().await.unwrap();
    let renames = Renames::new(["shop.*=copy.*".to_owned()]).unwrap();
    let filter = Filter::new(vec!["shop.*".into()], vec![]).unwrap();
    let restored = bed.restore(&manifest, &target, Options { renames, filter, ..at(end) }).await.unwrap();
    assert_eq!((restored.refused, restored.exceptions), (0, vec![]));
    assert_eq!(hashes(&bed.source, "shop").await, hashes(&target, "copy").await);
}

async fn hashes(server: &Mongod, db: &str) -> Document {
    let answer = server.command(db, doc! { "dbHash": 1 }).await.unwrap();
    answer.get_document("collections").unwrap().clone()
}
