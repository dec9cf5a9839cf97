//! A backup, read back and compared with its manifest.

use std::sync::Arc;

use strongroom_engine::bucket::ObjectStore;
use strongroom_engine::settings::at_once_default;
use strongroom_engine::{BackupId, Job, PlanName, Result, catalog, verify};

use crate::model::Verified;

/// Problems that are kept in full.
const NAMED_MAX: usize = 20;

/// What is read.
#[derive(Debug)]
pub struct Work {
    /// Where it stands, by one who may read.
    pub store: Arc<dyn ObjectStore>,
    /// The folder of its plan.
    pub folder: PlanName,
    /// Its name.
    pub name: BackupId,
}

/// Reads the backup. Damage is in the answer.
///
/// # Errors
/// As the engine: where the backup cannot be read, so that nothing is known about it, or is not there.
pub async fn run(work: Work, job: &Job) -> Result<Verified> {
    let Work { store, folder, name } = work;
    let manifest = job.unless_cancelled(catalog::find(&*store, Some(&folder), name.as_str())).await?;
    let report = verify(store, &manifest, at_once_default(), job).await?;
    Ok(Verified {
        problems: report.problems.len() as u64,
        first_problems: report.problems.into_iter().take(NAMED_MAX).map(|problem| problem.message).collect(),
        bytes: report.stored_bytes,
    })
}
