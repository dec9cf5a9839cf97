//! Up to which moment the oplog is replayed.

use serde::Serialize;

use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::manifest::{Consistency, Manifest};
use crate::moment::ClusterTime;
use crate::names::NamespaceKind;
use crate::restore::Source;

/// The stretch of the oplog that is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Entries after this moment are applied.
    pub from: ClusterTime,
    /// Entries up to this moment are applied, this one included; without it all are.
    pub to: Option<ClusterTime>,
}

/// What is to be replayed to get to the moment that is wanted, or else to the earliest that is consistent.
pub(in crate::restore) fn window(source: &Source, at: Option<ClusterTime>) -> Result<Option<Window>> {
    match source {
        Source::Backup(backup) => of_backup(&backup.manifest, at),
        Source::Archive(_) => {
            let has_oplog = source.namespaces().iter().any(|n| n.kind == NamespaceKind::Oplog);
            match (has_oplog, at) {
                // An archive does not say from when it is; what is applied twice changes nothing.
                (true, to) => Ok(Some(Window { from: ClusterTime { seconds: 0, increment: 0 }, to })),
                (false, None) => Ok(None),
                (false, Some(_)) => Err(nothing_to_replay(source.name(), "the archive holds no oplog")),
            }
        }
    }
}

fn of_backup(manifest: &Manifest, at: Option<ClusterTime>) -> Result<Option<Window>> {
    let (from, earliest) = match (&manifest.consistency, at) {
        (Consistency::Snapshot { cluster_time }, _) => (*cluster_time, *cluster_time),
        (Consistency::Oplog { from, at, .. }, _) => (*from, *at),
        (Consistency::None { .. }, None) => return Ok(None),
        (Consistency::None { reason }, Some(_)) => {
            let reason = format!("it holds no certain moment: {reason}");
            return Err(nothing_to_replay(&manifest.id, &reason));
        }
    };
    let last = manifest.oplog.as_ref().map_or(from, |window| window.to);
    let to = at.map_or(earliest, |at| at.within(last));
    if to < earliest || to > last {
        return Err(outside(manifest, to, earliest, last));
    }
    Ok((to > from).then_some(Window { from, to: Some(to) }))
}

fn nothing_to_replay(name: &str, why: &str) -> Error {
    Error::new(Code::Usage, format!("`{name}` cannot be restored to a moment of choice: {why}")).help(help![
        "Leave ",
        Setting::At,
        " out, or choose another backup. Nothing was touched."
    ])
}

fn outside(manifest: &Manifest, to: ClusterTime, earliest: ClusterTime, last: ClusterTime) -> Error {
    let cut = manifest.oplog.as_ref().and_then(|window| window.cut_short.as_deref());
    let why = cut.map(|cut| format!("; it ends there because {cut}")).unwrap_or_default();
    let (wanted, earliest_words, last_words) = (to.in_words(), earliest.in_words(), last.in_words());
    let message = if last < earliest {
        format!(
            "the oplog of `{}` ends at {last_words}, before {earliest_words}, its first consistent moment{why}",
            manifest.id
        )
    } else if last == earliest {
        format!("`{}` holds {earliest_words} and no other moment; {wanted} was asked for{why}", manifest.id)
    } else {
        format!(
            "`{}` holds the moments from {earliest_words} to {last_words}; {wanted} is not among them{why}",
            manifest.id
        )
    };
    Error::new(Code::Usage, message).help(help![
        "Choose a moment in between with ",
        Setting::At,
        ", or another backup. Nothing was touched."
    ])
}
