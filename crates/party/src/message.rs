//! A SIP message as a party sees it. Read and written through `rsip` wherever that can express it, and as plain text where it cannot.

use std::fmt::Write as _;

use bytes::Bytes;
use rsip::SipMessage;
use rsip::headers::untyped::{
    CSeq, CallId, Contact, ContentLength, ContentType, Event, From, MaxForwards, RecordRoute, Route, SubscriptionState, To,
    UntypedHeader, UserAgent, Via,
};

/// Why bytes are no SIP message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There is no start line that RFC 3261 §7 knows.
    #[error("the start line is neither a request line nor a status line")]
    StartLine,
    /// A header has no colon.
    #[error("a header line has no colon")]
    HeaderLine,
    /// The head is not UTF-8.
    #[error("the head of the message is not UTF-8")]
    Encoding,
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartLine {
    /// `METHOD uri SIP/2.0`
    Request {
        /// The method, in capitals.
        method: String,
        /// The Request-URI.
        uri: String,
    },
    /// `SIP/2.0 status phrase`
    Response {
        /// 100 to 699.
        status: u16,
        /// The reason phrase.
        phrase: String,
    },
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The first line.
    pub start: StartLine,
    /// Names in their long form and values, in order; without Content-Length, which is written from the body.
    pub headers: Vec<(String, String)>,
    /// The body, as long as Content-Length says.
    pub body: Bytes,
}

impl Message {
    /// A request without headers.
    pub fn request(method: &str, uri: &str) -> Message {
        let start = StartLine::Request { method: method.to_owned(), uri: uri.to_owned() };
        Message { start, headers: Vec::new(), body: Bytes::new() }
    }

    /// The response to `request`, with the headers that RFC 3261 §8.2.6.2 copies, and a To tag unless the status is 100.
    pub fn response_to(request: &Message, status: u16, to_tag: &str) -> Message {
        let mut headers = Vec::new();
        for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
            for value in request.headers_named(name) {
                let untagged = name == "To" && status != 100 && parameter(value, "tag").is_none();
                let value = if untagged { format!("{value};tag={to_tag}") } else { value.to_owned() };
                headers.push((name.to_owned(), value));
            }
        }
        let start = StartLine::Response { status, phrase: phrase_of(status).to_owned() };
        Message { start, headers, body: Bytes::new() }
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Message {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// With a body of this type.
    #[must_use]
    pub fn with_body(self, content_type: &str, body: impl Into<Bytes>) -> Message {
        let mut message = self.with("Content-Type", content_type);
        message.body = body.into();
        message
    }

    /// Reads a datagram.
    pub fn read(datagram: &[u8]) -> Result<Message, Unreadable> {
        let whole = SipMessage::try_from(datagram).ok().and_then(|message| from_rsip(&message));
        let mut message = whole.map_or_else(|| from_text(datagram), Ok)?;
        let length = message.header("Content-Length").and_then(|value| value.parse::<usize>().ok());
        if let Some(length) = length.filter(|length| *length < message.body.len()) {
            message.body.truncate(length);
        }
        message.headers.retain(|(name, _)| name != "Content-Length");
        Ok(message)
    }

    /// Writes the message as it goes out.
    pub fn write(&self) -> Bytes {
        to_rsip(self).map_or_else(|| self.to_text(), |message| Bytes::from(message.to_string()))
    }

    /// The method of a request.
    pub fn method(&self) -> Option<&str> {
        match &self.start {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    /// The Request-URI of a request.
    pub fn uri(&self) -> Option<&str> {
        match &self.start {
            StartLine::Request { uri, .. } => Some(uri),
            StartLine::Response { .. } => None,
        }
    }

    /// The status of a response.
    pub fn status(&self) -> Option<u16> {
        match &self.start {
            StartLine::Request { .. } => None,
            StartLine::Response { status, .. } => Some(*status),
        }
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers_named(name).next()
    }

    /// Every value of a header.
    pub fn headers_named(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        self.header("Call-ID").unwrap_or_default()
    }

    /// The branch of the topmost Via.
    pub fn branch(&self) -> &str {
        self.header("Via").and_then(|via| parameter(via.split(',').next().unwrap_or(via), "branch")).unwrap_or_default()
    }

    /// The number and the method of CSeq.
    pub fn cseq(&self) -> (u32, &str) {
        let (number, method) = self.header("CSeq").and_then(|value| value.split_once(' ')).unwrap_or(("0", ""));
        (number.trim().parse().unwrap_or(0), method.trim())
    }

    /// The tag of From.
    pub fn from_tag(&self) -> Option<&str> {
        self.header("From").and_then(|value| parameter(value, "tag"))
    }

    /// The tag of To.
    pub fn to_tag(&self) -> Option<&str> {
        self.header("To").and_then(|value| parameter(value, "tag"))
    }

    /// `INVITE` or `180 Ringing`: the message in a word or two.
    pub fn title(&self) -> String {
        match &self.start {
            StartLine::Request { method, .. } => method.clone(),
            StartLine::Response { status, phrase } => format!("{status} {phrase}"),
        }
    }

    fn to_text(&self) -> Bytes {
        let mut text = match &self.start {
            StartLine::Request { method, uri } => format!("{method} {uri} SIP/2.0\r\n"),
            StartLine::Response { status, phrase } => format!("SIP/2.0 {status} {phrase}\r\n"),
        };
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if write!(text, "Content-Length: {}\r\n\r\n", self.body.len()).is_err() {
            return Bytes::new(); // A String takes whatever is written to it.
        }
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.body);
        Bytes::from(bytes)
    }
}

/// The URI of a From, To, Contact, Route or Refer-To value.
pub fn uri_of(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split_once('>').map_or(rest, |(uri, _)| uri),
        None => value.split(';').next().unwrap_or(value).trim(),
    }
}

/// The user part of a SIP URI, or the number of a tel URI.
pub fn user_of(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    rest.split_once('@').map_or_else(|| rest.split([';', '?']).next().unwrap_or(rest), |(user, _)| user)
}

/// A parameter behind the address (or in a header without one).
pub fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let behind = value.rsplit_once('>').map_or(value, |(_, behind)| behind);
    behind.split(';').skip(1).find_map(|part| {
        let (own, content) = part.split_once('=')?;
        own.trim().eq_ignore_ascii_case(name).then(|| content.trim())
    })
}

