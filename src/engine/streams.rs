//! SIP over TCP: a task for each connection frames what comes in and writes what goes out.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use baton_sip::wire::Framer;
use baton_sip::{ConnectionId, Incoming, Transport};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use super::{Door, Request};

/// How many connections may be open at a time.
const CONNECTIONS_MAX: usize = 1_024;

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
    open: Arc<Semaphore>,
}

impl Streams {
    pub(crate) fn new(door: Door) -> Streams {
        Streams { door, next: Arc::new(AtomicU64::new(1)), open: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }

    /// Accepts connections until the task is dropped.
    pub(crate) async fn listen(self, listener: StreamListener) {
        loop {
            let Ok(place) = self.open.clone().acquire_owned().await else { return };
            match listener.listener.accept().await {
                Ok((stream, remote)) => {
                    let (this, local) = (self.clone(), listener.local);
                    tokio::spawn(async move {
                        this.serve(stream, local, remote).await;
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

    async fn serve(self, stream: TcpStream, local: SocketAddr, remote: SocketAddr) {
        let id = ConnectionId(self.next.fetch_add(1, Ordering::Relaxed));
        let (sender, outgoing) = mpsc::channel(OUTGOING_MAX);
        if self.door.send(Request::StreamOpened(id, sender.clone())).is_err() {
            return;
        }
        let ended = Connection { door: self.door.clone(), id, local, remote }.run(stream, outgoing, sender).await;
        tracing::debug!(connection = id.0, %remote, ended = ended.as_ref().err().map(tracing::field::display), "stream ended");
        if self.door.send(Request::StreamClosed(id)).is_err() {
            tracing::error!(connection = id.0, "the engine does not take the end of a stream");
        }
    }
}

struct Connection {
    door: Door,
    id: ConnectionId,
    local: SocketAddr,
    remote: SocketAddr,
}

impl Connection {
    /// Reads and writes until either side closes, or the framing is broken beyond repair.
    async fn run(
        self,
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
                    Some(message) => writer.write_all(&message).await?,
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

    fn take(&self, framer: &mut Framer, buffer: &mut BytesMut, keep_alive: &mpsc::Sender<Bytes>) -> io::Result<()> {
        framer.push(&buffer.split());
        loop {
            match framer.next() {
                Ok(Some(baton_sip::wire::Frame::Message(bytes))) => self.hand_in(bytes)?,
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
