//! A UDP port whose datagrams carry the kernel's own time of arrival: how late this tool is scheduled does not show in what it measures.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use baton_time::{Mono, Now, Wall};
use bytes::Bytes;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;

use crate::clock::Clock;

/// The longest datagram that is read, in bytes.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 4_096;
/// Errors in a row (ICMP for something sent before) after which a port is left until the next round.
const REFUSALS_MAX: usize = 8;

/// A datagram that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Datagram {
    /// The sender.
    pub(crate) from: SocketAddr,
    /// When the kernel had it.
    pub(crate) at: Mono,
    /// What.
    pub(crate) bytes: Bytes,
}

/// The port.
pub(crate) struct Port {
    socket: UdpSocket,
    /// The port above it, where it is one of a pair: RTCP finds somebody there, who does not read it.
    _beside: Option<UdpSocket>,
}

impl Port {
    /// Any free port.
    pub(crate) fn any() -> io::Result<Port> {
        Port::stamped(bind_any()?, None)
    }

    /// This one.
    pub(crate) fn at(address: SocketAddr) -> io::Result<Port> {
        Port::stamped(UdpSocket::bind(address)?, None)
    }

    /// An even port together with the odd one above it.
    pub(crate) fn pair() -> io::Result<Port> {
        let (socket, beside) = bind_pair()?;
        Port::stamped(socket, Some(beside))
    }

    fn stamped(socket: UdpSocket, beside: Option<UdpSocket>) -> io::Result<Port> {
        setsockopt(&socket, ReceiveTimestampns, &true)?;
        Ok(Port { socket, _beside: beside })
    }

    /// Its address.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Sends.
    pub(crate) fn send(&self, to: SocketAddr, bytes: &[u8]) {
        if let Err(error) = self.socket.send_to(bytes, to) {
            tracing::debug!(%error, %to, "a datagram did not leave");
        }
    }

    /// The next datagram that waits.
    pub(crate) fn receive(&self, clock: Clock) -> Option<Datagram> {
        let mut buffer = [0; DATAGRAM_BYTES_MAX];
        let mut space = nix::cmsg_space!(TimeSpec);
        for _ in 0..REFUSALS_MAX {
            let mut slices = [IoSliceMut::new(&mut buffer)];
            match recvmsg::<SockaddrIn>(self.socket.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::MSG_DONTWAIT) {
                Ok(message) => {
                    let (length, from) = (message.bytes, SocketAddr::V4(SocketAddrV4::from(message.address?)));
                    let stamp = message.cmsgs().ok().and_then(|mut stamps| stamps.find_map(stamp));
                    let bytes = Bytes::copy_from_slice(buffer.get(..length)?);
                    return Some(Datagram { from, at: arrival(clock.now(), stamp), bytes });
                }
                Err(nix::errno::Errno::ECONNREFUSED) => {}
                Err(_) => return None,
            }
        }
        None
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn bind_any() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// An even port and the odd one above it (RFC 3550 §11).
fn bind_pair() -> io::Result<(UdpSocket, UdpSocket)> {
    const TRIES: usize = 64;
    let mut kept = Vec::new(); // so that the same port is not handed out again at once
    for _ in 0..TRIES {
        let socket = bind_any()?;
        let port = socket.local_addr()?.port();
        if port % 2 == 0
            && let Ok(beside) = UdpSocket::bind((Ipv4Addr::LOCALHOST, port + 1))
        {
            return Ok((socket, beside));
        }
        kept.push(socket);
    }
    Err(io::ErrorKind::AddrInUse.into())
}

/// When the kernel had a datagram, if that is what is told beside it.
pub(crate) fn stamp(message: ControlMessageOwned) -> Option<Wall> {
    let ControlMessageOwned::ScmTimestampns(stamp) = message else { return None };
    let after = Duration::from(stamp);
    i64::try_from(after.as_micros()).ok().map(Wall::from_micros)
}

/// The kernel stamps by the wall clock; both clocks are read together, after the datagram, to find the place on ours.
pub(crate) fn arrival(now: Now, stamp: Option<Wall>) -> Mono {
    stamp.map_or(now.mono, |stamp| now.mono - now.wall.since(stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a datagram, lets it wait for 20 ms and takes it: whether its time is that of its sending.
    fn is_stamped(clock: Clock, one: &Port, other: &Port) -> bool {
        let before = clock.now().mono;
        other.send(one.address().unwrap(), b"hello");
        let after = clock.now().mono;
        std::thread::park_timeout(Duration::from_millis(20));
        let datagram = one.receive(clock).unwrap();
        assert_eq!((datagram.from, &datagram.bytes[..]), (other.address().unwrap(), &b"hello"[..]));
        let slack = Duration::from_millis(2);
        datagram.at + slack >= before && datagram.at <= after + slack
    }

    #[test]
    fn a_datagram_that_waits_has_the_time_at_which_it_came() {
        const TRIES: usize = 50; // Linux begins to stamp a little after it was asked to.
        let clock = Clock::start();
        let (one, other) = (Port::any().unwrap(), Port::pair().unwrap());
        assert_eq!(one.receive(clock), None);
        assert!((0..TRIES).any(|_| is_stamped(clock, &one, &other)));
    }

    #[test]
    fn rtp_ports_are_even_and_have_a_neighbour() {
        let (rtp, rtcp) = bind_pair().unwrap();
        let (rtp, rtcp) = (rtp.local_addr().unwrap().port(), rtcp.local_addr().unwrap().port());
        assert_eq!((rtp % 2, rtcp), (0, rtp + 1));
    }
}
