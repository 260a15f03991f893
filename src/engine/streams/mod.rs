//! SIP over streams: TCP, TLS and both kinds of WebSocket. A task for each connection brings it up, frames what comes in and writes what goes out.

mod book;
mod connection;
mod guests;
mod keys;
mod upgrade;

#[cfg(test)]
mod plays;

pub(crate) use book::{Connections, End};
pub(crate) use connection::Heard;
pub(crate) use guests::Known;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use baton_sip::{ConnectionId, ServerName, Transport};
use bytes::Bytes;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use self::connection::{Connection, Framing, Masking, Side};
use self::guests::{Guests, Place};
use self::keys::Keys;
use super::{Door, Request};
use crate::tls::Tls;

/// How many connections of our own may be open at a time, those included that are coming up; a peer needs one.
const CALLED_MAX: usize = 512;

/// How long a peer may take to accept a connection: one lost packet (the kernel sends again after a second) and a slow way.
const CONNECT_MAX: Duration = Duration::from_millis(1_500);

/// How long the handshake of TLS and the upgrade to a WebSocket may take, each.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

/// How many messages may wait to be written to one connection; a peer that reads no faster is let go.
const OUTGOING_MAX: usize = 256;

/// How long nothing is accepted once the process has run out of descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);

/// A bound listener of a stream transport.
pub(crate) struct StreamListener {
    pub(crate) transport: Transport,
    pub(crate) listener: TcpListener,
    pub(crate) local: SocketAddr,
}

/// A stream that somebody has opened, ready to be used.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) id: ConnectionId,
    pub(crate) transport: Transport,
    pub(crate) remote: SocketAddr,
    /// What is sent to it goes through this queue.
    pub(crate) queue: mpsc::Sender<Bytes>,
}

/// Numbers connections, and hands their messages to the engine.
#[derive(Clone)]
pub(crate) struct Streams {
    door: Door,
    next: Arc<AtomicU64>,
    guests: Arc<Guests>,
    called: Arc<Semaphore>,
    tls: Option<Arc<Tls>>,
}

/// Whom we call, and from where.
struct Call {
    id: ConnectionId,
    transport: Transport,
    local: SocketAddr,
    remote: SocketAddr,
    server: Option<ServerName>,
}

impl Call {
    /// What Host says to whoever is asked for a WebSocket (RFC 9110 §7.2).
    fn host(&self) -> String {
        let name = self.server.as_ref().map(ServerName::as_str).filter(|name| !name.contains(':'));
        match (name, self.remote.port()) {
            (None, _) => self.remote.to_string(),
            (Some(name), port) if port == self.transport.default_port() => name.to_owned(),
            (Some(name), port) => format!("{name}:{port}"),
        }
    }
}

impl Streams {
    fn new(door: Door, tls: Option<Arc<Tls>>, known: Known) -> Streams {
        let called = Arc::new(Semaphore::new(CALLED_MAX));
        Streams { door, next: Arc::new(AtomicU64::new(1)), guests: Arc::new(Guests::new(known)), called, tls }
    }

