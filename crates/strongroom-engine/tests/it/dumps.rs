//! Dump directories of mongodump come back as they were: from a folder, from tar archives, from a bucket.

use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use bson::{Document, RawDocumentBuf, Timestamp, doc, rawdoc};
use strongroom_engine::bucket::StoreOptions;
use strongroom_engine::restore::{Archive, Options, Restored, Source};
use strongroom_engine::{Code, Error, Filter, Location, Renames};
use tempfile::TempDir;
use testbed::Mongod;

use crate::archives::{fixture, holds_the_weird_database, stored_objects};
use crate::setup::restore_with;

/// What mLab stored in the buckets of its customers: a `.tgz` of a dump directory.
const DUMP: &str = "weird.dump.tgz";

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn stream(bytes: Vec<u8>) -> Result<Source, Error> {
    blocking(|| Archive::open("the dump", Box::new(Cursor::new(bytes)))).await.map(Source::archive)
}

async fn folder(path: &Path) -> Result<Source, Error> {
    let path = path.to_owned();
    blocking(move || Archive::open_folder("the dump", &path)).await.map(Source::archive)
}

async fn location(location: Location, options: StoreOptions) -> Result<Source, Error> {
    blocking(move || Archive::open_location("the dump", location, options)).await.map(Source::archive)
}

fn plain(name: &str) -> Vec<u8> {
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(&fixture(name)[..]).read_to_end(&mut tar).unwrap();
    tar
}

/// The fixture unpacked, its files gzipped if asked.
fn unpacked(gzipped: bool) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    for file in tar::Archive::new(&plain(DUMP)[..]).entries().unwrap() {
        let mut file = file.unwrap();
        let path = place.path().join(file.path().unwrap());
        if file.header().entry_type().is_dir() {
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        if gzipped {
            let mut zipped = Vec::new();
            let level = flate2::Compression::fast();
            flate2::read::GzEncoder::new(&bytes[..], level).read_to_end(&mut zipped).unwrap();
            fs::write(format!("{}.gz", path.display()), zipped).unwrap();
        } else {
            fs::write(path, bytes).unwrap();
        }
    }
    place
}

