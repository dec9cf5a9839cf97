//! Backups that are not what their manifest says: nothing is touched for them, and nothing passes for sound.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bson::{Document, doc};
use bytes::Bytes;
use strongroom_engine::bucket::{Fetched, Listing, ObjectStore, Sse, Stored};
use strongroom_engine::restore::Existing;
use strongroom_engine::{
    ClusterTime, Code, Compression, Consistency, Filter, Location, Manifest, Result, Segment, Totals, cat,
    verify,
};
use testbed::{Mongod, dataset};

use crate::setup::{backup, folder, options, restore, small_collections, unwatched};

async fn one_kept(target: &Mongod) {
    let a = target.client().await.unwrap().database("shop").collection::<Document>("a");
    a.insert_one(doc! { "_id": "kept" }).await.unwrap();
}

async fn is_untouched(target: &Mongod) -> bool {
    let a = target.client().await.unwrap().database("shop").collection::<Document>("a");
    a.count_documents(doc! {}).await.unwrap() == 1
        && a.find_one(doc! { "_id": "kept" }).await.unwrap().is_some()
}

/// The file of the archive's beginning, or of a segment with documents of `shop`.
fn segment(place: &Path, manifest: &Manifest, of_data: bool) -> PathBuf {
    let of_shop = |s: &&Segment| s.contents.iter().any(|c| manifest.namespaces[c.namespace].db == "shop");
    let data = manifest.segments.iter().find(of_shop).unwrap();
    place.join(if of_data { &data.key } else { &manifest.segments[0].key })
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_dropped_for_a_backup_that_is_not_whole() {
    let (source, target) = (Mongod::standalone().await.unwrap(), Mongod::standalone().await.unwrap());
    small_collections(&source).await;
    one_kept(&target).await;
    for of_data in [false, true] {
        for shortened in [false, true] {
            let place = tempfile::tempdir().unwrap();
            let store = folder(place.path());
            let manifest = backup(&source, &store, options(Compression::None)).await.unwrap();
            let path = segment(place.path(), &manifest, of_data);
            if shortened {
                let whole = std::fs::read(&path).unwrap();
                std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
            } else {
                std::fs::remove_file(&path).unwrap();
            }
            for existing in [Existing::Drop, Existing::Keep] {
                let error =
                    restore(&store, &manifest, &target, existing, Filter::default()).await.unwrap_err();
                assert!(matches!(error.code(), Code::Damaged | Code::ObjectMissing), "{error:?}");
                assert!(error.message().contains("nothing was touched"), "{error}");
                assert!(is_untouched(&target).await, "{path:?}");
            }
        }
    }
}

/// Another letter or digit in place of one.
fn flipped(text: &str, at: usize) -> Option<String> {
    let other = match text.as_bytes()[at] {
        b'9' => '8',
        digit @ b'0'..=b'8' => char::from(digit + 1),
        b'z' | b'Z' => 'y',
        letter if letter.is_ascii_alphabetic() => char::from(letter + 1),
        _ => return None,
    };
    Some([&text[..at], &other.to_string(), &text[at + 1..]].concat())
}

/// From a member of the manifest itself up to the next one.
fn member<'a>(text: &'a str, name: &str, next: &str) -> &'a str {
    let begin = text.rfind(&format!("\n  \"{name}\":")).unwrap();
    let end = begin + text[begin..].find(&format!("\n  \"{next}\":")).unwrap();
    &text[begin..end]
}

