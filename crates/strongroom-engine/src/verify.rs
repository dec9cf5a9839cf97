//! Proof that a backup is what its manifest says: every segment is fetched, every document walked.

use std::sync::Arc;

use futures::{StreamExt, stream};
use mongo_archive::{Crc64, check_document};
use serde::Serialize;
use tokio::task::block_in_place;

use crate::bucket::ObjectStore;
use crate::error::{Code, Error, Result};
use crate::help;
use crate::help::Command;
use crate::job::Job;
use crate::layout;
use crate::manifest::{Manifest, Segment};
use crate::prelude;
use crate::progress::{Event, Phase};
use crate::segments::{self, Found, Names, Step, Walk, wrong};

/// What was looked at, and what is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Segments fetched and compared.
    pub segments: u64,
    /// Bytes fetched.
    pub stored_bytes: u64,
    /// Documents walked.
    pub documents: u64,
    /// Everything that is not as it should be; a backup without problems restores.
    pub problems: Vec<Problem>,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The segment, where it is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// The collection, where it is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// In words.
    pub message: String,
}

/// Fetches and walks all of a backup, `readers` segments at once. Needs a multi-threaded runtime.
///
/// # Errors
/// [`Code::Cancelled`]; [`Code::NotABackup`] when it was deleted meanwhile; as the store fails in a way that says nothing about the backup (no access, no connection). Damage
/// is in the report.
pub async fn verify(
    store: Arc<dyn ObjectStore>,
    manifest: &Manifest,
    readers: usize,
    job: &Job,
) -> Result<Report> {
    job.observe(&Event::Began { backup: Some(manifest.id.clone()), plan: Some(manifest.plan.clone()) });
    let totals = manifest.totals;
    job.observe(&Event::Planned {
        namespaces: totals.namespaces,
        documents: totals.documents,
        bytes: manifest.namespaces.iter().map(|n| n.bytes).sum(),
    });
    job.phase(Phase::Verifying);
    let report = job.unless_cancelled(walk_all(&*store, manifest, readers, job)).await?;
    if !report.problems.is_empty() && is_gone(&*store, manifest).await {
        let what = format!("backup `{}` was deleted while it was verified", manifest.id);
        return Err(Error::new(Code::NotABackup, what)
            .help(help![Command::List, " shows the backups that are there."]));
    }
    Ok(report)
}

/// Whether the manifest is no longer there: a deletion takes it first.
async fn is_gone(store: &dyn ObjectStore, manifest: &Manifest) -> bool {
    let key = format!("{}/{}/{}", manifest.plan, manifest.id, layout::MANIFEST);
    store.get_start(&key, 1).await.is_err_and(|error| error.code() == Code::ObjectMissing)
}

async fn walk_all(store: &dyn ObjectStore, manifest: &Manifest, readers: usize, job: &Job) -> Result<Report> {
    let names = Names::of(&manifest.namespaces);
    let mut walked = stream::iter(manifest.segments.iter().enumerate())
        .map(|(place, segment)| walk(store, manifest, &names, place, segment, job))
        .buffered(readers.max(1));
    let mut report = Report::default();
    let mut sums: Vec<Sum> = manifest.namespaces.iter().map(|_| Sum::default()).collect();
    while let Some(segment) = walked.next().await {
        gather(&mut report, &mut sums, segment?);
    }
    drop(walked);
    if !manifest.oplog_leads_to_its_moment() {
        let message = "the oplog does not lead to the moment that the manifest promises".into();
        report.problems.push(Problem { segment: None, namespace: None, message });
    }
    for (namespace, sum) in manifest.namespaces.iter().zip(&sums) {
        if let Some(message) = sum.contradicts(&namespace.crc64) {
            report.problems.push(Problem { segment: None, namespace: Some(namespace.name()), message });
        }
    }
    Ok(report)
}

/// What is known of one namespace from all segments, in their order.
#[derive(Default)]
struct Sum {
    crc: Crc64,
    ends: Vec<u64>,
    unreadable: bool,
}

impl Sum {
    /// A namespace with an unreadable segment is named there already.
    fn contradicts(&self, crc64: &str) -> Option<String> {
        if self.unreadable {
            return None;
        }
        if self.crc.to_string() != crc64 {
            return Some("the CRC-64 of its documents is not the one in the manifest".into());
        }
        match self.ends[..] {
            [crc] if crc == self.crc.value() => None,
            [_] => Some("the CRC-64 in the archive is not that of its documents".into()),
            [] => Some("the archive does not say where it ends".into()),
            _ => Some("the archive says more than once that it ends".into()),
        }
    }
}

/// What one segment holds.
#[derive(Default)]
struct Walked {
    stored_bytes: u64,
    found: Found,
    problem: Option<(Segment, String)>,
}

fn gather(report: &mut Report, sums: &mut [Sum], walked: Walked) {
    report.segments += 1;
    report.stored_bytes += walked.stored_bytes;
    for (content, crc) in &walked.found.contents {
        report.documents += content.documents;
        sums[content.namespace].crc.append(crc);
    }
    for (namespace, crc) in walked.found.ends {
        sums[namespace].ends.push(crc);
    }
    if let Some((segment, message)) = walked.problem {
        for content in &segment.contents {
            sums[content.namespace].unreadable = true;
        }
        report.problems.push(Problem { segment: Some(segment.key), namespace: None, message });
    }
}

async fn walk(
    store: &dyn ObjectStore,
    manifest: &Manifest,
    names: &Names,
    place: usize,
    segment: &Segment,
    job: &Job,
) -> Result<Walked> {
    let body = match segments::fetch(store, segment, job).await {
        Ok(body) => body,
        Err(error) if matches!(error.code(), Code::Damaged | Code::ObjectMissing) => {
            let problem = Some((segment.clone(), error.message().to_owned()));
            return Ok(Walked { problem, ..Walked::default() });
        }
        Err(error) => return Err(error),
    };
    let mut walked = Walked { stored_bytes: body.len() as u64, ..Walked::default() };
    let outcome = block_in_place(|| match place {
        0 => prelude::compare_stored(manifest, segment, &body).map(|()| Found::default()),
        _ => walk_blocks(manifest, names, segment, &body),
    });
    match outcome {
        Ok(found) => walked.found = found,
        Err(error) => {
            let message = segments::damaged(segment, error.message()).message().to_owned();
            walked.problem = Some((segment.clone(), message));
        }
    }
    let (documents, bytes) =
        segment.contents.iter().fold((0, 0), |sum, c| (sum.0 + c.documents, sum.1 + c.bytes));
    job.observe(&Event::Advanced { documents, bytes });
    job.observe(&Event::Segment { key: segment.key.clone(), stored_bytes: segment.stored_bytes });
    Ok(walked)
}

fn walk_blocks(manifest: &Manifest, names: &Names, segment: &Segment, stored: &[u8]) -> Result<Found> {
    let mut walk = Walk::new(manifest.compression, names, segment, stored)?;
    let mut document_of_block = 0u64;
    while let Some(step) = walk.next()? {
        match step {
            Step::Begin(_) => document_of_block = 0,
            Step::Document(document) => {
                document_of_block += 1;
                check_document(document)
                    .map_err(|e| wrong(format_args!("document {document_of_block} of a block: {e}")))?;
            }
            Step::End | Step::Ended => {}
        }
    }
    walk.finish(segment)
}
