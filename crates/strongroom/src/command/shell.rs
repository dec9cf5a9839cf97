//! `strongroom completions` and `strongroom man`: made from the command line itself.

use std::fs;
use std::io::{self, Write};

use clap::{Command, CommandFactory};
use strongroom_engine::{Code, Error, Result};

use crate::cli::Arguments;
use crate::cli::serve::{Completions, Man};
use crate::output::Output;

/// The name of the program.
const NAME: &str = "strongroom";

pub(crate) fn completions(options: &Completions, output: &Output) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Arguments::command(), NAME, &mut script);
    print(&script, output)
}

pub(crate) fn man(options: &Man, output: &Output) -> Result<()> {
    let Some(folder) = &options.folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(pages()).render(&mut page).map_err(unwritten)?;
        return print(&page, output);
    };
    fs::create_dir_all(folder).map_err(unwritten)?;
    clap_mangen::generate_to(pages(), folder).map_err(unwritten)
}

/// The command line with the example of each command where pages show it: they leave out what stands before a help.
fn pages() -> Command {
    with_examples(Arguments::command())
}

fn with_examples(command: Command) -> Command {
    let command = command.mut_subcommands(with_examples);
    match command.get_before_help().map(ToString::to_string) {
        Some(example) => command.after_long_help(example),
        None => command,
    }
}

fn print(text: &[u8], output: &Output) -> Result<()> {
    match output.stdout().write_all(text) {
        // Who reads with `head` has what was wanted.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(unwritten),
    }
}

fn unwritten(why: io::Error) -> Error {
    Error::new(Code::Internal, format!("cannot be written: {why}")).caused_by(why)
}
