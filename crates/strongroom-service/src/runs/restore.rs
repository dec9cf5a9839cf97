//! A restore: shown first, and then exactly what was shown.

use std::sync::Arc;

use strongroom_engine::bucket::ObjectStore;
use strongroom_engine::deployment::{ConnectionString, Target};
use strongroom_engine::restore::{self, Action, Options, Prepared, Preview, Source};
use strongroom_engine::{BackupId, Code, Error, Job, PlanName, Result, catalog};

use super::Claim;
use super::backup::filter;
use crate::model::{Name, RestoreDone, RestoreRequest, RestoreSettings};

/// Differences that are kept in full.
const NAMED_MAX: usize = 20;

/// What is restored, and into what.
#[derive(Debug)]
pub struct Work {
    /// Where it stands, by one who may read.
    pub store: Arc<dyn ObjectStore>,
    /// The folder of its plan.
    pub folder: PlanName,
    /// Its name.
    pub name: BackupId,
    /// The target.
    pub uri: ConnectionString,
    /// What people call the target.
    pub target: Name,
}

/// Looks at the backup and the target, and decides what will be done. Nothing is changed.
///
/// # Errors
/// As the engine.
pub async fn prepare(work: &Work, settings: &RestoreSettings, job: &Job) -> Result<Prepared> {
    let options = options(settings)?;
    options.check()?;
    work.uri.agrees_with(&options.filter)?;
    let prepared = async {
        let manifest = catalog::find(&*work.store, Some(&work.folder), work.name.as_str()).await?;
        let target = Target::connect(&work.uri).await?;
        restore::prepare(Source::backup(work.store.clone(), Arc::new(manifest)), target, options).await
    };
    job.unless_cancelled(prepared).await
}

/// Restores what was confirmed.
///
/// # Errors
/// [`Code::TargetChanged`] when the preview is another one by now; [`Code::TargetNotEmpty`] when something would be
/// replaced and the name of the target was not typed; as the engine and the claim.
pub async fn run(work: Work, asked: &RestoreRequest, claim: &dyn Claim, job: &Job) -> Result<RestoreDone> {
    let prepared = prepare(&work, &asked.settings, job).await?;
    same_as_shown(&prepared, asked)?;
    confirmed(prepared.preview(), &work.target, asked.confirm_target.as_ref())?;
    claim.touches(&touched(prepared.preview())).await?;
    claim.renewed().await?;
    let began = job.clock.now();
    let restored = prepared.run(job.clone()).await?;
    let took = (job.clock.now() - began).num_milliseconds();
    Ok(RestoreDone {
        namespaces: restored.namespaces,
        documents: restored.documents,
        refused: restored.refused,
        // The engine has compared counts and checksums of everything that it does not name here.
        matches: restored.exceptions.is_empty() && restored.refused == 0,
        differences: restored.exceptions.into_iter().take(NAMED_MAX).collect(),
        duration_ms: u64::try_from(took).unwrap_or(0),
    })
}

fn same_as_shown(prepared: &Prepared, asked: &RestoreRequest) -> Result<()> {
    if prepared.digest()? == asked.preview.as_str() {
        return Ok(());
    }
    Err(Error::new(
        Code::TargetChanged,
        "the restore would not do what was shown: the target or the backup has changed",
    )
    .help("Look at the preview again, and confirm that one. Nothing was touched."))
}

/// Whoever replaces something has typed what it is in.
///
/// # Errors
/// [`Code::TargetNotEmpty`].
pub fn confirmed(preview: &Preview, target: &Name, typed: Option<&Name>) -> Result<()> {
    let replaced = preview.namespaces.iter().filter(|namespace| namespace.action == Action::Replace).count();
    if replaced == 0 || typed == Some(target) {
        return Ok(());
    }
    Err(Error::new(Code::TargetNotEmpty, format!("{replaced} collections of `{target}` would be replaced"))
        .help(format!(
            "Type the name of the deployment, `{target}`, as `confirm_target`. Nothing was touched."
        )))
}

/// What it may write to.
fn touched(preview: &Preview) -> Vec<String> {
    let untouched = |action| matches!(action, Action::Skip | Action::Refuse | Action::Missing);
    let namespaces = preview.namespaces.iter().filter(|namespace| !untouched(namespace.action));
    namespaces.map(|namespace| namespace.target.clone()).collect()
}

/// Settings of a restore as those of the engine.
///
/// # Errors
/// [`Code::Usage`] for a pattern that names no namespace.
pub fn options(settings: &RestoreSettings) -> Result<Options> {
    Ok(Options {
        filter: filter(settings.include.as_slice(), settings.exclude.as_slice())?,
        renames: settings.rename.as_slice().iter().cloned().collect(),
        existing: settings.existing,
        collection_options: settings.collection_options,
        indexes: settings.indexes,
        users: settings.users,
        ttl: settings.ttl,
        at: settings.at,
        ..Options::default()
    })
}
