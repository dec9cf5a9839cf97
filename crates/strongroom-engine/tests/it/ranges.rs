//! Collections that are read in parts: no document is lost, none comes twice, whatever its `_id`.

use std::collections::BTreeMap;

use bson::oid::ObjectId;
use bson::{Bson, DateTime, Decimal128, Document, RawBson, Timestamp, doc};
use mongodb::Client;
use mongodb::options::IndexOptions;
use strongroom_engine::deployment::{Deployment, Described, Find, ReadAt, Scan, Setback, Split, id_of};
use strongroom_engine::restore::Existing;
use strongroom_engine::{ClusterTime, Compression, Consistency, Filter};
use testbed::Mongod;

use crate::setup::{backup, folder, options, restore};

fn only(pattern: &str) -> Filter {
    Filter::new(vec![pattern.into()], vec![]).unwrap()
}

/// The n-th `_id`: every type in turn.
fn id(n: i32) -> Bson {
    let text = format!("{:08x}", n.wrapping_mul(-1_640_531_527));
    match n % 13 {
        0 => Bson::Int32(n - 1000),
        1 => Bson::Double(f64::from(n) / 7.0),
        2 => Bson::Int64(i64::from(n) << 33),
        3 => Bson::String(text),
        4 => Bson::ObjectId(ObjectId::from_bytes([
            (n % 251) as u8,
            n as u8,
            (n >> 8) as u8,
            0,
            1,
            2,
            3,
            4,
            5,
            6,
            7,
            8,
        ])),
        5 => Bson::Document(doc! { "a": n, "b": { "c": text } }),
        6 => Bson::Binary(bson::Binary {
            subtype: bson::spec::BinarySubtype::Generic,
            bytes: n.to_le_bytes().to_vec(),
        }),
        7 => Bson::DateTime(DateTime::from_millis(i64::from(n) * 1_000_003)),
        8 => Bson::Timestamp(Timestamp { time: n as u32, increment: 1 }),
        9 => Bson::Decimal128(format!("{n}.5").parse::<Decimal128>().unwrap()),
        10 => Bson::Symbol(text),
        11 => Bson::JavaScriptCode(text),
        _ => [
            Bson::MinKey,
            Bson::MaxKey,
            Bson::Null,
            Bson::Boolean(true),
            Bson::Boolean(false),
            Bson::Double(f64::NAN),
        ]
        .get(n as usize / 13)
        .cloned()
        .unwrap_or(Bson::String(text)),
    }
}

const DOCUMENTS: i32 = 2600;

async fn fill(client: &Client, collection: &str, pad: usize) {
    let documents = (0..DOCUMENTS).map(|n| doc! { "_id": id(n), "n": n, "pad": "p".repeat(pad) });
    client.database("shop").collection::<Document>(collection).insert_many(documents).await.unwrap();
}

/// Changes that never rest, in every corner of the collection.
async fn disturb(client: Client, collection: &'static str) {
    let documents = client.database("shop").collection::<Document>(collection);
    for n in 0.. {
        let victim = n * 7 % DOCUMENTS;
        documents.delete_one(doc! { "n": victim }).await.unwrap();
        documents
            .update_one(doc! { "n": (victim + 3) % DOCUMENTS }, doc! { "$set": { "x": n } })
            .await
            .unwrap();
        documents.insert_one(doc! { "_id": id(victim), "n": victim, "again": n }).await.unwrap();
    }
}

async fn read(deployment: &Deployment, described: &Described, at: ReadAt, scan: Scan) -> Vec<Vec<u8>> {
    let find = Find {
        db: described.db.clone(),
        collection: deployment.collection_id(described),
        at,
        scan,
        is_raw: described.is_raw,
        batch_documents: Some(50),
    };
    let mut batches = deployment.read(&find).await.map_err(Setback::into_error).unwrap();
    let mut documents = Vec::new();
    while let Some(batch) = batches.next().await.map_err(Setback::into_error).unwrap() {
        documents.extend(batch.documents().unwrap().map(|document| document.unwrap().to_vec()));
    }
    documents
}

