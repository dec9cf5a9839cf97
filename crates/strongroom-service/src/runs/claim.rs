//! What a run in progress tells the state before it goes on.

use async_trait::async_trait;
use strongroom_engine::catalog::{Deleted, Place};
use strongroom_engine::{BackupId, Result};

use crate::model::BackupKey;

/// The claim that a worker has on a run. Each call is a write that only succeeds while the claim holds.
///
/// # Errors
/// All of them: [`Code::Cancelled`](strongroom_engine::Code::Cancelled) when the claim is lost, and
/// [`Code::Internal`](strongroom_engine::Code::Internal) when the state cannot be written. The work must then stop and
/// change nothing more.
#[async_trait]
pub trait Claim: Send + Sync {
    /// Records the name of the backup that is made, before anything is stored under it.
    async fn named(&self, backup: &BackupId) -> Result<()>;

    /// Records what a restore is about to write to, as `db.collection`, before it does.
    async fn touches(&self, namespaces: &[String]) -> Result<()>;

    /// Renews the claim, so that it holds for a whole lease from now.
    async fn renewed(&self) -> Result<()>;

    /// Whether a backup is still to be deleted. From then on nobody can keep it any more.
    async fn begins_to_delete(&self, backup: &BackupKey) -> Result<bool>;

    /// Records that nothing of it is left.
    async fn deleted(&self, backup: &BackupKey, freed: Deleted) -> Result<()>;

    /// Records that it could not be deleted and is whole: it stays expired, until the next sweep.
    async fn kept_whole(&self, backup: &BackupKey) -> Result<()>;

    /// Records that nothing is left of a try that gave no backup.
    async fn cleared(&self, place: &Place) -> Result<()>;
}
