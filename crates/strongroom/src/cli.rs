//! The command line.

pub(crate) mod bucket;
pub(crate) mod serve;
pub(crate) mod service;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use strongroom_engine::backup::ConsistencyMode;
use strongroom_engine::bucket::{Checksum, Sse, StoreOptions};
use strongroom_engine::deployment::{CommitQuorum, ConnectionString};
use strongroom_engine::restore::{CollectionOptions, Indexes, Ttl, Users};
use strongroom_engine::{
    AssumedRole, Bytes, ClusterTime, Code, Compression, Error, Filter, Location, Observer, Period, PlanName,
    Query, RenameRule, Result, WaitLimit, Waits,
};

use crate::exit;

/// What follows the options in the help of the program.
fn after_help() -> String {
    let statuses = exit::TABLE.map(|(status, meaning)| format!("  {status:<4} {meaning}\n")).concat();
    format!(
        "Exit statuses:\n{statuses}\nAWS credentials, region and endpoint come from where every AWS tool takes them: \
         --profile or AWS_PROFILE, environment variables, SSO, roles."
    )
}

/// Where options that every command has stand in its help: behind its own.
const LAST: usize = 900;

/// MongoDB backups in your own S3 bucket.
#[derive(Debug, Parser)]
#[command(version, after_long_help = after_help(), max_term_width = 100)]
pub(crate) struct Arguments {
    /// Print one JSON document on stdout, and everything else on stderr
    #[arg(long, global = true, display_order = LAST)]
    pub(crate) json: bool,
    /// Print no progress on stderr, only errors
    #[arg(long, short, global = true, display_order = LAST)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Back up a deployment
    #[command(
        before_help = "Example: strongroom backup --uri mongodb://localhost --to s3://my-backups/shop --sse AES256"
    )]
    Backup(Box<Backup>),
    /// List the backups of a location
    #[command(before_help = "Example: strongroom list s3://my-backups/shop")]
    List(List),
    /// Show what is in a backup
    #[command(before_help = "Example: strongroom show s3://my-backups/shop latest")]
    Show(One),
    /// Fetch a whole backup and check that every byte is what was backed up
    #[command(before_help = "Example: strongroom verify s3://my-backups/shop latest")]
    Verify(Verify),
    /// Restore a backup or a mongodump archive, all or part of it, under the same or other names
    #[command(
        before_help = "Example: strongroom restore s3://my-backups/shop latest --uri mongodb://localhost --dry-run"
    )]
    Restore(Box<Restore>),
    /// Write a backup to stdout as one mongodump archive
    #[command(before_help = "Example: strongroom cat s3://my-backups/shop latest | mongorestore --archive")]
    Cat(Cat),
    /// Delete a backup; in a versioned bucket all versions of it
    #[command(before_help = "Example: strongroom delete s3://my-backups/shop 20261123T020000Z-7f3k --yes")]
    Delete(Delete),
    /// Delete what is no backup: pieces of runs that were killed, and deletions that were cut off
    #[command(before_help = "Example: strongroom clean s3://my-backups/shop --dry-run")]
    Clean(Clean),
    /// Secure a bucket: print policies, apply them, prove them, explain and check them
    #[command(subcommand, before_help = "Example: strongroom bucket prove s3://my-backups/shop")]
    Bucket(bucket::Bucket),
    /// Run the service: plans, their schedule, and the API
    #[command(before_help = "Example: strongroom serve --config /etc/strongroom/config.yaml")]
    Serve(serve::Serve),
    /// Make and change the master keys that the service seals secrets with
    #[command(subcommand, before_help = "Example: strongroom key generate /etc/strongroom/master.key")]
    Key(serve::Key),
    /// Print a script that completes commands and options in a shell
    #[command(before_help = "Example: strongroom completions bash > /etc/bash_completion.d/strongroom")]
    Completions(serve::Completions),
    /// Write pages for man
    #[command(before_help = "Example: strongroom man /usr/local/share/man/man1")]
    Man(serve::Man),
    #[command(flatten)]
    Service(service::Command),
}

#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct Uri {
    /// MongoDB connection string. Other users can see it here: prefer STRONGROOM_URI or --uri-file
    #[arg(long)]
    pub(crate) uri: Option<String>,
    /// File that contains the connection string
    #[arg(long, value_name = "FILE")]
    pub(crate) uri_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Only collections that match, such as `shop.*` (`*` stands for anything); can be repeated
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Skip collections that match; can be repeated
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
}

