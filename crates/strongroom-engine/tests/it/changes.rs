//! What can happen to a database while it is backed up: every kind of entry that an oplog of MongoDB 6.0 holds and
//! that can be replayed.

use bson::{Bson, DateTime, Document, Timestamp, doc};
use mongodb::{Client, Database};

/// What the changes begin with, beside the data of every kind.
pub(crate) async fn prepare(client: &Client) {
    let db = client.database("shop");
    let stock =
        (0..200).map(|i| doc! { "_id": i, "n": i, "list": [1, 2, { "a": i }], "sub": { "x": 1, "y": 2 } });
    insert(&db, "stock", stock.collect()).await;
    insert(&db, "to drop", vec![doc! { "_id": 1 }]).await;
    insert(&db, "to make anew", (0..50).map(|i| doc! { "_id": i, "old": true }).collect()).await;
    run(
        &db,
        doc! { "createIndexes": "stock", "indexes": [
            { "key": { "n": 1 }, "name": "to drop" }, { "key": { "sub.x": 1 }, "name": "to hide" },
            { "key": { "at": 1 }, "name": "to last longer", "expireAfterSeconds": 1_000_000_000 },
        ] },
    )
    .await;
    run(&db, doc! { "create": "ring", "capped": true, "size": 4096, "max": 10 }).await;
    insert(&db, "ring", (0..15).map(|i| doc! { "_id": i }).collect()).await;
    run(&db, doc! { "create": "view to change", "viewOn": "stock", "pipeline": [] }).await;
    run(&db, doc! { "create": "view to drop", "viewOn": "stock", "pipeline": [] }).await;
    run(&db, doc! { "create": "view to store", "viewOn": "stock", "pipeline": [] }).await;
    series(&db, "old series").await;
    series(&db, "series to drop").await;
    insert(&client.database("gone"), "a", vec![doc! { "_id": 1 }]).await;
    run(&client.database("gone"), doc! { "create": "view", "viewOn": "a", "pipeline": [] }).await;
    run(&db, doc! { "create": "to collate" }).await;
    run(&db, doc! { "createUser": "carl", "pwd": "carl-secret", "roles": [] }).await;
}

pub(crate) async fn first(client: &Client) {
    let db = client.database("shop");
    updates(&db).await;
    transactions(client, 0).await;
    run(&db, doc! { "drop": "to drop" }).await;
    run(&db, doc! { "drop": "to make anew" }).await;
    insert(&db, "to make anew", vec![doc! { "_id": 7, "new": true }]).await;
    run(&db, doc! { "create": "made", "validator": { "x": { "$gte": 0 } }, "collation": { "locale": "fr" } })
        .await;
    run(
        &db,
        doc! { "createIndexes": "made", "indexes": [
            { "key": { "x": 1 }, "name": "on nothing yet", "unique": true },
            { "key": { "y": 1 }, "name": "simple", "collation": { "locale": "simple" } },
        ] },
    )
    .await;
    insert(&db, "made", (0..20).map(|i| doc! { "_id": i, "x": i }).collect()).await;
    run(&db, doc! { "drop": "to collate" }).await;
    run(&db, doc! { "create": "to collate", "collation": { "locale": "fr" } }).await;
    let simple = doc! { "key": { "y": 1 }, "name": "simple", "collation": { "locale": "simple" } };
    run(&db, doc! { "createIndexes": "to collate", "indexes": [simple] }).await;
    insert(&db, "ring", (15..22).map(|i| doc! { "_id": i }).collect()).await;
    run(&db, doc! { "create": "new ring", "capped": true, "size": 4096, "max": 5 }).await;
    insert(&db, "new ring", (0..4).map(|i| doc! { "_id": i }).collect()).await;
    measure(&db, "old series", 0).await;
    series(&db, "new series").await;
    measure(&db, "new series", 0).await;
    run(&db, doc! { "drop": "series to drop" }).await;
    run(&db, doc! { "create": "new view", "viewOn": "new series", "pipeline": [] }).await;
    run(&db, doc! { "collMod": "view to change", "viewOn": "stock", "pipeline": [{ "$limit": 5 }] }).await;
    run(&db, doc! { "drop": "view to store" }).await;
    insert(&db, "view to store", vec![doc! { "_id": 1 }]).await;
    run(&client.database("gone"), doc! { "dropDatabase": 1 }).await;
    insert(&client.database("born"), "a", vec![doc! { "_id": 1, "x": 1 }]).await;
    run(&db, doc! { "updateUser": "carl", "customData": { "desk": 4 } }).await;
    run(&db, doc! { "createUser": "dora", "pwd": "dora-secret", "roles": ["read"] }).await;
    index_changes(&db).await;
}

