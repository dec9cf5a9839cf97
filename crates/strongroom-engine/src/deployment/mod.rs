//! One MongoDB deployment: connecting, what it is, what it holds, reading and writing raw documents.
//!
//! The only folder that names the MongoDB driver. It knows nothing of buckets.

mod again;
mod apply;
mod batches;
mod choice;
mod damaged;
mod described;
mod documents;
mod failure;
mod insert_buffer;
mod inserts;
mod load;
mod moment;
mod namespaces;
mod oplog;
mod patience;
mod privileges;
mod quorum;
mod seat;
mod secrets;
mod setback;
mod split;
mod target;
mod topology;
mod uri;

pub use apply::Batch as OperationBatch;
pub use batches::{Batch, Batches, CollectionId, Find, Position, ReadAt, Scan};
pub use described::Described;
pub use documents::{Documents, id_of};
pub use insert_buffer::{InsertBuffer, Receiver};
pub use inserts::{Inserted, RefusedDocument};
pub use load::Load;
pub use namespaces::Catalogue;
pub use privileges::{Privilege, Privileges};
pub use quorum::CommitQuorum;
pub use seat::Turn;
pub use secrets::without_secrets_of;
pub use setback::Setback;
pub use split::{Bound, Split};
pub use target::{Refused, Target};
pub use uri::ConnectionString;

use std::sync::Mutex;
use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use mongodb::options::{ClientOptions, ReadPreference, SelectionCriteria};
use mongodb::{Client, Database};
use tokio_util::task::TaskTracker;

use crate::error::Result;
use crate::members::{Source, Topology};
use crate::progress::Warning;
use crate::waits::{Wait, Waits};
use failure::explain;
use seat::Seats;
use topology::Chosen;

/// How long to look for a suitable server, unless the connection string says otherwise.
const SERVER_SELECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The newest major version of MongoDB whose answers are known.
const NEWEST_MAJOR: u32 = 8;

/// How long killing the cursors that are open may take: a person who stops a backup is answered within two seconds.
const CLOSE_WITHIN: Duration = Duration::from_millis(1500);

/// How to choose the member to read from.
#[derive(Debug, Clone, Copy)]
pub struct ConnectOptions {
    /// A secondary that lags more behind the newest write is not read.
    pub lag_max: Duration,
    /// How long anything is waited for that makes no progress.
    pub waits: Waits,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { lag_max: Duration::from_secs(30), waits: Waits::default() }
    }
}

/// A connected deployment whose member to read from is chosen.
#[derive(Debug)]
pub struct Deployment {
    /// The chosen member, and those after it.
    seats: Mutex<Seats>,
    moving: tokio::sync::Mutex<()>,
    /// Of the whole deployment.
    set: Client,
    reading: SelectionCriteria,
    source: Source,
    lag_max: Duration,
    waits: Waits,
    warnings: Vec<Warning>,
    /// Cursors that are being opened.
    opening: TaskTracker,
}

impl Deployment {
    /// Connects, and chooses the member to read from.
    ///
    /// # Errors
    /// [`Code::MongoHost`](crate::error::Code::MongoHost) when nothing answers or no member can be read,
    /// [`Code::MongoAuth`](crate::error::Code::MongoAuth) when the user is refused.
    pub async fn connect(uri: &ConnectionString) -> Result<Self> {
        Self::connect_with(uri, &ConnectOptions::default()).await
    }

