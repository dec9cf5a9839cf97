//! What a running job reports, as values: a progress bar, lines of a log, or JSON are made of them elsewhere.

use std::fmt;

use serde::Serialize;

use crate::members::Member;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// The job began. A backup says its id here, before anything is stored under it.
    Began {
        /// The id of the backup that is made, restored, verified or deleted; none for other jobs.
        #[serde(skip_serializing_if = "Option::is_none")]
        backup: Option<String>,
        /// The plan it belongs to.
        #[serde(skip_serializing_if = "Option::is_none")]
        plan: Option<String>,
    },
    /// The work is known: what will be done to how much. Sizes are estimates while a deployment is read. A backup that
    /// begins anew says it again; what advanced until then no longer counts.
    Planned {
        /// Collections and views.
        namespaces: u64,
        /// Documents, as far as known.
        documents: u64,
        /// Bytes of documents, as far as known.
        bytes: u64,
    },
    /// A member of the replica set that is backed up is read, or is not, and why.
    Member(Member),
    /// Reading gave way to the other work of the member that is read, or goes on as before.
    Slowed {
        /// The member.
        member: String,
        /// What there is too much of; none: reading goes on as before.
        why: Option<String>,
    },
    /// A step began.
    Phase {
        /// Which one.
        phase: Phase,
    },
    /// More of the planned work is done.
    Advanced {
        /// Documents since the last event.
        documents: u64,
        /// Bytes of documents since the last event.
        bytes: u64,
    },
    /// A segment was stored, fetched or deleted.
    Segment {
        /// Its key.
        key: String,
        /// Bytes as stored.
        stored_bytes: u64,
    },
    /// A collection or view is done.
    Namespace {
        /// `db.collection`.
        name: String,
        /// Its documents.
        documents: u64,
    },
    /// A probe of a bucket's security has its answer.
    Probe {
        /// The probe's stable name.
        id: String,
        /// Its verdict, such as `pass`.
        verdict: &'static str,
    },
    /// A request to the storage failed, and is sent again after a pause.
    Retrying {
        /// The API's name of the request.
        request: String,
        /// What it was for: a key, or what keys of a listing begin with.
        key: String,
        /// What went wrong.
        why: String,
        /// How long the pause is.
        pause_milliseconds: u64,
    },
    /// One change to a bucket or an identity was made.
    Changed {
        /// What was done, in words.
        what: String,
    },
    /// Something the person should know, though the work goes on.
    Warning(Warning),
}

/// The steps of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The deployment is looked at.
    Inspecting,
    /// Documents are read.
    Reading,
    /// The manifest is written.
    Committing,
    /// What a job left behind is removed.
    CleaningUp,
    /// Segments are compared with the manifest.
    Verifying,
    /// Segments are written out as one archive.
    Writing,
    /// Segments are deleted.
    Deleting,
    /// Collections are created or dropped.
    Preparing,
    /// Documents are inserted.
    Inserting,
    /// The oplog is applied.
    Replaying,
    /// Indexes are built.
    BuildingIndexes,
    /// Views are created.
    CreatingViews,
    /// Users and roles are merged.
    MergingUsers,
    /// A bucket's security is tried out.
    Proving,
    /// A bucket and its identities are changed.
    Provisioning,
}

impl Phase {
    /// Its name in data, such as `building-indexes`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inspecting => "inspecting",
            Self::Reading => "reading",
            Self::Committing => "committing",
            Self::CleaningUp => "cleaning-up",
            Self::Verifying => "verifying",
            Self::Writing => "writing",
            Self::Deleting => "deleting",
            Self::Preparing => "preparing",
            Self::Inserting => "inserting",
            Self::Replaying => "replaying",
            Self::BuildingIndexes => "building-indexes",
            Self::CreatingViews => "creating-views",
            Self::MergingUsers => "merging-users",
            Self::Proving => "proving",
            Self::Provisioning => "provisioning",
        }
    }
}

