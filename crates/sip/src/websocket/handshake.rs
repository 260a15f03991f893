//! The request of HTTP that makes a WebSocket of a stream (RFC 6455 §4), for the subprotocol `sip` (RFC 7118 §4.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use thiserror::Error;

/// Bytes of the request with all its headers.
pub const HEAD_MAX: usize = 8 * 1_024;

/// Headers of the request.
const HEADERS_MAX: usize = 64;

/// What is put behind the client's key (RFC 6455 §1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Where the head of the request ends, once it is whole: the place of the first byte behind it.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// Why a request does not become a WebSocket, and what is answered before the stream is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No request of HTTP/1.1, or one that HTTP forbids.
    Malformed,
    /// Something other than GET.
    Method,
    /// A web page, perhaps: nobody asks for a WebSocket.
    NoUpgrade,
    /// A WebSocket of another version than 13.
    Version,
    /// A WebSocket, but not for SIP.
    Protocol,
}

impl Refusal {
    /// The whole answer.
    pub const fn response(self) -> &'static str {
        match self {
            Refusal::Malformed => "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            Refusal::Method => "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            Refusal::NoUpgrade => {
                "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\nContent-Length: 0\r\n\r\n"
            }
            Refusal::Version => {
                "HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade, close\r\nContent-Length: 0\r\n\r\n"
            }
            Refusal::Protocol => {
                "HTTP/1.1 400 Bad Request\r\nSec-WebSocket-Protocol: sip\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            }
        }
    }
}

/// A request for a WebSocket that speaks SIP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    accept: String,
}

impl Upgrade {
    /// Reads the head of a request, up to and with the empty line.
    ///
    /// # Errors
    /// When it is no request for a WebSocket of version 13 with the subprotocol `sip`.
    pub fn read(head: &[u8]) -> Result<Upgrade, Refusal> {
        let text = std::str::from_utf8(head).ok().and_then(|text| text.strip_suffix("\r\n\r\n")).ok_or(Refusal::Malformed)?;
        let mut lines = text.split("\r\n");
        let request = lines.next().unwrap_or_default();
        let (method, target, version) = match request.split(' ').collect::<Vec<_>>()[..] {
            [method, target, version] => (method, target, version),
            _ => return Err(Refusal::Malformed),
        };
        if version != "HTTP/1.1" || target.is_empty() || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Refusal::Malformed);
        }
        if method != "GET" {
            return Err(Refusal::Method);
        }
        let headers = lines.map(header).collect::<Option<Vec<_>>>().ok_or(Refusal::Malformed)?;
        if headers.len() > HEADERS_MAX {
            return Err(Refusal::Malformed);
        }
        Upgrade::of(&headers)
    }

    fn of(headers: &[(&str, &str)]) -> Result<Upgrade, Refusal> {
        let has_body = one(headers, "Content-Length")?.is_some_and(|length| length != "0");
        if one(headers, "Host")?.is_none() || has_body || one(headers, "Transfer-Encoding")?.is_some() {
            return Err(Refusal::Malformed);
        }
        if !has_token(headers, "Upgrade", "websocket") || !has_token(headers, "Connection", "upgrade") {
            return Err(Refusal::NoUpgrade);
        }
        if one(headers, "Sec-WebSocket-Version")? != Some("13") {
            return Err(Refusal::Version);
        }
        let key = one(headers, "Sec-WebSocket-Key")?.ok_or(Refusal::Malformed)?;
        if STANDARD.decode(key).map(|nonce| nonce.len()) != Ok(16) {
            return Err(Refusal::Malformed);
        }
        if !has_token(headers, "Sec-WebSocket-Protocol", "sip") {
            return Err(Refusal::Protocol);
        }
        Ok(Upgrade { accept: accept(key) })
    }

    /// The answer after which both sides speak frames.
    pub fn response(&self) -> String {
        let accept = &self.accept;
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: sip\r\n\r\n"
        )
    }
}

