//! The messages of a basic call: written from one number into a text that is used again, and read no further than a load tool has to, in one pass.

use std::net::SocketAddr;

use memchr::memchr;

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

/// Stands for the number of a call where a form is made.
const NUMBER: char = '#';

/// A text in which only the number of the call changes.
#[derive(Debug)]
struct Form(Vec<String>);

impl Form {
    fn of(text: &str) -> Form {
        Form(text.split(NUMBER).map(str::to_owned).collect())
    }

    fn write(&self, number: usize, to: &mut Vec<u8>) {
        let mut digits = [0; 20];
        let digits = decimal(number, &mut digits);
        let mut pieces = self.0.iter();
        to.extend_from_slice(pieces.next().map_or(&[][..], |first| first.as_bytes()));
        for piece in pieces {
            to.extend_from_slice(digits);
            to.extend_from_slice(piece.as_bytes());
        }
    }
}

fn decimal(number: usize, digits: &mut [u8; 20]) -> &[u8] {
    let (mut first, mut rest) = (digits.len(), number);
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return &digits[first..];
        }
    }
}

/// A request before and after the value of its To.
#[derive(Debug)]
struct AroundTo(Form, Form);

impl AroundTo {
    fn write(&self, number: usize, value: &[u8], to: &mut Vec<u8>) {
        self.0.write(number, to);
        to.extend_from_slice(value);
        self.1.write(number, to);
    }
}

/// Everything that the phones of a run say; the number of a call is in the user that it is for, which the daemon dials again, so that its INVITE tells
/// which call it belongs to.
#[derive(Debug)]
pub(super) struct Script {
    invite: Form,
    ack: AroundTo,
    bye: AroundTo,
    ack_refusal: AroundTo,
    to_tag: Form,
    ringing: Form,
    accepting: Form,
}

impl Script {
    /// Of a run with these addresses.
    pub(super) fn of(at: &Places) -> Script {
        let Places { daemon, caller, callee, .. } = at;
        let body = description(at.rtp);
        let length = body.len();
        let invite = format!(
            "INVITE sip:call-#@{daemon} SIP/2.0\r\nVia: SIP/2.0/UDP {caller};rport;branch=z9hG4bK-i-#\r\nMax-Forwards: 70\r\n\
             From: \"Bench\" <sip:+15550123@{caller}>;tag=from-#\r\nTo: <sip:call-#@{daemon}>\r\nCall-ID: call-#@bench\r\n\
             CSeq: 1 INVITE\r\nContact: <sip:call-#@{caller}>\r\nAllow: INVITE, ACK, BYE, CANCEL, OPTIONS\r\nUser-Agent: bench\r\n\
             Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        // From behind the request's URI on.
        let request = |method: &str, initial: char, seq: u32| {
            AroundTo(
                Form::of(&format!(
                    " SIP/2.0\r\nVia: SIP/2.0/UDP {caller};rport;branch=z9hG4bK-{initial}-#\r\nMax-Forwards: 70\r\n\
                     From: \"Bench\" <sip:+15550123@{caller}>;tag=from-#\r\nTo: "
                )),
                Form::of(&format!("\r\nCall-ID: call-#@bench\r\nCSeq: {seq} {method}\r\nContent-Length: 0\r\n\r\n")),
            )
        };
        let AroundTo(Form(mut before), after) = request("ACK", 'i', 1);
        if let Some(first) = before.first_mut() {
            first.insert_str(0, &format!("@{daemon}"));
        }
        before.insert(0, "ACK sip:call-".to_owned());
        Script {
            invite: Form::of(&invite),
            ack: request("ACK", 'a', 1),
            bye: request("BYE", 'b', 2),
            ack_refusal: AroundTo(Form(before), after),
            to_tag: Form::of(";tag=callee-#"),
            ringing: Form::of(&format!("Contact: <sip:call-#@{callee}>\r\nContent-Length: 0\r\n\r\n")),
            accepting: Form::of(&format!(
                "Contact: <sip:call-#@{callee}>\r\nContent-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{body}"
            )),
        }
    }

    /// The caller's INVITE.
    pub(super) fn invite(&self, number: usize, to: &mut Vec<u8>) {
        self.invite.write(number, to);
    }

    /// The caller's ACK of the 200.
    pub(super) fn ack(&self, number: usize, answered: &Answered, to: &mut Vec<u8>) {
        to.extend_from_slice(b"ACK ");
        to.extend_from_slice(answered.target());
        self.ack.write(number, answered.to(), to);
    }

    /// The caller's BYE.
    pub(super) fn bye(&self, number: usize, answered: &Answered, to: &mut Vec<u8>) {
        to.extend_from_slice(b"BYE ");
        to.extend_from_slice(answered.target());
        self.bye.write(number, answered.to(), to);
    }

    /// The caller's ACK of a refusal.
    pub(super) fn ack_refusal(&self, refusal: &Response<'_>, to: &mut Vec<u8>) {
        self.ack_refusal.write(refusal.number, refusal.to, to);
    }

    /// What each answer of the callee to a request repeats of it: Via, From, To with a tag, Call-ID, CSeq.
    pub(super) fn echo(&self, request: &Request<'_>, to: &mut Vec<u8>) {
        for line in (Lines { rest: request.headers }) {
            let [first, second, ..] = *line else { continue };
            match (first, second) {
                (b'V', b'i') | (b'F', b'r') | (b'C', b'S') => to.extend_from_slice(line),
                (b'C', b'a') if line.starts_with(b"Call-ID:") => to.extend_from_slice(line),
                (b'T', b'o') if line.starts_with(b"To:") => {
                    to.extend_from_slice(line);
                    if memchr::memmem::find(line, b";tag=").is_none() {
                        self.to_tag.write(request.number, to);
                    }
                }
                (_, _) => continue,
            }
            to.extend_from_slice(b"\r\n");
        }
    }

    /// The callee's 180, with what it repeats of the INVITE.
    pub(super) fn ringing(&self, number: usize, echo: &[u8], to: &mut Vec<u8>) {
        to.extend_from_slice(b"SIP/2.0 180 Ringing\r\n");
        to.extend_from_slice(echo);
        self.ringing.write(number, to);
    }

    /// The callee's 200 to an INVITE, with what it repeats of it.
    pub(super) fn accepting(&self, number: usize, echo: &[u8], to: &mut Vec<u8>) {
        to.extend_from_slice(b"SIP/2.0 200 OK\r\n");
        to.extend_from_slice(echo);
        self.accepting.write(number, to);
    }

    /// The callee's 200 to anything else.
    pub(super) fn well(&self, request: &Request<'_>, to: &mut Vec<u8>) {
        to.extend_from_slice(b"SIP/2.0 200 OK\r\n");
        self.echo(request, to);
        to.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    }
}

/// The caller's dialog once it is answered: To, and behind it where requests go to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answered {
    text: Box<[u8]>,
    to_length: usize,
}

