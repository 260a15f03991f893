//! Messages of ours, from dialogs and requests.

use std::fmt::Write as _;
use std::net::IpAddr;

use bytes::Bytes;

use super::door::{Request, Response};
use super::options::{ALLOW, SUPPORTED, SUPPORTED_LATER};
use super::tables::Reply;
use super::{SessionIds, UserAgent};
use super::{overload, session_id};
use crate::dialog::{Dialog, Routing};
use crate::random::token;
use crate::transaction::ClientKey;
use crate::transport::{Hop, Listen, ServerName, Transmit, Transport};
use crate::wire::{Builder, COOKIE, Header, Message, Name, Scheme};

/// How many elements a request of ours may pass (RFC 3261 §8.1.1.6).
pub(crate) const MAX_FORWARDS: u8 = 70;

/// A body with its type.
pub(crate) type Body = (String, Bytes);

/// RFC 3261 §18.1.1: a request that is longer, or may become so on its way, is not sent as a datagram to a peer that takes streams.
const DATAGRAM_MAX: usize = 1_300;

/// A request of ours, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) key: ClientKey,
    pub(crate) transmit: Transmit,
    /// The same as a datagram, if only its length sends it by TCP.
    pub(crate) plain: Option<Transmit>,
}

impl UserAgent {
    /// A request in a dialog, or the INVITE that is to make one; with the key of its transaction.
    pub(crate) fn request(
        &mut self,
        dialog: &Dialog,
        method: &str,
        seq: u32,
        headers: &[Header],
        body: Option<&Body>,
    ) -> Outgoing {
        let key = ClientKey { branch: self.random.draw(), is_cancel: false };
        let mut routing = dialog.routing();
        if self.listen_towards(&routing.hop).is_none() {
            // A Contact may name a transport that we do not speak; the one that brought us here will have to do.
            routing.hop = dialog.hop.clone();
        }
        let draft = Draft { dialog, routing, method, seq, headers, body, branch: key.branch };
        let by = draft.routing.hop.transport;
        let transmit = self.write(&draft, by);
        let is_long = transmit.bytes.len() > DATAGRAM_MAX && by == Transport::Udp && method != "ACK";
        let may_move = is_long && draft.routing.fixed.is_none() && self.first_listen(Transport::Tcp).is_some();
        if may_move && !self.datagrams_only.contains(transmit.remote) {
            return Outgoing { key, transmit: self.write(&draft, Transport::Tcp), plain: Some(transmit) };
        }
        Outgoing { key, transmit, plain: None }
    }

    /// The request as it is sent by this transport. The Contact stays that of the dialog: only this one message may go by another.
    fn write(&self, draft: &Draft<'_>, by: Transport) -> Transmit {
        let Draft { dialog, routing, method, seq, headers, body, branch } = draft;
        let (method, listen) = (*method, self.listen(by, routing, dialog));
        let mut builder = Builder::request(method, &routing.request_uri).text(Name::Via, &via(listen, *branch));
        for route in &routing.routes {
            builder = builder.header(Name::Route, route);
        }
        if !headers.iter().any(|header| Name::of(&header.name) == Name::MaxForwards) {
            builder = builder.header(Name::MaxForwards, MAX_FORWARDS);
        }
        builder = builder.header(Name::From, &dialog.local).header(Name::To, &dialog.remote).text(Name::CallId, &dialog.call_id);
        builder = builder.header(Name::CSeq, format_args!("{seq} {method}"));
        if matches!(method, "INVITE" | "REFER" | "NOTIFY" | "UPDATE" | "SUBSCRIBE") {
            let listen = self.listen(routing.hop.transport, routing, dialog);
            builder = builder.text(Name::Contact, &contact(listen, dialog.is_secure()));
        }
        match method {
            // An INVITE without an offer would have to be answered reliably with one, and its PRACK with the answer: that is for the ACK.
            "INVITE" if body.is_none() => builder = builder.text(Name::Allow, ALLOW).text(Name::Supported, SUPPORTED_LATER),
            "INVITE" | "UPDATE" => builder = builder.text(Name::Allow, ALLOW).text(Name::Supported, SUPPORTED),
            _ => {}
        }
        if !self.settings.user_agent.is_empty() {
            builder = builder.text(Name::UserAgent, &self.settings.user_agent);
        }
        if let Some(theirs) = dialog.remote_session.as_deref().or(self.nobodys_session_id()) {
            builder = builder.text(Name::SessionId, &session_id::pair(&dialog.call_id, &dialog.local_tag, theirs));
        }
        builder = builder.headers(*headers);
        if let Some((content_type, body)) = body {
            builder = builder.body(content_type, body.clone());
        }
        let (local, remote, server) = (listen.addr, routing.hop.addr, routing.hop.server.clone());
        Transmit { transport: by, connection: routing.connection, local, remote, server, bytes: builder.build() }
    }

