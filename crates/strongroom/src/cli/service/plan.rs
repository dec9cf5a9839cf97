//! Options of plans.

use clap::{Args, Subcommand};

use super::{Labels, Listed, Named, OrNone, Wait, number_or_none, text_or_none};

#[derive(Debug, Subcommand)]
pub(crate) enum Plan {
    /// List plans: when they run next, and how old the newest good backup is
    #[command(before_help = "Example: strongroom plan list")]
    List(Plans),
    /// Show a plan and how it stands
    #[command(before_help = "Example: strongroom plan show nightly")]
    Show(Named),
    /// Make a plan
    #[command(
        before_help = "Example: strongroom plan create --name nightly --deployment shop --location eu --cron '0 2 * * *' --zone Europe/Berlin --daily 7"
    )]
    Create(Box<NewPlan>),
    /// Change a plan; what is not given stays. What loosens something waits, and can be called back
    #[command(before_help = "Example: strongroom plan update nightly --daily 14 --weekly 8")]
    Update(Box<ChangedPlan>),
    /// Delete a plan; its backups stay unless --backups expire says otherwise
    #[command(before_help = "Example: strongroom plan delete nightly --yes")]
    Delete(DeletedPlan),
    /// Start no runs of a plan until it is resumed
    #[command(before_help = "Example: strongroom plan pause nightly")]
    Pause(Named),
    /// Start runs of a plan again
    #[command(before_help = "Example: strongroom plan resume nightly")]
    Resume(Named),
    /// Make a backup now, as the plan says
    #[command(before_help = "Example: strongroom plan run nightly --wait")]
    Run(PlanRun),
    /// Show when a plan runs next
    #[command(before_help = "Example: strongroom plan next nightly --limit 10")]
    Next(Next),
    /// Show which backups will exist at a date, why, and what they will cost
    #[command(before_help = "Example: strongroom plan simulate nightly --at 2027-06-01")]
    Simulate(Simulate),
}

#[derive(Debug, Args)]
pub(crate) struct Plans {
    /// Only plans of this deployment
    #[arg(long, value_name = "NAME")]
    pub(crate) deployment: Option<String>,
    /// Only plans that store in this location
    #[arg(long, value_name = "NAME")]
    pub(crate) location: Option<String>,
    #[command(flatten)]
    pub(crate) listed: Listed,
}

#[derive(Debug, Args)]
pub(crate) struct NewPlan {
    /// The name by which people know it
    #[arg(long)]
    pub(crate) name: String,
    /// The folder of its backups in the location [default: made from the name]
    #[arg(long)]
    pub(crate) folder: Option<String>,
    #[command(flatten)]
    pub(crate) fields: PlanFields,
}

#[derive(Debug, Args)]
pub(crate) struct ChangedPlan {
    #[command(flatten)]
    pub(crate) which: Named,
    /// Another name
    #[arg(long = "name", value_name = "NAME")]
    pub(crate) new_name: Option<String>,
    #[command(flatten)]
    pub(crate) fields: PlanFields,
}

#[derive(Debug, Args)]
pub(crate) struct PlanFields {
    /// The deployment that is backed up
    #[arg(long, value_name = "NAME")]
    pub(crate) deployment: Option<String>,
    /// Where backups are stored
    #[arg(long, value_name = "NAME")]
    pub(crate) location: Option<String>,
    #[command(flatten)]
    pub(crate) schedule: ScheduleFields,
    #[command(flatten)]
    pub(crate) backup: BackupFields,
    #[command(flatten)]
    pub(crate) retention: RetentionFields,
    #[command(flatten)]
    pub(crate) running: RunningFields,
    #[command(flatten)]
    pub(crate) labels: Labels,
    /// Whether it starts no runs by itself
    #[arg(long, value_name = "BOOL")]
    pub(crate) paused: Option<bool>,
}

