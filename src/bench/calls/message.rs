//! The messages of a basic call: written from one number, and read no further than a load tool has to.

use std::fmt::Write as _;
use std::net::SocketAddr;

/// The session description of both phones: G.711, and keys.
fn description(rtp: SocketAddr) -> String {
    let (ip, port) = (rtp.ip(), rtp.port());
    format!(
        "v=0\r\no=bench 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 0 101\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}

/// The addresses of a run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    /// The daemon.
    pub(super) daemon: SocketAddr,
    /// The caller's phone.
    pub(super) caller: SocketAddr,
    /// Whom the daemon calls.
    pub(super) callee: SocketAddr,
    /// Where both would hear.
    pub(super) rtp: SocketAddr,
}

/// The caller's dialog once it is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answered {
    to: String,
    target: String,
}

impl Answered {
    /// Reads the 200.
    pub(super) fn read(message: &str) -> Answered {
        let contact = value(message, "Contact").unwrap_or_default();
        let target = contact.split_once('<').and_then(|(_, uri)| uri.split_once('>')).map_or(contact, |(uri, _)| uri);
        Answered { to: value(message, "To").unwrap_or_default().to_owned(), target: target.to_owned() }
    }
}

/// The user that call `number` is for; the daemon dials it again, so that its INVITE tells which call it belongs to.
fn user(number: usize) -> String {
    format!("call-{number}")
}

