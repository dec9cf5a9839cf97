//! Options of deployments and locations.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Deleted, Labels, Listed, Named, OrNone, text_or_none};
use crate::cli::service::run::Wait;

#[derive(Debug, Subcommand)]
pub(crate) enum Deployment {
    /// List deployments
    #[command(before_help = "Example: strongroom deployment list")]
    List(Listed),
    /// Show a deployment, and what its last test found
    #[command(before_help = "Example: strongroom deployment show shop")]
    Show(Named),
    /// Make a deployment; its connection string comes from STRONGROOM_URI or a file
    #[command(before_help = "Example: strongroom deployment create --name shop --uri-file shop.uri")]
    Create(NewDeployment),
    /// Change a deployment; what is not given stays
    #[command(before_help = "Example: strongroom deployment update shop --uri-file new.uri")]
    Update(ChangedDeployment),
    /// Delete a deployment that no plan uses
    #[command(before_help = "Example: strongroom deployment delete shop --yes")]
    Delete(Deleted),
    /// Connect to a deployment, and say what a backup lacks
    #[command(before_help = "Example: strongroom deployment test shop")]
    Test(Named),
}

#[derive(Debug, Args)]
pub(crate) struct NewDeployment {
    /// The name by which people know it
    #[arg(long)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) fields: DeploymentFields,
}

#[derive(Debug, Args)]
pub(crate) struct ChangedDeployment {
    #[command(flatten)]
    pub(crate) which: Named,
    /// Another name
    #[arg(long = "name", value_name = "NAME")]
    pub(crate) new_name: Option<String>,
    #[command(flatten)]
    pub(crate) fields: DeploymentFields,
}

#[derive(Debug, Args)]
pub(crate) struct DeploymentFields {
    /// File that contains the MongoDB connection string, or - for stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) uri_file: Option<PathBuf>,
    /// How many runs may read or write it at a time
    #[arg(long, value_name = "NUMBER")]
    pub(crate) runs_at_once: Option<u64>,
    #[command(flatten)]
    pub(crate) labels: Labels,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Location {
    /// List locations
    #[command(before_help = "Example: strongroom location list")]
    List(Listed),
    /// Show a location, and what its last proof found
    #[command(before_help = "Example: strongroom location show eu")]
    Show(Named),
    /// Make a location
    #[command(
        before_help = "Example: strongroom location create --name eu --location s3://my-backups/shop --encryption AES256"
    )]
    Create(Box<NewLocation>),
    /// Change a location; what is not given stays
    #[command(before_help = "Example: strongroom location update eu --runs-at-once 4")]
    Update(Box<ChangedLocation>),
    /// Delete a location that no plan uses; what is stored there stays
    #[command(before_help = "Example: strongroom location delete eu --yes")]
    Delete(Deleted),
    /// Prove live that the location's bucket is locked, as a run of the service
    #[command(before_help = "Example: strongroom location prove eu --wait")]
    Prove(Proven),
}

#[derive(Debug, Args)]
pub(crate) struct Proven {
    #[command(flatten)]
    pub(crate) which: Named,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

#[derive(Debug, Args)]
pub(crate) struct NewLocation {
    /// The name by which people know it
    #[arg(long)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) fields: LocationFields,
}

#[derive(Debug, Args)]
pub(crate) struct ChangedLocation {
    #[command(flatten)]
    pub(crate) which: Named,
    /// Another name
    #[arg(long = "name", value_name = "NAME")]
    pub(crate) new_name: Option<String>,
    #[command(flatten)]
    pub(crate) fields: LocationFields,
}

#[derive(Debug, Args)]
pub(crate) struct LocationFields {
    /// s3://bucket/prefix, or file:///path below a folder that the service's configuration allows
    #[arg(long, value_name = "LOCATION")]
    pub(crate) location: Option<String>,
    /// The URL of an S3-compatible server; none: Amazon's
    #[arg(long, value_name = "URL", value_parser = text_or_none)]
    pub(crate) endpoint: Option<OrNone>,
    /// The region of the bucket, or none
    #[arg(long, value_parser = text_or_none)]
    pub(crate) region: Option<OrNone>,
    /// The AWS account that must own the bucket, or none
    #[arg(long, value_name = "ACCOUNT", value_parser = text_or_none)]
    pub(crate) expected_owner: Option<OrNone>,
    /// The checksum to send with every object: sha256, md5 or none
    #[arg(long, value_name = "WHAT")]
    pub(crate) checksum: Option<String>,
    /// How many identities there are: classic, single or split
    #[arg(long, value_name = "HOW")]
    pub(crate) access: Option<String>,
    /// Whether the bucket keeps versions
    #[arg(long, value_name = "BOOL")]
    pub(crate) versioned: Option<bool>,
    /// The encryption that the bucket requires: none, AES256, aws:kms[:KEY] or aws:kms:dsse[:KEY]
    #[arg(long, value_name = "SSE")]
    pub(crate) encryption: Option<String>,
    /// Whether the encryption must be asked for with every object
    #[arg(long, value_name = "BOOL")]
    pub(crate) header_required: Option<bool>,
    /// How long every new version is locked, such as governance:30d, or none
    #[arg(long, value_name = "MODE:PERIOD", value_parser = text_or_none)]
    pub(crate) object_lock: Option<OrNone>,
    /// How the server reads policies: aws or ceph
    #[arg(long, value_name = "SERVER")]
    pub(crate) dialect: Option<String>,
    /// How many runs may use it at a time
    #[arg(long, value_name = "NUMBER")]
    pub(crate) runs_at_once: Option<u64>,
    #[command(flatten)]
    pub(crate) credentials: CredentialFields,
    /// With the access `split`: file (YAML or JSON) with the credentials that read backups, as `apply` takes them
    #[arg(long, value_name = "FILE")]
    pub(crate) restorer_file: Option<PathBuf>,
    /// With the access `split`: file (YAML or JSON) with the credentials that delete backups
    #[arg(long, value_name = "FILE")]
    pub(crate) pruner_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) labels: Labels,
}

#[derive(Debug, Args)]
pub(crate) struct CredentialFields {
    /// Use the credentials of the machine that the service runs on
    #[arg(long, conflicts_with_all = ["access_key_id", "profile", "role_arn"])]
    pub(crate) ambient: bool,
    /// The id of an access key; its secret comes from --secret-file or STRONGROOM_SECRET
    #[arg(long, value_name = "ID")]
    pub(crate) access_key_id: Option<String>,
    /// File that contains the secret of the access key, or - for stdin
    #[arg(long, value_name = "FILE", requires = "access_key_id")]
    pub(crate) secret_file: Option<PathBuf>,
    /// A profile in the AWS files of the machine that the service runs on
    #[arg(long, value_name = "NAME", conflicts_with_all = ["access_key_id", "role_arn"])]
    pub(crate) profile: Option<String>,
    /// Assume this IAM role, with the access key if there is one, else with the machine's credentials
    #[arg(long, value_name = "ARN")]
    pub(crate) role_arn: Option<String>,
    /// What the role's trust policy asks for
    #[arg(long, value_name = "ID", requires = "role_arn")]
    pub(crate) external_id: Option<String>,
}
