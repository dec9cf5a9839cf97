//! Bytes that change on the way from the server.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bson::{Document, doc};
use strongroom_engine::deployment::Deployment;
use strongroom_engine::restore::Existing;
use strongroom_engine::{Code, Compression, Filter, Manifest, Result, backup, verify};
use testbed::Mongod;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::setup::{back_up, folder, options, restore, unwatched};

const DOCUMENTS: i32 = 3000;

/// What the bytes are changed of, and to what its first one.
#[derive(Clone, Copy)]
struct Change {
    of: &'static [u8],
    to: u8,
}

/// Each stands in every document of `orders`, and nowhere else.
const CHANGES: [Change; 4] = [
    // A type that there is none of.
    Change { of: b"\x02marked\0", to: 0x42 },
    // A type of another length.
    Change { of: b"\x10number\0", to: 0x12 },
    // The length of a text.
    Change { of: b"\x07\0\0\0inside\0", to: 0x47 },
    // The length of a document within.
    Change { of: b"\x11\0\0\0\x10nested\0", to: 0x91 },
];

/// A way to the server on which up to `times` documents change.
async fn way(server: &Mongod, change: Change, times: i64) -> (String, Arc<AtomicI64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("mongodb://{}/?directConnection=true", listener.local_addr().unwrap());
    let (to, left) = (server.address(), Arc::new(AtomicI64::new(times)));
    let counter = left.clone();
    tokio::spawn(async move {
        while let Ok((here, _)) = listener.accept().await {
            let there = TcpStream::connect(&to).await.unwrap();
            let (mut from_here, to_here) = here.into_split();
            let (from_there, mut to_there) = there.into_split();
            tokio::spawn(async move { copy(&mut from_here, &mut to_there).await });
            tokio::spawn(pass(from_there, to_here, change, left.clone()));
        }
    });
    (uri, counter)
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    change: Change,
    left: Arc<AtomicI64>,
) -> io::Result<()> {
    let mut bytes = vec![0; 256 * 1024];
    loop {
        let read = from.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        let places: Vec<_> = bytes[..read].windows(change.of.len()).enumerate().collect();
        let place = places.iter().find(|(_, window)| *window == change.of).map(|(place, _)| *place);
        if let Some(place) = place
            && left.fetch_sub(1, Ordering::Relaxed) > 0
        {
            bytes[place] = change.to;
        }
        to.write_all(&bytes[..read]).await?;
    }
}

async fn server() -> Mongod {
    let server = Mongod::replica_set().await.unwrap();
    let pad = "x".repeat(1000);
    let documents = (0..DOCUMENTS)
        .map(|i| doc! { "_id": i, "marked": "inside", "number": i, "within": { "nested": i }, "pad": &pad });
    let client = server.client().await.unwrap();
    let db = client.database("shop");
    db.collection::<Document>("orders").insert_many(documents).await.unwrap();
    // So that the oplog, from where it is kept, has none of them.
    for i in 0..5 {
        db.collection("others").insert_one(doc! { "_id": i }).await.unwrap();
    }
    server
}

async fn backed_up(uri: &str, place: &std::path::Path) -> Result<Manifest> {
    let deployment = Deployment::connect(&uri.parse().unwrap()).await.unwrap();
    let work = backup::Options { readers: 1, ..options(Compression::None) };
    back_up(deployment, folder(place), work, unwatched()).await
}

async fn hash(server: &Mongod) -> String {
    let client = server.client().await.unwrap();
    client
        .database("shop")
        .run_command(doc! { "dbHash": 1 })
        .await
        .unwrap()
        .get_str("md5")
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_came_damaged_is_fetched_once_more() {
    let server = server().await;
    for change in CHANGES {
        let place = tempfile::tempdir().unwrap();
        let (uri, left) = way(&server, change, 1).await;
        let manifest = backed_up(&uri, place.path()).await.unwrap();
        assert!(left.load(Ordering::Relaxed) < 1, "nothing was changed");
        let store = folder(place.path());
        assert_eq!(verify(store.clone(), &manifest, 2, &unwatched()).await.unwrap().problems, []);
        let target = Mongod::replica_set().await.unwrap();
        restore(&store, &manifest, &target, Existing::Refuse, Filter::default()).await.unwrap();
        assert_eq!(hash(&target).await, hash(&server).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_always_comes_damaged_fails_the_backup_with_its_name() {
    let server = server().await;
    for change in CHANGES {
        let place = tempfile::tempdir().unwrap();
        let (uri, _) = way(&server, change, i64::MAX).await;
        let error = backed_up(&uri, place.path()).await.unwrap_err();
        assert_eq!(error.code(), Code::Damaged, "{error}");
        for part in ["`shop.orders`", "with `_id` ", "damaged"] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(folder(place.path()).list("default").await.unwrap().folders, Vec::<String>::new());
    }
}
