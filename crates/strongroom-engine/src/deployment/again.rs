//! Commands of a job: each is waited for as long as its kind may take and ends with its job, and is sent again after a
//! broken connection, a step-down or a write conflict.

use std::time::Duration;

use mongodb::bson::{Document, RawDocumentBuf, deserialize_from_document, doc, rawdoc};
use mongodb::error::{CommandError, Error as DriverError, ErrorKind};
use mongodb::options::{ReadPreference, SelectionCriteria};
use mongodb::{Client, Database};

use super::failure::{code_of, explain, server_code};
use crate::backoff::Backoff;
use crate::error::{Code, Error, Result};
use crate::job::Job;
use crate::progress::Event;
use crate::waits::Wait;

/// A good minute, as for reads: time for a set to elect a primary, or for a member to restart.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(16), 8);

/// How long a cancelled job waits for the answer to what it asked: a person who stops it is answered at once.
const CANCELLED_WITHIN: Duration = Duration::from_secs(1);

/// A command that writes, and what it is to a person.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write<'a> {
    pub(super) db: &'a str,
    /// The command's name.
    pub(super) command: &'a str,
    /// What it is about: `db.collection`.
    pub(super) on: &'a str,
    pub(super) wait: Wait,
}

/// What came of a command.
pub(super) struct Sent {
    pub(super) answer: Result<Document, DriverError>,
    /// It was sent more than once: what it says exists may be its own work.
    pub(super) again: bool,
}

/// How often the same was tried in vain.
#[derive(Debug, Default)]
pub(super) struct Tries(u32);

/// Where everything is written: the deployment's primary, whoever that is.
#[derive(Debug, Clone)]
pub(super) struct Primary {
    pub(super) client: Client,
    /// Whether what is written can be lost again unless a majority has it.
    pub(super) is_replicated: bool,
    /// The job that it is written for.
    pub(super) job: Option<Job>,
}

impl Primary {
    pub(super) fn database(&self, db: &str) -> Database {
        self.client.database(db)
    }

    /// Sends a command that does the same however often it is sent, until there is an answer.
    pub(super) async fn write(&self, write: Write<'_>, command: &RawDocumentBuf) -> Sent {
        let mut tries = Tries::default();
        loop {
            let answer = self.once(write, command.clone()).await;
            let again = tries.0 > 0;
            let Err(error) = answer else { return Sent { answer, again } };
            if let Err(error) = tries.pause(self, write, error).await {
                return Sent { answer: Err(error), again };
            }
        }
    }

    /// Sends a command once. An answer that no majority confirmed is an error.
    pub(super) async fn once(
        &self,
        write: Write<'_>,
        command: RawDocumentBuf,
    ) -> Result<Document, DriverError> {
        let asked = async {
            let database = self.database(write.db);
            let answer = database.run_raw_command(self.with_majority(command)?);
            self.acknowledged(answer.selection_criteria(primary()).await?, write)
        };
        self.within(write.wait, || write.what(), asked).await
    }

    /// What was asked for, unless it takes too long or the job is cancelled.
    pub(super) async fn within<T>(
        &self,
        wait: Wait,
        what: impl FnOnce() -> String,
        asked: impl Future<Output = Result<T, DriverError>>,
    ) -> Result<T, DriverError> {
        let Some(job) = &self.job else { return asked.await };
        // A server that waits for a majority says itself that it took too long, if it says anything.
        let answering =
            if wait == Wait::FirstByte { Duration::ZERO } else { job.waits.longest(Wait::FirstByte) };
        let limited = async {
            let answer = tokio::time::timeout(job.waits.longest(wait) + answering, asked).await;
            answer.unwrap_or_else(|_| Err(DriverError::custom(job.waits.stalled(wait, what()))))
        };
        job.answered_within(CANCELLED_WITHIN, limited).await.map_err(DriverError::custom)?
    }

