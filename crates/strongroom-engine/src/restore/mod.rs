//! A restore: what it will do is prepared and can be shown; then just that is run.

mod archive;
mod compare;
mod create;
mod data;
mod digest;
mod expiry;
mod granted;
mod in_force;
mod indexes;
mod item;
mod known;
mod left;
mod metadata;
mod named;
mod plan;
mod present;
mod preview;
mod privileges;
mod replay;
mod rings;
mod settings;
mod source;
mod tally;
mod users;
mod views;

pub use archive::{Archive, Opener as ArchiveOpener};
pub use expiry::Expiry;
pub use granted::{Granted, GrantedKind, StoredFunction};
pub use item::Action;
pub use named::{Grants, NotAll};
pub use preview::{Preview, PreviewedNamespace};
pub use replay::Window;
pub use settings::{CollectionOptions, Existing, Indexes, Options, Ttl, Users};
pub use source::{Backup, Source};

use std::collections::HashSet;
use std::sync::Arc;

use serde::Serialize;

use crate::deployment::{Privileges, Target};
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::job::Job;
use crate::names::NamespaceKind;
use crate::progress::{Phase, Warning};
use crate::spool::Spool;
use create::Created;
use expiry::Expiries;
use in_force::InForce;
use item::Item;
use left::Left;
use present::Present;
use replay::Replay;
use rings::Rings;
use users::{Kept, Merging};

/// What a restore did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The backup or archive that was restored.
    pub backup: String,
    /// The plan that the backup belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Collections and views.
    pub namespaces: u64,
    /// Documents inserted.
    pub documents: u64,
    /// Indexes built (or there already), but for those on `_id`.
    pub indexes: u64,
    /// Documents that the server refused.
    pub refused: u64,
    /// Collections whose documents were compared with the checksum of the manifest, and were the same. One that differs
    /// ends the restore with [`Code::Damaged`]. An archive has checksums of its own, which are compared as it is read.
    pub compared: u64,
    /// How long it took, in milliseconds, from the first look at the target to the end.
    pub milliseconds: u64,
    /// Collections of the source that were left out, since each server has its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<String>,
    /// Documents that expire.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expiring: Vec<Expiry>,
    /// What was not restored, and why: the first of each collection in full.
    pub exceptions: Vec<String>,
}

impl Restored {
    /// Whether all that was to be restored is there as it was: nothing was refused, changed or left undone.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.refused == 0 && self.exceptions.is_empty()
    }
}

/// A restore that can be shown, and then run as it was shown.
#[derive(Debug)]
pub struct Prepared {
    source: Arc<Source>,
    target: Target,
    settings: Options,
    items: Vec<Item>,
    window: Option<Window>,
    present: Present,
    in_force: InForce,
    preview: Preview,
}

/// What was found out before anything was touched.
struct Known {
    /// What the user may do, where there is one.
    privileges: Option<Privileges>,
    /// The oplog of an archive, where it could be read before the data.
    oplog: Option<Spool>,
}

/// Looks at source and target, and decides what will be done. Changes nothing.
///
/// # Errors
/// [`Code::Usage`] when names or the moment cannot be as asked; as the target fails. A collection that is in the way
/// is shown in the preview, and an error only when it is run.
pub async fn prepare(source: Source, target: Target, settings: Options) -> Result<Prepared> {
    settings.check()?;
    let wanted = plan::wanted(&source, &settings)?;
    let present = Present::look(&target, wanted.iter().map(|wanted| wanted.to.db.as_str()).collect()).await?;
    let items = plan::items(&wanted, &source, &present, &settings)?;
    let window = match settings.indexes {
        Indexes::Only => None,
        Indexes::Build | Indexes::None => replay::window(&source, settings.at)?,
    };
    let in_force = InForce::look(&target, &items, &settings).await?;
    let preview = Preview::of(&source, &target, &items, (window, &settings, &in_force));
    Ok(Prepared { source: Arc::new(source), target, settings, items, window, present, in_force, preview })
}

impl Prepared {
    /// What will be done.
    #[must_use]
    pub fn preview(&self) -> &Preview {
        &self.preview
    }

