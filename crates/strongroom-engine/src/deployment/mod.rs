//! One MongoDB deployment: connecting, what it is, what it holds, reading and writing raw documents.
//!
//! The only folder that names the MongoDB driver. It knows nothing of buckets.

mod apply;
mod batches;
mod failure;
mod namespaces;
mod oplog;
mod setback;
mod split;
mod target;
mod topology;
mod uri;

pub use apply::Batch as OperationBatch;
pub use batches::{Batch, Batches, CollectionId, Find, Position, ReadAt, Scan, id_of};
pub use namespaces::Described;
pub use setback::Setback;
pub use split::{Bound, Split};
pub use target::{InsertBuffer, Inserted, Refused, RefusedDocument, Target};
pub use uri::ConnectionString;

use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ReadPreference, SelectionCriteria};
use mongodb::{Client, Database};

use crate::error::Result;
use crate::manifest::{ClusterTime, Source, Topology};
use failure::explain;

/// How long to look for a suitable server, unless the connection string says otherwise.
const SERVER_SELECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// A connected deployment whose member to read from is chosen.
#[derive(Debug)]
pub struct Deployment {
    client: Client,
    reading: SelectionCriteria,
    source: Source,
    now: Option<ClusterTime>,
}

impl Deployment {
    /// Connects, and chooses the member to read from.
    ///
    /// # Errors
    /// [`Code::MongoHost`](crate::error::Code::MongoHost) when nothing answers,
    /// [`Code::MongoAuth`](crate::error::Code::MongoAuth) when the user is refused.
    pub async fn connect(uri: &ConnectionString) -> Result<Self> {
        let mut options = uri.options().await?;
        let wanted = options.selection_criteria.take();
        let direct = options.direct_connection == Some(true);
        let client = client(options)?;
        let member = topology::choose(&client, wanted, direct).await.map_err(|e| uri.scrub(e))?;
        Ok(Self { client, reading: member.criteria, source: member.source, now: member.now })
    }

    /// What the deployment is, and which member is read and why.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The newest moment of the chosen member when it was connected to; none without an oplog.
    #[must_use]
    pub fn now(&self) -> Option<ClusterTime> {
        self.now
    }

    /// How to name the collection that holds the documents of `described`.
    #[must_use]
    pub fn collection_id(&self, described: &Described) -> CollectionId {
        match (described.uuid, self.source.topology) {
            (Some(uuid), Topology::Standalone | Topology::ReplicaSet) => CollectionId::Uuid(uuid),
            _ => CollectionId::Name(described.data_collection().unwrap_or_default()),
        }
    }

    async fn command(&self, db: &str, command: Document) -> Result<Document> {
        run(&self.client.database(db), command, &self.reading).await
    }
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

async fn run(db: &Database, command: Document, criteria: &SelectionCriteria) -> Result<Document> {
    db.run_command(command).selection_criteria(criteria.clone()).await.map_err(|e| explain(&e))
}
