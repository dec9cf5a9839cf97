//! Manifests are what docs/FORMAT.md and its schema say.

use strongroom_engine::backup::ConsistencyMode;
use strongroom_engine::compression::Compression;
use strongroom_engine::error::Code;
use strongroom_engine::manifest::Manifest;
use testbed::{Mongod, dataset};

use crate::setup::{backup, folder, options};

#[tokio::test(flavor = "multi_thread")]
async fn manifests_follow_their_schema_and_what_contradicts_itself_is_refused() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../../../docs/manifest.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let source = Mongod::replica_set().await.unwrap();
    dataset::every_kind(&source.client().await.unwrap()).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    for consistency in [ConsistencyMode::Snapshot, ConsistencyMode::Oplog, ConsistencyMode::None] {
        for compression in [Compression::None, Compression::Gzip { level: 1 }, Compression::Zstd { level: 1 }]
        {
            let wanted = strongroom_engine::backup::Options { consistency, ..options(compression) };
            let manifest = backup(&source, &store, wanted).await.unwrap();
            let text =
                store.get(&format!("default/{}/manifest.json", manifest.id), None, u64::MAX).await.unwrap();
            let value: serde_json::Value = serde_json::from_slice(&text.body).unwrap();
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert_eq!(errors, Vec::<String>::new());
            hostile(&value);
        }
    }
}

/// Changes that a reader must notice.
fn hostile(manifest: &serde_json::Value) {
    let read = |value: &serde_json::Value| Manifest::from_json(value.to_string().as_bytes());
    read(manifest).unwrap();
    let changed = |pointer: &str, to: serde_json::Value| {
        let mut value = manifest.clone();
        *value.pointer_mut(pointer).unwrap() = to;
        read(&value).map(|_| ()).unwrap_err().code()
    };
    for key in ["../../etc/passwd", "default/x/segments/../../y", "default/x/segments/", "a/b/c/d"] {
        assert_eq!(changed("/segments/0/key", key.into()), Code::Damaged, "{key}");
    }
    let other = manifest["segments"][0]["key"].clone();
    assert_eq!(changed("/segments/1/key", other), Code::Damaged, "one key twice");
    assert_eq!(changed("/segments/1/contents/0/namespace", 100_000.into()), Code::Damaged);
    assert_eq!(changed("/segments/1/contents/0/documents", u64::MAX.into()), Code::Damaged);
    assert_eq!(changed("/segments/1/sha256", "00".into()), Code::Damaged);
    assert_eq!(changed("/totals/documents", 1.into()), Code::Damaged);
    assert_eq!(changed("/version", 2.into()), Code::NewerFormat);
    assert_eq!(changed("/format", "another".into()), Code::Damaged);
}
