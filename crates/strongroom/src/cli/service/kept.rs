//! Options of the catalogue and of changes that wait.

use clap::{Args, Subcommand};

use super::Named;
use super::run::Few;

#[derive(Debug, Subcommand)]
pub(crate) enum Catalog {
    /// List backups that the service knows, the newest first
    #[command(before_help = "Example: strongroom catalog list --plan nightly")]
    List(Backups),
    /// Show a backup, why it is kept, and what holds it
    #[command(before_help = "Example: strongroom catalog show 20261123T020000Z-7f3k")]
    Show(Named),
    /// Keep a backup whatever retention says
    #[command(
        before_help = "Example: strongroom catalog hold 20261123T020000Z-7f3k --reason 'audit of 2026'"
    )]
    Hold(Held),
    /// Lift all holds of a backup; it waits, and can be called back
    #[command(before_help = "Example: strongroom catalog release 20261123T020000Z-7f3k")]
    Release(Named),
    /// Let a backup expire now; it is deleted after its grace
    #[command(before_help = "Example: strongroom catalog expire 20261123T020000Z-7f3k --yes")]
    Expire(super::Deleted),
    /// Keep a backup again that expired and is not deleted yet
    #[command(before_help = "Example: strongroom catalog keep 20261123T020000Z-7f3k")]
    Keep(Named),
}

#[derive(Debug, Args)]
pub(crate) struct Backups {
    /// Only backups of this plan
    #[arg(long, value_name = "NAME")]
    pub(crate) plan: Option<String>,
    /// Only backups of this deployment
    #[arg(long, value_name = "NAME")]
    pub(crate) deployment: Option<String>,
    /// Only backups in this location
    #[arg(long, value_name = "NAME")]
    pub(crate) location: Option<String>,
    /// Only backups in this state: kept, expired, swept or missing
    #[arg(long)]
    pub(crate) state: Option<String>,
    #[command(flatten)]
    pub(crate) listed: Few,
}

#[derive(Debug, Args)]
pub(crate) struct Held {
    #[command(flatten)]
    pub(crate) which: Named,
    /// Why
    #[arg(long)]
    pub(crate) reason: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Change {
    /// List changes that wait, or waited
    #[command(before_help = "Example: strongroom change list --state waiting")]
    List(Changes),
    /// Show a change
    #[command(before_help = "Example: strongroom change show chg_01kb0s4r1q8f6v2m9c3t7x5zya")]
    Show(Named),
    /// Agree to a change that another admin asked for
    #[command(before_help = "Example: strongroom change approve chg_01kb0s4r1q8f6v2m9c3t7x5zya")]
    Approve(Named),
    /// Call a change back before it takes effect
    #[command(before_help = "Example: strongroom change call-back chg_01kb0s4r1q8f6v2m9c3t7x5zya")]
    CallBack(Named),
}

#[derive(Debug, Args)]
pub(crate) struct Changes {
    /// Only changes in this state: waiting, applied, called_back or failed
    #[arg(long)]
    pub(crate) state: Option<String>,
    #[command(flatten)]
    pub(crate) listed: Few,
}
