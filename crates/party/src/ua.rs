//! The signalling of one call of one party: a user agent with one dialog.

use std::collections::VecDeque;
use std::net::SocketAddr;

use baton_time::Mono;
use bytes::Bytes;

use crate::message::{Message, uri_of, user_of};
use crate::tone::Dice;
use crate::transaction::{Client, Datagram, Server};

const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, NOTIFY, REFER";

/// Where the call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nobody has called yet.
    Idle,
    /// Our INVITE is out.
    Calling,
    /// Their INVITE is in; we have not answered it.
    Invited,
    /// Answered.
    Up,
    /// Over.
    Over,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Happening {
    Invited,
    Ringing,
    /// Our INVITE was answered, or the ACK brought an answer to our offer, or there is a new offer.
    Media(Bytes),
    Notified(u16),
    /// A REFER has come.
    Referred,
    Over(String),
}

pub(crate) struct Ua {
    local: SocketAddr,
    user: String,
    display: String,
    dice: Dice,
    pub(crate) phase: Phase,
    dialog: Dialog,
    clients: Vec<Client>,
    servers: Vec<Server>,
    cancel_when_heard: bool,
    ack_body: Option<String>,
    is_deaf: bool,
    reason: Option<String>,
    pub(crate) out: VecDeque<Datagram>,
    pub(crate) happened: VecDeque<Happening>,
}

/// What holds the dialog together (RFC 3261 §12.1), seen from our side.
#[derive(Default)]
struct Dialog {
    call_id: String,
    local: String,
    local_tag: String,
    remote: String,
    target: String,
    routes: Vec<String>,
    cseq: u32,
    peer: Option<SocketAddr>,
}

impl Ua {
    pub(crate) fn new(local: SocketAddr, user: &str, display: &str, seed: u64) -> Ua {
        Ua {
            local,
            user: user.to_owned(),
            display: display.to_owned(),
            dice: Dice::new(seed),
            phase: Phase::Idle,
            dialog: Dialog::default(),
            clients: Vec::new(),
            servers: Vec::new(),
            cancel_when_heard: false,
            ack_body: None,
            is_deaf: false,
            reason: None,
            out: VecDeque::new(),
            happened: VecDeque::new(),
        }
    }

    /// Whether a message is for this call: of its dialog, or the first INVITE to this user.
    pub(crate) fn wants(&self, message: &Message) -> bool {
        if self.phase != Phase::Idle {
            return message.call_id() == self.dialog.call_id;
        }
        let for_us = user_of(message.uri().unwrap_or_default()) == self.user;
        message.method() == Some("INVITE") && message.to_tag().is_none() && for_us
    }

    pub(crate) fn call(&mut self, now: Mono, to: &str, peer: SocketAddr, headers: &[(String, String)], sdp: Option<String>) {
        let local_tag = self.token();
        self.dialog = Dialog {
            call_id: format!("{}@{}", self.token(), self.local.ip()),
            local: format!("\"{}\" <sip:{}@{}>", self.display, self.user, self.local),
            local_tag,
            remote: format!("<{to}>"),
            target: to.to_owned(),
            routes: Vec::new(),
            cseq: 0,
            peer: Some(peer),
        };
        self.phase = Phase::Calling;
        let mut invite = self.request("INVITE");
        for (name, value) in headers {
            invite = invite.with(name, value.clone());
        }
        let invite = invite.with("Allow", ALLOW);
        self.send(now, with_sdp(invite, sdp));
    }

    /// The answer to the offer that the 200 will bring.
    pub(crate) fn answer_with_ack(&mut self, sdp: String) {
        self.ack_body = Some(sdp);
    }

    /// A re-INVITE.
    pub(crate) fn offer_again(&mut self, now: Mono, sdp: String) {
        if self.phase == Phase::Up {
            let invite = self.request("INVITE");
            self.send(now, with_sdp(invite, Some(sdp)));
        }
    }

    pub(crate) fn ring(&mut self, now: Mono, status: u16, sdp: Option<String>) {
        self.answer_invite(now, status, sdp);
    }

    pub(crate) fn answer(&mut self, now: Mono, sdp: String) {
        self.answer_invite(now, 200, Some(sdp));
        self.phase = Phase::Up;
    }

    pub(crate) fn refuse(&mut self, now: Mono, status: u16) {
        self.answer_invite(now, status, None);
        self.phase = Phase::Over;
    }

    pub(crate) fn info(&mut self, now: Mono, key: char) {
        let body = format!("Signal={key}\r\nDuration=100\r\n");
        let info = self.request("INFO").with_body("application/dtmf-relay", body);
        self.send(now, info);
    }

