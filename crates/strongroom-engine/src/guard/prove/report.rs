//! What was found, as a card.

use serde::Serialize;
use serde_json::Value;

use super::outcome::{Must, Outcome};
use crate::bucket::facts::Caller;
use crate::guard::judged::Verdict;
use crate::hash::sha256;

/// One probe and what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// A stable name.
    pub id: &'static str,
    /// What is proved, in words.
    pub name: String,
    /// What was sent or looked at.
    pub request: String,
    /// The answer that a locked bucket gives.
    pub expected: String,
    /// The answer that came.
    pub seen: String,
    /// What follows.
    pub verdict: Verdict,
    /// The statement or setting that fixes a fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Value>,
}

/// A probe, before its outcome: a stable name, what is proved, the request, and what must come of it.
pub(super) struct Probe {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) request: String,
    pub(super) must: Must,
}

impl Probe {
    pub(super) fn new(id: &'static str, name: &'static str, must: Must, request: impl Into<String>) -> Self {
        Self { id, name, request: request.into(), must }
    }

    /// What the outcome proves; `fix` is what to do about a fail.
    pub(super) fn judged(self, outcome: &Outcome, fix: Option<Value>) -> Finding {
        let verdict = self.must.judge(outcome);
        let fix = fix.filter(|_| verdict == Verdict::Fail);
        Finding { fix, ..self.finding(verdict, outcome.seen()) }
    }

    /// A finding that is judged in another way.
    pub(super) fn finding(self, verdict: Verdict, seen: impl Into<String>) -> Finding {
        Finding {
            id: self.id,
            name: self.name.into(),
            request: self.request,
            expected: self.must.words().into(),
            seen: seen.into(),
            verdict,
            fix: None,
        }
    }
}

/// How many findings there are of each verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// As it must be.
    pub pass: usize,
    /// Not as it must be.
    pub fail: usize,
    /// It could not be found out.
    pub could_not_tell: usize,
    /// The server cannot do it.
    pub not_offered: usize,
}

impl Counts {
    pub(super) fn of(findings: &[Finding]) -> Self {
        let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
        Self {
            pass: count(Verdict::Pass),
            fail: count(Verdict::Fail),
            could_not_tell: count(Verdict::CouldNotTell),
            not_offered: count(Verdict::NotOffered),
        }
    }
}

/// All that was found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// When the probes began (RFC 3339).
    pub at: String,
    /// The bucket.
    pub bucket: String,
    /// The prefix that was probed.
    pub prefix: String,
    /// The server, where it is not Amazon's.
    pub endpoint: Option<String>,
    /// The bucket's region.
    pub region: String,
    /// Who asked, where the server reports it.
    pub identity: Option<Caller>,
    /// Which identities and policies were proved: `classic`, `single` or `split`.
    pub access: &'static str,
    /// How many findings there are of each verdict.
    pub counts: Counts,
    /// One for each probe.
    pub findings: Vec<Finding>,
    /// What could not be deleted again: keys with their versions.
    pub left_behind: Vec<String>,
}

impl Report {
    /// Whether nothing fails.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.counts.fail == 0
    }

    /// The report as JSON, and the SHA-256 of these very bytes: the evidence.
    #[must_use]
    pub fn evidence(&self) -> (String, String) {
        // All of it is texts and numbers, which always can be written.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        let hash = hex::encode(sha256(text.as_bytes()));
        (text, hash)
    }
}
