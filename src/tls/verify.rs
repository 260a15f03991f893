//! Whether whoever we have called is who we wanted.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::certificate;
use super::identity::{self, Wanted};
use super::settings::{Pin, Wildcards};

/// Looks at the certificate of a peer: signed by somebody whom we trust, and for the domain that was called (RFC 5922 §7.3); or the very one that
/// is pinned.
#[derive(Debug)]
pub(super) struct PeerVerifier {
    roots: Arc<RootCertStore>,
    pin: Option<Pin>,
    wildcards: Wildcards,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PeerVerifier {
    pub(super) fn new(
        provider: &CryptoProvider,
        roots: Arc<RootCertStore>,
        pin: Option<Pin>,
        wildcards: Wildcards,
    ) -> PeerVerifier {
        PeerVerifier { roots, pin, wildcards, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(Pin(pinned)) = self.pin {
            let is_pinned = Sha256::digest(leaf).as_slice() == pinned;
            return is_pinned.then(ServerCertVerified::assertion).ok_or(CertificateError::ApplicationVerificationFailure.into());
        }
        let parsed = ParsedCertificate::try_from(leaf)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, between, now, self.algorithms.all)?;
        let subject = certificate::read(leaf).ok_or(CertificateError::BadEncoding)?;
        let name;
        let wanted = match server {
            ServerName::DnsName(domain) => {
                name = domain.as_ref().to_owned();
                Wanted::Domain(&name)
            }
            ServerName::IpAddress(address) => Wanted::Address((*address).into()),
            _ => return Err(CertificateError::NotValidForName.into()),
        };
        match identity::is(&subject, wanted, self.wildcards) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::NotValidForName.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, leaf, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
