//! A backup as its plan says.

use std::sync::Arc;

use async_trait::async_trait;
use strongroom_engine::backup::{self, Options, Permit};
use strongroom_engine::bucket::ObjectStore;
use strongroom_engine::deployment::{ConnectionString, Deployment};
use strongroom_engine::{
    BackupId, Error, Filter, Job, Manifest, PlanName, Result, Status, Summary, SummaryMoment,
};

use super::Claim;
use crate::model::{self, Backup, BackupKey, BackupSettings, BackupState, Int, Run};

/// What is backed up where.
#[derive(Debug)]
pub struct Work {
    /// The folder of its plan.
    pub folder: PlanName,
    /// What its plan says.
    pub settings: BackupSettings,
    /// The deployment.
    pub uri: ConnectionString,
    /// Where it is stored, by one who may write.
    pub store: Arc<dyn ObjectStore>,
    /// Its name.
    pub id: BackupId,
}

/// Makes the backup. Its name is recorded before anything is stored, and the claim is renewed before the manifest is.
///
/// # Errors
/// As the engine, and as the claim fails. There is no backup then, unless the error says that nobody knows.
pub async fn run(work: Work, claim: &Arc<dyn Claim>, job: &Job) -> Result<Manifest> {
    let Work { folder, settings, uri, store, id } = work;
    let options = options(folder, &settings)?;
    uri.agrees_with(&options.filter)?;
    claim.named(&id).await?;
    let connecting = options.connecting(job.waits);
    let deployment = job.unless_cancelled(Deployment::connect_with(&uri, &connecting)).await?;
    let prepared = backup::prepare(deployment, store, options, id, job).await?;
    prepared.permitted_by(Arc::new(Renewed(claim.clone()))).run(job).await
}

/// The claim must hold while the manifest is stored: nobody else has begun the backup anew, or clears this one away.
struct Renewed(Arc<dyn Claim>);

#[async_trait]
impl Permit for Renewed {
    async fn may_commit(&self) -> Result<()> {
        self.0.renewed().await
    }
}

/// The settings of a plan as those of the engine.
///
/// # Errors
/// [`Code::Usage`](strongroom_engine::Code::Usage) for a pattern that names no namespace.
pub fn options(plan: PlanName, settings: &BackupSettings) -> Result<Options> {
    let engine = Options::default();
    Ok(Options {
        plan,
        filter: filter(settings.include.as_slice(), settings.exclude.as_slice())?,
        readers: settings.readers.map_or(engine.readers, Int::as_usize),
        compression: settings.compression,
        consistency: settings.consistency,
        query: None,
        sse: settings.encryption.clone(),
        max_lag: settings.max_lag,
        max_rate: settings.max_rate,
    })
}

/// # Errors
/// [`Code::Usage`](strongroom_engine::Code::Usage) for a pattern that names no namespace.
pub(super) fn filter(include: &[model::Pattern], exclude: &[model::Pattern]) -> Result<Filter> {
    let texts = |patterns: &[model::Pattern]| patterns.iter().map(ToString::to_string).collect();
    Filter::new(texts(include), texts(exclude))
}

/// The entry of the catalogue for a backup that `run` made.
///
/// # Errors
/// [`Code::NotABackup`](strongroom_engine::Code::NotABackup) and [`Code::Usage`](strongroom_engine::Code::Usage) for a
/// manifest whose names cannot be.
pub fn entry(id: BackupKey, manifest: &Manifest, run: &Run) -> Result<Option<Backup>> {
    let Some(location) = run.location.clone() else { return Ok(None) };
    let summary = Summary::from(manifest);
    let moment = match summary.consistency {
        SummaryMoment::Snapshot { cluster_time } | SummaryMoment::Oplog { at: cluster_time, .. } => {
            Some(cluster_time.to_string())
        }
        SummaryMoment::None { .. } => None,
    };
    Ok(Some(Backup {
        id,
        name: summary.id.parse()?,
        folder: summary.plan.parse().map_err(|e: Error| e.context("the folder of the backup"))?,
        location,
        plan: run.plan.clone(),
        deployment: run.deployment.clone(),
        run: Some(run.id.clone()),
        scheduled: run.scheduled_for.is_some(),
        state: BackupState::Kept,
        complete: summary.status == Status::Complete,
        started_at: summary.started_at,
        finished_at: summary.finished_at,
        moment,
        server_version: summary.server_version,
        encryption: summary.encryption.reported,
        namespaces: summary.totals.namespaces,
        documents: summary.totals.documents,
        raw_bytes: summary.totals.raw_bytes,
        stored_bytes: summary.totals.stored_bytes,
        locked_until: None,
        holds: Vec::new(),
        verified_at: None,
        restored_at: None,
        reasons: Vec::new(),
        expired_at: None,
        expired_by: None,
        sweep_after: None,
        swept_at: None,
    }))
}
