//! Finding SIP servers (RFC 3263): from a URI to the addresses that are tried in turn. Runs off the engine's thread; the engine is told the answers.

mod names;
mod order;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use baton_sip::wire::Uri;
use baton_sip::{Hop, ServerName, Transport};

pub(crate) use names::{Names, NamesError};
use order::{Naptr, Srv};

/// How many addresses of one peer are kept, and how many services of it are looked at.
const TARGETS_MAX: usize = 16;

/// One address at which a peer can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// What carries messages there.
    pub(crate) transport: Transport,
    /// The address.
    pub(crate) addr: SocketAddr,
    /// The host of the URI: what TLS asks for by SNI, and what the peer's certificate must name (RFC 5922 §4), wherever DNS has led.
    pub(crate) server_name: String,
}

impl Target {
    /// The next hop that this is.
    pub(crate) fn hop(&self) -> Hop {
        Hop::new(self.transport, self.addr).named(ServerName::new(&self.server_name))
    }
}

/// Why a URI leads to no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveError {
    /// It has no host.
    #[error("it names no host")]
    NoHost,
    /// It asks for a transport that Baton does not know.
    #[error("it asks for a transport that is not known")]
    NoTransport,
    /// DNS knows no address for it.
    #[error("the name \"{0}\" stands for no address")]
    NoAddress(String),
    /// DNS cannot be asked.
    #[error("the name \"{0}\" cannot be resolved: {1}")]
    Names(String, NamesError),
}

/// The addresses that a URI leads to, the first to be tried first. `chance` orders servers of equal priority by their weight (RFC 2782).
///
/// # Errors
/// When the URI names nobody, or DNS knows nobody by that name.
pub(crate) async fn resolve(
    uri: &Uri,
    names: &Names,
    chance: &mut (dyn FnMut(u64) -> u64 + Send),
) -> Result<Vec<Target>, ResolveError> {
    let host = uri.host().ok_or(ResolveError::NoHost)?.to_string();
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let wanted = wanted(uri)?;
    let found = match (host.parse::<IpAddr>(), uri.port()) {
        (Ok(ip), port) => vec![at(wanted.transport(), ip, port)],
        (Err(_), Some(port)) => addresses(names, &host, wanted.transport(), Some(port)).await?,
        (Err(_), None) => servers(names, &host, wanted, chance).await?,
    };
    if found.is_empty() {
        return Err(ResolveError::NoAddress(host));
    }
    let targets = found.into_iter().take(TARGETS_MAX);
    Ok(targets.map(|(transport, addr)| Target { transport, addr, server_name: host.clone() }).collect())
}

/// Which transports a URI leaves open (RFC 3263 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// `;transport=` says it.
    Only(Transport),
    /// A `sips:` URI: whatever is encrypted.
    Secure,
    /// Whatever the far side likes best.
    Any,
}

impl Wanted {
    /// The transport where DNS is not asked for one.
    fn transport(self) -> Transport {
        match self {
            Wanted::Only(transport) => transport,
            Wanted::Secure => Transport::Tls,
            Wanted::Any => Transport::Udp,
        }
    }

    /// What is asked for by SRV where there is no NAPTR.
    fn all(self) -> Vec<Transport> {
        match self {
            Wanted::Only(transport) => vec![transport],
            Wanted::Secure => vec![Transport::Tls],
            Wanted::Any => vec![Transport::Udp, Transport::Tcp],
        }
    }

    fn allows(self, transport: Transport) -> bool {
        match self {
            Wanted::Only(only) => only == transport,
            Wanted::Secure => matches!(transport, Transport::Tls | Transport::Wss),
            Wanted::Any => matches!(transport, Transport::Udp | Transport::Tcp | Transport::Tls),
        }
    }
}

fn wanted(uri: &Uri) -> Result<Wanted, ResolveError> {
    let is_secure = uri.scheme_text().eq_ignore_ascii_case("sips");
    match Transport::of_uri(uri) {
        baton_sip::Wanted::Any => Ok(Wanted::Any),
        baton_sip::Wanted::Only(Transport::Tls) if is_secure => Ok(Wanted::Secure),
        baton_sip::Wanted::Only(transport) => Ok(Wanted::Only(transport)),
        baton_sip::Wanted::Unknown => Err(ResolveError::NoTransport),
    }
}

/// RFC 3263 §4.1 and §4.2: NAPTR says which transports there are, SRV which servers; the address of the name itself is the last resort.
async fn servers(
    names: &Names,
    host: &str,
    wanted: Wanted,
    chance: &mut (dyn FnMut(u64) -> u64 + Send),
) -> Result<Vec<(Transport, SocketAddr)>, ResolveError> {
    let failed = |fault| ResolveError::Names(host.to_owned(), fault);
    let services = match wanted {
        Wanted::Only(_) => Vec::new(),
        Wanted::Secure | Wanted::Any => order::services(names.naptr(host).await.map_err(failed)?),
    };
    let mut asked: Vec<(Transport, String)> =
        services.into_iter().filter(|(transport, _)| wanted.allows(*transport)).take(TARGETS_MAX).collect();
    if asked.is_empty() {
        asked = wanted.all().into_iter().map(|transport| (transport, format!("{}.{host}", prefix(transport)))).collect();
    }
    let mut found = Vec::new();
    for (transport, name) in asked {
        let records = names.srv(&name).await.map_err(failed)?;
        for server in order::servers(records, chance).into_iter().take(TARGETS_MAX) {
            // One server without an address does not stand in the way of the others.
            let here = addresses(names, &server.target, transport, Some(server.port)).await.unwrap_or_default();
            found.extend(here.into_iter().filter(|one| !found.contains(one)).collect::<Vec<_>>());
        }
    }
    if found.is_empty() { addresses(names, host, wanted.transport(), None).await } else { Ok(found) }
}

async fn addresses(
    names: &Names,
    host: &str,
    transport: Transport,
    port: Option<u16>,
) -> Result<Vec<(Transport, SocketAddr)>, ResolveError> {
    let ips = names.addresses(host).await.map_err(|fault| ResolveError::Names(host.to_owned(), fault))?;
    Ok(ips.into_iter().map(|ip| at(transport, ip, port)).collect())
}

fn at(transport: Transport, ip: IpAddr, port: Option<u16>) -> (Transport, SocketAddr) {
    (transport, SocketAddr::new(ip, port.unwrap_or(transport.default_port())))
}

fn prefix(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
        Transport::Ws => "_sip._ws",
        Transport::Wss => "_sips._ws",
    }
}
