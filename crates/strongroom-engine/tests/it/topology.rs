//! Which member of a real replica set is read, and what is left there.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bson::doc;
use strongroom_engine::deployment::{ConnectOptions, Deployment};
use strongroom_engine::{
    Bytes, Code, Compression, Consistency, Event, Manifest, MemberState, Observer, Result, backup,
};
use testbed::mongod::Options;
use testbed::{Mongod, Set, dataset};
use tokio_util::sync::CancellationToken;

use crate::setup::{back_up, folder, job, options, small_collections};

/// Remembers what it is told, and cancels at the first document if it is to.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    events: Mutex<Vec<Event>>,
    cancels: Option<CancellationToken>,
}

impl Observer for Heard {
    fn observe(&self, event: &Event) {
        if let (Event::Advanced { .. }, Some(cancel)) = (event, &self.cancels) {
            cancel.cancel();
        }
        self.events.lock().unwrap().push(event.clone());
    }
}

impl Heard {
    pub(crate) fn warnings(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let warning = |event: &Event| match event {
            Event::Warning(warning) => Some(warning.to_string()),
            _ => None,
        };
        events.iter().filter_map(warning).collect()
    }
}

/// A backup into a folder that is gone afterwards; what it said.
pub(crate) async fn backup_of(uri: &str, limits: &ConnectOptions) -> (Result<Manifest>, Arc<Heard>) {
    let (heard, place) = (Arc::new(Heard::default()), tempfile::tempdir().unwrap());
    let work = options(Compression::None);
    let deployment = match Deployment::connect_with(&uri.parse().unwrap(), limits).await {
        Ok(deployment) => deployment,
        Err(error) => return (Err(error), heard),
    };
    let token = CancellationToken::new();
    let made = back_up(deployment, folder(place.path()), work, job(heard.clone(), token)).await;
    if made.is_err() {
        assert!(!place.path().join("default").exists(), "nothing is stored of a backup that failed");
    }
    (made, heard)
}

/// How often a member has searched `shop.a`, by its own account.
async fn searches(member: &Mongod) -> i32 {
    let top = member.command_here("admin", doc! { "top": 1 }).await.unwrap();
    let totals = top.get_document("totals").unwrap();
    let of = |key: &str| totals.get_document("shop.a").ok()?.get_document(key).ok()?.get_i32("count").ok();
    of("queries").unwrap_or(0)
}

async fn read_by(set: &Set, manifest: &Manifest, before: &[i32]) -> usize {
    let mut readers = Vec::new();
    for (place, (member, before)) in set.members().iter().zip(before).enumerate() {
        if searches(member).await > *before {
            readers.push(place);
        }
    }
    assert_eq!(readers.len(), 1, "one member is read, and no other: {readers:?}");
    assert_eq!(manifest.source.member, set.members()[readers[0]].address());
    readers[0]
}

