//! Binds sockets. Those of IPv6 take IPv6 only, so that nobody comes by one under an IPv4 address in disguise, and both can have one port.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1_024;

/// Takes as many descriptors as this process may have: the usual 1,024 are enough for some hundred calls.
pub(super) fn all_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(fault) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%fault, have = limit.current, "no more descriptors");
    }
}

/// Bytes of datagrams that may wait to be read: a fifth of a second of a flood, so that a call in its midst is not lost.
const WAITING_BYTES: usize = 4 * 1_024 * 1_024;

/// A socket for datagrams.
pub(super) fn datagrams(at: SocketAddr) -> io::Result<UdpSocket> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = net::socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    if at.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    // The kernel gives as much of it as the machine's limit permits (net.core.rmem_max).
    sockopt::set_socket_recv_buffer_size(&socket, WAITING_BYTES)?;
    net::bind(&socket, &at)?;
    Ok(UdpSocket::from(socket))
}

/// A socket that accepts streams.
pub(super) fn streams(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if at.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    // The port of a process that has just ended is free.
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(BACKLOG)
}
