//! Indexes: built when the data is there, all of a collection in one pass over it.

use futures::{StreamExt, stream};

use super::Restored;
use super::left::Build;
use crate::definition::Definition;
use crate::deployment::{Refused, Target};
use crate::error::Result;
use crate::job::Job;

/// How many of a collection's indexes were built, and why others were not.
#[derive(Default)]
struct Built {
    indexes: u64,
    exceptions: Vec<String>,
}

/// Builds them, `at_once` collections at a time.
pub(super) async fn build(
    target: &Target,
    builds: &[Build],
    at_once: usize,
    restored: &mut Restored,
    job: &Job,
) -> Result<()> {
    let mut built =
        stream::iter(builds.iter().map(|build| of_one(target, build, job))).buffer_unordered(at_once.max(1));
    while let Some(outcome) = built.next().await {
        let Built { indexes, exceptions } = outcome?;
        restored.indexes += indexes;
        restored.exceptions.extend(exceptions);
    }
    Ok(())
}

async fn of_one(target: &Target, build: &Build, job: &Job) -> Result<Built> {
    let mut built = Built::default();
    if build.missing {
        built.exceptions.push(format!("`{}` is not there, so it has no indexes", build.on));
        return Ok(built);
    }
    if !create(target, build, &build.indexes, &mut built, job).await? && build.indexes.len() > 1 {
        // One that the server refuses, such as a kind that it no longer knows, must not cost the others.
        built.exceptions.clear();
        for index in &build.indexes {
            create(target, build, std::slice::from_ref(index), &mut built, job).await?;
        }
    }
    Ok(built)
}

/// Whether these could be built, all of them or none.
async fn create(
    target: &Target,
    build: &Build,
    indexes: &[Definition],
    built: &mut Built,
    job: &Job,
) -> Result<bool> {
    job.check()?;
    match target.create_indexes(&build.on, indexes).await {
        Ok(()) => built.indexes += indexes.len() as u64,
        Err(Refused::Answer(error)) => {
            built.exceptions.push(error.to_string());
            return Ok(false);
        }
        Err(refused) => return Err(refused.into()),
    }
    Ok(true)
}
