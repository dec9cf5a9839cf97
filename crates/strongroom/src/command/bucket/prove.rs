//! `strongroom bucket prove`.

use std::fmt;

use serde_json::Value;
use strongroom_engine::bucket::actions::Role;
use strongroom_engine::guard::{Access, Counts, Credentials, Report, Settings, Verdict, html, prove};
use strongroom_engine::{Code, Error, Result, Waits};

use tokio_util::sync::CancellationToken;

use crate::cli::bucket::Prove;
use crate::command::job;
use crate::output::Output;

pub(crate) async fn run(options: &Prove, output: &Output, cancel: CancellationToken) -> Result<()> {
    let settings = options.wanted.settings()?;
    let credentials = credentials(options, &settings)?;
    let report = prove(&settings, &credentials, &job(output, cancel, Waits::default())).await?;
    if let Some(path) = &options.html {
        std::fs::write(path, html(&report))
            .map_err(|e| Error::new(Code::Usage, format!("`{}` cannot be written: {e}", path.display())))?;
    }
    let (evidence, hash) = report.evidence();
    let mut value: Value = serde_json::from_str(&evidence).unwrap_or_default();
    value["sha256"] = Value::from(hash.as_str());
    value["holds"] = Value::from(report.holds());
    output.answer(&value, &Card { report: &report, hash: &hash })?;
    if report.holds() {
        return Ok(());
    }
    let failed: Vec<&str> =
        report.findings.iter().filter(|f| f.verdict == Verdict::Fail).map(|f| f.id).collect();
    Err(Error::new(
        Code::NotProved,
        format!("the bucket is not secured as it should be: {}", failed.join(", ")),
    )
    .help("Each fail above says what fixes it; `strongroom bucket provision` fixes most of them."))
}

fn credentials(options: &Prove, settings: &Settings) -> Result<Credentials> {
    let profiles = [&options.writer_profile, &options.restorer_profile, &options.pruner_profile];
    if settings.access == Access::Split && profiles.iter().any(|profile| profile.is_none()) {
        return Err(Error::new(Code::Usage, "--access split is proved with three identities")
            .help("Name their AWS profiles: --writer-profile, --restorer-profile and --pruner-profile."));
    }
    let of_role = |(role, profile): (Role, &Option<String>)| (role, options.of_profile(profile.as_ref()));
    let roles = Role::ALL.into_iter().zip(profiles).map(of_role);
    let admin = options.admin_profile.as_ref().map(|profile| options.of_profile(Some(profile)));
    Ok(Credentials { roles: roles.collect(), admin })
}

struct Card<'a> {
    report: &'a Report,
    hash: &'a str,
}

impl fmt::Display for Card<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report;
        let server = report.endpoint.as_deref().unwrap_or("Amazon S3");
        writeln!(
            f,
            "s3://{}/{} at {server}, {}, access {}",
            report.bucket, report.prefix, report.region, report.access
        )?;
        if let Some(caller) = &report.identity {
            writeln!(f, "as {}, {}", caller.arn, report.at)?;
        }
        for finding in &report.findings {
            writeln!(f, "{:>16}  {}", finding.verdict.as_str(), finding.name)?;
            if finding.verdict != Verdict::Pass {
                writeln!(
                    f,
                    "{:>16}    {}: expected {}, saw {}",
                    "", finding.request, finding.expected, finding.seen
                )?;
            }
            if let Some(fix) = &finding.fix {
                writeln!(f, "{:>16}    fix: {fix}", "")?;
            }
        }
        for key in &report.left_behind {
            writeln!(f, "could not be deleted again: {key}")?;
        }
        let Counts { pass, fail, could_not_tell, not_offered } = report.counts;
        writeln!(
            f,
            "{pass} pass, {fail} fail, {could_not_tell} unknown, {not_offered} not offered by this server"
        )?;
        writeln!(f, "SHA-256 of the evidence: {}", self.hash)
    }
}
