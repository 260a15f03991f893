//! Via: the way back.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use super::shape::ViaShape;
use super::{HostPort, Params, Rule, Text, quick, scan, serde_as_written};

/// What every branch of RFC 3261 begins with.
pub const COOKIE: &str = "z9hG4bK";

/// One value of a Via.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Via {
    /// The transport, as written: `UDP`, `TCP`, `TLS`, `WS` …
    pub transport: Text,
    /// Who sent it, by its own account.
    pub sent_by: HostPort,
    /// The parameters.
    pub params: Params,
}

impl Via {
    /// A Via with a branch, which asks for `rport` (RFC 3581).
    pub fn new(transport: &str, sent_by: HostPort, branch: &str) -> Via {
        let mut params = Params::default();
        if scan::is_value(branch) {
            let text = Text::from(format!("branch={branch};rport"));
            params = Params::checked(&text, &text);
        } else {
            params.set("branch", Some(branch));
            params.set("rport", None);
        }
        let transport = if scan::is_token(transport) { transport } else { "UDP" };
        Via { transport: transport.into(), sent_by, params }
    }

    /// Reads `text`, a part of `whole`.
    pub(crate) fn cut(whole: &Text, text: &str) -> Result<Via, Rule> {
        let mut read = ViaShape::NONE;
        if quick::via(text.as_bytes(), 0, &mut read) == Some(text.len()) {
            return Ok(read.owned(whole, text));
        }
        let (head, params) = scan::cut(text, b';').map_or((text, None), |(head, params)| (head, Some(params)));
        let (transport, sent_by) = cut_head(whole, head, |version| version == "2.0")?;
        let params = params.map_or(Ok(Params::default()), |params| Params::cut(whole, params))?;
        Ok(Via { transport, sent_by, params })
    }

    /// Reads as much of the first value in `text` as is needed to answer: what is malformed behind the sender is left out.
    pub(crate) fn cut_leniently(whole: &Text, text: &str) -> Option<Via> {
        let first = scan::items(text, true).next()?;
        let (head, params) = first.split_once(';').unwrap_or((first, ""));
        let (transport, sent_by) = cut_head(whole, head, |_| true).ok()?;
        Some(Via { transport, sent_by, params: Params::cut(whole, params).unwrap_or_default() })
    }

    /// The branch.
    pub fn branch(&self) -> Option<&str> {
        self.params.value("branch")
    }

    /// The branch, if it names a transaction by RFC 3261 §8.1.1.7: the cookie, and something behind it.
    pub fn transaction(&self) -> Option<&str> {
        self.branch().filter(|branch| names_transaction(branch))
    }

    /// Whether `rport` is there, and what it says (RFC 3581).
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.find("rport").map(|value| value.and_then(|value| value.parse().ok()))
    }

    /// Where the next element saw it come from.
    pub fn received(&self) -> Option<IpAddr> {
        let value = self.params.value("received")?;
        value.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// Sets `received`.
    pub fn set_received(&mut self, address: IpAddr) {
        self.params.set("received", Some(&address.to_string()));
    }

    /// Sets the value of `rport`.
    pub fn set_rport(&mut self, port: u16) {
        self.params.set("rport", Some(&port.to_string()));
    }

    /// Notes where a request came from, as RFC 3261 §18.2.1 and RFC 3581 §4 want it: `received` where the sender says otherwise or has asked
    /// for `rport`, and `rport` where it was asked for.
    pub fn stamp(&mut self, source: SocketAddr) {
        let asked = self.rport().is_some();
        if asked {
            self.set_rport(source.port());
        }
        if asked || self.sent_by.host.ip() != Some(source.ip()) {
            self.set_received(source.ip());
        }
    }
}

/// Whether a branch has the cookie, and something behind it.
pub(super) fn names_transaction(branch: &str) -> bool {
    let cookie = branch.get(..COOKIE.len()).unwrap_or_default();
    branch.len() > COOKIE.len() && cookie.eq_ignore_ascii_case(COOKIE)
}

fn cut_head(whole: &Text, head: &str, is_known: impl Fn(&str) -> bool) -> Result<(Text, HostPort), Rule> {
    let (name, rest) = scan::cut(head, b'/').ok_or(Rule::Via)?;
    let (version, rest) = scan::cut(rest, b'/').ok_or(Rule::Via)?;
    if !scan::trim(name).eq_ignore_ascii_case("SIP") || !is_known(scan::trim(version)) {
        return Err(Rule::Via);
    }
    let rest = scan::trim(rest);
    let (transport, sent_by) = scan::cut_at_blank(rest).ok_or(Rule::Via)?;
    if !scan::is_token(transport) {
        return Err(Rule::Via);
    }
    Ok((whole.part(transport), HostPort::cut(whole, scan::trim(sent_by))?))
}

impl FromStr for Via {
    type Err = Rule;

    fn from_str(text: &str) -> Result<Via, Rule> {
        let text = scan::one_line(text)?;
        Via::cut(&text, scan::trim(&text))
    }
}

impl fmt::Display for Via {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SIP/2.0/{} {}{}", self.transport, self.sent_by, self.params)
    }
}

serde_as_written!(Via);
