//! What a restore will do, to be shown before it is done.

use std::collections::HashSet;

use serde::Serialize;

use super::Source;
use super::expiry::{self, Expiry};
use super::in_force::InForce;
use super::item::{Action, Item};
use super::named::Grants;
use super::replay::Window;
use super::settings::Options;
use crate::deployment::Target;
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::names::NamespaceKind;
use crate::progress::Event;

/// What will be done, to which server.
#[derive(Debug, Clone, Serialize)]
pub struct Preview {
    /// The name of the backup or archive.
    pub backup: String,
    /// The plan that the backup belongs to; an archive belongs to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The target's version.
    pub target_version: String,
    /// The target's replica set, if it is one.
    pub target_set: Option<String>,
    /// What will be done, in the order of the archive.
    pub namespaces: Vec<PreviewedNamespace>,
    /// Documents that will expire; how many are past their time is known when they are restored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expiring: Vec<Expiry>,
    /// Users, roles and stored functions that come along, once [`Prepared::name_grants`](super::Prepared::name_grants)
    /// has looked; none where nothing of the kind comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<Grants>,
    /// Segments to fetch; none of an archive, which comes as one stream.
    pub segments: u64,
    /// Their bytes.
    pub stored_bytes: u64,
    /// The stretch of the oplog that is replayed, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<Window>,
    /// The oplog comes with a stream, after the data: whether all of it can be replayed shows only then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub oplog_comes_last: bool,
}

/// What will be done with one collection or view.
#[derive(Debug, Clone, Serialize)]
pub struct PreviewedNamespace {
    /// `db.collection`.
    pub name: String,
    /// The same in the target.
    pub target: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: NamespaceKind,
    /// What will be done.
    pub action: Action,
    /// Documents to insert; an archive does not say.
    pub documents: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
}

impl Preview {
    pub(super) fn of(
        source: &Source,
        target: &Target,
        items: &[Item],
        (replay, settings, in_force): (Option<Window>, &Options, &InForce),
    ) -> Self {
        let (segments, stored_bytes) = to_fetch(source, items);
        Self {
            backup: source.name().to_owned(),
            plan: source.plan().map(str::to_owned),
            target_version: target.version().to_owned(),
            target_set: target.set_name().map(str::to_owned),
            namespaces: items.iter().map(PreviewedNamespace::of).collect(),
            expiring: expiry::previewed(items, settings, &in_force.rules),
            grants: None,
            segments,
            stored_bytes,
            replay,
            oplog_comes_last: replay.is_some() && source.is_read_once(),
        }
    }

    /// Refuses what would touch what nothing said it may touch.
    ///
    /// # Errors
    /// [`Code::TargetNotEmpty`].
    pub fn check(&self) -> Result<()> {
        let refused: Vec<&str> = self
            .namespaces
            .iter()
            .filter(|n| n.action == Action::Refuse)
            .map(|n| n.target.as_str())
            .collect();
        let Some(first) = refused.first() else { return Ok(()) };
        let message = match refused.len() {
            1 => format!("`{first}` exists in the target"),
            several => {
                format!("{several} of the backup's collections exist in the target, such as `{first}`")
            }
        };
        Err(Error::new(Code::TargetNotEmpty, message).help(help![
            "Restore into an empty deployment or under other names (",
            Setting::Rename,
            "), or pass ",
            Setting::Existing.to("drop"),
            " to replace what exists, or ",
            Setting::Existing.to("keep"),
            " to add to it. Nothing was touched.",
        ]))
    }

    pub(super) fn began(&self) -> Event {
        Event::Began { backup: Some(self.backup.clone()), plan: self.plan.clone() }
    }

    pub(super) fn planned(&self) -> Event {
        Event::Planned {
            namespaces: self.namespaces.len() as u64,
            documents: self.namespaces.iter().filter_map(|n| n.documents).sum(),
            bytes: self.namespaces.iter().filter_map(|n| n.bytes).sum(),
        }
    }
}

impl PreviewedNamespace {
    fn of(item: &Item) -> Self {
        Self {
            name: item.from.to_string(),
            target: item.to.to_string(),
            kind: item.kind,
            action: item.action,
            documents: item.documents,
            bytes: item.bytes,
        }
    }
}

/// Segments and their bytes.
fn to_fetch(source: &Source, items: &[Item]) -> (u64, u64) {
    let Source::Backup(backup) = source else { return (0, 0) };
    let inserted: HashSet<usize> = items.iter().filter(|i| i.action.inserts()).map(|i| i.number).collect();
    let segments = backup.manifest.segments_of(|number| inserted.contains(&number));
    segments.fold((0, 0), |(number, bytes), segment| (number + 1, bytes + segment.stored_bytes))
}
