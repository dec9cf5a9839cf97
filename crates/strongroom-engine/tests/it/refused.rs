//! What a server refuses is named, and costs nothing else.

use std::io::Cursor;
use std::path::PathBuf;

use base64::Engine as _;
use bson::{Document, doc};
use mongo_archive::{Crc64, Encoder, Header, Metadata, Namespace, Prelude};
use strongroom_engine::restore::{Archive, CollectionOptions, Existing, Options, Restored, Source};
use strongroom_engine::{Code, Compression, Filter, Renames};
use testbed::Mongod;

use crate::setup::{backup, folder, options, restore, restore_with, small_collections};

pub(crate) async fn opened(bytes: Vec<u8>) -> Source {
    let open = move || Archive::open("the archive", Box::new(Cursor::new(bytes))).unwrap();
    Source::archive(tokio::task::spawn_blocking(open).await.unwrap())
}

/// Restores a case into a database of its name.
async fn restored(target: &Mongod, name: &str, options: Options) -> Restored {
    let renames = Renames::new([format!("shop.*={name}.*")]).unwrap();
    restore_with(case(name).await, target, Options { renames, ..options }).await.unwrap()
}

/// An archive of `fixtures/cases`.
pub(crate) async fn case(name: &str) -> Source {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cases");
    opened(std::fs::read(folder.join(format!("{name}.archive"))).unwrap()).await
}

/// The names of what a case left there.
async fn names(target: &Mongod, db: &str) -> Vec<String> {
    let mut names = target.client().await.unwrap().database(db).list_collection_names().await.unwrap();
    names.retain(|name| name != "system.views");
    names.sort_unstable();
    names
}

async fn listed(target: &Mongod, db: &str, command: Document) -> Vec<Document> {
    let answer = target.command(db, command).await.unwrap();
    let batch = answer.get_document("cursor").unwrap().get_array("firstBatch").unwrap();
    batch.iter().map(|entry| entry.as_document().unwrap().clone()).collect()
}

async fn options_of(target: &Mongod, db: &str, collection: &str) -> Document {
    let listed = listed(target, db, doc! { "listCollections": 1, "filter": { "name": collection } }).await;
    listed[0].get_document("options").unwrap().clone()
}

async fn indexes_of(target: &Mongod, db: &str, collection: &str) -> Vec<Document> {
    listed(target, db, doc! { "listIndexes": collection }).await
}

