//! One user agent and a far side that says whatever the play wants.

use std::net::SocketAddr;
use std::time::Duration;

use baton_time::Mono;
use bytes::Bytes;

use crate::wire::{Header, HostPort, NameAddr, Uri};
use crate::{Dial, Event, Hop, Incoming, Listen, RegistrationState, SessionId, Settings, Transmit, Transport, UserAgent, Why};

pub(super) const US: &str = "192.0.2.1:5060";
pub(super) const PEER: &str = "192.0.2.9:5070";
pub(super) const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\n";
pub(super) const ANSWER: &str = "v=0\r\no=- 2 1 IN IP4 192.0.2.1\r\ns=-\r\n";

pub(super) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

pub(super) fn name(text: &str) -> NameAddr {
    text.parse().unwrap()
}

/// As usual, but for 100, which leaves at once.
pub(super) fn settings() -> Settings {
    let listen = |transport| Listen { transport, addr: addr(US), advertise: HostPort::from(addr(US)) };
    let mut settings = Settings::new(vec![listen(Transport::Udp), listen(Transport::Tcp)], 7);
    settings.timing.trying = Duration::ZERO;
    settings
}

pub(super) struct Desk {
    pub(super) ua: UserAgent,
    pub(super) now: Mono,
}

impl Desk {
    pub(super) fn new() -> Desk {
        Desk::with(settings())
    }

    pub(super) fn with(settings: Settings) -> Desk {
        Desk { ua: UserAgent::new(settings), now: Mono::from_millis(1_000) }
    }

    /// The far side says this over UDP.
    pub(super) fn hear(&mut self, text: &str) {
        self.hear_by(Transport::Udp, None, PEER, text);
    }

    pub(super) fn hear_by(&mut self, transport: Transport, connection: Option<crate::ConnectionId>, from: &str, text: &str) {
        let bytes = Bytes::from(crlf(text));
        self.ua.receive(self.now, Incoming { transport, connection, local: addr(US), remote: addr(from), bytes });
    }

    pub(super) fn transmits(&mut self) -> Vec<Transmit> {
        std::iter::from_fn(|| self.ua.poll_transmit()).collect()
    }

    /// Everything said since the last time, whole.
    pub(super) fn said(&mut self) -> Vec<String> {
        self.transmits().into_iter().map(|transmit| String::from_utf8(transmit.bytes.to_vec()).unwrap()).collect()
    }

    /// The one thing said since the last time.
    pub(super) fn only(&mut self) -> String {
        let said = self.said();
        assert_eq!(said.len(), 1, "{said:#?}");
        said.into_iter().next().unwrap()
    }

    /// The start of each thing said since the last time: the method, or the status.
    pub(super) fn brief(&mut self) -> Vec<String> {
        self.said().iter().map(|text| brief(text)).collect()
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.ua.poll_event()).collect()
    }

    /// What has happened, in words.
    pub(super) fn told(&mut self) -> Vec<String> {
        self.events().iter().map(word).collect()
    }

    /// Lets time go by, waking the user agent whenever it wants.
    pub(super) fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some((at, _)) = self.ua.poll_timeout().filter(|(at, _)| *at <= end) {
            self.now = at.max(self.now);
            self.ua.on_timeout(self.now);
        }
        self.now = end;
    }

    pub(super) fn wait_ms(&mut self, ms: u64) {
        self.wait(Duration::from_millis(ms));
    }

    /// Waits until this is what it is woken for, whatever comes before.
    pub(super) fn wait_until(&mut self, wanted: Why) {
        for _ in 0..10_000 {
            let (at, why) = self.ua.poll_timeout().expect("something to wait for");
            self.now = at;
            self.ua.on_timeout(at);
            if why == wanted {
                return;
            }
        }
        panic!("{wanted:?} never comes");
    }

    /// Jumps to the next deadline, which must be for this reason.
    pub(super) fn wait_for(&mut self, why: Why) {
        let (at, reason) = self.ua.poll_timeout().expect("a deadline");
        assert_eq!(reason, why);
        self.now = at.max(self.now);
        self.ua.on_timeout(self.now);
    }

    /// Calls the far side; what is said is the INVITE.
    pub(super) fn dial(&mut self, sdp: Option<&'static str>) -> (SessionId, String) {
        let session = self.ua.dial(self.now, call(sdp)).unwrap();
        (session, self.only())
    }

    /// A call to the far side that is up.
    pub(super) fn up(&mut self) -> (SessionId, String) {
        let (session, invite) = self.dial(Some(OFFER));
        self.hear(&reply(&invite, 200, "far", CONTACT, ANSWER));
        assert_eq!(self.brief(), ["ACK"]);
        assert_eq!(self.told(), ["Answered"]);
        (session, invite)
    }

    /// A call from the far side that is up. Gives the INVITE's answer.
    pub(super) fn up_from_far(&mut self) -> (SessionId, String) {
        self.hear(&invite("z9hG4bKa", 1, OFFER));
        let session = self.invited();
        self.said();
        self.ua.answer(self.now, session, Bytes::from_static(ANSWER.as_bytes()), Vec::new()).unwrap();
        let answer = self.only();
        self.hear(&request("ACK", &answer, 1, "z9hG4bKack", "", ""));
        assert_eq!(self.told(), ["Confirmed"]);
        assert_eq!(self.brief(), [""; 0]);
        (session, answer)
    }

    /// The session of the INVITE that was told of.
    pub(super) fn invited(&mut self) -> SessionId {
        match self.ua.poll_event() {
            Some(Event::Invite { session, .. }) => session,
            other => panic!("no INVITE but {other:?}"),
        }
    }

    /// Waits until nothing is remembered any more; it must not take longer than two minutes.
    pub(super) fn settle(&mut self) {
        self.wait(Duration::from_secs(120));
        assert_eq!((self.ua.sessions(), self.ua.transactions()), (0, 0));
        assert_eq!(self.ua.poll_timeout(), None);
    }
}

