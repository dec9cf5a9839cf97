//! The certificates that are trusted: those of the system, or those of `AWS_CA_BUNDLE` or the profile's `ca_bundle`.

use aws_sdk_s3::config::SharedHttpClient;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{StoreOptions, environment};
use crate::error::{Code, Error, Result};

/// The client that trusts a bundle and nothing else, as every AWS tool; none where no bundle is named.
pub(super) async fn client(options: &StoreOptions) -> Result<Option<SharedHttpClient>> {
    let named = match environment::set("AWS_CA_BUNDLE") {
        Some(path) => Some(path),
        None => environment::of_profile(options, "ca_bundle").await,
    };
    let Some(path) = named else { return Ok(None) };
    let wrong = |why: String| {
        Error::new(Code::Usage, format!("cannot use the CA bundle `{path}`: {why}")).help(
            "AWS_CA_BUNDLE, or ca_bundle in the profile, must name a file of certificates in PEM. Correct it, or leave it out \
             to trust the certificates of this system.",
        )
    };
    let pem = tokio::fs::read(&path).await.map_err(|e| wrong(e.to_string()))?;
    check(&pem).map_err(wrong)?;
    let context =
        TlsContext::builder().with_trust_store(TrustStore::empty().with_pem_certificate(pem)).build();
    let context = context.map_err(|e| Error::new(Code::Internal, "TLS cannot be set up").caused_by(e))?;
    let builder = Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(context);
    Ok(Some(builder.build_https()))
}

/// The SDK panics over what is no certificate.
fn check(pem: &[u8]) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| e.to_string())?;
        roots.add(certificate).map_err(|e| e.to_string())?;
    }
    if roots.is_empty() { Err("it holds no certificate".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_certificates_are_taken() {
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let torn = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        for (pem, why) in
            [("", "holds no certificate"), ("hello", "holds no certificate"), (broken, ""), (torn, "")]
        {
            let error = check(pem.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
