//! Archives that mongodump made come back as they were, however they are compressed and wherever they come from.

use std::io::{Cursor, Read};
use std::path::PathBuf;

use bson::{Document, doc, rawdoc};
use mongo_archive::{Crc64, Encoder, Header, Metadata, Namespace, Prelude};
use sandbox::Sandbox;
use strongroom_engine::bucket::{AccessKey, StoreOptions, open_object};
use strongroom_engine::restore::{Archive, Existing, Options, Source};
use strongroom_engine::{Code, Error, Filter, Location, Renames};
use testbed::fingerprint::{differences, fingerprint};
use testbed::{Mongod, dataset};

use crate::setup::restore_with;

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)).unwrap()
}

async fn open(name: &str, stream: impl Read + Send + 'static) -> Result<Source, Error> {
    let name = name.to_owned();
    let opened = tokio::task::spawn_blocking(move || Archive::open(name, Box::new(stream))).await.unwrap();
    opened.map(Source::archive)
}

async fn opened(bytes: Vec<u8>) -> Source {
    open("the archive", Cursor::new(bytes)).await.unwrap()
}

/// What the fixtures' database must show: hashes, numbers of documents, indexes.
pub(crate) async fn holds_the_weird_database(target: &Mongod) {
    let expected: serde_json::Value = serde_json::from_slice(&fixture("weird.expected.json")).unwrap();
    let expected = &expected["weird"];
    let db = target.client().await.unwrap().database("weird");
    let hashes = db.run_command(doc! { "dbHash": 1 }).await.unwrap();
    for (collection, hash) in expected["collections"].as_object().unwrap() {
        let found = hashes.get_document("collections").unwrap().get_str(collection).unwrap();
        assert_eq!(found, hash.as_str().unwrap(), "{collection}");
    }
    for (collection, count) in expected["counts"].as_object().unwrap() {
        let found = db.collection::<Document>(collection).count_documents(doc! {}).await.unwrap();
        assert_eq!(found, count.as_u64().unwrap(), "{collection}");
    }
    for (collection, indexes) in expected["indexes"].as_object().unwrap() {
        let mut found = db.collection::<Document>(collection).list_index_names().await.unwrap();
        found.sort_unstable();
        assert_eq!(serde_json::json!(found), *indexes, "{collection}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_odd_collection_comes_back_from_plain_gzip_and_zstd() {
    let plain = fixture("weird.archive");
    let zstd = zstd::encode_all(&plain[..], 3).unwrap();
    for bytes in [plain, fixture("weird.archive.gz"), zstd] {
        let target = Mongod::standalone().await.unwrap();
        let restored = restore_with(opened(bytes).await, &target, Options::default()).await.unwrap();
        assert_eq!((restored.refused, restored.exceptions), (0, vec![]));
        holds_the_weird_database(&target).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oplog_of_an_archive_is_applied() {
    let target = Mongod::replica_set().await.unwrap();
    let source = opened(fixture("server-oplog.archive.gz")).await;
    let restored = restore_with(source, &target, Options::default()).await.unwrap();
    assert_eq!((restored.refused, restored.exceptions), (0, vec![]));
    holds_the_weird_database(&target).await;
    let shop = target.client().await.unwrap().database("shop");
    let late = shop.collection::<Document>("late");
    // The oplog inserts these, and updates alike as many documents elsewhere.
    let inserted = || late.count_documents(doc! { "_id": { "$in": (83..=104).collect::<Vec<i32>>() } });
    assert_eq!(inserted().await.unwrap(), 22);
    let tiny = shop.collection::<Document>("tiny");
    assert!(tiny.find_one(doc! { "touched": 104 }).await.unwrap().is_some());
    let until = |at: &str| Options {
        at: Some(at.parse().unwrap()),
        existing: Existing::Drop,
        filter: Filter::new(vec!["shop.*".into()], vec![]).unwrap(),
        ..Options::default()
    };
    let again =
        async |at| restore_with(opened(fixture("server-oplog.archive.gz")).await, &target, until(at)).await;
    assert_eq!(again("1795455112.65").await.unwrap().exceptions, Vec::<String>::new());
    assert_eq!(inserted().await.unwrap(), 21);
    let beyond = again("1795455113.1").await.unwrap();
    assert!(beyond.exceptions[0].contains("ends at 1795455112.66"), "{beyond:?}");
    let client = target.client().await.unwrap();
    let users = client.database("admin").collection::<Document>("system.users");
    assert_eq!(users.count_documents(doc! {}).await.unwrap(), 1);
    assert_eq!(
        client
            .database("admin")
            .list_collection_names()
            .await
            .unwrap()
            .iter()
            .find(|n| n.starts_with("temp")),
        None
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oplog_of_an_archive_follows_to_new_names() {
    let target = Mongod::replica_set().await.unwrap();
    let source = opened(fixture("server-oplog.archive.gz")).await;
    let options = Options {
        filter: Filter::new(vec!["shop.*".into()], vec![]).unwrap(),
        renames: Renames::new(["shop.*=copy.new_*".to_owned()]).unwrap(),
        ..Options::default()
    };
    let restored = restore_with(source, &target, options).await.unwrap();
    assert_eq!(restored.exceptions, Vec::<String>::new());
    assert_eq!(count(&target, "copy", "new_late").await, 107);
    let touched = target.client().await.unwrap().database("copy").collection::<Document>("new_tiny");
    assert!(touched.find_one(doc! { "touched": 104 }).await.unwrap().is_some());
    let databases = target.client().await.unwrap().list_database_names().await.unwrap();
    assert!(!databases.contains(&"shop".to_owned()), "{databases:?}");
}

/// A whole archive of collections of `db`, each with its documents.
struct Made {
    encoder: Encoder<Vec<u8>>,
    sums: Vec<(Namespace, Crc64)>,
}

impl Made {
    fn of(names: &[(&str, &str)]) -> Self {
        let metadata = names.iter().map(|(db, collection)| Metadata {
            db: (*db).into(),
            collection: (*collection).into(),
            metadata: "{}".into(),
            size: 0,
            kind: "collection".into(),
        });
        let prelude = Prelude { header: Header::new(4, "6.0.5", "test"), metadata: metadata.collect() };
        let sums = names.iter().map(|(db, collection)| {
            (Namespace { db: (*db).into(), collection: (*collection).into() }, Crc64::new())
        });
        Self { encoder: Encoder::archive(Vec::new(), &prelude).unwrap(), sums: sums.collect() }
    }

    fn block(&mut self, place: usize, documents: &[Vec<u8>]) {
        let (namespace, sum) = &mut self.sums[place];
        self.encoder.begin_block(namespace).unwrap();
        for document in documents {
            sum.update(document);
            self.encoder.document(document).unwrap();
        }
        self.encoder.end_block().unwrap();
    }

    fn finish(mut self) -> Vec<u8> {
        for (namespace, sum) in &self.sums {
            self.encoder.eof(namespace, sum.value()).unwrap();
        }
        self.encoder.finish().unwrap()
    }
}

fn numbered(i: i32, bytes: usize) -> Vec<u8> {
    rawdoc! { "_id": i, "text": "x".repeat(bytes) }.into_bytes()
}

async fn count(target: &Mongod, db: &str, collection: &str) -> u64 {
    let collection = target.client().await.unwrap().database(db).collection::<Document>(collection);
    collection.count_documents(doc! {}).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_of_many_collections_may_be_mixed_and_documents_as_large_as_they_get() {
    const LARGEST: usize = 16 * 1024 * 1024 - 28;
    let mut made = Made::of(&[("shop", "a"), ("shop", "b"), ("shop", "c"), ("other", "a")]);
    for i in 0..200 {
        let documents = (0..i % 7).map(|k| numbered(i * 10 + k, 300)).collect::<Vec<_>>();
        made.block(i as usize % 3, &documents);
    }
    made.block(3, &[numbered(1, LARGEST), numbered(2, 10), numbered(3, LARGEST)]);
    let target = Mongod::standalone().await.unwrap();
    let restored = restore_with(opened(made.finish()).await, &target, Options::default()).await.unwrap();
    assert_eq!((restored.refused, restored.exceptions), (0, vec![]));
    let wanted: u64 = (0..200).map(|i| i % 7).sum();
    let found = [
        count(&target, "shop", "a").await,
        count(&target, "shop", "b").await,
        count(&target, "shop", "c").await,
    ];
    assert_eq!(found.iter().sum::<u64>(), wanted);
    assert_eq!(count(&target, "other", "a").await, 3);
}

/// As `mongodump --db shop --dumpDbUsersAndRoles` names them.
#[tokio::test(flavor = "multi_thread")]
async fn users_and_roles_of_one_database_are_merged_and_no_others() {
    let (source, target) = (Mongod::replica_set().await.unwrap(), Mongod::replica_set().await.unwrap());
    dataset::every_kind(&source.client().await.unwrap()).await.unwrap();
    let mut made = Made::of(&[
        ("shop", "$admin.system.users"),
        ("shop", "$admin.system.roles"),
        ("shop", "$admin.system.version"),
        ("shop", "a"),
    ]);
    for (place, collection) in ["system.users", "system.roles", "system.version"].into_iter().enumerate() {
        let all = source.client().await.unwrap().database("admin").collection::<Document>(collection);
        let mut all = all.find(doc! {}).await.unwrap();
        let mut documents = Vec::new();
        while all.advance().await.unwrap() {
            documents.push(all.current().as_bytes().to_vec());
        }
        // A user of another database has been smuggled in.
        assert!(collection != "system.users" || documents.len() == 2);
        made.block(place, &documents);
    }
    made.block(3, &[numbered(1, 10)]);
    let restored = restore_with(opened(made.finish()).await, &target, Options::default()).await.unwrap();
    assert_eq!(restored.exceptions, Vec::<String>::new());
    let names = |facts: std::collections::BTreeMap<String, String>| {
        facts.into_iter().filter(|(name, _)| name.starts_with("admin.")).collect()
    };
    let mut wanted = names(fingerprint(&source.client().await.unwrap()).await.unwrap());
    let found = names(fingerprint(&target.client().await.unwrap()).await.unwrap());
    assert_eq!(differences(&wanted, &found), ["admin.system.users Some(String(\"admin.bert\")) is missing"]);
    wanted.retain(|name, _| !name.contains("admin.bert"));
    assert_eq!(wanted, found);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_is_cut_off_anywhere_is_no_success() {
    let whole = fixture("weird.archive");
    let target = Mongod::standalone().await.unwrap();
    let all_drop = || Options { existing: Existing::Drop, ..Options::default() };
    let places = [0, 3, 50, whole.len() / 3, whole.len() / 2, whole.len() - 5, whole.len() - 1];
    for length in places {
        let cut = match open("cut", Cursor::new(whole[..length].to_vec())).await {
            Ok(source) => restore_with(source, &target, all_drop()).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(cut.code(), Code::Damaged, "{length}: {cut:?}");
        assert!(cut.message().contains("archive `cut` is damaged"), "{cut}");
    }
    let zipped = fixture("weird.archive.gz");
    let cut = opened(zipped[..zipped.len() * 2 / 3].to_vec()).await;
    let cut = restore_with(cut, &target, all_drop()).await.unwrap_err();
    assert_eq!(cut.code(), Code::Damaged);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_ends_after_its_first_collection_is_cut_off() {
    let mut made = Made::of(&[("shop", "a"), ("shop", "b")]);
    made.block(0, &[numbered(1, 10)]);
    made.sums.truncate(1);
    let target = Mongod::standalone().await.unwrap();
    let cut = restore_with(opened(made.finish()).await, &target, Options::default()).await.unwrap_err();
    assert_eq!(cut.code(), Code::Damaged);
    assert!(cut.message().contains("cut off") && cut.message().contains("`shop.b`"), "{cut}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_in_an_archive_is_found() {
    let target = Mongod::standalone().await.unwrap();
    let mut made = Made::of(&[("shop", "a")]);
    made.block(0, &[numbered(1, 100), numbered(2, 100)]);
    let right = made.finish();
    let x = right
        .iter()
        .position(|&byte| byte == b'x')
        .map(|_| right.windows(8).position(|w| w == b"xxxxxxxx").unwrap())
        .unwrap();
    let changed = |at: usize, to: &[u8]| {
        let mut bytes = right.clone();
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    // The text's length, which stands before it, and the first document's, which stands before its `_id`.
    let (text_length, document_length) = (x - 4, x - 4 - 6 - 9 - 4);
    assert_eq!(right[document_length..document_length + 4], (right[document_length] as u32).to_le_bytes());
    for (bytes, told) in [
        (changed(x, b"y"), "`shop.a` are not those that were dumped"),
        (changed(text_length, &[0xff; 3]), "a document of `shop.a` is not BSON"),
        (changed(document_length, &i32::MAX.to_le_bytes()), "a document of 2147483647 bytes"),
        (changed(document_length, &3_i32.to_le_bytes()), "a document of 3 bytes"),
    ] {
        let options = Options { existing: Existing::Drop, ..Options::default() };
        let error = restore_with(opened(bytes).await, &target, options).await.unwrap_err();
        assert_eq!(error.code(), Code::Damaged, "{told}");
        assert!(error.message().contains(told), "`{told}` is not in: {error}");
        assert!(error.message().contains("the target holds a part of it"), "{error}");
    }
    let error = open("a picture", Cursor::new(b"\x89PNG and more".to_vec())).await.unwrap_err();
    assert!(
        error
            .message()
            .contains("archive `a picture` is damaged: at byte 0: this is not a mongodump archive"),
        "{error}"
    );
}

/// Before it knew time-series collections, mongodump gave no kinds; servers before 4.4 repeated names in indexes.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_archive_is_understood_and_one_refused_index_does_not_cost_the_others() {
    let index =
        |key: &str, name: &str| format!(r#"{{"v":2,"key":{{"a":{key}}},"name":"{name}","ns":"shop.a"}}"#);
    let indexes =
        [index("1", "right"), index(r#""geoHaystack""#, "gone"), index("-1", "right too")].join(",");
    let described = |collection: &str, metadata: String| {
        rawdoc! { "db": "shop", "collection": collection, "metadata": metadata, "size": 0 }.into_bytes()
    };
    let header = rawdoc! { "concurrent_collections": 1, "version": "0.1", "server_version": "4.0.28", "tool_version": "r4.0.28" };
    let mut archive = mongo_archive::MAGIC.to_vec();
    archive.extend(header.into_bytes());
    archive.extend(described("a", format!(r#"{{"indexes":[{indexes}]}}"#)));
    archive.extend(described("v", r#"{"options":{"viewOn":"a","pipeline":[]},"indexes":[]}"#.into()));
    archive.extend(mongo_archive::TERMINATOR);
    let a = Namespace { db: "shop".into(), collection: "a".into() };
    let mut blocks = Encoder::blocks(archive);
    blocks.begin_block(&a).unwrap();
    blocks.document(&numbered(1, 10)).unwrap();
    blocks.end_block().unwrap();
    let mut sum = Crc64::new();
    sum.update(&numbered(1, 10));
    blocks.eof(&a, sum.value()).unwrap();
    let target = Mongod::standalone().await.unwrap();
    let options =
        Options { renames: Renames::new(["shop.*=old.*".to_owned()]).unwrap(), ..Options::default() };
    let source = opened(blocks.finish().unwrap()).await;
    let restored = restore_with(source, &target, options).await.unwrap();
    assert_eq!((restored.documents, restored.indexes, restored.exceptions.len()), (1, 2, 1));
    assert!(restored.exceptions[0].contains("geoHaystack"), "{:?}", restored.exceptions);
    assert_eq!(count(&target, "old", "v").await, 1);
    let found = target.client().await.unwrap().database("old").collection::<Document>("a");
    let mut names = found.list_index_names().await.unwrap();
    names.sort_unstable();
    assert_eq!(names, ["_id_", "right", "right too"]);
}

const BUCKET: &str = "youraccountname-mlab-backups";

/// A bucket with one object, and what opens that.
async fn stored(bytes: &[u8]) -> (Sandbox, aws_sdk_s3::Client, StoreOptions) {
    let (sandbox, client, options) = empty_bucket().await;
    put(&client, bytes).await;
    (sandbox, client, options)
}

/// A bucket with these objects, its name, and what opens them.
pub(crate) async fn stored_objects(objects: &[(String, Vec<u8>)]) -> (Sandbox, String, StoreOptions) {
    let (sandbox, client, options) = empty_bucket().await;
    for (key, bytes) in objects {
        let body = aws_sdk_s3::primitives::ByteStream::from(bytes.clone());
        client.put_object().bucket(BUCKET).key(key).body(body).send().await.unwrap();
    }
    (sandbox, BUCKET.to_owned(), options)
}

async fn empty_bucket() -> (Sandbox, aws_sdk_s3::Client, StoreOptions) {
    let sandbox = Sandbox::builder().start().await.unwrap();
    let owner = sandbox.owner();
    let credentials = aws_sdk_s3::config::Credentials::new(&owner.id, &owner.secret, None, None, "test");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version_latest()
        .region(aws_sdk_s3::config::Region::new(sandbox.region().to_owned()))
        .endpoint_url(sandbox.endpoint())
        .credentials_provider(credentials)
        .force_path_style(true)
        .build();
    let client = aws_sdk_s3::Client::from_conf(config);
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    let key = AccessKey { id: owner.id.clone(), secret: owner.secret.clone(), session_token: None };
    let options = StoreOptions {
        endpoint: Some(sandbox.endpoint()),
        region: Some(sandbox.region().into()),
        key: Some(key),
        ..StoreOptions::default()
    };
    (sandbox, client, options)
}

async fn put(client: &aws_sdk_s3::Client, bytes: &[u8]) {
    let body = aws_sdk_s3::primitives::ByteStream::from(bytes.to_vec());
    client.put_object().bucket(BUCKET).key("dumps/weird").body(body).send().await.unwrap();
}

fn location() -> Location {
    Location::S3 { bucket: BUCKET.into(), prefix: "dumps/weird".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_a_bucket_is_restored_part_by_part() {
    const LARGE: usize = 9_000_000;
    let mut made = Made::of(&[("shop", "a")]);
    made.block(0, &(0..3).map(|i| numbered(i, LARGE)).collect::<Vec<_>>());
    let bytes = made.finish();
    let (sandbox, _client, options) = stored(&bytes).await;
    let stream = open_object(&location(), options).unwrap();
    let target = Mongod::standalone().await.unwrap();
    let source = open("s3", stream).await.unwrap();
    let restored = restore_with(source, &target, Options::default()).await.unwrap();
    assert_eq!((restored.documents, restored.exceptions), (3, vec![]));
    assert_eq!(sandbox.requests()["GetObject"], 4, "27 MB in parts of 8 MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_replaced_while_it_is_read_is_not_taken_for_one_archive() {
    let (_sandbox, client, options) = stored(&vec![1; 30_000_000]).await;
    let mut stream = open_object(&location(), options.clone()).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let (begun, first) = tokio::sync::oneshot::channel();
    let reading = tokio::task::spawn_blocking(move || {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        begun.send(()).unwrap();
        receiver.recv().unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap_err()
    });
    first.await.unwrap();
    put(&client, &vec![2; 30_000_000]).await;
    sender.send(()).unwrap();
    let error = reading.await.unwrap().downcast::<Error>().unwrap();
    assert_eq!(error.code(), Code::Damaged);
    assert!(error.message().contains("was replaced while it was read"), "{error}");

    put(&client, b"").await;
    let error = open("empty", open_object(&location(), options.clone()).unwrap()).await.unwrap_err();
    assert_eq!(error.code(), Code::Damaged, "{error}");
    let nothing = Location::S3 { bucket: BUCKET.into(), prefix: "dumps/nothing".into() };
    let error = open("nothing", open_object(&nothing, options).unwrap()).await.unwrap_err();
    assert_eq!(error.code(), Code::ObjectMissing, "{error}");
}

/// As `mongodump --viewsAsCollections` writes them: labelled as views, and documents are there.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_was_dumped_as_a_collection_comes_back_with_its_documents() {
    let target = Mongod::standalone().await.unwrap();
    let source = opened(fixture("cases/real-viewsascoll.archive")).await;
    let restored = restore_with(source, &target, Options::default()).await.unwrap();
    assert_eq!((restored.documents, restored.exceptions), (4, vec![]));
    assert_eq!(count(&target, "shop", "v").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_have_no_place_are_counted_and_named() {
    let view = Metadata {
        db: "shop".into(),
        collection: "v".into(),
        metadata: r#"{"options":{"viewOn":"a","pipeline":[]}}"#.into(),
        size: 0,
        kind: "view".into(),
    };
    let a =
        Metadata { collection: "a".into(), metadata: "{}".into(), kind: "collection".into(), ..view.clone() };
    let mine = Metadata { db: "local".into(), collection: "mine".into(), ..a.clone() };
    let metadata = vec![a, view, mine];
    let sums = metadata.iter().map(|m| (Namespace::new(&m.db, &m.collection), Crc64::new())).collect();
    let prelude = Prelude { header: Header::new(4, "6.0.5", "test"), metadata };
    let mut made = Made { encoder: Encoder::archive(Vec::new(), &prelude).unwrap(), sums };
    for place in 0..3 {
        made.block(place, &[numbered(1, 5), numbered(2, 5)]);
    }
    let target = Mongod::standalone().await.unwrap();
    let restored = restore_with(opened(made.finish()).await, &target, Options::default()).await.unwrap();
    assert_eq!(restored.documents, 2);
    for name in ["shop.v", "local.mine"] {
        let named = |exception: &String| exception.starts_with("2 documents") && exception.contains(name);
        assert!(restored.exceptions.iter().any(named), "{name}: {:?}", restored.exceptions);
    }
}

/// A file is read twice: what its oplog holds is known first.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_oplog_of_an_archive_holds_is_known_before_anything_is_touched() {
    let mut made = Made::of(&[("shop", "a"), ("", "oplog")]);
    made.block(0, &[numbered(1, 10)]);
    let rename = rawdoc! { "renameCollection": "shop.a", "to": "shop.b" };
    let ts = bson::Timestamp { time: 1, increment: 1 };
    made.block(1, &[rawdoc! { "op": "c", "ns": "shop.$cmd", "o": rename, "ts": ts }.into_bytes()]);
    let bytes = made.finish();
    let target = Mongod::replica_set().await.unwrap();
    let again = bytes.clone();
    let opener = std::sync::Arc::new(move || {
        let stream: Box<dyn Read + Send> = Box::new(Cursor::new(again.clone()));
        Ok(stream)
    });
    let archive = tokio::task::spawn_blocking(|| Archive::open_again("a file", opener)).await.unwrap();
    let source = Source::archive(archive.unwrap());
    let error = restore_with(source, &target, Options::default()).await.unwrap_err();
    assert!(error.message().starts_with("nothing was touched"), "{error}");
    let names = target.client().await.unwrap().list_database_names().await.unwrap();
    assert!(!names.contains(&"shop".to_owned()), "{names:?}");

    let error = restore_with(opened(bytes).await, &target, Options::default()).await.unwrap_err();
    assert!(error.message().contains("holds a part of it"), "{error}");
    let help = error.help_text().unwrap().to_string();
    assert!(!format!("{error} {help}").contains("othing was touched"), "{error} {help}");
}

/// mongodump writes the buckets of a server from 8.3 on under the name of their time-series.
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_of_a_server_without_names_for_buckets_comes_back() {
    let target = Mongod::standalone().await.unwrap();
    let series = doc! { "create": "w", "timeseries": { "timeField": "at" } };
    target.command("made", series).await.unwrap();
    let at = bson::DateTime::from_millis(1_700_000_000_000);
    let made = target.client().await.unwrap().database("made");
    made.collection::<Document>("w").insert_one(doc! { "at": at, "x": 1 }).await.unwrap();
    let buckets = made.collection::<bson::RawDocumentBuf>("system.buckets.w");
    let bucket = buckets.find_one(doc! {}).await.unwrap().unwrap();
    for under in ["w", "system.buckets.w"] {
        let metadata = Metadata {
            db: "shop".into(),
            collection: "w".into(),
            metadata: r#"{"options":{"timeseries":{"timeField":"at"}},"indexes":[]}"#.into(),
            size: 0,
            kind: "timeseries".into(),
        };
        let prelude = Prelude { header: Header::new(4, "9.0.1", "100.18.0"), metadata: vec![metadata] };
        let sums = vec![(Namespace::new("shop", under), Crc64::new())];
        let mut archive = Made { encoder: Encoder::archive(Vec::new(), &prelude).unwrap(), sums };
        archive.block(0, &[bucket.as_bytes().to_vec()]);
        let options = Options { existing: Existing::Drop, ..Options::default() };
        let restored = restore_with(opened(archive.finish()).await, &target, options).await.unwrap();
        assert_eq!((restored.documents, restored.exceptions), (1, vec![]), "{under}");
        let w = target.client().await.unwrap().database("shop").collection::<Document>("w");
        assert_eq!(w.find_one(doc! {}).await.unwrap().unwrap().get_i32("x").unwrap(), 1);
    }
}

/// An archive of so many empty collections.
fn listing(collections: usize) -> Vec<u8> {
    let metadata = (0..collections).map(|i| Metadata {
        db: format!("db{}", i % 2),
        collection: format!("c{i}"),
        metadata: "{}".into(),
        kind: "collection".into(),
        size: 0,
    });
    let prelude = Prelude { header: Header::new(1, "6.0.5", "100.13.0"), metadata: metadata.collect() };
    let mut archive = Vec::new();
    let mut encoder = Encoder::archive(&mut archive, &prelude).unwrap();
    for Metadata { db, collection, .. } in prelude.metadata {
        encoder.eof(&Namespace { db, collection }, Crc64::new().value()).unwrap();
    }
    archive
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_lists_too_many_collections_creates_none_and_can_be_restored_in_parts() {
    let target = Mongod::standalone().await.unwrap();
    let error = restore_with(opened(listing(100_001)).await, &target, Options::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::Usage);
    assert!(error.message().contains("100001 collections of the archive"), "{error}");
    let names = target.client().await.unwrap().list_database_names().await.unwrap();
    assert!(!names.iter().any(|name| name.starts_with("db")), "{names:?}");
    let filter = Filter::new(vec!["db0.c10000*".into()], vec![]).unwrap();
    let part =
        restore_with(opened(listing(100_001)).await, &target, Options { filter, ..Options::default() });
    assert_eq!(part.await.unwrap().namespaces, 2);
}
