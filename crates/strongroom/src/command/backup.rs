//! `strongroom backup`.

use std::fmt;

use serde::Serialize;
use strongroom_engine::backup::{self, Options};
use strongroom_engine::deployment::Deployment;
use strongroom_engine::{BackupId, Location, Manifest, Result, Summary, bucket};
use tokio_util::sync::CancellationToken;

use super::job;
use crate::cli;
use crate::output::Output;
use crate::words::{consistency, namespaces, totals};

pub(crate) async fn run(options: cli::Backup, output: &Output, cancel: CancellationToken) -> Result<()> {
    let filter = options.selection.filter()?;
    let uri = super::uri(options.uri, &filter, output)?;
    let job = job(output, cancel, options.store.waits());
    let store = bucket::open(&options.to, options.store.options(job.observer.clone()))?;
    let work = Options {
        plan: options.plan,
        filter,
        readers: options.readers.map_or_else(backup::readers_default, usize::from),
        compression: options.compress,
        consistency: options.consistency,
        query: options.query,
        sse: options.sse,
        max_lag: options.max_lag,
        max_rate: options.max_rate,
    };
    let connecting = work.connecting(job.waits);
    let deployment = job.unless_cancelled(Deployment::connect_with(&uri, &connecting)).await?;
    let id = BackupId::new(job.clock.now(), rand::random());
    let manifest = backup::prepare(deployment, store, work, id, &job).await?.run(&job).await?;
    let answer = Answer { location: options.to.to_string(), backup: Summary::from(&manifest) };
    output.answer(&answer, &Text(&options.to, &manifest))
}

/// What a program is told of a backup that was made.
#[derive(Serialize)]
struct Answer {
    location: String,
    #[serde(flatten)]
    backup: Summary,
}

struct Text<'a>(&'a Location, &'a Manifest);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(location, manifest) = self;
        writeln!(f, "backup {} is in {location}", manifest.id)?;
        writeln!(f, "  {}, {}", namespaces(manifest.totals.namespaces), totals(manifest.totals))?;
        writeln!(f, "  read from {} ({})", manifest.source.member, manifest.source.member_reason)?;
        writeln!(f, "  {}", consistency(&manifest.consistency))?;
        if let Location::S3 { .. } = location {
            writeln!(f, "  {}", encryption(manifest))?;
        }
        Ok(())
    }
}

/// What was asked of the server, and what it said, in words.
pub(super) fn encryption(manifest: &Manifest) -> String {
    let asked = manifest.encryption.requested.as_deref().unwrap_or("none");
    match &manifest.encryption.reported {
        Some(reported) => format!("encryption requested: {asked}; reported by the server: {reported}"),
        None => format!("encryption requested: {asked}; the server reported nothing"),
    }
}