pub(super) const CONTACT: &str = "Contact: <sip:far@192.0.2.9:5070>\n";

pub(super) fn call(sdp: Option<&'static str>) -> Dial {
    Dial {
        target: uri("sip:far@192.0.2.9:5070"),
        route: Hop::new(Transport::Udp, addr(PEER)),
        flow: None,
        others: Vec::new(),
        beside: Vec::new(),
        routes: Vec::new(),
        redirects: crate::Redirects::Usual,
        from: name("\"Baton\" <sip:baton@192.0.2.1>"),
        to: None,
        headers: vec![Header::new("X-Baton-Call", "c_1")],
        sdp: sdp.map(|sdp| Bytes::from_static(sdp.as_bytes())),
        credentials: None,
        max_forwards: None,
    }
}

pub(super) fn sdp(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

pub(super) fn crlf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

/// The value of a header in a message as text; the first one.
pub(super) fn value(text: &str, name: &str) -> String {
    values(text, name).into_iter().next().unwrap_or_else(|| panic!("no {name} in {text}"))
}

pub(super) fn values(text: &str, name: &str) -> Vec<String> {
    let head = text.split("\r\n\r\n").next().unwrap();
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).collect()
}

pub(super) fn body(text: &str) -> &str {
    text.split_once("\r\n\r\n").unwrap().1
}

pub(super) fn tag(value: &str) -> String {
    value.split(";tag=").nth(1).unwrap_or_default().to_owned()
}

/// The method of a request, the status of a response.
pub(super) fn brief(text: &str) -> String {
    let mut words = text.split(' ');
    let first = words.next().unwrap();
    if first == "SIP/2.0" { words.next().unwrap().to_owned() } else { first.to_owned() }
}

/// The far side's answer to a request of ours.
pub(super) fn reply(request: &str, status: u16, to_tag: &str, extra: &str, body: &str) -> String {
    let to = value(request, "To");
    let to = if to_tag.is_empty() || to.contains(";tag=") { to } else { format!("{to};tag={to_tag}") };
    let vias = values(request, "Via").iter().map(|via| format!("Via: {via}\n")).collect::<String>();
    let (from, call_id, cseq) = (value(request, "From"), value(request, "Call-ID"), value(request, "CSeq"));
    let head = format!("SIP/2.0 {status} Whatever\n{vias}From: {from}\nTo: {to}\nCall-ID: {call_id}\nCSeq: {cseq}\n{extra}");
    with_body(&head, "application/sdp", body)
}

pub(super) fn with_body(head: &str, content_type: &str, body: &str) -> String {
    let body = crlf(body);
    let content_type = if body.is_empty() { String::new() } else { format!("Content-Type: {content_type}\n") };
    format!("{}Content-Length: {}\r\n\r\n{body}", crlf(&format!("{head}{content_type}")), body.len())
}

/// The far side's INVITE.
pub(super) fn invite(branch: &str, seq: u32, body: &str) -> String {
    let head = format!(
        "INVITE sip:agent@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch={branch};rport\nMax-Forwards: 70\n\
         From: \"Jamie\" <sip:jamie@192.0.2.9>;tag=far\nTo: <sip:agent@192.0.2.1>\nCall-ID: call-1@far\nCSeq: {seq} INVITE\n{CONTACT}"
    );
    with_body(&head, "application/sdp", body)
}

