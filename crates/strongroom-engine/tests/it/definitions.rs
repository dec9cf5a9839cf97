//! Options, views and indexes go from server to server as the bytes they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use bson::raw::cstr;
use bson::{Document, RawArrayBuf, RawDocumentBuf, doc, rawdoc};
use futures::TryStreamExt;
use mongodb::Client;
use strongroom_engine::backup::ConsistencyMode;
use strongroom_engine::deployment::{ConnectOptions, Deployment};
use strongroom_engine::restore::Existing;
use strongroom_engine::{Code, Compression, Filter, NamespaceKind, backup};
use testbed::mongod::Options;
use testbed::{Mongod, dataset};
use tokio_util::sync::CancellationToken;

use crate::setup::{back_up, backup, folder, job, options, restore};
use crate::topology::{Heard, backup_of};

/// Options and indexes of everything in `shop`, as bytes.
pub(crate) async fn catalogue(client: &Client) -> BTreeMap<String, Vec<Vec<u8>>> {
    let db = client.database("shop");
    let list = async |command: Document| -> Vec<RawDocumentBuf> {
        let cursor = db.run_cursor_command(command).await.unwrap();
        cursor.with_type::<RawDocumentBuf>().try_collect().await.unwrap()
    };
    let mut catalogue = BTreeMap::new();
    for entry in list(doc! { "listCollections": 1 }).await {
        let name = entry.get_str("name").unwrap();
        let mut facts = vec![entry.get_document("options").unwrap().as_bytes().to_vec()];
        if entry.get_str("type").unwrap() != "view" {
            facts
                .extend(list(doc! { "listIndexes": name }).await.into_iter().map(RawDocumentBuf::into_bytes));
        }
        catalogue.insert(name.to_owned(), facts);
    }
    catalogue
}

/// A document nested this deep.
fn nested(levels: usize, name: &str) -> RawDocumentBuf {
    let name = <&bson::raw::CStr>::try_from(name).unwrap();
    (1..levels).fold(rawdoc! { "x": 1 }, |inner, _| RawDocumentBuf::from_iter([(name, inner)]))
}

fn twice(name: &'static bson::raw::CStr, one: RawDocumentBuf, other: RawDocumentBuf) -> RawDocumentBuf {
    RawDocumentBuf::from_iter([(name, one), (name, other)])
}

fn view(name: &str, stage: RawDocumentBuf) -> RawDocumentBuf {
    rawdoc! { "create": name, "viewOn": "orders", "pipeline": [stage] }
}

