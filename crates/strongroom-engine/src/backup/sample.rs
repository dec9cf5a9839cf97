//! A backup of a small collection that is made up here: what a bucket does to a real backup, without a deployment.

use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use mongo_archive::{Header, Metadata, Namespace as ArchiveNamespace, Prelude};
use serde_json::value::RawValue;

use super::segment::{self, Finished, Memory, SegmentWriter};
use super::sink::Sink;
use crate::ZSTD_DEFAULT_LEVEL;
use crate::bucket::{ObjectStore, Sse};
use crate::clock::Clock;
use crate::compression::Compression;
use crate::error::{Code, Error, Result};
use crate::job::Job;
use crate::layout::{BackupId, PlanName};
use crate::manifest::{self, Consistency, Manifest, Namespace, Segment, Selection, Status, Tool, Totals};
use crate::members::{Source, Topology};
use crate::names::NamespaceKind;

const DB: &str = "strongroom_prove";
const COLLECTION: &str = "documents";
const DOCUMENTS: u64 = 100;
const METADATA: &str = r#"{"options":{},"indexes":[{"v":{"$numberInt":"2"},"key":{"_id":{"$numberInt":"1"}},"name":"_id_"}],"uuid":"","collectionName":"documents","type":"collection"}"#;

/// Makes the backup, as every other is made, and gives its manifest.
///
/// # Errors
/// As the store fails, or [`Code::Cancelled`]; then what was stored is taken back, where that is allowed.
pub async fn sample(store: Arc<dyn ObjectStore>, plan: PlanName, sse: Sse, job: &Job) -> Result<Manifest> {
    let started_at = job.clock.now();
    let sink = Sink {
        store,
        plan,
        id: BackupId::new(started_at, rand::random()),
        compression: Compression::Zstd { level: ZSTD_DEFAULT_LEVEL },
        sse,
        attempted: Mutex::default(),
        stop: job.cancel.clone(),
        memory: Memory::default(),
        observer: job.observer.clone(),
    };
    match store_all(&sink, &*job.clock).await {
        Ok(manifest) => Ok(manifest),
        Err(error) => {
            sink.clean_up().await;
            Err(error)
        }
    }
}

async fn store_all(sink: &Sink, clock: &dyn Clock) -> Result<Manifest> {
    let started_at = clock.now();
    let (data, namespace) = documents(sink.compression)?;
    let data = sink.store_segment(1, 0, data).await?;
    let prelude = sink.store_segment(0, 0, prelude(sink.compression)?).await?;
    let manifest =
        Manifest { started_at, finished_at: clock.now(), ..describe(sink, vec![prelude, data], namespace) };
    sink.commit(&manifest).await?;
    Ok(manifest)
}

fn prelude(compression: Compression) -> Result<Finished> {
    let header = Header::new(1, "0.0.0", concat!("strongroom-", env!("CARGO_PKG_VERSION")));
    let metadata = vec![Metadata {
        db: DB.into(),
        collection: COLLECTION.into(),
        metadata: METADATA.into(),
        kind: NamespaceKind::Collection.as_str().into(),
        size: 0,
    }];
    segment::prelude(compression, &Prelude { header, metadata })
}

/// `{_id: <number>}`, as BSON.
fn document(number: u64) -> Vec<u8> {
    let mut bytes = vec![18, 0, 0, 0, 0x12];
    bytes.extend(b"_id\0");
    bytes.extend(number.to_le_bytes());
    bytes.push(0);
    bytes
}

fn documents(compression: Compression) -> Result<(Finished, Namespace)> {
    let archived = ArchiveNamespace { db: DB.into(), collection: COLLECTION.into() };
    let mut writer = SegmentWriter::new(compression, BytesMut::new())?;
    writer.begin_block(0, &archived)?;
    let mut bytes = 0;
    for number in 0..DOCUMENTS {
        let document = document(number);
        bytes += document.len() as u64;
        writer.document(&document)?;
    }
    let crc64 = writer.end_block()?.value();
    writer.end_namespace(&archived, crc64)?;
    let metadata = RawValue::from_string(METADATA.into())
        .map_err(|e| Error::new(Code::Internal, "metadata is not JSON").caused_by(e))?;
    let namespace = Namespace {
        db: DB.into(),
        collection: COLLECTION.into(),
        kind: NamespaceKind::Collection,
        metadata,
        documents: DOCUMENTS,
        bytes,
        crc64: format!("{crc64:016x}"),
    };
    Ok((writer.finish()?, namespace))
}

fn describe(sink: &Sink, segments: Vec<Segment>, namespace: Namespace) -> Manifest {
    let namespaces = vec![namespace];
    Manifest {
        format: manifest::FORMAT.into(),
        version: manifest::VERSION,
        id: sink.id.to_string(),
        plan: sink.plan.to_string(),
        status: Status::Complete,
        exceptions: Vec::new(),
        tool: Tool { name: "strongroom".into(), version: env!("CARGO_PKG_VERSION").into() },
        started_at: chrono::DateTime::UNIX_EPOCH,
        finished_at: chrono::DateTime::UNIX_EPOCH,
        source: Source {
            topology: Topology::Standalone,
            set_name: None,
            server_version: "0.0.0".into(),
            feature_compatibility_version: None,
            member: "none".into(),
            member_role: "none".into(),
            lag_seconds: None,
            member_reason: "documents made up to prove the bucket".into(),
            members: Vec::new(),
        },
        consistency: Consistency::None { reason: "documents made up to prove the bucket".into() },
        oplog: None,
        selection: Selection::default(),
        totals: Totals::of(&namespaces, &segments),
        compression: sink.compression,
        encryption: sink.encryption(),
        namespaces,
        segments,
    }
}
