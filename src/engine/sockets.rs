//! The UDP sockets that SIP is spoken through.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;

use bytes::Bytes;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};
use rustix::net::sockopt::set_socket_recv_buffer_size;

/// The longest datagram that is read.
const DATAGRAM_MAX: usize = 65_535;

/// How many datagrams are read with one question.
const BATCH_MAX: usize = 16;

/// How many datagrams may wait here; the kernel keeps the others. A fifth of a second of ten times three thousand calls a second.
const WAITING_MAX: usize = 8_192;

/// How many bytes may wait at a socket while the engine is busy; the system may give less.
const RECEIVE_BUFFER: usize = 4 << 20;

/// Where the kernel writes who has sent what; made once, by the thread that reads. Each socket has its own: there is only so much room in them as the
/// last address needed, and those of IPv4 are shorter.
pub(crate) struct Envelopes(Vec<MultiHeaders<SockaddrStorage>>);

impl Envelopes {
    pub(crate) fn of(sockets: &Sockets) -> Envelopes {
        Envelopes(sockets.sockets.iter().map(|_| MultiHeaders::preallocate(BATCH_MAX, None)).collect())
    }
}

/// What was read from a socket.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// Where it came to.
    pub(crate) local: SocketAddr,
    /// Where it came from.
    pub(crate) remote: SocketAddr,
    /// All of it.
    pub(crate) bytes: Bytes,
}

/// Every bound UDP socket, by the place of its token.
#[derive(Debug)]
pub(crate) struct Sockets {
    sockets: Vec<(SocketAddr, UdpSocket)>,
    buffer: Box<[u8]>,
    /// What was read and has not been heard, in the order in which it was read.
    waiting: VecDeque<Datagram>,
    /// How many have come with the last reading.
    came: usize,
}

impl Sockets {
    /// Takes bound sockets.
    pub(crate) fn new(bound: Vec<std::net::UdpSocket>) -> io::Result<Sockets> {
        let mut sockets = Vec::with_capacity(bound.len());
        for socket in bound {
            socket.set_nonblocking(true)?;
            if let Err(fault) = set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER) {
                tracing::debug!(%fault, "a socket keeps the buffer that the system gives it");
            }
            sockets.push((socket.local_addr()?, UdpSocket::from_std(socket)));
        }
        let buffer = vec![0; DATAGRAM_MAX * BATCH_MAX].into_boxed_slice();
        Ok(Sockets { sockets, buffer, waiting: VecDeque::new(), came: 0 })
    }

    /// Watches every socket; their tokens are their places.
    pub(crate) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (place, (_, socket)) in self.sockets.iter_mut().enumerate() {
            registry.register(socket, Token(place), Interest::READABLE)?;
        }
        Ok(())
    }

    /// Reads all that has come to these sockets, or to all of them, as far as there is room for it; says whether there may be more.
    pub(crate) fn read(&mut self, envelopes: &mut Envelopes, places: Option<Vec<usize>>) -> bool {
        let before = self.waiting.len();
        let mut is_more = false;
        for place in places.unwrap_or_else(|| (0..self.sockets.len()).collect()) {
            let mut here = true;
            while here && self.waiting.len() < WAITING_MAX {
                here = self.receive(envelopes, place);
            }
            is_more |= here;
        }
        self.came = self.waiting.len() - before;
        is_more
    }

    /// What has waited longest.
    pub(crate) fn take_oldest(&mut self) -> Option<Datagram> {
        self.waiting.pop_front()
    }

    /// How many wait, and how many of them have come with the last reading.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        (self.waiting.len(), self.came)
    }

    /// Reads a batch, with one question to the kernel; says whether there may be more.
    fn receive(&mut self, envelopes: &mut Envelopes, place: usize) -> bool {
        let (Some((local, socket)), Some(envelopes)) = (self.sockets.get(place), envelopes.0.get_mut(place)) else {
            return false;
        };
        let mut pieces = self.buffer.chunks_exact_mut(DATAGRAM_MAX).map(|piece| [IoSliceMut::new(piece)]).collect::<Vec<_>>();
        match recvmmsg(socket.as_raw_fd(), envelopes, pieces.iter_mut(), MsgFlags::MSG_DONTWAIT, None) {
            Ok(received) => {
                let mut read = 0;
                for one in received {
                    read += 1;
                    let bytes = one.iovs().next().map(Bytes::copy_from_slice).unwrap_or_default();
                    // Nobody can be answered who has no address.
                    if let Some(remote) = one.address.as_ref().and_then(address) {
                        self.waiting.push_back(Datagram { local: *local, remote, bytes });
                    }
                }
                read == BATCH_MAX
            }
            Err(Errno::EAGAIN) => false,
            Err(fault) => {
                // A refusal that ICMP brought: it belongs to a message that was sent, and the transaction will notice.
                tracing::trace!(%fault, "receive");
                true
            }
        }
    }

    /// Sends one datagram from the socket bound to `local`.
    pub(crate) fn send(&self, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let socket = self.sockets.iter().find(|(addr, _)| *addr == local).map(|(_, socket)| socket);
        let socket = socket.ok_or(io::ErrorKind::AddrNotAvailable)?;
        socket.send_to(bytes, remote).map(drop)
    }
}

/// An address of the kernel as one of ours.
fn address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}
