//! Connections that are silently forgotten on the way, as firewalls and address translation do, while others work.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bson::{Document, doc};
use strongroom_engine::backup;
use strongroom_engine::deployment::{ConnectOptions, Deployment};
use strongroom_engine::{Bytes, Code, Compression, Event, Observer, Period, Waits};
use testbed::Mongod;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::setup::{back_up, folder, job, options};

/// What every request has but a monitor's: its session.
const SESSION: &[u8] = b"lsid";

/// What lies between the program and the server.
#[derive(Debug, Default)]
struct Way {
    /// Connections that carried anything but a monitor's requests.
    forgets: Mutex<Vec<Arc<AtomicBool>>>,
    /// All of them.
    all: Mutex<Vec<Arc<AtomicBool>>>,
    /// Those that are made from now on lead nowhere.
    closed: AtomicBool,
}

impl Way {
    async fn to(server: &Mongod) -> (Arc<Self>, String) {
        let way = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("mongodb://{}/?directConnection=true", listener.local_addr().unwrap());
        tokio::spawn(way.clone().serve(listener, server.address()));
        (way, uri)
    }

    async fn serve(self: Arc<Self>, listener: TcpListener, to: String) {
        while let Ok((here, _)) = listener.accept().await {
            let there = TcpStream::connect(&to).await.unwrap();
            let (from_here, to_here) = here.into_split();
            let (from_there, to_there) = there.into_split();
            let forgotten = Arc::new(AtomicBool::new(self.closed.load(Ordering::Relaxed)));
            self.all.lock().unwrap().push(forgotten.clone());
            tokio::spawn(pass(from_here, to_there, forgotten.clone(), Some(self.clone())));
            tokio::spawn(pass(from_there, to_here, forgotten, None));
        }
    }

    /// Forgets the connections but those of monitors; with `all` every one, those to come too.
    fn forget(&self, all: bool) {
        self.closed.store(all, Ordering::Relaxed);
        let which = if all { &self.all } else { &self.forgets };
        for forgotten in which.lock().unwrap().drain(..) {
            forgotten.store(true, Ordering::Relaxed);
        }
    }
}

/// Passes bytes on until the connection is forgotten; then it takes them and says nothing.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    forgotten: Arc<AtomicBool>,
    way: Option<Arc<Way>>,
) -> io::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut bytes).await?;
        if read == 0 {
            return Ok(());
        }
        if forgotten.load(Ordering::Relaxed) {
            continue;
        }
        to.write_all(&bytes[..read]).await?;
        let has_session = bytes[..read].windows(SESSION.len()).any(|window| window == SESSION);
        if let Some(way) = way.as_ref().filter(|_| has_session) {
            way.forgets.lock().unwrap().push(forgotten.clone());
        }
    }
}

/// Has data connections forgotten once, when documents come.
struct Forgets {
    way: Arc<Way>,
    closes: bool,
    done: AtomicBool,
    retries: Mutex<Vec<String>>,
}

impl Observer for Forgets {
    fn observe(&self, event: &Event) {
        match event {
            Event::Advanced { .. } if !self.done.swap(true, Ordering::Relaxed) => {
                self.way.forget(self.closes);
            }
            Event::Retrying { why, .. } => self.retries.lock().unwrap().push(why.clone()),
            _ => {}
        }
    }
}

async fn server() -> Mongod {
    let server = Mongod::replica_set().await.unwrap();
    let pad = "x".repeat(100_000);
    let documents = (0..100).map(|i| doc! { "_id": i, "pad": &pad });
    let client = server.client().await.unwrap();
    client.database("shop").collection::<Document>("orders").insert_many(documents).await.unwrap();
    server
}

/// A backup whose data connections are forgotten in the middle, and the reasons it gave for trying again.
async fn through_silence(
    closes: bool,
) -> (strongroom_engine::Result<strongroom_engine::Manifest>, Vec<String>) {
    let server = server().await;
    let (way, uri) = Way::to(&server).await;
    let waits = Waits { first_byte: Period::seconds(2), ..Waits::default() };
    let limits = ConnectOptions { waits, ..ConnectOptions::default() };
    let deployment = Deployment::connect_with(&uri.parse().unwrap(), &limits).await.unwrap();
    let (done, retries) = (AtomicBool::new(false), Mutex::default());
    let heard = Arc::new(Forgets { way, closes, done, retries });
    let place = tempfile::tempdir().unwrap();
    let work = backup::Options { readers: 1, max_rate: Bytes::new(4_000_000), ..options(Compression::None) };
    let job = job(heard.clone(), CancellationToken::new());
    let made = back_up(deployment, folder(place.path()), work, job).await;
    let retries = heard.retries.lock().unwrap().clone();
    (made, retries)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_forgotten_is_made_again() {
    let (made, retries) = through_silence(false).await;
    let manifest = made.unwrap();
    let orders = manifest.namespaces.iter().find(|namespace| namespace.collection == "orders").unwrap();
    assert_eq!(orders.documents, 100);
    assert!(retries.iter().any(|why| why.contains("no answer of")), "{retries:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_that_is_silent_for_good_ends_the_backup_with_the_cause() {
    let (made, retries) = through_silence(true).await;
    let error = made.unwrap_err();
    assert_eq!(error.code(), Code::Stalled, "{error}");
    assert!(error.message().contains("within 2s"), "{error}");
    assert!(!retries.is_empty());
}
