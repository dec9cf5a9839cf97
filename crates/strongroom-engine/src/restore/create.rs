//! Collections and views: dropped, emptied and created as the plan says.
//!
//! What a server refuses does not end a restore, and costs nothing that was there: before anything is dropped, what takes
//! its place is created once under another name in the same database, and dropped again.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};

use super::compare::differences;
use super::item::{Action, Item};
use super::known::{self, Known};
use super::views::{self, View};
use crate::definition::Definition;
use crate::deployment::{Refused, Target};
use crate::error::{Code, Error, Result};
use crate::job::Job;
use crate::names::{Name, NamespaceKind, STORED_FUNCTIONS};

/// What could be created, and what could not.
#[derive(Debug, Default)]
pub(super) struct Created {
    /// With the options that the target took.
    pub(super) items: Vec<Item>,
    pub(super) exceptions: Vec<String>,
}

/// What became of one item.
struct Outcome {
    item: Item,
    is_refused: bool,
    exceptions: Vec<String>,
}

/// Makes room for the data: `at_once` collections at a time.
pub(super) async fn collections(
    target: &Target,
    items: &[Item],
    at_once: usize,
    job: &Job,
) -> Result<Created> {
    let mut created = Created::default();
    let items = without_circles(items, &mut created.exceptions);
    let items = without_other_kinds(target, items, &mut created.exceptions).await?;
    let unknown = items.iter().filter(|item| item.action.creates() && !item.left_out.is_empty());
    created.exceptions.extend(unknown.map(|item| without_unknown(&item.to, &item.left_out)));
    let items =
        side_by_side(items.into_iter().map(|item| rehearse(target, item, job)), at_once, &mut created)
            .await?;
    let items =
        side_by_side(items.into_iter().map(|item| prepare(target, item, job)), at_once, &mut created).await?;
    let new = items.iter().filter(|item| item.action.creates() && item.kind != NamespaceKind::View);
    let new: Vec<_> = new.map(|item| (&item.to, &item.options)).collect();
    compare(target, &new, &mut created.exceptions).await?;
    created.items = items;
    Ok(created)
}

/// Waits for work on items; those that were not refused, in their order.
async fn side_by_side(
    work: impl Iterator<Item = impl Future<Output = Result<Outcome>>>,
    at_once: usize,
    created: &mut Created,
) -> Result<Vec<Item>> {
    let outcomes: Vec<Outcome> = stream::iter(work).buffered(at_once.max(1)).try_collect().await?;
    let mut items = Vec::new();
    for Outcome { item, is_refused, exceptions } in outcomes {
        created.exceptions.extend(exceptions);
        if !is_refused {
            items.push(item);
        }
    }
    Ok(items)
}

fn without_circles(items: &[Item], exceptions: &mut Vec<String>) -> Vec<Item> {
    let created = items.iter().filter(|item| item.kind == NamespaceKind::View && item.action.creates());
    let views: Vec<_> = created.map(|item| (&item.to, &item.options)).collect();
    let circles = views::in_circles(&views);
    exceptions.extend(circles.iter().map(|name| {
        format!("the view `{name}` was not created: it reads itself, by way of other views or directly")
    }));
    items.iter().filter(|item| !circles.contains(&item.to)).cloned().collect()
}

/// Documents of a time-series are added to one alone: beside anything else a server would make a collection of them that
/// nobody looks for.
async fn without_other_kinds(
    target: &Target,
    items: Vec<Item>,
    exceptions: &mut Vec<String>,
) -> Result<Vec<Item>> {
    let is_added = |item: &Item| item.action == Action::Add && item.kind == NamespaceKind::Timeseries;
    let dbs: BTreeSet<&str> =
        items.iter().filter(|item| is_added(item)).map(|item| item.to.db.as_str()).collect();
    let mut others: BTreeSet<Name> = BTreeSet::new();
    for db in dbs {
        let found = target.options(db).await?;
        let is_series = |name: &str| found.get(name).is_some_and(|options| options.contains("timeseries"));
        let added = items.iter().filter(|item| is_added(item) && item.to.db == db);
        others.extend(added.filter(|item| !is_series(&item.to.collection)).map(|item| item.to.clone()));
    }
    exceptions.extend(others.iter().map(|name| {
        format!(
            "`{name}` is not restored: it is a time-series, and what the target holds under this name is none"
        )
    }));
    Ok(items.into_iter().filter(|item| !others.contains(&item.to)).collect())
}

/// Tries out what takes the place of something that is there.
async fn rehearse(target: &Target, item: Item, job: &Job) -> Result<Outcome> {
    job.check()?;
    let is_plain = item.options.is_empty() || item.to.collection == STORED_FUNCTIONS;
    if item.action != Action::Replace || is_plain {
        return Ok(Outcome::taken(item));
    }
    let name = Name::new(&item.to.db, format!("strongroom.rehearsal.{:08x}", rand::random::<u32>()));
    match with_fewer(target, &name, &item.options).await {
        Ok(known) => {
            target.drop_collection(&name).await?;
            Ok(Outcome::of(item, known))
        }
        Err(Refused::Answer(error)) => Ok(Outcome::refused(item, &error)),
        // A user who may create nothing but what is restored.
        Err(Refused::Other(error)) if error.code() == Code::MongoPrivilege => Ok(Outcome::taken(item)),
        Err(refused) => Err(refused.into()),
    }
}

