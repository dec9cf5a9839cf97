//! What is no backup is cleared away, and nothing else.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use sandbox::Sandbox;
use strongroom_engine::bucket::{Fetched, Listing, ObjectStore, Sse, Stored};
use strongroom_engine::catalog::{self, Entry};
use strongroom_engine::clean::{self, Cleared, Dead, Options, Why};
use strongroom_engine::{Clock, Code, Compression, Error, Job, Location, Period, Result, verify};
use testbed::Mongod;

use crate::bucket::bucket;
use crate::bucket_contract::put;
use crate::setup::{backup, folder, options, small_collections, unwatched};

pub(crate) const DAY: u64 = 86_400;
const DEAD: &str = "20200101T000000Z-dead";

/// The time of the stores, and so much later.
#[derive(Debug)]
struct Later(u64);

#[async_trait]
impl Clock for Later {
    #[expect(
        clippy::disallowed_methods,
        reason = "stores write the time of this machine beside what they keep"
    )]
    fn now(&self) -> DateTime<Utc> {
        (std::time::SystemTime::now() + std::time::Duration::from_secs(self.0)).into()
    }

    async fn sleep_until(&self, _: DateTime<Utc>) {}
}

pub(crate) fn later(seconds: u64) -> Job {
    Job::unwatched(Arc::new(Later(seconds)))
}

fn wanted() -> Options {
    Options { plan: None, older_than: Period::seconds(DAY), damaged: false, newer: false }
}

async fn add(store: &Arc<dyn ObjectStore>, key: &str) {
    put(&**store, key, key.as_bytes(), &Sse::None).await.unwrap();
}

async fn unfinished(store: &Arc<dyn ObjectStore>, id: &str) {
    for part in 0..3 {
        add(store, &format!("default/{id}/segments/00001-{part:05}.zst")).await;
    }
}

async fn cleaned(store: &Arc<dyn ObjectStore>, wanted: &Options, job: &Job) -> (Dead, Cleared) {
    let dead = clean::look(&**store, wanted, job).await.unwrap();
    let cleared = dead.clear(store.clone(), job).await.unwrap();
    (dead, cleared)
}

/// A backup that must stay sound, whatever is cleared away beside it.
async fn sound(store: &Arc<dyn ObjectStore>) -> String {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    backup(&source, store, options(Compression::None)).await.unwrap().id
}

async fn is_sound(store: &Arc<dyn ObjectStore>, id: &str) {
    let manifest = catalog::find(&**store, None, id).await.unwrap();
    assert_eq!(verify(store.clone(), &manifest, 2, &unwatched()).await.unwrap().problems, []);
}

