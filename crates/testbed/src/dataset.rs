//! Data: a small shop that shows every kind of thing MongoDB 6.0 knows, and as much plain data as wanted.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{
    Binary, Bson, DateTime, DbPointer, Decimal128, Document, JavaScriptCodeWithScope, RawDocumentBuf, Regex,
    Timestamp, doc,
};
use mongodb::{Client, Database};

type Outcome<T = ()> = Result<T, mongodb::error::Error>;

/// The databases that [`every_kind`] fills.
pub const DATABASES: [&str; 3] = ["shop", "odd-näme_db🦀", "files"];

/// Loads the shop.
///
/// # Errors
/// As the server answers.
pub async fn every_kind(client: &Client) -> Outcome {
    let shop = client.database("shop");
    plain_collections(&shop).await?;
    every_type(&shop).await?;
    every_id(&shop).await?;
    indexes(&shop).await?;
    special_collections(&shop).await?;
    views(&shop).await?;
    odd_names(&client.database("odd-näme_db🦀")).await?;
    grid_fs(&client.database("files")).await?;
    users_and_roles(client).await
}

/// Databases whose names sort before and after `admin`, and an ordinary collection there.
///
/// # Errors
/// As the server answers.
pub async fn around_admin(client: &Client) -> Outcome {
    for db in ["2026", "Sales", "accounts", "zebra"] {
        insert(&client.database(db), "orders", (0..20).map(|i| doc! { "_id": i, "in": db }).collect())
            .await?;
    }
    insert(&client.database("admin"), "audit", (0..7).map(|i| doc! { "_id": i }).collect()).await
}

fn id(number: u32) -> ObjectId {
    let mut bytes = [0x65; 12];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

fn pick(choices: &[&'static str], i: u64) -> &'static str {
    choices[i as usize % choices.len()]
}

fn date(second: i64) -> DateTime {
    DateTime::from_millis(1_700_000_000_000 + second * 1000)
}

async fn insert(db: &Database, collection: &str, documents: Vec<Document>) -> Outcome {
    db.collection(collection).insert_many(documents).await?;
    Ok(())
}

async fn run(db: &Database, command: Document) -> Outcome {
    db.run_command(command).await?;
    Ok(())
}

async fn plain_collections(db: &Database) -> Outcome {
    let customer = |i: u32| {
        doc! { "_id": id(i), "name": format!("Customer {i}"), "city": pick(&["Bern", "Zürich", "Genève"], i.into()),
        "tags": (0..i % 4).map(|t| t.to_string()).collect::<Vec<_>>(), "joined": date(i.into()),
        "at": { "type": "Point", "coordinates": [7.0 + f64::from(i) / 100.0, 46.5] }, "flat": [f64::from(i % 90), 3.0] }
    };
    insert(db, "customers", (0..500).map(customer).collect()).await?;
    let order = |i: u32| {
        doc! { "_id": i64::from(i), "customer": id(i % 500), "total": Decimal128::from_bytes(decimal(i)),
        "lines": [{ "sku": format!("sku-{}", i % 40), "n": (i % 5) as i32 }], "paid": i.is_multiple_of(3) }
    };
    insert(db, "orders", (0..3000).map(order).collect()).await?;
    let product = |i: u32| {
        doc! { "_id": format!("sku-{i}"), "title": format!("Thing number {i}"), "text": "red green blue",
        "price": f64::from(i) * 1.5, "expires": date(100_000_000) }
    };
    insert(db, "products", (0..40).map(product).collect()).await
}

/// A decimal128 of this coefficient with two places.
fn decimal(coefficient: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&coefficient.to_le_bytes());
    bytes[14..].copy_from_slice(&(0x3040_u16 - 4).to_le_bytes());
    bytes
}

/// One document with a field of every BSON type, the deprecated ones too, and values that are easily spoilt.
async fn every_type(db: &Database) -> Outcome {
    let nan_with_payload = f64::from_bits(0x7ff8_0000_0000_beef);
    let all = doc! {
        "_id": 1, "double": 1.5, "minus zero": -0.0, "nan": nan_with_payload, "infinity": f64::INFINITY,
        "string": "héllo 🦀 \u{0} inside", "": "an empty name", "a.b": "a dot", "$dollar": "a dollar",
        "document": { "a": { "b": {} } }, "array": [1, "two", [3], {}],
        "binary": Binary { subtype: BinarySubtype::Generic, bytes: vec![0, 1, 255] },
        "old binary": Binary { subtype: BinarySubtype::BinaryOld, bytes: vec![1, 2] },
        "uuid": Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] },
        "user binary": Binary { subtype: BinarySubtype::UserDefined(0x99), bytes: vec![] },
        "undefined": Bson::Undefined, "id": id(9), "true": true, "false": false,
        "date": date(0), "old date": DateTime::from_millis(-62_135_596_800_000), "far date": DateTime::from_millis(i64::MAX),
        "null": Bson::Null, "regex": Bson::RegularExpression(Regex { pattern: "^a.*$".try_into()?, options: "imx".try_into()? }),
        "pointer": Bson::DbPointer(pointer()?), "code": Bson::JavaScriptCode("function () {}".into()),
        "symbol": Bson::Symbol("symbol".into()),
        "scoped": Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code: "x".into(), scope: doc! { "x": 1 } }),
        "int": i32::MIN, "timestamp": Timestamp { time: 7, increment: 8 }, "long": i64::MAX,
        "nested empty timestamp": { "t": Timestamp { time: 0, increment: 0 } },
        "decimal": Decimal128::from_bytes([0xff; 16]), "decimal nan": Decimal128::from_bytes(special(0x7c00)),
        "decimal -inf": Decimal128::from_bytes(special(0xf800)), "min": Bson::MinKey, "max": Bson::MaxKey,
    };
    insert(db, "types", vec![all]).await?;
    // A server fills an empty timestamp in on insert; a pipeline can still put one there.
    insert(db, "types", vec![doc! { "_id": 2, "before": 1, "stamp": 0, "after": "x" }]).await?;
    let empty = Timestamp { time: 0, increment: 0 };
    let set = vec![doc! { "$set": { "stamp": { "$literal": empty } } }];
    db.collection::<Document>("types").update_one(doc! { "_id": 2 }, set).await?;
    let long = doc! { "_id": 3, "long": "x".repeat(16 * 1024 * 1024 - 64) };
    insert(db, "long documents", vec![long]).await
}