    /// What will be done and what decides it, as the SHA-256 of one written form: 64 hexadecimal digits. Two preparations
    /// have the same digest exactly if they do the same to a target that holds the same of what they touch. Which
    /// deployment the target is, is for the caller to compare.
    ///
    /// # Errors
    /// [`Code::Internal`] if the options cannot be written.
    pub fn digest(&self) -> Result<String> {
        digest::digest((&self.source, &self.preview), (&self.items, &self.present), &self.settings)
    }

    /// Reads from the backup which users, roles and stored functions come along, for the preview: at most 16 MiB of them.
    /// A restore that is not shown first does without; it names users and roles before it merges them.
    ///
    /// # Errors
    /// [`Code::Damaged`] and [`Code::ObjectMissing`]; as the store fails.
    pub async fn name_grants(&mut self, job: &Job) -> Result<()> {
        self.preview.grants = named::look(&self.source, &self.items, self.window.is_some(), job).await?;
        Ok(())
    }

    /// Restores what the preview says. Needs a multi-threaded runtime.
    ///
    /// # Errors
    /// Before anything is touched: [`Code::TargetNotEmpty`] when a collection exists and nothing said what to do with
    /// it; [`Code::TargetChanged`] when the target is no longer as the preview says; [`Code::MongoPrivilege`];
    /// [`Code::NotReplayable`]. Afterwards as the source or the target fails. What one server refuses of single
    /// documents or indexes is in the answer.
    pub async fn run(mut self, job: Job) -> Result<Restored> {
        self.target = self.target.clone().attending(&job);
        let began = job.clock.now();
        job.observe(&self.preview.began());
        let known = self.check(&job).await?;
        job.observe(&self.preview.planned());
        // How users are stored is no data of anybody.
        let data =
            self.items.iter().filter(|item| item.action == Action::Skip && item.authorization.is_none());
        let namespaces: Vec<String> = data.map(|item| item.from.to_string()).collect();
        if !namespaces.is_empty() {
            job.warn(Warning::ServersOwnSkipped { namespaces });
        }
        self.in_force.warn(&job);
        match self.change(known, &job).await {
            Ok(restored) => {
                let took = job.clock.now() - began;
                Ok(Restored { milliseconds: u64::try_from(took.num_milliseconds()).unwrap_or(0), ..restored })
            }
            Err(error) => Err(self.unfinished(error)),
        }
    }

    /// Everything that can be known before anything is touched.
    async fn check(&self, job: &Job) -> Result<Known> {
        self.preview.check()?;
        let now = self.present.look_again(&self.target).await?;
        let decided = self.items.iter().filter(|item| item.action.depends_on_target());
        self.present.unchanged(&now, decided.map(|item| &item.to))?;
        let privileges = self.target.privileges().await?;
        if let Some(privileges) = &privileges {
            let builds_indexes = self.settings.indexes != Indexes::None;
            let needed = privileges::needed(&self.items, builds_indexes, self.merging().as_ref());
            privileges.require(&needed, "restore")?;
        }
        job.unless_cancelled(self.source.check(&self.read(), job)).await?;
        let oplog = self.oplog(job).await?;
        if let Some(replay) = self.replay(&self.items, privileges.as_ref(), job) {
            replay.check(oplog.as_ref()).await?;
        }
        Ok(Known { privileges, oplog })
    }

    /// Numbers of the namespaces whose documents or entries will be read.
    fn read(&self) -> HashSet<usize> {
        let inserted = self.items.iter().filter(|item| item.action.inserts()).map(|item| item.number);
        let namespaces = self.source.namespaces().iter().enumerate();
        let replayed = namespaces.filter(|(_, n)| self.window.is_some() && n.kind == NamespaceKind::Oplog);
        inserted.chain(replayed.map(|(number, _)| number)).collect()
    }

    /// The oplog of an archive, where it can be read before the data.
    async fn oplog(&self, job: &Job) -> Result<Option<Spool>> {
        if self.window.is_none() || !matches!(*self.source, Source::Archive(_)) {
            return Ok(None);
        }
        let source = self.source.clone();
        let reading = tokio::task::spawn_blocking(move || match &*source {
            Source::Archive(archive) => archive.oplog(),
            Source::Backup(_) => Ok(None),
        });
        let abrupt = |e| Error::new(Code::Internal, "the reader ended abruptly").caused_by(e);
        job.unless_cancelled(async { reading.await.map_err(abrupt)? }).await
    }

