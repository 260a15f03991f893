//! The UDP sockets that SIP is spoken through.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

/// The longest datagram that is read.
const DATAGRAM_MAX: usize = 65_535;

/// How many datagrams are read from one socket before others get their turn.
const BATCH_MAX: usize = 64;

/// Every bound UDP socket, by the place of its token.
#[derive(Debug)]
pub(crate) struct Sockets {
    sockets: Vec<(SocketAddr, UdpSocket)>,
    buffer: Box<[u8]>,
}

impl Sockets {
    /// Takes bound sockets.
    pub(crate) fn new(bound: Vec<std::net::UdpSocket>) -> io::Result<Sockets> {
        let mut sockets = Vec::with_capacity(bound.len());
        for socket in bound {
            socket.set_nonblocking(true)?;
            sockets.push((socket.local_addr()?, UdpSocket::from_std(socket)));
        }
        Ok(Sockets { sockets, buffer: vec![0; DATAGRAM_MAX].into_boxed_slice() })
    }

    /// Watches every socket; their tokens are their places.
    pub(crate) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (place, (_, socket)) in self.sockets.iter_mut().enumerate() {
            registry.register(socket, Token(place), Interest::READABLE)?;
        }
        Ok(())
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Reads one batch; says whether more may be waiting.
    pub(crate) fn receive(&mut self, place: usize, mut each: impl FnMut(SocketAddr, SocketAddr, Bytes)) -> bool {
        let Some((local, socket)) = self.sockets.get(place) else { return false };
        for _ in 0..BATCH_MAX {
            match socket.recv_from(&mut self.buffer) {
                Ok((length, remote)) => each(*local, remote, Bytes::copy_from_slice(&self.buffer[..length])),
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return false,
                Err(fault) => {
                    // A refusal that ICMP brought: it belongs to a message that was sent, and the transaction will notice.
                    tracing::trace!(%fault, "receive");
                }
            }
        }
        true
    }

    /// Sends one datagram from the socket bound to `local`.
    pub(crate) fn send(&self, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let socket = self.sockets.iter().find(|(addr, _)| *addr == local).map(|(_, socket)| socket);
        let socket = socket.ok_or(io::ErrorKind::AddrNotAvailable)?;
        socket.send_to(bytes, remote).map(drop)
    }
}
