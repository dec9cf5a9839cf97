//! What is said to a person or a program.

use std::fmt;
use std::io::{self, IsTerminal, Stdout, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use strongroom_engine::{Class, Code, Error, Observer, Result, Silent};
use strongroom_service::control::FieldError;

use crate::exit;
use crate::failure::Failure;
use crate::progress::{Bars, Lines};
use crate::secrets;
use crate::words::{in_line, say, visible};

/// Where answers and progress go.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    /// Whether stdout has what belongs there: one document, or an archive.
    given: AtomicBool,
}

#[derive(Serialize)]
struct Failed<'a> {
    error: FailedText<'a>,
}

#[derive(Serialize)]
struct FailedText<'a> {
    code: &'a str,
    class: Class,
    message: &'a str,
    help: Option<&'a str>,
    /// The nearest first.
    causes: &'a [String],
    /// The fields of a request to a service that are wrong.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    fields: &'a [FieldError],
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, given: AtomicBool::new(false) }
    }

    /// Bars for a person, lines for a pipe.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        if self.quiet {
            Arc::new(Silent)
        } else if io::stderr().is_terminal() && !self.json {
            Arc::new(Bars::new())
        } else {
            Arc::new(Lines::new())
        }
    }

    /// The answer of a command: `text` for a person, `value` for a program.
    pub(crate) fn answer(&self, value: &impl Serialize, text: &impl fmt::Display) -> Result<()> {
        let mut out = self.stdout().lock();
        let written = if self.json {
            serde_json::to_writer_pretty(&mut out, value)
                .map_err(io::Error::from)
                .and_then(|()| writeln!(out))
        } else {
            write!(out, "{}", visible(&text.to_string()))
        };
        match written.and_then(|()| out.flush()) {
            // Who reads with `head` has what was wanted.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
        .map_err(|e| Error::new(Code::Internal, format!("the answer cannot be written: {e}")).caused_by(e))
    }

    /// Stdout, for what the command was asked for; nothing else goes there afterwards.
    pub(crate) fn stdout(&self) -> Stdout {
        self.given.store(true, Ordering::Relaxed);
        io::stdout()
    }

    /// A remark on stderr.
    pub(crate) fn remark(&self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }

    /// Says why a command failed; its exit status.
    pub(crate) fn failed(&self, failure: &Failure) -> ExitCode {
        let message = printable(failure.message());
        say(&indented(&format!("error[{}]: ", failure.code()), 2, &message));
        for field in failure.fields().iter().filter(|field| !message.contains(&field.message)) {
            say(&indented(
                "  field: ",
                9,
                &format!("`{}`: {}", in_line(&field.field), printable(&field.message)),
            ));
        }
        let causes: Vec<String> = failure.causes().into_iter().map(printable).collect();
        for cause in &causes {
            say(&indented("  cause: ", 9, cause));
        }
        let help = failure.help_text().map(|help| printable(&help));
        if let Some(help) = &help {
            say(&indented("  help: ", 8, help));
        }
        if self.json && !self.given.load(Ordering::Relaxed) {
            let (code, class, fields) = (failure.code(), failure.class(), failure.fields());
            let (message, help) = (message.as_str(), help.as_deref());
            let error = FailedText { code, class, message, help, causes: &causes, fields };
            // A reader that is gone cannot be told, and the exit status says it all.
            let _ = serde_json::to_writer_pretty(io::stdout(), &Failed { error })
                .map(|()| writeln!(io::stdout()));
        }
        ExitCode::from(exit::of(failure))
    }

    /// Whether nothing but errors belongs on stderr.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether a program reads the answer.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }
}

/// A text behind its label; further lines stand `columns` from the edge.
fn indented(label: &str, columns: usize, text: &str) -> String {
    format!("{label}{}", text.replace('\n', &format!("\n{:columns$}", "")))
}

fn printable(text: &str) -> String {
    let given = std::env::args_os().chain(std::env::var_os("STRONGROOM_URI"));
    secrets::hide(text, given.map(|text| text.to_string_lossy().into_owned()))
}
