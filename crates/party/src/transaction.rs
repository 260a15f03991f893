//! Transactions over UDP, as small as a party needs them: send again until answered, and answer again when asked again.

use std::net::SocketAddr;
use std::time::Duration;

use baton_time::Mono;
use bytes::Bytes;

use crate::message::Message;

/// RFC 3261 §17.1.1.1.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// 64 × T1: the life of every transaction here.
const LIFE: Duration = Duration::from_secs(32);

/// A datagram that is to leave.
pub(crate) type Datagram = (SocketAddr, Bytes);

/// A request of ours.
pub(crate) struct Client {
    pub(crate) request: Message,
    pub(crate) provisional: bool,
    pub(crate) done: bool,
    pub(crate) acknowledgement: Option<Datagram>,
    peer: SocketAddr,
    bytes: Bytes,
    interval: Duration,
    again_at: Option<Mono>,
    over_at: Mono,
}

impl Client {
    pub(crate) fn new(now: Mono, request: Message, peer: SocketAddr) -> Client {
        let bytes = request.write();
        Client {
            request,
            provisional: false,
            done: false,
            acknowledgement: None,
            peer,
            bytes,
            interval: T1,
            again_at: Some(now + T1),
            over_at: now + LIFE,
        }
    }

    pub(crate) fn datagram(&self) -> Datagram {
        (self.peer, self.bytes.clone())
    }

    pub(crate) fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(crate) fn fits(&self, response: &Message) -> bool {
        self.request.branch() == response.branch() && self.request.cseq() == response.cseq()
    }

    /// Takes note of a response; `true` if it is the first final one.
    pub(crate) fn answered(&mut self, status: u16) -> bool {
        let invite = self.request.method() == Some("INVITE");
        self.provisional |= status < 200;
        if invite || status >= 200 {
            self.again_at = None; // RFC 3261 §17.1.1.2: any response stops the INVITE; §17.1.2.2: others go on until a final one.
        }
        status >= 200 && !std::mem::replace(&mut self.done, true)
    }

    /// What to send again at `now`.
    pub(crate) fn due(&mut self, now: Mono) -> Option<Datagram> {
        if self.again_at? > now {
            return None;
        }
        let invite = self.request.method() == Some("INVITE");
        self.interval = if invite { self.interval * 2 } else { (self.interval * 2).min(T2) };
        self.again_at = Some(now + self.interval).filter(|at| *at < self.over_at);
        Some(self.datagram())
    }

    pub(crate) fn next_at(&self) -> Mono {
        self.again_at.unwrap_or(self.over_at).min(self.over_at)
    }

    pub(crate) fn is_over(&self, now: Mono) -> bool {
        self.over_at <= now
    }
}

/// A request of the far side.
pub(crate) struct Server {
    pub(crate) request: Message,
    pub(crate) status: u16,
    peer: SocketAddr,
    response: Option<Bytes>,
    interval: Duration,
    again_at: Option<Mono>,
    over_at: Mono,
}

impl Server {
    pub(crate) fn new(now: Mono, request: Message, peer: SocketAddr) -> Server {
        Server { request, status: 0, peer, response: None, interval: T1, again_at: None, over_at: now + LIFE }
    }

    /// Whether `request` is this one again, or the CANCEL or ACK that belongs to it.
    pub(crate) fn fits(&self, request: &Message) -> bool {
        let same_method = request.method() == self.request.method() || matches!(request.method(), Some("CANCEL" | "ACK"));
        self.request.branch() == request.branch() && same_method
    }

    /// Answers; a final answer to an INVITE is sent again until its ACK comes.
    pub(crate) fn answer(&mut self, now: Mono, response: &Message) -> Datagram {
        let bytes = response.write();
        self.status = response.status().unwrap_or(0);
        self.response = Some(bytes.clone());
        self.over_at = now + LIFE;
        self.again_at = (self.status >= 200 && self.request.method() == Some("INVITE")).then(|| now + T1);
        (self.peer, bytes)
    }

    /// The last answer, for a request that came again.
    pub(crate) fn answer_again(&self) -> Option<Datagram> {
        self.response.clone().map(|bytes| (self.peer, bytes))
    }

    pub(crate) fn acknowledged(&mut self) {
        self.again_at = None;
    }

    pub(crate) fn due(&mut self, now: Mono) -> Option<Datagram> {
        if self.again_at? > now {
            return None;
        }
        self.interval = (self.interval * 2).min(T2);
        self.again_at = Some(now + self.interval).filter(|at| *at < self.over_at);
        self.answer_again()
    }

    pub(crate) fn next_at(&self) -> Option<Mono> {
        self.again_at.or_else(|| (self.status >= 200).then_some(self.over_at))
    }

    pub(crate) fn is_over(&self, now: Mono) -> bool {
        self.over_at <= now && self.status >= 200
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str) -> Message {
        Message::request(method, "sip:b@127.0.0.1")
            .with("Via", "SIP/2.0/UDP h;branch=z9hG4bKq")
            .with("CSeq", format!("1 {method}"))
    }

    fn peer() -> SocketAddr {
        "127.0.0.1:5060".parse().unwrap()
    }

    #[test]
    fn an_invite_is_sent_again_at_doubling_intervals_until_anything_is_heard() {
        let mut client = Client::new(Mono::ZERO, request("INVITE"), peer());
        let times: Vec<u64> = (0..4_000).filter(|ms| client.due(Mono::from_millis(*ms)).is_some()).collect();
        assert_eq!(times, [500, 1_500, 3_500]);
        assert!(!client.answered(180));
        assert_eq!(client.due(Mono::from_millis(9_000)), None);
        assert!(client.answered(200) && !client.answered(200));
    }

    #[test]
    fn a_bye_goes_on_behind_a_provisional_and_stops_at_the_final_answer() {
        let mut client = Client::new(Mono::ZERO, request("BYE"), peer());
        client.answered(100);
        assert!(client.due(Mono::from_millis(500)).is_some());
        client.answered(200);
        assert_eq!(client.due(Mono::from_millis(9_000)), None);
    }

    #[test]
    fn a_final_answer_to_an_invite_is_repeated_until_its_ack() {
        let invite = request("INVITE");
        let mut server = Server::new(Mono::ZERO, invite.clone(), peer());
        server.answer(Mono::ZERO, &Message::response_to(&invite, 180, "t"));
        assert_eq!(server.due(Mono::from_millis(800)), None);
        server.answer(Mono::from_millis(900), &Message::response_to(&invite, 200, "t"));
        assert!(server.due(Mono::from_millis(1_400)).is_some());
        assert!(server.fits(&request("ACK")) && !server.fits(&request("BYE")));
        server.acknowledged();
        assert_eq!(server.due(Mono::from_millis(9_000)), None);
    }
}
