//! The commands: each reads its options, calls the engine, and says what came of it.

mod backup;
mod bucket;
mod cat;
mod clean;
mod delete;
mod key;
mod list;
mod restore;
mod serve;
mod service;
mod shell;
mod show;
mod verify;

use std::io::{self, BufRead, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use strongroom_engine::bucket::{ObjectStore, StoreOptions};
use strongroom_engine::deployment::ConnectionString;
use strongroom_engine::{Code, Error, Filter, Help, Job, Manifest, Observer, Result, Waits, catalog, guard};
use tokio_util::sync::CancellationToken;

use crate::cli::{Arguments, Command, One, Uri};
use crate::clock::SystemClock;
use crate::failure::{self, Failure};
use crate::output::Output;

/// Runs one command. What was refused is explained.
pub(crate) async fn run(
    arguments: Arguments,
    output: &Output,
    cancel: CancellationToken,
) -> failure::Result<()> {
    match one(arguments.command, output, cancel.clone()).await {
        Err(Failure::Here(error)) => Err(explained(error, cancel).await.into()),
        done => done,
    }
}

async fn one(command: Command, output: &Output, cancel: CancellationToken) -> failure::Result<()> {
    match command {
        Command::Service(command) => service::run(command, output, cancel).await,
        command => Ok(here(command, output, cancel).await?),
    }
}

/// Commands that work on this machine, without a service.
async fn here(command: Command, output: &Output, cancel: CancellationToken) -> Result<()> {
    match command {
        Command::Backup(options) => backup::run(*options, output, cancel).await,
        Command::Restore(options) => restore::run(*options, output, cancel).await,
        Command::List(options) => until_cancelled(list::run(options, output), cancel).await,
        Command::Show(options) => until_cancelled(show::run(options, output), cancel).await,
        Command::Verify(options) => {
            let job = job(output, cancel, options.one.place.store.waits());
            verify::run(options, output, job).await
        }
        Command::Cat(options) => {
            let job = job(output, cancel, options.one.place.store.waits());
            cat::run(options, output, job).await
        }
        Command::Delete(options) => {
            let job = job(output, cancel, options.place.store.waits());
            delete::run(options, output, job).await
        }
        Command::Clean(options) => {
            let job = job(output, cancel, options.place.store.waits());
            clean::run(options, output, job).await
        }
        Command::Bucket(command) => bucket::run(command, output, cancel).await,
        Command::Serve(options) => serve::run(options, output, cancel).await,
        Command::Key(command) => until_cancelled(key::run(command, output), cancel).await,
        Command::Completions(options) => shell::completions(&options, output),
        Command::Man(options) => shell::man(&options, output),
        Command::Service(_) => Err(Error::new(Code::Internal, "a service is asked elsewhere")),
    }
}

/// Which statement refused a request, or which is missing, if the policies may be read.
async fn explained(error: Error, cancel: CancellationToken) -> Error {
    const LONGEST: Duration = Duration::from_secs(10);
    let Some(refused) = error.refusal().cloned() else { return error };
    let (profile, role) = (refused.profile.clone(), refused.role.clone());
    let options = StoreOptions { profile, role, ..StoreOptions::default() };
    let told = tokio::select! {
        told = tokio::time::timeout(LONGEST, guard::explain_refusal(&options, &refused)) => told.ok().flatten(),
        () = cancel.cancelled() => None,
    };
    let Some(told) = told else { return error };
    let because = told.because.join("; ");
    let statement = told.statement.map(|statement| format!(" {statement}")).unwrap_or_default();
    let because = if because.is_empty() { because } else { format!("{because}. ") };
    error.help(Help::new(
        [because.into()].into_iter().chain(told.advice.parts().iter().cloned()).chain([statement.into()]),
    ))
}

/// Asks a person to confirm; without a person, --yes has to.
fn confirm(question: &str, otherwise: &str, output: &Output) -> Result<()> {
    if !io::stdin().is_terminal() {
        return Err(Error::new(
            Code::Usage,
            format!("stdin is not a terminal, so nobody can confirm: {question}"),
        )
        .help("Pass --yes to go ahead without asking."));
    }
    output.remark(&format!("{question} Type `yes` to go ahead:"));
    let mut answer = String::new();
    match io::stdin().lock().read_line(&mut answer) {
        Ok(_) if answer.trim() == "yes" => Ok(()),
        _ => Err(Error::new(Code::Cancelled, otherwise)),
    }
}

/// For commands that leave nothing behind when they stop in the middle.
async fn until_cancelled<F: Future<Output = Result<()>>>(work: F, cancel: CancellationToken) -> Result<()> {
    tokio::select! {
        outcome = work => outcome,
        () = cancel.cancelled() => Err(Error::new(Code::Cancelled, "cancelled")),
    }
}

pub(crate) fn no_runtime(error: io::Error) -> Error {
    Error::new(Code::Internal, "the runtime cannot be started").caused_by(error)
}

/// The surroundings of a job: progress goes to stderr, `cancel` stops it.
fn job(output: &Output, cancel: CancellationToken, waits: Waits) -> Job {
    Job { observer: output.observer(), cancel, clock: Arc::new(SystemClock), waits }
}

/// The connection string; a remark names the options in it that are ignored.
fn uri(given: Uri, selected: &Filter, output: &Output) -> Result<ConnectionString> {
    let uri = given.read(selected)?;
    for option in uri.ignored_options() {
        output.remark(&format!(
            "warning: the option `{option}` of the MongoDB URI is not known, and is ignored"
        ));
    }
    Ok(uri)
}

/// Collections read or written at once.
fn at_once(asked: Option<u16>) -> usize {
    asked.map_or_else(strongroom_engine::settings::at_once_default, usize::from)
}

/// The store and the manifest that a command works on.
async fn find(one: One, observer: Arc<dyn Observer>) -> Result<(Arc<dyn ObjectStore>, Manifest)> {
    let store = strongroom_engine::bucket::open(&one.place.location, one.place.store.options(observer))?;
    let manifest = catalog::find(&*store, one.place.plan.as_ref(), &one.backup).await?;
    Ok((store, manifest))
}
