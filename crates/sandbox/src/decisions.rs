//! What was decided: for tests that count requests, and for a demo that explains a refusal.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use iam_policy::{Evaluation, Request};

/// How many decisions are remembered.
const REMEMBERED: usize = 10_000;

/// One request and what was decided.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The S3 operation.
    pub operation: String,
    /// What was judged.
    pub request: Request,
    /// The decision and its reasons; none where policies were ignored.
    pub evaluation: Evaluation,
}

#[derive(Debug, Default)]
pub(crate) struct Decisions {
    log: Mutex<VecDeque<Judged>>,
    counts: Mutex<BTreeMap<String, u64>>,
    alarm: Mutex<Option<Alarm>>,
}

/// What is done at a certain request.
struct Alarm {
    /// Requests until then.
    left: u64,
    ring: Box<dyn FnOnce() + Send>,
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alarm").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Decisions {
    pub(crate) fn add(&self, judged: Judged) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == REMEMBERED {
            log.pop_front();
        }
        log.push_back(judged);
    }

    pub(crate) fn count(&self, operation: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(operation.to_owned()).or_default() += 1;
        drop(counts);
        let mut alarm = self.alarm.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = alarm.as_mut() {
            waiting.left = waiting.left.saturating_sub(1);
        }
        if let Some(due) = alarm.take_if(|alarm| alarm.left == 0) {
            drop(alarm);
            (due.ring)();
        }
    }

    pub(crate) fn at(&self, request: u64, ring: Box<dyn FnOnce() + Send>) {
        *self.alarm.lock().unwrap_or_else(PoisonError::into_inner) = Some(Alarm { left: request, ring });
    }

    pub(crate) fn all(&self) -> Vec<Judged> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
