//! Certificates for a server on loopback and one client, by an authority of their own.

use std::fs;
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use tempfile::TempDir;

use crate::tools::Missing;

/// The client's name, as MongoDB writes it: that of its user in `$external`.
pub const CLIENT: &str = "CN=strongroom,OU=backups,O=clients";

/// Files with certificates and keys. Dropped, they are gone.
#[derive(Debug)]
pub struct Certificates(TempDir);

impl Certificates {
    /// Makes all of them.
    ///
    /// # Errors
    /// When they cannot be made or written.
    pub fn make() -> Result<Self, Missing> {
        let failed = |what: String| Missing(format!("the certificates cannot be made: {what}"));
        let folder = TempDir::new().map_err(|e| failed(e.to_string()))?;
        for (name, text) in texts().map_err(|e| failed(e.to_string()))? {
            fs::write(folder.path().join(name), text).map_err(|e| failed(e.to_string()))?;
        }
        Ok(Self(folder))
    }

    /// The authority's certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    /// The server's certificate and key.
    #[must_use]
    pub fn server(&self) -> PathBuf {
        self.0.path().join("server.pem")
    }

    /// The client's certificate and key.
    #[must_use]
    pub fn client(&self) -> PathBuf {
        self.0.path().join("client.pem")
    }

    /// What a connection string needs, beginning with `&`.
    #[must_use]
    pub fn uri_options(&self) -> String {
        let (ca, client) = (self.ca(), self.client());
        format!("&tls=true&tlsCAFile={}&tlsCertificateKeyFile={}", ca.display(), client.display())
    }
}

fn texts() -> Result<[(&'static str, String); 3], rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = name(&[(DnType::CommonName, "testbed")]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = params.self_signed(&key)?;
    let issuer = Issuer::new(params, key);
    let server = [(DnType::OrganizationName, "servers"), (DnType::CommonName, "mongod")];
    let client = [
        (DnType::OrganizationName, "clients"),
        (DnType::OrganizationalUnitName, "backups"),
        (DnType::CommonName, "strongroom"),
    ];
    Ok([
        ("ca.pem", ca.pem()),
        ("server.pem", signed(&server, &issuer)?),
        ("client.pem", signed(&client, &issuer)?),
    ])
}

fn signed(subject: &[(DnType, &str)], issuer: &Issuer<'_, KeyPair>) -> Result<String, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    params.distinguished_name = name(subject);
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let certificate: Certificate = params.signed_by(&key, issuer)?;
    Ok(certificate.pem() + &key.serialize_pem())
}

fn name(parts: &[(DnType, &str)]) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    for (kind, value) in parts {
        name.push(kind.clone(), *value);
    }
    name
}