/// Our own request for a WebSocket that speaks SIP, to whoever is called by one (RFC 6455 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    key: String,
}

/// Why what was answered makes no WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpeningFault {
    /// No answer of HTTP.
    #[error("it does not answer by HTTP")]
    Malformed,
    /// Another status than 101.
    #[error("it answers {0} instead of 101")]
    Status(u16),
    /// A 101 that does not answer this request, or changes to something else.
    #[error("its 101 is not for this request")]
    NotOurs,
    /// A WebSocket, but not for SIP (RFC 7118 §4.1).
    #[error("its WebSocket is not for SIP")]
    Protocol,
}

impl Opening {
    /// A request with sixteen bytes that nobody knows beforehand.
    pub fn new(nonce: [u8; 16]) -> Opening {
        Opening { key: STANDARD.encode(nonce) }
    }

    /// The whole request; `host` is the host of the peer's URI, with its port where one is written.
    pub fn request(&self, host: &str) -> String {
        let key = &self.key;
        format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
    }

    /// Checks the head of the answer, up to and with the empty line.
    ///
    /// # Errors
    /// When both sides do not speak frames from here on.
    pub fn check(&self, head: &[u8]) -> Result<(), OpeningFault> {
        let text = std::str::from_utf8(head).ok().and_then(|text| text.strip_suffix("\r\n\r\n"));
        let mut lines = text.ok_or(OpeningFault::Malformed)?.split("\r\n");
        let mut words = lines.next().unwrap_or_default().splitn(3, ' ');
        let (version, status) = (words.next(), words.next().and_then(|status| status.parse::<u16>().ok()));
        let status = status.filter(|_| version == Some("HTTP/1.1")).ok_or(OpeningFault::Malformed)?;
        if status != 101 {
            return Err(OpeningFault::Status(status));
        }
        let headers = lines.map(header).collect::<Option<Vec<_>>>().filter(|headers| headers.len() <= HEADERS_MAX);
        let headers = headers.ok_or(OpeningFault::Malformed)?;
        let only = |name| one(&headers, name).ok().flatten();
        let is_ours = has_token(&headers, "Upgrade", "websocket")
            && has_token(&headers, "Connection", "upgrade")
            && only("Sec-WebSocket-Accept") == Some(accept(&self.key).as_str())
            // RFC 6455 §4.1: what was not asked for may not be promised.
            && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("Sec-WebSocket-Extensions"));
        if !is_ours {
            return Err(OpeningFault::NotOurs);
        }
        match only("Sec-WebSocket-Protocol") {
            Some(protocol) if protocol.eq_ignore_ascii_case("sip") => Ok(()),
            Some(_) | None => Err(OpeningFault::Protocol),
        }
    }
}

/// What proves that a server has read the request with this key (RFC 6455 §4.2.2).
fn accept(key: &str) -> String {
    STANDARD.encode(Sha1::digest(format!("{key}{GUID}")))
}

/// Name and value. A blank before the colon is refused as a smuggler's (RFC 9112 §5.1), and so is a folded line.
fn header(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let is_token =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    let is_plain = !value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t');
    (is_token && is_plain).then(|| (name, value.trim_matches([' ', '\t'])))
}

/// The only value of a header; two of them are a fault.
fn one<'a>(headers: &[(&'a str, &'a str)], name: &str) -> Result<Option<&'a str>, Refusal> {
    let mut found = headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
    match (found.next(), found.next()) {
        (first, None) => Ok(first.map(|(_, value)| *value)),
        (_, Some(_)) => Err(Refusal::Malformed),
    }
}

/// Whether one of the values, parted by commas, is this token in any case of letters.
fn has_token(headers: &[(&str, &str)], name: &str, token: &str) -> bool {
    let values = headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).flat_map(|(_, value)| value.split(','));
    values.into_iter().any(|value| value.trim().eq_ignore_ascii_case(token))
}
