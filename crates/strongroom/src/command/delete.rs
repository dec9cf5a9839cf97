//! `strongroom delete`.

use std::fmt;
use std::io::{self, BufRead, IsTerminal};

use serde::Serialize;
use strongroom_engine::bucket;
use strongroom_engine::catalog::{self, Deleted};
use strongroom_engine::error::{Code, Error, Result};
use strongroom_engine::layout::BackupId;

use crate::cli::Delete;
use crate::output::Output;
use crate::words::size;

pub(crate) async fn run(options: Delete, output: &Output) -> Result<()> {
    let id: BackupId = options.backup.parse()?;
    if !options.yes {
        confirm(&id, output)?;
    }
    let store = bucket::open(&options.place.location, options.place.owner.options())?;
    let observer = output.observer();
    let deleted = catalog::delete(store, options.place.plan.as_ref(), &id, &*observer).await?;
    drop(observer);
    let answer = Answer { id: id.as_str(), deleted };
    output.answer(&answer, &answer)
}

fn confirm(id: &BackupId, output: &Output) -> Result<()> {
    if !io::stdin().is_terminal() {
        return Err(Error::new(
            Code::Usage,
            format!("nobody is there to ask whether `{id}` is to be deleted"),
        )
        .help("Say --yes."));
    }
    output.remark(&format!("Delete backup {id} for good? Write `yes` to go on:"));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    match read {
        Ok(_) if answer.trim() == "yes" => Ok(()),
        _ => Err(Error::new(Code::Cancelled, "nothing was deleted")),
    }
}

#[derive(Serialize)]
struct Answer<'a> {
    id: &'a str,
    #[serde(flatten)]
    deleted: Deleted,
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Deleted { objects, stored_bytes } = self.deleted;
        writeln!(f, "deleted {}: {objects} objects, {}", self.id, size(stored_bytes))
    }
}
