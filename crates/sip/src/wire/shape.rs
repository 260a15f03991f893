//! What stands where in a head: values as places, which cost nothing to keep and count no references.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Host, HostPort, NameAddr, Params, Rule, Scheme, Text, Uri, Via, limits, quick};

/// A piece of a text that is no longer than 65,535 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u16,
    pub(super) end: u16,
}

/// A host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostShape {
    Name(Span),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

/// A URI; all places are those of the whole text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UriShape {
    pub(super) span: Span,
    pub(super) scheme: Scheme,
    pub(super) scheme_end: u16,
    pub(super) host_start: u16,
    pub(super) host_end: u16,
    pub(super) params_end: u16,
    /// Without password; for `tel:` the number; empty where there is none.
    pub(super) user: Span,
    pub(super) host: Option<HostShape>,
    pub(super) port: Option<u16>,
}

/// An address with its name and its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AddrShape {
    /// With its quotes; empty where there is none.
    pub(super) display: Span,
    pub(super) uri: UriShape,
    /// Without the first semicolon.
    pub(super) params: Span,
    /// The value of the parameter; empty where there is none.
    pub(super) tag: Span,
}

/// A Via.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ViaShape {
    pub(super) transport: Span,
    pub(super) host: HostShape,
    pub(super) port: Option<u16>,
    /// Without the first semicolon.
    pub(super) params: Span,
    /// The value of the parameter; empty where there is none.
    pub(super) branch: Span,
}

impl Span {
    /// An empty one.
    pub(super) const NONE: Span = Span { start: 0, end: 0 };

    /// From `start` to `end`, which whoever asks has seen to be within 65,535.
    #[inline(always)]
    pub(super) fn new(start: usize, end: usize) -> Span {
        Span { start: start as u16, end: end as u16 }
    }

    /// The place of `part`, which must have been borrowed from `whole`.
    #[inline]
    pub(super) fn of(whole: &str, part: &str) -> Result<Span, Rule> {
        if part.is_empty() {
            return Ok(Span::NONE);
        }
        let start = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize).ok_or(Rule::TooLong)?;
        let end = start + part.len();
        if end > whole.len() || end > usize::from(u16::MAX) {
            return Err(Rule::TooLong);
        }
        Ok(Span::new(start, end))
    }

    /// The piece, unless it is empty.
    #[inline]
    pub(super) fn some_of(self, whole: &str) -> Option<&str> {
        Some(self.of_text(whole)).filter(|part| !part.is_empty())
    }

    /// The piece itself.
    #[inline]
    pub(super) fn of_text(self, whole: &str) -> &str {
        whole.get(self.start.into()..self.end.into()).unwrap_or_default()
    }
}

impl HostShape {
    /// What stands where there is none yet.
    pub(super) const NONE: HostShape = HostShape::Name(Span::NONE);

    fn of(whole: &str, host: &Host) -> Result<HostShape, Rule> {
        Ok(match host {
            Host::Name(name) => HostShape::Name(Span::of(whole, name)?),
            Host::V4(address) => HostShape::V4(*address),
            Host::V6(address) => HostShape::V6(*address),
        })
    }

    /// The value; `text` is what the places count from, a part of `whole`.
    fn owned(self, whole: &Text, text: &str) -> Host {
        match self {
            HostShape::Name(name) => Host::Name(whole.part(name.of_text(text))),
            HostShape::V4(address) => Host::V4(address),
            HostShape::V6(address) => Host::V6(address),
        }
    }
}

impl UriShape {
    /// What stands where there is none yet.
    pub(super) const NONE: UriShape = UriShape {
        span: Span::NONE,
        scheme: Scheme::Sip,
        scheme_end: 0,
        host_start: 0,
        host_end: 0,
        params_end: 0,
        user: Span::NONE,
        host: None,
        port: None,
    };

    /// The URI that is `text[span]`.
    #[inline]
    pub(super) fn read(whole: &Text, span: Span) -> Result<UriShape, Rule> {
        let end = usize::from(span.end);
        let mut shape = UriShape::NONE;
        match quick::uri(whole.as_bytes(), span.start.into(), &mut shape) {
            Some(read) if read == end => Ok(shape),
            Some(_) | None => UriShape::of(whole, &Uri::cut(whole, span.of_text(whole))?),
        }
    }

