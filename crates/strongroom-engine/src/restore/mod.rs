//! A restore: look, refuse or prepare, create, insert, index, then views, users and roles.

mod archive;
mod data;
mod indexes;
mod metadata;
mod plan;
mod privileges;
mod replay;
mod settings;
mod source;
mod spool;
mod users;
mod views;

pub use archive::Archive;
pub use plan::{Action, Plan, PlannedNamespace};
pub use replay::window::Window;
pub use settings::{Existing, Indexes, Options, Users};
pub use source::{Backup, Source};

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::deployment::{Refused, Target};
use crate::error::{Code, Error, Result};
use crate::job::Job;
use crate::names::NamespaceKind;
use crate::progress::{Event, Observer, Phase};
use crate::renames::STORED_FUNCTIONS;
use metadata::Metadata;
use users::authorization;

/// What a restore did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Collections and views.
    pub namespaces: u64,
    /// Documents inserted.
    pub documents: u64,
    /// Indexes built (or there already), but for those on `_id`.
    pub indexes: u64,
    /// Documents that the server refused.
    pub refused: u64,
    /// What was not restored, and why: the first of each collection in full.
    pub exceptions: Vec<String>,
}

/// What would be done, without doing it.
///
/// # Errors
/// [`Code::Usage`] when names cannot be as asked; as the target fails. A conflict is part of the plan, not an error.
pub async fn plan(target: &Target, source: &Source, options: &Options) -> Result<Plan> {
    Ok(plan::make(target, source, options).await?.0)
}

/// Restores by the plan. Needs a multi-threaded runtime.
///
/// # Errors
/// [`Code::TargetNotEmpty`] when a collection exists and nothing said what to do with it, before anything is
/// touched; as the source or the target fails. What one server refuses of single documents or indexes is
/// in the answer.
pub async fn run(source: Source, target: Target, options: Options, job: Job) -> Result<Restored> {
    let (plan, metadata) = plan::make(&target, &source, &options).await?;
    plan.check()?;
    let names = source.namespaces().iter().map(|n| options.renames.apply(&n.db, &n.collection)).collect();
    let source = Arc::new(source);
    let Job { observer, cancel, .. } = job;
    let work = Work { source, target, options, plan, names, metadata, observer, cancel };
    let work = Arc::new(work);
    privileges::check(&work).await?;
    replay::may(&work).await?;
    work.run().await.map_err(|e| {
        let name = work.source.name();
        e.context(format!("the restore of `{name}` did not finish, the target holds a part of it"))
    })
}

/// Everything that the parts of one restore share.
#[derive(Clone)]
struct Work {
    source: Arc<Source>,
    target: Target,
    options: Options,
    plan: Plan,
    /// Where every namespace of the source goes: database and collection, by its place.
    names: Vec<(String, String)>,
    /// Of every namespace of the source, by its place.
    metadata: Vec<Metadata>,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
}

impl Work {
    async fn run(self: &Arc<Self>) -> Result<Restored> {
        self.observer.observe(&self.plan.event());
        let mut restored = Restored::default();
        if self.options.indexes != Indexes::Only {
            self.phase(Phase::Preparing);
            self.create_collections().await?;
            self.phase(Phase::Inserting);
            let oplog;
            (restored, oplog) = data::insert(self).await?;
            // After the data, and before the indexes, which what lies in between may contradict.
            let left = replay::run(self, &oplog, &mut restored).await?;
            return left.finish(restored).await;
        }
        self.finish(restored).await
    }

    /// What comes after the data: by then it is as of one moment.
    async fn finish(&self, mut restored: Restored) -> Result<Restored> {
        let targets: HashSet<&str> = self.plan.namespaces.iter().map(|n| n.target.as_str()).collect();
        restored.namespaces = targets.len() as u64;
        if self.options.indexes != Indexes::None {
            self.phase(Phase::BuildingIndexes);
            indexes::build(self, &mut restored).await?;
        }
        self.phase(Phase::CreatingViews);
        self.create_views().await?;
        self.phase(Phase::MergingUsers);
        users::merge(self).await?;
        self.settle().await?;
        Ok(restored)
    }

    fn phase(&self, phase: Phase) {
        self.observer.observe(&Event::Phase { phase });
    }

    /// Where the documents of a namespace are inserted. Views have none; the server keeps users, roles and their version
    /// itself.
    fn data_target(&self, place: usize) -> Option<(&str, String)> {
        let namespace = &self.source.namespaces()[place];
        if let Some(kept) = authorization(&namespace.db, &namespace.collection) {
            return kept.temporary().map(|temporary| ("admin", temporary.to_owned()));
        }
        let (db, collection) = &self.names[place];
        (namespace.kind != NamespaceKind::View)
            .then(|| (db.as_str(), namespace.kind.data_collection(collection)))
    }

    async fn create_collections(&self) -> Result<()> {
        users::prepare(self).await?;
        stream::iter(self.plan.namespaces.iter().map(|planned| self.prepare(planned)))
            .buffer_unordered(self.options.writers.max(1))
            .try_collect()
            .await
    }

    async fn prepare(&self, planned: &PlannedNamespace) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(cancelled());
        }
        let (db, collection) = &self.names[planned.place];
        // A server does not let it be dropped.
        if planned.action == Action::Replace && collection == STORED_FUNCTIONS {
            return self.target.empty_collection(db, collection).await;
        }
        if planned.action == Action::Replace {
            self.target.drop_collection(db, collection).await?;
        }
        if !planned.action.creates() || planned.kind == NamespaceKind::View {
            return Ok(());
        }
        self.create(planned.place).await
    }

    async fn create(&self, place: usize) -> Result<()> {
        let (db, collection) = &self.names[place];
        let options = self.metadata[place].options.clone();
        match self.target.create(db, collection, options).await {
            Ok(()) => Ok(()),
            Err(Refused::Exists) => Err(Error::new(
                Code::TargetNotEmpty,
                format!("`{db}.{collection}` was created by somebody else meanwhile"),
            )
            .help("Make sure that nothing else writes to the target, and restore again.")),
            Err(Refused::Other(error)) => Err(error),
        }
    }

    async fn create_views(&self) -> Result<()> {
        let created = self.plan.namespaces.iter().filter(|planned| planned.action.creates());
        let views = created.filter(|planned| planned.kind == NamespaceKind::View);
        let places: Vec<usize> = views.map(|planned| planned.place).collect();
        for place in views::in_order(&self.names, &self.metadata, &places) {
            self.create(place).await?;
        }
        Ok(())
    }

    /// A replica set has all of it when a majority has the last of it.
    async fn settle(&self) -> Result<()> {
        match self.target.set_name() {
            Some(_) => self.target.wait_for_majority().await,
            None => Ok(()),
        }
    }
}

fn cancelled() -> Error {
    Error::new(Code::Cancelled, "it was cancelled")
        .help("Restore again with --drop to replace what is there, or drop the restored databases by hand.")
}
