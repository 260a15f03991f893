//! SIP over TCP: a task for each connection frames what comes in and writes what goes out.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use baton_sip::wire::Framer;
use baton_sip::{ConnectionId, Incoming, Transmit, Transport};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::{Door, Request};

/// How many connections that others have opened may be open at a time.
const CONNECTIONS_MAX: usize = 1_024;

/// How many connections of our own may be open at a time, those included that are coming up; a peer needs one.
const CALLED_MAX: usize = 512;

/// How long a peer may take to accept a connection: one lost packet (the kernel sends again after a second) and a slow way.
const CONNECT_MAX: Duration = Duration::from_millis(1_500);

/// How many messages may wait to be written to one connection; a peer that reads no faster is let go.
const OUTGOING_MAX: usize = 256;

/// How long a connection may stay silent before it is closed: longer than any keep-alive interval in use.
const IDLE_MAX: Duration = Duration::from_secs(660);

/// How long a message may be under way once its first byte has come.
const MESSAGE_MAX: Duration = Duration::from_secs(32);

/// How much is read at a time, in bytes.
const READ_AT_ONCE: usize = 16 * 1_024;

/// A bound TCP listener.
pub(crate) struct StreamListener {
    pub(crate) listener: TcpListener,
    pub(crate) local: SocketAddr,
}

/// Numbers connections, and hands their messages to the engine.
#[derive(Clone)]
pub(crate) struct Streams {
    door: Door,
    next: Arc<AtomicU64>,
    accepted: Arc<Semaphore>,
    called: Arc<Semaphore>,
}

/// Whether anything has ever come by a stream: one that was opened and closed without a word took nothing either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Not a byte.
    Nothing,
    /// A message at least.
    Something,
}

impl Streams {
    fn new(door: Door) -> Streams {
        let places = |count| Arc::new(Semaphore::new(count));
        Streams { door, next: Arc::new(AtomicU64::new(1)), accepted: places(CONNECTIONS_MAX), called: places(CALLED_MAX) }
    }

