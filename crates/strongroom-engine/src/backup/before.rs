//! What is checked and said before anything is stored: the members, and what the user may do.

use super::bounds;
use super::settings::{ConsistencyMode, Options};
use crate::bucket::{ObjectStore, Sse};
use crate::deployment::{Deployment, Described, Privilege, Privileges};
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Setting;
use crate::job::Job;
use crate::layout::{self, PlanName};
use crate::location::Location;
use crate::manifest::{self, Manifest};
use crate::members::Topology;
use crate::names::is_server_database;
use crate::progress::{Event, Warning};
use crate::selection::Filter;

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

/// Refuses a folder where a file stands in the place of the plan, or a folder in that of the note on restoring, which
/// would show at the very end. In a bucket nothing can be in their way.
pub(super) async fn check_places(store: &dyn ObjectStore, plan: &PlanName) -> Result<()> {
    if !matches!(store.location(), Location::Folder(_)) {
        return Ok(());
    }
    // What cannot be listed now, the first segment will meet.
    let Ok(listing) = store.list("").await else { return Ok(()) };
    if listing.has(plan.as_str()) {
        let message = format!(
            "`{plan}` in {} is a file, and backups of the plan need a folder there",
            store.location()
        );
        return Err(Error::new(Code::Usage, message).help(help![
            "Choose another name with ",
            Setting::Plan,
            ", or move the file away."
        ]));
    }
    if !listing.folders.iter().any(|name| name.eq_ignore_ascii_case(layout::RESTORE_NOTE)) {
        return Ok(());
    }
    let message = format!("`{}` in {} is a folder", layout::RESTORE_NOTE, store.location());
    Err(Error::new(Code::Usage, message).help(
        "A file of this name is left beside the backups. Move the folder away, or back up to another place.",
    ))
}

/// The built-in role that is enough for a backup.
pub(super) const ROLE: &str = "backup";

/// What keeping the oplog takes, where it is to be kept.
pub(super) fn needed_for_oplog(topology: Topology, consistency: ConsistencyMode) -> Vec<Privilege> {
    if consistency == ConsistencyMode::None || topology != Topology::ReplicaSet {
        return Vec::new();
    }
    let oplog = [("local", "oplog.rs"), ("config", "transactions")];
    oplog.map(|(db, name)| Privilege::on_collection("find", db, name)).into()
}

/// What listing takes: of all databases, or of those that the patterns name.
pub(super) fn needed_for_lists(filter: &Filter) -> Vec<Privilege> {
    const LISTS: [&str; 2] = ["listCollections", "listIndexes"];
    match filter.databases() {
        Some(named) => {
            let of = |db: &String| LISTS.map(|action| Privilege::on_collection(action, db, ""));
            named.iter().filter(|db| !is_server_database(db)).flat_map(of).collect()
        }
        None => {
            let lists = LISTS.map(Privilege::on_every_database);
            ["listDatabases", "useUUID"].map(Privilege::on_cluster).into_iter().chain(lists).collect()
        }
    }
}

/// What reading takes.
pub(super) fn needed_for_collections(namespaces: &[Described]) -> Vec<Privilege> {
    let find = |namespace: &Described| {
        Some(Privilege::on_collection("find", &namespace.db, &namespace.data_collection()?))
    };
    namespaces.iter().filter_map(find).collect()
}

/// Refuses a user who may not read the oplog, where it is to be kept.
pub(super) fn check_oplog(
    privileges: Option<&Privileges>,
    topology: Topology,
    consistency: ConsistencyMode,
) -> Result<()> {
    let Some(privileges) = privileges else { return Ok(()) };
    privileges.require(&needed_for_oplog(topology, consistency), ROLE).map_err(|error| {
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
    privileges.require(&needed_for_collections(namespaces), ROLE)
}

/// Warns of a user who may write.
pub(super) fn user_may_write(privileges: Option<&Privileges>) -> Option<Warning> {
    privileges?.writes().map(|privileges| Warning::UserMayWrite { privileges })
}

/// Refuses what would give a list of contents or a manifest that nothing reads. Of what a query finds there may be few
/// segments, whatever the statistics say: then `segments` is 0.
pub(super) fn check_size(namespaces: &[Described], segments: u64) -> Result<()> {
    let definitions = bounds::definition_bytes(namespaces);
    check_manifest(bounds::manifest_bytes(segments).saturating_add(definitions))?;
    check_prelude(bounds::prelude_bytes(namespaces))
}

fn check_prelude(bytes: u64) -> Result<()> {
    if bytes <= mongo_archive::Limits::default().prelude_bytes as u64 {
        return Ok(());
    }
    Err(too_much("the options and indexes of its collections could not be read"))
}

/// The same once the manifest is there: what is stored can be read again.
pub(super) fn check_manifest(bytes: u64) -> Result<()> {
    if bytes <= manifest::BYTES_MAX {
        return Ok(());
    }
    Err(too_much("its manifest could not be read"))
}

fn too_much(why: &str) -> Error {
    Error::new(Code::Usage, format!("this is too much data for one backup: {why}")).help(help![
        "Back it up in several, each of some databases or collections: choose them with ",
        Setting::Include,
        "."
    ])
}

/// Reads a manifest as whoever restores it will: a backup that nothing reads is none.
///
/// # Errors
/// [`Code::Internal`] with the reason why it cannot be read.
pub(super) fn read_back(text: &[u8]) -> Result<()> {
    let Err(why) = Manifest::from_json(text) else { return Ok(()) };
    let message = format!("no backup was made, since it could not be read again: {}", why.message());
    let error = Error::new(Code::Internal, message).help(help![
        "If a collection is named, leave it out with ",
        Setting::Exclude,
        ". Please report this as a fault of Strongroom."
    ]);
    Err(match why.causes().next() {
        Some(cause) => error.caused_by(cause),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::stretches::Stretches;
    use super::*;
    use crate::backup::testing::collection;

    fn of_bytes(bytes: u64) -> Result<()> {
        let described = [collection("all", bytes)];
        let segments = Stretches::of(&described, &BTreeMap::new()).segments();
        check_size(&described, segments)
    }

    #[test]
    fn ten_terabytes_are_taken_and_what_no_manifest_can_hold_is_refused() {
        of_bytes(10 << 40).unwrap();
        assert_eq!(of_bytes(1 << 60).unwrap_err().code(), Code::Usage);
        check_manifest(manifest::BYTES_MAX).unwrap();
        assert_eq!(check_manifest(manifest::BYTES_MAX + 1).unwrap_err().code(), Code::Usage);
        let prelude = mongo_archive::Limits::default().prelude_bytes as u64;
        check_prelude(prelude).unwrap();
        assert_eq!(check_prelude(prelude + 1).unwrap_err().code(), Code::Usage);
    }

    /// 19 views of 15 MB each.
    #[test]
    fn definitions_that_no_manifest_can_hold_are_refused_before_anything_is_read() {
        let of = |views: usize| -> Vec<Described> {
            let view = |i| Described { metadata: "x".repeat(15 << 20), ..collection(&format!("v{i}"), 0) };
            (0..views).map(view).collect()
        };
        check_size(&of(16), 0).unwrap();
        let error = check_size(&of(19), 0).unwrap_err();
        assert_eq!(error.code(), Code::Usage);
        assert!(error.message().contains("manifest"), "{error}");
    }

    #[test]
    fn a_manifest_that_nobody_could_read_says_why() {
        let error = read_back(b"{}").unwrap_err();
        assert_eq!(error.code(), Code::Internal);
        assert!(
            error.message().contains("no backup was made") && error.message().contains("line 1"),
            "{error}"
        );
    }
}