    pub(crate) fn write(&mut self, now: Mono, text: &str) {
        let message = self.request("MESSAGE").with_body("text/plain", text.to_owned());
        self.send(now, message);
    }

    pub(crate) fn refer(&mut self, now: Mono, to: &str, headers: &[(String, String)]) {
        let mut refer = self.request("REFER").with("Refer-To", format!("<{to}>"));
        for (name, value) in headers {
            refer = refer.with(name, value.clone());
        }
        self.send(now, refer);
    }

    /// Tells the far side what has become of its REFER.
    pub(crate) fn notify(&mut self, now: Mono, status: u16) {
        let state = if status < 200 { "active;expires=60" } else { "terminated;reason=noresource" };
        let notify = self.request("NOTIFY").with("Event", "refer").with("Subscription-State", state);
        let word = if status < 200 { "Trying" } else { "Done" };
        self.send(now, notify.with_body("message/sipfrag;version=2.0", format!("SIP/2.0 {status} {word}\r\n")));
    }

    /// Why the next BYE is sent.
    pub(crate) fn give_reason(&mut self, reason: &str) {
        self.reason = Some(reason.to_owned());
    }

    /// From now on nothing leaves and nothing is heard.
    pub(crate) fn vanish(&mut self) {
        self.is_deaf = true;
        self.phase = Phase::Over;
        self.clients.clear();
        self.servers.clear();
        self.out.clear();
    }

    /// BYE, CANCEL or a refusal, by what the call has come to.
    pub(crate) fn hang_up(&mut self, now: Mono) {
        match self.phase {
            Phase::Idle | Phase::Over => {}
            Phase::Invited => {
                self.refuse(now, 480);
                self.happened.push_back(Happening::Over("refused".to_owned()));
            }
            Phase::Up => {
                let bye = self.request("BYE");
                let bye = self.reason.take().into_iter().fold(bye, |bye, reason| bye.with("Reason", reason));
                self.send(now, bye);
                self.over("hung up");
            }
            Phase::Calling => {
                // RFC 3261 §9.1: no CANCEL before a provisional response.
                let heard = self.clients.iter().any(|client| client.request.method() == Some("INVITE") && client.provisional);
                self.cancel_when_heard = !heard;
                if heard {
                    self.cancel(now);
                }
            }
        }
    }

    pub(crate) fn receive(&mut self, now: Mono, message: Message, from: SocketAddr) {
        if self.is_deaf {
            return;
        }
        if message.status().is_some() {
            self.receive_response(now, &message);
        } else {
            self.receive_request(now, message, from);
        }
    }

    pub(crate) fn next_at(&self) -> Option<Mono> {
        let clients = self.clients.iter().map(Client::next_at);
        clients.chain(self.servers.iter().filter_map(Server::next_at)).min()
    }

    pub(crate) fn on_timeout(&mut self, now: Mono) {
        let silent = self.clients.iter().any(|client| client.is_over(now) && !client.done);
        let clients = self.clients.iter_mut().filter_map(|client| client.due(now));
        self.out.extend(clients.chain(self.servers.iter_mut().filter_map(|server| server.due(now))));
        self.clients.retain(|client| !client.is_over(now));
        self.servers.retain(|server| !server.is_over(now));
        if silent {
            self.over("no answer within 32 s");
        }
    }

    fn receive_response(&mut self, now: Mono, response: &Message) {
        let Some(index) = self.clients.iter().position(|client| client.fits(response)) else { return };
        let status = response.status().unwrap_or(0);
        let first_final = self.clients[index].answered(status);
        if response.cseq().1 != "INVITE" {
            return;
        }
        if !first_final {
            // RFC 3261 §13.2.2.4: a 2xx that comes again wants its ACK again; so does a refusal (§17.1.1.2).
            let again = self.clients[index].acknowledgement.clone().filter(|_| status >= 200);
            self.out.extend(again);
            if status > 100 && status < 200 {
                self.happened.push_back(Happening::Ringing);
            }
            if status < 200 && std::mem::take(&mut self.cancel_when_heard) {
                self.cancel(now);
            }
        } else if status < 300 {
            self.connected(index, response);
        } else {
            self.refused(index, response);
        }
    }

