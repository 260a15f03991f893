//! What carries the probe's messages: datagrams, or one stream that it has opened, with TLS or without.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use baton_sip::wire::{Frame, Framer};
use baton_sip::{ConnectionId, Hop, Incoming, Transport};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::config::Config;
use crate::tls::Tls;

/// How long a stream may take to come up, TLS included.
const OPEN_MAX: Duration = Duration::from_secs(5);
/// How long a message may take to be written.
const WRITE_MAX: Duration = Duration::from_secs(5);
/// The stream's only name.
const STREAM: ConnectionId = ConnectionId(1);
/// The longest datagram.
const DATAGRAM_MAX: usize = 65_535;

/// Both directions of a stream.
trait ReadWrite: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ReadWrite for T {}

/// A way to one hop.
pub(super) struct Wire {
    runtime: Runtime,
    transport: Transport,
    pub(super) local: SocketAddr,
    remote: SocketAddr,
    kind: Kind,
}

enum Kind {
    Datagrams(UdpSocket),
    Stream { stream: Box<dyn ReadWrite>, framer: Framer },
}

impl Wire {
    /// Opens the way to `hop`.
    ///
    /// # Errors
    /// When there is no socket, nobody accepts the stream, or the handshake of TLS fails.
    pub(super) fn open(config: &Config, hop: &Hop) -> anyhow::Result<Wire> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("the runtime")?;
        let (local, kind) = runtime.block_on(open(config, hop))?;
        Ok(Wire { runtime, transport: hop.transport, local, remote: hop.addr, kind })
    }

    /// Sends one message. A stream has one far end; datagrams go where they are said to go.
    pub(super) fn send(&mut self, bytes: &[u8], remote: SocketAddr) -> anyhow::Result<()> {
        let (runtime, kind) = (&self.runtime, &mut self.kind);
        let sent = runtime.block_on(async {
            match kind {
                Kind::Datagrams(socket) => socket.send_to(bytes, remote).await.map(drop),
                Kind::Stream { stream, .. } => {
                    within(WRITE_MAX, async {
                        stream.write_all(bytes).await?;
                        stream.flush().await
                    })
                    .await
                }
            }
        });
        sent.with_context(|| format!("cannot send to {remote}"))
    }

    /// What comes within so long; keep-alives are answered.
    ///
    /// # Errors
    /// When the far end closes its stream, or says what is no SIP.
    pub(super) fn receive(&mut self, patience: Duration) -> anyhow::Result<Vec<Incoming>> {
        let (runtime, kind) = (&self.runtime, &mut self.kind);
        let read = runtime.block_on(async { timeout(patience, read(kind, self.remote)).await });
        // Nothing has come.
        let Ok(messages) = read else { return Ok(Vec::new()) };
        let connection = matches!(self.kind, Kind::Stream { .. }).then_some(STREAM);
        let (transport, local) = (self.transport, self.local);
        let incoming = |(remote, bytes)| Incoming { transport, connection, local, remote, bytes };
        Ok(messages?.into_iter().map(incoming).collect())
    }
}

async fn open(config: &Config, hop: &Hop) -> anyhow::Result<(SocketAddr, Kind)> {
    if hop.transport == Transport::Udp {
        let socket = UdpSocket::bind((towards(hop.addr).await?, 0)).await.context("no socket for the probe")?;
        return Ok((socket.local_addr()?, Kind::Datagrams(socket)));
    }
    let stream = within(OPEN_MAX, TcpStream::connect(hop.addr)).await;
    let stream = stream.with_context(|| format!("{} does not accept a connection", hop.addr))?;
    stream.set_nodelay(true)?;
    let local = stream.local_addr()?;
    let stream: Box<dyn ReadWrite> = match hop.transport.is_secure() {
        false => Box::new(stream),
        true => {
            let tls = Tls::open(config.tls.clone()).context("the certificates")?;
            let shaken = within(OPEN_MAX, tls.connect(hop.server.as_ref(), hop.addr.ip(), stream)).await;
            Box::new(shaken.with_context(|| format!("no TLS with {}", hop.addr))?)
        }
    };
    Ok((local, Kind::Stream { stream, framer: Framer::new() }))
}

/// Waits for something to come. Whatever had not come whole when nobody waited any more is still there.
async fn read(kind: &mut Kind, far: SocketAddr) -> anyhow::Result<Vec<(SocketAddr, Bytes)>> {
    match kind {
        Kind::Datagrams(socket) => {
            let mut buffer = BytesMut::with_capacity(DATAGRAM_MAX);
            // An ICMP error of what was sent before is nothing that has come.
            let Ok((_, remote)) = socket.recv_buf_from(&mut buffer).await else { return Ok(Vec::new()) };
            Ok(vec![(remote, buffer.freeze())])
        }
        Kind::Stream { stream, framer } => {
            let mut buffer = BytesMut::with_capacity(DATAGRAM_MAX);
            if stream.read_buf(&mut buffer).await.context("the connection")? == 0 {
                anyhow::bail!("the far end has closed the connection");
            }
            framer.push(&buffer);
            let mut messages = Vec::new();
            while let Some(frame) = framer.next().context("what came by the connection")? {
                match frame {
                    Frame::Message(bytes) => messages.push((far, bytes)),
                    Frame::Ping => {
                        stream.write_all(b"\r\n").await.context("the connection")?;
                        stream.flush().await.context("the connection")?;
                    }
                }
            }
            Ok(messages)
        }
    }
}

async fn within<T>(patience: Duration, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(patience, step).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// The address of this machine from which `remote` is reached.
async fn towards(remote: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if remote.is_ipv4() { [0, 0, 0, 0].into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(remote).await?;
    Ok(socket.local_addr()?.ip())
}
