//! What is done to this repository: fetch its tools, test it, show it, measure it.
#![allow(clippy::print_stdout, reason = "these commands talk to a person at a terminal")]

mod bench;
mod demo;
mod fuzz;
mod parts;
mod steps;
mod suite;
#[cfg(test)]
mod tidy;
mod versions;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A step that failed, in words.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", about = "Works on the repository")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Fetch and try what the checks need, and say what is missing here
    Tools,
    /// Run every check: format, lints, all tests, the fuzz target for a minute. Where a part is missing, the checks
    /// that need it are ignored and counted; with CI=true that fails
    Test,
    /// Show the main job for real: mongod, a guarded bucket, backup, verified restore
    Demo {
        /// Leave everything running at the end, until Ctrl-C
        #[arg(long)]
        keep: bool,
    },
    /// Measure backup and restore against reading alone, and against the tools that MONGODUMP and MONGORESTORE name,
    /// and what other clients feel of a backup; or, with --service, the service with a state of years
    Bench {
        /// Measure the service
        #[arg(long, conflicts_with_all = ["runs", "megabytes", "growth"])]
        service: bool,
        #[command(flatten)]
        of_service: bench::service::Options,
        /// Runs of each, of which the median counts
        #[arg(long, default_value_t = 5)]
        runs: usize,
        /// Megabytes of documents
        #[arg(long, default_value_t = 500)]
        megabytes: u64,
        /// Also 250 MB, 1 GB and 4 GB: whether CPU and memory grow with the data
        #[arg(long)]
        growth: bool,
    },
    /// Load the bench's data into a server, to look closer by hand
    Load { uri: String, megabytes: u64 },
    /// Read everything and throw it away (the limit that the bench compares with)
    #[command(hide = true)]
    Drain { uri: String, readers: usize },
    /// Read documents of the bench's data by `_id` until the input ends, and print how long that took
    #[command(hide = true)]
    Reads { uri: String },
}

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            println!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        match Arguments::parse().task {
            Task::Tools => suite::tools().map(drop),
            Task::Test => suite::test(),
            Task::Demo { keep } => demo::run(keep).await,
            Task::Bench { service: true, of_service, .. } => bench::service::run(&of_service).await,
            Task::Bench { runs, megabytes, growth, .. } => bench::run(runs, megabytes, growth).await,
            Task::Load { uri, megabytes } => bench::load(&uri, megabytes).await,
            Task::Drain { uri, readers } => bench::drain(&uri, readers).await,
            Task::Reads { uri } => bench::reads(&uri).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\nfailed: {error}");
            ExitCode::FAILURE
        }
    }
}
