//! The probes: a request, the answer it must get, the answer it got.

mod backups;
mod needed;
mod outside;
mod refused;
mod separation;
mod strangers;

use serde_json::{Value, json};

use super::Verdict;
use super::bench::Bench;
use super::outcome::{Must, Outcome};
use super::report::Probe;
use crate::bucket::probe::{Answer, Oddity};

/// What fixes a setting of the bucket that a probe found wrong.
fn setting(name: &str, to: &str) -> Option<Value> {
    Some(json!({"setting": name, "to": to, "command": super::posture::PROVISION}))
}

impl Bench<'_> {
    fn judge(&mut self, probe: Probe, outcome: impl Into<Outcome>, fix: Option<Value>) {
        let finding = probe.judged(&outcome.into(), fix);
        self.found(finding);
    }

    fn must_refuse(
        &mut self,
        (id, name): (&'static str, &'static str),
        request: impl Into<String>,
        outcome: impl Into<Outcome>,
        fix: Option<Value>,
    ) {
        self.judge(Probe::new(id, name, Must::BeRefused, request), outcome, fix);
    }

    /// What cannot be tried here, and why.
    fn cannot(&mut self, (id, name): (&'static str, &'static str), why: &str) {
        let probe = Probe::new(id, name, Must::BeRefused, "none");
        self.found(probe.finding(Verdict::NotOffered, why));
    }

    /// As the plan's backups ask for it.
    fn wanted(&self) -> Oddity {
        Oddity { sse: self.settings.sse.clone(), ..Oddity::default() }
    }
}
