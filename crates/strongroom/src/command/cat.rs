//! `strongroom cat`.

use std::io::{self, IsTerminal};

use strongroom_engine::{Code, Error, Job, Result, cat};

use crate::cli::Cat;
use crate::output::Output;

pub(crate) async fn run(options: Cat, output: &Output, job: Job) -> Result<()> {
    if io::stdout().is_terminal() {
        return Err(Error::new(Code::Usage, "stdout is a terminal, and an archive is binary data").help(
            "Pipe it into a program (`| mongorestore --archive`) or write it to a file (`> backup.archive`).",
        ));
    }
    let (store, manifest) = job.unless_cancelled(super::find(options.one, job.observer.clone())).await?;
    cat(store, &manifest, options.gzip, &mut output.stdout(), &job).await
}
