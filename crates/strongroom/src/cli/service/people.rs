//! Options of users, tokens, the audit log and the settings.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::run::Few;
use super::{Deleted, Listed, Named, OrNone, text_or_none};

/// What a user or a token may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Role {
    /// See everything but secrets and the audit log
    Viewer,
    /// Start and cancel runs, pause and resume plans, place holds
    Operator,
    /// Everything but restores
    Admin,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// List users
    #[command(before_help = "Example: strongroom user list")]
    List(Listed),
    /// Show a user
    #[command(before_help = "Example: strongroom user show anna")]
    Show(Named),
    /// Make a user; the password is asked for
    #[command(before_help = "Example: strongroom user create --login anna --role operator")]
    Create(NewUser),
    /// Change a user; what is not given stays
    #[command(before_help = "Example: strongroom user update anna --role admin --restorer true")]
    Update(ChangedUser),
}

#[derive(Debug, Args)]
pub(crate) struct NewUser {
    /// The name to sign in with
    #[arg(long)]
    pub(crate) login: String,
    /// What the user may do
    #[arg(long, value_enum)]
    pub(crate) role: Role,
    /// Let the user restore
    #[arg(long)]
    pub(crate) restorer: bool,
    /// File that contains the password, or - for stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// Set no password: the user signs in through the identity provider
    #[arg(long, conflicts_with = "password_file")]
    pub(crate) no_password: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ChangedUser {
    #[command(flatten)]
    pub(crate) which: Named,
    #[command(flatten)]
    pub(crate) fields: UserFields,
}

#[derive(Debug, Args)]
pub(crate) struct UserFields {
    /// What the user may do
    #[arg(long, value_enum)]
    pub(crate) role: Option<Role>,
    /// Whether the user may restore
    #[arg(long, value_name = "BOOL")]
    pub(crate) restorer: Option<bool>,
    /// Whether the user may not sign in; ends the user's sessions and tokens
    #[arg(long, value_name = "BOOL")]
    pub(crate) disabled: Option<bool>,
    /// Set another password: the one in this file, or - for stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// List your tokens; an admin sees everybody's
    #[command(before_help = "Example: strongroom token list")]
    List(Listed),
    /// Make a token. What requests carry is shown once, on stdout
    #[command(before_help = "Example: strongroom token create --name ci --role operator --days 7")]
    Create(NewToken),
    /// Revoke a token
    #[command(before_help = "Example: strongroom token revoke ci --yes")]
    Revoke(Deleted),
}

#[derive(Debug, Args)]
pub(crate) struct NewToken {
    /// What it is for
    #[arg(long)]
    pub(crate) name: String,
    /// What it may do
    #[arg(long, value_enum)]
    pub(crate) role: Role,
    /// Let it restore
    #[arg(long)]
    pub(crate) restorer: bool,
    /// Days until it expires: no later than the token that makes it
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3650))]
    pub(crate) days: u64,
    /// Only this deployment; can be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) deployment: Vec<String>,
    /// Only this plan; can be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) plan: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List who did what, the newest first
    #[command(before_help = "Example: strongroom audit list --limit 20")]
    List(Few),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Settings {
    /// Show the settings of the service
    #[command(before_help = "Example: strongroom service show")]
    Show,
    /// Change settings of the service; what is not given stays
    #[command(before_help = "Example: strongroom service set --paused true")]
    Set(Setting),
}

#[derive(Debug, Args)]
pub(crate) struct Setting {
    /// Whether no run starts, whatever plans say
    #[arg(long, value_name = "BOOL")]
    pub(crate) paused: Option<bool>,
    /// Start no scheduled run in this part of each day, such as `08:00-18:00 Europe/Berlin`, or none
    #[arg(long, value_name = "FROM-UNTIL ZONE", value_parser = text_or_none)]
    pub(crate) quiet_hours: Option<OrNone>,
    /// How many runs one worker does at a time
    #[arg(long, value_name = "NUMBER")]
    pub(crate) runs_at_once: Option<u64>,
    /// How long a backup that expired can be kept again
    #[arg(long, value_name = "HOURS")]
    pub(crate) grace_hours: Option<u64>,
    /// How long a change waits that loosens something
    #[arg(long, value_name = "HOURS")]
    pub(crate) loosening_delay_hours: Option<u64>,
    /// Whether a second admin must agree to a change that loosens something
    #[arg(long, value_name = "BOOL")]
    pub(crate) second_admin: Option<bool>,
    /// How long the log and the record of a run are kept
    #[arg(long, value_name = "DAYS")]
    pub(crate) run_history_days: Option<u64>,
}
