//! The certificate of the service, read again when its files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use axum_server::tls_rustls::RustlsConfig;
use strongroom_engine::{Code, Error, Result};

use crate::config::Tls;

/// A certificate with its key, in use.
#[derive(Clone)]
pub(super) struct Certificate {
    certificate: PathBuf,
    key: PathBuf,
    used: RustlsConfig,
}

impl Certificate {
    /// The one of the configuration, if it names one.
    pub(super) async fn load(tls: &Tls) -> Result<Option<Self>> {
        let (Some(certificate), Some(key)) = (tls.certificate.clone(), tls.key.clone()) else {
            return Ok(None);
        };
        // Another part of the program may have chosen it before: it is the same one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let used = RustlsConfig::from_pem_file(&certificate, &key)
            .await
            .map_err(|e| unusable(&certificate, &key, e))?;
        Ok(Some(Self { certificate, key, used }))
    }

    /// What the listener uses.
    pub(super) fn in_use(&self) -> RustlsConfig {
        self.used.clone()
    }

    /// Uses what the files hold now. A certificate that cannot be used changes nothing.
    pub(super) async fn reload(&self) -> Result<()> {
        let Self { certificate, key, used } = self;
        used.reload_from_pem_file(certificate, key).await.map_err(|e| unusable(certificate, key, e))
    }

    /// Changes when a file does.
    pub(super) async fn stamp(&self) -> [Option<SystemTime>; 2] {
        let time = async |path: &PathBuf| tokio::fs::metadata(path).await.ok()?.modified().ok();
        [time(&self.certificate).await, time(&self.key).await]
    }
}

fn unusable(certificate: &Path, key: &Path, why: std::io::Error) -> Error {
    let (certificate, key) = (certificate.display(), key.display());
    Error::new(
        Code::Usage,
        format!("the certificate `{certificate}` with the key `{key}` cannot be used: {why}"),
    )
    .help("Both must be PEM, the certificate with its chain, the key without a passphrase.")
    .caused_by(Arc::new(why))
}