impl Selection {
    pub(crate) fn filter(self) -> Result<Filter> {
        Filter::new(self.include, self.exclude)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Store {
    /// AWS profile to take credentials, region and endpoint from
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Assume this IAM role with these credentials, and again before each of its sessions ends
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,
    /// The external ID that the role's trust policy asks for
    #[arg(long, value_name = "ID", requires = "role_arn")]
    external_id: Option<String>,
    /// Fail unless this AWS account owns the bucket
    #[arg(long, value_name = "ACCOUNT")]
    expected_bucket_owner: Option<String>,
    /// Wait longer, or less long, for something that makes no progress: connect, first-byte, next-byte, index-build or
    /// majority, such as `first-byte=5m`; can be repeated
    #[arg(long, value_name = "WHAT=DURATION", value_parser = parse::<WaitLimit>)]
    wait: Vec<WaitLimit>,
    /// The checksum to send with every object: sha256, md5 or none, for servers that refuse the others; `strongroom
    /// bucket prove` finds which
    #[arg(long, value_name = "WHAT", default_value = "sha256", value_parser = parse::<Checksum>)]
    checksum: Checksum,
}

impl Store {
    /// How to talk to the store; `observer` is told of requests that are sent again.
    pub(crate) fn options(self, observer: Arc<dyn Observer>) -> StoreOptions {
        let waits = self.waits();
        let Self { profile, role_arn, external_id, expected_bucket_owner: expected_owner, wait: _, checksum } =
            self;
        let (role, watcher) = (role_arn.map(|arn| AssumedRole { arn, external_id }), observer.into());
        StoreOptions { profile, role, expected_owner, waits, checksum, watcher, ..StoreOptions::default() }
    }

    pub(crate) fn waits(&self) -> Waits {
        Waits::default().with(&self.wait)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) uri: Uri,
    /// Where to store the backup: s3://bucket/prefix or file:///path
    #[arg(long, value_name = "LOCATION", value_parser = parse::<Location>)]
    pub(crate) to: Location,
    /// The plan (series of backups) that this backup belongs to
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = parse::<PlanName>)]
    pub(crate) plan: PlanName,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// How many collections to read at once [default: a quarter of the cores, 1 to 4]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) readers: Option<u16>,
    /// Compression: zstd[:1-19], gzip[:1-9] or none
    #[arg(long, default_value = "zstd", value_parser = parse::<Compression>)]
    pub(crate) compress: Compression,
    /// Server-side encryption to request for every object: none, AES256, aws:kms[:KEY] or aws:kms:dsse[:KEY]
    #[arg(long, default_value = "none", value_parser = parse::<Sse>)]
    pub(crate) sse: Sse,
    /// snapshot: read all collections at one moment (replica sets only); oplog: read each collection as it is, and let
    /// the restore make them consistent by replaying the oplog; none: read each collection as it is
    #[arg(long, default_value = "snapshot", value_parser = parse::<ConsistencyMode>)]
    pub(crate) consistency: ConsistencyMode,
    /// Back up only documents that match this query, in Extended JSON, from the collections that --include names;
    /// no oplog is stored then
    #[arg(long, value_name = "JSON", requires = "include", value_parser = parse::<Query>)]
    pub(crate) query: Option<Query>,
    /// Skip secondaries that lag further behind than this
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse::<Period>)]
    pub(crate) max_lag: Period,
    /// Limit how much is read per second, such as 50MB [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = parse::<Bytes>)]
    pub(crate) max_rate: Option<Bytes>,
    #[command(flatten)]
    pub(crate) store: Store,
}

#[derive(Debug, Args)]
pub(crate) struct Place {
    /// s3://bucket/prefix or file:///path
    #[arg(value_parser = parse::<Location>)]
    pub(crate) location: Location,
    /// Only backups of this plan
    #[arg(long, value_name = "NAME", value_parser = parse::<PlanName>)]
    pub(crate) plan: Option<PlanName>,
    #[command(flatten)]
    pub(crate) store: Store,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The backup's id, or `latest`
    pub(crate) backup: String,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) one: One,
    /// How many segments to fetch at once
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) readers: u16,
}

