//! The log of a try, beside the backup that it made or was to make.

use std::sync::Arc;

use strongroom_engine::bucket::actions::Role;
use strongroom_engine::{BackupId, Result, Silent, store_log};

use super::load::opening;
use super::means::{Means, of_state};
use crate::model::Run;
use crate::state::plans;

/// Stores it. The encryption is that of the plan.
///
/// # Errors
/// As the store fails.
pub(crate) async fn keep_log(means: &Means, run: &Run, name: &BackupId, lines: String) -> Result<()> {
    let (Some(plan), Some(location)) = (&run.plan, &run.location) else { return Ok(()) };
    let mut conn = means.state.reader().await.map_err(|e| of_state(&e))?;
    let Some(plan) = plans::get(&mut conn, plan).await.map_err(|e| of_state(&e))? else { return Ok(()) };
    drop(conn);
    let store = opening(means, location).await?.store(Role::Writer, Arc::new(Silent), means.waits)?;
    store_log(&*store, (&plan.folder, name), lines.into(), &plan.settings.backup.encryption).await.map(drop)
}
