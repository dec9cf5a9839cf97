//! Proof that a bucket is locked: what is needed works, and what must be refused is refused. Live, in the
//! configured prefix, and cleaned up.

mod bench;
mod clean_up;
mod html;
mod made;
mod outcome;
mod posture;
mod probes;
mod report;

pub use super::judged::Verdict;
pub use html::html;
pub use report::{Counts, Finding, Report};

use chrono::{DateTime, SecondsFormat, Utc};

use super::settings::Settings;
use crate::bucket::actions::Role;
use crate::bucket::admin::{Admin, Opened};
use crate::bucket::facts::{BucketFacts, Caller};
use crate::bucket::{StoreOptions, identity};
use crate::error::{Error, Result};
use crate::help::Help;
use crate::job::Job;
use crate::progress::{Event, Phase};
use bench::Bench;

/// With whose credentials.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Of each role; unless access is split one for all.
    pub roles: Vec<(Role, StoreOptions)>,
    /// An admin's, for a look at the bucket's settings and for cleaning up; none: the service's own.
    pub admin: Option<StoreOptions>,
}

/// Runs all probes. Whatever happens, what they made in the bucket is deleted again, by version.
///
/// # Errors
/// As the server cannot be reached at all; [`Code::Cancelled`](crate::error::Code::Cancelled). The help then names what
/// could not be deleted. What a probe is answered is a finding, not an error.
pub async fn prove(settings: &Settings, credentials: &Credentials, job: &Job) -> Result<Report> {
    let at = job.clock.now();
    job.observe(&Event::Began { backup: None, plan: None });
    let mut bench = job.unless_cancelled(Bench::open(settings, credentials, job)).await?;
    job.phase(Phase::Proving);
    let proved = run(&mut bench, credentials).await;
    job.phase(Phase::CleaningUp);
    let left = bench.clean_up().await;
    match proved {
        Ok(caller) => Ok(report(bench, at, caller, left)),
        Err(error) => Err(naming(error, &left)),
    }
}

async fn run(bench: &mut Bench<'_>, credentials: &Credentials) -> Result<Option<Caller>> {
    let caller = bench
        .job
        .unless_cancelled(async { Ok(identity::caller(&credentials.roles[0].1).await.ok()) })
        .await?;
    bench.backups().await?;
    bench.needed().await?;
    bench.refused().await?;
    bench.strangers().await?;
    bench.separation().await?;
    let facts = bench.job.unless_cancelled(facts(bench.settings, credentials)).await?;
    for finding in posture::findings(bench.settings, facts.as_ref(), caller.as_ref()) {
        bench.found(finding);
    }
    Ok(caller)
}

/// The bucket's settings, as far as the admin's or the service's credentials may look.
async fn facts(settings: &Settings, credentials: &Credentials) -> Result<Option<BucketFacts>> {
    let options = credentials.admin.as_ref().unwrap_or(&credentials.roles[0].1);
    match Admin::open(&settings.bucket, options.clone()).await {
        Ok(Opened { admin, exists: true }) => Ok(Some(admin.facts().await?)),
        _ => Ok(None),
    }
}

fn report(bench: Bench<'_>, at: DateTime<Utc>, identity: Option<Caller>, left_behind: Vec<String>) -> Report {
    let prober = &bench.identity(Role::Writer).prober;
    Report {
        at: at.to_rfc3339_opts(SecondsFormat::Secs, true),
        bucket: bench.settings.bucket.clone(),
        prefix: bench.settings.prefix.clone(),
        endpoint: prober.endpoint().map(str::to_owned),
        region: prober.region().to_owned(),
        identity,
        access: bench.settings.access.as_str(),
        counts: Counts::of(&bench.findings),
        findings: bench.findings,
        left_behind,
    }
}

/// An error that also names what the probes left in the bucket.
fn naming(error: Error, left: &[String]) -> Error {
    if left.is_empty() {
        return error;
    }
    let help = error.help_text().cloned().map_or_else(Help::default, |help| help.and(" "));
    error.help(
        help.and(format!(
            "These objects could not be deleted again; delete them by hand: {}.",
            left.join(", ")
        )),
    )
}