    fn connected(&mut self, index: usize, response: &Message) {
        self.dialog.remote = response.header("To").unwrap_or_default().to_owned();
        if let Some(contact) = response.header("Contact") {
            self.dialog.target = uri_of(contact).to_owned();
        }
        self.dialog.routes = response.headers_named("Record-Route").map(str::to_owned).collect();
        self.dialog.routes.reverse();
        let cseq = self.clients[index].request.cseq().0;
        let body = self.ack_body.take();
        let ack = with_sdp(self.in_dialog("ACK", cseq), body);
        let datagram = (self.clients[index].peer(), ack.write());
        self.clients[index].acknowledgement = Some(datagram.clone());
        self.out.push_back(datagram);
        self.phase = Phase::Up;
        self.happened.push_back(Happening::Media(response.body.clone()));
    }

    fn refused(&mut self, index: usize, response: &Message) {
        let invite = &self.clients[index].request;
        let mut ack = Message::request("ACK", invite.uri().unwrap_or_default());
        for name in ["Via", "From", "Call-ID", "Max-Forwards"] {
            ack = ack.with(name, invite.header(name).unwrap_or_default());
        }
        let ack = ack.with("To", response.header("To").unwrap_or_default()).with("CSeq", format!("{} ACK", invite.cseq().0));
        let datagram = (self.clients[index].peer(), ack.write());
        self.clients[index].acknowledgement = Some(datagram.clone());
        self.out.push_back(datagram);
        if self.phase == Phase::Up && !matches!(response.status(), Some(408 | 481)) {
            return; // RFC 3261 §14.1: a refused re-INVITE leaves the call as it is.
        }
        self.over(&format!("refused with {}", response.title()));
    }

    fn receive_request(&mut self, now: Mono, request: Message, from: SocketAddr) {
        let method = request.method().unwrap_or_default().to_owned();
        let known =
            self.servers.iter().position(|server| server.fits(&request) && server.request.method() == Some(method.as_str()));
        if let Some(index) = known {
            let again = self.servers[index].answer_again();
            self.out.extend(again);
            return;
        }
        match method.as_str() {
            "ACK" if request.to_tag() != Some(&self.dialog.local_tag) => {}
            "ACK" => self.acknowledged(&request),
            "CANCEL" => self.cancelled(now, request, from),
            "INVITE" if request.to_tag().is_none() => self.invited(now, request, from),
            "INVITE" => self.invited_again(now, request, from),
            // RFC 3261 §13.2.2.4: the other phone of a forked call is hung up on; this one talks on.
            "BYE" if request.to_tag() != Some(&self.dialog.local_tag) => self.serve(now, request, from, 200),
            "BYE" => {
                let why = request.header("Reason").map_or("BYE".to_owned(), |reason| format!("BYE ({reason})"));
                self.serve(now, request, from, 200);
                self.over(&why);
            }
            "NOTIFY" => {
                let status = sipfrag_status(&request.body);
                self.serve(now, request, from, 200);
                self.happened.extend(status.map(Happening::Notified));
            }
            "REFER" => {
                self.serve(now, request, from, 202);
                self.happened.push_back(Happening::Referred);
            }
            "INFO" | "OPTIONS" | "MESSAGE" => self.serve(now, request, from, 200),
            _ => self.serve(now, request, from, 405),
        }
    }

    fn invited(&mut self, now: Mono, request: Message, from: SocketAddr) {
        let local_tag = self.token();
        self.dialog = Dialog {
            call_id: request.call_id().to_owned(),
            local: request.header("To").unwrap_or_default().to_owned(),
            local_tag,
            remote: request.header("From").unwrap_or_default().to_owned(),
            target: uri_of(request.header("Contact").unwrap_or_default()).to_owned(),
            routes: request.headers_named("Record-Route").map(str::to_owned).collect(),
            cseq: 0,
            peer: Some(from),
        };
        self.phase = Phase::Invited;
        self.serve(now, request, from, 100);
        self.happened.push_back(Happening::Invited);
    }

    /// A re-INVITE: the party answers it with what it has, once the caller of this function has told it the SDP.
    fn invited_again(&mut self, now: Mono, request: Message, from: SocketAddr) {
        let body = request.body.clone();
        self.servers.push(Server::new(now, request, from));
        if self.phase == Phase::Up {
            self.happened.push_back(Happening::Media(body));
        } else {
            self.answer_invite(now, 481, None);
        }
    }

    /// Whether a re-INVITE waits for its answer.
    pub(crate) fn owes_an_answer(&self) -> bool {
        self.phase == Phase::Up && self.servers.iter().any(is_open_invite)
    }

    /// The body of the INVITE that has not been answered yet.
    pub(crate) fn offer(&self) -> Option<Bytes> {
        self.servers.iter().find(|server| is_open_invite(server)).map(|server| server.request.body.clone())
    }