fn special(high: u16) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[14..].copy_from_slice(&high.to_le_bytes());
    bytes
}

/// The driver makes none of these itself, but reads and writes them.
fn pointer() -> Outcome<DbPointer> {
    let mut raw = b"\x05p\0\0\0".to_vec();
    raw.clear();
    raw.extend_from_slice(&[0; 4]);
    raw.extend_from_slice(b"\x0cp\0");
    raw.extend_from_slice(&12_u32.to_le_bytes());
    raw.extend_from_slice(b"shop.orders\0");
    raw.extend_from_slice(&id(3).bytes());
    raw.push(0);
    let length = raw.len() as u32;
    raw[..4].copy_from_slice(&length.to_le_bytes());
    let document = Document::try_from(RawDocumentBuf::from_bytes(raw)?.as_ref())?;
    match document.get("p") {
        Some(Bson::DbPointer(pointer)) => Ok(pointer.clone()),
        _ => Err(mongodb::error::Error::custom("a pointer was read as something else")),
    }
}

/// An `_id` of every type that may be one; in the server's order they do not stand by insertion.
async fn every_id(db: &Database) -> Outcome {
    let ids = [
        Bson::MinKey,
        Bson::MaxKey,
        Bson::Null,
        Bson::Double(f64::NAN),
        Bson::Double(-0.0),
        Bson::Double(f64::NEG_INFINITY),
        Bson::Int32(1),
        Bson::Int64(i64::MAX),
        Bson::Decimal128(Decimal128::from_bytes(decimal(77))),
        Bson::String(String::new()),
        Bson::String("ü".into()),
        Bson::Symbol("symbol".into()),
        Bson::Document(doc! {}),
        Bson::Document(doc! { "a": 1, "b": { "c": [1, 2] } }),
        Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: vec![1; 16] }),
        Bson::ObjectId(id(1)),
        Bson::Boolean(false),
        Bson::Boolean(true),
        Bson::DateTime(date(5)),
        Bson::Timestamp(Timestamp { time: 1, increment: 2 }),
        Bson::JavaScriptCode("code".into()),
    ];
    let documents = ids.into_iter().enumerate().map(|(i, id)| doc! { "n": i as i32, "_id": id });
    insert(db, "ids", documents.collect()).await?;
    run(db, doc! { "create": "ids by french order", "collation": { "locale": "fr" } }).await?;
    let stamped = ["côte", "coté", "Côté"].map(|id| doc! { "_id": id, "stamp": 0 });
    insert(db, "ids by french order", stamped.to_vec()).await?;
    let set = vec![doc! { "$set": { "stamp": { "$literal": Timestamp { time: 0, increment: 0 } } } }];
    db.collection::<Document>("ids by french order").update_many(doc! {}, set).await?;
    Ok(())
}

