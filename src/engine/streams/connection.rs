//! One connection, once it is up: it reads, writes, keeps itself alive, and notices when nobody is at the other end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use baton_sip::websocket::{self, Frames, Mask, Opcode};
use baton_sip::wire::{Frame, Framer};
use baton_sip::{ConnectionId, Incoming, Transport};
use bytes::{BufMut, Bytes, BytesMut};
use rustix::net::sockopt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::Wire;
use super::guests::Place;
use super::keys::Keys;
use crate::engine::{Door, Request};

/// How long a connection may stay silent before it is closed. Longer than a registration, a session timer or a keep-alive takes, for whoever has
/// called by it from behind a NAT cannot be reached otherwise; that its far end has gone shows earlier, by [`keep_alive`].
const IDLE_MAX: Duration = Duration::from_secs(3_900);

/// How long somebody who has opened a connection may say nothing at all.
const SILENT_MAX: Duration = Duration::from_secs(32);

/// How long a message may be under way once its first byte has come.
const MESSAGE_MAX: Duration = Duration::from_secs(32);

/// RFC 5626 §4.4.1: between 95 and 120 s. Browsers' proxies forget a WebSocket sooner than a NAT forgets a connection of TCP.
const PING_STREAM: Duration = Duration::from_secs(100);
const PING_WEB_SOCKET: Duration = Duration::from_secs(30);

/// RFC 5626 §4.4.1: whoever has answered pings and does not answer this one within 10 s has gone.
const PONG_MAX: Duration = Duration::from_secs(10);

/// How long the engine may be behind before a stream is given up.
const ENGINE_MAX: Duration = Duration::from_secs(2);

/// How long a stream waits before it offers a message to a busy engine again.
const ENGINE_AGAIN: Duration = Duration::from_millis(5);

/// How much is read at a time, in bytes.
const READ_AT_ONCE: usize = 16 * 1_024;

/// The kernel's own signs of life: the first after this silence, more of them in this distance, and the end after so many without an answer.
const PROBE_AFTER: Duration = Duration::from_secs(60);
const PROBE_EVERY: Duration = Duration::from_secs(15);
const PROBES_MAX: u32 = 4;

/// Lets the kernel find out that the far end has gone without a word: after two minutes at most. No message waits for a fuller packet.
pub(super) fn keep_alive(stream: &TcpStream) {
    let set = || -> io::Result<()> {
        stream.set_nodelay(true)?;
        sockopt::set_socket_keepalive(stream, true)?;
        sockopt::set_tcp_keepidle(stream, PROBE_AFTER)?;
        sockopt::set_tcp_keepintvl(stream, PROBE_EVERY)?;
        Ok(sockopt::set_tcp_keepcnt(stream, PROBES_MAX)?)
    };
    if let Err(fault) = set() {
        tracing::debug!(%fault, "a connection without keep-alive");
    }
}

/// Who opened a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Us,
    Them,
}

/// Whether anything has ever come by a stream: one that was opened and closed without a word took nothing either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Not a byte.
    Nothing,
    /// A message at least.
    Something,
}

/// How messages stand in a stream.
pub(super) enum Framing {
    /// By Content-Length (RFC 3261 §18.3).
    Stream(Framer),
    /// One each in a message of a WebSocket (RFC 7118 §5).
    WebSocket(Frames, Masking),
}

/// Which end of a WebSocket we are: the one that has opened it masks what it sends (RFC 6455 §5.3).
pub(super) enum Masking {
    Server,
    Client(Keys),
}

impl Masking {
    fn mask(&mut self) -> Mask {
        match self {
            Masking::Server => Mask::Server,
            Masking::Client(keys) => Mask::Client(keys.draw()),
        }
    }
}

/// What has come in.
enum In {
    Message(Bytes),
    /// To be sent back at once.
    Reply(Bytes),
    Pong,
    /// The far side wants no more; this is the last word.
    Close(Bytes),
}

impl Framing {
    pub(super) fn stream() -> Framing {
        Framing::Stream(Framer::new())
    }

    pub(super) fn web_socket(frames: Frames, masking: Masking) -> Framing {
        Framing::WebSocket(frames, masking)
    }

    fn push(&mut self, bytes: &[u8]) {
        match self {
            Framing::Stream(framer) => framer.push(bytes),
            Framing::WebSocket(frames, _) => frames.push(bytes),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Framing::Stream(framer) => framer.is_empty(),
            Framing::WebSocket(frames, _) => frames.is_empty(),
        }
    }

