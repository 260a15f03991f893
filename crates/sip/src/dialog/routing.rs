//! Where a request within a dialog goes (RFC 3261 §12.2.1.1).

use super::{Dialog, Place};
use crate::transport::{ConnectionId, Hop, Transport, Wanted};
use crate::wire::{NameAddr, Uri};

/// What the route set and the remote target make of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Routing {
    /// The Request-URI.
    pub(crate) request_uri: String,
    /// The values of Route.
    pub(crate) routes: Vec<String>,
    /// Where it is sent.
    pub(crate) hop: Hop,
    /// The stream to send it on, if the dialog's still lives.
    pub(crate) connection: Option<ConnectionId>,
    /// The transport that the URI of the next element insists on.
    pub(crate) fixed: Option<Transport>,
}

impl Dialog {
    /// Where the next request goes.
    pub(crate) fn routing(&self) -> Routing {
        let first = self.route_set.first().and_then(|route| route.parse::<NameAddr>().ok());
        let (request_uri, routes, next) = match first {
            None => (self.remote_target.clone(), Vec::new(), self.remote_target.parse().ok()),
            Some(first) if first.uri.is_loose() => (self.remote_target.clone(), self.route_set.clone(), Some(first.uri)),
            // A strict router wants to find itself in the Request-URI, and the target at the end of the route.
            Some(first) => {
                let rest = self.route_set.iter().skip(1).cloned();
                let routes = rest.chain([format!("<{}>", self.remote_target)]).collect();
                (first.uri.without_headers().to_string(), routes, Some(first.uri))
            }
        };
        let said = next.as_ref().and_then(|uri| self.hop_of(uri));
        let is_known_better = self.place == Place::AsKnown && self.route_set.is_empty();
        let hop = said.filter(|_| !is_known_better).unwrap_or_else(|| self.hop.clone());
        let connection = self.connection.filter(|_| hop.transport == self.hop.transport && hop.transport.is_reliable());
        // While the dialog's stream lives its requests go by it, wherever the Contact points (RFC 5923 §9; behind a NAT there is no other way).
        let hop = if connection.is_some() { self.hop.clone() } else { hop };
        let fixed = next.as_ref().and_then(|uri| match Transport::of_uri(uri) {
            Wanted::Only(transport) => Some(transport),
            Wanted::Any | Wanted::Unknown => None,
        });
        Routing { request_uri, routes, hop, connection, fixed }
    }

    /// The address that a URI says in figures. A name is none of ours to look up: there the dialog's own hop is taken.
    pub(crate) fn hop_of(&self, uri: &Uri) -> Option<Hop> {
        let ip = match uri.param("maddr").flatten() {
            Some(maddr) => maddr.trim_start_matches('[').trim_end_matches(']').parse().ok(),
            None => uri.ip(),
        }?;
        let transport = match Transport::of_uri(uri) {
            // RFC 7118 §5.2: a Contact says `transport=ws` over TLS, too.
            Wanted::Only(Transport::Ws) if self.hop.transport == Transport::Wss => Transport::Wss,
            Wanted::Only(transport) => transport,
            Wanted::Any | Wanted::Unknown => self.hop.transport,
        };
        let port = uri.port().unwrap_or(transport.default_port());
        // A Contact is no witness of its own: whatever address it names, it must be that of the peer that the call was placed to.
        Some(Hop { transport, addr: (ip, port).into(), server: self.hop.server.clone() })
    }
}
