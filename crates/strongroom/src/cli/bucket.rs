//! The options of `strongroom bucket`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use strongroom_engine::bucket::{Checksum, Sse, StoreOptions};
use strongroom_engine::guard::{Access, Dialect, Format, Retention, Settings, Trust};
use strongroom_engine::{Code, Error, Location, Result};

use super::parse;

#[derive(Debug, Subcommand)]
pub(crate) enum Bucket {
    /// Print the policies for a location: documents, commands, templates or steps
    #[command(
        before_help = "Example: strongroom bucket policy s3://my-backups/shop --access split --format terraform"
    )]
    Policy(Box<PolicyArguments>),
    /// Create the bucket, its settings, policies and identities; shows first what will change
    #[command(
        before_help = "Example: AWS_PROFILE=admin strongroom bucket provision s3://my-backups/shop --write-profile backups"
    )]
    Provision(Box<Provision>),
    /// Prove with live requests that the bucket allows what backups need and refuses the rest
    #[command(
        before_help = "Example: AWS_PROFILE=backups strongroom bucket prove s3://my-backups/shop --html proof.html"
    )]
    Prove(Box<Prove>),
    /// Explain what policies allow: one request, all that Strongroom needs, or what a thief of the key could do
    #[command(
        before_help = "Example: strongroom bucket explain s3://my-backups/shop --identity-policy policy.json --action s3:PutObject"
    )]
    Explain(Box<Explain>),
    /// Find mistakes in a policy file
    #[command(before_help = "Example: strongroom bucket lint policy.json")]
    Lint(Lint),
}

/// What the policies are for.
#[derive(Debug, Args)]
pub(crate) struct Wanted {
    /// s3://bucket/prefix
    #[arg(value_parser = parse::<Location>)]
    pub(crate) location: Location,
    /// Which identities: classic (mLab's page), single (one, with least privilege) or split (writer, restorer, pruner)
    #[arg(long, default_value = "single", value_parser = parse::<Access>)]
    access: Access,
    /// The bucket's region [default: AWS_REGION, or us-east-1]
    #[arg(long)]
    region: Option<String>,
    /// The bucket keeps versions
    #[arg(long)]
    versioned: bool,
    /// Server-side encryption to require: none, AES256, aws:kms[:KEY] or aws:kms:dsse[:KEY]
    #[arg(long, default_value = "AES256", value_parser = parse::<Sse>)]
    sse: Sse,
    /// Require the encryption header itself, not just the bucket's default encryption
    #[arg(long)]
    require_header: bool,
    /// Lock every new version: governance:30d or compliance:30d
    #[arg(long, value_name = "LOCK", value_parser = parse::<Retention>)]
    object_lock: Option<Retention>,
    /// The account that owns the bucket
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Prefix for the names of policies, groups, users and roles
    #[arg(long)]
    name: Option<String>,
    /// Grant an existing identity (its ARN) access in the bucket policy
    #[arg(long, value_name = "ARN", conflicts_with = "role")]
    grant_to: Option<String>,
    /// Create a role instead of a user, for: account, an account's number (with --external-id), or kubernetes
    #[arg(long, value_name = "WHO")]
    role: Option<String>,
    /// External ID that the other account must pass to assume the role
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// For --role kubernetes: the cluster's OIDC provider, without https://
    #[arg(long, value_name = "HOST/PATH")]
    oidc_provider: Option<String>,
    /// For --role kubernetes: namespace:name
    #[arg(long, value_name = "NAME")]
    service_account: Option<String>,
    /// The kind of server, which decides how policies are read: aws or ceph
    #[arg(long, default_value = "aws", value_parser = parse::<Dialect>)]
    server: Dialect,
}

/// Whose credentials sign.
#[derive(Debug, Args)]
pub(crate) struct Aws {
    /// AWS profile to take credentials, region and endpoint from
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
}

impl Aws {
    pub(crate) fn options(&self) -> StoreOptions {
        StoreOptions { profile: self.profile.clone(), ..StoreOptions::default() }
    }
}

impl Wanted {
    pub(crate) fn settings(&self) -> Result<Settings> {
        let mut settings = Settings::of(&self.location)?;
        let named = self.region.clone().or_else(|| std::env::var("AWS_REGION").ok());
        settings.region = named.unwrap_or(settings.region);
        settings.account = self.account.clone();
        settings.access = self.access;
        settings.versioned = self.versioned;
        settings.sse = self.sse.clone();
        settings.header_required = self.require_header;
        settings.object_lock = self.object_lock;
        settings.grant_to = self.grant_to.clone();
        settings.trust = self.trust()?;
        settings.dialect = self.server;
        if let Some(name) = &self.name {
            settings.name.clone_from(name);
        }
        settings.check()?;
        Ok(settings)
    }

    /// The region, if one was given.
    pub(crate) fn region(&self) -> Option<String> {
        self.region.clone()
    }

