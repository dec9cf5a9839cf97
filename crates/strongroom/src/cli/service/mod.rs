//! Commands that ask a service.

mod kept;
mod people;
mod plan;
mod run;
mod setup;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;
use strongroom_engine::Period;

use super::{LAST, parse};

pub(crate) use kept::{Backups, Catalog, Change};
pub(crate) use people::{Audit, NewToken, NewUser, Role, Setting, Settings, Token, User, UserFields};
pub(crate) use plan::{NewPlan, Plan, PlanFields, Plans, ScheduleFields, Simulate};
pub(crate) use run::{Restore, Run, Runs, Wait};
pub(crate) use setup::{CredentialFields, Deployment, DeploymentFields, Location, LocationFields};

/// What a service is asked.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in to a service, and keep a token for it on this machine
    #[command(before_help = "Example: strongroom login https://backups.example.com --login anna")]
    Login(Login),
    /// Revoke the token that this machine keeps, and forget it
    #[command(before_help = "Example: strongroom logout")]
    Logout(With<Nothing>),
    /// What a service backs up, and restores into
    #[command(before_help = "Example: strongroom deployment list")]
    Deployment(Asked<Deployment>),
    /// Where a service stores backups
    #[command(before_help = "Example: strongroom location list")]
    Location(Asked<Location>),
    /// What a service backs up where, when, and for how long it is kept
    #[command(before_help = "Example: strongroom plan list")]
    Plan(Asked<Plan>),
    /// What a service does and did: backups, verifications, restores, proofs, deletions
    #[command(before_help = "Example: strongroom run list --state running")]
    Run(Asked<Run>),
    /// The backups that a service knows
    #[command(before_help = "Example: strongroom catalog list")]
    Catalog(Asked<Catalog>),
    /// Changes that loosen something, and wait
    #[command(before_help = "Example: strongroom change list")]
    Change(Asked<Change>),
    /// Who may use a service
    #[command(before_help = "Example: strongroom user list")]
    User(Asked<User>),
    /// Tokens that programs use a service with
    #[command(before_help = "Example: strongroom token list")]
    Token(Asked<Token>),
    /// Who did what in a service
    #[command(before_help = "Example: strongroom audit list")]
    Audit(Asked<Audit>),
    /// The settings of a service
    #[command(before_help = "Example: strongroom service show")]
    Service(Asked<Settings>),
    /// How a service and its plans stand, on one page
    #[command(before_help = "Example: strongroom summary")]
    Summary(With<Nothing>),
    /// Bring plans, deployments and locations to what a file says; shows the difference first
    #[command(before_help = "Example: strongroom apply backups.yaml --dry-run")]
    Apply(With<Apply>),
    /// Write plans, deployments and locations as a file that `apply` takes
    #[command(before_help = "Example: strongroom export --file backups.yaml")]
    Export(With<Export>),
}

/// Which service is asked.
#[derive(Debug, Clone, Args)]
pub(crate) struct Server {
    /// The service, such as https://backups.example.com [default: the one that `login` kept a token for]
    #[arg(long, global = true, value_name = "URL", env = "STRONGROOM_SERVER", display_order = LAST - 4)]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) trust: Trust,
}

/// How a service is trusted and waited for.
#[derive(Debug, Clone, Args)]
pub(crate) struct Trust {
    /// Trust the certificates in this file (PEM) too
    #[arg(long, global = true, value_name = "FILE", env = "STRONGROOM_CA_FILE", display_order = LAST - 3)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Allow http to other machines, where anybody on the way can read the token
    #[arg(long, global = true, display_order = LAST - 2)]
    pub(crate) insecure_http: bool,
    /// Give up a request after so long
    #[arg(long, global = true, value_name = "DURATION", default_value = "2m", display_order = LAST - 1,
          value_parser = parse::<Period>)]
    pub(crate) timeout: Period,
}

/// A command that asks a service.
#[derive(Debug, Args)]
pub(crate) struct Asked<C: Subcommand> {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(subcommand)]
    pub(crate) command: C,
}

/// The same, for a command that has no commands below it.
#[derive(Debug, Args)]
pub(crate) struct With<C: Args> {
    #[command(flatten)]
    pub(crate) server: Server,
    #[command(flatten)]
    pub(crate) options: C,
}

#[derive(Debug, Args)]
pub(crate) struct Nothing {}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The service, such as https://backups.example.com
    pub(crate) url: String,
    /// The name to sign in with [default: the name of the user of this machine]
    #[arg(long, value_name = "NAME")]
    pub(crate) login: Option<String>,
    /// Read an API token from stdin instead of a password, and keep it
    #[arg(long, conflicts_with_all = ["login", "days", "role"])]
    pub(crate) token: bool,
    /// Make the first admin: asks for the link that the service printed when it started, then for a password of 12
    /// characters or more; without a terminal they are the first two lines of stdin
    #[arg(long, conflicts_with = "token")]
    pub(crate) first_admin: bool,
    /// Days until the token expires
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub(crate) days: u64,
    /// What the token may do [default: what the user may]
    #[arg(long, value_enum)]
    pub(crate) role: Option<Role>,
    #[command(flatten)]
    pub(crate) trust: Trust,
}

/// A resource.
#[derive(Debug, Args)]
pub(crate) struct Named {
    /// Its name or id
    pub(crate) name: String,
}

/// How much of a list is shown.
#[derive(Debug, Args)]
pub(crate) struct Listed {
    /// Show at most so many, the newest first
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) limit: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Deleted {
    /// Its name or id
    pub(crate) name: String,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// A value that may be taken away with `none`.
#[derive(Debug, Clone)]
pub(crate) struct OrNone(pub(crate) Value);

pub(crate) fn number_or_none(text: &str) -> Result<OrNone, String> {
    if text == "none" {
        return Ok(OrNone(Value::Null));
    }
    let number: u64 = text.parse().map_err(|_| "this is neither a whole number nor `none`".to_owned())?;
    Ok(OrNone(number.into()))
}

#[allow(clippy::unnecessary_wraps, reason = "it is a parser of values")]
pub(crate) fn text_or_none(text: &str) -> Result<OrNone, String> {
    Ok(OrNone(if text == "none" { Value::Null } else { text.into() }))
}

/// `KEY=VALUE`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    Ok((key.into(), value.into()))
}

#[derive(Debug, Args)]
pub(crate) struct Labels {
    /// A word of your own, by which lists are filtered; can be repeated, and replaces all that were set
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    pub(crate) label: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    /// The file, or - for stdin
    pub(crate) file: PathBuf,
    /// Show the difference, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Delete plans, deployments and locations that the file does not name
    #[arg(long)]
    pub(crate) prune: bool,
    /// Set all secrets of the file again: whether they changed cannot be seen
    #[arg(long)]
    pub(crate) secrets: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Where to write it [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}
