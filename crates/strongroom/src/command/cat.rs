//! `strongroom cat`.

use std::io::{self, IsTerminal};

use strongroom_engine::cat::cat;
use strongroom_engine::error::{Code, Error, Result};

use crate::cli::Cat;
use crate::output::Output;

pub(crate) async fn run(options: Cat, output: &Output) -> Result<()> {
    if io::stdout().is_terminal() {
        return Err(Error::new(Code::Usage, "an archive is not for a terminal")
            .help("Send it on: `strongroom cat … | mongorestore --archive`, or `> backup.archive`."));
    }
    let (store, manifest) = super::find(options.one).await?;
    let observer = output.observer();
    cat(store, &manifest, options.gzip, &mut output.stdout(), &*observer).await
}
