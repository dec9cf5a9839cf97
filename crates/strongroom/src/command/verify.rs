//! `strongroom verify`.

use std::fmt;

use serde::Serialize;
use strongroom_engine::{Code, Error, Job, Result, VerifyReport as Report, verify};

use crate::cli::Verify;
use crate::output::Output;
use crate::words::{count, in_line, size};

pub(crate) async fn run(options: Verify, output: &Output, job: Job) -> Result<()> {
    let (store, manifest) = job.unless_cancelled(super::find(options.one, job.observer.clone())).await?;
    let report = verify(store, &manifest, options.readers.into(), &job).await?;
    drop(job);
    let answer = Answer { id: &manifest.id, sound: report.problems.is_empty(), report: &report };
    output.answer(&answer, &answer)?;
    match report.problems.len() {
        0 => Ok(()),
        problems => Err(Error::new(Code::Damaged, format!("backup `{}` has {}", manifest.id, count(problems as u64, "problem")))
            .help("Use another backup, or restore earlier versions of the damaged objects, and find out what changed them.")),
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    id: &'a str,
    sound: bool,
    #[serde(flatten)]
    report: &'a Report,
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report;
        for problem in &report.problems {
            let of = problem.namespace.as_ref().map(|name| format!("`{name}`: ")).unwrap_or_default();
            writeln!(f, "damaged: {}", in_line(&format!("{of}{}", problem.message)))?;
        }
        let verdict = if self.sound { "is intact" } else { "is damaged" };
        writeln!(
            f,
            "backup {} {verdict}: {}, {} fetched, {} checked",
            self.id,
            count(report.segments, "segment"),
            size(report.stored_bytes),
            count(report.documents, "document")
        )
    }
}
