//! Every kind of thing in MongoDB comes back as it was.

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
    assert_eq!((restored.refused, restored.exceptions), (0, vec![]));
    let found = fingerprint(&target.client().await.unwrap()).await.unwrap();
    assert_eq!(differences(&wanted, &found), Vec::<String>::new());

    let again = restore(&store, &manifest, &target, Existing::Refuse, Filter::default()).await.unwrap_err();
    assert_eq!(again.code(), Code::TargetNotEmpty);
    let replaced = restore(&store, &manifest, &target, Existing::Drop, Filter::default()).await.unwrap();
    assert_eq!(replaced.refused, 0);
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
