//! Many backups, several plans, and manifests that cannot be read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use sandbox::Sandbox;
use strongroom_engine::bucket::{Fetched, Listing, ObjectStore, Sse, Stored};
use strongroom_engine::catalog::{self, Entry};
use strongroom_engine::{Code, Compression, Error, Location, Manifest, PlanName, Result, Setting, verify};
use testbed::Mongod;

use crate::bucket::bucket;
use crate::bucket_contract::put;
use crate::setup::{backup, folder, options, small_collections, unwatched};

const BACKUPS: u64 = 2_000;
const COLLECTIONS: usize = 10_000;
const KIB: u64 = 1024;

/// A store with as many backups as wanted, all with the manifest of one, under their own ids. It counts the bytes that
/// it hands out.
#[derive(Debug)]
struct Many {
    location: Location,
    id: String,
    manifest: String,
    handed_out: AtomicU64,
}

impl Many {
    fn text(&self, key: &str) -> String {
        let id = key.split('/').nth(1).unwrap();
        self.manifest.replace(&self.id, id)
    }
}

#[async_trait]
impl ObjectStore for Many {
    fn location(&self) -> &Location {
        &self.location
    }

    async fn put(&self, key: &str, _: Bytes, _: &[u8; 32], _: &Sse) -> Result<Stored> {
        panic!("a list writes `{key}`")
    }

    async fn get(&self, key: &str, _: Option<&str>, _: u64) -> Result<Fetched> {
        panic!("a list fetches the whole of `{key}`")
    }

    async fn get_start(&self, key: &str, bytes_max: u64) -> Result<Fetched> {
        let text = self.text(key);
        let start = text.as_bytes()[..text.len().min(bytes_max as usize)].to_vec();
        self.handed_out.fetch_add(start.len() as u64, Ordering::SeqCst);
        Ok(Fetched { body: start.into(), version_id: None })
    }

    async fn list(&self, folder: &str) -> Result<Listing> {
        let ids =
            (0..BACKUPS).map(|i| format!("20260101T{:02}{:02}{:02}Z-aaaa", i / 3600, i / 60 % 60, i % 60));
        let folders = if folder.is_empty() { vec!["default".into()] } else { ids.collect() };
        Ok(Listing { folders, objects: Vec::new() })
    }

    async fn delete(&self, key: &str, _: Option<&str>) -> Result<()> {
        panic!("a list deletes `{key}`")
    }
}

