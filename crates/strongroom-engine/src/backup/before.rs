//! What is looked at and said before anything is stored: the members, and what the user may do.

use super::Wanted;
use crate::deployment::{Deployment, Described, Privilege};
use crate::error::Result;
use crate::members::Topology;
use crate::progress::{Event, Observer, Warning};

/// Says which member is read and which are not, and what else a person should know.
pub(super) fn introduce(deployment: &Deployment, observer: &dyn Observer) {
    for member in &deployment.source().members {
        observer.observe(&Event::Member(member.clone()));
    }
    for warning in deployment.warnings() {
        observer.observe(&Event::Warning(warning.clone()));
    }
}

/// Refuses a user who may not read the oplog, where it is to be kept.
pub(super) async fn check_oplog(deployment: &Deployment, consistency: Wanted) -> Result<()> {
    if consistency == Wanted::None || deployment.source().topology != Topology::ReplicaSet {
        return Ok(());
    }
    let Some(privileges) = deployment.privileges().await? else { return Ok(()) };
    let oplog = [("local", "oplog.rs"), ("config", "transactions")];
    privileges.require(&oplog.map(|(db, name)| Privilege::on_collection("find", db, name)), "backup")
}

/// Refuses a user who may not read all of what is to be backed up, and warns of one who may write.
pub(super) async fn check_collections(
    deployment: &Deployment,
    namespaces: &[Described],
    observer: &dyn Observer,
) -> Result<()> {
    let Some(privileges) = deployment.privileges().await? else { return Ok(()) };
    let needed = namespaces.iter().filter_map(|namespace| {
        Some(Privilege::on_collection("find", &namespace.db, &namespace.data_collection()?))
    });
    privileges.require(&needed.collect::<Vec<_>>(), "backup")?;
    if let Some(privileges) = privileges.writes() {
        observer.observe(&Event::Warning(Warning::UserMayWrite { privileges }));
    }
    Ok(())
}
