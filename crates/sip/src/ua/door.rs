//! The door: messages are read once, and what is let in has everything that the rest relies on.

use std::hash::{DefaultHasher, Hasher};
use std::net::{IpAddr, SocketAddr};

use baton_time::Mono;
use bytes::Bytes;

use super::dial::SDP;
use super::options::EXTENSIONS;
use super::sources::Admission;
use super::tables::Reply;
use super::{Crowd, Direction, Event, Rejected, UserAgent, multipart, session_id};
use crate::dialog::{Dialog, Side};
use crate::random::{self, token};
use crate::transaction::{ClientKey, ServerKey, ServerMachine};
use crate::transport::{ConnectionId, Hop, Incoming, Transmit, Transport};
use crate::wire::{AddrRef, COOKIE, Fault, HostRef, Message, Name, Scheme, Uri, UriRef, Via};
use serde::{Deserialize, Serialize};

/// A request that has been let in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) message: Message,
    pub(crate) source: SocketAddr,
    /// The way back.
    pub(crate) way: Way,
    /// The topmost Via, stamped with where the request came from.
    pub(crate) via: Via,
    /// Names its transaction.
    pub(crate) key: ServerKey,
    /// Names the transaction of the INVITE that an ACK or CANCEL is about; of any other request its own.
    pub(crate) invite_key: ServerKey,
}

/// Where a response goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Way {
    pub(crate) transport: Transport,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

/// A response to a request of ours.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) message: Message,
    pub(crate) status: u16,
    pub(crate) key: ClientKey,
    /// The stream that it came by.
    connection: Option<ConnectionId>,
}

impl UserAgent {
    /// A message has come in. Whatever it is: it is answered, told or dropped by rule, and never panics.
    pub fn receive(&mut self, now: Mono, incoming: Incoming) {
        let message = match Message::parse(incoming.bytes.clone()) {
            Ok(message) => message,
            Err(fault) => return self.malformed(&incoming, &fault),
        };
        self.counts.message(message.method(), message.status(), Direction::In);
        self.heard_at = now;
        if message.is_request() {
            let request = Request::read(message, &incoming, self.secret);
            self.on_request(now, request);
        } else {
            match Response::read(message, &incoming) {
                Some(response) => self.on_response(now, response),
                None => self.counts.reject(Rejected::StrayResponse),
            }
        }
    }

    fn malformed(&mut self, incoming: &Incoming, fault: &Fault) {
        if fault.rule == crate::wire::Rule::Empty {
            return;
        }
        self.counts.reject(Rejected::Malformed);
        if let (Some(bytes), Some(via), Some(status)) = (fault.response(incoming.remote), fault.via(), fault.status()) {
            let method = fault.method().to_owned();
            self.send(&method, status, Way::back(incoming, via).transmit(bytes));
            self.tell(Event::Stranger { source: incoming.remote, method, reason: Rejected::Malformed });
        }
    }

    fn on_request(&mut self, now: Mono, request: Request) {
        let key = request.key;
        if request.method() == "ACK" {
            if let Some((ServerMachine::Invite(machine), _)) = self.transactions.server(request.invite_key)
                && machine.on_ack(now)
            {
                return self.transactions.rearm_server(request.invite_key);
            }
            return self.on_ack(now, &request);
        }
        if let Some((machine, _)) = self.transactions.server(key) {
            if let Some(again) = machine.on_repetition().cloned() {
                self.counts.repeated += 1;
                self.transmits.push_back(again);
            }
            return;
        }
        let belongs = self.belongs(&request);
        if !belongs {
            match self.sources.admit(now, request.source) {
                Admission::Granted => {}
                Admission::Dropped => return self.counts.reject(Rejected::Flood),
                Admission::DroppedAloud => return self.flooded(&request),
            }
        }
        if self.crowd == Crowd::TooMany && request.asks_for_a_call() {
            // Nothing is remembered of it: a refusal must cost far less than a call, or refusing is what keeps us from calls.
            self.counts.reject(Rejected::Overload);
            let reply = Reply::retry_after(self.settings.limits.retry_after);
            return self.respond_statelessly(&request, &reply);
        }
        if let Some(reason) = self.lacks_room(&request, belongs) {
            self.counts.reject(reason);
            let reply = Reply::retry_after(self.settings.limits.retry_after);
            return self.respond_statelessly(&request, &reply);
        }
        if request.method() == "CANCEL" {
            self.serve(now, key, &request, None);
            return self.on_cancel(now, key, &request);
        }
        if request.to_tag().is_some() {
            self.serve(now, key, &request, None);
            return self.in_dialog(now, key, &request);
        }
        let name = request.merging_name(self.secret);
        let merged = self.merging.contains_key(&name);
        self.serve(now, key, &request, (!merged).then_some(name));
        if merged {
            // RFC 3261 §8.2.2.2: the same request has come by another way already.
            return self.reject(now, key, &request, Reply::new(482), Rejected::Merged);
        }
        self.outside(now, key, request);
    }