/// The first twenty, and how many more there are.
fn first_of(names: &[String], quote: &str) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("{quote}{name}{quote}")).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Something the person should know. As data it has a code and the facts; its sentence is the `Display`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Warning {
    /// The server is newer than the newest version that is known.
    ServerNewer {
        /// Its version.
        version: String,
    },
    /// The newest writes are not on a majority of the set's members, so a snapshot cannot hold them.
    NoMajority {
        /// Seconds between the newest write and the newest that a majority has.
        behind_seconds: u32,
    },
    /// The MongoDB user may write, which a backup does not need.
    UserMayWrite {
        /// What the user may do, in words.
        privileges: String,
    },
    /// A member's load cannot be watched, so reading does not give way to other work.
    LoadUnknown {
        /// Why.
        reason: String,
    },
    /// The server no longer had the snapshot's moment: the rest of some collections was read as it was then.
    SnapshotGone {
        /// How many collections.
        namespaces: u64,
        /// `db.collection` of one.
        example: String,
    },
    /// A backup begins anew at a later moment: the oplog could not lead on from the first one. What was stored is
    /// deleted again.
    BegunAnew {
        /// Why.
        reason: String,
    },
    /// A collection was dropped while it was read.
    DroppedWhileRead {
        /// `db.collection`.
        namespace: String,
    },
    /// A collection is read again from its start.
    ReadAgain {
        /// `db.collection`.
        namespace: String,
        /// Why.
        reason: String,
    },
    /// Collections that a server makes for a while were left out.
    TemporaryLeftOut {
        /// `db.collection` of each.
        namespaces: Vec<String>,
    },
    /// The archive's text cannot say exactly what options or indexes are, so stock tools may change or refuse them.
    TextInexact {
        /// `db.collection` of each.
        namespaces: Vec<String>,
    },
    /// The identity may not list, so nobody looked whether all that was stored is still there.
    SegmentsNotSeen,
    /// Collections were left out, since each server has its own of these names.
    ServersOwnSkipped {
        /// `db.collection` of each.
        namespaces: Vec<String>,
    },
    /// Users and roles of the source become users and roles of the target.
    UsersMerged {
        /// Each with its roles, in words.
        names: Vec<String>,
        /// Those whose roles lead to any right.
        powerful: Vec<String>,
    },
    /// Documents are added to a collection whose own rule deletes them after some time, though such rules were to be held
    /// back.
    ExpiryNotHeld {
        /// `db.collection`.
        namespace: String,
        /// The index that has the rule; none: the collection itself.
        index: Option<String>,
        /// What switches it off, for `mongosh`.
        switched_off_by: Option<String>,
    },
    /// Documents are added to collections of which the user may not see whether they delete them after some time.
    ExpiryNotSeen {
        /// `db.collection` of each.
        namespaces: Vec<String>,
    },
    /// Copies of users, which a restore that did not end had left in the target, are dropped.
    CopiesOfUsersDropped {
        /// `db.collection`.
        namespace: String,
    },
    /// Objects that belong to no backup may come to be in the storage, which gave no answer in time.
    ObjectsMayCome {
        /// How many.
        objects: u64,
        /// The key of one.
        example: String,
    },
    /// Objects that belong to no backup could not be deleted.
    ObjectsLeft {
        /// How many.
        objects: u64,
        /// The key of one.
        example: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServerNewer { version } => write!(
                f,
                "MongoDB {version} is newer than the newest version that this program knows: try out whether the backup \
                 can be restored"
            ),
            Self::NoMajority { behind_seconds } => write!(
                f,
                "the newest writes, of the last {behind_seconds} s, are not on a majority of the set's members, so the \
                 snapshot does not hold them: check with rs.status() which members are down"
            ),
            Self::UserMayWrite { privileges } => {
                write!(f, "{privileges}: for a backup the built-in role `backup` is enough")
            }
            Self::LoadUnknown { reason } => write!(f, "the backup cannot give way to other work: {reason}"),
            Self::SnapshotGone { namespaces: 1, example } => write!(
                f,
                "`{example}` could not be read at the snapshot's moment to its end; the rest was read as it was then"
            ),
            Self::SnapshotGone { namespaces, example } => write!(
                f,
                "{namespaces} collections, such as `{example}`, could not be read at the snapshot's moment to their ends; the \
                 rest of them was read as it was then"
            ),
            Self::BegunAnew { reason } => write!(
                f,
                "the backup begins anew at a later moment: the oplog does not lead on from this one, as {reason}"
            ),
            Self::DroppedWhileRead { namespace } => write!(f, "`{namespace}` was dropped while it was read"),
            Self::ReadAgain { namespace, reason } => {
                write!(f, "`{namespace}` is read again from its start: {reason}")
            }
            Self::TemporaryLeftOut { namespaces } => {
                write!(f, "{} left out, as the server itself drops what is temporary", few(namespaces))
            }
            Self::TextInexact { namespaces } => write!(
                f,
                "the options or indexes of {} hold values that MongoDB's text format cannot express: Strongroom restores \
                 them exactly, mongorestore may change or refuse them (RESTORE.md in the bucket says what to do then)",
                few(namespaces)
            ),
            Self::SegmentsNotSeen => f.write_str(
                "this identity may not list, so it was not checked that all that was stored is still there: verify the backup \
                 with an identity that may read",
            ),
            Self::ServersOwnSkipped { namespaces } => {
                write!(f, "not restored, since each server has its own: {}", first_of(namespaces, "`"))
            }
            Self::UsersMerged { names, powerful } => {
                write!(f, "the target gets {}", first_of(names, ""))?;
                match powerful.as_slice() {
                    [] => Ok(()),
                    powerful => write!(f, "; {} may do anything there", first_of(powerful, "`")),
                }
            }
            Self::ExpiryNotHeld { namespace, index, switched_off_by } => {
                let by = index.as_ref().map(|index| format!(" by its index `{index}`")).unwrap_or_default();
                write!(f, "documents of `{namespace}` in the target expire{by} already, and what is restored there expires too")?;
                match switched_off_by {
                    Some(command) => write!(f, "; to switch that off: {command}"),
                    None => Ok(()),
                }
            }
            Self::ExpiryNotSeen { namespaces } => write!(
                f,
                "this user may not see the indexes of {} in the target: if one of them lets documents expire, what is restored \
                 there expires too",
                few(namespaces)
            ),
            Self::CopiesOfUsersDropped { namespace } => write!(
                f,
                "`{namespace}` was in the target, left by a restore that did not end: it is dropped, since it holds copies of \
                 users"
            ),
            Self::ObjectsMayCome { objects: 1, example } => write!(
                f,
                "the storage did not say in time whether `{example}` is stored: if it is, it belongs to no backup, and the \
                 command `clean` removes it"
            ),
            Self::ObjectsMayCome { objects, example } => write!(
                f,
                "the storage did not say in time whether {objects} objects are stored, such as `{example}`: those that are \
                 belong to no backup, and the command `clean` removes them"
            ),
            Self::ObjectsLeft { objects: 1, example } => {
                write!(f, "`{example}` belongs to no backup and could not be deleted: the command `clean` removes it")
            }
            Self::ObjectsLeft { objects, example } => write!(
                f,
                "{objects} objects that belong to no backup could not be deleted, such as `{example}`: the command `clean` \
                 removes them"
            ),
        }
    }
}

/// The first of some names, and how many more there are.
fn few(names: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Receives the events of a job. It must be quick and must not block.
pub trait Observer: Send + Sync {
    /// Takes one event.
    fn observe(&self, event: &Event);
}

/// Ignores all events.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _: &Event) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collections_that_came_too_late_for_the_snapshot_are_counted_and_one_is_named() {
        let gone = |namespaces| Warning::SnapshotGone { namespaces, example: "shop.a".into() }.to_string();
        assert!(gone(1).starts_with("`shop.a` could not be read at the snapshot's moment"), "{}", gone(1));
        assert!(gone(812).starts_with("812 collections, such as `shop.a`,"), "{}", gone(812));
    }

    #[test]
    fn what_is_left_is_counted_and_said_to_be_removed_by_a_command() {
        let left = |objects| Warning::ObjectsLeft { objects, example: "p/b/segments/x".into() }.to_string();
        assert!(left(1).starts_with("`p/b/segments/x` belongs to no backup"), "{}", left(1));
        assert!(left(2).starts_with("2 objects that belong to no backup"), "{}", left(2));
        assert!([1, 2].map(left).iter().all(|said| said.contains("`clean` removes")));
    }
}
