//! `strongroom`: MongoDB backups in your own bucket.

mod cli;
mod clock;
mod command;
mod exit;
mod failure;
mod help;
mod memory;
mod output;
mod progress;
mod remote;
mod secrets;
mod signals;
mod usage;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match usage::arguments() {
        Ok(arguments) => arguments,
        Err(ended) => return ended,
    };
    let output = output::Output::new(arguments.json, arguments.quiet);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output.failed(&command::no_runtime(error).into()),
    };
    let outcome =
        runtime.block_on(signals::until_asked_twice(|cancel| command::run(arguments, &output, cancel)));
    // A request that hangs must not hold up the end.
    runtime.shutdown_background();
    outcome.map_or_else(|error| output.failed(&error), |()| ExitCode::SUCCESS)
}