    /// As [`connect`](Self::connect), with other limits.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with(uri: &ConnectionString, limits: &ConnectOptions) -> Result<Self> {
        let mut options = uri.options().await?;
        let wanted = options.selection_criteria.take();
        let set = client(options.clone())?;
        let connecting = async {
            let chosen = topology::connect(&set, &options, topology::wish(wanted, limits.lag_max)).await?;
            let warning = moment::settle(&chosen.client, chosen.newest).await?;
            Ok((chosen, warning))
        };
        let hosts = names(&options);
        let connected = limits.waits.limit(Wait::Connect, hosts, connecting).await;
        let (Chosen { client, source, members, .. }, warning) = connected.map_err(|e| uri.scrub(e))?;
        let newer = (major(&source.server_version) > NEWEST_MAJOR)
            .then(|| Warning::ServerNewer { version: source.server_version.clone() });
        Ok(Self {
            seats: Mutex::new(Seats::new(client, source.member.clone(), members)),
            moving: tokio::sync::Mutex::default(),
            set,
            reading: reading(source.topology),
            source,
            lag_max: limits.lag_max,
            waits: limits.waits,
            warnings: warning.into_iter().chain(newer).collect(),
            opening: TaskTracker::new(),
        })
    }

    /// What the deployment is, and which member is read first and why.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// How far behind the newest write a secondary may be.
    #[must_use]
    pub fn lag_max(&self) -> Duration {
        self.lag_max
    }

    /// What a person should know about this deployment before it is backed up.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Ends what may still be open on the server, cursors above all, once nothing reads any more. What cannot be
    /// ended within 1.5 s is left to the server, which ends it with its session after thirty minutes.
    pub async fn close(&self) {
        self.opening.close();
        let closing = async {
            self.opening.wait().await;
            self.client().shutdown().await;
        };
        // The backup is what it is; a server that does not answer any more has nothing to tell.
        let _ = tokio::time::timeout(CLOSE_WITHIN, closing).await;
    }

    /// How to name the collection that holds the documents of `described`.
    #[must_use]
    pub fn collection_id(&self, described: &Described) -> CollectionId {
        match (described.uuid, self.source.topology) {
            (Some(uuid), Topology::Standalone | Topology::ReplicaSet) => CollectionId::Uuid(uuid),
            _ => CollectionId::Name(described.data_collection().unwrap_or_default()),
        }
    }

    /// Whether it can be read at a moment that is over (MongoDB 5.0, "Read Concern snapshot").
    #[must_use]
    pub fn reads_the_past(&self) -> bool {
        self.source.topology == Topology::ReplicaSet && self.major_version() >= 5
    }

    fn major_version(&self) -> u32 {
        major(&self.source.server_version)
    }

    async fn command(&self, db: &str, command: Document) -> Result<Document> {
        let asked = self.client().database(db);
        self.waits.limit(Wait::FirstByte, self.member(), run(&asked, command, &self.reading)).await
    }
}

/// The first number of a server's version; 0 if it cannot be read.
fn major(version: &str) -> u32 {
    version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0)
}

/// Connects to write: every operation goes to the primary.
pub(crate) async fn connect_primary(uri: &ConnectionString) -> Result<Client> {
    let mut options = uri.options().await?;
    options.selection_criteria = None;
    let client = client(options)?;
    let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
    run(&client.database("admin"), doc! { "ping": 1 }, &primary).await.map_err(|e| uri.scrub(e))?;
    Ok(client)
}

fn client(mut options: ClientOptions) -> Result<Client> {
    options.server_selection_timeout.get_or_insert(SERVER_SELECTION_TIMEOUT);
    options.app_name.get_or_insert_with(|| "strongroom".into());
    Client::with_options(options).map_err(|e| explain(&e))
}

fn names(options: &ClientOptions) -> String {
    let hosts: Vec<String> = options.hosts.iter().map(|host| format!("`{host}`")).collect();
    hosts.join(", ")
}

/// Whatever answers: the connection leads to one member, or it does not matter.
fn any_member() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Nearest { options: None })
}

/// Through mongos the primaries of shards: before MongoDB 8.2 a long read from a secondary can miss documents that move
/// to another shard (its 8.2 release notes).
fn reading(topology: Topology) -> SelectionCriteria {
    match topology {
        Topology::Sharded => SelectionCriteria::ReadPreference(ReadPreference::Primary),
        Topology::ReplicaSet | Topology::Standalone => any_member(),
    }
}

fn whole_number(value: &Bson) -> u64 {
    match value {
        Bson::Int32(n) => u64::try_from(*n).unwrap_or(0),
        Bson::Int64(n) => u64::try_from(*n).unwrap_or(0),
        Bson::Double(n) if *n >= 0.0 => *n as u64,
        _ => 0,
    }
}

async fn run(db: &Database, command: Document, criteria: &SelectionCriteria) -> Result<Document> {
    db.run_command(command).selection_criteria(criteria.clone()).await.map_err(|e| explain(&e))
}
