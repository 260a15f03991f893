//! Where bytes come from and go to.

use std::net::SocketAddr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::wire::{HostPort, Scheme, Uri};

/// What carries SIP messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// Datagrams: one message each, repeated by us until answered.
    Udp,
    /// A stream of messages framed by Content-Length.
    Tcp,
    /// A TCP stream under TLS.
    Tls,
    /// A WebSocket (RFC 7118).
    Ws,
    /// A WebSocket under TLS.
    Wss,
}

impl Transport {
    /// Whether the transport itself repeats what is lost, so that we need not.
    pub const fn is_reliable(self) -> bool {
        match self {
            Transport::Udp => false,
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => true,
        }
    }

    /// The name in a Via: `UDP`, `TCP`, `TLS`, `WS` or `WSS`.
    pub const fn name(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }

    /// Whether it runs under TLS, so that a peer can be asked who it is.
    pub const fn is_secure(self) -> bool {
        match self {
            Transport::Tls | Transport::Wss => true,
            Transport::Udp | Transport::Tcp | Transport::Ws => false,
        }
    }

    /// The port that is meant where none is written.
    pub const fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }

    /// What a URI says about the transport (RFC 3263 §4.1; RFC 5630 §3.1.3: `sips:` is TLS whatever runs within; RFC 7118 §5.2: `ws` stands for
    /// both kinds of WebSocket).
    pub fn of_uri(uri: &Uri) -> Wanted {
        let named = uri.param("transport").flatten();
        let is_secure = uri.scheme() == Scheme::Sips;
        match (named.map(Transport::by_name), is_secure) {
            (None, false) => Wanted::Any,
            (None | Some(Some(Transport::Tcp | Transport::Tls)), true) => Wanted::Only(Transport::Tls),
            (Some(Some(Transport::Ws | Transport::Wss)), true) => Wanted::Only(Transport::Wss),
            (Some(Some(transport)), false) => Wanted::Only(transport),
            (Some(None), _) | (Some(Some(Transport::Udp)), true) => Wanted::Unknown,
        }
    }

    /// The transport of this name, in any case of letters.
    pub fn by_name(name: &str) -> Option<Transport> {
        let all = [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];
        all.into_iter().find(|transport| transport.name().eq_ignore_ascii_case(name))
    }
}

/// What a URI says about the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing.
    Any,
    /// This one and no other.
    Only(Transport),
    /// One that nobody here knows, or that cannot be.
    Unknown,
}

/// Names one stream between us and a peer; given by whoever owns the sockets, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnectionId(pub u64);

/// One datagram, or one framed message of a stream, that has come in.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// What carried it.
    pub transport: Transport,
    /// The stream it came by; none for datagrams.
    pub connection: Option<ConnectionId>,
    /// Our address that it came to.
    pub local: SocketAddr,
    /// The address it came from.
    pub remote: SocketAddr,
    /// The message.
    pub bytes: Bytes,
}

/// One message to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transmit {
    /// What shall carry it.
    pub transport: Transport,
    /// The stream to send it on. None on a stream transport: any stream to `remote`, a new one if there is none.
    pub connection: Option<ConnectionId>,
    /// Our address to send it from.
    pub local: SocketAddr,
    /// The address to send it to.
    pub remote: SocketAddr,
    /// Whose certificate the far end must show, where a new stream under TLS has to be opened for it; its address if there is none.
    pub server: Option<ServerName>,
    /// The message.
    pub bytes: Bytes,
}

/// The name that the certificate of a peer must be for (RFC 5922 §4): the host of the URI that led there, as it was before it was resolved.
/// In small letters; an IPv6 address without brackets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerName(Box<str>);

impl ServerName {
    /// The name of this host, in whatever letters and brackets it is written.
    pub fn new(host: &str) -> ServerName {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        ServerName(bare.trim_end_matches('.').to_ascii_lowercase().into())
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a request goes next.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hop {
    /// What carries it there.
    pub transport: Transport,
    /// The address of the next element.
    pub addr: SocketAddr,
    /// Whose certificate it must show, where it is called under TLS.
    #[serde(default)]
    pub server: Option<ServerName>,
}

impl Hop {
    /// The way to an address whose name nobody asks for.
    pub const fn new(transport: Transport, addr: SocketAddr) -> Hop {
        Hop { transport, addr, server: None }
    }

    /// The same, to somebody whose certificate must be for `server`.
    pub fn named(self, server: ServerName) -> Hop {
        Hop { server: Some(server), ..self }
    }
}

/// One of our addresses at which SIP is listened for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// What is spoken there.
    pub transport: Transport,
    /// The bound address.
    pub addr: SocketAddr,
    /// What Via and Contact say: the bound address, or the outer one of a 1:1 NAT.
    pub advertise: HostPort,
}
