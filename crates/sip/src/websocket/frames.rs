//! Frames, in and out (RFC 6455 §5).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::wire::limits;

/// Bytes of a control frame's payload (RFC 6455 §5.5).
const CONTROL_MAX: usize = 125;

/// What a WebSocket brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A whole message, however many frames it took, as text or as bytes.
    Message(Bytes),
    /// The far side wants a pong with this payload.
    Ping(Bytes),
    /// An answer to a ping of ours, or a sign of life nobody asked for.
    Pong,
    /// The far side closes; it wants a close in return, and nothing after it counts.
    Close,
}

/// What makes it impossible to go on with a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameFault {
    /// A rule of RFC 6455 §5 is broken: a client that does not mask, a server that does, reserved bits, a control frame in pieces.
    #[error("a frame breaks RFC 6455")]
    Protocol,
    /// A text that is no UTF-8 (RFC 6455 §8.1).
    #[error("a text is no UTF-8")]
    NoText,
    /// More than a message of SIP may have.
    #[error("a message is longer than {} bytes", limits::MESSAGE_MAX)]
    TooLong,
}

impl FrameFault {
    /// The code that a close gives as its reason (RFC 6455 §7.4.1).
    pub const fn code(self) -> u16 {
        match self {
            FrameFault::Protocol => 1_002,
            FrameFault::NoText => 1_007,
            FrameFault::TooLong => 1_009,
        }
    }
}

/// Who masks what they send: the client always, the server never (RFC 6455 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// We are the server.
    Server,
    /// We are the client; the key is for one frame.
    Client([u8; 4]),
}

/// Kinds of frames (RFC 6455 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// More of the message that has begun.
    Continuation,
    /// The beginning of a text.
    Text,
    /// The beginning of a message in bytes.
    Binary,
    /// The end.
    Close,
    /// Are you there?
    Ping,
    /// I am.
    Pong,
}

impl Opcode {
    const ALL: [(u8, Opcode); 6] = [
        (0, Opcode::Continuation),
        (1, Opcode::Text),
        (2, Opcode::Binary),
        (8, Opcode::Close),
        (9, Opcode::Ping),
        (10, Opcode::Pong),
    ];

    fn of(number: u8) -> Option<Opcode> {
        Opcode::ALL.iter().find(|(known, _)| *known == number).map(|(_, opcode)| *opcode)
    }

    fn number(self) -> u8 {
        Opcode::ALL.iter().find(|(_, opcode)| *opcode == self).map_or(0, |(number, _)| *number)
    }
}

/// Cuts a stream into messages. After a fault the stream has no more frames and must be closed.
#[derive(Debug)]
pub struct Frames {
    masked: Masked,
    buffer: BytesMut,
    begun: Option<Begun>,
    broken: Option<FrameFault>,
}

/// Whether what comes in must be masked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Masked {
    Always,
    Never,
}

/// A message of which some frames have come.
#[derive(Debug)]
struct Begun {
    is_text: bool,
    payload: BytesMut,
}

/// The head of a frame that has come in whole.
struct Head {
    opcode: Opcode,
    is_last: bool,
    mask: Option<[u8; 4]>,
    length: usize,
    payload: usize,
}

impl Frames {
    /// Frames that a client sends.
    pub fn from_client() -> Frames {
        Frames { masked: Masked::Always, buffer: BytesMut::new(), begun: None, broken: None }
    }

    /// Frames that a server sends.
    pub fn from_server() -> Frames {
        Frames { masked: Masked::Never, ..Frames::from_client() }
    }

