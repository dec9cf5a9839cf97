//! What a running operation tells, as values: a progress bar, lines of a log, or JSON are made of them
//! elsewhere. Receiving one must be quick and must not block.

use serde::Serialize;

use crate::manifest::Member;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// The work is known: what will be done to how much. Sizes are estimates while a deployment is read.
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
        /// What is too much there; none: reading goes on as before.
        why: Option<String>,
    },
    /// A step began.
    Phase {
        /// In words, such as `reading`.
        name: &'static str,
    },
    /// More of the planned work is done.
    Advanced {
        /// Documents since the last event.
        documents: u64,
        /// Bytes of documents since the last event.
        bytes: u64,
    },
    /// A segment was stored or fetched.
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
    /// Something the person should know, though the work goes on.
    Warning {
        /// One sentence.
        message: String,
    },
}

/// Who is told.
pub trait Observer: Send + Sync {
    /// Takes one event.
    fn observe(&self, event: &Event);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _: &Event) {}
}