fn counted(documents: impl IntoIterator<Item = Vec<u8>>) -> BTreeMap<Vec<u8>, u32> {
    let mut counts = BTreeMap::new();
    for document in documents {
        *counts.entry(document).or_default() += 1;
    }
    counts
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_by_id_are_the_whole_for_every_type_of_id_under_writes() {
    let source = Mongod::replica_set().await.unwrap();
    let client = source.client().await.unwrap();
    fill(&client, "plain", 10).await;
    let french = doc! { "locale": "fr", "strength": 1 };
    let create = doc! { "create": "collated", "collation": french };
    client.database("shop").run_command(create).await.unwrap();
    let words = ["cote", "CÔTÉ2", "coté3", "Zèbre", "zebre2", "éa", "eb"];
    let words = words.iter().map(|word| doc! { "_id": *word });
    client.database("shop").collection::<Document>("collated").insert_many(words).await.unwrap();
    let clustered = doc! { "create": "clustered", "clusteredIndex": { "key": { "_id": 1 }, "unique": true } };
    client.database("shop").run_command(clustered).await.unwrap();
    fill(&client, "clustered", 10).await;
    let writer = tokio::spawn(disturb(client.clone(), "plain"));
    let deployment = Deployment::connect(&source.uri().parse().unwrap()).await.unwrap();
    for described in deployment.namespaces(&only("shop.*")).await.unwrap().namespaces {
        for parts in [2, 3, 7, 40] {
            let at = ReadAt::Snapshot(deployment.newest(ReadAt::Committed).await.unwrap());
            let whole = counted(read(&deployment, &described, at, Scan::Natural(None)).await);
            assert!(whole.values().all(|&count| count == 1));
            let Split::Ids(bounds) = deployment.split_by_id(&described, parts, at).await.unwrap() else {
                panic!("asked for bounds by _id")
            };
            assert!(!bounds.is_empty());
            let mut found = Vec::new();
            for part in 0..=bounds.len() {
                let from = part.checked_sub(1).map(|before| bounds[before].clone());
                let scan = Scan::Ids(from, bounds.get(part).cloned());
                found.extend(read(&deployment, &described, at, scan).await);
            }
            let found = counted(found);
            let lost = whole.keys().filter(|document| !found.contains_key(*document)).count();
            let twice = found.values().filter(|&&count| count > 1).count();
            let strange = found.keys().filter(|document| !whole.contains_key(*document)).count();
            assert_eq!((lost, twice, strange), (0, 0, 0), "{} in {parts} parts", described.name());
        }
    }
    writer.abort();
}

/// As the backup does it: by record, trimmed at the bound.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_collection_is_read_in_parts_and_is_whole() {
    let source = Mongod::replica_set().await.unwrap();
    let client = source.client().await.unwrap();
    fill(&client, "large", 60_000).await;
    let unique = IndexOptions::builder().unique(false).build();
    let index = mongodb::IndexModel::builder().keys(doc! { "n": 1 }).options(unique).build();
    client.database("shop").collection::<Document>("large").create_index(index).await.unwrap();
    let writer = tokio::spawn(disturb(client.clone(), "large"));
    let place = tempfile::tempdir().unwrap();
    let store = folder(place.path());
    let manifest = backup(&source, &store, options(Compression::None)).await.unwrap();
    writer.abort();
    let Consistency::Snapshot { cluster_time } = manifest.consistency else {
        panic!("{:?}", manifest.consistency)
    };
    let runs: std::collections::BTreeSet<&str> = manifest
        .segments
        .iter()
        .filter(|segment| {
            segment.contents.iter().any(|c| manifest.namespaces[c.namespace].collection == "large")
        })
        .map(|segment| segment.key.rsplit('/').next().unwrap().split('-').next().unwrap())
        .collect();
    assert!(runs.len() > 1, "it was read in one part: {runs:?}");
    assert!(documents_at(&source, cluster_time).await == restored(&store, &manifest).await);
}

async fn restored(
    store: &std::sync::Arc<dyn strongroom_engine::bucket::ObjectStore>,
    manifest: &strongroom_engine::Manifest,
) -> BTreeMap<Vec<u8>, u32> {
    let report =
        strongroom_engine::verify(store.clone(), manifest, 2, &crate::setup::unwatched()).await.unwrap();
    assert_eq!(report.problems, []);
    let target = Mongod::replica_set().await.unwrap();
    let outcome = restore(store, manifest, &target, Existing::Refuse, Filter::default()).await.unwrap();
    assert_eq!((outcome.refused, outcome.exceptions), (0, vec![]));
    let deployment = Deployment::connect(&target.uri().parse().unwrap()).await.unwrap();
    let now = deployment.newest(ReadAt::Committed).await.unwrap();
    documents_at(&target, now).await
}

async fn documents_at(server: &Mongod, time: ClusterTime) -> BTreeMap<Vec<u8>, u32> {
    let deployment = Deployment::connect(&server.uri().parse().unwrap()).await.unwrap();
    let large = deployment.namespaces(&only("*.large")).await.unwrap().namespaces.remove(0);
    let documents = read(&deployment, &large, ReadAt::Snapshot(time), Scan::Natural(None)).await;
    // The padding is left out: what tells documents apart comes before and after it.
    let short = |document: Vec<u8>| {
        let id = id_of(&document).unwrap();
        let document = Document::try_from(bson::RawDocument::from_bytes(&document).unwrap()).unwrap();
        let rest = format!("{:?} {:?} {:?}", document.get("n"), document.get("x"), document.get("again"));
        [id.into_bytes(), rest.into_bytes()].concat()
    };
    counted(documents.into_iter().map(short))
}

#[test]
fn ids_are_of_every_type() {
    let types: std::collections::BTreeSet<u8> =
        (0..DOCUMENTS).map(|n| RawBson::try_from(id(n)).unwrap().element_type() as u8).collect();
    assert_eq!(types.len(), 16, "{types:?}");
}
