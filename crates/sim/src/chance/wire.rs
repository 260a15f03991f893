//! The little SIP that phones of a random world read and write: fast, strict about what Baton sends, and none of Baton's own code.

use std::fmt::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::world::BATON;

/// A message of Baton, as far as a phone looks at it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen<'a> {
    /// Of a request; empty in a response.
    pub(super) method: &'a str,
    /// Of a request.
    pub(super) uri: &'a str,
    /// Of a response; 0 in a request.
    pub(super) status: u16,
    pub(super) via: &'a str,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) call_id: &'a str,
    pub(super) cseq: &'a str,
    pub(super) contact: &'a str,
    pub(super) max_forwards: &'a str,
    pub(super) length: &'a str,
    pub(super) event: &'a str,
    pub(super) subscription: &'a str,
    pub(super) call: &'a str,
    pub(super) transfer: &'a str,
    pub(super) resume: &'a str,
    pub(super) retry_after: &'a str,
    pub(super) body: &'a str,
}

impl<'a> Seen<'a> {
    /// Reads a message; what is wrong with it where it is none.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Seen<'a>, String> {
        let text = std::str::from_utf8(bytes).map_err(|_| "a message is not UTF-8".to_owned())?;
        let mut seen = Seen::default();
        let mut rest = text;
        let start = line(&mut rest)?;
        if let Some(rest) = start.strip_prefix("SIP/2.0 ") {
            seen.status = rest.get(..3).and_then(|status| status.parse().ok()).ok_or_else(|| format!("no status: {start}"))?;
        } else {
            let mut words = start.split(' ');
            (seen.method, seen.uri) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            if words.next() != Some("SIP/2.0") {
                return Err(format!("no request line: {start}"));
            }
        }
        loop {
            let header = line(&mut rest)?;
            if header.is_empty() {
                break;
            }
            let colon = memchr::memchr(b':', header.as_bytes()).ok_or_else(|| format!("no header: {header}"))?;
            seen.put(&header[..colon], &header[colon + 1..]);
        }
        seen.body = rest;
        seen.check()?;
        Ok(seen)
    }

    fn put(&mut self, name: &str, value: &'a str) {
        let place = match name {
            "Via" => &mut self.via,
            "From" => &mut self.from,
            "To" => &mut self.to,
            "Call-ID" => &mut self.call_id,
            "CSeq" => &mut self.cseq,
            "Contact" => &mut self.contact,
            "Max-Forwards" => &mut self.max_forwards,
            "Content-Length" => &mut self.length,
            "Event" => &mut self.event,
            "Subscription-State" => &mut self.subscription,
            "X-Baton-Call" => &mut self.call,
            "X-Baton-Transfer" => &mut self.transfer,
            "X-Baton-Resume" => &mut self.resume,
            "Retry-After" => &mut self.retry_after,
            _ => return,
        };
        *place = value.trim();
    }

    /// What every message must have (RFC 3261 §8.1.1, §20.14).
    fn check(&self) -> Result<(), String> {
        let name = if self.method.is_empty() { "a response" } else { self.method };
        if self.branch().is_none_or(|branch| !branch.starts_with("z9hG4bK")) {
            return Err(format!("{name} has no branch with the cookie: {}", self.via));
        }
        if self.tag_of_from().is_none() || self.call_id.is_empty() || self.cseq_method().is_empty() {
            return Err(format!("{name} lacks From tag, Call-ID or CSeq"));
        }
        if self.length.parse() != Ok(self.body.len()) {
            return Err(format!("{name} says Content-Length {} and has {} bytes", self.length, self.body.len()));
        }
        if !self.method.is_empty() && (self.cseq_method() != self.method || self.max_forwards.is_empty()) {
            return Err(format!("{name} has CSeq {} and Max-Forwards {:?}", self.cseq, self.max_forwards));
        }
        if self.method == "INVITE" && self.contact.is_empty() {
            return Err("an INVITE has no Contact".to_owned());
        }
        Ok(())
    }

    pub(super) fn branch(&self) -> Option<&'a str> {
        parameter(self.via, "branch")
    }

    pub(super) fn tag_of_from(&self) -> Option<&'a str> {
        parameter(self.from, "tag")
    }

    pub(super) fn tag_of_to(&self) -> Option<&'a str> {
        parameter(self.to, "tag")
    }

    pub(super) fn seq(&self) -> u32 {
        self.cseq.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    pub(super) fn cseq_method(&self) -> &'a str {
        self.cseq.split(' ').nth(1).unwrap_or_default()
    }

    pub(super) fn is_request(&self) -> bool {
        !self.method.is_empty()
    }

    /// What to call it: `INVITE`, `200 BYE`.
    pub(super) fn title(&self) -> String {
        if self.is_request() { self.method.to_owned() } else { format!("{} {}", self.status, self.cseq_method()) }
    }

    /// The port of the audio stream in the SDP.
    pub(super) fn port(&self) -> Option<u16> {
        let rest = self.body.split_once("m=audio ")?.1;
        rest.split(' ').next()?.parse().ok()
    }

    /// The URI of the Contact.
    pub(super) fn target(&self) -> &'a str {
        let inner = self.contact.split_once('<').map_or(self.contact, |(_, rest)| rest);
        inner.split('>').next().unwrap_or_default()
    }
}

