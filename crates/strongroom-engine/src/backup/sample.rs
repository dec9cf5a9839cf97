//! A backup of a small collection that is made up here: what a bucket does to a real backup, without a deployment.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::assemble::{self, Contents};
use super::bounds::SEGMENT_BYTES;
use super::read::NamespaceRead;
use super::segment::{self, archived};
use super::sink::Sink;
use super::writer::StretchWriter;
use crate::ZSTD_DEFAULT_LEVEL;
use crate::bucket::{ObjectStore, Sse};
use crate::compression::Compression;
use crate::deployment::Described;
use crate::error::Result;
use crate::job::Job;
use crate::layout::{BackupId, PlanName};
use crate::manifest::{Consistency, Manifest, Segment, Selection};
use crate::members::{Source, Topology};
use crate::names::NamespaceKind;

const DOCUMENTS: u64 = 100;
const SERVER_VERSION: &str = "0.0.0";
const REASON: &str = "documents made up to prove the bucket";
const METADATA: &str = r#"{"options":{},"indexes":[{"v":{"$numberInt":"2"},"key":{"_id":{"$numberInt":"1"}},"name":"_id_"}],"uuid":"","collectionName":"documents","type":"collection"}"#;

/// Makes the backup, as every other is made, and gives its manifest. It reports no events: the job is another's.
///
/// # Errors
/// As the store fails, and [`Code::Cancelled`](crate::error::Code::Cancelled); then what was stored is deleted again,
/// where that is allowed.
pub async fn sample(store: Arc<dyn ObjectStore>, plan: PlanName, sse: Sse, job: &Job) -> Result<Manifest> {
    let job = job.quiet();
    let started_at = job.clock.now();
    let name = (plan, BackupId::new(started_at, rand::random()));
    let sink = Arc::new(Sink::new(store, name, Compression::Zstd { level: ZSTD_DEFAULT_LEVEL }, sse, &job));
    let outcome = store_all(&sink, started_at).await;
    if outcome.is_err() {
        sink.clean_up().await;
    }
    outcome
}

async fn store_all(sink: &Arc<Sink>, started_at: DateTime<Utc>) -> Result<Manifest> {
    let described = [described()];
    let mut writer = StretchWriter::new(sink.clone(), SEGMENT_BYTES, 1, 0);
    let written = documents(&mut writer, &described[0]).await;
    writer.wait().await?;
    let read = [written?];
    let prelude = segment::prelude(sink.compression, &assemble::prelude(SERVER_VERSION, &described, false))?;
    let mut segments: Vec<Segment> = vec![sink.store_segment(0, 0, prelude).await?];
    segments.extend(writer.into_segments());
    let contents = Contents {
        started_at,
        finished_at: sink.job.clock.now(),
        source: source(),
        selection: Selection::default(),
        consistency: Consistency::None { reason: REASON.into() },
        oplog: None,
        namespaces: assemble::namespaces(&described, &read)?,
        segments,
    };
    let manifest = assemble::manifest(sink, contents);
    sink.commit(&manifest).await?;
    Ok(manifest)
}

async fn documents(writer: &mut StretchWriter, described: &Described) -> Result<NamespaceRead> {
    let mut read = NamespaceRead::new(0);
    writer.begin_namespace(0, archived(described, SERVER_VERSION))?;
    for number in 0..DOCUMENTS {
        let document = document(number);
        writer.document(&document)?;
        read.count(&document);
    }
    read.crc = writer.end_namespace()?;
    writer.end_segment()?;
    writer.store_finished().await?;
    Ok(read)
}

/// `{_id: <number>}`, as BSON.
fn document(number: u64) -> Vec<u8> {
    let mut bytes = vec![18, 0, 0, 0, 0x12];
    bytes.extend(b"_id\0");
    bytes.extend(number.to_le_bytes());
    bytes.push(0);
    bytes
}

fn described() -> Described {
    Described {
        db: "strongroom_prove".into(),
        collection: "documents".into(),
        kind: NamespaceKind::Collection,
        capped: false,
        clustered: false,
        is_raw: false,
        uuid: None,
        metadata: METADATA.into(),
        is_exact: true,
        metadata_bson: None,
        documents: DOCUMENTS,
        bytes: DOCUMENTS * document(0).len() as u64,
    }
}

fn source() -> Source {
    Source {
        topology: Topology::Standalone,
        set_name: None,
        server_version: SERVER_VERSION.into(),
        feature_compatibility_version: None,
        member: "none".into(),
        member_role: "none".into(),
        lag_seconds: None,
        member_reason: REASON.into(),
        members: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::error::Code;

    #[tokio::test]
    async fn a_sample_is_a_backup_that_verifies() {
        let (folder, sink) = testing::sink();
        let manifest = sample(sink.store.clone(), sink.plan.clone(), Sse::None, &sink.job).await.unwrap();
        let read = Manifest::from_json(&manifest.to_json().unwrap()).unwrap();
        assert_eq!((read.totals.documents, read.totals.segments), (DOCUMENTS, 2));
        let listed = sink.store.list("default").await.unwrap();
        assert_eq!(listed.folders, [manifest.id]);
        drop(folder);
    }

    #[tokio::test]
    async fn a_cancelled_sample_leaves_nothing() {
        let (folder, sink) = testing::sink();
        sink.job.cancel.cancel();
        let error = sample(sink.store.clone(), sink.plan.clone(), Sse::None, &sink.job).await.unwrap_err();
        assert_eq!(error.code(), Code::Cancelled);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