fn phrase_of(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        603 => "Decline",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        407 => "Proxy Authentication Required",
        482 => "Loop Detected",
        491 => "Request Pending",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        _ => "Unnamed",
    }
}

fn from_rsip(message: &SipMessage) -> Option<Message> {
    let (start, headers, body) = match message {
        SipMessage::Request(request) => {
            let start = StartLine::Request { method: request.method.to_string(), uri: request.uri.to_string() };
            (start, &request.headers, &request.body)
        }
        SipMessage::Response(response) => {
            let status = response.status_code.code();
            let phrase = phrase_of(status).to_owned(); // rsip writes its own names in place of the phrase that came
            (StartLine::Response { status, phrase }, &response.headers, &response.body)
        }
    };
    let headers: Option<Vec<_>> = headers.iter().map(|header| split_header(&header.to_string())).collect();
    Some(Message { start, headers: headers?, body: Bytes::copy_from_slice(body) })
}

fn from_text(datagram: &[u8]) -> Result<Message, Unreadable> {
    let end = datagram.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(datagram.len());
    let (head, body) = (&datagram[..end], datagram.get(end + 4..).unwrap_or_default());
    let head = std::str::from_utf8(head).map_err(|_| Unreadable::Encoding)?.replace("\r\n ", " ").replace("\r\n\t", " ");
    let mut lines = head.split("\r\n");
    let start = start_line(lines.next().unwrap_or_default()).ok_or(Unreadable::StartLine)?;
    let headers: Option<Vec<_>> = lines.map(split_header).collect();
    Ok(Message { start, headers: headers.ok_or(Unreadable::HeaderLine)?, body: Bytes::copy_from_slice(body) })
}

fn start_line(line: &str) -> Option<StartLine> {
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        let (status, phrase) = rest.split_once(' ').unwrap_or((rest, ""));
        return Some(StartLine::Response { status: status.parse().ok()?, phrase: phrase.to_owned() });
    }
    let mut words = line.strip_suffix(" SIP/2.0")?.splitn(2, ' ');
    Some(StartLine::Request { method: words.next()?.to_owned(), uri: words.next()?.trim().to_owned() })
}

fn split_header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    Some((long_name(name.trim()).to_owned(), value.trim().to_owned()))
}

/// Long names of the compact forms, and the spelling used here of names that come in several.
fn long_name(name: &str) -> &str {
    match name.to_ascii_lowercase().as_str() {
        "v" | "via" => "Via",
        "f" | "from" => "From",
        "t" | "to" => "To",
        "i" | "call-id" => "Call-ID",
        "m" | "contact" => "Contact",
        "l" | "content-length" => "Content-Length",
        "c" | "content-type" => "Content-Type",
        "r" | "refer-to" => "Refer-To",
        "o" | "event" => "Event",
        "cseq" => "CSeq",
        _ => name,
    }
}

