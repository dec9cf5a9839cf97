//! Figures of the service with a state of years: ten thousand plans, a million runs. Each stands beside the bound that it
//! must keep, and what is missed is said to be.

mod clock;
mod figure;
mod hourly;
mod lists;
mod loops;
mod place;
mod process;
mod seed;

use std::process::Command;

use clap::Args;

use self::place::{Engine, Place};
use crate::Outcome;
use crate::steps;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// With --service: where the state is
    #[arg(long, value_enum, default_value_t = Engine::Sqlite, requires = "service")]
    state: Engine,
    /// With --service: plans
    #[arg(long, default_value_t = 10_000, requires = "service")]
    plans: usize,
    /// With --service: past runs of all plans together
    #[arg(long, default_value_t = 1_000_000, requires = "service")]
    past_runs: usize,
    /// With --service: measure the debug build, to try the bench itself
    #[arg(long, requires = "service")]
    debug: bool,
}

pub(crate) async fn run(options: &Options) -> Outcome {
    if cfg!(debug_assertions) && !options.debug {
        return with_release_build();
    }
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let place = Place::new(options.state)?;
    println!(
        "{} plans, {} past runs, state in {:?}, {} cores\n",
        options.plans,
        options.past_runs,
        options.state,
        super::cores()
    );
    let seeded = seed::seed(&place, options.plans, options.past_runs).await?;
    let process = process::start(&place).await?;
    lists::measure(&process, &seeded).await?;
    process.at_rest().await?;
    hourly::measure(&process, &seeded, &place).await?;
    process.end().await?;
    loops::measure(&place, &seeded).await
}

/// Builds with all optimisations, and lets that build measure.
fn with_release_build() -> Outcome {
    println!("building strongroom with all optimisations (about ten minutes the first time)");
    let build = ["build", "--release", "--package", "strongroom", "--package", "xtask"];
    steps::run(Command::new(env!("CARGO")).args(build).current_dir(steps::root()))?;
    let mut release = std::env::current_exe()?;
    release.pop();
    release.pop();
    steps::run(Command::new(release.join("release/xtask")).args(std::env::args_os().skip(1)))
}