    fn trust(&self) -> Result<Option<Trust>> {
        let missing = |option: &str, role: &str| {
            Err(Error::new(Code::Usage, format!("--role {role} needs {option}"))
                .help("`strongroom bucket policy --help` says what it is."))
        };
        Ok(Some(match self.role.as_deref() {
            None => return Ok(None),
            Some("account") => Trust::Account,
            Some("kubernetes") => match (&self.oidc_provider, &self.service_account) {
                (Some(provider), Some(account)) => Trust::Kubernetes {
                    provider: provider.trim_start_matches("https://").into(),
                    service_account: account.clone(),
                },
                (None, _) => return missing("--oidc-provider", "kubernetes"),
                (_, None) => return missing("--service-account", "kubernetes"),
            },
            Some(account) if account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) => {
                match &self.external_id {
                    Some(id) => Trust::CrossAccount { account: account.into(), external_id: id.clone() },
                    None => return missing("--external-id", account),
                }
            }
            Some(other) => {
                return Err(Error::new(Code::Usage, format!("`{other}` is not a value of --role"))
                    .help("Use account, the number of another account, or kubernetes."));
            }
        }))
    }
}

#[derive(Debug, Args)]
pub(crate) struct PolicyArguments {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    /// Format: json, aws-cli, cloudformation, terraform or console
    #[arg(long, default_value = "json", value_parser = parse::<Format>)]
    pub(crate) format: Format,
    /// Print only this document
    #[arg(long)]
    pub(crate) only: Option<Only>,
    /// Add the statements to the policy in this file, and print the result
    #[arg(long, value_name = "FILE", requires = "only")]
    pub(crate) merge: Option<PathBuf>,
}

/// One of the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Only {
    /// The identity's, or the writer's.
    Identity,
    /// The restorer's.
    Restorer,
    /// The pruner's.
    Pruner,
    /// The bucket's.
    Bucket,
    /// Who may assume the role.
    Trust,
}

#[derive(Debug, Args)]
pub(crate) struct Provision {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    #[command(flatten)]
    pub(crate) aws: Aws,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Change only the bucket: no users, groups, roles and managed policies
    #[arg(long)]
    pub(crate) bucket_only: bool,
    /// Write the access key to this profile of ~/.aws/credentials instead of showing it
    #[arg(long, value_name = "PROFILE")]
    pub(crate) write_profile: Option<String>,
    /// Create another access key for a user that has one
    #[arg(long)]
    pub(crate) new_key: bool,
    /// Remove what this command created; refused while there are backups
    #[arg(long, conflicts_with = "new_key")]
    pub(crate) destroy: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Prove {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    #[command(flatten)]
    pub(crate) aws: Aws,
    /// The AWS profile of an administrator, to read the bucket's settings and to clean up
    #[arg(long, value_name = "PROFILE")]
    pub(crate) admin_profile: Option<String>,
    /// The AWS profile of the writer (--access split)
    #[arg(long, value_name = "PROFILE")]
    pub(crate) writer_profile: Option<String>,
    /// The AWS profile of the restorer (--access split)
    #[arg(long, value_name = "PROFILE")]
    pub(crate) restorer_profile: Option<String>,
    /// The AWS profile of the pruner (--access split)
    #[arg(long, value_name = "PROFILE")]
    pub(crate) pruner_profile: Option<String>,
    /// The checksum to send with every object: sha256, md5 or none
    #[arg(long, value_name = "WHAT", default_value = "sha256", value_parser = parse::<Checksum>)]
    pub(crate) checksum: Checksum,
    /// Write the report as a self-contained HTML page
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

impl Prove {
    /// With the credentials of this profile, or else those of all commands.
    pub(crate) fn of_profile(&self, profile: Option<&String>) -> StoreOptions {
        let options = self.aws.options();
        let profile = profile.cloned().or(options.profile.clone());
        StoreOptions { profile, checksum: self.checksum, ..options }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    #[command(flatten)]
    pub(crate) wanted: Wanted,
    #[command(flatten)]
    pub(crate) aws: Aws,
    /// A policy of the identity, from a file; can be repeated [default: fetched, as far as permitted]
    #[arg(long = "identity-policy", alias = "policy", value_name = "FILE")]
    pub(crate) identity_policies: Vec<PathBuf>,
    /// The bucket's policy, from a file
    #[arg(long, value_name = "FILE")]
    pub(crate) bucket_policy: Option<PathBuf>,
    /// Explain this one request, such as s3:PutObject
    #[arg(long)]
    pub(crate) action: Option<String>,
    /// The key that the request is about, from the bucket's root [default: the bucket itself]
    #[arg(long, requires = "action")]
    pub(crate) key: Option<String>,
    /// A header or condition key of the request, NAME=VALUE; can be repeated
    #[arg(long = "header", value_name = "NAME=VALUE", requires = "action")]
    pub(crate) headers: Vec<String>,
    /// The ARN of the identity that asks [default: the one of these credentials]
    #[arg(long, value_name = "ARN")]
    pub(crate) principal: Option<String>,
    /// Show what somebody who holds this identity's key could do
    #[arg(long, conflicts_with = "action")]
    pub(crate) thief: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Lint {
    /// The file, or - for stdin
    pub(crate) file: PathBuf,
    /// What it is attached to [default: decided by its Principal elements]
    #[arg(long)]
    pub(crate) kind: Option<LintKind>,
}

/// What a policy is attached to.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum LintKind {
    /// A user, group or role.
    Identity,
    /// A bucket.
    Bucket,
}
