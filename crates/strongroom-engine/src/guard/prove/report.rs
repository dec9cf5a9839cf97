//! What was found, as a card.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::bucket::facts::Caller;
use crate::guard::settings::Settings;
use crate::hash::sha256;

/// What comes of one probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it must be.
    Pass,
    /// Not as it must be.
    Fail,
    /// It could not be found out.
    CouldNotTell,
    /// The server cannot do this.
    NotOffered,
}

impl Verdict {
    /// As a person reads it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::CouldNotTell => "could not tell",
            Self::NotOffered => "not offered here",
        }
    }
}

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
    /// The statement or setting that mends a fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<Value>,
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
    /// Who asked, where the server tells.
    pub identity: Option<Caller>,
    /// The profile that was proved.
    pub profile: &'static str,
    /// How many passed, failed, could not be told, are not offered.
    pub counts: [usize; 4],
    /// One for each probe.
    pub findings: Vec<Finding>,
    /// What could not be deleted again.
    pub left_behind: Vec<String>,
}

impl Report {
    pub(super) fn new(
        settings: &Settings,
        at: DateTime<Utc>,
        endpoint: Option<String>,
        region: String,
        identity: Option<Caller>,
        findings: Vec<Finding>,
        left_behind: Vec<String>,
    ) -> Self {
        let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
        let counts = [Verdict::Pass, Verdict::Fail, Verdict::CouldNotTell, Verdict::NotOffered].map(count);
        Self {
            at: at.to_rfc3339_opts(SecondsFormat::Secs, true),
            bucket: settings.bucket.clone(),
            prefix: settings.prefix.clone(),
            endpoint,
            region,
            identity,
            profile: settings.profile.as_str(),
            counts,
            findings,
            left_behind,
        }
    }

    /// Whether nothing fails.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.counts[1] == 0
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
