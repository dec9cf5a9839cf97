//! Whatever happened after a backup was read is there once its oplog was replayed: all of it, exactly, and only once.

use std::path::Path;
use std::sync::Arc;

use bson::raw::cstr;
use bson::{Document, RawArrayBuf, RawDocumentBuf, Timestamp, doc, rawdoc};
use futures::TryStreamExt;
use mongo_archive::{Crc64, Encoder, Namespace as ArchiveNamespace};
use mongodb::Client;
use sha2::{Digest, Sha256};
use strongroom_engine::bucket::ObjectStore;
use strongroom_engine::deployment::Target;
use strongroom_engine::restore::{self, Options, Restored, Source};
use strongroom_engine::{
    ClusterTime, Code, Compression, Consistency, Content, Filter, Manifest, Namespace, NamespaceKind,
    OplogWindow, Renames, Result, Segment, Totals,
};
use tempfile::TempDir;
use testbed::fingerprint::{differences, fingerprint};
use testbed::{Mongod, dataset, mongod};

use crate::changes;
use crate::setup::{backup, folder, options, restore_with, small_collections, unwatched};

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
    namespace.crc64 = crc.to_string();
    manifest.totals = Totals::of(&manifest.namespaces, &manifest.segments);
    let last = entries.last().map_or(from, |entry| moment(entry.get_timestamp("ts").unwrap()));
    manifest.oplog = Some(OplogWindow { from, to: last, cut_short: None });
    Manifest::from_json(&manifest.to_json().unwrap()).unwrap()
}

