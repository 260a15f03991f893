//! Values as they stand in a message: views that are as cheap as the places they look at. [`UriRef::owned`] and its like make values of them that can
//! be kept and changed.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::shape::{AddrShape, HostShape, UriShape, ViaShape};
use super::{Host, NameAddr, Scheme, Text, Uri, Via, params, scan, via};

/// A host in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostRef<'m> {
    /// A name, as written.
    Name(&'m str),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address; written in brackets.
    V6(Ipv6Addr),
}

/// A URI in a message.
#[derive(Clone, Copy)]
pub struct UriRef<'m> {
    head: &'m Text,
    shape: &'m UriShape,
}

/// An address in a message: a URI with a display name before and parameters behind it.
#[derive(Clone, Copy)]
pub struct AddrRef<'m> {
    head: &'m Text,
    shape: &'m AddrShape,
}

/// A Via in a message.
#[derive(Clone, Copy)]
pub struct ViaRef<'m> {
    head: &'m Text,
    shape: &'m ViaShape,
}

impl<'m> HostRef<'m> {
    fn of(head: &'m str, shape: HostShape) -> HostRef<'m> {
        match shape {
            HostShape::Name(name) => HostRef::Name(name.of_text(head)),
            HostShape::V4(address) => HostRef::V4(address),
            HostShape::V6(address) => HostRef::V6(address),
        }
    }

    /// The address, if it is one.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            HostRef::Name(_) => None,
            HostRef::V4(address) => Some(IpAddr::V4(address)),
            HostRef::V6(address) => Some(IpAddr::V6(address)),
        }
    }
}

impl<'m> From<&'m Host> for HostRef<'m> {
    fn from(host: &'m Host) -> HostRef<'m> {
        match host {
            Host::Name(name) => HostRef::Name(name),
            Host::V4(address) => HostRef::V4(*address),
            Host::V6(address) => HostRef::V6(*address),
        }
    }
}

impl fmt::Display for HostRef<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostRef::Name(name) => out.write_str(name),
            HostRef::V4(address) => write!(out, "{address}"),
            HostRef::V6(address) => write!(out, "[{address}]"),
        }
    }
}

impl<'m> UriRef<'m> {
    #[inline]
    pub(super) fn new(head: &'m Text, shape: &'m UriShape) -> UriRef<'m> {
        UriRef { head, shape }
    }

    /// As written.
    pub fn as_str(self) -> &'m str {
        self.shape.span.of_text(self.head)
    }

    /// What kind it is.
    pub fn scheme(self) -> Scheme {
        self.shape.scheme
    }

    /// Whether it is `sip:` or `sips:`.
    pub fn is_sip(self) -> bool {
        matches!(self.shape.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// The user as written, without password; for `tel:` the number; none if there is none.
    #[inline]
    pub fn user(self) -> Option<&'m str> {
        self.shape.user.some_of(self.head)
    }

    /// The user with its escapes taken out.
    pub fn user_plain(self) -> Option<Cow<'m, str>> {
        self.user().map(scan::unescape)
    }

    /// The host of a `sip:` or `sips:` URI.
    #[inline]
    pub fn host(self) -> Option<HostRef<'m>> {
        self.shape.host.map(|host| HostRef::of(self.head, host))
    }

    /// The port, if it is written.
    pub fn port(self) -> Option<u16> {
        self.shape.port
    }

    /// Whether headers are embedded.
    pub fn has_headers(self) -> bool {
        self.shape.params_end < self.shape.span.end
    }

    /// The value: it can be kept, and shares the message's bytes.
    pub fn owned(self) -> Uri {
        self.shape.owned(self.head, self.head)
    }
}

impl PartialEq for UriRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for UriRef<'_> {}

impl fmt::Display for UriRef<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for UriRef<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), out)
    }
}

impl<'m> AddrRef<'m> {
    #[inline]
    pub(super) fn new(head: &'m Text, shape: &'m AddrShape) -> AddrRef<'m> {
        AddrRef { head, shape }
    }

    /// The display name without quotes and backslashes; empty if there is none.
    pub fn display(self) -> Cow<'m, str> {
        scan::unquote(self.shape.display.of_text(self.head))
    }

    /// The URI.
    pub fn uri(self) -> UriRef<'m> {
        UriRef { head: self.head, shape: &self.shape.uri }
    }

    /// The value of a parameter of the header: `Some(None)` if it is there without one.
    #[inline]
    pub fn param(self, name: &str) -> Option<Option<&'m str>> {
        params::find(self.shape.params.of_text(self.head), name)
    }

    /// The tag (RFC 3261 §19.3).
    #[inline]
    pub fn tag(self) -> Option<&'m str> {
        self.shape.tag.some_of(self.head)
    }

    /// The value: it can be kept, and shares the message's bytes.
    pub fn owned(self) -> NameAddr {
        self.shape.owned(self.head, self.head)
    }
}

impl PartialEq for AddrRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.owned() == other.owned()
    }
}

impl Eq for AddrRef<'_> {}

impl fmt::Debug for AddrRef<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.owned(), out)
    }
}

impl<'m> ViaRef<'m> {
    #[inline]
    pub(super) fn new(head: &'m Text, shape: &'m ViaShape) -> ViaRef<'m> {
        ViaRef { head, shape }
    }

    /// The transport, as written.
    pub fn transport(self) -> &'m str {
        self.shape.transport.of_text(self.head)
    }

    /// The host of who sent it, by its own account.
    pub fn host(self) -> HostRef<'m> {
        HostRef::of(self.head, self.shape.host)
    }

    /// The port of who sent it, if it is written.
    pub fn port(self) -> Option<u16> {
        self.shape.port
    }

    /// The value of a parameter: `Some(None)` if it is there without one.
    pub fn param(self, name: &str) -> Option<Option<&'m str>> {
        params::find(self.shape.params.of_text(self.head), name)
    }

    /// The branch.
    #[inline]
    pub fn branch(self) -> Option<&'m str> {
        self.shape.branch.some_of(self.head)
    }

    /// The branch, if it names a transaction; see [`Via::transaction`].
    pub fn transaction(self) -> Option<&'m str> {
        self.branch().filter(|branch| via::names_transaction(branch))
    }

    /// The value: it can be kept, and shares the message's bytes.
    pub fn owned(self) -> Via {
        self.shape.owned(self.head, self.head)
    }
}

impl fmt::Debug for ViaRef<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.owned(), out)
    }
}
