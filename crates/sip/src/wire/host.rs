//! Hosts, with and without ports.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{Rule, Text, scan, serde_as_written};

/// A host: a name or an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name, as written.
    Name(Text),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address; written in brackets.
    V6(Ipv6Addr),
}

impl Host {
    /// Reads `text`, a part of `whole`.
    pub(crate) fn cut(whole: &Text, text: &str) -> Result<Host, Rule> {
        Ok(match Host::address(text)? {
            Some(IpAddr::V4(address)) => Host::V4(address),
            Some(IpAddr::V6(address)) => Host::V6(address),
            None => Host::Name(whole.part(text)),
        })
    }

    /// The address that `text` is; none for a name.
    fn address(text: &str) -> Result<Option<IpAddr>, Rule> {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or(Rule::Host)?;
            return v6(inner).map(|address| Some(IpAddr::V6(address))).ok_or(Rule::Host);
        }
        if text.is_empty() || text.len() > super::limits::HOST_MAX || !scan::is_host(text) {
            return Err(Rule::Host);
        }
        if text.as_bytes()[text.len() - 1].is_ascii_digit() {
            return Ok(text.parse::<Ipv4Addr>().ok().map(IpAddr::V4));
        }
        Ok(None)
    }

    /// The address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Host::Name(_) => None,
            Host::V4(address) => Some(IpAddr::V4(*address)),
            Host::V6(address) => Some(IpAddr::V6(*address)),
        }
    }

    /// Whether both are the same host: names compare without case.
    pub fn is_same(&self, other: &Host) -> bool {
        match (self, other) {
            (Host::Name(one), Host::Name(two)) => one.eq_ignore_ascii_case(two),
            (one, two) => one == two,
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Host {
        match address {
            IpAddr::V4(address) => Host::V4(address),
            IpAddr::V6(address) => Host::V6(address),
        }
    }
}

impl FromStr for Host {
    type Err = Rule;

    fn from_str(text: &str) -> Result<Host, Rule> {
        let whole = Text::from(text);
        Host::cut(&whole, &whole).or_else(|rule| text.parse().map(Host::V6).map_err(|_| rule))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => out.write_str(name),
            Host::V4(address) => out.write_str(Digits::default().dotted(*address).text()),
            Host::V6(address) => write!(out, "[{address}]"),
        }
    }
}

/// An address or a port on its way into a message: written in one piece, for a message has a dozen of them.
#[derive(Debug, Default)]
struct Digits {
    bytes: [u8; 21],
    length: usize,
}

impl Digits {
    fn dotted(self, address: Ipv4Addr) -> Digits {
        let [first, rest @ ..] = address.octets();
        rest.into_iter().fold(self.number(first.into()), |digits, octet| digits.byte(b'.').number(octet.into()))
    }

    fn port(self, port: u16) -> Digits {
        self.byte(b':').number(port)
    }

    fn number(self, number: u16) -> Digits {
        let digits = if number < 10 { self } else { self.number(number / 10) };
        digits.byte(b'0' + (number % 10) as u8)
    }

    fn byte(mut self, byte: u8) -> Digits {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
        self
    }

    fn text(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

/// An IPv6 address. RFC 5118 §4.10: the grammar of RFC 3261 wants a third colon before an IPv4 address at the end, and there are peers that
/// write it.
fn v6(text: &str) -> Option<Ipv6Addr> {
    match text.split_once(":::") {
        Some((before, after)) if after.contains('.') && !after.contains(':') => format!("{before}::{after}").parse().ok(),
        Some(_) | None => text.parse().ok(),
    }
}

/// A host, and a port if one is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// The host.
    pub host: Host,
    /// The port; none: the transport's own.
    pub port: Option<u16>,
}

impl HostPort {
    /// A host with a port.
    pub fn new(host: impl Into<Host>, port: Option<u16>) -> HostPort {
        HostPort { host: host.into(), port }
    }

    pub(crate) fn cut(whole: &Text, text: &str) -> Result<HostPort, Rule> {
        let (host, port) = split_port(text)?;
        Ok(HostPort { host: Host::cut(whole, host)?, port })
    }
}

/// Splits `host[:port]`; white space around the colon is allowed in a Via (RFC 3261 §25.1: COLON).
pub(crate) fn split_port(text: &str) -> Result<(&str, Option<u16>), Rule> {
    let bracket = text.bytes().rposition(|byte| byte == b']').unwrap_or(0);
    let Some(colon) = scan::find(&text[bracket..], b':').map(|colon| colon + bracket) else { return Ok((text, None)) };
    let port = scan::trim(&text[colon + 1..]);
    let port = scan::number(port).and_then(|port| u16::try_from(port).ok()).ok_or(Rule::Port)?;
    Ok((scan::trim(&text[..colon]), Some(port)))
}

impl From<SocketAddr> for HostPort {
    fn from(address: SocketAddr) -> HostPort {
        HostPort { host: address.ip().into(), port: Some(address.port()) }
    }
}

impl FromStr for HostPort {
    type Err = Rule;

    fn from_str(text: &str) -> Result<HostPort, Rule> {
        let text = Text::from(text);
        HostPort::cut(&text, &text)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.port) {
            (Host::V4(address), Some(port)) => out.write_str(Digits::default().dotted(*address).port(port).text()),
            (host, Some(port)) => {
                host.fmt(out)?;
                out.write_str(Digits::default().port(port).text())
            }
            (host, None) => host.fmt(out),
        }
    }
}

serde_as_written!(Host, HostPort);