    async fn change(&self, known: Known, job: &Job) -> Result<Restored> {
        let mut restored = Restored {
            backup: self.preview.backup.clone(),
            plan: self.preview.plan.clone(),
            skipped: self.skipped(),
            ..Restored::default()
        };
        let (left, kept) = match self.settings.indexes {
            Indexes::Only => (Left::of(&self.items), Kept::default()),
            Indexes::Build | Indexes::None => self.fill(known, &mut restored, job).await?,
        };
        self.finish(left, &kept, &mut restored, job).await?;
        Ok(restored)
    }

    /// Collections and their data, as of one moment; what is left to be done then.
    async fn fill(&self, known: Known, restored: &mut Restored, job: &Job) -> Result<(Left, Kept)> {
        let Self { source, target, .. } = self;
        let writers = self.settings.writers;
        job.phase(Phase::Preparing);
        let Created { items, exceptions } = create::collections(target, &self.items, writers, job).await?;
        restored.exceptions.extend(exceptions);
        let rings = Rings::look(target, &items).await?;
        job.phase(Phase::Inserting);
        let (tally, rest) = data::insert(source, target, &items, self.window.is_some(), writers, job).await?;
        restored.documents = tally.documents;
        restored.refused = tally.refused();
        restored.compared = tally.compared;
        restored.exceptions.extend(tally.exceptions(source.namespaces()));
        restored.exceptions.extend(rings.compare(target, &tally).await?);
        restored.exceptions.extend(rest.counted.iter().map(|(place, documents)| {
            let name = source.namespaces()[*place].name();
            format!("{documents} documents of `{name}`: it is a view, or a server keeps this one itself")
        }));
        // After the data, and before the indexes, which what lies in between may contradict.
        let Some(replay) = self.replay(&items, known.privileges.as_ref(), job) else {
            return Ok((Left::of(&items), tally.kept));
        };
        // What came as a stream could not be looked at before.
        if let Some(late) = &rest.oplog {
            replay.look(late).await?;
        }
        let oplog = known.oplog.or(rest.oplog).unwrap_or_default();
        Ok((replay.run(&oplog).await?, tally.kept))
    }

    /// Indexes, views and users: by then the data is as of one moment.
    async fn finish(&self, left: Left, kept: &Kept, restored: &mut Restored, job: &Job) -> Result<()> {
        restored.namespaces = left.names.len() as u64;
        let expiries = Expiries::of(&left, &self.settings, &self.in_force.rules);
        restored.exceptions.extend(left.exceptions);
        restored.expiring = expiries.count(&self.target, job).await?;
        if self.settings.indexes != Indexes::None {
            job.phase(Phase::BuildingIndexes);
            let builds = expiries.hold(left.indexes, self.target.version());
            indexes::build((&self.target, job), &builds, &self.settings, restored).await?;
        }
        job.check()?;
        job.phase(Phase::CreatingViews);
        let missing = create::views(&self.target, &left.views, &mut restored.exceptions).await?;
        restored.namespaces -= missing;
        job.check()?;
        job.phase(Phase::MergingUsers);
        if let Some(merging) = self.merging() {
            let merged = merging.run(&self.target, kept, &left.of_users, job).await?;
            restored.documents += merged.documents;
            restored.exceptions.extend(merged.exceptions);
        }
        restored.exceptions.extend(expiries.begin(&self.target).await?);
        Ok(())
    }

    fn skipped(&self) -> Vec<String> {
        let skipped = self.items.iter().filter(|item| item.action == Action::Skip);
        skipped.map(|item| item.from.to_string()).collect()
    }

    fn merging(&self) -> Option<Merging> {
        Merging::of(&self.items, self.window.is_some())
    }

    fn replay<'a>(
        &'a self,
        items: &'a [Item],
        privileges: Option<&'a Privileges>,
        job: &'a Job,
    ) -> Option<Replay<'a>> {
        let Self { source, target, settings, .. } = self;
        Some(Replay::new(source, target, items, replay::Scope::new(self.window?, settings), privileges, job))
    }

    fn unfinished(&self, error: Error) -> Error {
        let name = self.source.name();
        let mut error =
            error.context(format!("the restore of `{name}` did not finish, the target holds a part of it"));
        if error.code() == Code::Cancelled {
            error = error.help(help![
                "Restore again with ",
                Setting::Existing.to("drop"),
                " to replace what is there, or drop the restored databases by hand.",
            ]);
        }
        error
    }
}