async fn comes_back(source: Source) -> Restored {
    let target = Mongod::standalone().await.unwrap();
    let restored = restore_with(source, &target, Options::default()).await.unwrap();
    assert_eq!((restored.refused, &restored.exceptions), (0, &vec![]));
    holds_the_weird_database(&target).await;
    restored
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_directory_comes_back_as_its_archive_does() {
    let archive = comes_back(stream(fixture("weird.archive")).await.unwrap()).await;
    let (plain_files, gzipped_files) = (unpacked(false), unpacked(true));
    let tgz = plain_files.path().join("a.tgz");
    fs::write(&tgz, fixture(DUMP)).unwrap();
    for source in [
        folder(plain_files.path()).await,
        folder(gzipped_files.path()).await,
        stream(fixture(DUMP)).await,
        stream(plain(DUMP)).await,
        location(Location::Folder(tgz.clone()), StoreOptions::default()).await,
    ] {
        fs::remove_file(&tgz).ok();
        fs::write(&tgz, fixture(DUMP)).unwrap();
        let restored = comes_back(source.unwrap()).await;
        let counts = |restored: &Restored| (restored.documents, restored.indexes);
        assert_eq!(counts(&restored), counts(&archive));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_in_a_bucket_comes_back_as_one_object_and_as_many() {
    let place = unpacked(false);
    let mut objects = vec![("stored/one.tgz".to_owned(), fixture(DUMP))];
    let (root, mut folders) = (place.path().to_owned(), vec![place.path().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            let key = format!("stored/many/{}", entry.strip_prefix(&root).unwrap().display());
            if entry.is_dir() { folders.push(entry) } else { objects.push((key, fs::read(entry).unwrap())) }
        }
    }
    let (_sandbox, bucket, options) = stored_objects(&objects).await;
    let at = |prefix: &str| Location::S3 { bucket: bucket.clone(), prefix: prefix.into() };
    comes_back(location(at("stored/one.tgz"), options.clone()).await.unwrap()).await;
    comes_back(location(at("stored/many"), options.clone()).await.unwrap()).await;
    let error = location(at("stored/nothing"), options).await.unwrap_err();
    assert_eq!(error.code(), Code::ObjectMissing, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_and_renames_apply_to_a_dump_and_to_the_folder_of_one_database() {
    let place = unpacked(false);
    let dump = fs::read_dir(place.path()).unwrap().next().unwrap().unwrap().path();
    let target = Mongod::standalone().await.unwrap();
    let options = Options {
        filter: Filter::new(vec!["weird.sp*".into(), "weird.v*".into()], vec![]).unwrap(),
        renames: Renames::new(["weird.*=copy.*".to_owned()]).unwrap(),
        ..Options::default()
    };
    let source = folder(&dump.join("weird")).await.unwrap();
    let restored = restore_with(source, &target, options).await.unwrap();
    assert_eq!((restored.namespaces, restored.exceptions), (4, vec![]));
    let mut names = target.client().await.unwrap().database("copy").list_collection_names().await.unwrap();
    names.sort_unstable();
    assert_eq!(names, ["sp ace-ünïx", "system.views", "v1", "v2", "v_base"]);
}

/// A dump directory with an oplog, as `mongodump --oplog --out` makes one.
fn with_oplog(entries: &[RawDocumentBuf]) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::create_dir(place.path().join("shop")).unwrap();
    let bytes =
        |all: &[RawDocumentBuf]| all.iter().flat_map(|one| one.as_bytes().to_vec()).collect::<Vec<u8>>();
    fs::write(place.path().join("shop/a.bson"), bytes(&[rawdoc! { "_id": 1 }])).unwrap();
    fs::write(place.path().join("oplog.bson"), bytes(entries)).unwrap();
    place
}

fn entry(op: &str, ns: &str, o: RawDocumentBuf) -> RawDocumentBuf {
    rawdoc! { "op": op, "ns": ns, "o": o, "ts": Timestamp { time: 1, increment: 1 } }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oplog_of_a_dump_is_replayed_and_what_cannot_be_is_known_before_anything_is_touched() {
    let target = Mongod::replica_set().await.unwrap();
    let place = with_oplog(&[entry("i", "shop.a", rawdoc! { "_id": 2 })]);
    let source = folder(place.path()).await.unwrap();
    assert_eq!(restore_with(source, &target, Options::default()).await.unwrap().documents, 1);
    let a = target.client().await.unwrap().database("shop").collection::<Document>("a");
    assert_eq!(a.count_documents(doc! {}).await.unwrap(), 2);

    let target = Mongod::replica_set().await.unwrap();
    let rename = rawdoc! { "renameCollection": "shop.a", "to": "shop.b" };
    let place = with_oplog(&[entry("c", "shop.$cmd", rename)]);
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all("dump", place.path()).unwrap();
    for source in [folder(place.path()).await, stream(tar.into_inner().unwrap()).await] {
        let error = restore_with(source.unwrap(), &target, Options::default()).await.unwrap_err();
        assert_eq!(error.code(), Code::NotReplayable);
        assert!(error.message().starts_with("nothing was touched"), "{error}");
        let names = target.client().await.unwrap().list_database_names().await.unwrap();
        assert!(!names.contains(&"shop".to_owned()), "{names:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_dump_says_what_it_is_and_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let make = |name: &str, files: &[&str]| {
        let folder = place.path().join(name);
        for file in files {
            fs::create_dir_all(folder.join(file).parent().unwrap()).unwrap();
            fs::write(folder.join(file), b"").unwrap();
        }
        folder
    };
    for (folder_of, word) in [
        (make("data", &["WiredTiger.wt", "storage.bson"]), "data directory of a mongod"),
        (make("ours", &["RESTORE.md", "default/x/manifest.json"]), "location of backups of Strongroom"),
        (make("two", &["monday/shop/a.bson", "tuesday/shop/a.bson"]), "more than one dump"),
        (make("other", &["notes.txt"]), "no `.bson`"),
    ] {
        let error = folder(&folder_of).await.unwrap_err();
        assert_eq!(error.code(), Code::Usage, "{error}");
        assert!(error.message().contains(word) && error.help_text().is_some(), "{error}");
    }
    let document = rawdoc! { "_id": 1 }.into_bytes();
    for (bytes, word) in [
        (document, "the `.bson` file of one collection"),
        (b"PK\x03\x04zip".to_vec(), "a zip file"),
        (b"{\"_id\": 1}\n".to_vec(), "mongoexport"),
    ] {
        let error = stream(bytes).await.unwrap_err();
        assert_eq!(error.code(), Code::Usage, "{error}");
        assert!(error.message().contains(word) && error.help_text().is_some(), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_names_the_file_and_nothing_of_a_dump_leads_elsewhere() {
    let place = with_oplog(&[]);
    let file = place.path().join("shop/a.bson");
    let whole = fs::read(&file).unwrap();
    let target = Mongod::replica_set().await.unwrap();
    for (bytes, word) in [
        (whole[..whole.len() - 3].to_vec(), "`shop/a.bson`: the file is cut off"),
        ([&whole[..], &[0xff; 4]].concat(), "`shop/a.bson`: a document of -1 bytes"),
        ([14, 0, 0, 0, 0x55, 0, 0, 0, 0, 0, 0, 0, 0, 0].to_vec(), "is not BSON"),
    ] {
        fs::write(&file, bytes).unwrap();
        let options = Options { existing: strongroom_engine::restore::Existing::Drop, ..Options::default() };
        let error = restore_with(folder(place.path()).await.unwrap(), &target, options).await.unwrap_err();
        assert_eq!(error.code(), Code::Damaged, "{error}");
        assert!(error.message().contains(word), "{error}");
    }
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
    let error = folder(place.path()).await.unwrap_err();
    assert!(error.message().contains("no plain file"), "{error}");
    let cut = fixture(DUMP);
    let error = stream(cut[..cut.len() / 2].to_vec()).await.unwrap_err();
    assert_eq!(error.code(), Code::Damaged, "{error}");
    let opener = Arc::new(|| Err(Error::new(Code::StoreHost, "the network is gone")));
    let error = blocking(move || Archive::open_again("the dump", opener)).await.unwrap_err();
    assert_eq!(error.code(), Code::StoreHost);
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_that_a_server_of_old_kept_twice_are_no_loss() {
    let place = tempfile::tempdir().unwrap();
    let db = place.path().join("shop");
    fs::create_dir(&db).unwrap();
    fs::write(db.join("a.bson"), rawdoc! { "_id": 1 }.as_bytes()).unwrap();
    let index = rawdoc! { "v": 1, "key": { "a": 1 }, "name": "a_1", "ns": "shop.a" };
    fs::write(db.join("system.indexes.bson"), index.as_bytes()).unwrap();
    let target = Mongod::standalone().await.unwrap();
    let described =
        r#"{"options": {}, "indexes": [{"v": 1, "key": {"a": 1}, "name": "a_1", "ns": "shop.a"}]}"#;
    fs::write(db.join("a.metadata.json"), described).unwrap();
    let found = restore_with(folder(place.path()).await.unwrap(), &target, Options::default()).await.unwrap();
    assert_eq!((found.namespaces, found.indexes, found.exceptions), (1, 1, vec![]));
    fs::remove_file(db.join("a.metadata.json")).unwrap();
    target.command("shop", doc! { "drop": "a" }).await.unwrap();
    let found = restore_with(folder(place.path()).await.unwrap(), &target, Options::default()).await.unwrap();
    assert!(found.exceptions[0].contains("`shop.system.indexes`"), "{:?}", found.exceptions);
}
