//! Whether a backup may still come about, for those who share the work out among several workers.

use async_trait::async_trait;

use crate::error::Result;

/// Asked once, when everything is stored but the manifest: the last moment at which there can still be no backup.
///
/// One who runs backups for others and was not heard of for a while may find that somebody else has taken its work over.
/// The answer counts for the PUT of the manifest that follows at once, and it should hold for as long as that may take.
#[async_trait]
pub trait Permit: Send + Sync {
    /// # Errors
    /// Whatever speaks against it. The backup then fails with this error, and what was stored is deleted again.
    async fn may_commit(&self) -> Result<()>;
}

/// Nobody is asked.
#[derive(Debug)]
pub(super) struct Always;

#[async_trait]
impl Permit for Always {
    async fn may_commit(&self) -> Result<()> {
        Ok(())
    }
}
