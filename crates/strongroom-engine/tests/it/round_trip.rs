//! Every kind of thing in MongoDB comes back as it was.

use bson::spec::BinarySubtype;
use bson::{Binary, doc};
use strongroom_engine::catalog::{self, Entry};
use strongroom_engine::restore::Existing;
use strongroom_engine::{Code, Compression, Consistency, Filter, cat, verify};
use testbed::fingerprint::{differences, fingerprint};
use testbed::{Mongod, dataset};

use crate::setup::{backup, folder, options, restore, unwatched};

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_comes_back_as_it_was() {
    let (source, target) = (Mongod::replica_set().await.unwrap(), Mongod::replica_set().await.unwrap());
    dataset::every_kind(&source.client().await.unwrap()).await.unwrap();
    let wanted = fingerprint(&source.client().await.unwrap()).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let manifest = backup(&source, &store, options(Compression::Zstd { level: 3 })).await.unwrap();
    let Consistency::Oplog { read_plainly, .. } = &manifest.consistency else { panic!("no oplog") };
    assert_eq!(read_plainly, &["shop.log"], "only the capped collection cannot be read in the past");

    let report = verify(store.clone(), &manifest, 2, &unwatched()).await.unwrap();
    assert_eq!(report.problems, []);
    assert_eq!(report.documents, manifest.totals.documents);

    let restored = restore(&store, &manifest, &target, Existing::Refuse, Filter::default()).await.unwrap();
    assert!(restored.is_exact(), "{restored:?}");
    let filled = manifest.namespaces.iter().filter(|n| n.documents > 0 && n.db != "admin").count() as u64;
    assert!(restored.compared >= filled && filled > 0, "{} of {filled}", restored.compared);
    let found = fingerprint(&target.client().await.unwrap()).await.unwrap();
    assert_eq!(differences(&wanted, &found), Vec::<String>::new());

    let again = restore(&store, &manifest, &target, Existing::Refuse, Filter::default()).await.unwrap_err();
    assert_eq!(again.code(), Code::TargetNotEmpty);
    let replaced = restore(&store, &manifest, &target, Existing::Drop, Filter::default()).await.unwrap();
    assert_eq!(replaced.refused, 0);
    let found = fingerprint(&target.client().await.unwrap()).await.unwrap();
    assert_eq!(differences(&wanted, &found), Vec::<String>::new());
}

