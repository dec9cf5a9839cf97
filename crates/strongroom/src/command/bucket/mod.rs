//! `strongroom bucket`: its security drawn up, applied, proved and explained.

mod credentials;
mod explain;
mod lint;
mod policy;
mod prove;
mod provision;

use std::path::Path;

use strongroom_engine::error::{Code, Error, Result};
use tokio_util::sync::CancellationToken;

use crate::cli::bucket::Bucket;
use crate::command::until_cancelled;
use crate::output::Output;

pub(crate) async fn run(command: Bucket, output: &Output, cancel: CancellationToken) -> Result<()> {
    match command {
        Bucket::Policy(options) => policy::run(&options, output),
        Bucket::Provision(options) => provision::run(&options, output, cancel).await,
        Bucket::Prove(options) => prove::run(&options, output, cancel).await,
        Bucket::Explain(options) => until_cancelled(explain::run(&options, output), cancel).await,
        Bucket::Lint(options) => lint::run(&options, output),
    }
}

/// A policy file. AWS takes 20 KB at most; a megabyte is room for what is wrong with it.
fn read(path: &Path) -> Result<String> {
    use std::io::Read;
    const BYTES_MAX: u64 = 1024 * 1024;
    let failed =
        |e: std::io::Error| Error::new(Code::Usage, format!("`{}` cannot be read: {e}", path.display()));
    let mut text = String::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().take(BYTES_MAX + 1).read_to_string(&mut text),
        false => std::fs::File::open(path).map_err(failed)?.take(BYTES_MAX + 1).read_to_string(&mut text),
    };
    read.map_err(failed)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(Error::new(
            Code::Usage,
            format!("`{}` is longer than a megabyte: no policy is", path.display()),
        ));
    }
    Ok(text)
}