#[derive(Debug, Args)]
pub(crate) struct ScheduleFields {
    /// Run at times of the day: minute, hour, day of the month, month and day of the week
    #[arg(long, value_name = "PATTERN", conflicts_with_all = ["once", "every"])]
    pub(crate) cron: Option<String>,
    /// Run once: at a time such as 2026-12-01T02:00:00Z, or now
    #[arg(long, value_name = "TIME", conflicts_with = "every")]
    pub(crate) once: Option<String>,
    /// Run every so many hours that have passed
    #[arg(long, value_name = "HOURS")]
    pub(crate) every: Option<u64>,
    /// With --every: a time at which it runs; the others follow from it
    #[arg(long, value_name = "TIME")]
    pub(crate) anchor: Option<String>,
    /// The time zone whose clock counts, such as Europe/Berlin [default: UTC]
    #[arg(long)]
    pub(crate) zone: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BackupFields {
    /// Only collections that match, such as `shop.*`; can be repeated; none: all
    #[arg(long, value_name = "PATTERN")]
    pub(crate) include: Vec<String>,
    /// Skip collections that match; can be repeated; none: skip nothing
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude: Vec<String>,
    /// The encryption to ask for with every object: none, AES256, aws:kms[:KEY] or aws:kms:dsse[:KEY]
    #[arg(long, value_name = "SSE")]
    pub(crate) encryption: Option<String>,
    /// The moment that a backup holds: snapshot, oplog or none
    #[arg(long)]
    pub(crate) consistency: Option<String>,
    /// Compression: zstd[:1-19], gzip[:1-9] or none
    #[arg(long)]
    pub(crate) compression: Option<String>,
    /// Collections read at once; none: a quarter of the cores
    #[arg(long, value_name = "NUMBER", value_parser = number_or_none)]
    pub(crate) readers: Option<OrNone>,
    /// Skip secondaries that lag further behind than this
    #[arg(long, value_name = "DURATION")]
    pub(crate) max_lag: Option<String>,
    /// Limit how much is read per second, such as 50MB, or none
    #[arg(long, value_name = "SIZE", value_parser = text_or_none)]
    pub(crate) max_rate: Option<OrNone>,
}

/// Each takes `none` too.
#[derive(Debug, Args)]
pub(crate) struct RetentionFields {
    /// Keep the newest so many; like all rules, none takes it away, and without rules nothing is ever deleted
    #[arg(long, value_name = "NUMBER", value_parser = number_or_none)]
    pub(crate) last: Option<OrNone>,
    /// Keep those that are not older than so many days
    #[arg(long, value_name = "DAYS", value_parser = number_or_none)]
    pub(crate) max_age_days: Option<OrNone>,
    /// Keep the newest of each of so many hours
    #[arg(long, value_name = "NUMBER", value_parser = number_or_none)]
    pub(crate) hourly: Option<OrNone>,
    /// Keep the newest of each of so many days
    #[arg(long, value_name = "NUMBER", value_parser = number_or_none)]
    pub(crate) daily: Option<OrNone>,
    /// Keep the newest of each of so many weeks
    #[arg(long, value_name = "NUMBER", value_parser = number_or_none)]
    pub(crate) weekly: Option<OrNone>,
    /// Keep the newest of each of so many months
    #[arg(long, value_name = "NUMBER", value_parser = number_or_none)]
    pub(crate) monthly: Option<OrNone>,
    /// Keep the newest of each of so many years
    #[arg(long, value_name = "NUMBER", value_parser = number_or_none)]
    pub(crate) yearly: Option<OrNone>,
}

#[derive(Debug, Args)]
pub(crate) struct RunningFields {
    /// A run that cannot start within so many minutes is missed; none: an hour, or half the time to the next one
    #[arg(long, value_name = "MINUTES", value_parser = number_or_none)]
    pub(crate) start_within_minutes: Option<OrNone>,
    /// Whether one run makes up for those that were missed
    #[arg(long, value_name = "BOOL")]
    pub(crate) catch_up: Option<bool>,
    /// How many times a run is tried, the first time included
    #[arg(long, value_name = "NUMBER")]
    pub(crate) attempts: Option<u64>,
    /// The pause before the second try, in seconds; it doubles with each
    #[arg(long, value_name = "SECONDS")]
    pub(crate) retry_after_seconds: Option<u64>,
    /// Stop a run that has not ended after so many minutes, or none
    #[arg(long, value_name = "MINUTES", value_parser = number_or_none)]
    pub(crate) deadline_minutes: Option<OrNone>,
    /// Start no runs in this part of each day, such as `08:00-18:00 Europe/Berlin`, or none
    #[arg(long, value_name = "FROM-UNTIL ZONE", value_parser = text_or_none)]
    pub(crate) quiet_hours: Option<OrNone>,
}

#[derive(Debug, Args)]
pub(crate) struct DeletedPlan {
    #[command(flatten)]
    pub(crate) which: Named,
    /// What becomes of its backups. keep: they stay for good; expire: they are deleted after their grace, which waits
    /// and can be called back
    #[arg(long, value_name = "WHAT", default_value = "keep", value_parser = ["keep", "expire"])]
    pub(crate) backups: String,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PlanRun {
    #[command(flatten)]
    pub(crate) which: Named,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Debug, Args)]
pub(crate) struct Next {
    #[command(flatten)]
    pub(crate) which: Named,
    /// How many times to show
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    pub(crate) limit: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Simulate {
    #[command(flatten)]
    pub(crate) which: Named,
    /// The date, such as 2027-06-01, or a time such as 2027-06-01T00:00:00Z
    #[arg(long, value_name = "DATE")]
    pub(crate) at: String,
}