async fn indexes(db: &Database) -> Outcome {
    let customers = vec![
        doc! { "name": "compound", "key": { "city": 1, "joined": -1 } },
        doc! { "name": "many", "key": { "tags": 1 } },
        doc! { "name": "hash", "key": { "name": "hashed" } },
        doc! { "name": "sphere", "key": { "at": "2dsphere" } },
        doc! { "name": "plane", "key": { "flat": "2d" }, "min": -200.0, "max": 200.0, "bits": 20 },
        doc! { "name": "unique", "key": { "name": 1 }, "unique": true },
        doc! { "name": "sparse", "key": { "missing": 1 }, "sparse": true },
        doc! { "name": "partial", "key": { "city": 1 }, "partialFilterExpression": { "joined": { "$gt": date(100) } } },
        doc! { "name": "french", "key": { "city": 1 }, "collation": { "locale": "fr", "strength": 1 } },
        doc! { "name": "hidden", "key": { "joined": 1 }, "hidden": true },
        doc! { "name": "ëmoji 🦀", "key": { "a.b": 1, "c": -1 } },
    ];
    run(db, doc! { "createIndexes": "customers", "indexes": customers }).await?;
    let products = vec![
        doc! { "name": "words", "key": { "title": "text", "text": "text" }, "weights": { "title": 5, "text": 2 }, "default_language": "german" },
        doc! { "name": "ttl", "key": { "expires": 1 }, "expireAfterSeconds": 3_000_000 },
        doc! { "name": "any", "key": { "$**": 1 }, "wildcardProjection": { "price": 1, "title": 1 } },
    ];
    run(db, doc! { "createIndexes": "products", "indexes": products }).await?;
    let french = vec![
        doc! { "name": "as the collection", "key": { "stamp": 1 } },
        doc! { "name": "simple", "key": { "stamp": -1 }, "collation": { "locale": "simple" } },
    ];
    run(db, doc! { "createIndexes": "ids by french order", "indexes": french }).await
}

