//! From values to bytes.

use std::fmt::{self, Display, Write};

use bytes::{BufMut, Bytes, BytesMut};

use super::{Message, Name, Sought, scan};

/// A header to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        builder.safely(|out| write!(out, "SIP/2.0 {status} {phrase}"));
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
        for (at, value) in request.headers(Name::Via).enumerate() {
            builder = match via.filter(|_| at == 0) {
                Some(via) => builder.header(Name::Via, via),
                None => builder.plain(Name::Via, value),
            };
        }
        for name in [Name::From, Name::To, Name::CallId, Name::CSeq] {
            let Some(value) = request.header(name) else { continue };
            builder = match to_tag.filter(|_| name == Name::To && request.to().tag().is_none()) {
                Some(tag) => builder.header(name, format_args!("{value};tag={tag}")),
                None => builder.plain(name, value),
            };
        }
        match request.header(Name::Timestamp).filter(|_| status == 100) {
            Some(timestamp) => builder.header(Name::Timestamp, timestamp),
            None => builder,
        }
    }

    fn empty() -> Builder {
        Builder { out: BytesMut::with_capacity(1024), body: Bytes::new() }
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

    /// As [`Builder::header`], without the detour over formatting.
    fn plain(mut self, name: Name, value: &str) -> Builder {
        self.out.put_slice(name.text().as_bytes());
        self.out.put_slice(b": ");
        Safe(&mut self.out).put(value);
        self.out.put_slice(b"\r\n");
        self
    }

    /// Adds headers in their order.
    #[must_use]
    pub fn headers<'a>(self, headers: impl IntoIterator<Item = &'a Header>) -> Builder {
        headers.into_iter().fold(self, |builder, header| builder.header(header.name.as_str(), &header.value))
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
        self.safely(|out| write!(out, "Content-Length: {length}"));
        self.out.put_slice(b"\r\n\r\n");
        self.out.put_slice(&self.body);
        self.out.freeze()
    }

    fn safely(&mut self, write: impl FnOnce(&mut Safe<'_>) -> fmt::Result) {
        // Writing to memory cannot fail; a value whose Display does is cut where it stopped.
        write(&mut Safe(&mut self.out)).unwrap_or_default();
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
