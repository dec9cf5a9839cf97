//! A restore: look, refuse or prepare, create, insert, index, then views, users and roles.

mod data;
mod plan;
mod privileges;
mod views;

pub use plan::{Action, Existing, Plan, PlannedNamespace};

use std::sync::Arc;

use bson::Document;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::bucket::ObjectStore;
use crate::deployment::{Refused, Target};
use crate::error::{Code, Error, Result};
use crate::manifest::{Manifest, NamespaceKind};
use crate::progress::{Event, Observer};
use crate::selection::Filter;
use plan::Metadata;

/// What to restore, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which namespaces of the backup.
    pub filter: Filter,
    /// What to do with collections that exist in the target.
    pub existing: Existing,
    /// Segments read and inserted at once, at least 1.
    pub writers: usize,
}

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

/// The collections that MongoDB's own role `restore` may merge users and roles from.
const TEMPORARY_USERS: &str = "tempusers";
const TEMPORARY_ROLES: &str = "temproles";

/// Stored functions: a collection that a server does not let be dropped.
const STORED_FUNCTIONS: &str = "system.js";

/// What would be done, without doing it.
///
/// # Errors
/// As the target fails; a conflict is part of the plan, not an error.
pub async fn plan(target: &Target, manifest: &Manifest, options: &Options) -> Result<Plan> {
    plan::make(target, manifest, options).await
}

/// Restores a backup by its plan. Needs a multi-threaded runtime.
///
/// # Errors
/// [`Code::TargetNotEmpty`] when a collection exists and nothing said what to do with it, before anything is
/// touched; as the store or the target fails. What one server refuses of single documents or indexes is
/// in the answer.
pub async fn run(
    store: Arc<dyn ObjectStore>,
    target: Target,
    manifest: Arc<Manifest>,
    options: Options,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) -> Result<Restored> {
    let plan = plan(&target, &manifest, &options).await?;
    plan.check()?;
    let metadata = manifest.namespaces.iter().map(Metadata::of).collect::<Result<Vec<_>>>()?;
    privileges::check(&target, &plan, &manifest, &metadata).await?;
    let work = Work { store, target, manifest, options, plan, metadata, observer, cancel };
    let work = Arc::new(work);
    work.run().await.map_err(|e| {
        let context =
            format!("the restore of `{}` did not finish, the target holds a part of it", work.manifest.id);
        e.context(context)
    })
}

/// Everything that the parts of one restore share.
struct Work {
    store: Arc<dyn ObjectStore>,
    target: Target,
    manifest: Arc<Manifest>,
    options: Options,
    plan: Plan,
    /// Of every namespace of the manifest, by its place.
    metadata: Vec<Metadata>,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
}

impl Work {
    async fn run(self: &Arc<Self>) -> Result<Restored> {
        self.observer.observe(&self.plan.event());
        self.phase("preparing");
        self.create_collections().await?;
        self.phase("inserting");
        let mut restored = data::insert(self).await?;
        restored.namespaces = self.plan.namespaces.len() as u64;
        self.phase("building indexes");
        self.build_indexes(&mut restored).await?;
        self.phase("creating views");
        self.create_views().await?;
        self.phase("merging users and roles");
        self.merge_users_and_roles().await?;
        self.settle().await?;
        Ok(restored)
    }

    fn phase(&self, name: &'static str) {
        self.observer.observe(&Event::Phase { name });
    }

    /// The server keeps users, roles and their version itself.
    fn data_target(&self, place: usize) -> Option<(&str, String)> {
        let namespace = &self.manifest.namespaces[place];
        match (namespace.db.as_str(), namespace.collection.as_str()) {
            ("admin", "system.users") => Some(("admin", TEMPORARY_USERS.into())),
            ("admin", "system.roles") => Some(("admin", TEMPORARY_ROLES.into())),
            ("admin", "system.version") => None,
            _ => Some((&namespace.db, namespace.data_collection())),
        }
    }

