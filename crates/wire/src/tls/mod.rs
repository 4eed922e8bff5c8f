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
        let host = config.ssl_server_name.as_deref().unwrap_or(host);
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
        let client = match client_identity(config)? {
            None => builder.with_no_client_auth(),
            Some((certificates, key)) => {
                builder.with_client_auth_cert(certificates, key).map_err(|error| {
                    Error::config("sslcert", format!("the certificate cannot be used: {error}"))
                })?
            }
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
            roots_of(certificates("sslrootcert", file)?, &file.display().to_string()).map(Some)
        }
        RootCertificates::Pem(text) => roots_of(certificates_in("sslrootcert", text)?, "the text").map(Some),
    }
}

fn roots_of(certificates: Vec<CertificateDer<'static>>, source: &str) -> Result<Trusted> {
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store.add(certificate.clone()).map_err(|error| {
            Error::config("sslrootcert", format!("{source} has an invalid certificate: {error}"))
        })?;
    }
    Ok(Trusted { store: Arc::new(store), certificates: certificates.into() })
}

/// The certificate and the key that the client shows.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client_identity(config: &ConnectConfig) -> Result<Option<Identity>> {
    if let Some((certificate, key)) = &config.client_identity {
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| Error::config("sslkey", format!("the text cannot be read as PEM: {error}")))?;
        return Ok(Some((certificates_in("sslcert", certificate)?, key)));
    }
    let Some((certificate, key)) = &config.client_certificate else { return Ok(None) };
    Ok(Some((certificates("sslcert", certificate)?, private_key(key)?)))
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

fn certificates_in(parameter: &str, text: &str) -> Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Error::config(parameter, format!("the text cannot be read as PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(Error::config(parameter, "the text has no certificate"));
    }
    Ok(certificates)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| {
        Error::config("sslkey", format!("{} cannot be read as PEM: {error}", file.display()))
    })
}
