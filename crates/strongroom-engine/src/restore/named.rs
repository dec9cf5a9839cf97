//! Who and what a restore brings that can be used against the target: users, roles and stored functions, read from a
//! backup before anything is changed.

use std::collections::BTreeMap;

use bson::RawDocument;
use serde::Serialize;

use super::granted::{Granted, StoredFunction};
use super::item::{Action, Item};
use super::{Backup, Source};
use crate::error::Result;
use crate::job::Job;
use crate::manifest::Segment;
use crate::names::STORED_FUNCTIONS;
use crate::segments::{self, Names, Step, Walk};

/// Documents of users, roles and functions that are looked at.
const READ_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Segments that are fetched for them. All users stand in the first ones; stored functions may stand in any.
const FETCHED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Users, roles and stored functions that a restore brings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Grants {
    /// Users and roles.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<Granted>,
    /// Stored functions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub functions: Vec<StoredFunction>,
    /// Why there may be others that are not named here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_all: Option<NotAll>,
}

/// Why not all users, roles and stored functions are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotAll {
    /// They come with an archive, which is read when it is restored.
    Archive,
    /// The oplog that is replayed may bring others, and change these.
    Oplog,
    /// There are too many to look at all of them before a restore.
    TooMany,
}

/// What is looked for.
struct Looked<'a> {
    users: BTreeMap<usize, &'a Item>,
    functions: BTreeMap<usize, &'a Item>,
}

/// Who and what comes along with these items. None where nothing can.
///
/// # Errors
/// [`Code::Damaged`](crate::Code::Damaged) and [`Code::ObjectMissing`](crate::Code::ObjectMissing); as the store fails.
pub(super) async fn look(
    source: &Source,
    items: &[Item],
    replays: bool,
    job: &Job,
) -> Result<Option<Grants>> {
    let looked = Looked::of(items);
    let mut grants = Grants::default();
    match source {
        Source::Archive(_) if !looked.is_empty() => grants.not_all = Some(NotAll::Archive),
        Source::Archive(_) => {}
        Source::Backup(backup) => {
            grants.not_all = (replays && !looked.users.is_empty()).then_some(NotAll::Oplog);
            looked.read(backup, &mut grants, job).await?;
        }
    }
    Ok((grants != Grants::default()).then_some(grants))
}

impl<'a> Looked<'a> {
    fn of(items: &'a [Item]) -> Self {
        let numbered = |wanted: fn(&Item) -> bool| {
            let wanted = items.iter().filter(|item| item.action.inserts() && wanted(item));
            wanted.map(|item| (item.number, item)).collect()
        };
        Self {
            users: numbered(|item| item.action == Action::Merge),
            functions: numbered(|item| item.from.collection == STORED_FUNCTIONS),
        }
    }

    fn is_empty(&self) -> bool {
        self.users.is_empty() && self.functions.is_empty()
    }

    async fn read(&self, backup: &Backup, grants: &mut Grants, job: &Job) -> Result<()> {
        let Backup { store, manifest } = backup;
        let names = Names::of(&manifest.namespaces);
        let with_users = manifest.segments_of(|number| self.users.contains_key(&number));
        let holds_users = |segment: &Segment| {
            segment.contents.iter().any(|content| self.users.contains_key(&content.namespace))
        };
        let others = manifest.segments_of(|number| self.functions.contains_key(&number));
        let others = others.filter(|segment| !holds_users(segment));
        let (mut fetched, mut left) = (0_u64, READ_BYTES_MAX);
        for segment in with_users.chain(others) {
            fetched = fetched.saturating_add(segment.stored_bytes);
            if fetched > FETCHED_BYTES_MAX {
                grants.not_all = Some(NotAll::TooMany);
                return Ok(());
            }
            let body = job.unless_cancelled(segments::fetch(&**store, segment, job)).await?;
            let walk = Walk::new(manifest.compression, &names, segment, &body)?;
            let read = self.walk(walk, grants, &mut left);
            if !read.map_err(|wrong| segments::damaged(segment, wrong))? {
                grants.not_all = Some(NotAll::TooMany);
                return Ok(());
            }
        }
        Ok(())
    }

    /// False where there is more than is looked at.
    fn walk(&self, mut walk: Walk<'_>, grants: &mut Grants, left: &mut usize) -> Result<bool> {
        let mut number = None;
        while let Some(step) = walk.next()? {
            match step {
                Step::Begin(begun) => number = Some(begun),
                Step::Document(document) => {
                    let Some(number) = number.filter(|number| self.looks_for(*number)) else { continue };
                    let Some(rest) = left.checked_sub(document.len()) else { return Ok(false) };
                    *left = rest;
                    self.name(number, document, grants);
                }
                Step::End | Step::Ended => number = None,
            }
        }
        Ok(true)
    }

    fn looks_for(&self, number: usize) -> bool {
        self.users.contains_key(&number) || self.functions.contains_key(&number)
    }

    fn name(&self, number: usize, document: &[u8], grants: &mut Grants) {
        let Ok(document) = RawDocument::from_bytes(document) else { return };
        match self.functions.get(&number) {
            Some(item) => grants.functions.extend(StoredFunction::of(&item.to, document)),
            None => grants.users.extend(Granted::of(document)),
        }
    }
}
