//! From values to bytes.

use std::fmt::{self, Display, Write};

use bytes::{BufMut, Bytes, BytesMut};

use super::message::{Inner, Line};
use super::{Message, Name, Sought, scan};
use serde::{Deserialize, Serialize};

/// Octets that a message is begun with: most are shorter, and what is sent is kept until nobody can ask for it again.
const CAPACITY: usize = 512;

/// A header to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl Header {
    /// A header. What must not stand in it is neutralised when it is written.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Header {
        Header { name: name.into(), value: value.into() }
    }
}

/// Writes one message. No value can end its line: control characters become spaces, a header whose name is no token is not written at all, and
/// Content-Length is always the builder's own.
#[derive(Debug)]
pub struct Builder {
    out: BytesMut,
    body: Bytes,
}

impl Builder {
    /// A request.
    pub fn request(method: impl AsRef<str>, uri: impl Display) -> Builder {
        let mut builder = Builder::empty();
        let method = method.as_ref();
        builder.safely(|out| if scan::is_token(method) { write!(out, "{method} {uri} ") } else { write!(out, "UNKNOWN {uri} ") });
        builder.out.put_slice(b"SIP/2.0\r\n");
        builder
    }

    /// A response. The status is written as it is if it has three digits, else as 500.
    pub fn response(status: u16, phrase: impl Display) -> Builder {
        let status = if (100..=699).contains(&status) { status } else { 500 };
        let mut builder = Builder::empty();
        let digit = |number: u16| b'0' + (number % 10) as u8;
        builder.out.put_slice(&[
            b'S',
            b'I',
            b'P',
            b'/',
            b'2',
            b'.',
            b'0',
            b' ',
            digit(status / 100),
            digit(status / 10),
            digit(status),
            b' ',
        ]);
        builder.safely(|out| write!(out, "{phrase}"));
        builder.out.put_slice(b"\r\n");
        builder
    }

    /// A response with the Vias, From, To, Call-ID and CSeq of its request (RFC 3261 §8.2.6.2), and Timestamp if it is a 100. `to_tag` is added
    /// where the request has none.
    pub fn response_to(request: &Message, status: u16, phrase: impl Display, to_tag: Option<&str>) -> Builder {
        Builder::response_by(request, status, phrase, to_tag, None)
    }

    /// The same with another value for the topmost Via: one that was stamped with where the request came from.
    pub fn response_by(
        request: &Message,
        status: u16,
        phrase: impl Display,
        to_tag: Option<&str>,
        via: Option<&super::Via>,
    ) -> Builder {
        let mut builder = Builder::response(status, phrase);
        let mut copied = Copied::default();
        let mut vias = 0;
        for line in request.lines(Name::Via) {
            let is_one = via.is_none() || vias > 0;
            if is_one && copied.take(request, line, &mut builder.out) {
                vias += 1;
                continue;
            }
            copied.flush(request, &mut builder.out);
            for value in request.values_of(line) {
                builder = match via.filter(|_| vias == 0) {
                    Some(via) => builder.header(Name::Via, via),
                    None => builder.text(Name::Via, value),
                };
                vias += 1;
            }
        }
        for name in [Name::From, Name::To, Name::CallId, Name::CSeq] {
            let Some(line) = request.lines(name).next() else { continue };
            let tag = to_tag.filter(|_| name == Name::To && request.to().tag().is_none());
            if tag.is_none() && copied.take(request, line, &mut builder.out) {
                continue;
            }
            copied.flush(request, &mut builder.out);
            builder = match tag.filter(|_| request.to().param("tag").is_some()) {
                // A tag without a value: ours takes its place, for the first one is the one that counts.
                Some(tag) => builder.header(Name::To, request.to().owned().with_tag(tag)),
                None => builder.text_with_tag(name, request.value_of(line), tag),
            };
        }
        copied.flush(request, &mut builder.out);
        match request.header(Name::Timestamp).filter(|_| status == 100) {
            Some(timestamp) => builder.header(Name::Timestamp, timestamp),
            None => builder,
        }
    }

    fn empty() -> Builder {
        Builder { out: BytesMut::with_capacity(CAPACITY), body: Bytes::new() }
    }

