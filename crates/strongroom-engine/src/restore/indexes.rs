//! Indexes: built when the data is there, all of a collection in one pass over it.

use bson::Document;
use futures::{StreamExt, stream};

use super::{Action, PlannedNamespace, Restored, Work, cancelled};
use crate::error::{Code, Result};

/// How many of a collection's indexes were built, and why others were not.
#[derive(Default)]
struct Built {
    indexes: u64,
    exceptions: Vec<String>,
}

pub(super) async fn build(work: &Work, restored: &mut Restored) -> Result<()> {
    let mut built = stream::iter(work.plan.namespaces.iter().map(|planned| of_one(work, planned)))
        .buffer_unordered(work.options.writers.max(1));
    while let Some(outcome) = built.next().await {
        let Built { indexes, exceptions } = outcome?;
        restored.indexes += indexes;
        restored.exceptions.extend(exceptions);
    }
    Ok(())
}

async fn of_one(work: &Work, planned: &PlannedNamespace) -> Result<Built> {
    let mut built = Built::default();
    let indexes = work.metadata[planned.place].indexes_to_build();
    match planned.action {
        Action::Merge | Action::Skip => return Ok(built),
        _ if indexes.is_empty() => return Ok(built),
        Action::Missing => {
            built.exceptions.push(format!("`{}` is not there, so it has no indexes", planned.target));
            return Ok(built);
        }
        _ => {}
    }
    if !create(work, planned, indexes.clone(), &mut built).await? && indexes.len() > 1 {
        // One that the server refuses, such as a kind that it no longer knows, must not cost the others.
        built.exceptions.clear();
        for index in indexes {
            create(work, planned, vec![index], &mut built).await?;
        }
    }
    Ok(built)
}

/// Whether these could be built, all of them or none.
async fn create(
    work: &Work,
    planned: &PlannedNamespace,
    indexes: Vec<Document>,
    built: &mut Built,
) -> Result<bool> {
    if work.cancel.is_cancelled() {
        return Err(cancelled());
    }
    let number = indexes.len() as u64;
    let (db, collection) = &work.names[planned.place];
    match work.target.create_indexes(db, collection, indexes).await {
        Ok(()) => built.indexes += number,
        Err(error) if error.code() == Code::Mongo => {
            built.exceptions.push(error.to_string());
            return Ok(false);
        }
        Err(error) => return Err(error),
    }
    Ok(true)
}
