//! Indexes: built when the data is there, all of a collection in one pass over it, then compared with what was asked for.

use futures::{StreamExt, stream};

use super::Restored;
use super::compare::differences;
use super::known::{self, Known};
use super::left::Build;
use super::settings::Options;
use crate::definition::Definition;
use crate::deployment::{CommitQuorum, Refused, Target};
use crate::error::{Code, Error, Result};
use crate::job::Job;

/// Which of a collection's indexes were built, and why others were not.
#[derive(Default)]
struct Built {
    indexes: Vec<Definition>,
    exceptions: Vec<String>,
}

/// What builds indexes.
struct Builder<'a> {
    target: &'a Target,
    quorum: Option<&'a CommitQuorum>,
    job: &'a Job,
}

/// Builds them, `at_once` collections at a time.
pub(super) async fn build(
    (target, job): (&Target, &Job),
    builds: &[Build],
    settings: &Options,
    restored: &mut Restored,
) -> Result<()> {
    let builder = Builder { target, quorum: settings.commit_quorum.as_ref(), job };
    let mut built = stream::iter(builds.iter().map(|build| of_one(&builder, build)))
        .buffer_unordered(settings.writers.max(1));
    while let Some(outcome) = built.next().await {
        let Built { indexes, exceptions } = outcome?;
        restored.indexes += indexes.len() as u64;
        restored.exceptions.extend(exceptions);
    }
    Ok(())
}

async fn of_one(builder: &Builder<'_>, build: &Build) -> Result<Built> {
    let mut built = Built::default();
    if build.missing {
        built.exceptions.push(format!("`{}` is not there, so it has no indexes", build.on));
        return Ok(built);
    }
    let known: Vec<Known> = build.indexes.iter().map(known::index).collect();
    let all: Vec<Definition> = known.iter().map(|known| known.definition.clone()).collect();
    match builder.create(build, &all).await? {
        None => built.indexes = all,
        // One that the server refuses, such as a kind that it no longer knows, must not cost the others.
        Some(_) => {
            for index in &all {
                one(builder, build, index, &mut built).await?;
            }
        }
    }
    for Known { definition, left_out } in known.iter().filter(|known| !known.left_out.is_empty()) {
        let why = "is no option of indexes, or no value of it";
        built.exceptions.push(without(build, definition, left_out, why));
    }
    compare(builder.target, build, &mut built).await?;
    search(builder.target, build, &mut built).await?;
    Ok(built)
}

/// Search indexes, which are built by another program after this one, and by few servers.
async fn search(target: &Target, build: &Build, built: &mut Built) -> Result<()> {
    let indexes = &build.search_indexes;
    if indexes.is_empty() {
        return Ok(());
    }
    match target.create_search_indexes(&build.on, indexes).await {
        Ok(()) => built.indexes.extend(indexes.iter().cloned()),
        Err(Refused::Other(error)) if error.code() != Code::MongoPrivilege => return Err(error),
        Err(refused) => {
            let names: Vec<&str> = indexes.iter().map(name).collect();
            let (on, names, why) = (&build.on, names.join("`, `"), Error::from(refused));
            built
                .exceptions
                .push(format!("the search indexes `{names}` of `{on}` were not created: {}", why.message()));
        }
    }
    Ok(())
}

async fn one(builder: &Builder<'_>, build: &Build, index: &Definition, built: &mut Built) -> Result<()> {
    let Some(refused) = builder.create(build, std::slice::from_ref(index)).await? else {
        built.indexes.push(index.clone());
        return Ok(());
    };
    if let Some(Known { definition, left_out }) = known::lesser_index(index)
        && builder.create(build, std::slice::from_ref(&definition)).await?.is_none()
    {
        built.exceptions.push(without(build, index, &left_out, refused.message()));
        built.indexes.push(definition);
    } else {
        built.exceptions.push(refused.to_string());
    }
    Ok(())
}

impl Builder<'_> {
    /// Builds all of these or none; why not.
    async fn create(&self, build: &Build, indexes: &[Definition]) -> Result<Option<Error>> {
        self.job.check()?;
        if indexes.is_empty() {
            return Ok(None);
        }
        match self.target.create_indexes(&build.on, indexes, self.quorum).await {
            Ok(()) => Ok(None),
            Err(Refused::Answer(error)) => Ok(Some(error)),
            Err(refused) => Err(refused.into()),
        }
    }
}

async fn compare(target: &Target, build: &Build, built: &mut Built) -> Result<()> {
    let Some(found) = target.indexes(&build.on).await? else { return Ok(()) };
    for asked in &built.indexes {
        let same_name = found.iter().find(|found| found.text("name") == asked.text("name"));
        // One without a name got it from the server.
        let Some(found) = same_name else { continue };
        for option in differences(asked, found) {
            built.exceptions.push(format!(
                "the index `{}` of `{}` has another `{option}` than was asked for",
                name(asked),
                build.on
            ));
        }
    }
    Ok(())
}

fn without(build: &Build, index: &Definition, left_out: &[String], why: &str) -> String {
    let (name, on, left_out) = (name(index), &build.on, left_out.join("`, `"));
    format!("the index `{name}` of `{on}` was built without `{left_out}`: {why}")
}

fn name(index: &Definition) -> &str {
    index.text("name").unwrap_or("without a name")
}
