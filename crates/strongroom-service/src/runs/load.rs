//! What a run needs, read from the state.

use std::sync::Arc;

use strongroom_engine::bucket::actions::Role;
use strongroom_engine::catalog::Place;
use strongroom_engine::{BackupId, Code, Error, Observer, Result};

use super::means::{Means, of_state};
use super::open::{LocationKeys, Opening, connection};
use super::{backup, restore, sweep, verify};
use crate::model::{
    Backup, BackupKey, BackupState, DeploymentId, LocationId, PlanId, RestoreRequest, Run, RunRequest, Secret,
};
use crate::state::{Conn, StateError, backups, deployments, leftovers, locations, plans, secrets};

/// Backups and leftovers that one sweep takes on.
const SWEPT_AT_ONCE: u64 = 1_000;

/// What a run does, ready to be done.
#[derive(Debug)]
pub enum Task {
    /// A backup.
    Backup(Box<backup::Work>),
    /// A verification.
    Verify(verify::Work),
    /// A restore, and what was asked for.
    Restore(Box<restore::Work>, Box<RestoreRequest>),
    /// A proof.
    Prove(Box<Opening>),
    /// A sweep.
    Sweep(sweep::Work),
}

/// Reads what the run needs. A backup is to be made under `name`.
///
/// # Errors
/// [`Code::Usage`] and [`Code::NotABackup`] for what is gone; [`Code::Internal`] as the state fails.
pub async fn load(means: &Means, run: &Run, name: BackupId, watcher: Arc<dyn Observer>) -> Result<Task> {
    let mut conn = means.state.reader().await.map_err(|e| of_state(&e))?;
    let mut loader = Loader { means, conn: &mut conn, watcher };
    Ok(match &run.request {
        RunRequest::Backup(request) => Task::Backup(Box::new(loader.backup(&request.plan, name).await?)),
        RunRequest::Verify(request) => Task::Verify(loader.verify(&request.backup).await?),
        RunRequest::Restore(request) => {
            Task::Restore(Box::new(loader.restore(request).await?), Box::new(request.clone()))
        }
        RunRequest::Prove(request) => Task::Prove(Box::new(loader.location(&request.location).await?)),
        RunRequest::Sweep(request) => Task::Sweep(loader.sweep(&request.location).await?),
    })
}

/// A location with what opens it.
///
/// # Errors
/// [`Code::Usage`] if it is gone; [`Code::Internal`] as the state fails.
pub async fn opening(means: &Means, id: &LocationId) -> Result<Opening> {
    let mut conn = means.state.reader().await.map_err(|e| of_state(&e))?;
    let watcher = Arc::new(strongroom_engine::Silent);
    Loader { means, conn: &mut conn, watcher }.location(id).await
}

struct Loader<'a> {
    means: &'a Means,
    conn: &'a mut Conn,
    watcher: Arc<dyn Observer>,
}

/// What was asked for by its id.
fn there<T>(found: Result<Option<T>, StateError>, what: &str, id: &str) -> Result<T> {
    found.map_err(|e| of_state(&e))?.ok_or_else(|| {
        Error::new(Code::Usage, format!("{what} `{id}` is gone"))
            .help("It was deleted after the run was asked for.")
    })
}

impl Loader<'_> {
    async fn secret(&mut self, table: &str, row: &str, column: &str) -> Result<Option<Secret>> {
        let found = secrets::get(self.conn, &self.means.keyring, table, row, column).await;
        found.map_err(|e| of_state(&e))
    }

    async fn location(&mut self, id: &LocationId) -> Result<Opening> {
        let location = there(locations::get(self.conn, id).await, "the location", id.as_str())?;
        let keys = LocationKeys {
            writer: self.secret(locations::TABLE, id.as_str(), "credentials").await?,
            restorer: self.secret(locations::TABLE, id.as_str(), "restorer").await?,
            pruner: self.secret(locations::TABLE, id.as_str(), "pruner").await?,
        };
        Ok(Opening { location, keys })
    }

    async fn uri(&mut self, id: &DeploymentId) -> Result<Secret> {
        let uri = self.secret(deployments::TABLE, id.as_str(), "uri").await;
        there(uri.map_err(|e| StateError::Damaged(e.to_string())), "the connection string of", id.as_str())
    }

    async fn backup(&mut self, plan: &PlanId, id: BackupId) -> Result<backup::Work> {
        let plan = there(plans::get(self.conn, plan).await, "the plan", plan.as_str())?;
        let opening = self.location(&plan.settings.location).await?;
        let uri = self.uri(&plan.settings.deployment).await?;
        Ok(backup::Work {
            folder: plan.folder,
            settings: plan.settings.backup,
            uri: connection(&uri)?,
            store: opening.store(Role::Writer, self.watcher.clone(), self.means.waits)?,
            id,
        })
    }

    /// A backup of the catalogue that is there.
    async fn catalogued(&mut self, id: &BackupKey) -> Result<Backup> {
        let backup = there(backups::get(self.conn, id).await, "the backup", id.as_str())?;
        match backup.state {
            BackupState::Kept | BackupState::Expired => Ok(backup),
            BackupState::Swept | BackupState::Missing => Err(Error::new(
                Code::NotABackup,
                format!("the backup `{}` is not there any more", backup.name),
            )
            .help("Choose one that the catalogue calls kept or expired.")),
        }
    }

    async fn verify(&mut self, id: &BackupKey) -> Result<verify::Work> {
        let backup = self.catalogued(id).await?;
        let opening = self.location(&backup.location).await?;
        let store = opening.store(Role::Restorer, self.watcher.clone(), self.means.waits)?;
        Ok(verify::Work { store, folder: backup.folder, name: backup.name })
    }

    async fn restore(&mut self, request: &RestoreRequest) -> Result<restore::Work> {
        let verify::Work { store, folder, name } = self.verify(&request.backup).await?;
        let id = &request.target;
        let target = there(deployments::get(self.conn, id).await, "the deployment", id.as_str())?;
        let uri = connection(&self.uri(id).await?)?;
        Ok(restore::Work { store, folder, name, uri, target: target.name })
    }

    async fn sweep(&mut self, id: &LocationId) -> Result<sweep::Work> {
        let opening = self.location(id).await?;
        let now = self.means.now();
        let expired = backups::to_sweep(self.conn, id, now, SWEPT_AT_ONCE).await.map_err(|e| of_state(&e))?;
        let left = leftovers::due(self.conn, Some(id), now, SWEPT_AT_ONCE).await.map_err(|e| of_state(&e))?;
        let of = |backup: Backup| sweep::Expired { key: backup.id, folder: backup.folder, name: backup.name };
        Ok(sweep::Work {
            store: opening.store(Role::Pruner, self.watcher.clone(), self.means.waits)?,
            expired: expired.into_iter().map(of).collect(),
            leftovers: left.into_iter().map(|left| Place { plan: left.folder, id: left.name }).collect(),
        })
    }
}
