//! The report as one page that needs nothing else: to be kept as evidence. Pure.

use std::fmt::Write;

use super::{Counts, Finding, Report};

/// The page. It holds the report as JSON, whose SHA-256 it shows: who has the page can check it.
#[must_use]
pub fn html(report: &Report) -> String {
    let (evidence, hash) = report.evidence();
    let Counts { pass, fail, could_not_tell, not_offered } = report.counts;
    let verdict = if report.holds() { "Nothing fails" } else { "Something fails" };
    let identity =
        report.identity.as_ref().map_or("not reported by this server", |caller| caller.arn.as_str());
    let server = report.endpoint.as_deref().unwrap_or("Amazon S3");
    let location = format!("s3://{}/{}", report.bucket, report.prefix);
    let mut rows = String::new();
    for finding in &report.findings {
        rows += &row(finding);
    }
    let left: String =
        report.left_behind.iter().map(|key| format!("<li><code>{}</code>", escaped(key))).collect();
    let left = if left.is_empty() {
        String::new()
    } else {
        format!("<h2>Could not be deleted again</h2><ul>{left}</ul>")
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Proof of {location}</title>\n<style>{STYLE}</style>\n\
         <h1>{verdict}</h1>\n<p>{pass} pass, {fail} fail, {could_not_tell} could not be told, {not_offered} not offered here.</p>\n\
         <dl><dt>Bucket</dt><dd>{location}</dd><dt>Server</dt><dd>{server}, {region}</dd><dt>Identity</dt><dd>{identity}</dd>\
         <dt>Access</dt><dd>{access}</dd><dt>Time</dt><dd><time>{at}</time></dd><dt>SHA-256 of the evidence below</dt><dd><code>{hash}</code></dd></dl>\n\
         <table><thead><tr><th>Verdict<th>What is proved<th>Request<th>Expected<th>Seen</tr></thead>\n{rows}</table>\n{left}\n\
         <h2>Evidence</h2>\n<pre id=\"evidence\">{evidence}</pre>\n</html>\n",
        location = escaped(&location),
        server = escaped(server),
        region = escaped(&report.region),
        identity = escaped(identity),
        access = report.access,
        at = report.at,
        evidence = escaped(&evidence),
    )
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid #ccc;overflow-wrap:anywhere}\
dt{font-weight:600}dd{margin:0 0 .4rem}pre{overflow:auto;background:#f4f4f4;padding:1rem}.pass{color:#0a6b2d}.fail{color:#a30000;font-weight:700}\
@media(prefers-color-scheme:dark){body{background:#151515;color:#eee}pre{background:#222}.pass{color:#5fd38d}.fail{color:#ff8a8a}th,td{border-color:#444}}";

fn row(finding: &Finding) -> String {
    let verdict = finding.verdict.as_str();
    let class = verdict.split(' ').next().unwrap_or_default().to_ascii_lowercase();
    let mut cells = format!("<tr><td class=\"{class}\">{verdict}<td>{}", escaped(&finding.name));
    for text in [&finding.request, &finding.expected, &finding.seen] {
        // Writing to a String cannot fail.
        let _ = write!(cells, "<td>{}", escaped(text));
    }
    if let Some(fix) = &finding.fix {
        let _ = write!(cells, "<pre>{}</pre>", escaped(&format!("{fix:#}")));
    }
    cells + "</tr>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
