//! TLS for SIP: who we are to others, whom we trust, and whose certificate is good for whom (RFC 5922).

mod certificate;
mod files;
mod identity;
mod settings;
mod sni;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use baton_sip::ServerName;
use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, RwLock};
use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

pub(crate) use files::LoadFault;
pub(crate) use settings::{Clients, Identity, Oldest, Peer, Pin, Roots, TlsSettings, Wildcards};

use crate::clock::Clock;
use verify::PeerVerifier;

/// How often the files are looked at for a change.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How long before its end a certificate is complained about.
const ENDS_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// TLS as it is configured, with the certificates as they were on the disk when that was last looked at. A change of them concerns new
/// connections only: those that are up, and their calls, go on.
pub(crate) struct Tls {
    settings: TlsSettings,
    live: RwLock<Arc<Live>>,
    seen: Mutex<BTreeMap<PathBuf, Stamp>>,
}

/// What a file looked like: when it was written, and how long it was. None: it could not be seen.
type Stamp = Option<(SystemTime, u64)>;

/// Everything that has come out of the files.
struct Live {
    server: Option<Arc<ServerConfig>>,
    usual: Arc<ClientConfig>,
    peers: BTreeMap<ServerName, Arc<ClientConfig>>,
    /// When each certificate of ours ends.
    ends: Vec<(PathBuf, Timestamp)>,
}

/// Certificates that were read and are not used yet.
pub(crate) struct Fresh(Arc<Live>);

/// What a look at the files has shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing new.
    Same,
    /// New certificates, which are in use from now on.
    Renewed,
}

impl Tls {
    /// Reads every file.
    ///
    /// # Errors
    /// When one cannot be read, or holds something else than it should.
    pub(crate) fn open(settings: TlsSettings) -> Result<Tls, LoadFault> {
        let seen = Mutex::new(stamps(&settings));
        let live = RwLock::new(Arc::new(Live::load(&settings)?));
        Ok(Tls { settings, live, seen })
    }

    /// Reads every file again.
    ///
    /// # Errors
    /// As when opening; what was read before stays in use then.
    pub(crate) fn reload(&self) -> Result<(), LoadFault> {
        *self.seen.lock() = stamps(&self.settings);
        self.read().map(|fresh| self.take(fresh))
    }

    /// Reads every file, and uses none of them yet.
    ///
    /// # Errors
    /// As when opening.
    pub(crate) fn read(&self) -> Result<Fresh, LoadFault> {
        Ok(Fresh(Arc::new(Live::load(&self.settings)?)))
    }

    /// Uses what was read.
    pub(crate) fn take(&self, fresh: Fresh) {
        *self.live.write() = fresh.0;
    }

    /// Reads the files again if one of them has changed.
    ///
    /// # Errors
    /// As [`Tls::reload`], once for each change.
    pub(crate) fn look(&self) -> Result<Look, LoadFault> {
        if *self.seen.lock() == stamps(&self.settings) {
            return Ok(Look::Same);
        }
        self.reload().map(|()| Look::Renewed)
    }

    /// Looks again and again until the task is dropped; renewing a certificate needs neither a signal nor a restart.
    pub(crate) async fn watch(self: Arc<Tls>) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.look() {
                Ok(Look::Same) => {}
                Ok(Look::Renewed) => tracing::info!("certificates were read again"),
                Err(fault) => tracing::error!(%fault, "new certificates cannot be used, the old ones stay"),
            }
        }
    }

    /// When each certificate of ours ends, by its file.
    pub(crate) fn ends(&self) -> Vec<(PathBuf, Timestamp)> {
        self.live.read().ends.clone()
    }

    /// Our side of the handshake of a connection that somebody has opened.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<server::TlsStream<TcpStream>> {
        let config = self.live.read().server.clone();
        let config = config.ok_or_else(|| io::Error::other("no certificate is configured"))?;
        TlsAcceptor::from(config).accept(stream).await
    }

    /// Our side of the handshake with a peer that we have connected to. Its certificate must be for `server`, or for `remote` where there is no name.
    pub(crate) async fn connect(
        &self,
        server: Option<&ServerName>,
        remote: IpAddr,
        stream: TcpStream,
    ) -> io::Result<client::TlsStream<TcpStream>> {
        let known = self.settings.peer(server, remote);
        let host = known.map(|peer| peer.host.clone());
        let name = known.and_then(|peer| peer.name.as_ref()).or(server).or(host.as_ref());
        let name = name.map_or_else(|| remote.to_string(), |name| name.as_str().to_owned());
        let name = pki_types::ServerName::try_from(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let config = {
            let live = self.live.read();
            let own = known.and_then(|peer| live.peers.get(&peer.host));
            own.unwrap_or(&live.usual).clone()
        };
        TlsConnector::from(config).connect(name, stream).await
    }
}

