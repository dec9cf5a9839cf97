//! Stores to which something happens on the way.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use strongroom_engine::bucket::{Fetched, Listing, ObjectStore, Sse, Stored};
use strongroom_engine::{Location, Result};

/// What happens to requests to a store: nothing, unless it says otherwise.
#[async_trait]
pub(crate) trait Way: Debug + Send + Sync {
    /// The store that it leads to.
    fn store(&self) -> &Arc<dyn ObjectStore>;

    async fn put(&self, key: &str, body: Bytes, sha256: &[u8; 32], sse: &Sse) -> Result<Stored> {
        self.store().put(key, body, sha256, sse).await
    }

    async fn get(&self, key: &str, version_id: Option<&str>, bytes_max: u64) -> Result<Fetched> {
        self.store().get(key, version_id, bytes_max).await
    }

    async fn get_start(&self, key: &str, bytes_max: u64) -> Result<Fetched> {
        self.store().get_start(key, bytes_max).await
    }

    async fn list(&self, folder: &str) -> Result<Listing> {
        self.store().list(folder).await
    }

    async fn delete(&self, key: &str, version_id: Option<&str>) -> Result<()> {
        self.store().delete(key, version_id).await
    }
}

/// The store at the end of a way.
#[derive(Debug)]
pub(crate) struct Through<W>(pub(crate) W);

#[async_trait]
impl<W: Way> ObjectStore for Through<W> {
    fn location(&self) -> &Location {
        self.0.store().location()
    }

    async fn put(&self, key: &str, body: Bytes, sha256: &[u8; 32], sse: &Sse) -> Result<Stored> {
        self.0.put(key, body, sha256, sse).await
    }

    async fn get(&self, key: &str, version_id: Option<&str>, bytes_max: u64) -> Result<Fetched> {
        self.0.get(key, version_id, bytes_max).await
    }

    async fn get_start(&self, key: &str, bytes_max: u64) -> Result<Fetched> {
        self.0.get_start(key, bytes_max).await
    }

    async fn list(&self, folder: &str) -> Result<Listing> {
        self.0.list(folder).await
    }

    async fn delete(&self, key: &str, version_id: Option<&str>) -> Result<()> {
        self.0.delete(key, version_id).await
    }
}