/// What to restore.
#[derive(Debug, Args)]
pub(crate) struct Origin {
    /// s3://bucket/prefix or file:///path
    #[arg(value_parser = parse::<Location>)]
    pub(crate) location: Option<Location>,
    /// The backup's id, or `latest`
    pub(crate) backup: Option<String>,
    /// Restore a mongodump archive or dump directory instead, or a .tar or .tgz of one: a file, a folder,
    /// s3://bucket/key, or - for stdin
    #[arg(long, value_name = "ARCHIVE", conflicts_with_all = ["location", "backup", "plan"])]
    pub(crate) archive: Option<String>,
    /// Only backups of this plan
    #[arg(long, value_name = "NAME", value_parser = parse::<PlanName>)]
    pub(crate) plan: Option<PlanName>,
    #[command(flatten)]
    pub(crate) store: Store,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) from: Origin,
    #[command(flatten)]
    pub(crate) uri: Uri,
    #[command(flatten)]
    pub(crate) selection: Selection,
    /// Restore under other names, such as `shop.*=shop_copy.*`; can be repeated, the first match wins
    #[arg(long, value_name = "FROM=TO", value_parser = parse::<RenameRule>)]
    pub(crate) rename: Vec<RenameRule>,
    /// Replace collections that exist (only those that are in the backup)
    #[arg(long, conflicts_with = "into_existing")]
    pub(crate) drop: bool,
    /// Add to collections that exist
    #[arg(long)]
    pub(crate) into_existing: bool,
    /// keep: create collections with their options (validators, collations, sizes); none: without any
    #[arg(long, value_name = "WHAT", default_value = "keep", value_parser = parse::<CollectionOptions>)]
    pub(crate) options: CollectionOptions,
    /// build: build them after the data; none: skip them; only: build them on existing collections and do nothing else
    #[arg(long, value_name = "WHAT", default_value = "build", value_parser = parse::<Indexes>)]
    pub(crate) indexes: Indexes,
    /// Which members of a replica set must have built an index before it counts: majority, votingMembers, a number, or the
    /// name of a mode [default: all that vote and hold data]
    #[arg(long, value_name = "WHO", value_parser = parse::<CommitQuorum>)]
    pub(crate) commit_quorum: Option<CommitQuorum>,
    /// merge: add users and roles to those of the target; none: skip them; only: restore nothing else
    #[arg(long, value_name = "WHAT", default_value = "merge", value_parser = parse::<Users>)]
    pub(crate) users: Users,
    /// What to do about documents that MongoDB deletes some time after a date in them. keep: as in the source, once all
    /// is restored; hold: switch that off, and print the commands that switch it on
    #[arg(long, value_name = "WHAT", default_value = "keep", value_parser = parse::<Ttl>)]
    pub(crate) ttl: Ttl,
    /// Show what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Restore to this moment, if the backup's oplog covers it: a time such as 2026-11-23T12:34:56Z, or a cluster
    /// time such as 1795437296.7 [default: the earliest consistent moment]
    #[arg(long, value_name = "TIME", value_parser = parse::<ClusterTime>)]
    pub(crate) at: Option<ClusterTime>,
    /// How many segments to restore at once [default: the number of cores, at most 4]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) writers: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct Cat {
    #[command(flatten)]
    pub(crate) one: One,
    /// Compress with gzip, for `mongorestore --archive --gzip`
    #[arg(long)]
    pub(crate) gzip: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The backup's id
    pub(crate) backup: String,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Clean {
    #[command(flatten)]
    pub(crate) place: Place,
    /// Delete only what nothing was written to for so long, at least 1h: a backup that is running stays
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = parse::<Period>)]
    pub(crate) older_than: Period,
    /// Delete also backups whose manifest is damaged
    #[arg(long)]
    pub(crate) damaged: bool,
    /// Delete also backups that a newer Strongroom made
    #[arg(long)]
    pub(crate) newer: bool,
    /// Show what would be deleted, and delete nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// A value that the engine refuses is refused in its words and with its code.
fn parse<T: std::str::FromStr<Err = Error>>(text: &str) -> Result<T> {
    text.parse()
}