    /// Accepts connections until the task is dropped.
    pub(crate) async fn listen(self, listener: StreamListener) {
        let StreamListener { transport, listener, local } = listener;
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => match Guests::admit(&self.guests, remote.ip()) {
                    Ok(place) => {
                        let this = self.clone();
                        tokio::spawn(async move { this.accept(place, transport, stream, local, remote).await });
                    }
                    Err(refusal) => self.guests.complain(remote.ip(), refusal.name()),
                },
                Err(fault) => {
                    tracing::warn!(%fault, "cannot accept");
                    tokio::time::sleep_until(tokio::time::Instant::now() + OUT_OF_DESCRIPTORS).await;
                }
            }
        }
    }

    async fn accept(self, place: Place, transport: Transport, stream: TcpStream, local: SocketAddr, remote: SocketAddr) {
        connection::keep_alive(&stream);
        let evicted = place.evicted();
        let up = tokio::select! {
            up = self.bring_up(transport, stream) => up,
            () = evicted.notified() => return,
        };
        let (wire, framing) = match up {
            Ok(up) => up,
            Err((fault, reason)) => {
                tracing::debug!(%fault, %remote, reason, "a connection does not come up");
                return self.guests.complain(remote.ip(), reason);
            }
        };
        let id = self.name();
        let (queue, outgoing) = mpsc::channel(OUTGOING_MAX);
        if self.door.send(Request::StreamOpened(Opened { id, transport, remote, queue })).is_err() {
            return;
        }
        let mut connection =
            Connection { door: &self.door, id, transport, local, remote, side: Side::Them, heard: Heard::Nothing };
        let ended = tokio::select! {
            ended = connection.run(wire, framing, outgoing, Some(&place)) => ended,
            // Whoever has said nothing yet makes room for somebody who may.
            () = evicted.notified() => Err(io::ErrorKind::ConnectionAborted.into()),
        };
        if ended.as_ref().is_err_and(|fault| fault.kind() == io::ErrorKind::InvalidData) {
            self.guests.complain(remote.ip(), "framing");
        }
        self.ended(&connection, ended);
    }

    /// Handshake and upgrade; the word goes into the log where one of them comes to nothing.
    async fn bring_up(&self, transport: Transport, stream: TcpStream) -> Result<(Wire, Framing), (io::Error, &'static str)> {
        let plain: Wire = match (transport.is_secure(), &self.tls) {
            (false, _) => Box::new(stream),
            (true, Some(tls)) => Box::new(within(HANDSHAKE_MAX, tls.accept(stream)).await.map_err(|fault| (fault, "tls"))?),
            (true, None) => return Err((io::ErrorKind::Unsupported.into(), "tls")),
        };
        match transport {
            Transport::Ws | Transport::Wss => {
                let upgraded = within(HANDSHAKE_MAX, upgrade::serve(plain)).await;
                upgraded
                    .map(|(wire, frames)| (wire, Framing::web_socket(frames, Masking::Server)))
                    .map_err(|fault| (fault, "websocket"))
            }
            Transport::Udp | Transport::Tcp | Transport::Tls => Ok((plain, Framing::stream())),
        }
    }

    /// Calls a peer. What is to be written waits in `outgoing` meanwhile.
    async fn call(self, call: Call, outgoing: mpsc::Receiver<Bytes>) {
        let Call { id, transport, local, remote, .. } = call;
        let mut connection = Connection { door: &self.door, id, transport, local, remote, side: Side::Us, heard: Heard::Nothing };
        let ended = match self.connect(&call).await {
            Ok((wire, framing)) => connection.run(wire, framing, outgoing, None).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = ended.as_ref()
            && transport.is_secure()
            && connection.heard == Heard::Nothing
        {
            let server = call.server.as_ref().map(ServerName::as_str).unwrap_or_default();
            tracing::warn!(%remote, server, %fault, "no TLS with a peer");
        }
        self.ended(&connection, ended);
    }

    async fn connect(&self, call: &Call) -> io::Result<(Wire, Framing)> {
        let stream = connect(call.local, call.remote).await?;
        connection::keep_alive(&stream);
        let wire: Wire = match (call.transport.is_secure(), &self.tls) {
            (false, _) => Box::new(stream),
            (true, Some(tls)) => {
                Box::new(within(HANDSHAKE_MAX, tls.connect(call.server.as_ref(), call.remote.ip(), stream)).await?)
            }
            (true, None) => return Err(io::ErrorKind::Unsupported.into()),
        };
        match call.transport {
            Transport::Tcp | Transport::Tls => Ok((wire, Framing::stream())),
            Transport::Ws | Transport::Wss => {
                let mut keys = Keys::default();
                let (wire, frames) = within(HANDSHAKE_MAX, upgrade::ask(wire, &call.host(), keys.draw())).await?;
                Ok((wire, Framing::web_socket(frames, Masking::Client(keys))))
            }
            Transport::Udp => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn ended(&self, connection: &Connection<'_>, ended: io::Result<()>) {
        let Connection { id, remote, heard, .. } = *connection;
        tracing::debug!(connection = id.0, %remote, ended = ended.as_ref().err().map(tracing::field::display), "stream ended");
        if self.door.send(Request::StreamClosed(id, heard)).is_err() {
            tracing::error!(connection = id.0, "the engine does not take the end of a stream");
        }
    }

    fn name(&self) -> ConnectionId {
        ConnectionId(self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// What bytes go over, whatever lies between them and the socket.
type Wire = Box<dyn ReadWrite>;

/// Both directions of a stream.
trait ReadWrite: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> ReadWrite for T {}

/// A connection to a peer that listens, from the address that it will see in our messages.
async fn connect(local: SocketAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if !local.ip().is_unspecified() {
        socket.bind(SocketAddr::new(local.ip(), 0))?;
    }
    within(CONNECT_MAX, socket.connect(remote)).await
}

async fn within<T>(patience: Duration, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(patience, step).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
