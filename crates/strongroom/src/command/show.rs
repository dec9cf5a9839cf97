//! `strongroom show`.

use std::fmt;

use strongroom_engine::{Manifest, NamespaceKind, Result};

use super::backup::encryption;
use crate::cli::One;
use crate::output::Output;
use crate::words::{consistency, in_line, member as in_words, oplog_window, size, time, totals};

pub(crate) async fn run(options: One, output: &Output) -> Result<()> {
    let (_, manifest) = super::find(options, output.observer()).await?;
    output.answer(&manifest, &Text(&manifest))
}

struct Text<'a>(&'a Manifest);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manifest = self.0;
        let source = &manifest.source;
        writeln!(f, "backup      {} of plan {}", manifest.id, manifest.plan)?;
        writeln!(f, "taken       {} to {}", time(manifest.started_at), time(manifest.finished_at))?;
        writeln!(
            f,
            "from        MongoDB {} at {}, {}",
            in_line(&source.server_version),
            in_line(&source.member),
            in_line(&source.member_reason)
        )?;
        for member in &source.members {
            writeln!(f, "            {}", in_words(member))?;
        }
        writeln!(f, "moment      {}", consistency(&manifest.consistency))?;
        if let Some(window) = &manifest.oplog {
            writeln!(f, "oplog       {}", oplog_window(window))?;
            if let Some(cause) = &window.cut_short {
                writeln!(f, "            {}", in_line(cause))?;
            }
        }
        writeln!(f, "security    {}", in_line(&encryption(manifest)))?;
        writeln!(f, "size        {}", totals(manifest.totals))?;
        for exception in &manifest.exceptions {
            writeln!(f, "missing     {}", in_line(exception))?;
        }
        writeln!(f)?;
        writeln!(f, "{:<44} {:<11} {:>12} {:>10}", "NAMESPACE", "TYPE", "DOCUMENTS", "SIZE")?;
        for namespace in manifest.namespaces.iter().filter(|n| n.kind != NamespaceKind::Oplog) {
            let (name, kind) = (namespace.name().escape_debug().to_string(), namespace.kind.as_str());
            writeln!(f, "{name:<44} {kind:<11} {:>12} {:>10}", namespace.documents, size(namespace.bytes))?;
        }
        Ok(())
    }
}