    /// Takes what was read. Call [`Frames::next`] until it yields nothing before the next one.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Whether it holds no part of a message.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.begun.is_none()
    }

    /// The next frame that means something, if a whole one is there.
    ///
    /// # Errors
    /// When a rule is broken; the same one from then on.
    #[allow(clippy::should_implement_trait, reason = "it yields nothing now and something later, which an iterator must not")]
    pub fn next(&mut self) -> Result<Option<Frame>, FrameFault> {
        if let Some(fault) = self.broken {
            return Err(fault);
        }
        self.cut().inspect_err(|fault| {
            self.broken = Some(*fault);
            self.buffer.clear();
            self.begun = None;
        })
    }

    fn cut(&mut self) -> Result<Option<Frame>, FrameFault> {
        while let Some(head) = self.head()? {
            if self.buffer.len() < head.payload + head.length {
                return Ok(None);
            }
            self.buffer.advance(head.payload);
            let mut payload = self.buffer.split_to(head.length);
            if let Some(mask) = head.mask {
                unmask(&mut payload, mask);
            }
            if let Some(frame) = self.take(&head, payload)? {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    fn head(&self) -> Result<Option<Head>, FrameFault> {
        let &[first, second, ref rest @ ..] = self.buffer.as_ref() else { return Ok(None) };
        let opcode = Opcode::of(first & 0x0f).filter(|_| first & 0x70 == 0).ok_or(FrameFault::Protocol)?;
        let (is_last, is_masked) = (first & 0x80 != 0, second & 0x80 != 0);
        if is_masked != (self.masked == Masked::Always) {
            return Err(FrameFault::Protocol);
        }
        let short = usize::from(second & 0x7f);
        let is_control = matches!(opcode, Opcode::Close | Opcode::Ping | Opcode::Pong);
        if is_control && (!is_last || short > CONTROL_MAX) {
            return Err(FrameFault::Protocol);
        }
        let (length, rest) = match (short, rest) {
            (126, &[a, b, ref rest @ ..]) => (u64::from(u16::from_be_bytes([a, b])), rest),
            (127, &[a, b, c, d, e, f, g, h, ref rest @ ..]) => (u64::from_be_bytes([a, b, c, d, e, f, g, h]), rest),
            (126 | 127, _) => return Ok(None),
            (short, rest) => (short as u64, rest),
        };
        let begun = self.begun.as_ref().map_or(0, |begun| if is_control { 0 } else { begun.payload.len() });
        let length = usize::try_from(length).ok().filter(|length| length.saturating_add(begun) <= limits::MESSAGE_MAX);
        let length = length.ok_or(FrameFault::TooLong)?;
        let mut payload = self.buffer.len() - rest.len();
        let mask = match (is_masked, rest) {
            (false, _) => None,
            (true, &[a, b, c, d, ..]) => {
                payload += 4;
                Some([a, b, c, d])
            }
            (true, _) => return Ok(None),
        };
        Ok(Some(Head { opcode, is_last, mask, length, payload }))
    }

    fn take(&mut self, head: &Head, payload: BytesMut) -> Result<Option<Frame>, FrameFault> {
        match (head.opcode, self.begun.take()) {
            (Opcode::Close, _) => return Ok(Some(Frame::Close)),
            (Opcode::Ping, begun) => {
                self.begun = begun;
                return Ok(Some(Frame::Ping(payload.freeze())));
            }
            (Opcode::Pong, begun) => {
                self.begun = begun;
                return Ok(Some(Frame::Pong));
            }
            // A message begins only where none has, and goes on only where one has.
            (Opcode::Continuation, None) | (Opcode::Text | Opcode::Binary, Some(_)) => return Err(FrameFault::Protocol),
            (Opcode::Continuation, Some(mut begun)) => {
                begun.payload.unsplit(payload);
                self.begun = Some(begun);
            }
            (opcode @ (Opcode::Text | Opcode::Binary), None) => {
                self.begun = Some(Begun { is_text: opcode == Opcode::Text, payload });
            }
        }
        if !head.is_last {
            return Ok(None);
        }
        match self.begun.take() {
            Some(Begun { is_text: true, payload }) if std::str::from_utf8(&payload).is_err() => Err(FrameFault::NoText),
            Some(Begun { payload, .. }) => Ok(Some(Frame::Message(payload.freeze()))),
            None => Ok(None),
        }
    }
}

/// One whole frame. A message of SIP goes as text if it is one, for that is what browsers are best at (RFC 7118 §5).
pub fn write(opcode: Opcode, payload: &[u8], mask: Mask) -> Bytes {
    let mut out = BytesMut::with_capacity(payload.len() + 14);
    out.put_u8(0x80 | opcode.number());
    let is_masked = match mask {
        Mask::Server => 0,
        Mask::Client(_) => 0x80,
    };
    match payload.len() {
        short @ 0..=CONTROL_MAX => out.put_u8(is_masked | short as u8),
        middle @ 126..=0xffff => {
            out.put_u8(is_masked | 126);
            out.put_u16(middle as u16);
        }
        long => {
            out.put_u8(is_masked | 127);
            out.put_u64(long as u64);
        }
    }
    match mask {
        Mask::Server => out.put_slice(payload),
        Mask::Client(key) => {
            out.put_slice(&key);
            let begin = out.len();
            out.put_slice(payload);
            unmask(&mut out[begin..], key);
        }
    }
    out.freeze()
}

/// RFC 6455 §5.3: masking twice changes nothing.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}