impl Uri {
    /// The connection string, wherever it was given: what stands on the command line goes before STRONGROOM_URI. It must
    /// mean the same as the selection.
    pub(crate) fn read(self, selected: &Filter) -> Result<ConnectionString> {
        let text = match (self.uri, self.uri_file) {
            (Some(uri), _) => uri,
            (None, Some(path)) => std::fs::read_to_string(&path).map_err(|e| {
                let path = path.display();
                Error::new(Code::Usage, format!("cannot read the URI from `{path}`: {e}"))
            })?,
            (None, None) => std::env::var("STRONGROOM_URI").map_err(|_| {
                Error::new(Code::Usage, "no MongoDB URI was given")
                    .help("Set STRONGROOM_URI, or use --uri-file FILE or --uri URI.")
            })?,
        };
        let uri: ConnectionString = text.parse()?;
        uri.agrees_with(selected)?;
        Ok(uri)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Arguments::command().debug_assert();
    }

    /// The words of a command line, after the variables that are set for it and up to a pipe, a file or a comment.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
        for c in line.chars().chain([' ']) {
            match c {
                '\'' => quoted = !quoted,
                ' ' if !quoted => words.push(std::mem::take(&mut word)),
                c => word.push(c),
            }
        }
        let end =
            words.iter().position(|word| ["|", ">", "#"].contains(&word.as_str())).unwrap_or(words.len());
        words.truncate(end);
        words.into_iter().filter(|word| !word.is_empty()).skip_while(|word| word.contains('=')).collect()
    }

    #[track_caller]
    fn parses(line: &str) {
        if let Err(error) = Arguments::try_parse_from(words(line)) {
            panic!("{line}: {error}");
        }
    }

    #[test]
    fn every_command_line_of_the_readme_parses() {
        let readme = include_str!("../../../README.md");
        let shown = readme.lines().filter_map(|line| line.strip_prefix("    "));
        let of_ours = |line: &&str| words(line).first().is_some_and(|word| word == "strongroom");
        let lines: Vec<&str> = shown.filter(of_ours).collect();
        assert!(lines.len() >= 6, "{lines:?}");
        lines.into_iter().for_each(parses);
    }

    /// Such as `--users none` in a sentence: an option with its value behind a space.
    #[test]
    fn every_option_that_the_documents_name_with_a_value_is_one() {
        fn options(command: &clap::Command, found: &mut Vec<clap::Arg>) {
            found.extend(command.get_arguments().cloned());
            command.get_subcommands().for_each(|command| options(command, found));
        }
        let mut known = Vec::new();
        options(&Arguments::command(), &mut known);
        let documents =
            concat!(include_str!("../../../README.md"), include_str!("../../../docs/SEMANTICS.md"));
        let quoted = documents.split('`').skip(1).step_by(2).flat_map(|code| code.split(['|', ';']));
        let mut checked = 0;
        for code in quoted.filter(|code| code.trim().starts_with("--")) {
            let mut words = code.split_whitespace();
            let (name, value) = (words.next().unwrap_or_default(), words.next());
            let named =
                known.iter().filter(|option| option.get_long() == Some(name.trim_start_matches("--")));
            let named: Vec<_> = named.collect();
            assert!(!named.is_empty() || FOREIGN.contains(&name), "no command has `{name}`");
            if value.is_some_and(|value| !value.starts_with("--")) && !named.is_empty() {
                let takes = |option: &&clap::Arg| {
                    option.get_action().takes_values() && !option.is_require_equals_set()
                };
                assert!(named.iter().any(takes), "`{code}` is no way to write it");
                checked += 1;
            }
        }
        assert!(checked > 5, "{checked}");
    }

    /// Options of other programs that the documents name.
    const FOREIGN: [&str; 4] = ["--oplog", "--dumpDbUsersAndRoles", "--viewsAsCollections", "--help"];

    #[test]
    fn the_example_of_every_command_parses() {
        fn examples(command: &clap::Command, found: &mut Vec<String>) {
            let text = command.get_before_help().map(ToString::to_string);
            found.extend(text.and_then(|text| Some(text.strip_prefix("Example: ")?.to_owned())));
            command.get_subcommands().for_each(|command| examples(command, found));
        }
        let mut found = Vec::new();
        examples(&Arguments::command(), &mut found);
        assert_eq!(found.len(), 84, "{found:?}");
        found.iter().for_each(|line| parses(line));
    }
}
