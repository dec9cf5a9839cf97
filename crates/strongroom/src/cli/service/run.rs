//! Options of runs.

use clap::{Args, Subcommand};

use super::{Listed, Named};

#[derive(Debug, Subcommand)]
pub(crate) enum Run {
    /// List runs, the newest first
    #[command(before_help = "Example: strongroom run list --plan nightly --state failed")]
    List(Runs),
    /// Show a run
    #[command(before_help = "Example: strongroom run show run_01kb0s4r1q8f6v2m9c3t7x5zya")]
    Show(Named),
    /// Show the log of a run
    #[command(before_help = "Example: strongroom run log run_01kb0s4r1q8f6v2m9c3t7x5zya")]
    Log(Log),
    /// Follow a run until it ends, and end as it ended
    #[command(before_help = "Example: strongroom run watch run_01kb0s4r1q8f6v2m9c3t7x5zya")]
    Watch(Named),
    /// Ask a run to stop
    #[command(before_help = "Example: strongroom run cancel run_01kb0s4r1q8f6v2m9c3t7x5zya")]
    Cancel(Named),
    /// Fetch a whole backup and check that every byte is what was backed up, as a run
    #[command(before_help = "Example: strongroom run verify 20261123T020000Z-7f3k --wait")]
    Verify(Verify),
    /// Restore a backup into a deployment, as a run; shows what it will do first, and does exactly that
    #[command(
        before_help = "Example: strongroom run restore 20261123T020000Z-7f3k --target staging --rename 'shop.*=shop_copy.*'"
    )]
    Restore(Box<Restore>),
}

#[derive(Debug, Args)]
pub(crate) struct Runs {
    /// Only runs of this plan
    #[arg(long, value_name = "NAME")]
    pub(crate) plan: Option<String>,
    /// Only runs of this deployment
    #[arg(long, value_name = "NAME")]
    pub(crate) deployment: Option<String>,
    /// Only runs of this location
    #[arg(long, value_name = "NAME")]
    pub(crate) location: Option<String>,
    /// Only runs in this state: queued, running, succeeded, failed, cancelled or skipped
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// Only runs of this kind: backup, verify, restore, prove or sweep
    #[arg(long)]
    pub(crate) kind: Option<String>,
    #[command(flatten)]
    pub(crate) listed: Few,
}

/// How much of a list is shown that may be very long.
#[derive(Debug, Args)]
pub(crate) struct Few {
    /// Show at most so many, the newest first
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) limit: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Log {
    #[command(flatten)]
    pub(crate) which: Named,
    #[command(flatten)]
    pub(crate) listed: Listed,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The backup's name or id
    pub(crate) backup: String,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

/// Whether to wait for the end of a run.
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// Follow the run until it ends, and end as it ended
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The backup's name or id
    pub(crate) backup: String,
    /// The deployment to restore into
    #[arg(long, value_name = "NAME")]
    pub(crate) target: String,
    /// Only collections that match, by their names in the backup; can be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) include: Vec<String>,
    /// Skip collections that match; can be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// Restore under other names, such as `shop.*=shop_copy.*`; can be repeated, the first match wins
    #[arg(long, value_name = "FROM=TO")]
    pub(crate) rename: Vec<String>,
    /// What to do with collections that exist: refuse, drop or keep
    #[arg(long, value_name = "WHAT", default_value = "refuse")]
    pub(crate) existing: String,
    /// keep: create collections with their options; none: without any
    #[arg(long, value_name = "WHAT", default_value = "keep")]
    pub(crate) collection_options: String,
    /// build: build them after the data; none: skip them; only: do nothing else
    #[arg(long, value_name = "WHAT", default_value = "build")]
    pub(crate) indexes: String,
    /// merge: add users and roles to those of the target; none: skip them; only: restore nothing else
    #[arg(long, value_name = "WHAT", default_value = "merge")]
    pub(crate) users: String,
    /// What to do about documents that expire: keep or hold
    #[arg(long, value_name = "WHAT", default_value = "keep")]
    pub(crate) ttl: String,
    /// Restore to this moment: a time such as 2026-11-23T12:34:56Z, or a cluster time such as 1795437296.7
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    #[command(flatten)]
    pub(crate) confirm: Confirm,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

/// What a person would be asked.
#[derive(Debug, Args)]
pub(crate) struct Confirm {
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The name of the target, instead of typing it; wanted where collections are replaced
    #[arg(long, value_name = "NAME")]
    pub(crate) confirm_target: Option<String>,
    /// Do not ask for confirmation; where collections are replaced, --confirm-target is wanted too
    #[arg(long, short)]
    pub(crate) yes: bool,
}