    fn flooded(&mut self, request: &Request) {
        self.counts.reject(Rejected::Flood);
        let (source, method) = (request.source, request.method().to_owned());
        self.tell(Event::Stranger { source, method, reason: Rejected::Flood });
    }

    /// Why there is no room for one more transaction of this source. What belongs to a call has some left when other things have not.
    fn lacks_room(&self, request: &Request, belongs: bool) -> Option<Rejected> {
        let max = self.settings.limits.source_transactions;
        let max = if belongs { max } else { max - max / 8 };
        if self.transactions.is_full() {
            return Some(Rejected::Full);
        }
        (self.shares.of(request.source).transactions >= max).then_some(Rejected::SourceFull)
    }

    /// Whether a request is about something that we have: it cannot be invented by somebody who has never heard from us.
    fn belongs(&mut self, request: &Request) -> bool {
        match request.to_tag() {
            _ if request.method() == "CANCEL" => self.transactions.server(request.invite_key).is_some(),
            Some(tag) => self.by_tag(tag).is_some(),
            None => false,
        }
    }

    /// A request outside of all dialogs, checked in the order of RFC 3261 §8.2.
    fn outside(&mut self, now: Mono, key: ServerKey, request: Request) {
        let is_served = matches!(
            request.method(),
            "REGISTER" | "INVITE" | "OPTIONS" | "BYE" | "INFO" | "NOTIFY" | "REFER" | "UPDATE" | "PRACK"
        );
        if !is_served {
            return self.bad_method(now, key, &request);
        }
        if !matches!(request.uri().scheme(), Scheme::Sip | Scheme::Sips | Scheme::Tel) {
            return self.reject(now, key, &request, Reply::new(416), Rejected::Scheme);
        }
        if request.unknown_extensions().next().is_some() {
            return self.bad_extension(now, key, &request);
        }
        match request.method() {
            // RFC 7332: a back-to-back user agent counts as an element, or two of them could send a call in circles for ever.
            "INVITE" if request.message.max_forwards() == Some(0) => {
                self.reject(now, key, &request, Reply::new(483), Rejected::TooManyHops);
            }
            "INVITE" => self.on_invite(now, key, request),
            "OPTIONS" => self.on_options_outside(now, key, request),
            "REGISTER" => self.on_register(now, key, &request),
            "REFER" => self.on_refer_outside(now, key, &request),
            _ => self.reject(now, key, &request, Reply::new(481), Rejected::UnknownDialog),
        }
    }
}

impl Request {
    fn read(message: Message, incoming: &Incoming, secret: [u64; 2]) -> Request {
        let mut via = message.via().owned();
        let way = Way::back(incoming, &via);
        via.stamp(incoming.remote);
        let key = server_key(&message, message.method(), secret);
        let invite_key = match message.method() {
            "ACK" | "CANCEL" => server_key(&message, "INVITE", secret),
            _ => key,
        };
        Request { source: incoming.remote, way, via, key, invite_key, message }
    }

    pub(crate) fn method(&self) -> &str {
        self.message.method()
    }

    /// Who sends it: the address that it came from. The port of a stream that they have opened says nothing; the one that they listen at stands in
    /// their Via (RFC 5923 §7), and the address is theirs beyond doubt, or there would be no stream.
    pub(crate) fn peer(&self) -> SocketAddr {
        let port = self.via.sent_by.port.unwrap_or(self.way.transport.default_port());
        match self.way.transport.is_reliable() {
            true => SocketAddr::new(self.source.ip(), port),
            false => self.source,
        }
    }

    /// Whether it is about nothing that there is: a new call, or the question whether one would be taken.
    fn asks_for_a_call(&self) -> bool {
        matches!(self.method(), "INVITE" | "OPTIONS") && self.to_tag().is_none() && self.message.header("Replaces").is_none()
    }