async fn prepare(target: &Target, item: Item, job: &Job) -> Result<Outcome> {
    job.check()?;
    // A server does not let it be dropped.
    if item.action == Action::Replace && item.to.collection == STORED_FUNCTIONS {
        target.empty_collection(&item.to).await?;
        return Ok(Outcome::taken(item));
    }
    if item.action == Action::Replace {
        target.drop_collection(&item.to).await?;
    }
    if !item.action.creates() || item.kind == NamespaceKind::View {
        return Ok(Outcome::taken(item));
    }
    match with_fewer(target, &item.to, &item.options).await {
        Ok(known) => Ok(Outcome::of(item, known)),
        Err(Refused::Answer(error)) => Ok(Outcome::refused(item, &error)),
        Err(refused) => Err(unless_taken(&item.to, refused)),
    }
}

impl Outcome {
    fn taken(item: Item) -> Self {
        Self { item, is_refused: false, exceptions: Vec::new() }
    }

    /// With the options that were taken.
    fn of(mut item: Item, taken: (Known, Option<Error>)) -> Self {
        let (Known { definition, left_out }, why) = taken;
        let exceptions = why.map(|why| without(&item.to, &left_out, &why));
        item.options = definition;
        Self { item, is_refused: false, exceptions: exceptions.into_iter().collect() }
    }

    fn refused(item: Item, error: &Error) -> Self {
        let (what, name) = match item.kind {
            NamespaceKind::View => ("the view ", &item.to),
            _ => ("", &item.to),
        };
        let stays = match item.action {
            Action::Replace => ", what the target holds under this name stays",
            _ => "",
        };
        let exception = format!("{what}`{name}` is not restored{stays}: {}", error.message());
        Self { item, is_refused: true, exceptions: vec![exception] }
    }
}

/// That something is created without what is no option.
pub(super) fn without_unknown(name: &Name, left_out: &[String]) -> String {
    format!("`{name}` is restored without `{}`, which is no option of what it is", left_out.join("`, `"))
}

/// That something was created without some of its options.
pub(super) fn without(name: &Name, left_out: &[String], why: &Error) -> String {
    format!("`{name}` was created without `{}`: {}", left_out.join("`, `"), why.message())
}

/// Creates it with all of its options, or if the server refuses some that may be left out, without those; what it was
/// created with, and why without the others.
pub(super) async fn with_fewer(
    target: &Target,
    name: &Name,
    options: &Definition,
) -> Result<(Known, Option<Error>), Refused> {
    let refused = match target.create(name, options).await {
        Ok(()) => return Ok((Known { definition: options.clone(), left_out: Vec::new() }, None)),
        Err(Refused::Answer(error)) => error,
        Err(refused) => return Err(refused),
    };
    for known in known::fewer_options(options) {
        match target.create(name, &known.definition).await {
            Ok(()) => return Ok((known, Some(refused))),
            Err(Refused::Answer(_)) => {}
            Err(refused) => return Err(refused),
        }
    }
    Err(Refused::Answer(refused))
}

/// Creates views, each after those that it reads; how many could not be created, with the reasons among `exceptions`.
pub(super) async fn views(target: &Target, views: &[View], exceptions: &mut Vec<String>) -> Result<u64> {
    let mut missing = 0;
    let mut created = Vec::new();
    for View { name, options } in views::in_order(views) {
        match target.create(name, options).await {
            Ok(()) => created.push((name, options)),
            Err(Refused::Answer(error)) => {
                exceptions.push(format!("the view `{name}` is not restored: {}", error.message()));
                missing += 1;
            }
            Err(refused) => return Err(unless_taken(name, refused)),
        }
    }
    compare(target, &created, exceptions).await?;
    Ok(missing)
}

/// Compares what the target lists with what was asked for.
async fn compare(
    target: &Target,
    created: &[(&Name, &Definition)],
    exceptions: &mut Vec<String>,
) -> Result<()> {
    let dbs: BTreeSet<&str> = created.iter().map(|(name, _)| name.db.as_str()).collect();
    for db in dbs {
        let found = target.options(db).await?;
        for (name, asked) in created.iter().filter(|(name, _)| name.db == db) {
            let Some(found) = found.get(&name.collection) else {
                exceptions.push(format!("`{name}` was created, and is not there any more"));
                continue;
            };
            for option in differences(asked, found) {
                exceptions.push(format!("`{name}` has another `{option}` than was asked for"));
            }
        }
    }
    Ok(())
}

fn unless_taken(name: &Name, refused: Refused) -> Error {
    match refused {
        Refused::Exists => {
            Error::new(Code::TargetChanged, format!("`{name}` was created by somebody else meanwhile"))
                .help("Make sure that nothing else writes to the target, and restore again.")
        }
        refused => refused.into(),
    }
}
