//! The values that stand in an archive beside documents.

use std::fmt;

use crate::VERSION;

/// A database and a collection in it. The oplog's database is the empty string.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace {
    /// The database.
    pub db: String,
    /// The collection. A time-series collection's documents stand under `system.buckets.<name>`.
    pub collection: String,
}

impl Namespace {
    /// The collection `collection` of the database `db`.
    pub fn new(db: impl Into<String>, collection: impl Into<String>) -> Self {
        Self { db: db.into(), collection: collection.into() }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.db, self.collection)
    }
}

/// What an archive says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Namespaces whose blocks may be interleaved; `mongorestore` opens as many at once.
    pub concurrent_collections: i32,
    /// The format's version, [`VERSION`].
    pub version: String,
    /// The version of the server that was read.
    pub server_version: String,
    /// The program that wrote it.
    pub tool_version: String,
}

impl Header {
    /// A header of this format's version.
    #[must_use]
    pub fn new(concurrent_collections: i32, server_version: &str, tool_version: &str) -> Self {
        Self {
            concurrent_collections,
            version: VERSION.into(),
            server_version: server_version.into(),
            tool_version: tool_version.into(),
        }
    }
}

/// Options and indexes of one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Its database.
    pub db: String,
    /// Its name. A time-series collection has its own name here, not that of its buckets.
    pub collection: String,
    /// Options and indexes in canonical Extended JSON v2; empty for the oplog.
    pub metadata: String,
    /// `mongodump` always writes 0.
    pub size: i32,
    /// `collection`, `view` or `timeseries`; empty for the oplog, and for all in archives of old versions.
    pub kind: String,
}

/// What stands before the first block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prelude {
    /// Of the archive.
    pub header: Header,
    /// Of every namespace in it.
    pub metadata: Vec<Metadata>,
}
