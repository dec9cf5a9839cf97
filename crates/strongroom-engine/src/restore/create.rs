//! Collections and views: dropped, emptied and created as the plan says.

use futures::{StreamExt, TryStreamExt, stream};

use super::item::{Action, Item};
use super::views::{self, View};
use crate::definition::Definition;
use crate::deployment::{Refused, Target};
use crate::error::{Code, Error, Result};
use crate::job::Job;
use crate::names::{Name, NamespaceKind, STORED_FUNCTIONS};

/// Makes room for the data: `at_once` collections at a time.
pub(super) async fn collections(target: &Target, items: &[Item], at_once: usize, job: &Job) -> Result<()> {
    stream::iter(items.iter().map(|item| prepare(target, item, job)))
        .buffer_unordered(at_once.max(1))
        .try_collect()
        .await
}

async fn prepare(target: &Target, item: &Item, job: &Job) -> Result<()> {
    job.check()?;
    // A server does not let it be dropped.
    if item.action == Action::Replace && item.to.collection == STORED_FUNCTIONS {
        return target.empty_collection(&item.to).await;
    }
    if item.action == Action::Replace {
        target.drop_collection(&item.to).await?;
    }
    if !item.action.creates() || item.kind == NamespaceKind::View {
        return Ok(());
    }
    create(target, &item.to, &item.options).await
}

/// Creates views, each after those that it reads.
pub(super) async fn views(target: &Target, views: &[View]) -> Result<()> {
    for View { name, options } in views::in_order(views) {
        create(target, name, options).await?;
    }
    Ok(())
}

async fn create(target: &Target, name: &Name, options: &Definition) -> Result<()> {
    match target.create(name, options).await {
        Ok(()) => Ok(()),
        Err(Refused::Exists) => {
            Err(Error::new(Code::TargetChanged, format!("`{name}` was created by somebody else meanwhile"))
                .help("Make sure that nothing else writes to the target, and restore again."))
        }
        Err(refused) => Err(refused.into()),
    }
}
