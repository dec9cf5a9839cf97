//! What every store keeps to, whatever stands behind it.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use strongroom_engine::bucket::{ObjectStore, Sse, Stored};
use strongroom_engine::{Code, Result};

/// In what stores differ.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traits {
    /// What goes with every write.
    pub(crate) sse: Sse,
    /// Each write makes a version that stays until it is deleted by its id.
    pub(crate) versions: bool,
    /// The server does not know conditional writes: a second one wins.
    pub(crate) overwrites: bool,
    /// What answers report of the encryption.
    pub(crate) reported: Option<&'static str>,
}

/// More than S3 lists at once.
const MANY: usize = 1005;
const REQUESTS_AT_ONCE: usize = 16;

pub(crate) async fn put(store: &dyn ObjectStore, key: &str, body: &[u8], sse: &Sse) -> Result<Stored> {
    store.put(key, Bytes::copy_from_slice(body), &Sha256::digest(body).into(), sse).await
}

/// All of it.
pub(crate) async fn holds(store: &dyn ObjectStore, traits: &Traits) {
    what_is_written_is_read(store, traits).await;
    an_object_is_written_once(store, traits).await;
    reading_has_its_limits(store, traits).await;
    what_is_deleted_is_gone(store, traits).await;
    versions_are_read_and_deleted_by_their_id(store, traits).await;
    listing_shows_one_level_sorted(store, traits).await;
    listing_has_no_end_before_the_last(store, traits).await;
    assert_eq!(store.list("").await.unwrap().folders, Vec::<String>::new(), "every part cleans up");
}

async fn what_is_written_is_read(store: &dyn ObjectStore, traits: &Traits) {
    let long: Vec<u8> = (0..5_300_000_u32).map(|i| ((i * 31) >> 3) as u8).collect();
    let keys = [
        "read/plain",
        "read/a b+c%20d&e=f",
        "read/grüße/日本",
        "read/'quoted' (\"twice\")",
        "read/deep/er/e/st",
    ];
    for (key, body) in keys.into_iter().zip([&b""[..], b"x", b"some bytes", b"others", &long]) {
        let stored = put(store, key, body, &traits.sse).await.unwrap();
        assert_eq!(stored.version_id.is_some(), traits.versions, "{key}");
        assert_eq!(stored.encryption.as_deref(), traits.reported, "{key}");
        let fetched = store.get(key, None, body.len() as u64).await.unwrap();
        assert!(fetched.body == body, "{key}");
        assert_eq!(fetched.version_id, stored.version_id, "{key}");
        for bytes in [1, 5_000] {
            let start = store.get_start(key, bytes).await.unwrap().body;
            assert!(start == body[..body.len().min(bytes as usize)], "{key}");
        }
        store.delete(key, stored.version_id.as_deref()).await.unwrap();
    }
}

async fn an_object_is_written_once(store: &dyn ObjectStore, traits: &Traits) {
    let first = put(store, "once/k", b"first", &traits.sse).await.unwrap();
    // The same again, as after a lost answer.
    let again = put(store, "once/k", b"first", &traits.sse).await.unwrap();
    if !traits.overwrites {
        assert_eq!(again, first);
    }
    for other in [&b"firs!"[..], b"", b"something longer"] {
        match put(store, "once/k", other, &traits.sse).await {
            Ok(stored) => {
                assert!(traits.overwrites);
                store.delete("once/k", stored.version_id.as_deref()).await.unwrap();
            }
            Err(error) => {
                assert!(!traits.overwrites, "{error}");
                assert_eq!(error.code(), Code::ObjectExists);
                assert_eq!(store.get("once/k", None, 100).await.unwrap().body, b"first"[..]);
            }
        }
    }
    for stored in [again, first] {
        store.delete("once/k", stored.version_id.as_deref()).await.unwrap();
    }
}

