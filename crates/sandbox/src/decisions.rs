//! What was decided: for tests that count requests, and for a demo that explains a refusal.

use std::collections::{BTreeMap, VecDeque};
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
    }

    pub(crate) fn all(&self) -> Vec<Judged> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