/// Definitions that a map or a text form of BSON changes.
fn odd_definitions() -> Vec<RawDocumentBuf> {
    let literal = |literal: RawDocumentBuf| rawdoc! { "$project": { "d": { "$literal": literal } } };
    let either = |a: RawDocumentBuf, b: RawDocumentBuf| RawArrayBuf::from_iter([a, b]);
    let not_below = || rawdoc! { "$gte": 0 };
    let or = RawDocumentBuf::from_iter([
        (cstr!("$or"), either(rawdoc! { "a": not_below() }, rawdoc! { "x": 1 })),
        (cstr!("$or"), either(rawdoc! { "b": not_below() }, rawdoc! { "y": 1 })),
    ]);
    let filter = twice(cstr!("a"), rawdoc! { "$gt": 1 }, rawdoc! { "$lt": 3 });
    let schema = (0..70).fold(rawdoc! { "bsonType": "object" }, |inner, _| {
        rawdoc! { "properties": { "p": inner } }
    });
    vec![
        view("an id", rawdoc! { "$match": { "a": { "$eq": { "$oid": "000000000000000000000001" } } } }),
        view("no id", literal(rawdoc! { "$oid": "zz" })),
        view("no uuid", literal(rawdoc! { "$uuid": "x" })),
        view(
            "numbers",
            literal(rawdoc! { "a": { "$numberInt": "5" }, "b": { "$numberDouble": "x" }, "c": f64::NAN }),
        ),
        view(
            "dates",
            literal(rawdoc! { "a": { "$date": 5 }, "b": { "$undefined": true }, "c": { "$minKey": 1 } }),
        ),
        view("binary", literal(rawdoc! { "$binary": "AA==", "$type": "00" })),
        view("deep", literal(nested(150, "a"))),
        view("twice", rawdoc! { "$match": or.clone() }),
        rawdoc! { "create": "or", "validator": or },
        rawdoc! { "create": "like", "validator": { "a": { "$ne": { "$numberLong": "5" } } } },
        rawdoc! { "create": "schema", "validator": { "$jsonSchema": schema } },
        rawdoc! { "create": "partial" },
        rawdoc! { "createIndexes": "partial", "indexes": [
            { "key": { "b": 1 }, "name": "b", "partialFilterExpression": filter },
            { "key": { "c": 1 }, "name": "c", "partialFilterExpression": { "c": { "$eq": { "$date": 5 } } } },
        ] },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_text_would_change_come_back_as_they_were() {
    let (source, target) = (Mongod::replica_set().await.unwrap(), Mongod::standalone().await.unwrap());
    let client = source.client().await.unwrap();
    for command in odd_definitions() {
        client.database("shop").run_raw_command(command).await.unwrap();
    }
    let wanted = catalogue(&client).await;
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let manifest = backup(&source, &store, options(Compression::None)).await.unwrap();
    let restored = restore(&store, &manifest, &target, Existing::Refuse, Filter::default()).await.unwrap();
    assert_eq!(restored.exceptions, Vec::<String>::new());
    let found = catalogue(&target.client().await.unwrap()).await;
    assert_eq!(found.keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
    for (name, facts) in wanted {
        assert!(found[&name] == facts, "{name}: {:?}", RawDocumentBuf::from_bytes(found[&name][0].clone()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_text_cannot_express_is_named_and_stops_nothing() {
    let source = Mongod::standalone().await.unwrap();
    let db = source.client().await.unwrap().database("shop");
    db.collection("orders").insert_one(doc! { "_id": 1 }).await.unwrap();
    for (name, literal) in [("an id", rawdoc! { "$oid": "zz" }), ("plain", rawdoc! { "a": "$b" })] {
        let stage = rawdoc! { "$project": { "d": { "$literal": literal } } };
        db.run_raw_command(view(name, stage)).await.unwrap();
    }
    let (made, heard) = backup_of(&source.uri(), &ConnectOptions::default()).await;
    let manifest = made.unwrap();
    let kept = |name: &str| {
        let found = manifest.namespaces.iter().find(|found| found.collection == name);
        found.unwrap().metadata_bson.is_some()
    };
    assert!(kept("an id") && !kept("plain") && !kept("orders"));
    let warnings = heard.warnings().join("\n");
    assert!(warnings.contains("`shop.an id`") && !warnings.contains("plain"), "{warnings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_makes_for_a_while_is_left_out_and_named() {
    let source = Mongod::standalone().await.unwrap();
    let client = source.client().await.unwrap();
    client.database("shop").collection("orders").insert_one(doc! { "_id": 1 }).await.unwrap();
    let create = doc! { "op": "c", "ns": "shop.$cmd", "o": { "create": "made for a while", "temp": true } };
    client.database("admin").run_command(doc! { "applyOps": [create] }).await.unwrap();
    let (made, heard) = backup_of(&source.uri(), &ConnectOptions::default()).await;
    let names: Vec<String> =
        made.unwrap().namespaces.iter().map(strongroom_engine::Namespace::name).collect();
    assert!(
        names.contains(&"shop.orders".to_owned()) && !names.iter().any(|name| name.contains("while")),
        "{names:?}"
    );
    let warnings = heard.warnings().join("\n");
    assert!(warnings.contains("`shop.made for a while` left out"), "{warnings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_still_being_built_is_not_taken_for_one_that_is_there() {
    let arguments = vec!["--setParameter".to_owned(), "enableTestCommands=1".to_owned()];
    let source = Mongod::start(Options { replica_set: true, arguments, ..Options::default() }).await.unwrap();
    let client = source.client().await.unwrap();
    let db = client.database("shop");
    db.collection("orders").insert_one(doc! { "_id": 1, "a": 1 }).await.unwrap();
    db.run_command(doc! { "createIndexes": "orders", "indexes": [{ "key": { "b": 1 }, "name": "there" }] })
        .await
        .unwrap();
    let fail = |mode: &str| doc! { "configureFailPoint": "hangAfterStartingIndexBuild", "mode": mode };
    client.database("admin").run_command(fail("alwaysOn")).await.unwrap();
    let building = tokio::spawn({
        let db = db.clone();
        async move {
            db.run_command(
                doc! { "createIndexes": "orders", "indexes": [{ "key": { "a": 1 }, "name": "coming" }] },
            )
            .await
        }
    });
    let listed = async || {
        let answer = db.run_command(doc! { "listIndexes": "orders" }).await.unwrap();
        answer.get_document("cursor").unwrap().get_array("firstBatch").unwrap().len()
    };
    while listed().await < 3 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let place = tempfile::tempdir().unwrap();
    let work = backup::Options {
        filter: Filter::new(vec!["shop.*".into()], vec![]).unwrap(),
        ..options(Compression::None)
    };
    let manifest = backup(&source, &folder(place.path()), work).await.unwrap();
    client.database("admin").run_command(fail("off")).await.unwrap();
    building.await.unwrap().unwrap();
    let metadata = manifest.namespaces[0].metadata.get();
    assert!(metadata.contains("there") && !metadata.contains("coming"), "{metadata}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_one_database_can_back_that_one_up() {
    let server =
        Mongod::start(Options { replica_set: true, auth: true, ..Options::default() }).await.unwrap();
    let client = server.client().await.unwrap();
    for db in ["shop", "other"] {
        client.database(db).collection("a").insert_one(doc! { "_id": 1 }).await.unwrap();
    }
    let user = doc! { "createUser": "clerk", "pwd": "secret", "roles": [{ "role": "read", "db": "shop" }] };
    server.command("admin", user).await.unwrap();
    let uri = format!("{}&authSource=admin", server.uri_for("clerk:secret@"));
    let made = async |include: &str| {
        let deployment = Deployment::connect(&uri.parse().unwrap()).await.unwrap();
        let place = tempfile::tempdir().unwrap();
        let work = backup::Options {
            filter: Filter::new(vec![include.into()], vec![]).unwrap(),
            consistency: ConsistencyMode::None,
            ..options(Compression::None)
        };
        let job = job(Arc::new(Heard::default()), CancellationToken::new());
        back_up(deployment, folder(place.path()), work, job).await
    };
    assert_eq!(made("shop.*").await.unwrap().namespaces.len(), 1);
    assert_eq!(made("*.a").await.unwrap_err().code(), Code::MongoPrivilege);
    assert_eq!(made("other.*").await.unwrap_err().code(), Code::MongoPrivilege);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_backup_is_told_how_large_collections_are() {
    let server =
        Mongod::start(Options { replica_set: true, auth: true, ..Options::default() }).await.unwrap();
    dataset::every_kind(&server.client().await.unwrap()).await.unwrap();
    let user = doc! { "createUser": "backups", "pwd": "secret", "roles": ["backup"] };
    server.command("admin", user).await.unwrap();
    let uri = format!("{}&authSource=admin", server.uri_for("backups:secret@"));
    let deployment = Deployment::connect(&uri.parse().unwrap()).await.unwrap();
    let filter = Filter::new(vec!["shop.*".into()], vec![]).unwrap();
    let found = deployment.namespaces(&filter).await.unwrap().namespaces;
    let size_of = |name: &str| {
        let found = found.iter().find(|found| found.collection == name).unwrap();
        (found.documents, found.bytes)
    };
    assert_eq!(size_of("orders").0, 3000);
    assert!(size_of("orders").1 > 3000 * 20);
    let series = found.iter().find(|found| found.kind == NamespaceKind::Timeseries).unwrap();
    assert!(series.bytes > 0 && series.uuid.is_some());
}
