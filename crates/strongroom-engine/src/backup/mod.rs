//! A backup, in two steps: [`prepare`] looks and decides, [`Prepared::run`] reads and stores.
//!
//! Readers share the collections out in stretches. Each reads its stretch through a cursor and writes it as segments;
//! meanwhile the oplog is kept, so that what could not be read at one moment can be made so. Until the manifest is
//! stored there is no backup. Whatever goes wrong before that, the segments stored so far are deleted again, where the
//! identity may delete.

mod assemble;
mod before;
mod bounds;
mod capture;
mod cursor;
mod cut;
mod load;
mod lost;
mod moment;
mod pace;
mod prepared;
mod presence;
mod read;
mod reader;
mod readers;
mod resume;
mod sample;
mod segment;
mod settings;
mod sink;
mod stretches;
#[cfg(test)]
mod testing;
mod writer;

pub use moment::Moment;
pub use prepared::{Outline, Planned, Prepared};
pub use sample::sample;
pub use settings::{ConsistencyMode, Options, readers_default};

use std::sync::Arc;

use crate::bucket::ObjectStore;
use crate::deployment::Deployment;
use crate::error::{Code, Error, Result};
use crate::job::Job;
use crate::layout::BackupId;
use crate::manifest::Manifest;
use crate::moment::ClusterTime;
use crate::progress::{Event, Phase};
use crate::quantity::Bytes;
use assemble::Contents;
use capture::{Capture, Captured};
use moment::Reached;
use pace::Pace;
use prepared::Inspected;
use read::StretchRead;
use reader::Reader;
use readers::{more_telling, read_all};
use sink::Sink;
use writer::StretchWriter;

/// Looks at the deployment, settles the moment and shares the work out: the backup `id`, ready to be run. Nothing is
/// stored yet.
///
/// # Errors
/// As the deployment fails, [`Code::Usage`] and [`Code::MongoPrivilege`] for what cannot become a good backup, and
/// [`Code::Cancelled`].
pub async fn prepare(
    deployment: Deployment,
    store: Arc<dyn ObjectStore>,
    options: Options,
    id: BackupId,
    job: &Job,
) -> Result<Prepared> {
    job.observe(&Event::Began { backup: Some(id.to_string()), plan: Some(options.plan.to_string()) });
    let started_at = job.clock.now();
    before::check_store(&*store, &options)?;
    before::check_places(&*store, &options.plan).await?;
    before::introduce(&deployment, job);
    job.phase(Phase::Inspecting);
    match job.unless_cancelled(prepared::inspect(&deployment, &options)).await {
        Ok(inspected) => {
            let deployment = Arc::new(deployment);
            let prepared = Prepared { deployment, store, options, id, started_at, inspected };
            prepared.announce(job);
            Ok(prepared)
        }
        Err(error) => {
            deployment.close().await;
            Err(worded(error))
        }
    }
}

impl Prepared {
    /// Makes the backup and gives its manifest. Needs a multi-threaded runtime.
    ///
    /// # Errors
    /// As the deployment or the store fails, and [`Code::Cancelled`]; then there is no backup.
    pub async fn run(self, job: &Job) -> Result<Manifest> {
        let name = (self.options.plan.clone(), self.id.clone());
        let sse = self.options.sse.clone();
        let sink = Arc::new(Sink::new(self.store.clone(), name, self.options.compression, sse, job));
        let pace = Arc::new(Pace::new(self.options.max_rate.map(Bytes::get), sink.job.cancel.clone()));
        // The capture of the oplog reads too.
        let own = self.options.readers as u64 + 1;
        let watching = load::watched(&self.deployment, &pace, own, &sink.job);
        let outcome = self.read_and_store(&sink, &pace).await;
        drop(watching);
        self.deployment.close().await;
        if outcome.is_err() {
            sink.clean_up().await;
        }
        outcome.map_err(|error| if sink.is_undecided() { error } else { worded(error) })
    }

    async fn read_and_store(&self, sink: &Arc<Sink>, pace: &Arc<Pace>) -> Result<Manifest> {
        sink.job.phase(Phase::Reading);
        self.deployment.may_go_elsewhere();
        let capture = self.capture(sink);
        let reader = Arc::new(self.reader(sink, pace));
        let read = read_all(&reader, self.options.readers).await;
        let captured = match capture {
            Some(capture) => capture.finish(reader.reached.newest()).await.map(Some),
            None => Ok(None),
        };
        lost::tell(&self.deployment, &sink.job);
        match (read, captured) {
            (Ok(read), Ok(captured)) => self.commit(sink, read, captured, reader.reached.newest()).await,
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
            (Err(one), Err(other)) => Err(more_telling(Some(one), other)),
        }
    }

    fn capture(&self, sink: &Arc<Sink>) -> Option<Capture> {
        let (stretches, place) = (&self.inspected.stretches, self.inspected.namespaces.len());
        let writer = StretchWriter::new(sink.clone(), stretches.segment_bytes, stretches.oplog_number(), 0);
        Capture::start(&self.deployment, &self.options.filter, &self.inspected.moment, writer, place)
    }

    fn reader(&self, sink: &Arc<Sink>, pace: &Arc<Pace>) -> Reader {
        Reader {
            deployment: self.deployment.clone(),
            namespaces: self.inspected.namespaces.clone(),
            stretches: self.inspected.stretches.clone(),
            query: self.options.query.clone(),
            moment: self.inspected.moment,
            reached: Reached::new(&self.inspected.moment),
            pace: pace.clone(),
            sink: sink.clone(),
        }
    }

    /// Stores what is left, and last the manifest: from then on there is a backup.
    async fn commit(
        &self,
        sink: &Sink,
        read: Vec<StretchRead>,
        captured: Option<Captured>,
        reached: Option<ClusterTime>,
    ) -> Result<Manifest> {
        sink.job.phase(Phase::Committing);
        let Inspected { namespaces, moment, stretches, .. } = &self.inspected;
        let source = self.deployment.source_as_read();
        let joined = assemble::join(stretches, read);
        let archive = assemble::archive(sink, &source.server_version, namespaces, joined, captured).await?;
        let asked = (source.topology, self.options.consistency);
        let contents = Contents {
            started_at: self.started_at,
            finished_at: sink.job.clock.now(),
            source,
            selection: self.options.selection(),
            consistency: assemble::consistency(moment, reached, archive.plainly, asked),
            oplog: archive.oplog,
            namespaces: archive.namespaces,
            segments: archive.segments,
        };
        let manifest = assemble::manifest(sink, contents);
        sink.leave_restore_note().await?;
        sink.commit(&manifest).await?;
        Ok(manifest)
    }
}

/// Says once what all that stopped have in common.
fn worded(error: Error) -> Error {
    match error.code() {
        Code::Cancelled => Error::new(Code::Cancelled, "the backup was cancelled: no backup was made"),
        _ => error,
    }
}