    pub(crate) fn uri(&self) -> UriRef<'_> {
        self.message.request_uri().unwrap_or(self.message.to().uri())
    }

    pub(crate) fn call_id(&self) -> &str {
        self.message.call_id()
    }

    /// The far side's tag; empty where an old peer sends none.
    pub(crate) fn remote_tag(&self) -> &str {
        self.message.from().tag().unwrap_or_default()
    }

    /// Our tag.
    pub(crate) fn to_tag(&self) -> Option<&str> {
        self.message.to().tag()
    }

    pub(crate) fn seq(&self) -> u32 {
        self.message.cseq().number
    }

    pub(crate) fn header(&self, name: Name) -> Option<String> {
        self.message.header(name).map(str::to_owned)
    }

    /// Extensions that it requires and that we do not have.
    pub(crate) fn unknown_extensions(&self) -> impl Iterator<Item = &str> {
        self.message.headers(Name::Require).filter(|token| !EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(token)))
    }

    /// The session description, also where it is a part of a larger body.
    pub(crate) fn sdp(&self) -> Option<Bytes> {
        sdp(&self.message)
    }

    /// Whether its body, if there is one, is or contains a session description that we can read.
    pub(crate) fn has_readable_body(&self) -> bool {
        let plain = self.message.headers(Name::ContentEncoding).all(|encoding| encoding.eq_ignore_ascii_case("identity"));
        self.message.body().is_empty() || (plain && self.sdp().is_some())
    }

    /// Our dialog with whoever sent this INVITE (RFC 3261 §12.1.1).
    pub(crate) fn dialog(&self, tag: &str, contact: &Uri) -> Dialog {
        let remote = self.message.header(Name::From).unwrap_or_default().to_owned();
        Dialog {
            side: Side::Callee,
            call_id: self.call_id().to_owned(),
            local_tag: tag.to_owned(),
            remote_tag: self.remote_tag().to_owned(),
            local: format!("{};tag={tag}", self.message.header(Name::To).unwrap_or_default()),
            remote,
            local_seq: 0,
            remote_seq: Some(self.seq()),
            remote_target: contact.to_string(),
            route_set: self.message.headers(Name::RecordRoute).map(str::to_owned).collect(),
            hop: Hop::new(self.way.transport, self.source),
            connection: self.way.connection,
            local_addr: self.way.local,
            place: crate::dialog::Place::AsSaid,
            remote_session: session_id::of(&self.message),
        }
    }

    /// A re-INVITE moves the far side's target, and the stream it came by is the one that lives.
    pub(crate) fn refresh(&self, dialog: &mut Dialog) {
        if let Some(contact) = self.message.contact() {
            dialog.remote_target = contact.uri().to_string();
        }
        if self.way.connection.is_some() && self.way.transport == dialog.hop.transport {
            dialog.connection = self.way.connection;
            dialog.hop.addr = self.source;
        }
    }

    /// Names the request whatever way it took: From tag, Call-ID and CSeq.
    fn merging_name(&self, secret: [u64; 2]) -> u128 {
        let seq = self.seq().to_be_bytes();
        digest(secret, &[b"merging", self.remote_tag().as_bytes(), self.call_id().as_bytes(), &seq, self.method().as_bytes()])
    }

    /// A tag for an answer outside of all dialogs: the same for each repetition of the request.
    pub(crate) fn own_tag(&self) -> String {
        token((self.key.0 >> 64) as u64)
    }
}

impl Response {
    fn read(message: Message, incoming: &Incoming) -> Option<Response> {
        // RFC 3261 §8.1.3.3: a response with a second Via was meant for somebody before us.
        if message.headers(Name::Via).nth(1).is_some() {
            return None;
        }
        let branch = random::number(message.via().branch()?.strip_prefix(COOKIE)?)?;
        let key = ClientKey { branch, is_cancel: message.method() == "CANCEL" };
        Some(Response { status: message.status(), key, connection: incoming.connection, message })
    }

    pub(crate) fn to_tag(&self) -> Option<&str> {
        self.message.to().tag()
    }

