//! A backup, in two steps: [`prepare`] looks and decides, [`Prepared::run`] reads and stores.
//!
//! Readers share the collections out in stretches. Each reads its stretch through a cursor and writes it as segments;
//! meanwhile the oplog is kept, so that what could not be read at one moment can be made so. Until the manifest is
//! stored there is no backup. Whatever goes wrong before that, the segments stored so far are deleted again, where the
//! identity may delete.

mod assemble;
mod attempt;
mod before;
mod bounds;
mod capture;
mod cursor;
mod cut;
mod examine;
mod load;
mod lost;
mod moment;
mod pace;
mod permit;
mod prepared;
mod presence;
mod reach;
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

pub use examine::{Examination, examine};
pub use moment::Moment;
pub use permit::Permit;
pub use prepared::{Outline, Planned, Prepared};
pub use sample::sample;
pub use settings::{ConsistencyMode, Options, readers_default};

use std::sync::Arc;
use std::time::Duration;

use crate::bucket::ObjectStore;
use crate::deployment::Deployment;
use crate::error::{Code, Error, Result};
use crate::job::Job;
use crate::layout::BackupId;
use crate::manifest::Manifest;
use crate::progress::{Event, Phase, Warning};
use crate::quantity::Bytes;
use attempt::{Attempt, Failed};
use pace::Pace;
use sink::Sink;

/// How often the moment is settled anew.
const ANEW_MAX: u32 = 3;
/// How long is waited before that the first time; the second time twice as long, and so on. Renames rarely come alone.
const PAUSE: Duration = Duration::from_secs(1);

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
            let permit = Arc::new(permit::Always);
            let prepared = Prepared { deployment, store, options, id, started_at, inspected, permit };
            prepared.announce(&[], job);
            Ok(prepared)
        }
        Err(error) => {
            deployment.close().await;
            Err(worded(error))
        }
    }
}

impl Prepared {
    /// The same, with somebody who is asked before the manifest is stored.
    #[must_use]
    pub fn permitted_by(mut self, permit: Arc<dyn Permit>) -> Self {
        self.permit = permit;
        self
    }

    /// Makes the backup and gives its manifest. Needs a multi-threaded runtime. If an entry of the oplog that cannot be
    /// replayed comes before the capped collections were read, or within the first five minutes, the moment is settled
    /// anew, three times at most: the manifest says which one it became.
    ///
    /// # Errors
    /// As the deployment or the store fails, and [`Code::Cancelled`]; then there is no backup.
    pub async fn run(mut self, job: &Job) -> Result<Manifest> {
        let pace = Arc::new(Pace::new(self.options.max_rate.map(Bytes::get)));
        // The capture of the oplog reads too.
        let own = self.options.readers as u64 + 1;
        let watching = load::watched(&self.deployment, &pace, own, job);
        self.deployment.may_go_elsewhere();
        let (mut anew, mut first_part) = (0, 0);
        let (sink, outcome) = loop {
            let sink = Arc::new(self.sink(job));
            match Attempt::new(&self, &sink, &pace, first_part).run().await {
                Ok(manifest) => break (sink, Ok(manifest)),
                Err(Failed { unlucky: Some(reason), .. })
                    if anew < ANEW_MAX && !job.cancel.is_cancelled() =>
                {
                    job.warn(Warning::BegunAnew { reason });
                    sink.clean_up().await;
                    (anew, first_part) = (anew + 1, first_part.max(sink.next_part()));
                    if let Err(error) = self.settle_anew(PAUSE * anew, job).await {
                        break (sink, Err(error));
                    }
                }
                Err(Failed { error, unlucky: Some(_) }) if anew > 0 => {
                    break (sink, Err(error.context(format!("after {anew} tries at a later moment"))));
                }
                Err(Failed { error, .. }) => break (sink, Err(error)),
            }
        };
        drop(watching);
        match &outcome {
            Ok(_) => self.deployment.close().await,
            // Side by side: a person who stopped it is answered within two seconds.
            Err(_) => {
                tokio::join!(self.deployment.close(), sink.clean_up());
            }
        }
        outcome.map_err(|error| if sink.is_undecided() { error } else { worded(error) })
    }

    fn sink(&self, job: &Job) -> Sink {
        let name = (self.options.plan.clone(), self.id.clone());
        Sink::new(self.store.clone(), name, self.options.compression, self.options.sse.clone(), job)
    }

    /// Looks at the deployment again, after a pause.
    async fn settle_anew(&mut self, pause: Duration, job: &Job) -> Result<()> {
        job.phase(Phase::Inspecting);
        let looked = async {
            tokio::time::sleep(pause).await;
            prepared::inspect(&self.deployment, &self.options).await
        };
        let inspected = job.unless_cancelled(looked).await?;
        let before = std::mem::replace(&mut self.inspected, inspected);
        self.announce(&before.warnings, job);
        Ok(())
    }
}

/// Says once what all that stopped have in common.
fn worded(error: Error) -> Error {
    match error.code() {
        Code::Cancelled => Error::new(Code::Cancelled, "the backup was cancelled: no backup was made"),
        _ => error,
    }
}
