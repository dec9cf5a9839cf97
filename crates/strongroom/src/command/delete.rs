//! `strongroom delete`.

use std::fmt;

use serde::Serialize;
use strongroom_engine::catalog::{self, Deleted};
use strongroom_engine::{BackupId, Job, Result, bucket};

use super::confirm;
use crate::cli::Delete;
use crate::output::Output;
use crate::words::{count, size};

pub(crate) async fn run(options: Delete, output: &Output, job: Job) -> Result<()> {
    let id: BackupId = options.backup.parse()?;
    if !options.yes {
        confirm(&format!("Delete backup {id} for good?"), "nothing was deleted", output)?;
    }
    let store = bucket::open(&options.place.location, options.place.store.options(job.observer.clone()))?;
    let deleted = catalog::delete(store, options.place.plan.as_ref(), &id, &job).await?;
    drop(job);
    let answer = Answer { id: id.as_str(), deleted };
    output.answer(&answer, &answer)
}

#[derive(Serialize)]
struct Answer<'a> {
    id: &'a str,
    #[serde(flatten)]
    deleted: Deleted,
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Deleted { objects, stored_bytes } = self.deleted;
        writeln!(f, "deleted {}: {}, {}", self.id, count(objects, "object"), size(stored_bytes))
    }
}