/// A request of the far side in the dialog of its INVITE, which `answer` has answered.
pub(super) fn request(method: &str, answer: &str, seq: u32, branch: &str, extra: &str, body: &str) -> String {
    let (from, to, call_id) = (value(answer, "From"), value(answer, "To"), value(answer, "Call-ID"));
    far_request(method, &from, &to, &call_id, seq, branch, extra, body)
}

/// A request of the far side in the dialog of our INVITE, which it has answered with this tag.
pub(super) fn back(method: &str, invite: &str, tag: &str, seq: u32, branch: &str, extra: &str, body: &str) -> String {
    let from = format!("{};tag={tag}", value(invite, "To"));
    far_request(method, &from, &value(invite, "From"), &value(invite, "Call-ID"), seq, branch, extra, body)
}

#[expect(clippy::too_many_arguments, reason = "the parts of a request")]
fn far_request(method: &str, from: &str, to: &str, call_id: &str, seq: u32, branch: &str, extra: &str, body: &str) -> String {
    let contact = if method == "INVITE" || method == "REFER" { CONTACT } else { "" };
    let head = format!(
        "{method} sip:192.0.2.1:5060 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.9:5070;branch={branch}\nMax-Forwards: 70\nFrom: {from}\nTo: {to}\n\
         Call-ID: {call_id}\nCSeq: {seq} {method}\n{contact}{extra}"
    );
    let content_type = match method {
        "NOTIFY" => "message/sipfrag",
        "INFO" => "application/dtmf-relay",
        "MESSAGE" => "text/plain",
        _ => "application/sdp",
    };
    with_body(&head, content_type, body)
}

/// An event in a word or two.
pub(super) fn word(event: &Event) -> String {
    match event {
        Event::Invite { .. } => "Invite".to_owned(),
        Event::Trying { .. } => "Trying".to_owned(),
        Event::Ringing { status, .. } => format!("Ringing {status}"),
        Event::Answered { wants_answer: false, .. } => "Answered".to_owned(),
        Event::Answered { .. } => "Answered with an offer".to_owned(),
        Event::Refused { status, local: false, .. } => format!("Refused {status}"),
        Event::Refused { status, .. } => format!("Refused {status} local"),
        Event::Confirmed { sdp: None, .. } => "Confirmed".to_owned(),
        Event::Confirmed { .. } => "Confirmed with an answer".to_owned(),
        Event::Offered { sdp: Some(_), .. } => "Offered".to_owned(),
        Event::Offered { .. } => "Asked for an offer".to_owned(),
        Event::OfferAnswered { wants_answer: false, .. } => "OfferAnswered".to_owned(),
        Event::OfferAnswered { .. } => "OfferAnswered with an offer".to_owned(),
        Event::OfferRefused { status, .. } => format!("OfferRefused {status}"),
        Event::Text { text, .. } => format!("Text {text}"),
        Event::Info { content_type, .. } => format!("Info {content_type}"),
        Event::Refer { refer_to, .. } => format!("Refer {}", refer_to.uri),
        Event::ReferAnswered { status, .. } => format!("ReferAnswered {status}"),
        Event::Notified { status, last, .. } => format!("Notified {status}{}", if *last { " last" } else { "" }),
        Event::Gone { why, .. } => format!("Gone {why:?}"),
        Event::Released { status, .. } => format!("Released {status:?}"),
        Event::Stranger { reason, .. } => format!("Stranger {}", reason.name()),
        Event::Redirected { contacts, .. } => {
            format!("Redirected {}", contacts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        }
        Event::Registration { state, .. } => match state {
            RegistrationState::Trying => "Trying to register".to_owned(),
            RegistrationState::Registered { .. } => "Registered".to_owned(),
            RegistrationState::Failed { status, .. } => format!("Not registered {status}"),
            RegistrationState::Ended => "Registration ended".to_owned(),
        },
        Event::Bound { account, bindings } => format!("Bound {account} {bindings}"),
        Event::Pong { status, message: Some(_), .. } => format!("Pong {status}"),
        Event::Pong { status, .. } => format!("No pong {status}"),
        Event::Notification { body, .. } => format!("Notification {} bytes", body.len()),
        Event::SubscriptionLost { .. } => "SubscriptionLost".to_owned(),
        Event::Options { .. } => "Options".to_owned(),
    }
}