    /// Adds a header. Content-Length is not taken from anybody.
    #[must_use]
    pub fn header<'a>(mut self, name: impl Into<Sought<'a>>, value: impl Display) -> Builder {
        let sought = name.into();
        if sought.name != Name::ContentLength && scan::is_token(sought.text) {
            self.out.put_slice(sought.text.as_bytes());
            self.out.put_slice(b": ");
            self.safely(|out| write!(out, "{value}"));
            self.out.put_slice(b"\r\n");
        }
        self
    }

    /// As [`Builder::header`] with a text, without the detour over formatting; not for Content-Length.
    #[must_use]
    pub fn text(self, name: Name, value: &str) -> Builder {
        self.text_with_tag(name, value, None)
    }

    fn text_with_tag(mut self, name: Name, value: &str, tag: Option<&str>) -> Builder {
        self.out.put_slice(name.text().as_bytes());
        self.out.put_slice(b": ");
        let mut out = Safe(&mut self.out);
        out.put(value);
        if let Some(tag) = tag {
            out.put(";tag=");
            out.put(tag);
        }
        self.out.put_slice(b"\r\n");
        self
    }

    /// Adds headers in their order.
    #[must_use]
    pub fn headers<'a>(self, headers: impl IntoIterator<Item = &'a Header>) -> Builder {
        headers.into_iter().fold(self, Builder::one)
    }

    fn one(mut self, header: &Header) -> Builder {
        if Name::of(&header.name) != Name::ContentLength && scan::is_token(&header.name) {
            self.out.put_slice(header.name.as_bytes());
            self.out.put_slice(b": ");
            Safe(&mut self.out).put(&header.value);
            self.out.put_slice(b"\r\n");
        }
        self
    }

    /// Sets the body, and adds its Content-Type.
    #[must_use]
    pub fn body(self, content_type: impl Display, body: Bytes) -> Builder {
        let mut builder = self.header(Name::ContentType, content_type);
        builder.body = body;
        builder
    }

    /// Sets a body whose Content-Type is not said, or is said by [`Builder::header`].
    #[must_use]
    pub fn bare_body(self, body: Bytes) -> Builder {
        Builder { body, ..self }
    }

    /// The message.
    pub fn build(mut self) -> Bytes {
        let length = self.body.len();
        if length == 0 {
            self.out.put_slice(b"Content-Length: 0\r\n\r\n");
        } else {
            self.safely(|out| write!(out, "Content-Length: {length}"));
            self.out.put_slice(b"\r\n\r\n");
            self.out.put_slice(&self.body);
        }
        self.out.freeze()
    }

    fn safely(&mut self, write: impl FnOnce(&mut Safe<'_>) -> fmt::Result) {
        // Writing to memory cannot fail; a value whose Display does is cut where it stopped.
        write(&mut Safe(&mut self.out)).unwrap_or_default();
    }
}

/// Lines of a request that stand one behind the other in it, as they will in its response: they are copied in one piece.
#[derive(Debug, Default, Clone, Copy)]
struct Copied {
    start: usize,
    /// Behind the last value, before its line end.
    end: usize,
}

impl Copied {
    /// Takes a line, unless it has to be written anew: because it holds several values, a name in another form, or what must be neutralised.
    fn take(&mut self, request: &Message, line: &Line, out: &mut BytesMut) -> bool {
        let Inner { head, is_plain, .. } = &*request.0;
        let (start, end) = (usize::from(line.name_start), usize::from(line.value_end));
        let is_list = || line.name == Name::Via && !line.is_one && memchr::memchr(b',', line.value_in(head).as_bytes()).is_some();
        if !is_plain || !line.is_canonical || is_list() {
            return false;
        }
        if self.end > 0 && self.end + 2 == start {
            self.end = end;
        } else {
            self.flush(request, out);
            *self = Copied { start, end };
        }
        true
    }

    fn flush(&mut self, request: &Message, out: &mut BytesMut) {
        if let Some(lines) = request.0.head.as_bytes().get(self.start..self.end).filter(|lines| !lines.is_empty()) {
            out.put_slice(lines);
            out.put_slice(b"\r\n");
        }
        *self = Copied::default();
    }
}

/// Lets no control character through but the tabulator.
struct Safe<'a>(&'a mut BytesMut);

impl Safe<'_> {
    fn put(&mut self, text: &str) {
        let start = self.0.len();
        self.0.put_slice(text.as_bytes());
        let written = &mut self.0[start..];
        if written.iter().fold(false, |found, byte| found | is_control(*byte)) {
            written.iter_mut().filter(|byte| is_control(**byte)).for_each(|byte| *byte = b' ');
        }
    }
}

impl Write for Safe<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put(text);
        Ok(())
    }
}

fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}