pub(crate) async fn second(client: &Client) {
    let db = client.database("shop");
    transactions(client, 100).await;
    all(&db, "stock", doc! { "$inc": { "count": 1 }, "$push": { "more": { "$each": [9], "$position": 0 } } })
        .await;
    let longer = doc! { "$push": { "list": { "$each": [9], "$position": 0 } } };
    db.collection::<Document>("stock").update_many(doc! { "_id": { "$gt": 30 } }, longer).await.unwrap();
    run(
        &db,
        doc! { "delete": "stock", "deletes": [{ "q": { "_id": { "$gte": 150, "$lt": 160 } }, "limit": 0 }] },
    )
    .await;
    run(&db, doc! { "drop": "to make anew" }).await;
    run(&db, doc! { "create": "to make anew", "clusteredIndex": { "key": { "_id": 1 }, "unique": true } })
        .await;
    insert(&db, "to make anew", (0..9).map(|i| doc! { "_id": i, "newest": true }).collect()).await;
    insert(&db, "ring", (22..40).map(|i| doc! { "_id": i }).collect()).await;
    run(&db, doc! { "drop": "new ring" }).await;
    run(&db, doc! { "create": "new ring", "capped": true, "size": 4096, "max": 5 }).await;
    insert(&db, "new ring", (2..9).map(|i| doc! { "_id": i }).collect()).await;
    measure(&db, "old series", 10).await;
    measure(&db, "new series", 10).await;
    run(&db, doc! { "createIndexes": "new series", "indexes": [{ "key": { "m.p": 1, "at": -1 }, "name": "by p" }] }).await;
    run(&db, doc! { "collMod": "old series", "expireAfterSeconds": 1_500_000_000_i64 }).await;
    run(&db, doc! { "drop": "view to drop" }).await;
    run(&db, doc! { "collMod": "made", "validationLevel": "moderate" }).await;
    run(&db, doc! { "collMod": "ring", "cappedMax": 12 }).await;
    run(&db, doc! { "dropUser": "dora" }).await;
    let born = client.database("born");
    all(&born, "a", doc! { "$set": { "y": 2 } }).await;
    run(&db, doc! { "dropIndexes": "made", "index": "on nothing yet" }).await;
    // It could not be built before what it forbids was deleted.
    insert(&db, "made", vec![doc! { "_id": 100, "x": 5 }]).await;
    run(&db, doc! { "delete": "made", "deletes": [{ "q": { "_id": 5 }, "limit": 1 }] }).await;
    run(&db, doc! { "createIndexes": "made", "indexes": [{ "key": { "x": -1 }, "name": "again", "unique": true }] }).await;
}

/// Each operator leaves another form of change in the oplog.
async fn updates(db: &Database) {
    let one = |id: i32, u: Bson| doc! { "q": { "_id": id }, "u": u };
    let empty = Timestamp { time: 0, increment: 0 };
    let changes = [
        doc! { "$set": { "n": "text", "sub.z.deep": [1] } },
        doc! { "$unset": { "sub.x": "", "list": "" } },
        doc! { "$inc": { "n": 5 }, "$mul": { "sub.y": 3 } },
        doc! { "$push": { "list": { "$each": [5, 6], "$sort": -1 } } },
        doc! { "$pull": { "list": 1 } },
        doc! { "$pop": { "list": -1 } },
        doc! { "$set": { "list.2.a": 9, "list.7": "beyond" } },
        doc! { "$rename": { "sub": "renamed" } },
        doc! { "$addToSet": { "list": 77 }, "$currentDate": { "at": true } },
        doc! { "$bit": { "n": { "xor": 5 } }, "$min": { "sub.x": 0 }, "$max": { "sub.y": 9 } },
        doc! { "replaced": true, "stamp": 1 },
    ];
    let mut updates: Vec<Document> =
        changes.into_iter().enumerate().map(|(i, change)| one(i as i32, Bson::Document(change))).collect();
    let set = |field: &str, value: Bson| {
        Bson::Document(
            doc! { "$replaceWith": { "$setField": { "field": { "$literal": field }, "input": "$$ROOT", "value": { "$literal": value } } } },
        )
    };
    updates.push(one(20, Bson::Array(vec![set("$odd.name", Bson::Int32(1)), set("stamp", empty.into())])));
    updates
        .push(one(21, Bson::Array(vec![Bson::Document(doc! { "$set": { "sum": { "$add": ["$n", 1] } } })])));
    updates.push(doc! { "q": { "_id": "new" }, "u": { "$set": { "x": 1 } }, "upsert": true });
    updates.push(doc! { "q": { "_id": { "a": 1 } }, "u": { "_id": { "a": 1 }, "whole": 1 }, "upsert": true });
    updates.push(
        doc! { "q": { "_id": { "$gt": 100, "$lt": 120 } }, "u": { "$set": { "many": 1 } }, "multi": true },
    );
    run(db, doc! { "update": "stock", "updates": updates }).await;
    let removed = doc! { "findAndModify": "stock", "query": { "_id": 30 }, "remove": true };
    run(db, removed).await;
    let seen = doc! { "findAndModify": "stock", "query": { "_id": 31 }, "update": { "$inc": { "n": 1 } }, "new": true };
    run(db, seen).await;
    let gone_and_back = [doc! { "_id": 40, "back": 1, "stamp": 1 }];
    run(db, doc! { "delete": "stock", "deletes": [{ "q": { "_id": 40 }, "limit": 1 }] }).await;
    insert(db, "stock", gone_and_back.to_vec()).await;
}