/// A collection as drivers make it for Queryable Encryption (MongoDB manual, "Encrypted Collections"), with a document
/// as they encrypt it. The server refuses `__safeContent__` in an ordinary insert.
#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_collection_comes_back_with_what_finds_its_documents() {
    let (source, target) = (Mongod::replica_set().await.unwrap(), Mongod::replica_set().await.unwrap());
    let binary = |subtype, bytes: &[u8]| Binary { subtype, bytes: bytes.to_vec() };
    let state = |kind: &str| format!("enxcol_.people.{kind}");
    let field = doc! { "keyId": binary(BinarySubtype::Uuid, &[7; 16]), "path": "ssn", "bsonType": "string", "queries": [{ "queryType": "equality" }] };
    let fields = doc! { "escCollection": state("esc"), "eccCollection": state("ecc"), "ecocCollection": state("ecoc"), "fields": [field] };
    for kind in ["esc", "ecc", "ecoc"] {
        let clustered = doc! { "key": { "_id": 1 }, "unique": true };
        let create = doc! { "create": state(kind), "clusteredIndex": clustered };
        source.command("shop", create).await.unwrap();
        let entry = doc! { "_id": binary(BinarySubtype::Generic, &[9; 32]), "value": binary(BinarySubtype::Generic, &[8; 16]) };
        source.command("shop", doc! { "insert": state(kind), "documents": [entry] }).await.unwrap();
    }
    source.command("shop", doc! { "create": "people", "encryptedFields": fields }).await.unwrap();
    let index = doc! { "name": "__safeContent___1", "key": { "__safeContent__": 1 } };
    source.command("shop", doc! { "createIndexes": "people", "indexes": [index] }).await.unwrap();
    // The kind (found by equality), the id of the key, the type of the value; then what only the client can read.
    let encrypted = [&[7_u8][..], &[7; 16], &[2], &[5; 180]].concat();
    let person = doc! { "_id": 1, "ssn": binary(BinarySubtype::Encrypted, &encrypted), "__safeContent__": [binary(BinarySubtype::Generic, &[6; 32])] };
    let insert = doc! { "insert": "people", "documents": [person], "bypassDocumentValidation": true };
    source.command("shop", insert).await.unwrap();

    let wanted = fingerprint(&source.client().await.unwrap()).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let manifest = backup(&source, &store, options(Compression::Zstd { level: 3 })).await.unwrap();
    let restored = restore(&store, &manifest, &target, Existing::Refuse, Filter::default()).await.unwrap();
    assert_eq!((restored.documents, restored.exceptions), (4, vec![]));
    let found = fingerprint(&target.client().await.unwrap()).await.unwrap();
    assert_eq!(differences(&wanted, &found), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standalone_server_and_every_compression_give_the_same_archive() {
    let source = Mongod::standalone().await.unwrap();
    dataset::every_kind(&source.client().await.unwrap()).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let mut archives = Vec::new();
    for compression in [Compression::None, Compression::Gzip { level: 6 }, Compression::Zstd { level: 3 }] {
        let manifest = backup(&source, &store, options(compression)).await.unwrap();
        assert!(matches!(manifest.consistency, Consistency::None { .. }));
        let mut archive = Vec::new();
        cat(store.clone(), &manifest, false, &mut archive, &unwatched()).await.unwrap();
        let mut gzipped = Vec::new();
        cat(store.clone(), &manifest, true, &mut gzipped, &unwatched()).await.unwrap();
        let mut unzipped = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&gzipped[..]), &mut unzipped)
            .unwrap();
        assert!(unzipped == archive);
        let summary = mongo_archive::Summary::of(&archive[..], mongo_archive::Limits::default()).unwrap();
        assert_eq!(summary.wrong().count(), 0);
        archives.push(archive);
    }
    assert!(archives.windows(2).all(|two| two[0] == two[1]));
    let backups = catalog::list(&*store, None).await.unwrap();
    assert_eq!(backups.iter().filter(|entry| matches!(entry, Entry::Backup(_))).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_collection_is_restored_into_a_server_that_holds_others() {
    let (source, target) = (Mongod::standalone().await.unwrap(), Mongod::standalone().await.unwrap());
    dataset::every_kind(&source.client().await.unwrap()).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let manifest = backup(&source, &store, options(Compression::Zstd { level: 3 })).await.unwrap();
    let orders = || Filter::new(vec!["shop.orders".into()], vec![]).unwrap();
    let restored = restore(&store, &manifest, &target, Existing::Refuse, orders()).await.unwrap();
    assert_eq!((restored.namespaces, restored.documents), (1, 3000));
    // Once more into the same: every document is there already.
    let error = restore(&store, &manifest, &target, Existing::Refuse, orders()).await.unwrap_err();
    assert_eq!(error.code(), Code::TargetNotEmpty);
    let doubled = restore(&store, &manifest, &target, Existing::Keep, orders()).await.unwrap();
    assert_eq!((doubled.documents, doubled.refused), (0, 3000));
    assert!(doubled.exceptions[0].contains("duplicate key"), "{:?}", doubled.exceptions);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_backup_leaves_nothing_but_the_note_on_restoring() {
    let source = Mongod::standalone().await.unwrap();
    dataset::every_kind(&source.client().await.unwrap()).await.unwrap();
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let manifest = backup(&source, &store, options(Compression::None)).await.unwrap();
    let id = manifest.id.parse().unwrap();
    let deleted = catalog::delete(store.clone(), None, &id, &unwatched()).await.unwrap();
    assert_eq!(deleted.stored_bytes, manifest.totals.stored_bytes);
    let left: Vec<_> = std::fs::read_dir(place.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["RESTORE.md"]);
    let error = catalog::delete(store.clone(), None, &id, &unwatched()).await.unwrap_err();
    assert_eq!(error.code(), Code::NotABackup);
}