    fn acknowledged(&mut self, ack: &Message) {
        for server in &mut self.servers {
            if server.request.method() == Some("INVITE") && server.request.cseq().0 == ack.cseq().0 {
                server.acknowledged();
            }
        }
        if !ack.body.is_empty() {
            self.happened.push_back(Happening::Media(ack.body.clone()));
        }
    }

    fn cancelled(&mut self, now: Mono, cancel: Message, from: SocketAddr) {
        let matched = self.servers.iter().any(|server| server.fits(&cancel));
        self.serve(now, cancel, from, if matched { 200 } else { 481 });
        if matched && self.phase == Phase::Invited {
            self.answer_invite(now, 487, None);
            self.over("CANCEL");
        }
    }

    fn answer_invite(&mut self, now: Mono, status: u16, sdp: Option<String>) {
        let contact = self.contact();
        let Some(server) = self.servers.iter_mut().find(|server| is_open_invite(server)) else { return };
        let mut response = Message::response_to(&server.request, status, &self.dialog.local_tag);
        if status > 100 && status < 300 {
            response = response.with("Contact", contact).with("Allow", ALLOW);
        }
        if let Some(sdp) = sdp {
            response = response.with_body("application/sdp", sdp);
        }
        let datagram = server.answer(now, &response);
        self.out.push_back(datagram);
    }

    fn serve(&mut self, now: Mono, request: Message, from: SocketAddr, status: u16) {
        let mut response = Message::response_to(&request, status, &self.dialog.local_tag);
        if status == 405 {
            response = response.with("Allow", ALLOW);
        }
        let mut server = Server::new(now, request, from);
        self.out.push_back(server.answer(now, &response));
        self.servers.push(server);
    }

    fn cancel(&mut self, now: Mono) {
        let Some(invite) = self.clients.iter().find(|client| client.request.method() == Some("INVITE") && !client.done) else {
            return;
        };
        let (request, peer) = (&invite.request, invite.peer());
        let mut cancel = Message::request("CANCEL", request.uri().unwrap_or_default());
        for name in ["Via", "From", "To", "Call-ID", "Max-Forwards"] {
            cancel = cancel.with(name, request.header(name).unwrap_or_default());
        }
        let cancel = cancel.with("CSeq", format!("{} CANCEL", request.cseq().0));
        let client = Client::new(now, cancel, peer);
        self.out.push_back(client.datagram());
        self.clients.push(client);
    }

    fn send(&mut self, now: Mono, request: Message) {
        let Some(peer) = self.dialog.peer else { return };
        let client = Client::new(now, request, peer);
        self.out.push_back(client.datagram());
        self.clients.push(client);
    }

    fn request(&mut self, method: &str) -> Message {
        self.dialog.cseq += 1;
        self.in_dialog(method, self.dialog.cseq)
    }

    fn in_dialog(&mut self, method: &str, cseq: u32) -> Message {
        let branch = self.token();
        let mut request = Message::request(method, &self.dialog.target)
            .with("Via", format!("SIP/2.0/UDP {};branch=z9hG4bK{branch};rport", self.local));
        for route in &self.dialog.routes {
            request = request.with("Route", route.clone());
        }
        request
            .with("Max-Forwards", "70")
            .with("From", format!("{};tag={}", self.dialog.local, self.dialog.local_tag))
            .with("To", self.dialog.remote.clone())
            .with("Call-ID", self.dialog.call_id.clone())
            .with("CSeq", format!("{cseq} {method}"))
            .with("Contact", self.contact())
            .with("User-Agent", "baton-party")
    }

    fn contact(&self) -> String {
        format!("<sip:{}@{}>", self.user, self.local)
    }

    fn over(&mut self, why: &str) {
        if self.phase != Phase::Over {
            self.phase = Phase::Over;
            self.happened.push_back(Happening::Over(why.to_owned()));
        }
    }

    fn token(&mut self) -> String {
        format!("{:011x}", self.dice.roll() & 0xfff_ffff_ffff)
    }
}

fn with_sdp(message: Message, sdp: Option<String>) -> Message {
    match sdp {
        Some(sdp) => message.with_body("application/sdp", sdp),
        None => message,
    }
}

fn is_open_invite(server: &Server) -> bool {
    server.request.method() == Some("INVITE") && server.status < 200
}

/// The status of a sipfrag body (RFC 3420): `SIP/2.0 180 Ringing`.
pub fn sipfrag_status(body: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(body).ok()?;
    text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}
