//! What is checked and said before anything is stored: the members, and what the user may do.

use super::bounds;
use super::settings::{ConsistencyMode, Options};
use super::stretches::Stretches;
use crate::bucket::{ObjectStore, Sse};
use crate::deployment::{Deployment, Described, Privilege, Privileges};
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::job::Job;
use crate::location::Location;
use crate::manifest;
use crate::members::Topology;
use crate::progress::{Event, Warning};

/// Says which member is read and which are not, and what else a person should know.
pub(super) fn introduce(deployment: &Deployment, job: &Job) {
    for member in &deployment.source().members {
        job.observe(&Event::Member(member.clone()));
    }
    for warning in deployment.warnings() {
        job.warn(warning.clone());
    }
}

/// Refuses encryption that the store cannot do.
pub(super) fn check_store(store: &dyn ObjectStore, options: &Options) -> Result<()> {
    if options.sse == Sse::None || !matches!(store.location(), Location::Folder(_)) {
        return Ok(());
    }
    Err(Error::new(Code::Usage, "a folder has no server-side encryption").help(help![
        "Leave ",
        Setting::Sse,
        " out, or back up to an s3:// location."
    ]))
}

/// Refuses a user who may not read the oplog, where it is to be kept.
pub(super) fn check_oplog(
    privileges: Option<&Privileges>,
    topology: Topology,
    consistency: ConsistencyMode,
) -> Result<()> {
    let Some(privileges) = privileges else { return Ok(()) };
    if consistency == ConsistencyMode::None || topology != Topology::ReplicaSet {
        return Ok(());
    }
    let oplog = [("local", "oplog.rs"), ("config", "transactions")];
    let needed = oplog.map(|(db, name)| Privilege::on_collection("find", db, name));
    privileges.require(&needed, "backup").map_err(|error| {
        let help = error.help_text().cloned().unwrap_or_default();
        let help = help.and(" Without the oplog, ").and(Setting::Consistency.to("none"));
        error.help(help.and(" reads each collection as it is when its turn comes."))
    })
}

/// Refuses a selection that selects nothing.
pub(super) fn check_selection(namespaces: &[Described], options: &Options) -> Result<()> {
    if !namespaces.is_empty() || options.filter.is_everything() {
        return Ok(());
    }
    Err(Error::new(Code::Usage, "no collection matches the patterns").help(help![
        "Check ",
        Setting::Include,
        " and ",
        Setting::Exclude,
        ": patterns are matched with database.collection, and `*` stands for anything."
    ]))
}

/// Refuses a user who may not read all of what is to be backed up.
pub(super) fn check_collections(privileges: Option<&Privileges>, namespaces: &[Described]) -> Result<()> {
    let Some(privileges) = privileges else { return Ok(()) };
    let needed = namespaces.iter().filter_map(|namespace| {
        Some(Privilege::on_collection("find", &namespace.db, &namespace.data_collection()?))
    });
    privileges.require(&needed.collect::<Vec<_>>(), "backup")
}

/// Warns of a user who may write.
pub(super) fn user_may_write(privileges: Option<&Privileges>) -> Option<Warning> {
    privileges?.writes().map(|privileges| Warning::UserMayWrite { privileges })
}

/// Refuses what would give a manifest that nothing reads.
pub(super) fn check_size(stretches: &Stretches) -> Result<()> {
    check_manifest(bounds::manifest_bytes(stretches.segments()))
}

/// The same once the manifest is there: what is stored can be read again.
pub(super) fn check_manifest(bytes: u64) -> Result<()> {
    if bytes <= manifest::BYTES_MAX {
        return Ok(());
    }
    Err(Error::new(Code::Usage, "this is too much data for one backup: its manifest could not be read").help(
        help![
            "Back it up in several, each of some databases or collections: choose them with ",
            Setting::Include,
            "."
        ],
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::backup::testing::collection;

    fn of_bytes(bytes: u64) -> Stretches {
        let described = collection("all", bytes);
        Stretches::of(&[described], &BTreeMap::new())
    }

    #[test]
    fn ten_terabytes_are_taken_and_what_no_manifest_can_hold_is_refused() {
        check_size(&of_bytes(10 << 40)).unwrap();
        assert_eq!(check_size(&of_bytes(1 << 60)).unwrap_err().code(), Code::Usage);
        check_manifest(manifest::BYTES_MAX).unwrap();
        assert_eq!(check_manifest(manifest::BYTES_MAX + 1).unwrap_err().code(), Code::Usage);
    }
}
