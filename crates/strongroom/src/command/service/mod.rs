//! Commands that ask a service. Each reads its options into what the API takes, asks, and shows the answer.

mod apply;
mod catalog;
mod change;
mod credentials;
mod deployment;
mod fields;
mod location;
mod login;
mod people;
mod plan;
mod restore;
mod run;
mod settings;
mod table;
mod watch;
mod which;

use std::io::{self, Read};
use std::path::Path;

use strongroom_engine::{Code, Error};
use tokio_util::sync::CancellationToken;

use crate::cli::service::{Command, Server, Trust};
use crate::failure::Result;
use crate::output::Output;
use crate::remote::{Address, Ask, Bearer, Client, Limits, Tokens, paths};

/// Runs a command until it is done, or until somebody asks it to stop. Nothing here leaves anything half done: what the
/// service was asked for, it does or does not by itself.
pub(crate) async fn run(command: Command, output: &Output, cancel: CancellationToken) -> Result<()> {
    tokio::select! {
        done = one(command, output) => done,
        () = cancel.cancelled() => Err(Error::new(Code::Cancelled, "cancelled")
            .help("What the service was asked for goes on there: `strongroom run list` shows it.").into()),
    }
}

async fn one(command: Command, output: &Output) -> Result<()> {
    match command {
        Command::Login(options) => login::login(options, output).await,
        Command::Logout(asked) => login::logout(&asked.server, output).await,
        Command::Deployment(asked) => deployment::run(&client(&asked.server)?, asked.command, output).await,
        Command::Location(asked) => location::run(&client(&asked.server)?, asked.command, output).await,
        Command::Plan(asked) => plan::run(&client(&asked.server)?, asked.command, output).await,
        Command::Run(asked) => run::run(&client(&asked.server)?, asked.command, output).await,
        Command::Catalog(asked) => catalog::run(&client(&asked.server)?, asked.command, output).await,
        Command::Change(asked) => change::run(&client(&asked.server)?, asked.command, output).await,
        Command::User(asked) => people::user(&client(&asked.server)?, asked.command, output).await,
        Command::Token(asked) => people::token(&client(&asked.server)?, asked.command, output).await,
        Command::Audit(asked) => people::audit(&client(&asked.server)?, asked.command, output).await,
        Command::Service(asked) => settings::run(&client(&asked.server)?, asked.command, output).await,
        Command::Summary(asked) => {
            let answer = client(&asked.server)?.ask(Ask::get(paths::SUMMARY)).await?;
            table::show(&answer.value, output)
        }
        Command::Apply(asked) => apply::apply(&client(&asked.server)?, &asked.options, output).await,
        Command::Export(asked) => apply::export(&client(&asked.server)?, &asked.options, output).await,
    }
}

/// The service that is meant, and the token for it.
fn client(server: &Server) -> Result<Client> {
    let kept = Tokens::path().and_then(|path| Tokens::read(&path));
    let from_environment = std::env::var("STRONGROOM_TOKEN").ok().filter(|token| !token.is_empty());
    let text = match &server.server {
        Some(text) => text.clone(),
        None => kept.as_ref().ok().and_then(Tokens::only).ok_or_else(no_server)?.to_owned(),
    };
    let address = Address::parse(&text, server.trust.insecure_http)?;
    let token = match from_environment {
        Some(token) => Bearer::new(token),
        None => kept?.get(&address.to_string()).map(|kept| kept.token.clone()).ok_or_else(|| {
            Error::new(Code::Usage, format!("there is no token for {address}"))
                .help(format!("Run `strongroom login {address}`, or put a token into STRONGROOM_TOKEN."))
        })?,
    };
    Ok(stranger(address, &server.trust)?.with_token(token))
}

/// A client of a service without a token yet.
fn stranger(address: Address, trust: &Trust) -> Result<Client> {
    let limits = Limits { ca_file: trust.ca_file.as_deref(), longest: trust.timeout.duration() };
    Client::new(address, limits)
}

fn no_server() -> Error {
    Error::new(Code::Usage, "no service was named")
        .help("Use --server URL or STRONGROOM_SERVER, or sign in to one with `strongroom login URL`.")
}

/// A secret of a person: the first line of a file, or of stdin.
fn secret(path: &Path, what: &str) -> Result<String> {
    const BYTES_MAX: u64 = 64 * 1024;
    let failed = |e: io::Error| {
        Error::new(Code::Usage, format!("{what} cannot be read from `{}`: {e}", path.display()))
    };
    let mut text = String::new();
    match path.as_os_str() == "-" {
        true => io::stdin().take(BYTES_MAX).read_to_string(&mut text),
        false => std::fs::File::open(path).map_err(failed)?.take(BYTES_MAX).read_to_string(&mut text),
    }
    .map_err(failed)?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        let message = format!("{what} cannot be read from `{}`: its first line is empty", path.display());
        return Err(Error::new(Code::Usage, message).into());
    }
    Ok(line.to_owned())
}