    /// A response to a request.
    pub(crate) fn response(&self, request: &Request, reply: &Reply) -> Transmit {
        let phrase = reply.phrase.as_deref().unwrap_or(phrase(reply.status));
        let own;
        // RFC 3261 §8.2.6.2: every response but 100 has a tag.
        let tag = match &reply.tag {
            _ if reply.status == 100 => None,
            Some(tag) => Some(tag.as_str()),
            None => {
                own = request.own_tag();
                Some(own.as_str())
            }
        };
        let told = overload::told(&request.via, self.crowd, self.heard_at);
        let via = told.as_ref().unwrap_or(&request.via);
        let mut builder = Builder::response_by(&request.message, reply.status, phrase, tag, Some(via));
        if reply.makes_dialog {
            for route in request.message.headers(Name::RecordRoute) {
                builder = builder.text(Name::RecordRoute, route);
            }
            let listen = self
                .settings
                .listen
                .iter()
                .find(|listen| listen.transport == request.way.transport && listen.addr == request.way.local);
            if let Some(listen) = listen.or_else(|| self.first_listen(request.way.transport)) {
                builder = builder.text(Name::Contact, &contact(listen, request.uri().scheme() == Scheme::Sips));
            }
            if matches!(request.method(), "INVITE" | "UPDATE") {
                builder = builder.text(Name::Allow, ALLOW).text(Name::Supported, SUPPORTED);
            }
        }
        if !self.settings.user_agent.is_empty() && reply.status != 100 {
            builder = builder.text(Name::Server, &self.settings.user_agent);
        }
        let tag = tag.or(request.to_tag()).filter(|_| reply.status != 100);
        let said = session_id::of(&request.message);
        if let (Some(theirs), Some(tag)) = (said.as_deref().or(self.nobodys_session_id()), tag) {
            builder = builder.text(Name::SessionId, &session_id::pair(request.call_id(), tag, theirs));
        }
        builder = builder.headers(&reply.headers);
        if let Some((content_type, body)) = &reply.body {
            builder = builder.body(content_type, body.clone());
        }
        self.way_back(request, builder.build())
    }

    /// The half of a far side that has not said one; none where nothing is said to those.
    fn nobodys_session_id(&self) -> Option<&'static str> {
        match self.settings.session_ids {
            SessionIds::Answered => None,
            SessionIds::Always => Some(session_id::NIL),
        }
    }

    /// RFC 3261 §18.2.2: by the stream that the request came by, and if that has ended since, by a new one to where its sender listens. Only an
    /// INVITE waits so long for its answer.
    fn way_back(&self, request: &Request, bytes: Bytes) -> Transmit {
        let has_ended = request.way.connection.is_some_and(|stream| self.ended_streams.contains(&stream));
        let transport = request.way.transport;
        if !has_ended || request.method() != "INVITE" || !matches!(transport, Transport::Tcp | Transport::Tls) {
            return request.way.transmit(bytes);
        }
        let server = transport.is_secure().then(|| ServerName::new(&request.via.sent_by.host.to_string()));
        Transmit { transport, connection: None, local: request.way.local, remote: request.peer(), server, bytes }
    }

    /// The address of ours that a dialog's requests leave from.
    fn listen(&self, transport: Transport, routing: &Routing, dialog: &Dialog) -> &Listen {
        let same = self.settings.listen.iter().find(|listen| {
            let may_reach = routing.connection.is_some() || reaches(listen.addr.ip(), routing.hop.addr.ip());
            listen.transport == transport && listen.addr == dialog.local_addr && may_reach
        });
        let towards = || self.listen_by(transport, routing.hop.addr.ip());
        let fallback = same.or_else(towards).or_else(|| self.first_listen(transport)).or(self.settings.listen.first());
        fallback.expect("dialogs are made by dialling from or being called at a listening address")
    }

    /// The address of ours from which a hop can be reached.
    pub(crate) fn listen_towards(&self, hop: &Hop) -> Option<&Listen> {
        self.listen_by(hop.transport, hop.addr.ip())
    }

    /// The first address that can reach `remote`, one of the same kind (this machine or the world) before others.
    fn listen_by(&self, transport: Transport, remote: IpAddr) -> Option<&Listen> {
        let fit =
            || self.settings.listen.iter().filter(|listen| listen.transport == transport && reaches(listen.addr.ip(), remote));
        fit().find(|listen| listen.addr.ip().is_loopback() == remote.is_loopback()).or_else(|| fit().next())
    }

    pub(crate) fn first_listen(&self, transport: Transport) -> Option<&Listen> {
        self.settings.listen.iter().find(|listen| listen.transport == transport)
    }
}

/// What a request says, before it is known what carries it.
struct Draft<'a> {
    dialog: &'a Dialog,
    routing: Routing,
    method: &'a str,
    seq: u32,
    headers: &'a [Header],
    body: Option<&'a Body>,
    branch: u64,
}

/// The ACK of a response other than 2xx: part of its INVITE's transaction (RFC 3261 §17.1.1.3).
pub(crate) fn ack(invite: &Transmit, response: &Response) -> Transmit {
    let to = response.message.header(Name::To).unwrap_or_default();
    let bytes = derived(invite, "ACK", Some(to), None).unwrap_or_default();
    Transmit { bytes, ..invite.clone() }
}