    /// Accepts connections until the task is dropped.
    pub(crate) async fn listen(self, listener: StreamListener) {
        loop {
            let Ok(place) = self.accepted.clone().acquire_owned().await else { return };
            match listener.listener.accept().await {
                Ok((stream, remote)) => {
                    let (this, local) = (self.clone(), listener.local);
                    tokio::spawn(async move {
                        this.accept(stream, local, remote).await;
                        drop(place);
                    });
                }
                Err(fault) => {
                    tracing::warn!(%fault, "cannot accept");
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    async fn accept(self, stream: TcpStream, local: SocketAddr, remote: SocketAddr) {
        let id = self.name();
        let (sender, outgoing) = mpsc::channel(OUTGOING_MAX);
        if self.door.send(Request::StreamOpened(id, remote, sender.clone())).is_err() {
            return;
        }
        let mut connection = Connection { door: self.door.clone(), id, local, remote, heard: Heard::Nothing };
        let ended = connection.run(stream, outgoing, sender).await;
        self.ended(&connection, ended);
    }

    /// Calls a peer. What is to be written waits in `outgoing` meanwhile.
    async fn call(
        self,
        id: ConnectionId,
        local: SocketAddr,
        remote: SocketAddr,
        outgoing: mpsc::Receiver<Bytes>,
        sender: mpsc::Sender<Bytes>,
    ) {
        let mut connection = Connection { door: self.door.clone(), id, local, remote, heard: Heard::Nothing };
        let ended = match connect(local, remote).await {
            Ok(stream) => connection.run(stream, outgoing, sender).await,
            Err(fault) => Err(fault),
        };
        self.ended(&connection, ended);
    }

    fn ended(&self, connection: &Connection, ended: io::Result<()>) {
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

/// A connection to a peer that listens, from the address that it will see in our messages.
async fn connect(local: SocketAddr, remote: SocketAddr) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if !local.ip().is_unspecified() {
        socket.bind(SocketAddr::new(local.ip(), 0))?;
    }
    timeout(CONNECT_MAX, socket.connect(remote)).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// What the end of a stream means for what was to be sent to its far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It had worked: what was sent last may not have arrived.
    Heard(SocketAddr),
    /// We had called and nothing has ever come of it: what was to be sent was not.
    CalledInVain(SocketAddr),
}

/// The engine's book of streams: one for each peer, whoever opened it.
pub(crate) struct Connections {
    streams: Streams,
    runtime: tokio::runtime::Handle,
    open: BTreeMap<ConnectionId, Open>,
    by_remote: BTreeMap<SocketAddr, ConnectionId>,
}

struct Open {
    remote: SocketAddr,
    opened_by: Side,
    queue: mpsc::Sender<Bytes>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Us,
    Them,
}

impl Connections {
    pub(crate) fn new(door: Door, runtime: tokio::runtime::Handle) -> Connections {
        Connections { streams: Streams::new(door), runtime, open: BTreeMap::new(), by_remote: BTreeMap::new() }
    }

    /// What accepts connections and gives them numbers of the same row.
    pub(crate) fn acceptor(&self) -> Streams {
        self.streams.clone()
    }

    /// Somebody has opened a stream.
    pub(crate) fn opened(&mut self, id: ConnectionId, remote: SocketAddr, queue: mpsc::Sender<Bytes>) {
        self.insert(id, Open { remote, opened_by: Side::Them, queue });
    }

    fn insert(&mut self, id: ConnectionId, open: Open) {
        self.by_remote.insert(open.remote, id);
        self.open.insert(id, open);
    }

    /// A stream has ended.
    pub(crate) fn closed(&mut self, id: ConnectionId, heard: Heard) -> Option<End> {
        let Open { remote, opened_by, .. } = self.open.remove(&id)?;
        if self.by_remote.get(&remote) == Some(&id) {
            self.by_remote.remove(&remote);
        }
        match (heard, opened_by) {
            (Heard::Something, _) => Some(End::Heard(remote)),
            (Heard::Nothing, Side::Us) => Some(End::CalledInVain(remote)),
            (Heard::Nothing, Side::Them) => None,
        }
    }

    /// Sends by the stream that is named, else by the one to the same peer, else by a new one. False: nothing can be sent.
    pub(crate) fn send(&mut self, transmit: &Transmit) -> bool {
        let named = transmit.connection.and_then(|id| self.open.get(&id));
        let same = || self.by_remote.get(&transmit.remote).and_then(|id| self.open.get(id));
        match named.or_else(same).map(|open| open.queue.try_send(transmit.bytes.clone())) {
            Some(Ok(())) => true,
            Some(Err(mpsc::error::TrySendError::Full(_))) => false,
            // A stream that has ended a moment ago is as good as none.
            Some(Err(mpsc::error::TrySendError::Closed(_))) | None => match (transmit.transport, transmit.connection) {
                (Transport::Tcp, None) => self.call(transmit),
                (_, _) => false,
            },
        }
    }

    fn call(&mut self, transmit: &Transmit) -> bool {
        let Ok(place) = self.streams.called.clone().try_acquire_owned() else {
            tracing::warn!(remote = %transmit.remote, "too many streams of our own are open");
            return false;
        };
        let id = self.streams.name();
        let (sender, outgoing) = mpsc::channel(OUTGOING_MAX);
        let first = sender.try_send(transmit.bytes.clone()).is_ok();
        let (streams, local, remote, queue) = (self.streams.clone(), transmit.local, transmit.remote, sender.clone());
        self.runtime.spawn(async move {
            streams.call(id, local, remote, outgoing, sender).await;
            drop(place);
        });
        self.insert(id, Open { remote, opened_by: Side::Us, queue });
        first
    }
}

struct Connection {
    door: Door,
    id: ConnectionId,
    local: SocketAddr,
    remote: SocketAddr,
    heard: Heard,
}

impl Connection {
    /// Reads and writes until either side closes, or the framing is broken beyond repair.
    async fn run(
        &mut self,
        mut stream: TcpStream,
        mut outgoing: mpsc::Receiver<Bytes>,
        keep_alive: mpsc::Sender<Bytes>,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut reader, mut writer) = stream.split();
        let mut framer = Framer::new();
        let mut buffer = BytesMut::with_capacity(READ_AT_ONCE);
        loop {
            let patience = if framer.is_empty() { IDLE_MAX } else { MESSAGE_MAX };
            tokio::select! {
                message = outgoing.recv() => match message {
                    Some(message) => timeout(MESSAGE_MAX, writer.write_all(&message)).await.map_err(|_| io::ErrorKind::TimedOut)??,
                    None => return Ok(()),
                },
                read = timeout(patience, reader.read_buf(&mut buffer)) => {
                    if read.map_err(|_| io::ErrorKind::TimedOut)?? == 0 {
                        return Ok(());
                    }
                    self.take(&mut framer, &mut buffer, &keep_alive)?;
                }
            }
        }
    }

    fn take(&mut self, framer: &mut Framer, buffer: &mut BytesMut, keep_alive: &mpsc::Sender<Bytes>) -> io::Result<()> {
        framer.push(&buffer.split());
        loop {
            match framer.next() {
                Ok(Some(baton_sip::wire::Frame::Message(bytes))) => {
                    self.heard = Heard::Something;
                    self.hand_in(bytes)?;
                }
                Ok(Some(baton_sip::wire::Frame::Ping)) => {
                    if keep_alive.try_send(Bytes::from_static(b"\r\n")).is_err() {
                        return Err(io::ErrorKind::WriteZero.into());
                    }
                }
                Ok(None) => return Ok(()),
                Err(fault) => {
                    tracing::warn!("sip-reject src={} reason=framing", self.remote.ip());
                    return Err(io::Error::new(io::ErrorKind::InvalidData, fault.to_string()));
                }
            }
        }
    }

    fn hand_in(&self, bytes: Bytes) -> io::Result<()> {
        let (local, remote) = (self.local, self.remote);
        let incoming = Incoming { transport: Transport::Tcp, connection: Some(self.id), local, remote, bytes };
        self.door.send(Request::Stream(incoming)).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))
    }
}
