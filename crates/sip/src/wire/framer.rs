//! Messages out of a stream.

use bytes::{Buf, Bytes, BytesMut};

use super::{Fault, Rule, limits};

/// What a stream brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The bytes of one message, its head well framed and its body whole.
    Message(Bytes),
    /// A double CR LF: a keep-alive that wants a single CR LF back (RFC 5626 §3.5.1).
    Ping,
}

/// Cuts a stream into messages by their Content-Length (RFC 3261 §18.3). After a fault the stream has no more frames and must be closed:
/// whoever cannot tell where one message ends cannot tell where the next one begins.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    /// How far the end of the head has been looked for in vain.
    searched: usize,
    /// Where the message ends whose head is there: a head is read once, however slowly its body comes.
    end: Option<usize>,
    broken: Option<Rule>,
}

impl Framer {
    /// A framer of a stream that has just been opened.
    pub fn new() -> Framer {
        Framer::default()
    }

    /// Takes what was read from the stream. Call [`Framer::next`] until it yields nothing before the next one.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Whether it holds no part of a message; line ends before one are none.
    pub fn is_empty(&self) -> bool {
        self.buffer.iter().all(|byte| matches!(byte, b'\r' | b'\n'))
    }

    /// Takes the single CR LF that answers a ping of ours (RFC 5626 §3.5.1), if it is all that is there. Only to be asked for while an answer is
    /// due: else it may be the first half of a ping.
    pub fn take_pong(&mut self) -> bool {
        let is_pong = self.buffer.as_ref() == b"\r\n";
        if is_pong {
            self.buffer.clear();
        }
        is_pong
    }

    /// The next frame, if a whole one is there.
    #[allow(
        clippy::should_implement_trait,
        reason = "a framer yields nothing now and something later, which an iterator must not"
    )]
    pub fn next(&mut self) -> Result<Option<Frame>, Fault> {
        if let Some(rule) = self.broken {
            return Err(Fault::silent(rule));
        }
        self.cut().inspect_err(|fault| {
            self.broken = Some(fault.rule);
            self.buffer.clear();
        })
    }

    fn cut(&mut self) -> Result<Option<Frame>, Fault> {
        let end = match self.end {
            Some(end) => end,
            None => match self.framed()? {
                Framed::Ping => return Ok(Some(Frame::Ping)),
                Framed::Waiting => return Ok(None),
                Framed::UpTo(end) => end,
            },
        };
        self.end = Some(end);
        if self.buffer.len() < end {
            return Ok(None);
        }
        let message = Bytes::copy_from_slice(&self.buffer[..end]);
        self.buffer.advance(end);
        (self.searched, self.end) = (0, None);
        Ok(Some(Frame::Message(message)))
    }

    /// Where the message at the front ends, once its head is there.
    fn framed(&mut self) -> Result<Framed, Fault> {
        match self.skip_line_ends()? {
            Skipped::Ping => return Ok(Framed::Ping),
            Skipped::Waiting => return Ok(Framed::Waiting),
            Skipped::Message => {}
        }
        let Some(head_end) = self.head_end()? else { return Ok(Framed::Waiting) };
        let length = super::parse::framed_length(&self.buffer[..head_end])?;
        let end = head_end.saturating_add(length);
        if end > limits::MESSAGE_MAX {
            return Err(super::parse::refuse_head(&self.buffer[..head_end], Rule::TooLong));
        }
        Ok(Framed::UpTo(end))
    }

    /// Takes line ends off the front (RFC 3261 §7.5), and tells pings among them. A single one may be the first half of a ping, or what answers
    /// our own.
    fn skip_line_ends(&mut self) -> Result<Skipped, Fault> {
        match self.buffer.as_ref() {
            [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => Ok(Skipped::Waiting),
            [b'\r', b'\n', b'\r', b'\n', ..] => {
                self.buffer.advance(4);
                Ok(Skipped::Ping)
            }
            [b'\r', b'\n', next, ..] if !matches!(next, b'\r' | b'\n') => {
                self.buffer.advance(2);
                Ok(Skipped::Message)
            }
            [b'\r' | b'\n', ..] => Err(Fault::silent(Rule::LineEnd)),
            _ => Ok(Skipped::Message),
        }
    }

    fn head_end(&mut self) -> Result<Option<usize>, Fault> {
        let from = self.searched.saturating_sub(4);
        let found = memchr::memmem::find(&self.buffer[from..], b"\r\n\r\n").map(|at| from + at + 4);
        let known = found.unwrap_or(self.buffer.len());
        self.searched = known;
        if known > limits::HEAD_MAX {
            return Err(Fault::silent(Rule::TooLong));
        }
        Ok(found)
    }
}

enum Framed {
    Ping,
    Waiting,
    UpTo(usize),
}

enum Skipped {
    Ping,
    Waiting,
    Message,
}
