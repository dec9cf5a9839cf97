//! The commands: each reads its options, calls the engine, and says what came of it.

mod backup;
mod cat;
mod delete;
mod list;
mod restore;
mod show;
mod verify;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use strongroom_engine::bucket::{self, ObjectStore};
use strongroom_engine::catalog;
use strongroom_engine::error::{Code, Error, Result};
use strongroom_engine::manifest::Manifest;
use tokio_util::sync::CancellationToken;

use crate::cli::{Arguments, Command, One};
use crate::output::Output;

/// Runs one command.
pub(crate) async fn run(arguments: Arguments, output: &Output, cancel: CancellationToken) -> Result<()> {
    match arguments.command {
        Command::Backup(options) => backup::run(*options, output, cancel).await,
        Command::Restore(options) => restore::run(*options, output, cancel).await,
        Command::List(options) => until_cancelled(list::run(options, output), cancel).await,
        Command::Show(options) => until_cancelled(show::run(options, output), cancel).await,
        Command::Verify(options) => until_cancelled(verify::run(options, output), cancel).await,
        Command::Cat(options) => until_cancelled(cat::run(options, output), cancel).await,
        // What is begun is ended by the same command later, so it may stop anywhere.
        Command::Delete(options) => until_cancelled(delete::run(options, output), cancel).await,
    }
}

/// For commands that leave nothing behind when they stop in the middle.
async fn until_cancelled<F: Future<Output = Result<()>>>(work: F, cancel: CancellationToken) -> Result<()> {
    tokio::select! {
        outcome = work => outcome,
        () = cancel.cancelled() => Err(Error::new(Code::Cancelled, "cancelled")),
    }
}

pub(crate) fn no_runtime(error: std::io::Error) -> Error {
    Error::new(Code::Internal, "the runtime cannot be started").source(error)
}

#[expect(clippy::disallowed_methods, reason = "this is the edge where the clock is read")]
fn now() -> DateTime<Utc> {
    std::time::SystemTime::now().into()
}

/// Collections read or written at once where nothing is said.
fn parallelism(asked: Option<u16>) -> usize {
    const DEFAULT_MAX: usize = 4;
    match asked {
        Some(asked) => asked.into(),
        None => std::thread::available_parallelism().map_or(1, |cores| cores.get().min(DEFAULT_MAX)),
    }
}

/// The store and the manifest that a command works on.
async fn find(one: One) -> Result<(Arc<dyn ObjectStore>, Manifest)> {
    let store = bucket::open(&one.place.location, one.place.owner.options())?;
    let manifest = catalog::find(&*store, one.place.plan.as_ref(), &one.backup).await?;
    Ok((store, manifest))
}
