//! What is said to a person or a program.

use std::fmt;
use std::io::{self, IsTerminal, Stdout, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use strongroom_engine::{Class, Code, Error, Observer, Result, Silent};

use crate::progress::{Bars, Lines};
use crate::secrets;
use crate::words::{say, visible};
use crate::{exit, help};

/// Where answers and progress go.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    /// Whether stdout has what belongs there: one document, or an archive.
    given: AtomicBool,
}

#[derive(Serialize)]
struct Failure<'a> {
    error: FailureText<'a>,
}

#[derive(Serialize)]
struct FailureText<'a> {
    code: &'static str,
    class: Class,
    message: &'a str,
    help: Option<&'a str>,
    /// The nearest first.
    causes: &'a [String],
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
    pub(crate) fn failed(&self, error: &Error) -> ExitCode {
        let message = printable(error.message());
        say(&indented(&format!("error[{}]: ", error.code().as_str()), 2, &message));
        let causes: Vec<String> = error.causes().map(printable).collect();
        for cause in &causes {
            say(&indented("  cause: ", 9, cause));
        }
        let help = error.help_text().map(|help| printable(&help::in_words(help)));
        if let Some(help) = &help {
            say(&indented("  help: ", 8, help));
        }
        if self.json && !self.given.load(Ordering::Relaxed) {
            let code = error.code().as_str();
            let failure = Failure {
                error: FailureText {
                    code,
                    class: error.code().class(),
                    message: &message,
                    help: help.as_deref(),
                    causes: &causes,
                },
            };
            // A reader that is gone cannot be told, and the exit status says it all.
            let _ = serde_json::to_writer_pretty(io::stdout(), &failure).map(|()| writeln!(io::stdout()));
        }
        ExitCode::from(exit::status(error.code()))
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