/// The CANCEL of an INVITE (RFC 3261 §9.1).
pub(crate) fn cancel(invite: &Transmit, reason: Option<&str>) -> Option<Transmit> {
    let bytes = derived(invite, "CANCEL", None, reason)?;
    Some(Transmit { bytes, ..invite.clone() })
}

/// A request that goes the way of its INVITE and shares its branch.
fn derived(invite: &Transmit, method: &str, to: Option<&str>, reason: Option<&str>) -> Option<Bytes> {
    let message = Message::parse(invite.bytes.clone()).ok()?;
    let mut builder = Builder::request(method, message.request_uri()?).header(Name::Via, message.via().owned());
    for route in message.headers(Name::Route) {
        builder = builder.header(Name::Route, route);
    }
    let header = |name| message.header(name).unwrap_or_default();
    builder = builder.header(Name::MaxForwards, MAX_FORWARDS).header(Name::From, header(Name::From));
    builder = builder.header(Name::To, to.unwrap_or(header(Name::To))).header(Name::CallId, message.call_id());
    builder = builder.header(Name::CSeq, format_args!("{} {method}", message.cseq().number));
    if let Some(session) = message.header(Name::SessionId) {
        builder = builder.header(Name::SessionId, session);
    }
    // RFC 3261 §22.1: an ACK repeats the credentials of its INVITE.
    for name in [Name::Authorization, Name::ProxyAuthorization] {
        for value in message.headers(name).filter(|_| method == "ACK") {
            builder = builder.header(name, value);
        }
    }
    if let Some(reason) = reason {
        builder = builder.header(Name::Reason, reason);
    }
    Some(builder.build())
}

/// The topmost Via of a request of ours (RFC 3581: it asks for `rport`).
fn via(listen: &Listen, branch: u64) -> String {
    let mut via = String::with_capacity(96);
    let written = write!(via, "SIP/2.0/{} {};branch={COOKIE}{};rport", listen.transport.name(), listen.advertise, token(branch));
    written.map(|()| via).unwrap_or_default()
}

/// An address is left towards others of its own family only; all of an IPv6 socket's are IPv6.
fn reaches(local: IpAddr, remote: IpAddr) -> bool {
    local.is_ipv4() == remote.is_ipv4()
}

/// RFC 3261 §12.1.1: a dialog that was asked for by `sips:` has such a Contact, too.
fn contact(listen: &Listen, is_secure: bool) -> String {
    let scheme = if is_secure && listen.transport.is_secure() { "sips" } else { "sip" };
    let transport = match (listen.transport, scheme) {
        (Transport::Udp, _) | (Transport::Tls, "sips") => "",
        (Transport::Tcp, _) => ";transport=tcp",
        (Transport::Tls, _) => ";transport=tls",
        (Transport::Ws | Transport::Wss, _) => ";transport=ws",
    };
    format!("<{scheme}:{}{transport}>", listen.advertise)
}

/// The usual phrase of a status (RFC 3261 §21 and those that came later).
pub(crate) fn phrase(status: u16) -> &'static str {
    const PHRASES: &[(u16, &str)] = &[
        (100, "Trying"),
        (180, "Ringing"),
        (181, "Call Is Being Forwarded"),
        (182, "Queued"),
        (183, "Session Progress"),
        (199, "Early Dialog Terminated"),
        (200, "OK"),
        (202, "Accepted"),
        (300, "Multiple Choices"),
        (301, "Moved Permanently"),
        (302, "Moved Temporarily"),
        (400, "Bad Request"),
        (401, "Unauthorized"),
        (403, "Forbidden"),
        (404, "Not Found"),
        (405, "Method Not Allowed"),
        (407, "Proxy Authentication Required"),
        (408, "Request Timeout"),
        (410, "Gone"),
        (415, "Unsupported Media Type"),
        (416, "Unsupported URI Scheme"),
        (420, "Bad Extension"),
        (421, "Extension Required"),
        (422, "Session Interval Too Small"),
        (423, "Interval Too Brief"),
        (480, "Temporarily Unavailable"),
        (481, "Call/Transaction Does Not Exist"),
        (482, "Loop Detected"),
        (483, "Too Many Hops"),
        (484, "Address Incomplete"),
        (486, "Busy Here"),
        (487, "Request Terminated"),
        (488, "Not Acceptable Here"),
        (489, "Bad Event"),
        (491, "Request Pending"),
        (500, "Server Internal Error"),
        (501, "Not Implemented"),
        (503, "Service Unavailable"),
        (504, "Server Time-out"),
        (600, "Busy Everywhere"),
        (603, "Decline"),
        (604, "Does Not Exist Anywhere"),
        (606, "Not Acceptable"),
    ];
    let known = PHRASES.binary_search_by_key(&status, |(known, _)| *known).ok().map(|at| PHRASES[at].1);
    known.unwrap_or(match status / 100 {
        1 => "Session Progress",
        2 => "OK",
        3 => "Multiple Choices",
        4 => "Bad Request",
        5 => "Server Internal Error",
        _ => "Decline",
    })
}