/// The manifest of a real backup, with many more collections.
async fn large_manifest() -> Manifest {
    let source = Mongod::replica_set().await.unwrap();
    small_collections(&source).await;
    let place = tempfile::tempdir().unwrap();
    let mut manifest = backup(&source, &folder(place.path()), options(Compression::None)).await.unwrap();
    let mut empty = manifest.namespaces[0].clone();
    (empty.documents, empty.bytes) = (0, 0);
    manifest.namespaces.extend((0..COLLECTIONS).map(|i| {
        let mut namespace = empty.clone();
        namespace.collection = format!("collection-{i}");
        namespace
    }));
    manifest.totals.namespaces += COLLECTIONS as u64;
    manifest
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_large_backups_are_listed_from_their_first_kilobytes() {
    let manifest = large_manifest().await;
    let text = String::from_utf8(manifest.to_json().unwrap()).unwrap();
    assert!(text.len() as u64 > 1024 * KIB, "a large manifest has {} bytes", text.len());
    let location = "file:///many".parse().unwrap();
    let store = Many { location, id: manifest.id.clone(), manifest: text, handed_out: AtomicU64::new(0) };
    let entries = catalog::list(&store, None).await.unwrap();
    let totals = manifest.totals;
    let listed = entries.iter().filter(|e| matches!(e, Entry::Backup(s) if s.totals == totals)).count();
    assert_eq!(listed as u64, BACKUPS);
    let each = store.handed_out.load(Ordering::SeqCst) / BACKUPS;
    assert!(each <= 16 * KIB, "{each} bytes of each manifest");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_unreadable_manifest_is_a_line_of_the_list() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(backup(&source, &store, options(Compression::None)).await.unwrap().id);
    }
    let manifest = |id: &str| place.path().join("default").join(id).join("manifest.json");
    std::fs::write(manifest(&kept[0]), b"{\"format\": \"strongroom-backup\", \"version\": ").unwrap();
    // A folder where a file should be: it cannot be read at all.
    std::fs::remove_file(manifest(&kept[1])).unwrap();
    std::fs::create_dir(manifest(&kept[1])).unwrap();
    let entries = catalog::list(&*store, None).await.unwrap();
    let state = |id: &str| {
        entries.iter().find_map(|entry| match entry {
            Entry::Backup(summary) if summary.id == *id => Some("backup"),
            Entry::Unreadable(place, _) if place.id.as_str() == id => Some("unreadable"),
            _ => None,
        })
    };
    let states: Vec<_> = kept.iter().map(|id| state(id)).collect();
    assert_eq!(states, [Some("unreadable"), Some("unreadable"), Some("backup")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_without_a_summary_are_listed_too() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let made = backup(&source, &store, options(Compression::None)).await.unwrap();
    let path = place.path().join("default").join(&made.id).join("manifest.json");
    let mut text: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert!(text.as_object_mut().unwrap().shift_remove("summary").is_some());
    std::fs::write(&path, text.to_string()).unwrap();
    let entries = catalog::list(&*store, None).await.unwrap();
    assert!(matches!(&entries[..], [Entry::Backup(summary)] if summary.id == made.id), "{entries:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_summary_that_contradicts_its_manifest_is_damage() {
    let manifest = large_manifest().await;
    let text = String::from_utf8(manifest.to_json().unwrap()).unwrap();
    let documents = format!("\"documents\": {}", manifest.totals.documents);
    assert!(text[..text.find("\"format\"").unwrap()].contains(&documents));
    let changed = text.replacen(&documents, "\"documents\": 7", 1);
    let error = Manifest::from_json(changed.as_bytes()).unwrap_err();
    assert_eq!(error.code(), Code::Damaged, "{error:?}");
    // A newer format may have another summary: that is no damage.
    let newer =
        text.replacen("\"complete\"", "\"sealed\"", 1).replacen("\"version\": 1", "\"version\": 2", 1);
    assert_eq!(Manifest::from_json(newer.as_bytes()).unwrap_err().code(), Code::NewerFormat);
    assert_eq!(Manifest::summary(newer.as_bytes()).unwrap_err().code(), Code::NewerFormat);
}

async fn find(store: &Arc<dyn ObjectStore>, plan: Option<&str>) -> Result<String, Error> {
    let plan: Option<PlanName> = plan.map(|plan| plan.parse().unwrap());
    catalog::find(&**store, plan.as_ref(), "latest").await.map(|manifest| manifest.plan)
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_is_of_one_plan_only() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let of = |plan: &str| {
        let mut wanted = options(Compression::None);
        wanted.plan = plan.parse().unwrap();
        wanted
    };
    assert_eq!(find(&store, None).await.unwrap_err().code(), Code::NotABackup);
    backup(&source, &store, of("shop")).await.unwrap();
    assert_eq!(find(&store, None).await.unwrap(), "shop");
    // What another plan began and never finished is no backup of it.
    std::fs::create_dir_all(place.path().join("dead/20990101T000000Z-aaaa/segments")).unwrap();
    assert_eq!(find(&store, None).await.unwrap(), "shop");
    backup(&source, &store, of("other")).await.unwrap();
    let error = find(&store, None).await.unwrap_err();
    assert_eq!(error.code(), Code::SeveralPlans);
    assert!(error.message().contains("`other`, `shop`"), "{error}");
    assert!(error.help_text().unwrap().parts().contains(&Setting::Plan.into()));
    assert_eq!(find(&store, Some("shop")).await.unwrap(), "shop");
}

/// Ids hold the second and something random.
#[tokio::test(flavor = "multi_thread")]
async fn latest_of_one_second_is_the_one_that_ended_last() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let made = backup(&source, &store, options(Compression::None)).await.unwrap();
    let (second, _) = made.id.split_once('-').unwrap();
    let text = std::fs::read_to_string(place.path().join("default").join(&made.id).join("manifest.json"));
    let (text, end) = (text.unwrap(), serde_json::to_string(&made.finished_at).unwrap());
    // One whose name sorts before all others and one whose name sorts behind them; the second to end is the newest.
    for (suffix, later) in [("zzzz", 1), ("0000", 2)] {
        let id = format!("{second}-{suffix}");
        let later = serde_json::to_string(&(made.finished_at + chrono::TimeDelta::milliseconds(later)));
        let text = text.replace(&made.id, &id).replace(&end, &later.unwrap());
        put(&*store, &format!("default/{id}/manifest.json"), text.as_bytes(), &Sse::None).await.unwrap();
    }
    let newest = catalog::find(&*store, None, "latest").await.unwrap();
    assert_eq!(newest.id, format!("{second}-0000"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_backup_cannot_take_the_original_with_it() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let made = backup(&source, &store, options(Compression::None)).await.unwrap();
    let other = backup(&source, &store, options(Compression::None)).await.unwrap();
    let path = |plan: &str, id: &str| place.path().join(plan).join(id).join("manifest.json");
    // The whole plan under another name, and one manifest over another.
    std::fs::create_dir_all(place.path().join("copy").join(&made.id)).unwrap();
    std::fs::copy(path("default", &made.id), path("copy", &made.id)).unwrap();
    std::fs::remove_file(path("default", &other.id)).unwrap();
    std::fs::copy(path("default", &made.id), path("default", &other.id)).unwrap();
    for (plan, id) in [("copy", &made.id), ("default", &other.id)] {
        let (plan, id) = (plan.parse().unwrap(), id.parse().unwrap());
        let error = catalog::delete(store.clone(), Some(&plan), &id, &unwatched()).await.unwrap_err();
        assert_eq!(error.code(), Code::Damaged, "{error:?}");
        let found = catalog::find(&*store, Some(&plan), id.as_str()).await;
        assert_eq!(found.unwrap_err().code(), Code::Damaged);
    }
    let report = verify(store.clone(), &made, 2, &unwatched()).await.unwrap();
    assert_eq!(report.problems, []);
}

/// A user who may list below the prefix only, as our own policies say: S3 then may answer 403 for what is not there.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_may_answer_403() {
    const BUCKET: &str = "youraccountname-mlab-backups";
    let (arn, objects) = (format!("arn:aws:s3:::{BUCKET}"), format!("arn:aws:s3:::{BUCKET}/shop/*"));
    let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Resource": objects, "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]},
        {"Effect": "Allow", "Resource": arn, "Action": "s3:ListBucket", "Condition": {"StringLike": {"s3:prefix": "shop/*"}}},
    ]});
    let sandbox = Sandbox::builder().start().await.unwrap();
    assert!(sandbox.create_bucket(BUCKET));
    sandbox.account().create_user("backup").unwrap();
    let key = sandbox.account().create_access_key("backup").unwrap();
    sandbox.account().put_user_policy("backup", "own", &policy.to_string()).unwrap();
    let store = bucket(&sandbox.endpoint(), (&key.id, &key.secret));
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    let made = backup(&source, &store, options(Compression::None)).await.unwrap();
    // What a killed backup leaves.
    put(&*store, "default/20990101T000000Z-aaaa/segments/00000-00000.zst", b"x", &Sse::None).await.unwrap();
    let missing = store.get("default/20990101T000000Z-aaaa/manifest.json", None, 1).await.unwrap_err();
    assert_eq!(missing.code(), Code::Denied, "{missing:?}");

    let entries = catalog::list(&*store, None).await.unwrap();
    assert!(
        matches!(&entries[..], [Entry::Backup(s), Entry::Unfinished(..)] if s.id == made.id),
        "{entries:?}"
    );
    assert_eq!(catalog::find(&*store, None, "latest").await.unwrap().id, made.id);
    let id = made.id.parse().unwrap();
    catalog::delete(store.clone(), None, &id, &unwatched()).await.unwrap();
    assert_eq!(catalog::list(&*store, None).await.unwrap().len(), 1);
}

