//! The store, as one backup sees it: what was sent, what came of it, and how to take it back.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::segment::{Buffers, Finished};
use super::{before, presence};
use crate::RESTORE_NOTE;
use crate::bucket::actions::{self, Operation};
use crate::bucket::{OBJECT_BYTES_MAX, ObjectStore, Sse, Stored};
use crate::compression::Compression;
use crate::error::{Code, Error, Result};
use crate::hash::sha256;
use crate::help;
use crate::help::Command;
use crate::job::Job;
use crate::layout::{self, BackupId, PlanName};
use crate::manifest::{Manifest, Segment};
use crate::progress::{Event, Phase, Warning};
use crate::summary::Encryption;

/// How long a backup that fails waits for the answers to what it sent: with them it knows what to take back.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// How long it then looks whether the manifest is there.
const LAST_LOOK: Duration = Duration::from_secs(10);
/// How long each of these, and each object that is taken back, is waited for once a person has stopped the backup: with
/// the end of the cursors they are answered within two seconds.
const WHEN_STOPPED: Duration = Duration::from_millis(500);
/// Objects that are taken back at once.
const TAKEN_BACK_AT_ONCE: usize = 8;

/// Where one backup goes.
pub(super) struct Sink {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) plan: PlanName,
    pub(super) id: BackupId,
    pub(super) compression: Compression,
    pub(super) sse: Sse,
    /// What was sent to the store, whether or not an answer came.
    attempted: Mutex<Vec<Attempt>>,
    /// The part number after the greatest that was sent.
    next_part: AtomicUsize,
    /// Whether the manifest was sent and nobody knows what became of it.
    undecided: AtomicBool,
    /// Its cancel ends every reader: the person's does, and the failure of one of them.
    pub(super) job: Job,
    /// Cancelled when a person stops it.
    stopped: CancellationToken,
    pub(super) buffers: Buffers,
}

/// A PUT that was begun.
#[derive(Debug, Clone)]
struct Attempt {
    key: String,
    sha256: [u8; 32],
    stored: Option<Stored>,
    /// Nobody waited for its answer any longer: it may take effect later.
    given_up: bool,
}

/// What became of something that was to be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Gone,
    Left,
    MayCome,
}