fn stamps(settings: &TlsSettings) -> BTreeMap<PathBuf, Stamp> {
    let stamp = |path: &PathBuf| std::fs::metadata(path).ok().and_then(|file| Some((file.modified().ok()?, file.len())));
    settings.files().into_iter().map(|path| (path.clone(), stamp(path))).collect()
}

impl Live {
    fn load(settings: &TlsSettings) -> Result<Live, LoadFault> {
        let provider = Arc::new(ring::default_provider());
        let usual = match &settings.roots {
            Roots::Machine => files::roots_of_machine(),
            Roots::File(path) => files::roots(path)?,
        };
        let usual = Arc::new(usual);
        let mut peers = BTreeMap::new();
        for peer in settings.peers.iter().filter(|peer| peer.has_own()) {
            let roots = match &peer.roots {
                Some(path) => Arc::new(files::roots(path)?),
                None => usual.clone(),
            };
            let verifier = PeerVerifier::new(&provider, roots, peer.pin, settings.wildcards);
            peers.insert(peer.host.clone(), client(settings, &provider, verifier, peer.identity.as_ref())?);
        }
        let verifier = PeerVerifier::new(&provider, usual, None, settings.wildcards);
        let usual = client(settings, &provider, verifier, settings.identities.first())?;
        let ends = ends(settings)?;
        Ok(Live { server: server(settings, &provider)?, usual, peers, ends })
    }
}

static FROM_TLS_12: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
static FROM_TLS_13: [&SupportedProtocolVersion; 1] = [&version::TLS13];

fn versions(oldest: Oldest) -> &'static [&'static SupportedProtocolVersion] {
    match oldest {
        Oldest::Tls12 => &FROM_TLS_12,
        Oldest::Tls13 => &FROM_TLS_13,
    }
}

/// Our side towards those whom we call. RFC 5922 §7.4: whoever asks for a certificate is shown ours.
fn client(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
    verifier: PeerVerifier,
    identity: Option<&Identity>,
) -> Result<Arc<ClientConfig>, LoadFault> {
    let begun = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions(settings.oldest))
        .expect("ring does both TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some(identity) = identity else { return Ok(Arc::new(begun.with_no_client_auth())) };
    let key = files::identity(identity, provider)?;
    Ok(Arc::new(begun.with_client_cert_resolver(Arc::new(sni::Always::new(key)))))
}

/// Our side towards those who call us; none where no certificate is configured.
fn server(settings: &TlsSettings, provider: &Arc<CryptoProvider>) -> Result<Option<Arc<ServerConfig>>, LoadFault> {
    if settings.identities.is_empty() {
        return Ok(None);
    }
    let mut keys = Vec::new();
    for identity in &settings.identities {
        keys.push(files::identity(identity, provider)?);
    }
    let begun = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions(settings.oldest))
        .expect("ring does both TLS 1.2 and 1.3");
    let verified = |path: &PathBuf| -> Result<_, LoadFault> {
        let roots: Arc<RootCertStore> = Arc::new(files::roots(path)?);
        Ok(WebPkiClientVerifier::builder_with_provider(roots, provider.clone()))
    };
    let unusable = |path: &PathBuf| LoadFault::NoCertificate(path.clone());
    let begun = match &settings.clients {
        Clients::Anybody => begun.with_no_client_auth(),
        Clients::Asked(path) => {
            begun.with_client_cert_verifier(verified(path)?.allow_unauthenticated().build().map_err(|_| unusable(path))?)
        }
        Clients::Required(path) => begun.with_client_cert_verifier(verified(path)?.build().map_err(|_| unusable(path))?),
    };
    Ok(Some(Arc::new(begun.with_cert_resolver(Arc::new(sni::Sni::new(keys))))))
}

/// When each certificate of ours ends; the log says it, loudly if that is soon.
fn ends(settings: &TlsSettings) -> Result<Vec<(PathBuf, Timestamp)>, LoadFault> {
    let now = Timestamp::from_microsecond(Clock::start().now().wall.as_micros()).unwrap_or(Timestamp::MAX);
    let of_peers = settings.peers.iter().filter_map(|peer| peer.identity.as_ref());
    let mut ends = Vec::new();
    for Identity { certificate: path, .. } in settings.identities.iter().chain(of_peers) {
        let chain = files::certificates(path)?;
        let leaf = chain.first().and_then(|leaf| certificate::read(leaf));
        let Some(end) = leaf.and_then(|leaf| leaf.good_until()) else { continue };
        let file = path.display();
        match end.duration_since(now) < ENDS_SOON {
            true => tracing::warn!(%file, until = %end, "a certificate ends soon, or has ended"),
            false => tracing::info!(%file, until = %end, "certificate"),
        }
        ends.push((path.clone(), end));
    }
    Ok(ends)
}
