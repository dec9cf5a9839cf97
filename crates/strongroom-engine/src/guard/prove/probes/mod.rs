//! The probes: a request, the answer it must get, the answer it got.

mod backups;
mod needed;
mod others;
mod refused;

use serde_json::Value;

use super::{Bench, Finding, Verdict};
use crate::bucket::actions::Role;
use crate::bucket::probe::{Answer, Oddity, Way};
use crate::error::{Code, Error};

const BODY: &[u8] = b"strongroom proves this bucket; this object is deleted again at once\n";

/// What a probe must be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    Work,
    BeRefused,
    /// Refused because something is there already.
    Conflict,
}

impl Must {
    fn words(self) -> &'static str {
        match self {
            Self::Work => "done",
            Self::BeRefused => "refused",
            Self::Conflict => "412, because it is there already",
        }
    }

    fn judge(self, answer: &Answer) -> Verdict {
        let holds = match self {
            Self::Work => answer.done(),
            Self::BeRefused => answer.refused(),
            Self::Conflict => answer.status == Some(412),
        };
        match (holds, self) {
            (true, _) => Verdict::Pass,
            (false, _) if answer.not_offered() => Verdict::NotOffered,
            (false, Self::Work) => Verdict::Fail,
            // It was done although it must not be.
            (false, _) if answer.done() => Verdict::Fail,
            // Neither done nor refused: a connection, a time-out, an error of the server.
            (false, _) => Verdict::CouldNotTell,
        }
    }
}

fn seen(answer: &Answer) -> String {
    match (answer.status, answer.code.is_empty()) {
        (None, _) => format!("no answer: {}", answer.message),
        (Some(status), true) => match &answer.encryption {
            Some(mode) => format!("{status}, encryption {mode}"),
            None => status.to_string(),
        },
        (Some(status), false) if answer.message.is_empty() => format!("{status} {}", answer.code),
        (Some(status), false) => format!("{status} {}: {}", answer.code, answer.message),
    }
}

/// What is probed, before the answer.
struct Probe {
    id: &'static str,
    name: &'static str,
    request: String,
    must: Must,
}

fn probe(id: &'static str, name: &'static str, request: impl Into<String>, must: Must) -> Probe {
    Probe { id, name, request: request.into(), must }
}

impl Bench<'_> {
    fn must_refuse(
        &mut self,
        id: &'static str,
        name: &'static str,
        request: impl Into<String>,
        answer: &Answer,
        mend: Option<Value>,
    ) {
        self.find(probe(id, name, request, Must::BeRefused), answer, mend);
    }

    fn find(&mut self, probe: Probe, answer: &Answer, mend: Option<Value>) {
        let verdict = probe.must.judge(answer);
        self.findings.push(Finding {
            id: probe.id,
            name: probe.name.into(),
            request: probe.request,
            expected: probe.must.words().into(),
            seen: seen(answer),
            verdict,
            mend: mend.filter(|_| verdict == Verdict::Fail),
        });
    }

    /// As the plan's backups ask for it.
    fn wanted(&self) -> Oddity {
        Oddity { sse: self.settings.sse.clone(), ..Oddity::default() }
    }

    /// Puts an object, and remembers it if it is there now.
    async fn put(&mut self, role: Role, way: Way, name: &str, odd: &Oddity) -> Answer {
        let key = self.key(name);
        self.put_at(role, way, &key, odd).await
    }

    async fn put_at(&mut self, role: Role, way: Way, key: &str, odd: &Oddity) -> Answer {
        let answer = self.identity(role).prober.put(way, key, BODY, odd).await;
        // Without an answer it may be there as well.
        if answer.done() || answer.status.is_none() {
            self.made.push((key.to_owned(), answer.version_id.clone()));
        }
        answer
    }

    fn forgotten(&mut self, key: &str) {
        self.made.retain(|(made, _)| made != key);
    }

    fn cannot(&mut self, id: &'static str, name: &str, why: &str) {
        self.findings.push(Finding {
            id,
            name: name.into(),
            request: "none".into(),
            expected: "refused".into(),
            seen: why.into(),
            verdict: Verdict::NotOffered,
            mend: None,
        });
    }
}

/// What came of real work, as an answer.
fn of(error: Option<&Error>) -> Answer {
    let Some(error) = error else { return Answer { status: Some(200), ..Answer::default() } };
    let status = match error.code() {
        Code::Denied => Some(403),
        Code::ObjectMissing | Code::NotABackup | Code::BucketMissing => Some(404),
        Code::StoreHost => None,
        _ => Some(500),
    };
    Answer {
        status,
        code: error.code().as_str().into(),
        message: error.message().into(),
        ..Answer::default()
    }
}
