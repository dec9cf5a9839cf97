//! What the probes made in the bucket, so that all of it can be deleted again, whatever happens.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::bucket::actions::PUT;
use crate::bucket::probe::Answer;
use crate::bucket::{Fetched, Listing, ObjectStore, Sse, Stored};
use crate::error::Result;
use crate::location::Location;

/// Something that a request made, or may have made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Made {
    /// A version of an object; in a bucket without versions it has no id.
    Object { key: String, version: Option<String> },
    /// What a PUT may have made that was given up before its answer came. It may still arrive.
    Sent { key: String },
    /// What a PUT may have made that got no answer, or one that does not say.
    Unanswered { key: String },
    /// An upload in parts; its id is unknown until the answer came.
    Upload { key: String, id: Option<String> },
}

/// The list of it. An entry is added before its request is sent: a request that is given up may still arrive.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Vec<Made>>);

impl Ledger {
    fn entries(&self) -> MutexGuard<'_, Vec<Made>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A PUT is about to be sent.
    pub(super) fn sent(&self, key: &str) {
        self.entries().push(Made::Sent { key: key.into() });
    }

    /// No answer to the PUT will come, or it does not say what is there.
    fn unanswered(&self, key: &str) {
        self.settled(key);
        self.entries().push(Made::Unanswered { key: key.into() });
    }

    /// The PUT made this.
    pub(super) fn stored(&self, key: &str, version: Option<String>) {
        self.settled(key);
        self.entries().push(Made::Object { key: key.into(), version });
    }

    /// The outcome of a PUT is known.
    fn settled(&self, key: &str) {
        let mut entries = self.entries();
        if let Some(place) = entries.iter().rposition(|made| *made == Made::Sent { key: key.into() }) {
            entries.remove(place);
        }
    }

    /// What the answer to a PUT says about what is there now. Requests are repeated: a conflict may be with the object
    /// that the first try made, unless that object was known before. After any other error the outcome is open.
    pub(super) fn answered(&self, key: &str, answer: &Answer) {
        let known =
            || self.entries().iter().any(|made| matches!(made, Made::Object { key: of, .. } if of == key));
        match answer {
            Answer::Done(done) => self.stored(key, done.version_id.clone()),
            Answer::Error { status: 412, .. } if known() => self.settled(key),
            Answer::Error { status: 400..=408 | 410..=411 | 413..=499 | 501, .. } => self.settled(key),
            Answer::Error { .. } | Answer::Silence(_) => self.unanswered(key),
        }
    }

    /// An upload in parts is about to begin, or began.
    pub(super) fn upload(&self, key: &str, id: Option<&str>) {
        self.upload_ended(key);
        self.entries().push(Made::Upload { key: key.into(), id: id.map(str::to_owned) });
    }

    /// There is no upload of this key any more.
    pub(super) fn upload_ended(&self, key: &str) {
        self.entries().retain(|made| !matches!(made, Made::Upload { key: of, .. } if of == key));
    }

    /// This version is gone.
    pub(super) fn deleted(&self, key: &str, version: Option<&str>) {
        let gone = Made::Object { key: key.into(), version: version.map(str::to_owned) };
        self.entries().retain(|made| *made != gone);
    }

    /// All that is still there, or may be, the newest first.
    pub(super) fn take(&self) -> Vec<Made> {
        let mut entries = std::mem::take(&mut *self.entries());
        entries.reverse();
        entries
    }
}

/// A store whose changes are noted in the ledger.
#[derive(Debug)]
pub(super) struct Noted {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) ledger: Arc<Ledger>,
}

impl Noted {
    /// The key from the bucket's root.
    fn whole(&self, key: &str) -> String {
        match self.store.location() {
            Location::S3 { prefix, .. } if !prefix.is_empty() => format!("{prefix}/{key}"),
            _ => key.to_owned(),
        }
    }
}

#[async_trait]
impl ObjectStore for Noted {
    fn location(&self) -> &Location {
        self.store.location()
    }

    async fn put(&self, key: &str, body: Bytes, sha256: &[u8; 32], sse: &Sse) -> Result<Stored> {
        let whole = self.whole(key);
        self.ledger.sent(&whole);
        let answer = self.store.put(key, body, sha256, sse).await;
        match &answer {
            Ok(stored) => self.ledger.stored(&whole, stored.version_id.clone()),
            Err(error) if error.refusal().is_some_and(|refused| refused.action == PUT.action) => {
                self.ledger.settled(&whole);
            }
            Err(_) => self.ledger.unanswered(&whole),
        }
        answer
    }

    async fn get(&self, key: &str, version_id: Option<&str>, bytes_max: u64) -> Result<Fetched> {
        self.store.get(key, version_id, bytes_max).await
    }

    async fn get_start(&self, key: &str, bytes_max: u64) -> Result<Fetched> {
        self.store.get_start(key, bytes_max).await
    }

    async fn list(&self, folder: &str) -> Result<Listing> {
        self.store.list(folder).await
    }

    async fn delete(&self, key: &str, version_id: Option<&str>) -> Result<()> {
        self.store.delete(key, version_id).await?;
        self.ledger.deleted(&self.whole(key), version_id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::probe::Done;

    fn error(status: u16) -> Answer {
        Answer::Error { status, code: String::new(), message: String::new() }
    }

    #[test]
    fn what_may_be_there_stays_in_the_ledger_until_an_answer_says_otherwise() {
        for (answer, left) in [
            (error(403), vec![]),
            (Answer::Done(Done::default()), vec![Made::Object { key: "k".into(), version: None }]),
            (error(412), vec![Made::Unanswered { key: "k".into() }]),
            (error(503), vec![Made::Unanswered { key: "k".into() }]),
            (Answer::Silence(String::new()), vec![Made::Unanswered { key: "k".into() }]),
        ] {
            let ledger = Ledger::default();
            ledger.sent("k");
            ledger.answered("k", &answer);
            assert_eq!(ledger.take(), left, "{answer:?}");
        }
    }

    #[test]
    fn a_conflict_with_an_object_that_is_known_makes_nothing_new() {
        let ledger = Ledger::default();
        ledger.stored("k", Some("1".into()));
        ledger.sent("k");
        ledger.answered("k", &error(412));
        ledger.deleted("k", Some("1"));
        assert_eq!(ledger.take(), []);
    }

    #[test]
    fn an_upload_is_named_by_its_id_once_there_is_one() {
        let ledger = Ledger::default();
        ledger.upload("k", None);
        ledger.upload("k", Some("u"));
        assert_eq!(ledger.take(), [Made::Upload { key: "k".into(), id: Some("u".into()) }]);
    }
}
