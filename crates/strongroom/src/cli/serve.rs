//! Options of the commands that belong to the service.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// The configuration, a YAML file; docs/CONFIG.md lists its keys, each of which also has a variable
    #[arg(long, value_name = "FILE", env = "STRONGROOM_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Where the state is: sqlite:///path or postgres://user@host/database. Other users can see it here: a password
    /// belongs into STRONGROOM_STATE_URL [default: a file of this user]
    #[arg(long, value_name = "URL")]
    pub(crate) state: Option<String>,
    /// Address and port to listen on [default: 127.0.0.1:8270]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Say what is wrong with the configuration, and do not start
    #[arg(long)]
    pub(crate) check_config: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a file with a new master key
    #[command(before_help = "Example: strongroom key generate /etc/strongroom/master.key")]
    Generate(KeyFile),
    /// Put a new master key in front of those in a file: the running service seals all secrets anew with it
    #[command(before_help = "Example: strongroom key rotate /etc/strongroom/master.key")]
    Rotate(KeyFile),
}

#[derive(Debug, Args)]
pub(crate) struct KeyFile {
    /// The file, which only its owner may read
    pub(crate) file: PathBuf,
    /// Let this key in AWS KMS encrypt the master key: an id, an ARN or an alias
    #[arg(long, value_name = "KEY")]
    pub(crate) kms_key: Option<String>,
    /// AWS profile for KMS
    #[arg(long, value_name = "NAME", requires = "kms_key")]
    pub(crate) profile: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Folder to write a page for each command into [default: print the page of the program]
    pub(crate) folder: Option<PathBuf>,
}