fn exists(place: &Path, id: &str) -> bool {
    place.join("default").join(id).exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_left_is_cleared_away_once_it_is_old_enough() {
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let id = sound(&store).await;
    unfinished(&store, DEAD).await;
    // A deletion that was killed leaves empty folders.
    let empty = "20200101T000000Z-none";
    std::fs::create_dir_all(place.path().join("default").join(empty).join("segments")).unwrap();

    let (young, _) = cleaned(&store, &wanted(), &later(DAY - 60)).await;
    assert_eq!(young.found.iter().map(|f| f.place.id.as_str()).collect::<Vec<_>>(), [empty]);
    assert_eq!(young.stays.len(), 1);
    assert!(young.stays[0].reason.contains("may be running"), "{young:?}");
    assert!(exists(place.path(), DEAD) && !exists(place.path(), empty));
    // By a clock that was wrong.
    let part = place.path().join("default").join(DEAD).join("segments/00001-00002.zst");
    let written = part.metadata().unwrap().modified().unwrap();
    let file = std::fs::File::options().write(true).open(&part).unwrap();
    file.set_modified(written + std::time::Duration::from_secs(400 * DAY)).unwrap();
    let (ahead, _) = cleaned(&store, &wanted(), &later(2 * DAY)).await;
    assert!(ahead.found.is_empty() && ahead.stays[0].reason.contains("a clock is wrong"), "{ahead:?}");
    file.set_modified(written).unwrap();

    let (dead, cleared) = cleaned(&store, &wanted(), &later(DAY + 60)).await;
    assert_eq!((dead.found.len(), dead.found[0].why, dead.found[0].objects), (1, Why::Unfinished, 3));
    assert_eq!((cleared.folders, cleared.objects, cleared.left), (1, 3, vec![]));
    assert_eq!(cleared.stored_bytes, dead.found[0].stored_bytes);
    assert!(!exists(place.path(), DEAD));
    is_sound(&store, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_put_there_and_what_has_changed_since_it_was_shown_stays() {
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let (foreign, growing) = ("20200101T000000Z-aaaa", "20200101T000000Z-bbbb");
    for id in [foreign, growing] {
        unfinished(&store, id).await;
    }
    add(&store, &format!("default/{foreign}/segments/notes.txt")).await;
    add(&store, "photos/cat.jpg").await;
    let job = later(2 * DAY);
    let dead = clean::look(&*store, &wanted(), &job).await.unwrap();
    assert_eq!(dead.found.iter().map(|f| f.place.id.as_str()).collect::<Vec<_>>(), [growing]);
    assert!(dead.stays[0].reason.contains("`segments/notes.txt`"), "{dead:?}");
    // It was running after all.
    add(&store, &format!("default/{growing}/segments/00009-00000.zst")).await;
    let cleared = dead.clear(store.clone(), &job).await.unwrap();
    assert_eq!((cleared.objects, cleared.left.len()), (0, 1));
    assert!(cleared.left[0].reason.contains("changed"), "{cleared:?}");
    let left = store.list(&format!("default/{growing}/segments")).await.unwrap();
    assert_eq!(left.objects.len(), 4);
    assert!(place.path().join("photos/cat.jpg").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn manifests_that_cannot_be_used_are_cleared_away_only_where_that_is_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let id = sound(&store).await;
    let (damaged, newer) = ("20200101T000000Z-aaaa", "20200101T000000Z-bbbb");
    let text = std::fs::read_to_string(place.path().join("default").join(&id).join("manifest.json")).unwrap();
    let newer_text = text.replace(&id, newer).replacen("\"version\": 1", "\"version\": 2", 1);
    for (id, manifest) in [(damaged, "{\"format\": 1"), (newer, newer_text.as_str())] {
        unfinished(&store, id).await;
        put(&*store, &format!("default/{id}/manifest.json"), manifest.as_bytes(), &Sse::None).await.unwrap();
    }
    let job = later(2 * DAY);
    let dead = clean::look(&*store, &wanted(), &job).await.unwrap();
    assert_eq!((dead.found.len(), dead.stays.len()), (0, 2), "{dead:?}");
    for (asked, gone, why) in [
        (Options { damaged: true, ..wanted() }, damaged, Why::Damaged),
        (Options { newer: true, ..wanted() }, newer, Why::Newer),
    ] {
        let (dead, cleared) = cleaned(&store, &asked, &job).await;
        assert_eq!(
            dead.found.iter().map(|f| (f.place.id.as_str(), f.why)).collect::<Vec<_>>(),
            [(gone, why)]
        );
        assert_eq!(cleared.objects, 4);
        assert!(!exists(place.path(), gone));
    }
    is_sound(&store, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_was_cut_off_is_ended() {
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let (id, other) = (sound(&store).await, sound(&store).await);
    let path = |name: &str| place.path().join("default").join(&id).join(name);
    std::fs::rename(path("manifest.json"), path("deleting.json")).unwrap();
    let (dead, cleared) = cleaned(&store, &wanted(), &later(2 * DAY)).await;
    assert_eq!((dead.found.len(), dead.found[0].why), (1, Why::Deleting));
    assert_eq!((cleared.objects, cleared.left), (dead.found[0].objects, vec![]));
    assert!(!exists(place.path(), &id));
    is_sound(&store, &other).await;
}

/// A store that gives one manifest wrongly: as not there, or with changed bytes the first time.
#[derive(Debug)]
struct Wrong {
    inner: Arc<dyn ObjectStore>,
    id: String,
    missing: bool,
    asked: AtomicBool,
}

impl Wrong {
    fn answer(&self, key: &str) -> Option<Result<Fetched>> {
        if !key.contains(&self.id) || !key.ends_with("manifest.json") {
            return None;
        }
        let first = !self.asked.swap(true, Ordering::SeqCst);
        match (self.missing, first) {
            (true, _) => Some(Err(Error::new(Code::ObjectMissing, "there is no such object"))),
            (false, true) => Some(Ok(Fetched { body: Bytes::from_static(b"{\"summ"), version_id: None })),
            (false, false) => None,
        }
    }
}

#[async_trait]
impl ObjectStore for Wrong {
    fn location(&self) -> &Location {
        self.inner.location()
    }

    async fn put(&self, key: &str, body: Bytes, sha256: &[u8; 32], sse: &Sse) -> Result<Stored> {
        self.inner.put(key, body, sha256, sse).await
    }

    async fn get(&self, key: &str, version_id: Option<&str>, bytes_max: u64) -> Result<Fetched> {
        match self.answer(key) {
            Some(answer) => answer,
            None => self.inner.get(key, version_id, bytes_max).await,
        }
    }

    async fn get_start(&self, key: &str, bytes_max: u64) -> Result<Fetched> {
        match self.answer(key) {
            Some(answer) => answer,
            None => self.inner.get_start(key, bytes_max).await,
        }
    }

    async fn list(&self, folder: &str) -> Result<Listing> {
        self.inner.list(folder).await
    }

    async fn delete(&self, key: &str, version_id: Option<&str>) -> Result<()> {
        self.inner.delete(key, version_id).await
    }
}

/// What stands in a location by a link may be of another backup.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_cleared_away_through_a_link() {
    use std::os::unix::fs::symlink;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let (id, other) = (sound(&store).await, sound(&store).await);
    let default = place.path().join("default");
    symlink(&id, default.join("20200101T000000Z-aaaa")).unwrap();
    std::fs::create_dir(default.join("20200101T000000Z-bbbb")).unwrap();
    symlink(format!("../{id}/segments"), default.join("20200101T000000Z-bbbb/segments")).unwrap();
    // Its manifest is on a disk that is not mounted now.
    std::fs::rename(default.join(&other).join("manifest.json"), place.path().join("away")).unwrap();
    symlink("/nowhere/manifest.json", default.join(&other).join("manifest.json")).unwrap();
    let wanted = Options { damaged: true, ..wanted() };
    let dead = clean::look(&*store, &wanted, &later(2 * DAY)).await.unwrap();
    assert!(dead.found.iter().all(|found| found.place.id.as_str() != other), "{dead:?}");
    let error = dead.clear(store.clone(), &later(2 * DAY)).await.unwrap_err();
    assert!(error.message().contains("is a link"), "{error}");
    is_sound(&store, &id).await;
    std::fs::remove_file(default.join(&other).join("manifest.json")).unwrap();
    std::fs::rename(place.path().join("away"), default.join(&other).join("manifest.json")).unwrap();
    is_sound(&store, &other).await;
}

/// What is sound and comes wrongly is never taken for dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_whose_manifest_comes_wrongly_is_not_cleared_away() {
    let place = tempfile::tempdir().unwrap();
    let inner = folder(place.path());
    let (older, id) = (sound(&inner).await, sound(&inner).await);
    let (older, id) = if older < id { (older, id) } else { (id, older) };
    let everything = Options { damaged: true, newer: true, ..wanted() };
    for missing in [true, false] {
        let wrong = || {
            let (inner, id, asked) = (inner.clone(), id.clone(), AtomicBool::new(false));
            Arc::new(Wrong { inner, id, missing, asked }) as Arc<dyn ObjectStore>
        };
        let (dead, _) = cleaned(&wrong(), &everything, &later(2 * DAY)).await;
        assert!(dead.found.is_empty(), "{dead:?}");
        assert_eq!(dead.stays.len(), usize::from(missing), "{dead:?}");
        // Nor is it passed over.
        match catalog::find(&*wrong(), None, "latest").await {
            Ok(found) => assert!(!missing && found.id == id, "{}", found.id),
            Err(error) => assert!(missing && error.code() == Code::StoreBusy, "{error:?}"),
        }
    }
    is_sound(&inner, &older).await;
    is_sound(&inner, &id).await;
}

/// An age at which a running backup counts as dead is none.
#[tokio::test(flavor = "multi_thread")]
async fn too_short_an_age_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    for seconds in [0, 1, 3599] {
        let wanted = Options { older_than: Period::seconds(seconds), ..wanted() };
        let error = clean::look(&*store, &wanted, &unwatched()).await.unwrap_err();
        assert_eq!(error.code(), Code::Usage, "{seconds}");
    }
}

/// What one identity may and another may not.
async fn bucket_for(actions: &[&str], versioned: bool) -> (Sandbox, Arc<dyn ObjectStore>) {
    const BUCKET: &str = "youraccountname-mlab-backups";
    let (arn, objects) = (format!("arn:aws:s3:::{BUCKET}"), format!("arn:aws:s3:::{BUCKET}/*"));
    let policy = serde_json::json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Resource": objects, "Action": actions},
        {"Effect": "Allow", "Resource": arn, "Action": "s3:ListBucket"},
    ]});
    let sandbox = Sandbox::builder().start().await.unwrap();
    assert!(sandbox.create_bucket(BUCKET));
    sandbox.account().create_user("backup").unwrap();
    let key = sandbox.account().create_access_key("backup").unwrap();
    sandbox.account().put_user_policy("backup", "own", &policy.to_string()).unwrap();
    if versioned {
        assert!(sandbox.enable_versioning(BUCKET));
    }
    let store = bucket(&sandbox.endpoint(), (&key.id, &key.secret));
    (sandbox, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_may_delete_and_not_read_clears_a_bucket_and_one_who_may_neither_is_told() {
    let (_sandbox, store) = bucket_for(&["s3:PutObject", "s3:DeleteObject"], false).await;
    unfinished(&store, DEAD).await;
    let (_, cleared) = cleaned(&store, &wanted(), &later(2 * DAY)).await;
    assert_eq!((cleared.folders, cleared.objects), (1, 3));
    assert!(catalog::list(&*store, None).await.unwrap().is_empty());

    // A plain deletion is not allowed here: it would only hide what is there.
    let (_sandbox, store) =
        bucket_for(&["s3:PutObject", "s3:GetObject", "s3:DeleteObjectVersion"], true).await;
    unfinished(&store, DEAD).await;
    let (_, cleared) = cleaned(&store, &wanted(), &later(2 * DAY)).await;
    assert_eq!((cleared.folders, cleared.objects), (1, 3));
    assert!(catalog::list(&*store, None).await.unwrap().is_empty());

    let (_sandbox, store) = bucket_for(&["s3:PutObject"], false).await;
    unfinished(&store, DEAD).await;
    let dead = clean::look(&*store, &wanted(), &later(2 * DAY)).await.unwrap();
    let error = dead.clear(store.clone(), &later(2 * DAY)).await.unwrap_err();
    assert_eq!(error.code(), Code::Denied);
    assert!(matches!(&catalog::list(&*store, None).await.unwrap()[..], [Entry::Unfinished(_, Some(_))]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_dead_run_left_goes_at_once_and_a_backup_stays() {
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let id = sound(&store).await;
    unfinished(&store, DEAD).await;
    unfinished(&store, "20200101T000000Z-mine").await;
    add(&store, "default/20200101T000000Z-mine/notes.txt").await;
    let job = unwatched();
    let one = |id: &str| {
        let (plan, id) = ("default".parse().unwrap(), id.parse().unwrap());
        clean::one(store.clone(), catalog::Place { plan, id }, &job)
    };
    assert_eq!(one(&id).await.unwrap(), None);
    let cleared = one(DEAD).await.unwrap().unwrap();
    assert_eq!((cleared.folders, cleared.objects), (1, 3));
    assert_eq!(one(DEAD).await.unwrap(), Some(Cleared::default()), "once more is no error");
    let left = one("20200101T000000Z-mine").await.unwrap().unwrap();
    assert_eq!((left.objects, left.left.len()), (0, 1), "{left:?}");
    assert!(!exists(place.path(), DEAD) && exists(place.path(), "20200101T000000Z-mine"));
    is_sound(&store, &id).await;
}