    async fn create_collections(&self) -> Result<()> {
        for temporary in [TEMPORARY_USERS, TEMPORARY_ROLES] {
            if self.plan.holds_users_or_roles(&self.manifest) {
                self.target.drop_collection("admin", temporary).await?;
            }
        }
        stream::iter(self.plan.namespaces.iter().map(|planned| self.prepare(planned)))
            .buffer_unordered(self.options.writers.max(1))
            .try_collect()
            .await
    }

    async fn prepare(&self, planned: &PlannedNamespace) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(cancelled());
        }
        let namespace = &self.manifest.namespaces[planned.place];
        if planned.action == Action::Replace && namespace.collection == STORED_FUNCTIONS {
            return self.target.empty_collection(&namespace.db, &namespace.collection).await;
        }
        if planned.action == Action::Replace {
            self.target.drop_collection(&namespace.db, &namespace.collection).await?;
        }
        let creates = matches!(planned.action, Action::Create | Action::Replace);
        if !creates || namespace.kind == NamespaceKind::View {
            return Ok(());
        }
        self.create(planned.place).await
    }

    async fn create(&self, place: usize) -> Result<()> {
        let namespace = &self.manifest.namespaces[place];
        let options = self.metadata[place].options.clone();
        match self.target.create(&namespace.db, &namespace.collection, options).await {
            Ok(()) => Ok(()),
            Err(Refused::Exists) => Err(Error::new(
                Code::TargetNotEmpty,
                format!("`{}` was created by somebody else meanwhile", namespace.name()),
            )
            .help("Make sure that nothing else writes to the target, and restore again.")),
            Err(Refused::Other(error)) => Err(error),
        }
    }

    async fn build_indexes(&self, restored: &mut Restored) -> Result<()> {
        let mut built = stream::iter(self.plan.namespaces.iter().map(|planned| self.indexes(planned.place)))
            .buffer_unordered(self.options.writers.max(1));
        while let Some(outcome) = built.next().await {
            match outcome? {
                Ok(indexes) => restored.indexes += indexes,
                Err(exception) => restored.exceptions.push(exception),
            }
        }
        Ok(())
    }

    /// How many were built, or why they were not.
    async fn indexes(&self, place: usize) -> Result<Result<u64, String>> {
        if self.cancel.is_cancelled() {
            return Err(cancelled());
        }
        let namespace = &self.manifest.namespaces[place];
        let indexes: Vec<Document> = self.metadata[place].indexes_to_build();
        if indexes.is_empty() || belongs_to_server(&namespace.db, &namespace.collection) {
            return Ok(Ok(0));
        }
        let number = indexes.len() as u64;
        match self.target.create_indexes(&namespace.db, &namespace.collection, indexes).await {
            Ok(()) => Ok(Ok(number)),
            Err(error) if error.code() == Code::Mongo => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }

    async fn create_views(&self) -> Result<()> {
        let places: Vec<usize> =
            self.plan.namespaces.iter().filter(|p| p.action != Action::Add).map(|p| p.place).collect();
        for place in views::in_order(&self.manifest.namespaces, &self.metadata, &places) {
            self.create(place).await?;
        }
        Ok(())
    }

    async fn merge_users_and_roles(&self) -> Result<()> {
        if !self.plan.holds_users_or_roles(&self.manifest) {
            return Ok(());
        }
        let present = self.target.collections("admin").await?;
        let given = |name| present.iter().any(|n| n == name).then_some(name);
        let (users, roles) = (given(TEMPORARY_USERS), given(TEMPORARY_ROLES));
        if users.is_some() || roles.is_some() {
            self.target.merge_users_and_roles(users, roles).await?;
        }
        for temporary in [users, roles].into_iter().flatten() {
            self.target.drop_collection("admin", temporary).await?;
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

/// Collections of `admin` that are not created, dropped or indexed by hand.
fn belongs_to_server(db: &str, collection: &str) -> bool {
    db == "admin" && matches!(collection, "system.users" | "system.roles" | "system.version")
}

fn cancelled() -> Error {
    Error::new(Code::Cancelled, "it was cancelled")
        .help("Restore again with --drop to replace what is there, or drop the restored databases by hand.")
}