impl Answered {
    fn to(&self) -> &[u8] {
        &self.text[..self.to_length]
    }

    fn target(&self) -> &[u8] {
        &self.text[self.to_length..]
    }
}

/// A request, as far as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request<'a> {
    /// `INVITE` and so on.
    pub(super) method: &'a [u8],
    /// To which call it belongs.
    pub(super) number: usize,
    headers: &'a [u8],
}

/// A response, as far as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Response<'a> {
    /// 200 and so on.
    pub(super) status: u16,
    /// The method that it answers.
    pub(super) method: &'a [u8],
    /// To which call it belongs.
    pub(super) number: usize,
    /// Whether it says when to come again.
    pub(super) is_for_later: bool,
    to: &'a [u8],
    contact: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads the first line; the headers are read when it is answered.
    pub(super) fn read(message: &'a [u8]) -> Option<Request<'a>> {
        let mut lines = Lines { rest: message };
        let first = lines.next()?;
        let (method, uri) = first.split_at_checked(memchr(b' ', first)?)?;
        let number = number(uri.strip_prefix(b" sip:")?)?;
        Some(Request { method, number, headers: lines.rest })
    }
}

impl<'a> Response<'a> {
    /// Reads the head of a response.
    pub(super) fn read(message: &'a [u8]) -> Option<Response<'a>> {
        let mut lines = Lines { rest: message };
        let status = lines.next()?.strip_prefix(b"SIP/2.0 ")?.get(..3)?;
        let status = std::str::from_utf8(status).ok()?.parse().ok()?;
        let (mut method, mut call, mut to, mut contact, mut is_for_later) = (None, None, &[][..], &[][..], false);
        for line in lines {
            match line.first() {
                Some(b'C') => {
                    if let Some(value) = value(line, b"CSeq:") {
                        method = memchr(b' ', value).and_then(|space| value.get(space + 1..));
                    } else if let Some(value) = value(line, b"Call-ID:") {
                        call = number(value);
                    } else if let Some(value) = value(line, b"Contact:") {
                        contact = value;
                    }
                }
                Some(b'T') => to = value(line, b"To:").unwrap_or(to),
                Some(b'R') => is_for_later |= line.starts_with(b"Retry-After:"),
                Some(_) | None => {}
            }
        }
        Some(Response { status, method: method?, number: call?, is_for_later, to, contact })
    }

    /// The dialog that a 200 has made.
    pub(super) fn answered(&self) -> Answered {
        let begin = memchr(b'<', self.contact).map_or(0, |bracket| bracket + 1);
        let target = &self.contact[begin..];
        let target = &target[..memchr(b'>', target).unwrap_or(target.len())];
        Answered { text: [self.to, target].concat().into_boxed_slice(), to_length: self.to.len() }
    }
}

/// The lines of a head, up to the empty one.
struct Lines<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = memchr(b'\n', self.rest)?;
        let (line, rest) = (&self.rest[..end], &self.rest[end + 1..]);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.rest = rest;
        (!line.is_empty()).then_some(line)
    }
}

