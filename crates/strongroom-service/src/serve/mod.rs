//! The service as a process: opens everything, answers HTTP, keeps the loops going, and ends in good order.

mod health;
mod listen;
mod loops;
mod place;
mod reload;
mod reseal;
mod tls;
mod work;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use strongroom_engine::{Clock, Code, Error, Result, Waits};
use tokio_util::sync::CancellationToken;

pub use loops::Loops;
pub use place::Environment;

use crate::api;
use crate::config::Given;
use crate::control::{self, setup};
use crate::events::Events;
use crate::runs::Means;
use crate::secrets::Keyring;
use crate::service::Service;
use crate::state::{State, StateError, StateUrl};
use health::Health;
use reload::Reload;
use tls::Certificate;

/// How long answers that were begun may go on after everything else has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// What a process gives to the service.
#[derive(Debug)]
pub struct Surroundings {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Variables of the environment.
    pub environment: Environment,
    /// Tells the person at the console the link that makes the first admin. It is a secret, and must not get into a log.
    pub announce: fn(&str),
}

/// What was looked at and can be opened.
struct Checked {
    place: place::Place,
    keyring: Keyring,
    certificate: Option<Certificate>,
}

/// Looks at everything that a start needs, except the database, and changes nothing.
///
/// # Errors
/// `SR-USAGE` with everything that is wrong in the configuration; `SR-MASTER-KEY`; a certificate that cannot be used.
pub async fn check(given: &Given, surroundings: &Surroundings) -> Result<Checks> {
    let checked = Checked::look(given, &surroundings.environment, false).await?;
    Ok(Checks {
        listen: given.config.listen.to_string(),
        tls: given.config.has_tls(),
        state: checked.place.state.to_string(),
    })
}

/// What a configuration that can be used says.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Checks {
    /// Where the service would listen.
    pub listen: String,
    /// Whether it would speak TLS.
    pub tls: bool,
    /// Where its state would be, without password.
    pub state: String,
}

impl fmt::Display for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = if self.tls { "with TLS" } else { "without TLS" };
        writeln!(f, "the configuration can be used: {} {with}, state {}", self.listen, self.state)
    }
}

impl Checked {
    /// `make`: whether what the first start needs may be made.
    async fn look(given: &Given, environment: &Environment, make: bool) -> Result<Self> {
        given.check(&given.config.problems())?;
        let place = place::Place::of(&given.config, environment)?;
        let keys = if make { place.keys_or_new(environment).await? } else { place.keys(environment).await? };
        let keyring = match keys {
            Some(keys) => Keyring::new(keys)?,
            None => Keyring::ephemeral()?,
        };
        let certificate = Certificate::load(&given.config.tls).await?;
        Ok(Self { place, keyring, certificate })
    }
}

/// Runs the service until `stop` is cancelled: then no run starts any more, and those that run may go on for
/// `stop_seconds`.
///
/// # Errors
/// As [`check`]; the state cannot be opened; the address cannot be listened on.
pub async fn serve(given: &Given, surroundings: Surroundings, stop: CancellationToken) -> Result<()> {
    let Checked { place, keyring, certificate } =
        Checked::look(given, &surroundings.environment, true).await?;
    let config = &given.config;
    let state = open(&place.state, &surroundings.clock).await?;
    let keyring = Arc::new(keyring);
    let events = Events::start(state.clone()).await.map_err(|wrong| cannot_open(&place.state, wrong))?;
    let stop_within = Duration::from_secs(config.stop_seconds.get());
    let means = Means {
        state: state.clone(),
        keyring: keyring.clone(),
        clock: surroundings.clock.clone(),
        events: events.clone(),
        waits: Waits::default(),
        timing: work::timing(stop_within),
    };
    let service =
        Service::new(state.clone(), events, keyring.clone(), surroundings.clock.clone(), config.clone());
    let service = Arc::new(service?);
    announce_setup(&service, surroundings.announce).await?;
    let loops = Loops::new(stop.clone());
    let health = Health { state: state.clone(), loops: loops.clone(), stop: stop.clone() };
    let router = api::router(service).merge(health.router());
    let mut server = listen::Server::start(config.listen, router, certificate.as_ref())?;
    let (address, tls) = (server.address().await?, certificate.is_some());
    tracing::info!(%address, tls, state = %place.state, "listening");
    Reload { certificate, keys: place.key_file(), keyring, state: state.clone() }.begin(&loops);
    work::begin(means, &loops).await?;

    let failed = tokio::select! {
        () = stop.cancelled() => None,
        failed = server.ended() => Some(failed),
    };
    stop.cancel();
    tracing::info!(limit = config.stop_seconds.get(), "stopping: no run starts any more");
    loops.ended(stop_within).await;
    if let Some(failed) = failed {
        return Err(failed);
    }
    server.stop(LAST_ANSWERS).await;
    state.close().await;
    tracing::info!("stopped");
    Ok(())
}

/// Without users, says how to make the first admin.
async fn announce_setup(service: &Service, announce: fn(&str)) -> Result<()> {
    let failed = |error: control::Error| Error::new(Code::Internal, error.message().to_owned());
    if let Some(link) = setup::link(service).await.map_err(failed)? {
        let base = service.config.public_url.clone().unwrap_or_else(|| {
            let scheme = if service.config.has_tls() { "https" } else { "http" };
            format!("{scheme}://{}", service.config.listen)
        });
        let base = base.trim_end_matches('/');
        // The fragment is sent to no server and written to no log of a proxy.
        let link = format!("{base}/setup#{}", link.expose());
        announce(&link);
    }
    Ok(())
}

async fn open(url: &StateUrl, clock: &Arc<dyn Clock>) -> Result<State> {
    State::open(url, clock.clone()).await.map_err(|wrong| cannot_open(url, wrong))
}

fn cannot_open(url: &StateUrl, wrong: StateError) -> Error {
    let code = match &wrong {
        StateError::Newer { .. } => Code::NewerFormat,
        StateError::Full => Code::Space,
        StateError::Damaged(_) => Code::Damaged,
        StateError::InUse(_) | StateError::Address(_) => Code::Usage,
        _ => Code::Internal,
    };
    Error::new(code, format!("the state `{url}` cannot be opened: {wrong}")).caused_by(wrong)
}

/// A folder that only the owner can enter, made where there is none.
fn private_folder(path: &PathBuf) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| {
        Error::new(Code::Usage, format!("the folder `{}` cannot be made: {e}", path.display()))
            .help("Name another one as `data` in the configuration.")
            .caused_by(e)
    })
}
