//! TLS on the port that plain connections come in on too.

use std::io;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// The first byte of a TLS connection: the type of a handshake record (RFC 8446, 5.1).
const HANDSHAKE: u8 = 0x16;

/// A certificate of its own for 127.0.0.1 and localhost, as PEM, and what accepts connections under it.
pub(crate) fn make() -> io::Result<(TlsAcceptor, String)> {
    let key = KeyPair::generate().map_err(io::Error::other)?;
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "sandbox");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key).map_err(io::Error::other)?;
    let secret = PrivatePkcs8KeyDer::from(key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret.into())
        .map_err(io::Error::other)?;
    Ok((TlsAcceptor::from(Arc::new(config)), certificate.pem()))
}

/// Whether a connection begins as TLS does.
pub(crate) async fn begins(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    Ok(stream.peek(&mut first).await? == 1 && first[0] == HANDSHAKE)
}