/// A store that does not give the manifests of some backups, each for its own reason.
#[derive(Debug)]
struct Withholding {
    inner: Arc<dyn ObjectStore>,
    /// Ids, and what a request for the manifest is answered with.
    withheld: Vec<(String, Code)>,
}

impl Withholding {
    fn check(&self, key: &str) -> Result<()> {
        let withheld =
            self.withheld.iter().find(|(id, _)| key.contains(id) && key.ends_with("manifest.json"));
        withheld.map_or(Ok(()), |(_, code)| Err(Error::new(*code, "this one is not given")))
    }
}

#[async_trait]
impl ObjectStore for Withholding {
    fn location(&self) -> &Location {
        self.inner.location()
    }

    async fn put(&self, key: &str, body: Bytes, sha256: &[u8; 32], sse: &Sse) -> Result<Stored> {
        self.inner.put(key, body, sha256, sse).await
    }

    async fn get(&self, key: &str, version_id: Option<&str>, bytes_max: u64) -> Result<Fetched> {
        self.check(key)?;
        self.inner.get(key, version_id, bytes_max).await
    }

    async fn get_start(&self, key: &str, bytes_max: u64) -> Result<Fetched> {
        self.check(key)?;
        self.inner.get_start(key, bytes_max).await
    }

    async fn list(&self, folder: &str) -> Result<Listing> {
        self.inner.list(folder).await
    }