    fn with_majority(&self, mut command: RawDocumentBuf) -> Result<RawDocumentBuf, DriverError> {
        if !self.is_replicated {
            return Ok(command);
        }
        let waits = self.job.as_ref().map(|job| job.waits).unwrap_or_default();
        let longest = i64::try_from(waits.longest(Wait::Majority).as_millis()).unwrap_or(i64::MAX);
        let concern = rawdoc! { "w": "majority", "wtimeout": longest };
        command.append(mongodb::bson::raw::cstr!("writeConcern"), concern);
        Ok(command)
    }

    /// What is only on a primary that steps down is lost: an answer without a majority is none.
    fn acknowledged(&self, answer: Document, write: Write<'_>) -> Result<Document, DriverError> {
        let Ok(concern) = answer.get_document("writeConcernError") else { return Ok(answer) };
        if concern.get_i32("code").is_ok_and(|code| code == server_code::WRITE_CONCERN_FAILED) {
            let waits = self.job.as_ref().map(|job| job.waits).unwrap_or_default();
            return Err(DriverError::custom(waits.stalled(Wait::Majority, write.what())));
        }
        Err(answered(concern))
    }
}

impl Write<'_> {
    fn what(&self) -> String {
        match self.wait {
            Wait::IndexBuild => format!("the indexes of `{}`", self.on),
            _ => format!("what was written to `{}` (`{}`)", self.on, self.command),
        }
    }
}

impl Tries {
    /// Pauses before the next try.
    ///
    /// # Errors
    /// The same error, when trying again would not help or was tried long enough; that the job was cancelled.
    pub(super) async fn pause(
        &mut self,
        primary: &Primary,
        write: Write<'_>,
        error: DriverError,
    ) -> Result<(), DriverError> {
        self.0 += 1;
        let Some(pause) = BACKOFF.pause(self.0).filter(|_| is_passing(&error)) else {
            return Err(error);
        };
        let Some(job) = &primary.job else {
            tokio::time::sleep(pause).await;
            return Ok(());
        };
        job.observe(&Event::Retrying {
            request: write.command.to_owned(),
            key: write.on.to_owned(),
            why: explain(&error).message().to_owned(),
            pause_milliseconds: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
        });
        let slept = async {
            tokio::time::sleep(pause).await;
            Ok(())
        };
        job.unless_cancelled(slept).await.map_err(DriverError::custom)
    }

    /// Something was done since.
    pub(super) fn forget(&mut self) {
        self.0 = 0;
    }
}

/// That it is the primary who is asked.
pub(super) fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}

/// An error of the driver for a code and a message within an answer.
pub(super) fn answered(error: &Document) -> DriverError {
    let known = doc! {
        "code": error.get_i32("code").unwrap_or(0),
        "codeName": error.get_str("codeName").unwrap_or_default(),
        "errmsg": error.get_str("errmsg").unwrap_or("the server gave no reason"),
    };
    match deserialize_from_document::<CommandError>(known) {
        Ok(error) => DriverError::from(ErrorKind::Command(error)),
        Err(_) => DriverError::custom(Error::new(Code::Mongo, format!("MongoDB answered {error}"))),
    }
}

/// Whether the same may be done at another time, or by another member.
pub(super) fn is_passing(error: &DriverError) -> bool {
    match code_of(error) {
        Some(code) => server_code::LOST.contains(&code) || server_code::BUSY.contains(&code),
        None => matches!(
            &*error.kind,
            ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } | ErrorKind::ServerSelection { .. }
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_down_passes_and_a_refusal_does_not() {
        for (code, passes) in
            [(189, true), (112, true), (11602, true), (11000, false), (13, false), (64, false)]
        {
            assert_eq!(is_passing(&answered(&doc! { "code": code, "errmsg": "x" })), passes, "{code}");
        }
        let own = DriverError::custom(Error::new(Code::Stalled, "no majority"));
        assert!(!is_passing(&own));
        assert_eq!(explain(&own).code(), Code::Stalled);
    }
}
