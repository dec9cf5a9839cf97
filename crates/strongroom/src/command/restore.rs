//! `strongroom restore`.

use std::fmt;
use std::sync::Arc;

use strongroom_engine::deployment::Target;
use strongroom_engine::error::{Code, Error, Result};
use strongroom_engine::restore::{self, Action, Existing, Options, Plan, Restored};
use tokio_util::sync::CancellationToken;

use super::parallelism;
use crate::cli::Restore;
use crate::output::Output;
use crate::words::size;

pub(crate) async fn run(options: Restore, output: &Output, cancel: CancellationToken) -> Result<()> {
    let uri = options.uri.read()?;
    let work = Options {
        filter: options.selection.filter()?,
        existing: match (options.drop, options.into_existing) {
            (true, _) => Existing::Drop,
            (false, true) => Existing::Keep,
            (false, false) => Existing::Refuse,
        },
        writers: parallelism(options.writers),
    };
    let (store, manifest) = super::find(options.one).await?;
    let target = Target::connect(&uri).await?;
    if options.dry_run {
        let plan = restore::plan(&target, &manifest, &work).await?;
        return output.answer(&plan, &PlanText(&plan));
    }
    let restored = restore::run(store, target, Arc::new(manifest), work, output.observer(), cancel).await?;
    output.answer(&restored, &RestoredText(&restored))?;
    if restored.exceptions.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::Incomplete, format!("restored, but for {} exceptions", restored.exceptions.len()))
        .help("What is missing, and why, is listed above."))
}

struct PlanText<'a>(&'a Plan);

impl fmt::Display for PlanText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        let set = plan.target_set.as_ref().map(|set| format!(", replica set {set}")).unwrap_or_default();
        writeln!(f, "backup {} into MongoDB {}{set}; nothing is done yet", plan.backup, plan.target_version)?;
        writeln!(f, "{} segments to fetch, {}", plan.segments, size(plan.stored_bytes))?;
        for planned in &plan.namespaces {
            let name = planned.name.escape_debug().to_string();
            writeln!(f, "{name:<44} {:<32} {:>12} documents", in_words(planned.action), planned.documents)?;
        }
        Ok(())
    }
}

fn in_words(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Replace => "drop and create anew",
        Action::Add => "add to what is there",
        Action::Refuse => "REFUSED: it exists",
        Action::Merge => "merge into users and roles",
        Action::Skip => "skip: the server has its own",
    }
}

struct RestoredText<'a>(&'a Restored);

impl fmt::Display for RestoredText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = self.0;
        for exception in &done.exceptions {
            writeln!(f, "not restored: {exception}")?;
        }
        let (namespaces, documents, indexes) = (done.namespaces, done.documents, done.indexes);
        writeln!(f, "restored {namespaces} collections and views, {documents} documents, {indexes} indexes")
    }
}
