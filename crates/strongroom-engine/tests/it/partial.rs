//! Parts of a backup, under the same or other names.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bson::{Document, doc};
use bytes::Bytes;
use strongroom_engine::bucket::{Fetched, Listing, ObjectStore, Sse, Stored};
use strongroom_engine::deployment::Target;
use strongroom_engine::restore::{self, Action, Existing, Indexes, Options, Source, Users};
use strongroom_engine::{
    Code, Compression, Error, Event, Filter, Job, Location, Manifest, Observer, Renames, Result,
};
use testbed::fingerprint::{Fingerprint, differences, fingerprint};
use testbed::{Mongod, dataset};

use crate::setup::{backup, folder, options, restore_with, small_collections, unwatched};

/// Counts what is fetched.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn ObjectStore>,
    bytes: AtomicU64,
}

#[async_trait]
impl ObjectStore for Counting {
    fn location(&self) -> &Location {
        self.inner.location()
    }

    async fn put(&self, key: &str, body: Bytes, sha256: &[u8; 32], sse: &Sse) -> Result<Stored> {
        self.inner.put(key, body, sha256, sse).await
    }

    async fn get(&self, key: &str, version_id: Option<&str>, bytes_max: u64) -> Result<Fetched> {
        let fetched = self.inner.get(key, version_id, bytes_max).await?;
        self.bytes.fetch_add(fetched.body.len() as u64, Ordering::SeqCst);
        Ok(fetched)
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

/// A backup in a folder that stays as long as this.
struct Kept {
    store: Arc<dyn ObjectStore>,
    manifest: Manifest,
    _place: tempfile::TempDir,
}

impl Kept {
    async fn of(source: &Mongod) -> Self {
        let place = tempfile::tempdir().unwrap();
        let store = folder(place.path());
        let manifest = backup(source, &store, options(Compression::Zstd { level: 3 })).await.unwrap();
        Self { store, manifest, _place: place }
    }

    fn source(&self) -> Source {
        Source::backup(self.store.clone(), Arc::new(self.manifest.clone()))
    }
}

fn only(patterns: &[&str]) -> Filter {
    Filter::new(patterns.iter().map(ToString::to_string).collect(), vec![]).unwrap()
}

fn renames(rules: &[&str]) -> Renames {
    Renames::new(rules.iter().map(ToString::to_string)).unwrap()
}

async fn facts(server: &Mongod) -> Fingerprint {
    fingerprint(&server.client().await.unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_collection_of_a_hundred_fetches_no_more_than_its_own_bytes() {
    let (source, target) = (Mongod::standalone().await.unwrap(), Mongod::standalone().await.unwrap());
    let db = source.client().await.unwrap().database("shop");
    for i in 0..100 {
        // Nothing in it repeats, so that its stored bytes are about those of the documents.
        let text = |k: u64| {
            hex::encode((0..16).flat_map(|n| dataset_mix(i * 10_000 + k * 100 + n)).collect::<Vec<u8>>())
        };
        let documents = (0..200).map(|k| doc! { "_id": k as i64, "text": text(k) });
        db.collection::<Document>(&format!("c{i:02}")).insert_many(documents).await.unwrap();
    }
    let kept = Kept::of(&source).await;
    let stored: u64 = kept.manifest.segments.iter().map(|segment| segment.stored_bytes).sum();
    let counting = Arc::new(Counting { inner: kept.store.clone(), bytes: AtomicU64::new(0) });
    let part = Options { filter: only(&["shop.c42"]), ..Options::default() };
    let restored =
        restore_with(Source::backup(counting.clone(), Arc::new(kept.manifest.clone())), &target, part);
    assert_eq!(restored.await.unwrap().documents, 200);
    let fetched = counting.bytes.load(Ordering::SeqCst);
    assert!(
        fetched * 100 <= stored * 11 / 10,
        "{fetched} bytes of {stored} were fetched for a hundredth of them"
    );
}

/// Bytes that no compressor makes shorter.
fn dataset_mix(n: u64) -> [u8; 8] {
    let mut n = n.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (n ^ (n >> 31)).to_le_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_stands_beside_itself_under_another_name() {
    let server = Mongod::replica_set().await.unwrap();
    dataset::every_kind(&server.client().await.unwrap()).await.unwrap();
    let kept = Kept::of(&server).await;
    let before = facts(&server).await;
    let copy = Options {
        filter: only(&["shop.*"]),
        renames: renames(&["shop.*=shop_copy.*"]),
        ..Options::default()
    };
    let restored = restore_with(kept.source(), &server, copy).await.unwrap();
    assert_eq!((restored.refused, restored.exceptions), (0, vec![]));
    let (copied, kept): (Fingerprint, Fingerprint) =
        facts(&server).await.into_iter().partition(|(name, _)| name.starts_with("shop_copy."));
    assert_eq!(differences(&before, &kept), Vec::<String>::new(), "the original is as it was");
    // The hash of `system.views` is that of names that hold the database's.
    let comparable = |facts: &Fingerprint, db: &str| -> Fingerprint {
        let own =
            facts.iter().filter_map(|(name, fact)| Some((name.strip_prefix(db)?.to_owned(), fact.clone())));
        own.filter(|(name, _)| name != "system.views dbHash").collect()
    };
    assert_eq!(
        differences(&comparable(&before, "shop."), &comparable(&copied, "shop_copy.")),
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn renamed_collections_are_read_by_their_views_and_time_series_keep_their_buckets() {
    let (source, target) = (Mongod::standalone().await.unwrap(), Mongod::standalone().await.unwrap());
    dataset::every_kind(&source.client().await.unwrap()).await.unwrap();
    let kept = Kept::of(&source).await;
    let renamed = Options {
        filter: only(&["shop.*"]),
        users: Users::None,
        renames: renames(&["shop.*=shop.old *"]),
        ..Options::default()
    };
    let restored = restore_with(kept.source(), &target, renamed).await.unwrap();
    assert_eq!(restored.exceptions, Vec::<String>::new());
    let (from, to) =
        (source.client().await.unwrap().database("shop"), target.client().await.unwrap().database("shop"));
    for name in
        ["z base view", "a view on a view", "weather", "weather today", "on nothing", "log", "clustered"]
    {
        let wanted = from.collection::<Document>(name).count_documents(doc! {}).await.unwrap();
        let found = to.collection::<Document>(&format!("old {name}")).count_documents(doc! {}).await.unwrap();
        assert!(found == wanted && wanted > 0, "{name}: {wanted} became {found}");
    }
    let names = to.list_collection_names().await.unwrap();
    let others: Vec<_> =
        names.iter().filter(|name| !name.starts_with("old ") && !name.starts_with("system.")).collect();
    assert_eq!(others, Vec::<&String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn renames_that_cannot_be_are_refused_before_anything_is_touched() {
    let (source, target) = (Mongod::standalone().await.unwrap(), Mongod::standalone().await.unwrap());
    small_collections(&source).await;
    let db = source.client().await.unwrap().database("shop");
    db.run_command(doc! { "create": "v", "viewOn": "a", "pipeline": [] }).await.unwrap();
    let kept = Kept::of(&source).await;
    let refused = async |rules: &[&str]| -> Error {
        let options = Options { renames: renames(rules), ..Options::default() };
        let error = restore_with(kept.source(), &target, options).await.unwrap_err();
        assert_eq!(
            target.client().await.unwrap().database("shop").list_collection_names().await.unwrap(),
            Vec::<String>::new()
        );
        error
    };
    for (rules, told) in [
        (&["shop.a=shop.b"][..], "`shop.a` and `shop.b` would both become `shop.b`"),
        (&["shop.*=copy.all"], "would both become `copy.all`"),
        (&["shop.a=copy.a"], "the view `shop.v` reads `copy.a`, which would be in another database"),
        (&["shop.x=shop.y"], "the rule `shop.x=shop.y` renames nothing"),
        (&["shop.*=co py.*"], "cannot be the name of a collection"),
        (&["shop.a=shop.sys$tem"], "cannot be the name of a collection"),
        (&["shop.a=shop.system.buckets.w"], "cannot be the name of a collection"),
    ] {
        let error = refused(rules).await;
        assert_eq!(error.code(), Code::Usage, "{told}");
        assert!(error.message().contains(told), "`{told}` is not in: {error}");
        assert!(error.help_text().unwrap().to_string().contains("Nothing was touched"), "{error:?}");
    }
    let target_holds = target.client().await.unwrap().database("copy");
    target_holds.collection("a").insert_one(doc! {}).await.unwrap();
    let error = refused(&["shop.*=copy.*"]).await;
    assert_eq!(error.code(), Code::TargetNotEmpty);
    assert!(error.message().contains("`copy.a`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_may_be_left_out_and_built_later() {
    let (source, target) = (Mongod::replica_set().await.unwrap(), Mongod::replica_set().await.unwrap());
    dataset::every_kind(&source.client().await.unwrap()).await.unwrap();
    let kept = Kept::of(&source).await;
    let with = |indexes| Options { indexes, writers: 2, ..Options::default() };
    let early = restore_with(kept.source(), &target, with(Indexes::Only)).await.unwrap();
    assert!(
        early.exceptions.iter().any(|e| e.contains("`shop.products` is not there")),
        "{:?}",
        early.exceptions
    );
    assert_eq!((early.indexes, facts(&target).await.len()), (0, 0));

    let data = restore_with(kept.source(), &target, with(Indexes::None)).await.unwrap();
    assert_eq!((data.indexes, data.exceptions), (0, vec![]));
    let without = differences(&facts(&source).await, &facts(&target).await);
    assert!(!without.is_empty() && without.iter().all(|line| line.contains(" index ")), "{without:?}");

    let indexes = restore_with(kept.source(), &target, with(Indexes::Only)).await.unwrap();
    assert!(indexes.indexes > 0);
    assert_eq!((indexes.documents, indexes.exceptions), (0, vec![]));
    assert_eq!(differences(&facts(&source).await, &facts(&target).await), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn users_may_be_left_out_or_be_all_there_is() {
    let source = Mongod::replica_set().await.unwrap();
    dataset::every_kind(&source.client().await.unwrap()).await.unwrap();
    let kept = Kept::of(&source).await;
    let wanted = facts(&source).await;
    for users in [Users::None, Users::Only] {
        let target = Mongod::replica_set().await.unwrap();
        let options = Options { users, writers: 2, ..Options::default() };
        let restored = restore_with(kept.source(), &target, options).await.unwrap();
        assert_eq!(restored.exceptions, Vec::<String>::new());
        let is_wanted = |name: &str| name.starts_with("admin.system.") == (users == Users::Only);
        let wanted =
            wanted.iter().filter(|(name, _)| is_wanted(name)).map(|(n, f)| (n.clone(), f.clone())).collect();
        assert_eq!(differences(&wanted, &facts(&target).await), Vec::<String>::new(), "{users:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_collection_replaces_only_the_one_of_its_new_name() {
    let server = Mongod::standalone().await.unwrap();
    small_collections(&server).await;
    let kept = Kept::of(&server).await;
    let db = server.client().await.unwrap().database("shop");
    db.collection::<Document>("a").delete_many(doc! {}).await.unwrap();
    let options = Options {
        filter: only(&["shop.a"]),
        renames: renames(&["shop.a=shop.b"]),
        existing: Existing::Drop,
        ..Options::default()
    };
    restore_with(kept.source(), &server, options).await.unwrap();
    assert_eq!(db.collection::<Document>("a").count_documents(doc! {}).await.unwrap(), 0);
    let b = db.collection::<Document>("b");
    assert_eq!(b.count_documents(doc! { "in": "a" }).await.unwrap(), 10);
    assert_eq!(b.count_documents(doc! {}).await.unwrap(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_names_are_refused_exactly_where_a_server_would_refuse_them() {
    let server = Mongod::standalone().await.unwrap();
    let from = server.client().await.unwrap().database("from");
    from.collection("a").insert_one(doc! { "_id": 1 }).await.unwrap();
    let kept = Kept::of(&server).await;
    let (long, longest) = ("x".repeat(251), "x".repeat(250));
    let (long_db, longest_db) = ("d".repeat(64), "d".repeat(63));
    for (db, collection) in [
        ("shop", "a b"),
        ("shop", "a..b"),
        ("shop", "a$b"),
        ("shop", "$a"),
        ("shop", ".a"),
        ("shop", "a."),
        ("shop", "system.a"),
        ("shop", "ü🦀/\\\""),
        ("shop", &longest),
        ("shop", &long),
        (&longest_db, "a"),
        (&long_db, "a"),
        ("a b", "a"),
        ("a$b", "a"),
        ("a/b", "a"),
        ("a\"b", "a"),
        ("a-b_ü", "a"),
        ("a*b:|?<>", "a"),
    ] {
        let escaped = |name: &str| name.replace('\\', r"\\").replace('*', r"\*");
        let rule = format!("from.a={}.{}", escaped(db), escaped(collection));
        let options = Options { renames: renames(&[&rule]), ..Options::default() };
        let restored = restore_with(kept.source(), &server, options).await;
        let target = server.client().await.unwrap().database(db);
        let _ = target.collection::<Document>(collection).drop().await;
        let taken = target.run_command(doc! { "create": collection }).await;
        assert_eq!(restored.is_ok(), taken.is_ok(), "{db}.{collection}: {restored:?} {taken:?}");
        if let Err(error) = restored {
            assert_eq!(error.code(), Code::Usage, "{error}");
        }
    }
}

/// What a job reported, in order.
#[derive(Default)]
struct Seen(Mutex<Vec<Event>>);

impl Observer for Seen {
    fn observe(&self, event: &Event) {
        self.0.lock().unwrap().push(event.clone());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_shown_is_what_is_run_or_nothing_is() {
    let (source, target) = tokio::join!(Mongod::standalone(), Mongod::standalone());
    let (source, target) = (source.unwrap(), target.unwrap());
    small_collections(&source).await;
    let kept = Kept::of(&source).await;
    let prepare = async || {
        let connected = Target::connect(&target.uri().parse().unwrap()).await.unwrap();
        let settings = Options { existing: Existing::Drop, users: Users::None, ..Options::default() };
        restore::prepare(kept.source(), connected, settings).await.unwrap()
    };
    let prepared = prepare().await;
    let shop = target.client().await.unwrap().database("shop");
    shop.collection::<Document>("b")
        .insert_one(doc! { "_id": "made after the plan was shown" })
        .await
        .unwrap();
    let error = prepared.run(unwatched()).await.unwrap_err();
    assert_eq!(error.code(), Code::TargetChanged);
    assert!(error.message().contains("`shop.b` was created"), "{error}");
    assert_eq!(shop.list_collection_names().await.unwrap(), ["b"], "nothing was touched");

    let prepared = prepare().await;
    let shown: Vec<_> = prepared.preview().namespaces.iter().map(|n| (n.target.clone(), n.action)).collect();
    let expected = [("shop.a", Action::Create), ("shop.b", Action::Replace), ("shop.c", Action::Create)];
    assert_eq!(shown, expected.map(|(name, action)| (name.to_owned(), action)));
    let seen = Arc::new(Seen::default());
    let restored = prepared.run(Job { observer: seen.clone(), ..unwatched() }).await.unwrap();
    let (backup, plan) = (kept.manifest.id.clone(), Some(kept.manifest.plan.clone()));
    assert_eq!((&restored.backup, &restored.plan, restored.documents), (&backup, &plan, 30));
    let first = seen.0.lock().unwrap().first().cloned();
    assert_eq!(first, Some(Event::Began { backup: Some(backup), plan }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_series_is_added_to_nothing_else() {
    let (source, target) = (Mongod::standalone().await.unwrap(), Mongod::standalone().await.unwrap());
    source.command("shop", doc! { "create": "w", "timeseries": { "timeField": "t" } }).await.unwrap();
    let measured = doc! { "insert": "w", "documents": [{ "t": bson::DateTime::now() }] };
    source.command("shop", measured).await.unwrap();
    let kept = Kept::of(&source).await;
    target.command("shop", doc! { "create": "w" }).await.unwrap();
    let options = || Options { existing: Existing::Keep, ..Options::default() };
    let restored = restore_with(kept.source(), &target, options()).await.unwrap();
    assert_eq!((restored.namespaces, restored.documents), (0, 0));
    assert!(restored.exceptions[0].starts_with("`shop.w` is not restored"), "{:?}", restored.exceptions);
    let shop = target.client().await.unwrap().database("shop");
    assert_eq!(shop.list_collection_names().await.unwrap(), ["w"], "no buckets stand beside it");
    target.command("shop", doc! { "drop": "w" }).await.unwrap();
    target.command("shop", doc! { "create": "w", "timeseries": { "timeField": "t" } }).await.unwrap();
    let restored = restore_with(kept.source(), &target, options()).await.unwrap();
    assert_eq!((restored.documents, restored.exceptions), (1, vec![]));
}