fn says(restored: &Restored, expected: &[&[&str]]) {
    assert_eq!(restored.exceptions.len(), expected.len(), "{:?}", restored.exceptions);
    for (exception, words) in restored.exceptions.iter().zip(expected) {
        assert!(words.iter().all(|word| exception.contains(word)), "{exception}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_that_is_refused_costs_no_other_view() {
    let target = Mongod::standalone().await.unwrap();
    let circle = restored(&target, "view-cycle", Options::default()).await;
    assert_eq!(names(&target, "view-cycle").await, ["good", "orders"]);
    says(&circle, &[&["`view-cycle.a`", "reads itself"], &["`view-cycle.b`", "reads itself"]]);
    assert_eq!(circle.namespaces, 2);
    let unknown = restored(&target, "view-unknown-stage", Options::default()).await;
    assert_eq!(names(&target, "view-unknown-stage").await, ["good", "later", "orders"]);
    says(&unknown, &[&["the view `view-unknown-stage.bad` is not restored", "$notAStage"]]);
    assert_eq!(unknown.namespaces, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_dropped_whose_successor_is_refused() {
    let target = Mongod::standalone().await.unwrap();
    let client = target.client().await.unwrap();
    for name in ["orders", "log"] {
        let old = (0..7).map(|i| doc! { "_id": format!("old {i}") });
        client.database("drop-refused").collection(name).insert_many(old).await.unwrap();
    }
    let db = client.database("view-unknown-stage");
    db.run_command(doc! { "create": "bad", "viewOn": "orders", "pipeline": [{ "$limit": 7 }] })
        .await
        .unwrap();
    let drop = || Options { existing: Existing::Drop, ..Options::default() };
    let found = restored(&target, "drop-refused", drop()).await;
    says(&found, &[&["`drop-refused.log` is not restored", "stays"]]);
    assert_eq!(names(&target, "drop-refused").await, ["log", "orders", "zzz"]);
    let log = client.database("drop-refused").collection::<Document>("log");
    assert_eq!(log.count_documents(doc! {}).await.unwrap(), 7);
    let orders = client.database("drop-refused").collection::<Document>("orders");
    assert_eq!(orders.count_documents(doc! { "_id": "old 1" }).await.unwrap(), 0, "it was replaced");
    let found = restored(&target, "view-unknown-stage", drop()).await;
    says(&found, &[&["`view-unknown-stage.bad` is not restored", "stays"]]);
    let bad = options_of(&target, "view-unknown-stage", "bad").await;
    assert_eq!(bad.get_array("pipeline").unwrap().len(), 1);
    assert!(bad.to_string().contains("$limit"), "{bad}");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_that_are_refused_are_left_out_and_named() {
    let target = Mongod::standalone().await.unwrap();
    let found = restored(&target, "storageEngine", Options::default()).await;
    says(&found, &[&["`storageEngine.orders` was created without `storageEngine`", "MongoDB answered"]]);
    assert!(found.documents > 0);
    assert_eq!(names(&target, "storageEngine").await, ["fine", "orders"]);
    let found = restored(&target, "autoIndexId", Options::default()).await;
    says(&found, &[&["`autoIndexId.orders` was created without `autoIndexId`"]]);
    let found = restored(&target, "temp", Options::default()).await;
    assert_eq!((found.exceptions, names(&target, "temp").await), (vec![], vec!["orders".to_owned()]));
    assert_eq!(options_of(&target, "temp", "orders").await, doc! {});
    let none = Options { collection_options: CollectionOptions::None, ..Options::default() };
    let found = restored(&target, "dup-validator-archive", none).await;
    assert_eq!(found.exceptions, Vec::<String>::new());
    assert_eq!(options_of(&target, "dup-validator-archive", "accounts").await, doc! {});
}

#[tokio::test(flavor = "multi_thread")]
async fn only_options_become_members_of_the_command_that_creates() {
    let target = Mongod::standalone().await.unwrap();
    let found = restored(&target, "create-option", Options::default()).await;
    assert_eq!(found.exceptions, Vec::<String>::new());
    assert_eq!(names(&target, "create-option").await, ["orders", "other"]);
    let other = options_of(&target, "create-option", "other").await;
    assert_eq!(other, doc! { "capped": true, "size": 4096 });
    let databases = target.client().await.unwrap().list_database_names().await.unwrap();
    assert!(!databases.contains(&"shop".to_owned()), "{databases:?}");
    let hostile = r#"{"options": {"create": "elsewhere", "writeConcern": {}, "collMod": 1}, "indexes": []}"#;
    let found =
        restore_with(opened(archive("a", hostile, &[doc! { "_id": 1 }])).await, &target, Options::default());
    says(&found.await.unwrap(), &[&["`shop.a`", "`create`, `writeConcern`, `collMod`"]]);
    assert_eq!(names(&target, "shop").await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_of_old_are_built_as_they_were_meant() {
    let target = Mongod::standalone().await.unwrap();
    let found = restored(&target, "idx-unique-unknown", Options::default()).await;
    assert_eq!(found.exceptions, Vec::<String>::new(), "no index was ever built by `safe`");
    let email = &indexes_of(&target, "idx-unique-unknown", "accounts").await[1];
    assert!(email.get_bool("unique").unwrap(), "{email}");
    let found = restored(&target, "idx-w", Options::default()).await;
    assert_eq!((found.indexes, &found.exceptions), (1, &vec![]));
    let found = restored(&target, "idx-v0", Options::default()).await;
    assert_eq!((found.indexes, &found.exceptions), (2, &vec![]));
    let metadata = r#"{"options": {}, "indexes": [{"v": 0, "key": {"a": 1}, "name": "a", "colour": "red"}]}"#;
    let found = archive("odd", metadata, &[]);
    let found = restore_with(opened(found).await, &target, Options::default()).await.unwrap();
    says(&found, &[&["`a` of `shop.odd`", "without `colour`"]]);
    let found = restored(&target, "idx-2dsphere0", Options::default()).await;
    assert_eq!(found.exceptions, Vec::<String>::new());
    let sphere = &indexes_of(&target, "idx-2dsphere0", "orders").await[1];
    assert_eq!(sphere.get_i32("2dsphereIndexVersion").unwrap(), 1, "{sphere}");
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_of_old_archives_come_back() {
    let target = Mongod::standalone().await.unwrap();
    let found = restored(&target, "uuid-validator-v1", Options::default()).await;
    assert_eq!(found.exceptions, Vec::<String>::new());
    let validator = options_of(&target, "uuid-validator-v1", "accounts").await;
    let owner = validator.get_document("validator").unwrap().get_document("owner").unwrap();
    let bson::Bson::Binary(uuid) = owner.get("$ne").unwrap() else { panic!("{owner}") };
    assert_eq!((u8::from(uuid.subtype), uuid.bytes.clone()), (4, (0..16).collect()));
    let found = restored(&target, "dup-validator-archive", Options::default()).await;
    assert_eq!(found.exceptions, Vec::<String>::new());
    let accounts = target.client().await.unwrap().database("dup-validator-archive").collection("accounts");
    // Each of the two conditions is in force.
    for refused in [doc! { "a": 1, "b": -1, "y": 0 }, doc! { "a": -1, "x": 0, "b": 1 }] {
        assert!(accounts.insert_one(refused.clone()).await.is_err(), "{refused}");
    }
    accounts.insert_one(doc! { "a": 1, "b": 1 }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rings_that_say_so_by_a_number_keep_their_order() {
    let target = Mongod::standalone().await.unwrap();
    for (case, capped) in [("a", "1"), ("b", "1.0"), ("c", r#"{"$numberLong": "1"}"#)] {
        let metadata = format!(r#"{{"options": {{"capped": {capped}, "size": 100000000}}, "indexes": []}}"#);
        let documents: Vec<Document> =
            (0..2000).map(|i| doc! { "_id": i, "pad": "x".repeat(5000) }).collect();
        let options = Options { writers: 8, ..Options::default() };
        restore_with(opened(archive(case, &metadata, &documents)).await, &target, options).await.unwrap();
        let found =
            listed(&target, "shop", doc! { "find": case, "projection": { "_id": 1 }, "batchSize": 5000 })
                .await;
        let ids: Vec<i32> = found.iter().map(|document| document.get_i32("_id").unwrap()).collect();
        assert_eq!(ids, (0..2000).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_whose_name_is_taken_is_named_and_not_counted() {
    let target = Mongod::standalone().await.unwrap();
    target.command("view-unknown-stage", doc! { "create": "good" }).await.unwrap();
    let options = Options { existing: Existing::Keep, ..Options::default() };
    let found = restored(&target, "view-unknown-stage", options).await;
    assert_eq!(found.namespaces, 2, "orders and later");
    let taken = found.exceptions.iter().find(|exception| exception.contains("view-unknown-stage.good"));
    assert!(taken.is_some_and(|taken| taken.contains("was not created")), "{:?}", found.exceptions);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_version_listed_is_left_out_one_by_one() {
    let target = Mongod::standalone().await.unwrap();
    let made = async |name: &str, options: &str| {
        let metadata = format!(
            r#"{{"options": {options}, "indexes": [
            {{"key": {{"a": 1}}, "name": "a", "partialFilterExpression": {{}}, "sparse": null}}]}}"#
        );
        let bytes = archive(name, &metadata, &[doc! { "_id": 1 }]);
        let restored = restore_with(opened(bytes).await, &target, Options::default()).await.unwrap();
        assert_eq!((restored.documents, restored.indexes), (1, 1), "{:?}", restored.exceptions);
        (restored.exceptions, options_of(&target, "shop", name).await)
    };
    let (said, options) = made(
        "level",
        r#"{"validator": {"a": 1}, "validationLevel": "constraint", "capped": true, "size": 4096}"#,
    )
    .await;
    assert!(said[0].contains("without `validationLevel`"), "{said:?}");
    assert_eq!(options.get_document("validator").unwrap(), &doc! { "a": 1 });
    assert!(options.get_bool("capped").unwrap(), "{options}");
    let (said, options) = made("collated", r#"{"collation": {"locale": "fr", "version": "99.1"}}"#).await;
    assert!(said[0].contains("without `collation.version`"), "{said:?}");
    assert_eq!(options.get_document("collation").unwrap().get_str("locale").unwrap(), "fr");
    let (said, options) =
        made("validated", r#"{"validator": {"$newOperator": 1}, "validationLevel": "moderate"}"#).await;
    assert!(said[0].contains("without `validator`"), "{said:?}");
    assert_eq!(options, doc! {});
}

#[tokio::test(flavor = "multi_thread")]
async fn search_indexes_are_created_where_there_is_search_and_named_where_not() {
    let server = Mongod::standalone().await.unwrap();
    small_collections(&server).await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let mut manifest = backup(&server, &store, options(Compression::None)).await.unwrap();
    let a = manifest.namespaces.iter_mut().find(|namespace| namespace.collection == "a").unwrap();
    let id = bson::rawdoc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" };
    let search = bson::rawdoc! { "name": "by text", "definition": { "mappings": { "dynamic": true } } };
    let kept = bson::rawdoc! { "options": {}, "indexes": [id], "searchIndexes": [search] };
    a.metadata_bson = Some(base64::engine::general_purpose::STANDARD.encode(kept.as_bytes()));
    let target = Mongod::standalone().await.unwrap();
    let restored = restore(&store, &manifest, &target, Existing::Refuse, Filter::default()).await.unwrap();
    says(&restored, &[&["the search indexes `by text` of `shop.a` were not created"]]);
    assert_eq!(restored.documents, 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_cannot_be_read_is_refused_only_where_it_is_chosen() {
    let target = Mongod::standalone().await.unwrap();
    let deep = format!(r#"{{"options": {}1{}, "indexes": []}}"#, r#"{"a":"#.repeat(5000), "}".repeat(5000));
    let old = r#"{"options": {"validator": {"a": {"$ne": NaN}}}, "indexes": []}"#;
    let bytes =
        || archive_of(&[("deep", &deep), ("no_json", "{options:"), ("old", old)], &[doc! { "_id": 1 }]);
    for name in ["deep", "no_json"] {
        let filter = Filter::new(vec![format!("shop.{name}")], vec![]).unwrap();
        let options = Options { filter, ..Options::default() };
        let error = restore_with(opened(bytes()).await, &target, options).await.unwrap_err();
        assert_eq!(error.code(), Code::Damaged);
        assert!(error.message().contains(&format!("`shop.{name}`")), "{error}");
    }
    let filter = Filter::new(vec!["shop.old".into()], vec![]).unwrap();
    let options = Options { filter, ..Options::default() };
    let restored = restore_with(opened(bytes()).await, &target, options).await.unwrap();
    assert_eq!((restored.documents, restored.exceptions), (1, vec![]));
    let validator = options_of(&target, "shop", "old").await;
    let not = validator.get_document("validator").unwrap().get_document("a").unwrap().get_f64("$ne").unwrap();
    assert!(not.is_nan());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_whose_filter_holds_its_own_name_is_no_circle() {
    let target = Mongod::standalone().await.unwrap();
    let view =
        r#"{"options": {"viewOn": "log", "pipeline": [{"$match": {"coll": "orders"}}]}, "indexes": []}"#;
    let archive = archive_of(&[("log", "{}"), ("orders", view)], &[]);
    let restored = restore_with(opened(archive).await, &target, Options::default()).await.unwrap();
    assert_eq!((restored.namespaces, restored.exceptions), (2, vec![]));
    assert_eq!(options_of(&target, "shop", "orders").await.get_str("viewOn").unwrap(), "log");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_ring_of_the_target_throws_out_is_counted() {
    let documents: Vec<Document> = (0..500).map(|n| doc! { "_id": n, "text": "x".repeat(50) }).collect();
    let options = || Options { existing: Existing::Keep, ..Options::default() };
    let target = Mongod::standalone().await.unwrap();
    let ring = |size: i32| doc! { "create": "a", "capped": true, "size": size };
    target.command("shop", ring(4096)).await.unwrap();
    let source = || opened(archive("a", "{}", &documents));
    let restored = restore_with(source().await, &target, options()).await.unwrap();
    let held = target.command("shop", doc! { "count": "a" }).await.unwrap().get_i32("n").unwrap();
    assert!(held < 500);
    let lost = format!("threw out {} documents", 500 - held);
    says(&restored, &[&["`shop.a` is capped in the target", &lost]]);
    target.command("shop", doc! { "drop": "a" }).await.unwrap();
    target.command("shop", ring(1 << 20)).await.unwrap();
    let restored = restore_with(source().await, &target, options()).await.unwrap();
    assert_eq!((restored.documents, restored.exceptions), (500, vec![]), "there is room for all");
}

/// An archive of one collection.
fn archive(collection: &str, metadata: &str, documents: &[Document]) -> Vec<u8> {
    archive_of(&[(collection, metadata)], documents)
}

/// An archive of collections that hold the same.
pub(crate) fn archive_of(collections: &[(&str, &str)], documents: &[Document]) -> Vec<u8> {
    let metadata = collections.iter().map(|(collection, metadata)| Metadata {
        db: "shop".into(),
        collection: (*collection).into(),
        metadata: (*metadata).into(),
        kind: "collection".into(),
        size: 0,
    });
    let prelude = Prelude { header: Header::new(1, "4.0.0", "100.18.0"), metadata: metadata.collect() };
    let mut encoder = Encoder::archive(Vec::new(), &prelude).unwrap();
    for (collection, _) in collections {
        let name = Namespace { db: "shop".into(), collection: (*collection).into() };
        let mut sum = Crc64::new();
        encoder.begin_block(&name).unwrap();
        for document in documents {
            let bytes = bson::serialize_to_vec(document).unwrap();
            sum.update(&bytes);
            encoder.document(&bytes).unwrap();
        }
        encoder.end_block().unwrap();
        encoder.eof(&name, sum.value()).unwrap();
    }
    encoder.finish().unwrap()
}