    fn of(whole: &str, uri: &Uri) -> Result<UriShape, Rule> {
        let span = Span::of(whole, uri.as_str())?;
        Ok(UriShape {
            span,
            scheme: uri.scheme,
            scheme_end: span.start + uri.scheme_end,
            host_start: span.start + uri.host_start,
            host_end: span.start + uri.host_end,
            params_end: span.start + uri.params_end,
            user: Span::of(whole, uri.user().unwrap_or_default())?,
            host: uri.host.as_ref().map(|host| HostShape::of(whole, host)).transpose()?,
            port: uri.port,
        })
    }

    /// The value; `text` is what the places count from, a part of `whole`.
    #[inline]
    pub(super) fn owned(&self, whole: &Text, text: &str) -> Uri {
        let start = self.span.start;
        Uri {
            text: whole.part(self.span.of_text(text)),
            scheme: self.scheme,
            scheme_end: self.scheme_end - start,
            host_start: self.host_start - start,
            host_end: self.host_end - start,
            params_end: self.params_end - start,
            host: self.host.map(|host| host.owned(whole, text)),
            port: self.port,
        }
    }
}

impl AddrShape {
    /// What stands where there is none yet.
    pub(super) const NONE: AddrShape =
        AddrShape { display: Span::NONE, uri: UriShape::NONE, params: Span::NONE, tag: Span::NONE };

    /// The address that is `text[span]`.
    #[inline]
    pub(super) fn read(whole: &Text, span: Span) -> Result<AddrShape, Rule> {
        let end = usize::from(span.end);
        let mut shape = AddrShape::NONE;
        match quick::name_addr(whole.as_bytes(), span.start.into(), &mut shape) {
            Some(read) if read == end => Ok(shape),
            Some(_) | None => AddrShape::of(whole, &NameAddr::cut(whole, span.of_text(whole))?),
        }
    }

    fn of(whole: &str, address: &NameAddr) -> Result<AddrShape, Rule> {
        Ok(AddrShape {
            display: Span::of(whole, address.display_as_written())?,
            uri: UriShape::of(whole, &address.uri)?,
            params: Span::of(whole, address.params.as_str())?,
            tag: Span::of(whole, address.tag().unwrap_or_default())?,
        })
    }

    /// The value; `text` is what the places count from, a part of `whole`.
    #[inline]
    pub(super) fn owned(&self, whole: &Text, text: &str) -> NameAddr {
        let display = whole.part(self.display.of_text(text));
        NameAddr::of_parts(display, self.uri.owned(whole, text), Params::checked(whole, self.params.of_text(text)))
    }
}

impl ViaShape {
    /// What stands where there is none yet.
    pub(super) const NONE: ViaShape =
        ViaShape { transport: Span::NONE, host: HostShape::NONE, port: None, params: Span::NONE, branch: Span::NONE };

    /// The Via that is `text[span]`.
    #[inline]
    pub(super) fn read(whole: &Text, span: Span) -> Result<ViaShape, Rule> {
        let end = usize::from(span.end);
        let mut shape = ViaShape::NONE;
        match quick::via(whole.as_bytes(), span.start.into(), &mut shape) {
            Some(read) if read == end => Ok(shape),
            Some(_) | None => {
                let via = Via::cut(whole, span.of_text(whole))?;
                Ok(ViaShape {
                    transport: Span::of(whole, &via.transport)?,
                    host: HostShape::of(whole, &via.sent_by.host)?,
                    port: via.sent_by.port,
                    params: Span::of(whole, via.params.as_str())?,
                    branch: Span::of(whole, via.branch().unwrap_or_default())?,
                })
            }
        }
    }

    /// The value; `text` is what the places count from, a part of `whole`.
    pub(super) fn owned(&self, whole: &Text, text: &str) -> Via {
        Via {
            transport: whole.part(self.transport.of_text(text)),
            sent_by: HostPort { host: self.host.owned(whole, text), port: self.port },
            params: Params::checked(whole, self.params.of_text(text)),
        }
    }
}

const _: () = assert!(limits::HEAD_MAX <= u16::MAX as usize, "places in a head have 16 bits");