/// Says that everything was read at some moment of the window.
fn read_later(manifest: &mut Manifest) {
    let window = manifest.oplog.clone().unwrap();
    let read_plainly = manifest.namespaces.iter().map(Namespace::name).collect();
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

/// Hashes of collections; the definitions of views hold the database's name.
async fn hashes(server: &Mongod, db: &str) -> Document {
    let mut answer = server.command(db, doc! { "dbHash": 1 }).await.unwrap();
    let hashes = answer.get_document_mut("collections").unwrap();
    hashes.remove("system.views");
    std::mem::take(hashes)
}

/// A backup of a few documents, and entries that are made up.
struct Made {
    bed: Bed,
    manifest: Manifest,
    from: ClusterTime,
}

impl Made {
    async fn new() -> Self {
        let bed = Bed::new().await;
        small_collections(&bed.source).await;
        let manifest = bed.backup().await;
        let Consistency::Snapshot { cluster_time: from } = manifest.consistency else {
            panic!("no snapshot")
        };
        Self { bed, manifest, from }
    }

    /// So many entries after the snapshot (or before, if negative).
    fn after(&self, entries: i32) -> ClusterTime {
        let seconds = self.from.seconds.saturating_add_signed(entries);
        ClusterTime { seconds, increment: if entries == 0 { self.from.increment } else { 1 } }
    }

    fn entry(&self, after: i32, ns: &str, op: &str, o: RawDocumentBuf) -> RawDocumentBuf {
        let ts = self.after(after);
        rawdoc! { "op": op, "ns": ns, "o": o, "ts": Timestamp { time: ts.seconds, increment: ts.increment } }
    }

    fn insert(&self, after: i32, id: &str) -> RawDocumentBuf {
        self.entry(after, "shop.a", "i", rawdoc! { "_id": id })
    }

    /// An entry of a transaction.
    fn part(&self, after: i32, session: i32, begins: bool, o: RawDocumentBuf) -> RawDocumentBuf {
        let mut entry = self.entry(after, "admin.$cmd", "c", o);
        entry.append(cstr!("lsid"), rawdoc! { "id": session });
        entry.append(cstr!("txnNumber"), 7_i64);
        let before = Timestamp { time: u32::from(!begins), increment: 0 };
        entry.append(cstr!("prevOpTime"), rawdoc! { "ts": before, "t": 1_i64 });
        entry
    }

    fn with(&self, entries: &[RawDocumentBuf]) -> Manifest {
        self.bed.with_oplog(&self.manifest, self.from, entries)
    }

    async fn restore(&self, manifest: &Manifest, options: Options) -> (Mongod, Result<Restored>) {
        let target = Mongod::replica_set().await.unwrap();
        let restored = self.bed.restore(manifest, &target, options).await;
        (target, restored)
    }

    /// The texts among the `_id`s of `shop.a` when restored to so many entries after the snapshot.
    async fn ids_at(&self, manifest: &Manifest, after: i32) -> Vec<String> {
        let (target, restored) = self.restore(manifest, at(self.after(after))).await;
        assert_eq!(restored.unwrap().exceptions, Vec::<String>::new());
        let a = target.client().await.unwrap().database("shop").collection::<Document>("a");
        let texts = a.find(doc! { "_id": { "$type": "string" } }).sort(doc! { "_id": 1 }).await.unwrap();
        let found: Vec<Document> = texts.try_collect().await.unwrap();
        found.iter().map(|document| document.get_str("_id").unwrap().to_owned()).collect()
    }
}

fn operations(ids: &[&str]) -> RawArrayBuf {
    ids.iter().map(|id| rawdoc! { "op": "i", "ns": "shop.a", "o": { "_id": *id } }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_are_there_from_the_moment_they_take_effect() {
    let made = Made::new().await;
    let prepared = |ids: &[&str]| rawdoc! { "applyOps": operations(ids), "prepare": true };
    let partial = |ids: &[&str]| rawdoc! { "applyOps": operations(ids), "partialTxn": true };
    let manifest = made.with(&[
        made.insert(-3, "before the snapshot"),
        made.part(-2, 1, true, partial(&["1 a"])),
        made.part(-1, 2, true, prepared(&["2 gone"])),
        made.part(1, 1, false, prepared(&["1 b"])),
        made.part(2, 3, true, partial(&["3 a"])),
        made.insert(3, "between"),
        made.part(4, 3, false, rawdoc! { "applyOps": operations(&["3 b"]), "count": 2_i64 }),
        made.part(5, 2, false, rawdoc! { "abortTransaction": 1 }),
        made.part(6, 1, false, rawdoc! { "commitTransaction": 1 }),
        made.part(7, 4, true, prepared(&["4 never"])),
        made.insert(8, "last"),
    ]);
    assert_eq!(made.ids_at(&manifest, 0).await, Vec::<String>::new());
    assert_eq!(made.ids_at(&manifest, 3).await, ["between"]);
    assert_eq!(made.ids_at(&manifest, 5).await, ["3 a", "3 b", "between"]);
    assert_eq!(made.ids_at(&manifest, 8).await, ["1 a", "1 b", "3 a", "3 b", "between", "last"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_replayed_is_said_before_anything_is_touched() {
    let made = Made::new().await;
    let rename = rawdoc! { "renameCollection": "shop.b", "to": "shop.d" };
    let o = rawdoc! { "applyOps": [{ "op": "c", "ns": "shop.$cmd", "o": rename.clone() }] };
    let commit = rawdoc! { "commitTransaction": 1 };
    let (unknown, no_list) = (rawdoc! { "somethingNew": "a" }, rawdoc! { "applyOps": 7 });
    for (entry, code, word) in [
        (made.entry(2, "shop.$cmd", "c", rename), Code::NotReplayable, "renamed to `shop.d`"),
        (made.entry(2, "admin.$cmd", "c", o), Code::NotReplayable, "renamed to `shop.d`"),
        (made.entry(2, "shop.$cmd", "c", unknown), Code::NotReplayable, "`somethingNew`"),
        (made.entry(2, "shop.a", "x", rawdoc! {}), Code::NotReplayable, "kind `x` (of `shop.a`)"),
        (
            made.entry(2, "shop.$cmd", "c", rawdoc! { "upgradeDowngradeViewlessTimeseries": "b" }),
            Code::NotReplayable,
            "`upgradeDowngradeViewlessTimeseries`",
        ),
        (made.entry(2, "admin.$cmd", "c", no_list), Code::Damaged, "not as MongoDB writes them"),
    ] {
        let manifest = made.with(&[made.insert(1, "first"), entry, made.insert(3, "last")]);
        let (target, restored) = made.restore(&manifest, at(made.after(3))).await;
        let error = restored.unwrap_err();
        assert!(error.code() == code && error.message().contains(word), "{error}");
        assert!(error.message().starts_with("nothing was touched: "), "{error}");
        let names = target.client().await.unwrap().list_database_names().await.unwrap();
        assert!(!names.contains(&"shop".to_owned()), "{names:?} after {error}");
        if word.contains("renamed") {
            assert_eq!(made.ids_at(&manifest, 1).await, ["first"]);
        }
    }
    // What is left out does not matter.
    let rename = made.entry(2, "shop.$cmd", "c", rawdoc! { "renameCollection": "shop.b", "to": "shop.d" });
    let manifest = made.with(&[rename]);
    let filter = Filter::new(vec!["shop.a".into()], vec![]).unwrap();
    made.restore(&manifest, Options { filter, ..at(made.after(2)) }).await.1.unwrap();
    let manifest = made.with(&[made.part(1, 1, false, commit)]);
    let (target, restored) = made.restore(&manifest, at(made.after(1))).await;
    let error = restored.unwrap_err();
    assert_eq!(error.code(), Code::NotReplayable);
    assert!(error.message().contains("began before the oplog"), "{error}");
    assert!(error.message().starts_with("nothing was touched: "), "{error}");
    let names = target.client().await.unwrap().list_database_names().await.unwrap();
    assert!(!names.contains(&"shop".to_owned()), "{names:?}");
}

/// As MongoDB 8.3 and later write them: notes of a server about its own files, record ids, inserts of one batch.
#[tokio::test(flavor = "multi_thread")]
async fn what_newer_servers_note_for_themselves_does_not_stop_a_replay() {
    let made = Made::new().await;
    let container = |after, op| {
        let mut entry = made.entry(after, "admin.$container", op, rawdoc! { "k": 7_i64, "v": "x" });
        entry.append(cstr!("container"), "internal-9-123");
        entry
    };
    let mut with_record = made.insert(5, "with a record id");
    with_record.append(cstr!("rid"), 9_i64);
    let mut several = made.part(6, 1, true, rawdoc! { "applyOps": operations(&["several 1", "several 2"]) });
    several.append(cstr!("multiOpType"), 1);
    let dropped = rawdoc! { "dropIdent": "collection-7-123" };
    let manifest = made.with(&[
        container(1, "ci"),
        container(2, "cu"),
        container(3, "cd"),
        made.entry(4, "", "km", rawdoc! {}),
        with_record,
        several,
        made.entry(7, "admin.$cmd", "c", dropped),
        made.entry(8, "shop.$cmd", "c", rawdoc! { "setMultikeyMetadata": "a", "indexName": "x_1" }),
        made.insert(9, "last"),
    ]);
    assert_eq!(made.ids_at(&manifest, 9).await, ["last", "several 1", "several 2", "with a record id"]);
}

/// Members of another command, options of another version, and options that no server takes.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_oplog_creates_and_the_server_refuses_costs_nothing_else() {
    let made = Made::new().await;
    let create = |after, o| made.entry(after, "shop.$cmd", "c", o);
    let insert = |after, name: &str| made.entry(after, name, "i", rawdoc! { "_id": 1 });
    let manifest = made.with(&[
        create(1, rawdoc! { "create": "newer", "recordIdsReplicated": true, "capped": true, "size": 4096, "drop": "a" }),
        insert(2, "shop.newer"),
        create(3, rawdoc! { "create": "refused", "capped": true, "size": -5 }),
        insert(4, "shop.refused"),
        made.insert(5, "last"),
    ]);
    let (target, restored) = made.restore(&manifest, at(made.after(5))).await;
    let said = restored.unwrap().exceptions;
    let expected = [
        "`shop.newer` is restored without `drop`",
        "`shop.newer` was created without `recordIdsReplicated`",
        "`shop.refused` is not restored",
        "1 changes of `shop.refused`",
    ];
    assert_eq!(said.len(), expected.len(), "{said:?}");
    assert!(said.iter().zip(expected).all(|(said, expected)| said.contains(expected)), "{said:?}");
    let db = target.client().await.unwrap().database("shop");
    let mut names = db.list_collection_names().await.unwrap();
    names.sort_unstable();
    assert_eq!(names, ["a", "b", "c", "newer"]);
    assert_eq!(db.collection::<Document>("newer").count_documents(doc! {}).await.unwrap(), 1);
}

/// Its entries wait for the last one in a file.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_may_be_larger_than_what_is_kept_in_memory() {
    let made = Made::new().await;
    let large = |i: i32| rawdoc! { "op": "i", "ns": "shop.a", "o": { "_id": format!("large {i}"), "text": "x".repeat(9_000_000) } };
    let parts = (0..4).map(|i| {
        let list = RawArrayBuf::from_iter([large(i)]);
        let o = match i {
            3 => rawdoc! { "applyOps": list, "count": 4_i64 },
            _ => rawdoc! { "applyOps": list, "partialTxn": true },
        };
        made.part(i + 1, 1, i == 0, o)
    });
    let manifest = made.with(&parts.chain([made.insert(5, "last")]).collect::<Vec<_>>());
    assert_eq!(made.ids_at(&manifest, 3).await, Vec::<String>::new());
    assert_eq!(made.ids_at(&manifest, 5).await, ["large 0", "large 1", "large 2", "large 3", "last"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_moments_of_the_window_can_be_chosen() {
    let made = Made::new().await;
    let mut manifest = made.with(&[made.insert(2, "a"), made.insert(5, "b")]);
    for outside in [-1, 6] {
        let error = made.restore(&manifest, at(made.after(outside))).await.1.unwrap_err();
        assert_eq!(error.code(), Code::Usage);
        let window = [made.from, made.after(5)].map(|moment| moment.to_string());
        assert!(window.iter().all(|moment| error.message().contains(moment)), "{error}");
    }
    // A time of day means all of its second, also where that is the last one.
    let seconds = i64::from(made.after(5).seconds);
    let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap().to_rfc3339();
    let (target, restored) = made.restore(&manifest, at(time.parse().unwrap())).await;
    restored.unwrap();
    let a = target.client().await.unwrap().database("shop").collection::<Document>("a");
    assert_eq!(a.count_documents(doc! { "_id": { "$in": ["a", "b"] } }).await.unwrap(), 2);
    if let Some(window) = &mut manifest.oplog {
        window.cut_short = Some("somebody renamed something".into());
    }
    let error = made.restore(&manifest, at(made.after(6))).await.1.unwrap_err();
    assert!(error.message().contains("it ends there because somebody renamed something"), "{error}");
    manifest.oplog = None;
    let error = made.restore(&manifest, at(made.after(6))).await.1.unwrap_err();
    assert!(error.message().contains("no other moment"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_the_backup_is_an_exception() {
    let made = Made::new().await;
    let mut update = made.entry(1, "shop.a", "u", rawdoc! { "$v": 2, "diff": { "u": { "in": 1 } } });
    update.append(cstr!("o2"), rawdoc! { "_id": "nobody" });
    let elsewhere = made.entry(2, "shop.not there", "i", rawdoc! { "_id": 1 });
    let manifest = made.with(&[update, elsewhere, made.insert(3, "last")]);
    let restored = made.restore(&manifest, at(made.after(3))).await.1.unwrap();
    assert_eq!(restored.exceptions.len(), 2, "{restored:?}");
    assert!(restored.exceptions.iter().any(|e| e.contains("`shop.not there`")), "{restored:?}");
    assert!(restored.exceptions.iter().any(|e| e.contains("1 updates of `shop.a`")), "{restored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_privilege_is_named_before_anything_is_touched() {
    let made = Made::new().await;
    let mut update = made.entry(2, "shop.a", "u", rawdoc! { "$v": 2, "diff": { "u": { "in": "x" } } });
    update.append(cstr!("o2"), rawdoc! { "_id": 1 });
    let manifest = Arc::new(made.with(&[made.insert(1, "a"), update]));
    let options = mongod::Options { replica_set: true, auth: true, ..mongod::Options::default() };
    let target = Mongod::start(options).await.unwrap();
    let admin = |command| target.command("admin", command);
    admin(doc! { "createUser": "r", "pwd": "secret", "roles": ["restore"] }).await.unwrap();
    let restore = async |after| {
        let connected = Target::connect(&target.uri_for("r:secret@").parse().unwrap()).await.unwrap();
        let source = Source::backup(made.bed.store.clone(), manifest.clone());
        let options = Options { writers: 1, ..at(made.after(after)) };
        restore::prepare(source, connected, options).await?.run(unwatched()).await
    };
    let error = restore(2).await.unwrap_err();
    assert_eq!(error.code(), Code::MongoPrivilege);
    assert!(error.message().contains("lacks `update` on `shop.a`"), "{error}");
    assert!(error.help_text().unwrap().to_string().contains("readWriteAnyDatabase"), "{error:?}");
    let names = target.client().await.unwrap().list_database_names().await.unwrap();
    assert!(!names.contains(&"shop".to_owned()), "{names:?}");
    // Inserts alone need no more than the restore itself.
    assert_eq!(restore(1).await.unwrap().exceptions, Vec::<String>::new());
    let drop = doc! { "dropDatabase": 1 };
    target.command("shop", drop).await.unwrap();
    admin(doc! { "grantRolesToUser": "r", "roles": ["readWriteAnyDatabase"] }).await.unwrap();
    assert_eq!(restore(2).await.unwrap().exceptions, Vec::<String>::new());
}
