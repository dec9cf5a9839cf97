//! What a restore reads: a backup in a store, or an archive that comes as one stream.

use std::collections::HashSet;
use std::sync::Arc;

use super::archive::Archive;
use crate::bucket::ObjectStore;
use crate::error::{Code, Result};
use crate::job::Job;
use crate::manifest::{Consistency, Manifest, Namespace};
use crate::names::{Name, known_as};
use crate::prelude;
use crate::segments;

/// Where what is restored comes from.
#[derive(Debug)]
pub enum Source {
    /// A backup, whose segments are fetched one by one.
    Backup(Backup),
    /// An archive, read once from its beginning to its end.
    Archive(Box<Archive>),
}

/// A backup and where it stands.
#[derive(Debug, Clone)]
pub struct Backup {
    /// Where its segments are.
    pub store: Arc<dyn ObjectStore>,
    /// What it holds.
    pub manifest: Arc<Manifest>,
}

impl Source {
    /// A backup in a store.
    #[must_use]
    pub fn backup(store: Arc<dyn ObjectStore>, manifest: Arc<Manifest>) -> Self {
        Self::Backup(Backup { store, manifest })
    }

    /// An archive from elsewhere.
    #[must_use]
    pub fn archive(archive: Archive) -> Self {
        Self::Archive(Box::new(archive))
    }

    /// Looks whether a backup is as its manifest says: the segments that hold anything of these namespaces are there,
    /// and the beginning of the archive says the same of all. An archive that comes as one stream shows damage only
    /// while it is read.
    ///
    /// # Errors
    /// [`Code::Damaged`] and [`Code::ObjectMissing`]; as the store fails.
    pub(super) async fn check(&self, namespaces: &HashSet<usize>, job: &Job) -> Result<()> {
        let Self::Backup(Backup { store, manifest }) = self else { return Ok(()) };
        let wanted = manifest.segments_of(|number| namespaces.contains(&number));
        let checked = match segments::check_there(&**store, wanted, job).await {
            Ok(()) => prelude::check(&**store, manifest, job).await,
            missing => missing,
        };
        checked.map_err(|error| match error.code() {
            Code::Damaged | Code::ObjectMissing => {
                error.context("the backup is not whole, and nothing was touched")
            }
            _ => error,
        })
    }

    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Backup(backup) => &backup.manifest.id,
            Self::Archive(archive) => archive.name(),
        }
    }

    /// The plan that the backup belongs to; an archive belongs to none.
    #[must_use]
    pub fn plan(&self) -> Option<&str> {
        match self {
            Self::Backup(backup) => Some(&backup.manifest.plan),
            Self::Archive(_) => None,
        }
    }

    /// Whether it comes once, from its beginning to its end.
    pub(super) fn is_read_once(&self) -> bool {
        matches!(self, Self::Archive(archive) if archive.is_read_once())
    }

    /// Whether a collection was read after the moment from which the oplog is applied.
    pub(super) fn is_read_later(&self, name: &Name) -> bool {
        match self {
            Self::Archive(_) => true,
            Self::Backup(backup) => match &backup.manifest.consistency {
                Consistency::Oplog { read_plainly, .. } => {
                    read_plainly.contains(&Name::new(&name.db, known_as(&name.collection)).to_string())
                }
                Consistency::Snapshot { .. } | Consistency::None { .. } => false,
            },
        }
    }

    /// Everything in it, in the order of the archive. How much there is of each, an archive does not say.
    pub(super) fn namespaces(&self) -> &[Namespace] {
        match self {
            Self::Backup(backup) => &backup.manifest.namespaces,
            Self::Archive(archive) => archive.namespaces(),
        }
    }
}
