//! The listener: HTTP/1.1 and HTTP/2, with TLS or without.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use strongroom_engine::{Code, Error, Result};
use tokio::task::JoinHandle;

use super::tls::Certificate;

/// How long a client may take for a TLS handshake, and then for its first request.
const PATIENCE: Duration = Duration::from_secs(20);

/// A listener that answers.
pub(super) struct Server {
    handle: Handle<SocketAddr>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(super) fn start(
        address: SocketAddr,
        router: Router,
        certificate: Option<&Certificate>,
    ) -> Result<Self> {
        let failed = |e: std::io::Error| {
            Error::new(Code::Usage, format!("cannot listen on {address}: {e}"))
                .help("Choose another address or port as `listen` in the configuration.")
                .caused_by(e)
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let handle = Handle::new();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let task = match certificate {
            Some(certificate) => {
                let server = axum_server::from_tcp_rustls(listener, certificate.in_use()).map_err(failed)?;
                let server = server.map(|acceptor| acceptor.handshake_timeout(PATIENCE));
                tokio::spawn(server.first_request_timeout(PATIENCE).handle(handle.clone()).serve(service))
            }
            None => {
                let server = axum_server::from_tcp(listener).map_err(failed)?;
                tokio::spawn(server.first_request_timeout(PATIENCE).handle(handle.clone()).serve(service))
            }
        };
        Ok(Self { handle, task })
    }

    /// The address that was got: port 0 gives any that is free.
    pub(super) async fn address(&self) -> Result<SocketAddr> {
        self.handle.listening().await.ok_or_else(|| Error::new(Code::Internal, "the listener did not start"))
    }

    /// Ends only if the listener does, which it should not.
    pub(super) async fn ended(&mut self) -> Error {
        let why = match (&mut self.task).await {
            Ok(Ok(())) => "it ended".to_owned(),
            Ok(Err(e)) => e.to_string(),
            Err(e) => e.to_string(),
        };
        Error::new(Code::Internal, format!("the listener failed: {why}"))
    }

    /// Takes no more connections, and ends those that are open when what they asked for is answered, or after `limit`.
    pub(super) async fn stop(self, limit: Duration) {
        self.handle.graceful_shutdown(Some(limit));
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the listener ended badly");
        }
    }
}