    async fn delete(&self, key: &str, version_id: Option<&str>) -> Result<()> {
        self.inner.delete(key, version_id).await
    }
}

/// As many backups as asked for, all copies of one.
async fn several(store: &Arc<dyn ObjectStore>, count: usize) -> Vec<String> {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    let made = backup(&source, store, options(Compression::None)).await.unwrap();
    let text = String::from_utf8(made.to_json().unwrap()).unwrap();
    let mut ids = vec![made.id.clone()];
    for number in 1..count {
        let id = format!("20260101T0000{number:02}Z-aaaa");
        let key = format!("default/{id}/manifest.json");
        put(&**store, &key, text.replace(&made.id, &id).as_bytes(), &Sse::None).await.unwrap();
        ids.push(id);
    }
    ids
}

/// Access denied, archived, a key that is off, an answer of 500, a connection that breaks, silence, and too long a text.
const WITHHELD: [Code; 7] = [
    Code::Denied,
    Code::Store,
    Code::Encryption,
    Code::StoreBusy,
    Code::StoreHost,
    Code::StoreStalled,
    Code::Damaged,
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_keeps_one_manifest_back_is_a_line_of_the_list() {
    let place = tempfile::tempdir().unwrap();
    let inner = folder(place.path());
    let ids = several(&inner, WITHHELD.len() + 1).await;
    let withheld: Vec<_> = ids[1..].iter().cloned().zip(WITHHELD).collect();
    let store = Withholding { inner, withheld: withheld.clone() };
    let entries = catalog::list(&store, None).await.unwrap();
    assert!(entries.iter().any(|entry| matches!(entry, Entry::Backup(summary) if summary.id == ids[0])));
    for (id, code) in withheld {
        let is_it = |entry: &&Entry| match entry {
            Entry::Unreadable(place, error) => place.id.as_str() == id && error.code() == code,
            _ => false,
        };
        assert_eq!(entries.iter().filter(is_it).count(), 1, "{code:?}: {entries:?}");
    }
    assert_eq!(catalog::find(&store, None, "latest").await.unwrap().id, ids[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_gives_no_manifest_at_all_is_an_error() {
    let place = tempfile::tempdir().unwrap();
    let inner = folder(place.path());
    let ids = several(&inner, 12).await;
    let withheld = |from: usize, code| ids[from..].iter().map(|id| (id.clone(), code)).collect();
    // All of them; so many that it is not they; and what is of no one object.
    for (from, code) in
        [(0, Code::Denied), (0, Code::StoreBusy), (1, Code::StoreHost), (11, Code::Key), (11, Code::Clock)]
    {
        let store = Withholding { inner: inner.clone(), withheld: withheld(from, code) };
        let error = catalog::list(&store, None).await.unwrap_err();
        assert_eq!(error.code(), code, "from {from} on");
    }
    // Where each of them is damaged, the list is the news.
    let store = Withholding { inner: inner.clone(), withheld: withheld(0, Code::Damaged) };
    assert_eq!(catalog::list(&store, None).await.unwrap().len(), ids.len());
}

/// Which plan has the newest backup cannot be told from those alone that can be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_cannot_be_read_counts_where_the_newest_is_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let inner = folder(place.path());
    let ids = several(&inner, 2).await;
    put(&*inner, "other/20260202T000000Z-aaaa/manifest.json", b"{}", &Sse::None).await.unwrap();
    for code in [Code::Denied, Code::Store, Code::Encryption] {
        let withheld = vec![("20260202T000000Z-aaaa".to_owned(), code)];
        let store = Withholding { inner: inner.clone(), withheld };
        let error = catalog::find(&store, None, "latest").await.unwrap_err();
        assert_eq!(error.code(), Code::SeveralPlans, "{error}");
        let plan: PlanName = "default".parse().unwrap();
        assert_eq!(catalog::find(&store, Some(&plan), "latest").await.unwrap().id, ids[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_lists_what_is_not_its_own_is_refused_and_nothing_is_deleted() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let made = backup(&source, &store, options(Compression::None)).await.unwrap();
    let text = String::from_utf8(made.to_json().unwrap()).unwrap();
    let segments = format!("\"default/{}/segments/", made.id);
    // A manifest of another plan, and one of another id, whose segments are those of the first.
    for (plan, id) in [("other", made.id.as_str()), ("default", "20260101T000000Z-aaaa")] {
        let foreign = text.replace(&segments, "\"SEGMENTS/").replace(&made.id, id);
        let foreign = foreign.replace("\"plan\": \"default\"", &format!("\"plan\": \"{plan}\""));
        let foreign = foreign.replace("\"SEGMENTS/", &segments);
        put(&*store, &format!("{plan}/{id}/manifest.json"), foreign.as_bytes(), &Sse::None).await.unwrap();
        let (plan, id) = (plan.parse().unwrap(), id.parse().unwrap());
        let found = catalog::find(&*store, Some(&plan), &format!("{id}")).await.unwrap_err();
        let deleted = catalog::delete(store.clone(), Some(&plan), &id, &unwatched()).await.unwrap_err();
        for error in [found, deleted] {
            assert_eq!(error.code(), Code::Damaged, "{error:?}");
            assert!(error.message().contains("belongs elsewhere"), "{error}");
        }
    }
    assert_eq!(verify(store.clone(), &made, 2, &unwatched()).await.unwrap().problems, []);

    // Something of a person's among its own segments.
    let notes = format!("default/{}/segments/notes.txt", made.id);
    put(&*store, &notes, b"mine", &Sse::None).await.unwrap();
    let mut listed = made.clone();
    listed.segments[1].key.clone_from(&notes);
    std::fs::write(
        place.path().join(format!("default/{}/manifest.json", made.id)),
        listed.to_json().unwrap(),
    )
    .unwrap();
    let id = made.id.parse().unwrap();
    let error = catalog::delete(store.clone(), None, &id, &unwatched()).await.unwrap_err();
    assert!(error.code() == Code::Damaged && error.message().contains("notes.txt"), "{error:?}");
    assert_eq!(verify(store.clone(), &made, 2, &unwatched()).await.unwrap().problems, []);
    assert!(place.path().join(notes).exists());
}
