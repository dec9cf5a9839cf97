//! One attempt at a backup: all of it is read and stored at the moment that was settled.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::assemble::{self, Contents};
use super::capture::{Capture, Captured};
use super::lost;
use super::pace::Pace;
use super::prepared::{Inspected, Prepared};
use super::reach::Reach;
use super::read::StretchRead;
use super::reader::Reader;
use super::readers::{more_telling, read_all};
use super::sink::Sink;
use super::writer::StretchWriter;
use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::progress::Phase;

/// An attempt that took longer is not made again because of something that was read late in it. About as long as a
/// server keeps the past unless it is told otherwise.
const SHORT: Duration = Duration::from_mins(5);

pub(super) struct Attempt<'a> {
    prepared: &'a Prepared,
    sink: Arc<Sink>,
    pace: Arc<Pace>,
    reach: Arc<Reach>,
    /// Of every stretch: those before it may still be there from attempts before.
    first_part: usize,
    began: Instant,
}

/// Why there is no backup.
pub(super) struct Failed {
    pub(super) error: Error,
    /// What of it need not be so at another moment.
    pub(super) unlucky: Option<String>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(prepared: &'a Prepared, sink: &Arc<Sink>, pace: &Arc<Pace>, first_part: usize) -> Self {
        let reach = Arc::new(Reach::new(&prepared.inspected.moment, &prepared.inspected.namespaces));
        Self { prepared, sink: sink.clone(), pace: pace.clone(), reach, first_part, began: Instant::now() }
    }

    /// Reads everything, and makes a backup of it.
    pub(super) async fn run(&self) -> Result<Manifest, Failed> {
        self.sink.job.phase(Phase::Reading);
        let capture = self.capture();
        let reader = Arc::new(self.reader());
        let read = read_all(&reader, self.prepared.options.readers).await;
        let captured = match capture {
            Some(capture) => capture.finish(self.reach.needed()).await.map(Some),
            None => Ok(None),
        };
        lost::tell(&self.prepared.deployment, &self.sink.job);
        let unlucky = self.reach.wants_another_moment(self.began.elapsed() < SHORT);
        if unlucky.is_none() {
            reader.tell_what_came_late();
        }
        let made = match (read, captured) {
            (Ok(read), Ok(captured)) => self.commit(read, captured).await,
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
            (Err(one), Err(other)) => Err(more_telling(Some(one), other)),
        };
        made.map_err(|error| Failed { error, unlucky })
    }

    fn capture(&self) -> Option<Capture> {
        let Inspected { namespaces, moment, stretches, .. } = &self.prepared.inspected;
        let number = stretches.oplog_number();
        let writer = StretchWriter::new(self.sink.clone(), stretches.segment_bytes, number, self.first_part);
        let (deployment, filter) = (&self.prepared.deployment, &self.prepared.options.filter);
        Capture::start(deployment, filter, (moment, &self.reach), writer, namespaces.len())
    }

    fn reader(&self) -> Reader {
        let Prepared { deployment, options, inspected, .. } = self.prepared;
        Reader {
            deployment: deployment.clone(),
            namespaces: inspected.namespaces.clone(),
            stretches: inspected.stretches.clone(),
            query: options.query.clone(),
            moment: inspected.moment,
            first_part: self.first_part,
            reach: self.reach.clone(),
            pace: self.pace.clone(),
            sink: self.sink.clone(),
            late: Mutex::default(),
        }
    }

    /// Stores what is left, and last the manifest: from then on there is a backup.
    async fn commit(&self, read: Vec<StretchRead>, captured: Option<Captured>) -> Result<Manifest> {
        let (prepared, sink) = (self.prepared, &self.sink);
        sink.job.phase(Phase::Committing);
        let Inspected { namespaces, moment, stretches, .. } = &prepared.inspected;
        let source = prepared.deployment.source_as_read();
        let joined = assemble::join(stretches, read);
        let archive = assemble::archive(sink, &source.server_version, namespaces, joined, captured).await?;
        let asked = (source.topology, prepared.options.consistency);
        let contents = Contents {
            started_at: prepared.started_at,
            finished_at: sink.job.clock.now(),
            source,
            selection: prepared.options.selection(),
            consistency: assemble::consistency(moment, self.reach.needed(), archive.plainly, asked),
            oplog: archive.oplog,
            namespaces: archive.namespaces,
            segments: archive.segments,
        };
        let manifest = assemble::manifest(sink, contents);
        sink.leave_restore_note().await?;
        sink.job.unless_cancelled(prepared.permit.may_commit()).await?;
        sink.commit(&manifest).await?;
        Ok(manifest)
    }
}