    fn next(&mut self, pong: Pong) -> io::Result<Option<In>> {
        match self {
            Framing::Stream(framer) => match framer.next() {
                Ok(None) if pong == Pong::Due && framer.take_pong() => Ok(Some(In::Pong)),
                Ok(Some(Frame::Message(bytes))) => Ok(Some(In::Message(bytes))),
                Ok(Some(Frame::Ping)) => Ok(Some(In::Reply(Bytes::from_static(b"\r\n")))),
                Ok(None) => Ok(None),
                Err(fault) => Err(io::Error::new(io::ErrorKind::InvalidData, fault.to_string())),
            },
            Framing::WebSocket(frames, masking) => match frames.next() {
                // RFC 7118 §6: the keep-alive of RFC 5626 may come in a message of its own.
                Ok(Some(websocket::Frame::Message(bytes))) if bytes.as_ref() == b"\r\n\r\n" => {
                    Ok(Some(In::Reply(self.pack(b"\r\n"))))
                }
                Ok(Some(websocket::Frame::Message(bytes))) if bytes.as_ref() == b"\r\n" => Ok(Some(In::Pong)),
                Ok(Some(websocket::Frame::Message(bytes))) => Ok(Some(In::Message(bytes))),
                Ok(Some(websocket::Frame::Ping(echo))) => {
                    Ok(Some(In::Reply(websocket::write(Opcode::Pong, &echo, masking.mask()))))
                }
                Ok(Some(websocket::Frame::Pong)) => Ok(Some(In::Pong)),
                Ok(Some(websocket::Frame::Close)) => Ok(Some(In::Close(websocket::write(Opcode::Close, &[], masking.mask())))),
                Ok(None) => Ok(None),
                Err(fault) => Err(io::Error::new(io::ErrorKind::InvalidData, fault)),
            },
        }
    }

    /// A message as it goes over the wire.
    fn pack(&mut self, message: &[u8]) -> Bytes {
        match self {
            Framing::Stream(_) => Bytes::copy_from_slice(message),
            Framing::WebSocket(_, masking) => {
                let opcode = if std::str::from_utf8(message).is_ok() { Opcode::Text } else { Opcode::Binary };
                websocket::write(opcode, message, masking.mask())
            }
        }
    }

    fn ping(&mut self) -> Bytes {
        match self {
            Framing::Stream(_) => Bytes::from_static(b"\r\n\r\n"),
            Framing::WebSocket(_, masking) => websocket::write(Opcode::Ping, b"", masking.mask()),
        }
    }

    /// What is said before a stream is closed that cannot be understood.
    fn farewell(&mut self, fault: &io::Error) -> Option<Bytes> {
        let code = fault.get_ref()?.downcast_ref::<websocket::FrameFault>()?.code();
        match self {
            Framing::Stream(_) => None,
            Framing::WebSocket(_, masking) => Some(websocket::write(Opcode::Close, &code.to_be_bytes(), masking.mask())),
        }
    }

    /// How often the far side is asked whether it is there: by whoever opened a stream (RFC 5626 §3.5), by both sides of a WebSocket.
    fn ping_every(&self, side: Side) -> Option<Duration> {
        match (self, side) {
            (Framing::Stream(_), Side::Us) => Some(PING_STREAM),
            (Framing::Stream(_), Side::Them) => None,
            (Framing::WebSocket(..), Side::Us | Side::Them) => Some(PING_WEB_SOCKET),
        }
    }
}

/// How it stands with pings of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pong {
    /// None is under way.
    None,
    /// One is.
    Due,
}

/// When what has to happen.
struct Times {
    /// When something came last, or the connection came up.
    heard_at: Instant,
    /// When the first byte of the message came that is not whole yet.
    begun_at: Option<Instant>,
    ping_every: Option<Duration>,
    pinged_at: Option<Instant>,
    /// Whether a ping has ever been answered: who does not know them is not missed.
    answers: Answers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answers {
    Perhaps,
    Always,
}

impl Times {
    /// When the connection is given up unless something comes.
    fn end(&self, heard: Heard, side: Side) -> Instant {
        let silence = match (heard, side) {
            (Heard::Nothing, Side::Them) => SILENT_MAX,
            (Heard::Nothing, Side::Us) | (Heard::Something, _) => IDLE_MAX,
        };
        let idle = self.heard_at + silence;
        let message = self.begun_at.map_or(idle, |at| at + MESSAGE_MAX);
        let pong = self.pinged_at.filter(|_| self.answers == Answers::Always).map_or(idle, |at| at + PONG_MAX);
        idle.min(message).min(pong)
    }

