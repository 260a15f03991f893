//! What a configuration says about TLS.

use std::net::IpAddr;
use std::path::PathBuf;

use baton_sip::ServerName;
use baton_switchboard::Network;

/// `[tls]`, every `[[certificate]]`, and what peers say for themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TlsSettings {
    /// Who we are. The first one is for those who ask for nobody by name.
    pub(crate) identities: Vec<Identity>,
    /// Who may have signed the certificates of those whom we call.
    pub(crate) roots: Roots,
    /// Whether those who call us must have a certificate.
    pub(crate) clients: Clients,
    /// The oldest version that is spoken.
    pub(crate) oldest: Oldest,
    /// Whether `*.example.com` is good for `sip.example.com`.
    pub(crate) wildcards: Wildcards,
    /// Who is called by TLS; one for each host.
    pub(crate) peers: Vec<Peer>,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// PEM, ours first, then those up to the root.
    pub(crate) certificate: PathBuf,
    /// PEM.
    pub(crate) key: PathBuf,
}

/// Who is trusted to sign.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Roots {
    /// Whomever this machine trusts.
    #[default]
    Machine,
    /// Those in a PEM file and nobody else.
    File(PathBuf),
}

/// Whether clients show a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Clients {
    /// They need none.
    #[default]
    Anybody,
    /// They are asked; whoever has none may go on, a wrong one ends the handshake.
    Asked(PathBuf),
    /// Without one signed by these roots nobody comes in.
    Required(PathBuf),
}

/// The oldest version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Oldest {
    /// 1.2
    #[default]
    Tls12,
    /// 1.3
    Tls13,
}

/// Whether names with a wildcard count. RFC 5922 §7.2 forbids it; some carriers have such certificates all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Wildcards {
    /// Names match as a whole or not at all.
    #[default]
    Refused,
    /// A star stands for one label.
    Taken,
}

/// A peer that is called by TLS, with what it says for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Peer {
    /// The host of its URI.
    pub(crate) host: ServerName,
    /// The name that its certificate is for, if not the host.
    pub(crate) name: Option<ServerName>,
    /// Who we are to it; the first identity of all if there is none.
    pub(crate) identity: Option<Identity>,
    /// Who may have signed its certificate.
    pub(crate) roots: Option<PathBuf>,
    /// The one certificate that it has.
    pub(crate) pin: Option<Pin>,
    /// Its addresses.
    pub(crate) sources: Vec<Network>,
}

/// SHA-256 of a certificate in DER.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pin(pub(crate) [u8; 32]);

impl Peer {
    /// Whether anything is other than usual.
    pub(super) fn has_own(&self) -> bool {
        self.identity.is_some() || self.roots.is_some() || self.pin.is_some()
    }
}

impl TlsSettings {
    /// Every file that something is read from.
    pub(crate) fn files(&self) -> Vec<&PathBuf> {
        let roots = match &self.roots {
            Roots::Machine => None,
            Roots::File(path) => Some(path),
        };
        let clients = match &self.clients {
            Clients::Anybody => None,
            Clients::Asked(path) | Clients::Required(path) => Some(path),
        };
        let of_peers = self.peers.iter().filter_map(|peer| peer.roots.as_ref());
        let identities = self.identities.iter().chain(self.peers.iter().filter_map(|peer| peer.identity.as_ref()));
        let pairs = identities.flat_map(|identity| [&identity.certificate, &identity.key]);
        pairs.chain(roots).chain(clients).chain(of_peers).collect()
    }

    /// The peer that is called by this name; where there is none, the one that has this address.
    pub(crate) fn peer(&self, server: Option<&ServerName>, remote: IpAddr) -> Option<&Peer> {
        match server {
            Some(server) => self.peers.iter().find(|peer| peer.host == *server),
            None => self.peers.iter().find(|peer| peer.sources.iter().any(|net| net.contains(remote))),
        }
    }
}