/// Takes the next line, which ends with CR LF.
fn line<'a>(rest: &mut &'a str) -> Result<&'a str, String> {
    let end = memchr::memchr(b'\n', rest.as_bytes()).ok_or_else(|| "a message has no end of its headers".to_owned())?;
    let whole = rest[..end].strip_suffix('\r').ok_or_else(|| format!("a line does not end with CR LF: {}", &rest[..end]))?;
    *rest = &rest[end + 1..];
    Ok(whole)
}

fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let behind = value.rsplit_once('>').map_or(value, |(_, rest)| rest);
    behind.split(';').skip(1).find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

/// Which way the audio of a phone goes, and whether its SDP can be used at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Talk {
    /// Both ways.
    Both,
    /// On hold, with music of its own.
    SendOnly,
    /// On hold.
    Inactive,
    /// No SDP where there should be one.
    Missing,
    /// A stream that is refused: port 0.
    PortZero,
    /// No codec that Baton has.
    StrangeCodec,
}

/// The SDP of a phone.
pub(super) fn sdp(at: SocketAddr, version: u32, talk: Talk) -> String {
    let ip = at.ip();
    let port = if talk == Talk::PortZero { 0 } else { 7_000 };
    let way = match talk {
        Talk::Both | Talk::Missing | Talk::PortZero | Talk::StrangeCodec => "",
        Talk::SendOnly => "a=sendonly\r\n",
        Talk::Inactive => "a=inactive\r\n",
    };
    let kind =
        if talk == Talk::StrangeCodec { "99\r\na=rtpmap:99 opus/48000/2" } else { "0 101\r\na=rtpmap:101 telephone-event/8000" };
    format!("v=0\r\no=- 1 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {kind}\r\n{way}")
}

/// A datagram: what `head` writes, then what the body needs, and the body.
fn datagram(body: &str, head: impl FnOnce(&mut String) -> std::fmt::Result) -> Bytes {
    let mut text = String::with_capacity(HEAD_USUAL + body.len());
    let kind = if body.is_empty() {
        ""
    } else if body.starts_with("v=0") {
        "Content-Type: application/sdp\r\n"
    } else if body.starts_with("SIP/2.0") {
        "Content-Type: message/sipfrag\r\n"
    } else if body.starts_with("text") {
        "Content-Type: text/plain\r\n"
    } else {
        "Content-Type: application/dtmf-relay\r\n"
    };
    let written = head(&mut text).and_then(|()| write!(text, "{kind}Content-Length: {}\r\n\r\n{body}", body.len()));
    debug_assert!(written.is_ok(), "a String takes everything");
    Bytes::from(text)
}

/// What the headers of a message seldom exceed.
const HEAD_USUAL: usize = 640;

/// A response: what is copied from the request, and our tag.
pub(super) fn response(seen: &Seen<'_>, status: u16, tag: &str, own: SocketAddr, body: &str, extra: &str) -> Bytes {
    let Seen { via, from, to, call_id, cseq, .. } = seen;
    datagram(body, |text| {
        write!(text, "SIP/2.0 {status} X\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}")?;
        if seen.tag_of_to().is_none() && status != 100 {
            write!(text, ";tag={tag}")?;
        }
        write!(text, "\r\nCall-ID: {call_id}\r\nCSeq: {cseq}\r\n")?;
        if seen.method == "INVITE" && status > 100 && status < 300 {
            write!(text, "Contact: <sip:p@{own}>\r\n")?;
        }
        text.write_str(extra)
    })
}

/// What a request of a phone is made of.
pub(super) struct Ask<'a> {
    pub(super) method: &'a str,
    pub(super) uri: &'a str,
    pub(super) own: SocketAddr,
    pub(super) branch: u64,
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) call_id: &'a str,
    pub(super) seq: u32,
    pub(super) extra: &'a str,
    pub(super) body: &'a str,
}

impl Ask<'_> {
    pub(super) fn bytes(&self) -> Bytes {
        let Ask { method, uri, own, branch, from, to, call_id, seq, extra, body } = self;
        datagram(body, |text| {
            write!(text, "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{branch:x}\r\nMax-Forwards: 70\r\n")?;
            write!(text, "From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {seq} {method}\r\n")?;
            if matches!(*method, "INVITE" | "REFER") {
                write!(text, "Contact: <sip:p@{own}>\r\n")?;
            }
            text.write_str(extra)
        })
    }
}

/// Where requests outside of a dialog go.
pub(super) fn baton_uri(user: &str) -> String {
    format!("sip:{user}@{BATON}")
}
