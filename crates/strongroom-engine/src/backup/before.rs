//! What is looked at and said before anything is stored: the members, and what the user may do.

use crate::deployment::{Deployment, Described, Privilege};
use crate::error::Result;
use crate::manifest::Topology;
use crate::progress::{Event, Observer};

/// Says which member is read and which are not, and what else a person should know.
pub(super) fn introduce(deployment: &Deployment, observer: &dyn Observer) {
    for member in &deployment.source().members {
        observer.observe(&Event::Member(member.clone()));
    }
    for message in deployment.warnings() {
        observer.observe(&Event::Warning { message: message.clone() });
    }
}

/// Refuses a user who may not read all of what is to be backed up, and warns of one who may write.
pub(super) async fn check_privileges(
    deployment: &Deployment,
    namespaces: &[Described],
    snapshot: bool,
    observer: &dyn Observer,
) -> Result<()> {
    let Some(privileges) = deployment.privileges().await? else { return Ok(()) };
    let oplog = snapshot && deployment.source().topology == Topology::ReplicaSet;
    privileges.require(&needed(namespaces, oplog), "backup")?;
    if let Some(writes) = privileges.writes() {
        let message = format!("{writes}: to back up, the built-in role `backup` is enough");
        observer.observe(&Event::Warning { message });
    }
    Ok(())
}

fn needed(namespaces: &[Described], oplog: bool) -> Vec<Privilege> {
    let collections = namespaces.iter().filter_map(|namespace| {
        Some(Privilege::on_collection("find", &namespace.db, &namespace.data_collection()?))
    });
    let oplog = oplog.then(|| Privilege::on_collection("find", "local", "oplog.rs"));
    collections.chain(oplog).collect()
}