async fn special_collections(db: &Database) -> Outcome {
    run(db, doc! { "create": "empty" }).await?;
    run(db, doc! { "create": "log", "capped": true, "size": 8192, "max": 50 }).await?;
    insert(db, "log", (0..120).map(|i| doc! { "_id": 1000 - i, "line": format!("line {i}") }).collect())
        .await?;
    run(db, doc! { "create": "clustered", "clusteredIndex": { "key": { "_id": 1 }, "unique": true, "name": "by id" } }).await?;
    insert(db, "clustered", (0..200).map(|i| doc! { "_id": (i * 37) % 200, "v": i }).collect()).await?;
    let rule = doc! { "$jsonSchema": { "required": ["name"], "properties": { "age": { "minimum": 0 } } } };
    run(db, doc! { "create": "checked", "validator": rule, "validationLevel": "moderate", "validationAction": "error" }).await?;
    let against_the_rule =
        doc! { "insert": "checked", "documents": [{ "_id": 1 }], "bypassDocumentValidation": true };
    run(db, against_the_rule).await?;
    insert(db, "checked", vec![doc! { "_id": 2, "name": "x", "age": 3 }]).await?;
    run(db, doc! { "create": "pictured", "changeStreamPreAndPostImages": { "enabled": true } }).await?;
    let series = doc! { "timeField": "at", "metaField": "sensor", "granularity": "minutes" };
    run(db, doc! { "create": "weather", "timeseries": series, "expireAfterSeconds": 1_000_000_000_i64 })
        .await?;
    let reading = |i: i64| doc! { "at": date(i * 60), "sensor": { "place": pick(&["roof", "cellar"], i as u64) }, "celsius": i as f64 / 10.0 };
    insert(db, "weather", (0..600).map(reading).collect()).await?;
    run(db, doc! { "createIndexes": "weather", "indexes": [{ "name": "by place", "key": { "sensor.place": 1, "at": -1 } }] }).await?;
    insert(
        db,
        "system.js",
        vec![doc! { "_id": "twice", "value": Bson::JavaScriptCode("function (x) { return 2 * x; }".into()) }],
    )
    .await
}

/// Created so that neither their names' order nor the order of creation is that of their dependencies.
async fn views(db: &Database) -> Outcome {
    run(
        db,
        doc! { "create": "z base view", "viewOn": "orders", "pipeline": [{ "$match": { "paid": true } }] },
    )
    .await?;
    let looked_up = doc! { "$lookup": { "from": "z base view", "localField": "_id", "foreignField": "customer", "as": "orders" } };
    run(db, doc! { "create": "a view on a view", "viewOn": "m customers", "pipeline": [looked_up] }).await?;
    run(db, doc! { "create": "m customers", "viewOn": "customers", "pipeline": [], "collation": { "locale": "simple" } }).await?;
    run(db, doc! { "create": "weather today", "viewOn": "weather", "pipeline": [{ "$limit": 5 }] }).await?;
    run(db, doc! { "create": "on nothing", "viewOn": "never there", "pipeline": [{ "$unionWith": "z base view" }] }).await
}

async fn odd_names(db: &Database) -> Outcome {
    let long = "n".repeat(200);
    for name in ["a.b.c", "sp ace", "🦀", "ünï", "per%cent", "q?u*e", long.as_str(), "trailing ", "new\nline"]
    {
        insert(db, name, vec![doc! { "_id": name, "in": name }]).await?;
    }
    Ok(())
}