fn to_rsip(message: &Message) -> Option<SipMessage> {
    let body = String::from_utf8(message.body.to_vec()).ok()?.into_bytes();
    let mut headers: Vec<rsip::Header> = message.headers.iter().map(|(name, value)| rsip_header(name, value)).collect();
    headers.push(rsip::Header::ContentLength(ContentLength::new(message.body.len().to_string())));
    let version = rsip::Version::V2;
    match &message.start {
        StartLine::Request { method, uri } => {
            let method: rsip::Method = method.parse().ok()?;
            let parsed = rsip::Uri::try_from(uri.as_str()).ok().filter(|parsed| parsed.to_string() == *uri)?;
            Some(rsip::Request { method, uri: parsed, version, headers: headers.into(), body }.into())
        }
        StartLine::Response { status, phrase } => {
            let status_code = rsip::StatusCode::from(*status);
            let said = status_code.to_string() == format!("{status} {phrase}");
            said.then(|| rsip::Response { status_code, version, headers: headers.into(), body }.into())
        }
    }
}

fn rsip_header(name: &str, value: &str) -> rsip::Header {
    match name {
        "Via" => rsip::Header::Via(Via::new(value)),
        "From" => rsip::Header::From(From::new(value)),
        "To" => rsip::Header::To(To::new(value)),
        "Call-ID" => rsip::Header::CallId(CallId::new(value)),
        "CSeq" => rsip::Header::CSeq(CSeq::new(value)),
        "Contact" => rsip::Header::Contact(Contact::new(value)),
        "Max-Forwards" => rsip::Header::MaxForwards(MaxForwards::new(value)),
        "Content-Type" => rsip::Header::ContentType(ContentType::new(value)),
        "Event" => rsip::Header::Event(Event::new(value)),
        "Subscription-State" => rsip::Header::SubscriptionState(SubscriptionState::new(value)),
        "Route" => rsip::Header::Route(Route::new(value)),
        "Record-Route" => rsip::Header::RecordRoute(RecordRoute::new(value)),
        "User-Agent" => rsip::Header::UserAgent(UserAgent::new(value)),
        _ => rsip::Header::Other(name.to_owned(), value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invite(uri: &str) -> Message {
        Message::request("INVITE", uri)
            .with("Via", "SIP/2.0/UDP 127.0.0.1:5080;branch=z9hG4bK77;rport")
            .with("From", "\"Jamie <j>\" <sip:jamie@127.0.0.1>;tag=a1")
            .with("To", format!("<{uri}>"))
            .with("Call-ID", "c1@party")
            .with("CSeq", "7 INVITE")
            .with_body("application/sdp", "v=0\r\n")
    }

    #[test]
    fn what_is_written_can_be_read_whether_rsip_can_say_it_or_not() {
        for uri in ["sip:+15550100@127.0.0.1:5060", "tel:+15550100", "sip:ai@[::1]:5060"] {
            let message = invite(uri);
            assert_eq!(Message::read(&message.write()).unwrap(), message);
        }
    }

    #[test]
    fn the_fields_that_hold_a_dialog_together_are_found() {
        let message = Message::read(&invite("sip:ai@127.0.0.1").write()).unwrap();
        assert_eq!((message.call_id(), message.branch(), message.cseq()), ("c1@party", "z9hG4bK77", (7, "INVITE")));
        assert_eq!((message.from_tag(), message.to_tag()), (Some("a1"), None));
        assert_eq!(Message::response_to(&message, 180, "b2").to_tag(), Some("b2"));
        assert_eq!(Message::response_to(&message, 100, "b2").to_tag(), None);
    }

    #[test]
    fn compact_forms_and_folded_lines_are_understood() {
        let text = "INVITE tel:+1555 SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9\r\ni: 9\r\nSubject: a\r\n b\r\nl: 2\r\n\r\nabcd";
        let message = Message::read(text.as_bytes()).unwrap();
        assert_eq!((message.branch(), message.call_id(), message.header("Subject")), ("z9", "9", Some("a b")));
        assert_eq!(message.body, "ab");
    }

    #[test]
    fn what_is_no_sip_is_named() {
        assert_eq!(Message::read(b"GET / HTTP/1.1\r\n\r\n"), Err(Unreadable::StartLine));
        assert_eq!(Message::read(b"OPTIONS sip:a SIP/2.0\r\nnonsense\r\n\r\n"), Err(Unreadable::HeaderLine));
        assert_eq!(Message::read(b"\xff\xfe\r\n\r\n"), Err(Unreadable::Encoding));
    }

    #[test]
    fn users_are_found_in_every_kind_of_address() {
        assert_eq!(user_of(uri_of("\"A, B\" <sip:+1555@host:5060;x=y>;tag=3")), "+1555");
        assert_eq!(user_of("tel:+1555;ext=2"), "+1555");
        assert_eq!(user_of("sip:michael@h?User-to-User=56"), "michael");
        assert_eq!(parameter("<sip:a@b;tag=no>;tag=yes", "tag"), Some("yes"));
    }
}
