//! A command line that makes no sense, in the words and with the codes of every other error.

use std::error::Error as _;
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use strongroom_engine::{Code, Error};

use crate::cli::Arguments;
use crate::exit;
use crate::output::Output;

/// The command line; or how the program ends, when help was asked for or something is wrong.
pub(crate) fn arguments() -> Result<Arguments, ExitCode> {
    Arguments::try_parse().map_err(|refused| match refused.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // A reader that is gone cannot be told.
            let _ = refused.print();
            if refused.use_stderr() { ExitCode::from(exit::status(Code::Usage)) } else { ExitCode::SUCCESS }
        }
        _ => {
            let json = std::env::args_os().any(|argument| argument == "--json");
            Output::new(json, false).failed(&explain(&refused).into())
        }
    })
}

/// A value that the engine refused keeps the engine's code and words, behind the option that it was given to.
fn explain(refused: &clap::Error) -> Error {
    if let Some(error) = refused.source().and_then(|source| source.downcast_ref::<Error>()) {
        return match option(refused) {
            Some(option) => error.clone().context(option),
            None => error.clone(),
        };
    }
    let text = refused.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let (message, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let help = lines(rest);
    let error = Error::new(Code::Usage, lines(message));
    if help.is_empty() { error } else { error.help(help) }
}

/// The option, such as `--max-rate`; none for what stands at a place of its own.
fn option(refused: &clap::Error) -> Option<&str> {
    match refused.get(ContextKind::InvalidArg)? {
        ContextValue::String(argument) => argument.split(' ').next().filter(|name| name.starts_with("--")),
        _ => None,
    }
}

/// The lines that say something, without what clap puts before and after them.
fn lines(text: &str) -> String {
    let shown = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    shown.map(|line| line.strip_prefix("  ").unwrap_or(line)).collect::<Vec<_>>().join("\n")
}
