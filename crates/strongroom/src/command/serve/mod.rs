//! `strongroom serve`.

mod log;

use std::io::Write;
use std::sync::Arc;

use strongroom_engine::{Code, Error, Result};
use strongroom_service::config::{self, Given};
use strongroom_service::serve::{self, Environment, Surroundings};
use tokio_util::sync::CancellationToken;

use crate::cli::serve::Serve;
use crate::clock::SystemClock;
use crate::output::Output;

pub(crate) async fn run(options: Serve, output: &Output, cancel: CancellationToken) -> Result<()> {
    let given = given(&options)?;
    let environment = Environment::new(|name| std::env::var(name).ok());
    let surroundings = Surroundings { clock: Arc::new(SystemClock), environment, announce };
    if options.check_config {
        let checks = serve::check(&given, &surroundings).await?;
        return output.answer(&checks, &checks);
    }
    log::begin(&given.config.log);
    serve::serve(&given, surroundings, cancel).await
}

/// Not through the log: that may be kept where others read it.
fn announce(link: &str) {
    // Without a console nobody misses it: the next start prints another one.
    let _ = writeln!(std::io::stderr(), "make the first admin here, within a day: {link}");
}

/// The configuration; what stands on the command line goes before file and environment.
fn given(options: &Serve) -> Result<Given> {
    let mut given = config::read(options.config.as_deref(), |name| std::env::var(name).ok())?;
    if let Some(listen) = options.listen {
        given.config.listen = listen;
    }
    if let Some(state) = &options.state {
        let url =
            state.clone().try_into().map_err(|why| Error::new(Code::Usage, format!("--state: {why}")))?;
        given.config.state.url = Some(url);
        given.config.state.url_file = None;
    }
    Ok(given)
}
