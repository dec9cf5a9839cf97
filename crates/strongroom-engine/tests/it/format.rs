//! Manifests are what docs/FORMAT.md and its schema say.

use mongo_archive::{Decoder, Event, Limits};
use strongroom_engine::backup::ConsistencyMode;
use strongroom_engine::{Code, Compression, Manifest, cat};
use testbed::{Mongod, dataset};

use crate::setup::{backup, folder, options, unwatched};

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

/// mongorestore takes users and roles from the beginning of an archive, and from nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn users_roles_and_their_version_come_first_in_the_archive() {
    let source = Mongod::replica_set().await.unwrap();
    let client = source.client().await.unwrap();
    dataset::around_admin(&client).await.unwrap();
    let user = bson::doc! { "createUser": "anna", "pwd": "secret", "roles": ["read"] };
    source.command("admin", user).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    for consistency in [ConsistencyMode::Snapshot, ConsistencyMode::Oplog] {
        let wanted =
            strongroom_engine::backup::Options { consistency, ..options(Compression::Zstd { level: 1 }) };
        let manifest = backup(&source, &store, wanted).await.unwrap();
        let mut archive = Vec::new();
        cat(store.clone(), &manifest, false, &mut archive, &unwatched()).await.unwrap();
        let mut decoder = Decoder::new(&archive[..], Limits::default());
        let (mut listed, mut blocks) = (Vec::new(), Vec::new());
        while let Some(event) = decoder.next().unwrap() {
            match event {
                Event::Prelude(prelude) => {
                    listed.extend(prelude.metadata.iter().map(|m| format!("{}.{}", m.db, m.collection)));
                }
                Event::Eof { namespace, .. } => blocks.push(namespace.to_string()),
                _ => {}
            }
        }
        let first = ["admin.system.users", "admin.system.version", "2026.orders", "Sales.orders"];
        let first: Vec<&str> = first.into_iter().chain(["accounts.orders", "admin.audit"]).collect();
        let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
        let without_roles = |names: &[&str]| -> Vec<String> {
            names.iter().filter(|name| **name != "admin.system.roles").map(ToString::to_string).collect()
        };
        assert_eq!(without_roles(&listed)[..first.len()], first, "{consistency:?}");
        assert_eq!(listed, blocks, "{consistency:?}: documents stand in the order of the list");
    }
}
