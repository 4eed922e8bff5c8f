//! Verification of the server's certificate, as the `sslmode` demands.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::{Trusted, certificate};
use crate::error;

#[derive(Debug)]
pub(super) struct Verifier {
    chain: Option<Chain>,
    check_name: bool,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
struct Chain {
    inner: Arc<WebPkiServerVerifier>,
    certificates: Arc<[CertificateDer<'static>]>,
}

impl Verifier {
    /// Verifies nothing but the handshake's own signature when there are no roots.
    pub(super) fn new(
        trusted: Option<Trusted>,
        check_name: bool,
        provider: Arc<CryptoProvider>,
    ) -> error::Result<Self> {
        let chain = trusted
            .map(|trusted| {
                WebPkiServerVerifier::builder_with_provider(trusted.store, Arc::clone(&provider))
                    .build()
                    .map(|inner| Chain { inner, certificates: trusted.certificates })
                    .map_err(|error| error::Error::Tls(error.to_string()))
            })
            .transpose()?;
        Ok(Self { chain, check_name, provider })
    }

    fn verify_pinned(
        &self,
        end_entity: &CertificateDer<'_>,
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        match certificate::validity(end_entity) {
            Some(validity) if validity.contains(&now.as_secs()) => {}
            Some(validity) if now.as_secs() < *validity.start() => {
                return Err(CertificateError::NotValidYet.into());
            }
            Some(_) => return Err(CertificateError::Expired.into()),
            None => return Err(CertificateError::BadEncoding.into()),
        }
        if self.check_name {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
        }
        Ok(())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        // A server's self-signed certificate, given as the root: the verifier of chains does not accept a
        // certificate that is an authority and a server at once, though it is the very one that is trusted.
        if chain.certificates.iter().any(|trusted| trusted == end_entity) {
            return self
                .verify_pinned(end_entity, server_name, now)
                .map(|()| ServerCertVerified::assertion());
        }
        match chain.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // The chain is verified before the name, so only the name is wrong here.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.check_name => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