/// The value of a header, if the line is one of this name.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    Some(line.strip_prefix(name)?.trim_ascii())
}

/// The number in `call-17@…`.
fn number(text: &[u8]) -> Option<usize> {
    let digits = text.strip_prefix(b"call-")?.iter().take_while(|letter| letter.is_ascii_digit());
    let mut number = None;
    for digit in digits {
        number = Some(number.unwrap_or(0_usize).checked_mul(10)?.checked_add(usize::from(digit - b'0'))?);
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script() -> Script {
        let port = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Script::of(&Places { daemon: port(5_060), caller: port(5_070), callee: port(5_080), rtp: port(5_090) })
    }

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut text = Vec::new();
        write(&mut text);
        text
    }

    /// INVITE, 180, 200, ACK, BYE, its 200 and the ACK of a refusal.
    fn call(script: &Script, number: usize) -> [Vec<u8>; 7] {
        let invite = written(|to| script.invite(number, to));
        let echo = written(|to| script.echo(&Request::read(&invite).unwrap(), to));
        let ringing = written(|to| script.ringing(number, &echo, to));
        let accepting = written(|to| script.accepting(number, &echo, to));
        let answered = Response::read(&accepting).unwrap().answered();
        let ack = written(|to| script.ack(number, &answered, to));
        let bye = written(|to| script.bye(number, &answered, to));
        let well = written(|to| script.well(&Request::read(&bye).unwrap(), to));
        let refused = written(|to| script.ack_refusal(&Response::read(&ringing).unwrap(), to));
        [invite, ringing, accepting, ack, bye, well, refused]
    }

    #[test]
    fn a_message_says_which_call_it_belongs_to() {
        let [invite, ringing, accepting, ack, bye, well, refused] = call(&script(), 17);
        let request = |text: &[u8]| Request::read(text).map(|read| (read.method.to_vec(), read.number));
        let response = |text: &[u8]| Response::read(text).map(|read| (read.status, read.method.to_vec(), read.number));
        assert_eq!(request(&invite), Some((b"INVITE".to_vec(), 17)));
        assert_eq!(response(&ringing), Some((180, b"INVITE".to_vec(), 17)));
        assert_eq!(response(&accepting), Some((200, b"INVITE".to_vec(), 17)));
        assert_eq!(request(&ack), Some((b"ACK".to_vec(), 17)));
        assert_eq!(request(&bye), Some((b"BYE".to_vec(), 17)));
        assert_eq!(response(&well), Some((200, b"BYE".to_vec(), 17)));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (bye, refused) = (text(bye), text(refused));
        assert!(bye.starts_with("BYE sip:call-17@127.0.0.1:5080 SIP/2.0\r\n"), "{bye}");
        assert!(bye.contains("To: <sip:call-17@127.0.0.1:5060>;tag=callee-17\r\n"), "{bye}");
        assert!(refused.starts_with("ACK sip:call-17@127.0.0.1:5060 SIP/2.0\r\n"), "{refused}");
        assert!(refused.contains("branch=z9hG4bK-i-17\r\n"), "{refused}");
        for strange in ["", "INVITE", "OPTIONS sip:a@b SIP/2.0\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n"] {
            assert_eq!((request(strange.as_bytes()), response(strange.as_bytes())), (None, None), "{strange}");
        }
    }

    #[test]
    fn a_refusal_says_whether_to_come_again() {
        let head = "SIP/2.0 503 Service Unavailable\r\nCSeq: 1 INVITE\r\nCall-ID: call-9@bench\r\n";
        let later = |rest: &str| Response::read(format!("{head}{rest}").as_bytes()).unwrap().is_for_later;
        assert!(later("Retry-After: 5\r\n\r\n"));
        assert!(!later("\r\nRetry-After: 5\r\n"), "what is behind the head is not read");
    }

    #[test]
    fn what_the_tool_writes_is_sip() {
        for (number, text) in [0, 3, 12_345].into_iter().flat_map(|number| call(&script(), number).map(|text| (number, text))) {
            let message = baton_sip::wire::Message::parse(text.into()).unwrap();
            assert_eq!(message.call_id(), format!("call-{number}@bench"));
        }
    }
}
