//! An event as one line of a log: a stable code, a level, and a sentence. Pure.

use serde::{Deserialize, Serialize};

use crate::progress::{Event, Warning};
use crate::words::{count, in_line, member, namespaces, phase, size, slowed};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// One of very many: each segment, each collection.
    Detail,
    /// A step.
    Info,
    /// Something that a person should know.
    Warning,
}

/// A line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// What happened: `began`, `planned`, `member`, `slowed`, `phase`, `segment`, `namespace`, `probe`, `retrying` or
    /// `changed`, or the code of the [`Warning`], such as `user-may-write`. A code never changes its meaning.
    pub code: String,
    /// How much it matters.
    pub level: Level,
    /// The same in words, in one line. Words may change.
    pub message: String,
}

impl Event {
    /// The line for a log; none for what only a progress bar shows.
    #[must_use]
    pub fn log_line(&self) -> Option<LogLine> {
        let (level, message) = match self {
            Self::Advanced { .. } => return None,
            Self::Segment { key, stored_bytes } => {
                (Level::Detail, format!("`{key}`, {}", size(*stored_bytes)))
            }
            Self::Namespace { name, documents } => {
                (Level::Detail, format!("`{name}`, {}", count(*documents, "document")))
            }
            Self::Began { backup, plan } => (Level::Info, began(backup.as_deref(), plan.as_deref())),
            Self::Planned { namespaces: number, documents, bytes } => {
                let (documents, bytes) = (count(*documents, "document"), size(*bytes));
                (Level::Info, format!("{}, {documents}, {bytes}", namespaces(*number)))
            }
            Self::Member(told) => (Level::Info, member(told)),
            Self::Slowed { member, why } => (Level::Info, slowed(member, why.as_deref())),
            Self::Phase { phase: step } => (Level::Info, phase(*step).to_owned()),
            Self::Probe { id, verdict } => (Level::Info, format!("{id}: {verdict}")),
            Self::Retrying { request, key, why, pause_milliseconds } => {
                (Level::Info, retrying((request, key), why, *pause_milliseconds))
            }
            Self::Changed { what } => (Level::Info, what.clone()),
            Self::Warning(warning) => (Level::Warning, warning.to_string()),
        };
        Some(LogLine { code: self.code(), level, message: in_line(&message) })
    }

    /// Its name as data, which a warning has itself.
    fn code(&self) -> String {
        match self {
            Self::Warning(warning) => warning.code(),
            _ => tag(self, "event"),
        }
    }
}

impl Warning {
    /// Its stable name, such as `user-may-write`.
    #[must_use]
    pub fn code(&self) -> String {
        tag(self, "code")
    }
}

/// The member by which the written form tells one variant from another.
fn tag(value: &impl Serialize, name: &str) -> String {
    let written = serde_json::to_value(value).unwrap_or_default();
    written[name].as_str().unwrap_or_default().to_owned()
}

fn began(backup: Option<&str>, plan: Option<&str>) -> String {
    match (plan, backup) {
        (Some(plan), Some(backup)) => format!("began: backup {plan}/{backup}"),
        (None, Some(backup)) => format!("began: {backup}"),
        (_, None) => "began".to_owned(),
    }
}

/// That a request is sent again, and why.
fn retrying((request, key): (&str, &str), why: &str, pause_milliseconds: u64) -> String {
    let of = if key.is_empty() { String::new() } else { format!(" of `{key}`") };
    format!("{request}{of} failed ({why}); trying again in {:.1} s", pause_milliseconds as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::members::{Member, MemberState};
    use crate::progress::Phase;

    fn line(event: &Event) -> (String, Level, String) {
        let line = event.log_line().unwrap();
        (line.code, line.level, line.message)
    }

    #[test]
    fn every_event_has_a_code_a_level_and_one_line() {
        let member = Member {
            name: "a:27017".into(),
            state: MemberState::Secondary,
            hidden: true,
            lag_seconds: None,
            taken: true,
            reason: "it is hidden".into(),
        };
        let retrying = Event::Retrying {
            request: "PutObject".into(),
            key: "p/b\nx".into(),
            why: "SlowDown".into(),
            pause_milliseconds: 1500,
        };
        let gone = Warning::UserMayWrite { privileges: "`u` may `insert`".into() };
        for (event, code, level, message) in [
            (
                Event::Began { backup: Some("b".into()), plan: Some("p".into()) },
                "began",
                Level::Info,
                "began: backup p/b",
            ),
            (
                Event::Planned { namespaces: 1, documents: 2, bytes: 1024 },
                "planned",
                Level::Info,
                "1 collection or view, 2 documents, 1.0 KiB",
            ),
            (Event::Member(member), "member", Level::Info, "read: a:27017, hidden secondary: it is hidden"),
            (
                Event::Slowed { member: "a".into(), why: None },
                "slowed",
                Level::Info,
                "reading a at full speed again",
            ),
            (Event::Phase { phase: Phase::Reading }, "phase", Level::Info, "reading"),
            (Event::Segment { key: "k".into(), stored_bytes: 5 }, "segment", Level::Detail, "`k`, 5 B"),
            (
                Event::Namespace { name: "a.b".into(), documents: 1 },
                "namespace",
                Level::Detail,
                "`a.b`, 1 document",
            ),
            (Event::Probe { id: "put".into(), verdict: "pass" }, "probe", Level::Info, "put: pass"),
            (
                retrying,
                "retrying",
                Level::Info,
                "PutObject of `p/b\\nx` failed (SlowDown); trying again in 1.5 s",
            ),
            (Event::Changed { what: "made a group".into() }, "changed", Level::Info, "made a group"),
            (
                Event::Warning(gone),
                "user-may-write",
                Level::Warning,
                "`u` may `insert`: for a backup the built-in role `backup` is enough",
            ),
        ] {
            assert_eq!(line(&event), (code.into(), level, message.into()));
        }
        assert_eq!(Event::Advanced { documents: 1, bytes: 1 }.log_line(), None);
    }
}
