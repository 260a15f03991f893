//! Which certificate of ours is shown.

use std::sync::Arc;

use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::settings::Wildcards;
use super::{certificate, identity};

/// The one that is for the name that is asked for, else the first; of several for one name the first that the client can verify.
#[derive(Debug)]
pub(super) struct Sni {
    keys: Vec<(Vec<String>, Arc<CertifiedKey>)>,
}

impl Sni {
    pub(super) fn new(keys: Vec<CertifiedKey>) -> Sni {
        let domains = |key: &CertifiedKey| {
            let subject = key.cert.first().and_then(|leaf| certificate::read(leaf));
            subject.map(|subject| identity::domains(&subject).into_iter().map(str::to_owned).collect()).unwrap_or_default()
        };
        Sni { keys: keys.into_iter().map(|key| (domains(&key), Arc::new(key))).collect() }
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let fits = |key: &CertifiedKey| key.key.choose_scheme(schemes).is_some();
        let is_for = |domains: &[String], name: &str| domains.iter().any(|own| identity::covers(own, name, Wildcards::Taken));
        let named = |name: &str| self.keys.iter().find(|(domains, key)| is_for(domains, name) && fits(key));
        let found = name.and_then(named).or_else(|| self.keys.iter().find(|(_, key)| fits(key)));
        found.map(|(_, key)| key.clone())
    }
}

impl ResolvesServerCert for Sni {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}

/// The same one to everybody who asks.
#[derive(Debug)]
pub(super) struct Always(Arc<CertifiedKey>);

impl Always {
    pub(super) fn new(key: CertifiedKey) -> Always {
        Always(Arc::new(key))
    }
}

impl ResolvesClientCert for Always {
    fn resolve(&self, _hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.key.choose_scheme(schemes).map(|_| self.0.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}