/// The caller's INVITE.
pub(super) fn invite(number: usize, at: &Places) -> String {
    let Places { daemon, caller, .. } = at;
    let (user, body) = (user(number), description(at.rtp));
    let mut text = String::with_capacity(1_024);
    let head = format_args!(
        "INVITE sip:{user}@{daemon} SIP/2.0\r\nVia: SIP/2.0/UDP {caller};rport;branch=z9hG4bK-i-{number}\r\nMax-Forwards: 70\r\n\
         From: \"Bench\" <sip:+15550123@{caller}>;tag=from-{number}\r\nTo: <sip:{user}@{daemon}>\r\nCall-ID: {user}@bench\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:{user}@{caller}>\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\nUser-Agent: bench\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    text.write_fmt(head).unwrap_or_default();
    text
}

/// The caller's ACK of the 200.
pub(super) fn ack(number: usize, at: &Places, answered: &Answered) -> String {
    in_dialog("ACK", 1, number, at, answered)
}

/// The caller's BYE.
pub(super) fn bye(number: usize, at: &Places, answered: &Answered) -> String {
    in_dialog("BYE", 2, number, at, answered)
}

fn in_dialog(method: &str, seq: u32, number: usize, at: &Places, answered: &Answered) -> String {
    let (Places { caller, .. }, user, Answered { to, target }) = (at, user(number), answered);
    let initial = method.chars().next().unwrap_or_default().to_ascii_lowercase();
    format!(
        "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {caller};rport;branch=z9hG4bK-{initial}-{number}\r\nMax-Forwards: 70\r\n\
         From: \"Bench\" <sip:+15550123@{caller}>;tag=from-{number}\r\nTo: {to}\r\nCall-ID: {user}@bench\r\nCSeq: {seq} {method}\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// The caller's ACK of a refusal.
pub(super) fn ack_refusal(number: usize, at: &Places, refusal: &str) -> String {
    let (Places { daemon, caller, .. }, user) = (at, user(number));
    let to = value(refusal, "To").unwrap_or_default();
    format!(
        "ACK sip:{user}@{daemon} SIP/2.0\r\nVia: SIP/2.0/UDP {caller};rport;branch=z9hG4bK-i-{number}\r\nMax-Forwards: 70\r\n\
         From: \"Bench\" <sip:+15550123@{caller}>;tag=from-{number}\r\nTo: {to}\r\nCall-ID: {user}@bench\r\nCSeq: 1 ACK\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// What the callee says to a request: 180 and 200 to an INVITE, 200 to anything else.
pub(super) fn answer(request: &str, status: u16, number: usize, at: &Places) -> String {
    let phrase = if status == 180 { "Ringing" } else { "OK" };
    let mut text = format!("SIP/2.0 {status} {phrase}\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        for value in values(request, name) {
            let tag = if name == "To" && !value.contains(";tag=") { format!(";tag=callee-{number}") } else { String::new() };
            write!(text, "{name}: {value}{tag}\r\n").unwrap_or_default();
        }
    }
    let is_invite = request.starts_with("INVITE");
    if is_invite {
        write!(text, "Contact: <sip:{}@{}>\r\n", user(number), at.callee).unwrap_or_default();
    }
    let body = if is_invite && status == 200 { description(at.rtp) } else { String::new() };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    write!(text, "{kind}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap_or_default();
    text
}

/// What a message is, and to which call it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard<'a> {
    /// A request, by its method.
    Request(&'a str, usize),
    /// A response: its status, and the method that it answers.
    Response(u16, &'a str, usize),
}

/// Reads as much as is needed.
pub(super) fn read(message: &str) -> Option<Heard<'_>> {
    let (first, _) = message.split_once("\r\n")?;
    if let Some(status) = first.strip_prefix("SIP/2.0 ") {
        let status = status.get(..3)?.parse().ok()?;
        let (_, method) = value(message, "CSeq")?.split_once(' ')?;
        return Some(Heard::Response(status, method, number(value(message, "Call-ID")?)?));
    }
    let (method, uri) = first.split_once(' ')?;
    Some(Heard::Request(method, number(uri.strip_prefix("sip:")?)?))
}

/// The number in `call-17@…`.
fn number(text: &str) -> Option<usize> {
    let text = text.strip_prefix("call-")?;
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

/// The value of the first header of this name.
fn value<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    values(message, name).next()
}

fn values<'a>(message: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let lines = message.split("\r\n").take_while(|line| !line.is_empty());
    lines.filter_map(move |line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let port = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Places { daemon: port(5_060), caller: port(5_070), callee: port(5_080), rtp: port(5_090) }
    }

    #[test]
    fn a_message_says_which_call_it_belongs_to() {
        let at = places();
        let invite = invite(17, &at);
        assert_eq!(read(&invite), Some(Heard::Request("INVITE", 17)));
        let ringing = answer(&invite, 180, 17, &at);
        assert_eq!(read(&ringing), Some(Heard::Response(180, "INVITE", 17)));
        let answered = Answered::read(&answer(&invite, 200, 17, &at));
        assert_eq!(answered.target, "sip:call-17@127.0.0.1:5080");
        assert_eq!(read(&ack(17, &at, &answered)), Some(Heard::Request("ACK", 17)));
        let bye = bye(17, &at, &answered);
        assert_eq!(read(&bye), Some(Heard::Request("BYE", 17)));
        assert!(bye.contains("To: <sip:call-17@127.0.0.1:5060>;tag=callee-17\r\n"), "{bye}");
        assert_eq!(read(&answer(&bye, 200, 17, &at)), Some(Heard::Response(200, "BYE", 17)));
        assert!(ack_refusal(17, &at, &ringing).contains("branch=z9hG4bK-i-17\r\n"));
        for strange in ["", "INVITE", "OPTIONS sip:a@b SIP/2.0\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n"] {
            assert_eq!(read(strange), None, "{strange}");
        }
    }

    #[test]
    fn what_the_tool_writes_is_sip() {
        let at = places();
        let invite = invite(3, &at);
        let answered = Answered::read(&answer(&invite, 200, 3, &at));
        let all = [answer(&invite, 180, 3, &at), answer(&invite, 200, 3, &at), ack(3, &at, &answered), bye(3, &at, &answered)];
        for text in all.into_iter().chain([invite]) {
            baton_sip::wire::Message::parse(text.into()).unwrap();
        }
    }
}
