//! What unit tests share.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::sink::Sink;
use super::{assemble, segment};
use crate::bucket::{Sse, StoreOptions, open};
use crate::clock::Clock;
use crate::compression::Compression;
use crate::deployment::Described;
use crate::job::Job;
use crate::layout::{BackupId, PlanName};
use crate::manifest::{Consistency, Manifest, Selection};
use crate::members::{Source, Topology};
use crate::names::NamespaceKind;

#[derive(Debug)]
struct StandingStill;

#[async_trait]
impl Clock for StandingStill {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }

    async fn sleep_until(&self, _: DateTime<Utc>) {}
}

/// A folder, and a backup's way into it.
pub(super) fn sink() -> (tempfile::TempDir, Arc<Sink>) {
    let folder = tempfile::tempdir().unwrap();
    let location = format!("file://{}", folder.path().display()).parse().unwrap();
    let store = open(&location, StoreOptions::default()).unwrap();
    let name = (PlanName::default(), BackupId::new(DateTime::UNIX_EPOCH, 1));
    let job = Job::unwatched(Arc::new(StandingStill));
    (folder, Arc::new(Sink::new(store, name, Compression::None, Sse::None, &job)))
}

/// `{_id: <number>, pad: …}`, 60 bytes of BSON.
pub(super) fn document(number: i64) -> Vec<u8> {
    let document = bson::rawdoc! { "_id": number, "pad": "x".repeat(30) };
    document.into_bytes()
}

/// A collection of `bytes` bytes.
pub(super) fn collection(name: &str, bytes: u64) -> Described {
    Described {
        db: "shop".into(),
        collection: name.into(),
        kind: NamespaceKind::Collection,
        capped: false,
        clustered: false,
        is_raw: false,
        uuid: None,
        metadata: "{}".into(),
        is_exact: true,
        metadata_bson: None,
        documents: bytes / 400,
        bytes,
    }
}

/// The manifest of a backup of nothing, whose only segment is stored.
pub(super) async fn manifest(sink: &Sink) -> Manifest {
    let prelude = assemble::prelude("6.0.5", &[], false);
    let prelude = segment::prelude(Compression::None, &prelude).unwrap();
    let segments = vec![sink.store_segment(0, 0, prelude).await.unwrap()];
    let contents = assemble::Contents {
        started_at: DateTime::UNIX_EPOCH,
        finished_at: DateTime::UNIX_EPOCH,
        source: Source {
            topology: Topology::Standalone,
            set_name: None,
            server_version: "6.0.5".into(),
            feature_compatibility_version: None,
            member: "localhost:27017".into(),
            member_role: "standalone".into(),
            lag_seconds: None,
            member_reason: "it is the only one".into(),
            members: Vec::new(),
        },
        selection: Selection::default(),
        consistency: Consistency::None { reason: "it was asked for".into() },
        oplog: None,
        namespaces: Vec::new(),
        segments,
    };
    assemble::manifest(sink, contents)
}
