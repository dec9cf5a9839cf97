//! `strongroom cat`.

use std::io::{self, ErrorKind, IsTerminal, Write};

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
    let mut stdout = Pipe { out: output.stdout(), closed: false };
    let written = cat(store, &manifest, options.gzip, &mut stdout, &job).await;
    // Whoever reads it has enough.
    if stdout.closed { Ok(()) } else { written }
}

/// Notes when nobody reads on.
struct Pipe<W> {
    out: W,
    closed: bool,
}

impl<W: Write> Pipe<W> {
    fn note<T>(&mut self, outcome: io::Result<T>) -> io::Result<T> {
        self.closed |= outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe);
        outcome
    }
}

impl<W: Write> Write for Pipe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.note(flushed)
    }
}