/// As a driver's GridFS writes it: `fs.files`, `fs.chunks` and their indexes.
async fn grid_fs(db: &Database) -> Outcome {
    let file = doc! { "_id": id(1), "length": 600_000_i64, "chunkSize": 261_120, "uploadDate": date(0), "filename": "picture.png" };
    insert(db, "fs.files", vec![file]).await?;
    let chunk = |n: i32| {
        let bytes: Vec<u8> = (0..200_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        doc! { "_id": id(10 + n as u32), "files_id": id(1), "n": n, "data": Binary { subtype: BinarySubtype::Generic, bytes } }
    };
    insert(db, "fs.chunks", (0..3).map(chunk).collect()).await?;
    run(db, doc! { "createIndexes": "fs.files", "indexes": [{ "name": "filename_1_uploadDate_1", "key": { "filename": 1, "uploadDate": 1 } }] }).await?;
    run(db, doc! { "createIndexes": "fs.chunks", "indexes": [{ "name": "files_id_1_n_1", "key": { "files_id": 1, "n": 1 }, "unique": true }] }).await
}

async fn users_and_roles(client: &Client) -> Outcome {
    let shop = client.database("shop");
    let privilege =
        doc! { "resource": { "db": "shop", "collection": "orders" }, "actions": ["find", "update"] };
    run(&shop, doc! { "createRole": "clerk", "privileges": [privilege], "roles": ["read"] }).await?;
    run(
        &shop,
        doc! { "createUser": "anna", "pwd": "anna-secret", "roles": ["clerk"], "customData": { "desk": 3 } },
    )
    .await?;
    let admin = client.database("admin");
    run(&admin, doc! { "createUser": "bert", "pwd": "bert-secret", "roles": [{ "role": "backup", "db": "admin" }], "mechanisms": ["SCRAM-SHA-256"] }).await
}

/// Loads about `bytes` bytes of event-like documents of some 400 bytes: one large collection, a few of
/// middling size, and 200 small ones. The same every time.
///
/// # Errors
/// As the server answers.
pub async fn generate(client: &Client, bytes: u64) -> Outcome {
    let db = client.database("bench");
    const DOCUMENT_BYTES: u64 = 400;
    let share = |part: u64| bytes / DOCUMENT_BYTES * part / 100;
    let mut parts = vec![("events".to_owned(), share(60))];
    parts.extend((0..14).map(|i| (format!("middling{i:02}"), share(2))));
    parts.extend((0..200).map(|i| (format!("small{i:03}"), share(12) / 200)));
    let loads = parts
        .into_iter()
        .enumerate()
        .map(|(seed, (name, documents))| load(db.clone(), name, seed as u64, documents));
    futures::future::try_join_all(loads).await?;
    Ok(())
}

async fn load(db: Database, collection: String, seed: u64, documents: u64) -> Outcome {
    const BATCH: u64 = 5000;
    let target = db.collection::<Document>(&collection);
    for first in (0..documents).step_by(BATCH as usize) {
        let last = (first + BATCH).min(documents);
        let batch: Vec<Document> = (first..last).map(|i| event(seed, i)).collect();
        target.insert_many(batch).ordered(false).await?;
    }
    Ok(())
}

/// A number that looks random, and is not.
fn mixed(seed: u64, i: u64) -> u64 {
    let mut x = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(i).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 29;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 32)
}

/// A word that looks like one; there are 2,000.
fn word(number: u64) -> String {
    let syllables = [
        "ba", "cor", "del", "fi", "gan", "ho", "jin", "ka", "lo", "mer", "nu", "pos", "ra", "sto", "tel",
        "vi",
    ];
    let mut rest = mixed(77, number % 2000);
    let mut text = String::new();
    for _ in 0..1 + rest % 4 {
        rest >>= 4;
        text.push_str(syllables[rest as usize % syllables.len()]);
    }
    text
}

fn event(seed: u64, i: u64) -> Document {
    let random = mixed(seed, i);
    let words = ["order", "paid", "shipped", "view", "click", "cart", "login", "logout"];
    let kind = |shift: u32| words[(random >> shift) as usize % words.len()];
    let text: Vec<String> = (0..9).map(|w| word(mixed(seed + 2000, i * 9 + w))).collect();
    // As drivers make them: seconds, five bytes of the process, a counter.
    let mut id = [0; 12];
    id[..4].copy_from_slice(&(1_700_000_000 + i as u32 / 50).to_be_bytes());
    id[4..9].copy_from_slice(&mixed(seed, u64::MAX).to_be_bytes()[..5]);
    id[9..].copy_from_slice(&(i as u32).to_be_bytes()[1..]);
    // A session is a dozen events of one user.
    let session = mixed(seed + 1000, i / 12);
    let user = session % 100_000;
    doc! {
        "_id": ObjectId::from_bytes(id), "type": kind(3), "at": DateTime::from_millis(1_700_000_000_000 + i as i64 * 20),
        "user": { "id": user as i64, "name": format!("user-{user}"), "mail": format!("user-{user}@example.com"), "country": pick(&["CH", "DE", "FR", "IT"], random >> 7) },
        "session": format!("{session:016x}"), "amount": (random % 100_000) as f64 / 100.0,
        "path": format!("/{}/{}/{}", kind(11), kind(17), random % 1000), "tags": [kind(23), kind(29), kind(31)],
        "message": text.join(" "), "request": format!("{:016x}{random:016x}", mixed(seed + 3000, i)),
        "ok": random & 1 == 0, "version": "2026.11.3", "ms": (random % 900) as i32,
    }
}