async fn reading_has_its_limits(store: &dyn ObjectStore, traits: &Traits) {
    let stored = put(store, "limit/k", b"12345", &traits.sse).await.unwrap();
    assert_eq!(store.get("limit/k", None, 5).await.unwrap().body, b"12345"[..]);
    assert_eq!(store.get("limit/k", None, 4).await.unwrap_err().code(), Code::Damaged);
    assert_eq!(store.get("limit/none", None, 5).await.unwrap_err().code(), Code::ObjectMissing);
    assert_eq!(store.get("limit/k/below", None, 5).await.unwrap_err().code(), Code::ObjectMissing);
    store.delete("limit/k", stored.version_id.as_deref()).await.unwrap();
}

async fn what_is_deleted_is_gone(store: &dyn ObjectStore, traits: &Traits) {
    let stored = put(store, "gone/k", b"x", &traits.sse).await.unwrap();
    let version = stored.version_id.as_deref();
    store.delete("gone/k", version).await.unwrap();
    assert_eq!(store.get("gone/k", None, 5).await.unwrap_err().code(), Code::ObjectMissing);
    store.delete("gone/k", version).await.unwrap();
    if !traits.versions {
        store.delete("gone/never-was", None).await.unwrap();
    }
    assert_eq!(store.list("gone").await.unwrap().objects, vec![]);
}

async fn versions_are_read_and_deleted_by_their_id(store: &dyn ObjectStore, traits: &Traits) {
    if !traits.versions {
        return;
    }
    let stored = put(store, "version/k", b"kept", &traits.sse).await.unwrap();
    let version = stored.version_id.as_deref();
    assert_eq!(store.get("version/k", version, 5).await.unwrap().body, b"kept"[..]);
    store.delete("version/k", None).await.unwrap();
    assert_eq!(store.get("version/k", None, 5).await.unwrap_err().code(), Code::ObjectMissing);
    assert_eq!(store.get("version/k", version, 5).await.unwrap().body, b"kept"[..]);
    store.delete("version/k", version).await.unwrap();
    assert_eq!(store.get("version/k", version, 5).await.unwrap_err().code(), Code::ObjectMissing);
}

async fn listing_shows_one_level_sorted(store: &dyn ObjectStore, traits: &Traits) {
    assert_eq!(store.list("nothing/here").await.unwrap().folders, Vec::<String>::new());
    let keys = ["tree/a/1", "tree/a-/1", "tree/a/b/2", "tree/a.b/1", "tree/z", "tree/a ", "treetop/x"];
    let mut stored = Vec::new();
    for key in keys {
        stored.push((key, put(store, key, b"x", &traits.sse).await.unwrap()));
    }
    let listing = store.list("tree").await.unwrap();
    assert_eq!(listing.folders, ["a", "a-", "a.b"]);
    assert_eq!(listing.names().collect::<Vec<_>>(), ["a ", "z"]);
    assert!(listing.objects.iter().all(|object| object.bytes == 1 && object.modified.is_some()));
    assert_eq!(store.list("tree/a").await.unwrap().names().collect::<Vec<_>>(), ["1"]);
    let top = store.list("").await.unwrap();
    assert!(top.folders.starts_with(&["tree".into(), "treetop".into()]), "{top:?}");
    for (key, stored) in stored {
        store.delete(key, stored.version_id.as_deref()).await.unwrap();
    }
}

async fn listing_has_no_end_before_the_last(store: &dyn ObjectStore, traits: &Traits) {
    let names: Vec<String> = (0..MANY).map(|i| format!("{i:05}")).collect();
    let stored: Vec<(String, Stored)> = stream::iter(names.clone())
        .map(|name| async move {
            let key = format!("many/{name}");
            let stored = put(store, &key, b"x", &traits.sse).await?;
            Ok::<_, strongroom_engine::Error>((key, stored))
        })
        .buffer_unordered(REQUESTS_AT_ONCE)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(store.list("many").await.unwrap().names().collect::<Vec<_>>(), names);
    stream::iter(stored)
        .map(Ok)
        .try_for_each_concurrent(REQUESTS_AT_ONCE, |(key, stored)| async move {
            store.delete(&key, stored.version_id.as_deref()).await
        })
        .await
        .unwrap();
}
