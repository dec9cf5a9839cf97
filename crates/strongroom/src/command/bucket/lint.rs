//! `strongroom bucket lint`.

use std::fmt;

use iam_policy::{Finding, Kind, Severity, lint};
use serde::Serialize;
use strongroom_engine::error::{Code, Error, Result};

use super::read;
use crate::cli::bucket::{Lint, LintKind};
use crate::output::Output;
use crate::words::count;

pub(crate) fn run(options: &Lint, output: &Output) -> Result<()> {
    let text = read(&options.file)?;
    let kind = match options.kind {
        Some(LintKind::Identity) => Kind::Identity,
        Some(LintKind::Bucket) => Kind::Resource,
        // Only policies of resources have principals, and they must.
        None if text.contains("\"Principal\"") || text.contains("\"NotPrincipal\"") => Kind::Resource,
        None => Kind::Identity,
    };
    let findings = lint(&text, kind);
    let answer = Answer { findings };
    output.answer(&answer, &answer)?;
    match answer.findings.iter().filter(|finding| finding.severity == Severity::Error).count() {
        0 => Ok(()),
        errors => Err(Error::new(
            Code::NotProved,
            format!("`{}` has {}", options.file.display(), count(errors as u64, "error")),
        )
        .help("Each is listed above, with what to write instead.")),
    }
}

#[derive(Serialize)]
struct Answer {
    findings: Vec<Finding>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.findings.is_empty() {
            return writeln!(f, "nothing found");
        }
        for finding in &self.findings {
            let severity = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            writeln!(f, "{severity}[{}] {}: {}", finding.rule, finding.place, finding.message)?;
            writeln!(f, "  help: {}", finding.help)?;
        }
        Ok(())
    }
}
