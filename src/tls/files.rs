//! PEM files.

use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys, RootCertStore};

use super::settings::Identity;

/// Why a file is of no use.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum LoadFault {
    /// It is not there, or not for us.
    #[error("{} cannot be read: {why}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// No certificate is in it.
    #[error("{} holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    /// No key is in it, or one under a passphrase.
    #[error("{} holds no private key in PEM without a passphrase", .0.display())]
    NoKey(PathBuf),
    /// The key is another one's.
    #[error("the key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    NoPair {
        /// Where the certificate is.
        certificate: PathBuf,
        /// Where the key is.
        key: PathBuf,
    },
    /// A kind of key that is not known, or a certificate that is damaged.
    #[error("{} is of no use: {why}", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// Reads a certificate and its key, and sees that they belong together.
pub(super) fn identity(identity: &Identity, provider: &CryptoProvider) -> Result<CertifiedKey, LoadFault> {
    let Identity { certificate, key } = identity;
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|fault| unread(key, fault, LoadFault::NoKey(key.clone())))?;
    CertifiedKey::from_der(chain, private, provider).map_err(|fault| {
        if fault == Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
            LoadFault::NoPair { certificate: certificate.clone(), key: key.clone() }
        } else {
            LoadFault::Unusable { path: certificate.clone(), why: fault.to_string() }
        }
    })
}

/// Reads those who may sign.
pub(super) fn roots(path: &Path) -> Result<RootCertStore, LoadFault> {
    let mut roots = RootCertStore::empty();
    for root in certificates(path)? {
        roots.add(root).map_err(|fault| LoadFault::Unusable { path: path.to_owned(), why: fault.to_string() })?;
    }
    Ok(roots)
}

/// Whomever this machine trusts; nobody, where it has no list.
pub(super) fn roots_of_machine() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let (taken, ignored) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    tracing::debug!(taken, ignored, "certificates that this machine trusts");
    roots
}

/// Every certificate in a file; at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LoadFault> {
    let none = || LoadFault::NoCertificate(path.to_owned());
    let found = CertificateDer::pem_file_iter(path).map_err(|fault| unread(path, fault, none()))?;
    let all = found.collect::<Result<Vec<_>, _>>().map_err(|fault| unread(path, fault, none()))?;
    if all.is_empty() { Err(none()) } else { Ok(all) }
}

fn unread(path: &Path, fault: pem::Error, otherwise: LoadFault) -> LoadFault {
    if let pem::Error::Io(fault) = fault {
        LoadFault::Unreadable { path: path.to_owned(), why: fault.to_string() }
    } else {
        otherwise
    }
}
