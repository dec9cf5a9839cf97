//! Names of databases and collections.

use serde::{Deserialize, Serialize};

/// A database and a collection in it. A time-series collection's documents are in the collection of its buckets.
pub use mongo_archive::Namespace as Name;

/// What the name of the collection that holds a time-series collection's documents begins with.
pub const BUCKETS: &str = "system.buckets.";
/// The collection that holds the definitions of a database's views.
pub const VIEWS: &str = "system.views";
/// The collection of stored functions: of all `system.` collections the one that people fill.
pub const STORED_FUNCTIONS: &str = "system.js";

/// The kinds of namespaces that a mongodump archive knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NamespaceKind {
    /// A collection.
    Collection,
    /// A view: no documents of its own.
    View,
    /// A time-series collection; its documents are those of `system.buckets.<name>`.
    Timeseries,
    /// The oplog: the namespace `oplog` of the database without a name. No collection of the deployment.
    Oplog,
}

impl NamespaceKind {
    /// Its name in the archive, where the oplog has none.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Collection => "collection",
            Self::View => "view",
            Self::Timeseries => "timeseries",
            Self::Oplog => "",
        }
    }

    /// The collection that holds the documents of one of this kind and name.
    #[must_use]
    pub fn data_collection(self, collection: &str) -> String {
        match self {
            Self::Timeseries => format!("system.buckets.{collection}"),
            Self::Collection | Self::View | Self::Oplog => collection.to_owned(),
        }
    }
}
