//! TLS: which certificates are trusted, which is shown, and the handshake.

pub(crate) mod certificate;
mod verifier;

use std::fmt;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{ConnectConfig, RootCertificates, SslMode};
use crate::error::{Error, Result};
use verifier::Verifier;

/// What it takes to begin TLS with one server.
#[derive(Clone)]
pub(crate) struct TlsClient {
    connector: TlsConnector,
    server: ServerName<'static>,
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("TlsClient").field(&self.server).finish()
    }
}

impl TlsClient {
    /// Reads the certificates and keys that `config` names, for the server called `host`.
    pub(crate) fn new(config: &ConnectConfig, host: &str) -> Result<Self> {
        let server = match ServerName::try_from(host.to_owned()) {
            Ok(server) => server,
            Err(_) if config.ssl_mode == SslMode::VerifyFull => {
                return Err(Error::Tls(format!("{host} is not a name that a certificate can bear")));
            }
            // The name is not verified then; an address is not sent to the server either.
            Err(_) => ServerName::IpAddress(Ipv4Addr::UNSPECIFIED.into()),
        };
        let provider = Arc::new(ring::default_provider());
        let verifier = Verifier::new(
            trusted(&config.root_certificates)?,
            config.ssl_mode == SslMode::VerifyFull,
            Arc::clone(&provider),
        )?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let client = match &config.client_certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(certificates("sslcert", certificate)?, private_key(key)?)
                .map_err(|error| {
                    Error::config("sslcert", format!("the certificate cannot be used: {error}"))
                })?,
        };
        Ok(Self { connector: Arc::new(client).into(), server })
    }

    pub(crate) async fn connect(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>> {
        let handshake = self.connector.connect(self.server.clone(), stream);
        handshake.await.map_err(|error| Error::Tls(format!("the handshake failed: {error}")))
    }
}

fn failed(error: rustls::Error) -> Error {
    Error::Tls(error.to_string())
}

/// The certificates trusted as roots, or `None` where nothing is to be verified.
fn trusted(roots: &RootCertificates) -> Result<Option<Trusted>> {
    match roots {
        RootCertificates::None => Ok(None),
        RootCertificates::System => system_roots().map(Some),
        RootCertificates::File(file) => {
            let certificates = certificates("sslrootcert", file)?;
            let mut store = RootCertStore::empty();
            for certificate in &certificates {
                store.add(certificate.clone()).map_err(|error| {
                    Error::config(
                        "sslrootcert",
                        format!("{} has an invalid certificate: {error}", file.display()),
                    )
                })?;
            }
            Ok(Some(Trusted { store: Arc::new(store), certificates: certificates.into() }))
        }
    }
}

/// Root certificates, as a store of trust anchors and as they are.
#[derive(Clone)]
pub(crate) struct Trusted {
    store: Arc<RootCertStore>,
    certificates: Arc<[CertificateDer<'static>]>,
}

/// The system's roots, read once: there are hundreds.
fn system_roots() -> Result<Trusted> {
    static ROOTS: OnceLock<Trusted> = OnceLock::new();
    if let Some(roots) = ROOTS.get() {
        return Ok(roots.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(Error::config("sslrootcert", format!("the system has no roots: {}", reasons.join("; "))));
    }
    let roots = Trusted { store: Arc::new(store), certificates: Arc::new([]) };
    Ok(ROOTS.get_or_init(|| roots).clone())
}

fn certificates(parameter: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let unreadable =
        |error| Error::config(parameter, format!("{} cannot be read as PEM: {error}", file.display()));
    let certificates = CertificateDer::pem_file_iter(file)
        .map_err(unreadable)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(Error::config(parameter, format!("{} has no certificate", file.display())));
    }
    Ok(certificates)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| {
        Error::config("sslkey", format!("{} cannot be read as PEM: {error}", file.display()))
    })
}