async fn reader_of(set: &Set, uri: &str, limits: &ConnectOptions) -> (usize, Manifest) {
    let mut before = Vec::new();
    for member in set.members() {
        before.push(searches(member).await);
    }
    let manifest = backup_of(uri, limits).await.0.unwrap();
    assert!(matches!(manifest.consistency, Consistency::Snapshot { .. }), "{:?}", manifest.consistency);
    (read_by(set, &manifest, &before).await, manifest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_member_goes_first_and_what_the_uri_says_goes_before_that() {
    let tags = |value: &str| doc! { "use": value };
    let settings = [
        doc! {},
        doc! { "priority": 1, "tags": tags("reports") },
        doc! { "hidden": true, "priority": 0, "tags": tags("backup") },
    ];
    let set = Set::start(&settings, Options::default()).await.unwrap();
    let client = set.client().await.unwrap();
    for name in ["a", "b"] {
        client.database("shop").collection(name).insert_one(doc! { "_id": 1 }).await.unwrap();
    }
    let free = ConnectOptions::default();
    // The URI names the primary alone: the others are found.
    let from_one = format!("mongodb://{}/?replicaSet=rs0", set.members()[0].address());
    let (reader, manifest) = reader_of(&set, &from_one, &free).await;
    assert_eq!(reader, 2);
    let members = &manifest.source.members;
    assert_eq!(members.len(), 3);
    let hidden = members.iter().find(|member| member.taken).unwrap();
    assert!(hidden.hidden && hidden.lag_seconds.is_some() && hidden.reason.contains("hidden"), "{hidden:?}");
    let primary = members.iter().find(|member| member.state == MemberState::Primary).unwrap();
    assert_eq!((primary.taken, primary.reason.as_str()), (false, "the primary is spared"));

    let tagged = format!("{}&readPreference=secondary&readPreferenceTags=use:reports", set.uri());
    assert_eq!(reader_of(&set, &tagged, &free).await.0, 1);
    let primary = format!("{}&readPreference=primary", set.uri());
    assert_eq!(reader_of(&set, &primary, &free).await.0, 0);
    let direct = set.members()[1].direct_uri("");
    assert_eq!(reader_of(&set, &direct, &free).await.0, 1);
    let nowhere = format!("{}&readPreference=secondary&readPreferenceTags=use:nothing", set.uri());
    let error = backup_of(&nowhere, &free).await.0.unwrap_err();
    assert_eq!(error.code(), Code::MongoHost);
    assert!(error.message().contains("tags"), "{error}");

    // The hidden one stops following.
    set.members()[2].command_here("admin", doc! { "fsync": 1, "lock": true }).await.unwrap();
    let strict = ConnectOptions { lag_max: Duration::from_secs(1), ..ConnectOptions::default() };
    for round in 0..3 {
        client.database("shop").collection("b").insert_one(doc! { "_id": 10 + round }).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let (reader, manifest) = reader_of(&set, &set.uri(), &strict).await;
    assert_eq!(reader, 1);
    let late = manifest.source.members.iter().find(|member| member.hidden).unwrap();
    assert!(late.reason.contains("behind") && late.lag_seconds.unwrap() > 1.0, "{late:?}");
    set.members()[2].command_here("admin", doc! { "fsyncUnlock": 1 }).await.unwrap();
}

/// A primary, an arbiter and a secondary that is gone: the newest writes never get onto a majority.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_the_newest_moment_that_one_had_is_read_and_said() {
    let settings = [
        doc! {},
        doc! { "arbiterOnly": true },
        doc! { "secondaryDelaySecs": 3600, "hidden": true, "priority": 0, "votes": 0 },
        doc! { "priority": 1 },
    ];
    let mut set = Set::start(&settings, Options::default()).await.unwrap();
    let documents = |range: std::ops::Range<i32>| range.map(|i| doc! { "_id": i }).collect::<Vec<_>>();
    let insert = |documents: Vec<bson::Document>, w: bson::Bson| {
        doc! { "insert": "a", "documents": documents, "writeConcern": { "w": w } }
    };
    let primary = &set.members()[0];
    primary.command_here("shop", insert(documents(0..10), "majority".into())).await.unwrap();
    set.end(3);
    let primary = &set.members()[0];
    primary.command_here("shop", insert(documents(10..15), 1.into())).await.unwrap();

    let uri = format!("mongodb://{}/?replicaSet=rs0", primary.address());
    let (made, heard) = backup_of(&uri, &ConnectOptions::default()).await;
    let manifest = made.unwrap();
    assert_eq!(manifest.source.member, primary.address());
    assert_eq!(documents_of(&manifest, "shop.a"), 10, "of the last five no majority knows");
    assert!(heard.warnings().iter().any(|said| said.contains("majority")), "{:?}", heard.warnings());
    let reasons = |state| {
        let members = manifest.source.members.iter().filter(move |member| member.state == state);
        members.map(|member| member.reason.clone()).collect::<Vec<_>>().join(";")
    };
    assert!(reasons(MemberState::Arbiter).contains("no data"));
    let arbiter = set.members()[1].direct_uri("");
    let error = backup_of(&arbiter, &ConnectOptions::default()).await.0.unwrap_err();
    assert_eq!(error.code(), Code::MongoHost);
    assert!(error.message().contains("is an arbiter"), "{error}");
    assert!(reasons(MemberState::Secondary).contains("3600 s behind on purpose"));
    assert!(!reasons(MemberState::Unreachable).is_empty());
}

fn documents_of(manifest: &Manifest, name: &str) -> u64 {
    manifest.namespaces.iter().find(|namespace| namespace.name() == name).unwrap().documents
}

async fn open_cursors(source: &Mongod) -> i64 {
    let status = source.command_here("admin", doc! { "serverStatus": 1 }).await.unwrap();
    let open = status.get_document("metrics").unwrap().get_document("cursor").unwrap();
    open.get_document("open").unwrap().get_i64("total").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_backup_leaves_no_cursor_open() {
    let source = Mongod::replica_set().await.unwrap();
    dataset::generate(&source.client().await.unwrap(), 40_000_000).await.unwrap();
    let (cancel, place) = (CancellationToken::new(), tempfile::tempdir().unwrap());
    let heard = Arc::new(Heard { cancels: Some(cancel.clone()), ..Heard::default() });
    let work = backup::Options { max_rate: Bytes::new(1_000_000), ..options(Compression::None) };
    let deployment = Deployment::connect(&source.uri().parse().unwrap()).await.unwrap();
    let made = back_up(deployment, folder(place.path()), work, job(heard, cancel)).await;
    assert_eq!(made.unwrap_err().code(), Code::Cancelled);
    assert_eq!(open_cursors(&source).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_read_in_a_second_than_was_asked_for() {
    let source = Mongod::standalone().await.unwrap();
    small_collections(&source).await;
    let text = "x".repeat(300_000);
    let documents = (0..10).map(|i| doc! { "_id": i, "text": &text });
    let client = source.client().await.unwrap();
    client.database("shop").collection("large").insert_many(documents).await.unwrap();
    let (place, began) = (tempfile::tempdir().unwrap(), Instant::now());
    let work = backup::Options { max_rate: Bytes::new(2_000_000), ..options(Compression::None) };
    let deployment = Deployment::connect(&source.uri().parse().unwrap()).await.unwrap();
    let (store, heard) = (folder(place.path()), Arc::new(Heard::default()));
    let made = back_up(deployment, store, work, job(heard, CancellationToken::new())).await.unwrap();
    assert_eq!(documents_of(&made, "shop.large"), 10);
    // Three million bytes at two million a second.
    assert!(began.elapsed() >= Duration::from_millis(1500), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_falls_behind_is_given_way_to() {
    let set = Set::start(&[doc! {}, doc! { "priority": 0 }], Options::default()).await.unwrap();
    let client = set.client().await.unwrap();
    let text = "x".repeat(300_000);
    let documents = (0..12).map(|i| doc! { "_id": i, "text": &text });
    client.database("shop").collection("large").insert_many(documents).await.unwrap();
    let (heard, place) = (Arc::new(Heard::default()), tempfile::tempdir().unwrap());
    let limits = ConnectOptions { lag_max: Duration::from_secs(1), ..ConnectOptions::default() };
    let deployment = Deployment::connect_with(&set.uri().parse().unwrap(), &limits).await.unwrap();
    assert_eq!(deployment.source().member, set.members()[1].address());
    let work = backup::Options { max_rate: Bytes::new(400_000), ..options(Compression::None) };
    let (store, token) = (folder(place.path()), CancellationToken::new());
    let running = tokio::spawn(back_up(deployment, store, work, job(heard.clone(), token)));

    let said = |wanted: fn(&Event) -> bool| heard.events.lock().unwrap().iter().any(wanted);
    while !running.is_finished() && !said(|event| matches!(event, Event::Advanced { .. })) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    set.members()[1].command_here("admin", doc! { "fsync": 1, "lock": true }).await.unwrap();
    while !running.is_finished() && !said(|event| matches!(event, Event::Slowed { why: Some(_), .. })) {
        let one = doc! { "insert": "notes", "documents": [{}], "writeConcern": { "w": 1 } };
        client.database("shop").run_command(one).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    set.members()[1].command_here("admin", doc! { "fsyncUnlock": 1 }).await.unwrap();
    let manifest = running.await.unwrap().unwrap();
    assert_eq!(documents_of(&manifest, "shop.large"), 12);
    let lags = |event: &Event| matches!(event, Event::Slowed { why: Some(why), .. } if why.contains("lags"));
    assert!(said(lags), "{:?}", heard.events.lock().unwrap());
}

/// As MongoDB 7.0 and later hand tickets out: an idle server has four.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_server_with_few_tickets_is_read_at_full_speed() {
    let tickets = ["--setParameter", "wiredTigerConcurrentReadTransactions=4"].map(String::from).to_vec();
    let four = Options { replica_set: true, arguments: tickets, ..Options::default() };
    let source = Mongod::start(four).await.unwrap();
    let text = "x".repeat(300_000);
    let documents = (0..24).map(|i| doc! { "_id": i, "text": &text });
    let client = source.client().await.unwrap();
    client.database("shop").collection("large").insert_many(documents).await.unwrap();
    let (heard, place) = (Arc::new(Heard::default()), tempfile::tempdir().unwrap());
    // Long enough for its load to be looked at a few times.
    let work = backup::Options { max_rate: Bytes::new(3_000_000), readers: 4, ..options(Compression::None) };
    let deployment = Deployment::connect(&source.uri().parse().unwrap()).await.unwrap();
    let token = CancellationToken::new();
    let made = back_up(deployment, folder(place.path()), work, job(heard.clone(), token)).await.unwrap();
    assert_eq!(documents_of(&made, "shop.large"), 24);
    let events = heard.events.lock().unwrap();
    let slowed: Vec<_> = events.iter().filter(|event| matches!(event, Event::Slowed { .. })).collect();
    assert!(slowed.is_empty(), "{slowed:?}");
}
