//! What is said to a person or a program.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;
use strongroom_engine::error::{Code, Error, Result};
use strongroom_engine::progress::{Observer, Silent};

use crate::progress::{Bars, Lines};
use crate::words::say;

/// Where answers and progress go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

#[derive(Serialize)]
struct Failure<'a> {
    error: FailureText<'a>,
}

#[derive(Serialize)]
struct FailureText<'a> {
    code: &'static str,
    message: &'a str,
    help: Option<&'a str>,
}

impl Output {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Bars for a person, lines for a pipe.
    pub(crate) fn observer(self) -> Arc<dyn Observer> {
        if self.quiet {
            Arc::new(Silent)
        } else if io::stderr().is_terminal() && !self.json {
            Arc::new(Bars::new())
        } else {
            Arc::new(Lines::new())
        }
    }

    /// The answer of a command: `text` for a person, `value` for a program.
    pub(crate) fn answer(self, value: &impl Serialize, text: &impl fmt::Display) -> Result<()> {
        let mut out = io::stdout().lock();
        let written = if self.json {
            serde_json::to_writer_pretty(&mut out, value)
                .map_err(io::Error::from)
                .and_then(|()| writeln!(out))
        } else {
            write!(out, "{text}")
        };
        written
            .and_then(|()| out.flush())
            .map_err(|e| Error::new(Code::Internal, format!("the answer cannot be written: {e}")).source(e))
    }

    /// A remark on stderr.
    pub(crate) fn remark(self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }

    /// Says why a command failed; its exit status.
    pub(crate) fn failed(self, error: &Error) -> ExitCode {
        say(&format!("error[{}]: {error}", error.code().as_str()));
        if let Some(cause) = std::error::Error::source(error) {
            say(&format!("  cause: {cause}"));
        }
        if let Some(help) = error.help_text() {
            say(&format!("  help: {help}"));
        }
        if self.json {
            let code = error.code().as_str();
            let failure =
                Failure { error: FailureText { code, message: error.message(), help: error.help_text() } };
            // A reader that is gone cannot be told, and the exit status says it all.
            let _ = serde_json::to_writer_pretty(io::stdout(), &failure).map(|()| writeln!(io::stdout()));
        }
        ExitCode::from(error.code().exit_status())
    }
}