    /// When the next ping is due.
    fn ping(&self) -> Option<Instant> {
        self.ping_every.map(|every| self.pinged_at.map_or(self.heard_at, |at| at.max(self.heard_at)) + every)
    }

    fn pong(&self) -> Pong {
        if self.pinged_at.is_some() { Pong::Due } else { Pong::None }
    }
}

/// One connection.
pub(super) struct Connection<'a> {
    pub(super) door: &'a Door,
    pub(super) id: ConnectionId,
    pub(super) transport: Transport,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    pub(super) side: Side,
    pub(super) heard: Heard,
}

impl Connection<'_> {
    /// Reads and writes until either side closes, or the framing is broken beyond repair. `place` is told of the first message.
    pub(super) async fn run(
        &mut self,
        wire: Wire,
        mut framing: Framing,
        mut outgoing: mpsc::Receiver<Bytes>,
        place: Option<&Place>,
    ) -> io::Result<()> {
        let (mut reader, mut writer) = tokio::io::split(wire);
        let mut buffer = BytesMut::with_capacity(READ_AT_ONCE);
        let ping_every = framing.ping_every(self.side);
        let now = Instant::now();
        let mut times = Times { heard_at: now, begun_at: None, ping_every, pinged_at: None, answers: Answers::Perhaps };
        loop {
            // At first: what came behind the upgrade, in the same packet.
            let last = match self.take(&mut framing, &mut times, &mut buffer, place).await {
                Ok(last) => last,
                Err(fault) => {
                    if let Some(farewell) = framing.farewell(&fault) {
                        write(&mut writer, &farewell).await?;
                    }
                    return Err(fault);
                }
            };
            if !buffer.is_empty() {
                write(&mut writer, &buffer.split()).await?;
            }
            if let Some(last) = last {
                write(&mut writer, &last).await?;
                return writer.shutdown().await;
            }
            let end = times.end(self.heard, self.side);
            let wake = times.ping().map_or(end, |ping| ping.min(end));
            tokio::select! {
                message = outgoing.recv() => match message {
                    Some(message) => write(&mut writer, &framing.pack(&message)).await?,
                    None => return writer.shutdown().await,
                },
                read = timeout_at(wake, reader.read_buf(&mut buffer)) => match read {
                    Ok(read) => {
                        if read? == 0 {
                            return Ok(());
                        }
                        framing.push(&buffer.split());
                        times.heard_at = Instant::now();
                    }
                    Err(_) if wake >= end => return Err(io::ErrorKind::TimedOut.into()),
                    Err(_) => {
                        write(&mut writer, &framing.ping()).await?;
                        times.pinged_at = Some(Instant::now());
                    }
                }
            }
        }
    }

    /// Takes everything that is whole. What is to be sent back is put into `replies`; what ends the stream is given back.
    async fn take(
        &mut self,
        framing: &mut Framing,
        times: &mut Times,
        replies: &mut BytesMut,
        place: Option<&Place>,
    ) -> io::Result<Option<Bytes>> {
        while let Some(come) = framing.next(times.pong())? {
            times.begun_at = None;
            match come {
                In::Message(bytes) => {
                    // Whatever comes is a sign of life; the pong may have come in front of it.
                    (self.heard, times.pinged_at) = (Heard::Something, None);
                    if let Some(place) = place {
                        place.proven();
                    }
                    self.hand_in(bytes).await?;
                }
                In::Reply(reply) => replies.put_slice(&reply),
                In::Pong => (times.pinged_at, times.answers) = (None, Answers::Always),
                In::Close(last) => return Ok(Some(last)),
            }
        }
        if framing.is_empty() {
            times.begun_at = None;
        } else if times.begun_at.is_none() {
            times.begun_at = Some(times.heard_at);
        }
        Ok(None)
    }

    /// Hands a message to the engine; while that is busy the far side has to wait, for nothing more is read.
    async fn hand_in(&self, bytes: Bytes) -> io::Result<()> {
        let (transport, local, remote) = (self.transport, self.local, self.remote);
        let incoming = Incoming { transport, connection: Some(self.id), local, remote, bytes };
        let until = Instant::now() + ENGINE_MAX;
        let mut request = Request::Stream(Box::new(incoming));
        while let Err(again) = self.door.send(request) {
            if Instant::now() >= until {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
            request = *again;
            tokio::time::sleep_until(Instant::now() + ENGINE_AGAIN).await;
        }
        Ok(())
    }
}

/// Writes all of it, to a far side that reads.
async fn write(writer: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) -> io::Result<()> {
    let whole = async {
        writer.write_all(bytes).await?;
        writer.flush().await
    };
    timeout(MESSAGE_MAX, whole).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
