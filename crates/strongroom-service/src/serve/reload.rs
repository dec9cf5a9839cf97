//! What is read again while the service runs: the certificate and the master keys, at SIGHUP and when their files change.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use strongroom_engine::{Code, Error, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::tls::Certificate;
use super::{Loops, reseal};
use crate::secrets::{KeySource, Keyring};
use crate::state::State;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(20);

/// What may change.
#[derive(Clone)]
pub(super) struct Reload {
    pub(super) certificate: Option<Certificate>,
    /// The file of the master keys, if they come from one.
    pub(super) keys: Option<KeySource>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) state: State,
}

/// When the files were last changed.
type Stamps = (Option<[Option<SystemTime>; 2]>, Option<SystemTime>);

impl Reload {
    /// Looks from now on.
    pub(super) fn begin(self, loops: &Loops) {
        loops.begin("reload", move |stop| self.clone().watch(stop));
    }

    async fn watch(self, stop: CancellationToken) -> Result<()> {
        let mut asked = signal(SignalKind::hangup())
            .map_err(|e| Error::new(Code::Internal, "SIGHUP cannot be listened to").caused_by(e))?;
        let mut seen = self.stamps().await;
        // A change of the key may have been cut off.
        reseal::logged(&self.state, &self.keyring).await;
        loop {
            let hangup = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = asked.recv() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            let now = self.stamps().await;
            if hangup || now.0 != seen.0 {
                said("certificate", self.certificate_again().await);
            }
            if hangup || now.1 != seen.1 {
                said("master keys", self.keys_again().await);
                reseal::logged(&self.state, &self.keyring).await;
            }
            seen = now;
        }
    }

    async fn stamps(&self) -> Stamps {
        let certificate = match &self.certificate {
            Some(certificate) => Some(certificate.stamp().await),
            None => None,
        };
        let keys = match self.keys.as_ref().and_then(KeySource::file) {
            Some(path) => tokio::fs::metadata(path).await.ok(),
            None => None,
        };
        (certificate, keys.and_then(|file| file.modified().ok()))
    }

    async fn certificate_again(&self) -> Result<bool> {
        match &self.certificate {
            Some(certificate) => certificate.reload().await.map(|()| true),
            None => Ok(false),
        }
    }

    async fn keys_again(&self) -> Result<bool> {
        let Some(source) = &self.keys else { return Ok(false) };
        // Only files are read again: the environment of a process does not change.
        self.keyring.replace(source.read(|_| None).await?)?;
        Ok(true)
    }
}

fn said(what: &str, outcome: Result<bool>) {
    match outcome {
        Ok(true) => tracing::info!(what, "read again"),
        Ok(false) => {}
        Err(error) => tracing::error!(what, ?error, "not read again: what was in use stays so"),
    }
}