/// A short one, one of several entries (more than 16 MiB), and one that is given up.
async fn transactions(client: &Client, first: i32) {
    let db = client.database("shop");
    let stock = db.collection::<Document>("stock");
    let made = db.collection::<Document>("made in a transaction");
    for large in [false, true] {
        let mut session = client.start_session().await.unwrap();
        session.start_transaction().await.unwrap();
        let range = if large { 10..14 } else { 0..2 };
        for i in range {
            let pad = if large { "x".repeat(6_000_000) } else { String::new() };
            made.insert_one(doc! { "_id": first + i, "pad": pad }).session(&mut session).await.unwrap();
        }
        let change = doc! { "$set": { "in a transaction": first } };
        stock.update_one(doc! { "_id": 60 }, change).session(&mut session).await.unwrap();
        stock.delete_one(doc! { "_id": 61 + first / 100 }).session(&mut session).await.unwrap();
        session.commit_transaction().await.unwrap();
    }
    let mut session = client.start_session().await.unwrap();
    session.start_transaction().await.unwrap();
    stock.delete_one(doc! { "_id": 70 }).session(&mut session).await.unwrap();
    session.abort_transaction().await.unwrap();
}

async fn index_changes(db: &Database) {
    run(db, doc! { "createIndexes": "stock", "indexes": [{ "key": { "many": 1 }, "name": "built", "sparse": true }] }).await;
    run(db, doc! { "dropIndexes": "stock", "index": "to drop" }).await;
    run(db, doc! { "collMod": "stock", "index": { "name": "to hide", "hidden": true } }).await;
    run(db, doc! { "collMod": "stock", "index": { "name": "to last longer", "expireAfterSeconds": 1_500_000_000 } }).await;
    let impossible = doc! { "createIndexes": "stock", "indexes": [{ "key": { "nothing": 1 }, "name": "impossible", "unique": true }] };
    db.run_command(impossible).await.unwrap_err();
}

async fn series(db: &Database, name: &str) {
    let options = doc! { "timeField": "at", "metaField": "m", "granularity": "minutes" };
    run(db, doc! { "create": name, "timeseries": options, "expireAfterSeconds": 1_000_000_000_i64 }).await;
}

async fn measure(db: &Database, name: &str, first: i64) {
    let at = |i: i64| DateTime::from_millis(1_700_000_000_000 + (first + i) * 60_000);
    insert(db, name, (0..10).map(|i| doc! { "at": at(i), "m": { "p": i % 2 }, "v": i }).collect()).await;
}

async fn insert(db: &Database, collection: &str, documents: Vec<Document>) {
    db.collection::<Document>(collection).insert_many(documents).await.unwrap();
}

async fn all(db: &Database, collection: &str, change: Document) {
    db.collection::<Document>(collection).update_many(doc! {}, change).await.unwrap();
}

async fn run(db: &Database, command: Document) {
    let answer = db.run_command(command.clone()).await.unwrap_or_else(|e| panic!("{command}: {e}"));
    assert!(!answer.contains_key("writeErrors"), "{command}: {answer}");
}