    /// The stream that it came by.
    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        self.connection
    }

    pub(crate) fn sdp(&self) -> Option<Bytes> {
        sdp(&self.message)
    }

    pub(crate) fn contact(&self) -> Option<UriRef<'_>> {
        self.message.contact().map(AddrRef::uri)
    }

    /// The dialog that this makes of our half (RFC 3261 §12.1.2).
    pub(crate) fn dialog(&self, half: &Dialog) -> Dialog {
        let remote = self.message.header(Name::To).unwrap_or_default();
        let contact = self.contact().map(|contact| contact.to_string());
        let route = self.message.headers(Name::RecordRoute).map(str::to_owned).collect();
        let mut dialog = half.answered(remote, self.to_tag().unwrap_or_default(), contact, route);
        dialog.connection = self.connection;
        dialog.remote_session = session_id::of(&self.message);
        dialog
    }

    /// The 2xx to a re-INVITE moves the far side's target.
    pub(crate) fn refresh(&self, dialog: &mut Dialog) {
        if let Some(contact) = self.contact() {
            dialog.remote_target = contact.to_string();
        }
        if self.connection.is_some() {
            dialog.connection = self.connection;
        }
    }
}

impl Way {
    /// RFC 3261 §18.2.2 and RFC 3581 §4: over a stream by the same stream; a datagram to `maddr`, or to where it came from, at the port that it
    /// came from if `rport` asks for that, else at the port of sent-by.
    fn back(incoming: &Incoming, via: &Via) -> Way {
        let mut remote = incoming.remote;
        if !incoming.transport.is_reliable() {
            let port = via.sent_by.port.unwrap_or(incoming.transport.default_port());
            let maddr = via.params.value("maddr").and_then(|maddr| maddr.trim_matches(['[', ']']).parse::<IpAddr>().ok());
            match maddr {
                Some(maddr) => remote = SocketAddr::new(maddr, port),
                None if via.rport().is_none() => remote.set_port(port),
                None => {}
            }
        }
        Way { transport: incoming.transport, connection: incoming.connection, local: incoming.local, remote }
    }

    /// A message to be sent back.
    pub(crate) fn transmit(&self, bytes: Bytes) -> Transmit {
        let Way { transport, connection, local, remote } = *self;
        Transmit { transport, connection, local, remote, server: None, bytes }
    }
}

/// RFC 3261 §17.2.3: branch, sent-by and method; for peers from before that, everything that does not change when a request is repeated.
fn server_key(message: &Message, method: &str, secret: [u64; 2]) -> ServerKey {
    let via = message.via();
    let port = via.port().map(u16::to_be_bytes);
    let port = port.as_ref().map(<[u8; 2]>::as_slice).unwrap_or_default();
    let keyed =
        |kind: &[u8], host: &[u8], branch: &str| digest(secret, &[kind, branch.as_bytes(), host, port, method.as_bytes()]);
    ServerKey(match (via.transaction(), via.host()) {
        (Some(branch), HostRef::Name(name)) => keyed(b"name", name.as_bytes(), branch),
        (Some(branch), HostRef::V4(address)) => keyed(b"v4", &address.octets(), branch),
        (Some(branch), HostRef::V6(address)) => keyed(b"v6", &address.octets(), branch),
        (None, _) => {
            let uri = message.request_uri().map(|uri| uri.to_string()).unwrap_or_default();
            let from_tag = message.from().tag().unwrap_or_default();
            let top = message.headers(Name::Via).next().unwrap_or_default();
            let seq = message.cseq().number.to_be_bytes();
            // The To tag is left out: an ACK has one that its INVITE had not.
            let parts =
                [uri.as_bytes(), from_tag.as_bytes(), message.call_id().as_bytes(), &seq, top.as_bytes(), method.as_bytes()];
            digest(secret, &[&[b"old".as_slice()], parts.as_slice()].concat())
        }
    })
}

/// A digest that nobody without the secret can find two inputs for.
fn digest(secret: [u64; 2], parts: &[&[u8]]) -> u128 {
    // In one piece, each part behind its length.
    let mut whole = Vec::with_capacity(parts.iter().map(|part| 8 + part.len()).sum());
    for part in parts {
        whole.extend_from_slice(&(part.len() as u64).to_be_bytes());
        whole.extend_from_slice(part);
    }
    let half = |secret: u64| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(secret);
        hasher.write(&whole);
        hasher.finish()
    };
    u128::from(half(secret[0])) << 64 | u128::from(half(secret[1]))
}

fn sdp(message: &Message) -> Option<Bytes> {
    if message.body().is_empty() {
        return None;
    }
    match message.content_type() {
        Some(kind) if kind.is(SDP) => Some(message.body().clone()),
        Some(kind) if kind.kind.eq_ignore_ascii_case("multipart") => {
            multipart::part(message.body(), &kind.params.text("boundary")?, SDP)
        }
        // Without Content-Type a body of an INVITE can be nothing else.
        None => Some(message.body().clone()),
        Some(_) => None,
    }
}