impl Sink {
    /// For the backup `id` that `job` makes.
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        (plan, id): (PlanName, BackupId),
        compression: Compression,
        sse: Sse,
        job: &Job,
    ) -> Self {
        let stopped = job.cancel.clone();
        let job = Job { cancel: job.cancel.child_token(), ..job.clone() };
        Self {
            store,
            plan,
            id,
            compression,
            sse,
            attempted: Mutex::default(),
            next_part: AtomicUsize::new(0),
            undecided: AtomicBool::new(false),
            job,
            stopped,
            buffers: Buffers::default(),
        }
    }

    /// Stores one segment; the number of its stretch and its own in it give its place in the archive.
    pub(super) async fn store_segment(
        &self,
        stretch: usize,
        part: usize,
        finished: Finished,
    ) -> Result<Segment> {
        let extension = self.compression.extension();
        let key = layout::segment_key(&self.plan, &self.id, stretch, part, extension);
        self.next_part.fetch_max(part + 1, Ordering::Relaxed);
        let stored_bytes = finished.body.len() as u64;
        let stored = self.put_hashed(&key, finished.body, &finished.sha256).await?;
        self.job.observe(&Event::Segment { key: key.clone(), stored_bytes });
        Ok(Segment {
            key,
            version_id: stored.version_id,
            stored_bytes,
            raw_bytes: finished.raw_bytes,
            sha256: hex::encode(finished.sha256),
            contents: finished.contents,
        })
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<Stored> {
        let sha256 = sha256(&body);
        self.put_hashed(key, body, &sha256).await
    }

    async fn put_hashed(&self, key: &str, body: Bytes, sha256: &[u8; 32]) -> Result<Stored> {
        self.job.check()?;
        self.attempted().push(Attempt { key: key.into(), sha256: *sha256, stored: None, given_up: false });
        let answer = self.send(key, body, sha256).await;
        let mut attempted = self.attempted();
        // What was refused is not there, and what was met is somebody else's.
        if answer.as_ref().is_err_and(is_not_there) {
            attempted.retain(|attempt| attempt.key != key);
        } else if let Some(attempt) = attempted.iter_mut().rfind(|attempt| attempt.key == key) {
            attempt.given_up = answer.as_ref().is_err_and(|error| error.code() == Code::Cancelled);
            attempt.stored = answer.as_ref().ok().cloned();
        }
        drop(attempted);
        answer
    }

    /// A store that gives no answer must not hold up the end for long.
    async fn send(&self, key: &str, body: Bytes, sha256: &[u8; 32]) -> Result<Stored> {
        let given_up = async {
            self.job.cancel.cancelled().await;
            tokio::select! {
                () = self.waited_enough() => {}
                () = tokio::time::sleep(LAST_ANSWERS) => {}
            }
        };
        self.job.answered_before(given_up, self.store.put(key, body, sha256, &self.sse)).await?
    }

    /// Ends when a person has stopped the backup, and has then waited for one answer for long enough.
    async fn waited_enough(&self) {
        self.stopped.cancelled().await;
        tokio::time::sleep(WHEN_STOPPED).await;
    }

    /// The outcome of `work`, or [`Code::Cancelled`] when a person has waited for it for long enough.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            outcome = work => outcome,
            () = self.waited_enough() => Err(Error::new(Code::Cancelled, "the storage did not answer in time")),
        }
    }

    fn attempted(&self) -> MutexGuard<'_, Vec<Attempt>> {
        self.attempted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How to restore without this program stands beside the backups. One that is there is left alone.
    pub(super) async fn leave_restore_note(&self) -> Result<()> {
        let body = Bytes::from_static(RESTORE_NOTE.as_bytes());
        let sha256 = sha256(&body);
        match self.send(layout::RESTORE_NOTE, body, &sha256).await {
            Err(error) if error.code() == Code::ObjectExists => Ok(()),
            // It is there, and one who only writes may not compare it.
            Err(error) if was_refused(&error, actions::GET) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Takes back what was stored. Where the manifest may be there, or may still come to be, all of it stays: a backup
    /// without its segments would be worse than segments without a backup.
    pub(super) async fn clean_up(&self) {
        if self.is_undecided() {
            return;
        }
        self.job.phase(Phase::CleaningUp);
        let attempted = std::mem::take(&mut *self.attempted());
        self.take_all_back(attempted.into_iter().rev().collect()).await;
    }

    /// Where the storage shows that it does not answer a person in time, it is not asked about the rest.
    async fn take_all_back(&self, attempted: Vec<Attempt>) {
        let silent = &AtomicBool::new(false);
        let fates = stream::iter(attempted).map(async |attempt| {
            let fate = self.take_back_in_time(&attempt, silent).await;
            (attempt.key, fate)
        });
        let fates: Vec<(String, Fate)> = fates.buffer_unordered(TAKEN_BACK_AT_ONCE).collect().await;
        let of = |wanted| {
            let mut keys = fates.iter().filter(|(_, fate)| *fate == wanted).map(|(key, _)| key.clone());
            keys.next().map(|first| (keys.count() as u64 + 1, first))
        };
        if let Some((objects, example)) = of(Fate::Left) {
            self.job.warn(Warning::ObjectsLeft { objects, example });
        }
        if let Some((objects, example)) = of(Fate::MayCome) {
            self.job.warn(Warning::ObjectsMayCome { objects, example });
        }
    }

    async fn take_back_in_time(&self, attempt: &Attempt, silent: &AtomicBool) -> Fate {
        let taken = match silent.load(Ordering::Relaxed) {
            true => None,
            false => Some(self.in_time(self.take_back(attempt)).await),
        };
        if matches!(&taken, Some(Err(error)) if error.code() == Code::Cancelled) {
            silent.store(true, Ordering::Relaxed);
        }
        match taken {
            Some(Ok(true)) => Fate::Gone,
            // Nothing is there yet, or nobody knows.
            _ if attempt.given_up => Fate::MayCome,
            Some(Ok(false)) => Fate::Gone,
            Some(Err(_)) | None => Fate::Left,
        }
    }

    /// No stretch has used this part number or one after it.
    pub(super) fn next_part(&self) -> usize {
        self.next_part.load(Ordering::Relaxed)
    }

    /// Whether nobody knows if there is a backup.
    pub(super) fn is_undecided(&self) -> bool {
        self.undecided.load(Ordering::Relaxed)
    }

    /// Whether there was anything to take back.
    async fn take_back(&self, attempt: &Attempt) -> Result<bool> {
        let version = match &attempt.stored {
            Some(stored) => stored.version_id.clone(),
            None => match self.store.get(&attempt.key, None, OBJECT_BYTES_MAX).await {
                // Somebody else's.
                Ok(found) if sha256(&found.body) != attempt.sha256 => return Ok(true),
                Ok(found) => found.version_id,
                Err(error) if error.code() == Code::ObjectMissing => return Ok(false),
                Err(error) => return Err(error),
            },
        };
        self.store.delete(&attempt.key, version.as_deref()).await.map(|()| true)
    }

    /// Deletes the segments of a stretch that is read again. What cannot be deleted is no part of the backup, and is
    /// reported.
    pub(super) async fn take_back_stretch(&self, number: usize, parts: usize) {
        let extension = self.compression.extension();
        let keys: Vec<String> = (0..parts)
            .map(|part| layout::segment_key(&self.plan, &self.id, number, part, extension))
            .collect();
        let (taken, kept) = std::mem::take(&mut *self.attempted())
            .into_iter()
            .partition::<Vec<_>, _>(|attempt| keys.contains(&attempt.key));
        self.attempted().extend(kept);
        self.take_all_back(taken).await;
    }

    /// What each PUT reported was compared with the request as it came; here they are only gathered.
    pub(super) fn encryption(&self) -> Encryption {
        let attempted = self.attempted();
        let reported: BTreeSet<Option<String>> =
            attempted.iter().filter_map(|a| a.stored.as_ref()).map(|s| s.encryption.clone()).collect();
        let kms_key_id = attempted.iter().find_map(|a| a.stored.as_ref()?.kms_key_id.clone());
        Encryption {
            requested: self.sse.header().map(str::to_owned),
            kms_key_id,
            // Only what every answer said counts.
            reported: if reported.len() == 1 { reported.into_iter().next().flatten() } else { None },
        }
    }

    /// Writes the manifest: from then on there is a backup.
    ///
    /// # Errors
    /// As the store fails. Where [`is_undecided`](Self::is_undecided) then says so, there may be a backup.
    pub(super) async fn commit(&self, manifest: &Manifest) -> Result<()> {
        self.job.check()?;
        let key = layout::backup_key(&self.plan, &self.id, layout::MANIFEST);
        let text = Bytes::from(manifest.to_json()?);
        before::check_manifest(text.len() as u64)?;
        before::read_back(&text)?;
        presence::check((&*self.store, &self.job), (&self.plan, &self.id), manifest).await?;
        match self.put(&key, text.clone()).await {
            Ok(_) => Ok(()),
            Err(error) if is_not_there(&error) => Err(error),
            Err(error) if error.code() == Code::Encryption => Err(self.undo(&key, error).await),
            Err(error) => self.decide(&key, &text, error).await,
        }
    }

    /// The manifest is there, and not as it should be: first of all it must go.
    async fn undo(&self, key: &str, error: Error) -> Error {
        let attempt = self.attempted().iter().find(|attempt| attempt.key == key).cloned();
        let undone = match &attempt {
            Some(attempt) => self.in_time(self.take_back(attempt)).await,
            None => Ok(false),
        };
        match undone {
            Ok(_) => {
                self.attempted().retain(|attempt| attempt.key != key);
                error
            }
            Err(_) => {
                self.undecided.store(true, Ordering::Relaxed);
                error.context(format!(
                    "the backup `{}/{}` is there, and could not be deleted",
                    self.plan, self.id
                ))
            }
        }
    }

    /// The manifest was sent, and no answer says what became of it. If it is there, there is a backup. If it is not there
    /// yet it may still come: a request can arrive long after it was given up.
    async fn decide(&self, key: &str, text: &Bytes, error: Error) -> Result<()> {
        let look = self.in_time(self.store.get(key, None, OBJECT_BYTES_MAX));
        let look = tokio::time::timeout(LAST_LOOK, look).await;
        if matches!(look, Ok(Ok(found)) if found.body == *text) {
            return Ok(());
        }
        self.undecided.store(true, Ordering::Relaxed);
        let (plan, id) = (&self.plan, &self.id);
        let what = format!(
            "it is not known whether the backup `{plan}/{id}` was made: the storage did not say what became of its manifest"
        );
        Err(error.context(what).help(help![
            "What was stored is still there. See later whether ",
            Command::List,
            " shows it as complete; if it stays unfinished, ",
            Command::Clean,
            " deletes it."
        ]))
    }
}

/// The PUT that ended so stored nothing.
fn is_not_there(error: &Error) -> bool {
    was_refused(error, actions::PUT) || error.code() == Code::ObjectExists
}

fn was_refused(error: &Error, operation: Operation) -> bool {
    error.refusal().is_some_and(|refused| refused.action == operation.action)
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    /// As if a fault of this program, or a definition that nobody foresaw, had made it so.
    #[tokio::test]
    async fn a_manifest_that_does_not_read_back_is_not_stored() {
        let (folder, sink) = testing::sink();
        let manifest = testing::manifest(&sink).await;
        let key = folder.path().join(layout::backup_key(&sink.plan, &sink.id, layout::MANIFEST));
        let mut wrong = manifest.clone();
        wrong.totals.documents += 1;
        let error = sink.commit(&wrong).await.unwrap_err();
        assert!(
            error.message().contains("no backup was made") && error.message().contains("totals"),
            "{error}"
        );
        assert!(!key.exists() && !sink.is_undecided());
        sink.commit(&manifest).await.unwrap();
        assert!(key.exists());
    }
}