async fn is_noticed(store: &Arc<dyn ObjectStore>, text: &str) -> bool {
    match Manifest::from_json(text.as_bytes()) {
        Err(_) => true,
        Ok(manifest) => !verify(store.clone(), &manifest, 2, &unwatched()).await.unwrap().problems.is_empty(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_other_letter_in_a_manifest_is_noticed() {
    let (source, target) = (Mongod::replica_set().await.unwrap(), Mongod::standalone().await.unwrap());
    small_collections(&source).await;
    let strict = doc! { "$jsonSchema": { "properties": { "in": { "bsonType": "string", "maxLength": 5 } } } };
    source
        .command("shop", doc! { "collMod": "a", "validator": strict, "validationLevel": "moderate" })
        .await
        .unwrap();
    let index = doc! { "name": "in_1", "key": { "in": 1 }, "expireAfterSeconds": 3600 };
    source.command("shop", doc! { "createIndexes": "b", "indexes": [index] }).await.unwrap();
    source.command("shop", doc! { "create": "ring", "capped": true, "size": 4096 }).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let made = backup(&source, &store, options(Compression::Zstd { level: 1 })).await.unwrap();
    let text = String::from_utf8(made.to_json().unwrap()).unwrap();
    assert!(!is_noticed(&store, &text).await);
    for (name, next) in [("consistency", "oplog"), ("oplog", "selection"), ("namespaces", "segments")] {
        let region = member(&text, name, next);
        let begin = region.as_ptr() as usize - text.as_ptr() as usize;
        for at in (begin..begin + region.len()).filter(|at| name != "namespaces" || at % 5 == 0) {
            let Some(changed) = flipped(&text, at) else { continue };
            // Hex digits may be written in both cases, and no flip makes one of the other.
            assert!(is_noticed(&store, &changed).await, "{}", &changed[at - 40..at + 40]);
        }
    }

    // A restore notices what it uses by itself, before it touches anything.
    one_kept(&target).await;
    for (word, other) in
        [("moderate", "strict"), ("3600", "3601"), ("\"maxLength\"", "\"minLength\""), ("in_1", "in_2")]
    {
        let changed = text.replacen(word, other, 1);
        assert_ne!(changed, text);
        let changed = Manifest::from_json(changed.as_bytes()).unwrap();
        let error = restore(&store, &changed, &target, Existing::Drop, Filter::default()).await.unwrap_err();
        assert_eq!(error.code(), Code::Damaged, "{error:?}");
        assert!(error.message().contains("`shop."), "{error}");
        assert!(is_untouched(&target).await, "{word}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_says_nothing_or_something_else_is_not_sound_and_white_space_is_nothing() {
    let source = Mongod::replica_set().await.unwrap();
    dataset::every_kind(&source.client().await.unwrap()).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let made = backup(&source, &store, options(Compression::Zstd { level: 1 })).await.unwrap();

    let mut nothing = made.clone();
    (nothing.namespaces, nothing.segments, nothing.oplog) = (vec![], vec![], None);
    nothing.totals = Totals::default();
    let error = Manifest::from_json(&nothing.to_json().unwrap()).unwrap_err();
    assert_eq!(error.code(), Code::Damaged);

    for (number, bytes) in [(0, 1), (1, made.segments[1].raw_bytes + 1), (1, made.segments[1].raw_bytes - 1)]
    {
        let mut other = made.clone();
        other.segments[number].raw_bytes = bytes;
        other.totals = Totals::of(&other.namespaces, &other.segments);
        let other = Manifest::from_json(&other.to_json().unwrap()).unwrap();
        let report = verify(store.clone(), &other, 2, &unwatched()).await.unwrap();
        assert!(report.problems[0].message.contains("than the manifest says"), "{:?}", report.problems);
        let error = cat(store.clone(), &other, false, &mut Vec::new(), &unwatched()).await.unwrap_err();
        assert!(
            error.code() == Code::Damaged && error.message().contains("than the manifest says"),
            "{error:?}"
        );
    }

    let plain = backup(&source, &store, options(Compression::None)).await.unwrap();
    let mut other = plain.clone();
    other.segments[1].raw_bytes += 1;
    let error = cat(store.clone(), &other, false, &mut Vec::new(), &unwatched()).await.unwrap_err();
    assert_eq!(error.code(), Code::Damaged, "of what is not compressed, too: {error}");
    let error = cat(store.clone(), &plain, false, &mut &mut [0; 10][..], &unwatched()).await.unwrap_err();
    assert_eq!(
        error.code(),
        Code::Internal,
        "nothing is damaged where the archive cannot be written: {error}"
    );

    for key in ["\u{1b}[2J", "a\nbackup sound"] {
        let mut hostile = made.clone();
        hostile.segments[1].key = format!("{}/{key}", made.segments[1].key.rsplit_once('/').unwrap().0);
        assert_eq!(Manifest::from_json(&hostile.to_json().unwrap()).unwrap_err().code(), Code::Damaged);
    }

    // Behind all that the oplog holds: no restore gets there.
    let mut later = made.clone();
    later.consistency =
        Consistency::Snapshot { cluster_time: ClusterTime { seconds: u32::MAX, increment: 1 } };
    let report = verify(store.clone(), &later, 2, &unwatched()).await.unwrap();
    assert!(report.problems[0].message.contains("does not lead to the moment"), "{:?}", report.problems);

    let mut long = made.clone();
    long.segments[1].stored_bytes = 1 << 40;
    long.totals = Totals::of(&long.namespaces, &long.segments);
    assert_eq!(Manifest::from_json(&long.to_json().unwrap()).unwrap_err().code(), Code::Damaged);

    // As `jq .` and `jq -c .` write it.
    let value: serde_json::Value = serde_json::from_slice(&made.to_json().unwrap()).unwrap();
    for text in [serde_json::to_string_pretty(&value).unwrap(), value.to_string()] {
        let again = Manifest::from_json(text.as_bytes()).unwrap();
        let report = verify(store.clone(), &again, 2, &unwatched()).await.unwrap();
        assert_eq!(report.problems, []);
    }
}

/// Changes a byte of each object on the way, the first time only.
#[derive(Debug)]
struct Noisy {
    inner: Arc<dyn ObjectStore>,
    fetched: Mutex<HashSet<String>>,
}

#[async_trait]
impl ObjectStore for Noisy {
    fn location(&self) -> &Location {
        self.inner.location()
    }

    async fn put(&self, key: &str, body: Bytes, sha256: &[u8; 32], sse: &Sse) -> Result<Stored> {
        self.inner.put(key, body, sha256, sse).await
    }

    async fn get(&self, key: &str, version_id: Option<&str>, bytes_max: u64) -> Result<Fetched> {
        let mut fetched = self.inner.get(key, version_id, bytes_max).await?;
        if self.fetched.lock().unwrap().insert(key.into()) {
            let mut body = fetched.body.to_vec();
            let middle = body.len() / 2;
            body[middle] ^= 1;
            fetched.body = body.into();
        }
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

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_damaged_is_fetched_once_more_before_it_is_called_damaged() {
    let (source, target) = (Mongod::standalone().await.unwrap(), Mongod::standalone().await.unwrap());
    small_collections(&source).await;
    let place = tempfile::tempdir().unwrap();
    let honest = folder(place.path());
    let made = backup(&source, &honest, options(Compression::Zstd { level: 1 })).await.unwrap();
    let noisy =
        || -> Arc<dyn ObjectStore> { Arc::new(Noisy { inner: honest.clone(), fetched: Mutex::default() }) };
    assert_eq!(verify(noisy(), &made, 2, &unwatched()).await.unwrap().problems, []);
    cat(noisy(), &made, false, &mut Vec::new(), &unwatched()).await.unwrap();
    let restored = restore(&noisy(), &made, &target, Existing::Refuse, Filter::default()).await.unwrap();
    assert_eq!(restored.documents, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_deleted_while_it_is_verified_is_not_called_damaged() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let made = backup(&source, &store, options(Compression::None)).await.unwrap();
    std::fs::remove_dir_all(place.path().join("default").join(&made.id)).unwrap();
    // As another program sees it.
    let store = folder(place.path());
    let error = verify(store, &made, 2, &unwatched()).await.unwrap_err();
    assert_eq!(error.code(), Code::NotABackup, "{error:?}");
}
