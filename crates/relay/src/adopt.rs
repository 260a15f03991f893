//! Sockets that outlive the process, and the marks by which a later one goes on with their streams.

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use baton_media::{Room, RoomId};
use baton_time::Mono;

use crate::stock::Pair;
use crate::{MarkSink, Relay};

/// How often marks are told: what a stream may have sent since is left out when it is taken up again.
const EVERY: Duration = Duration::from_secs(1);

/// When marks were told last, and where they go.
pub(crate) struct Marking {
    sink: MarkSink,
    at: Mono,
}

impl Marking {
    pub(crate) fn new(sink: MarkSink) -> Marking {
        Marking { sink, at: Mono::ZERO }
    }

    /// When they are told next.
    pub(crate) fn at(&self) -> Mono {
        self.at
    }

    /// Tells the marks of all rooms, if it is time to.
    pub(crate) fn tell(&mut self, now: Mono, rooms: &BTreeMap<RoomId, Room>) {
        if self.at > now {
            return;
        }
        self.at = now + EVERY;
        let marks: Vec<_> = rooms.values().flat_map(|room| room.marks(now)).collect();
        if !marks.is_empty() {
            (self.sink)(marks);
        }
    }
}

impl Relay {
    /// Takes sockets into stock that an earlier process had bound; where one of a pair is missing it is bound. Yields the even ports.
    pub fn adopt(&self, sockets: Vec<UdpSocket>) -> Vec<u16> {
        let mut pairs: BTreeMap<u16, [Option<UdpSocket>; 2]> = BTreeMap::new();
        for socket in sockets {
            let Ok(address) = socket.local_addr() else { continue };
            let place = pairs.entry(address.port() & !1).or_default();
            place[usize::from(address.port() & 1)] = Some(socket);
        }
        let mut ports = Vec::new();
        for (port, [rtp, rtcp]) in pairs {
            match Pair::adopt(self.address, port, rtp, rtcp) {
                Ok(pair) => {
                    self.stock.add(port, pair);
                    ports.push(port);
                }
                Err(error) => tracing::warn!(port, %error, "a port cannot be taken over"),
            }
        }
        ports
    }

    /// Binds exactly these pairs, as far as they are not bound already; yields those that were bound.
    pub fn bind_again(&self, ports: impl IntoIterator<Item = u16>) -> Vec<u16> {
        let mut bound = Vec::new();
        for port in ports {
            if self.stock.has(port) {
                continue;
            }
            match Pair::adopt(self.address, port, None, None) {
                Ok(pair) => {
                    self.stock.add(port, pair);
                    bound.push(port);
                }
                Err(error) => tracing::error!(port, %error, "the port of a call that is up cannot be bound again"),
            }
        }
        bound
    }

    /// Shows the sockets of a pair in stock, RTP first; does nothing where it is not in stock.
    pub fn show(&self, port: u16, show: impl FnOnce([BorrowedFd<'_>; 2])) {
        self.stock.show(port, |pair| show([pair.rtp.as_fd(), pair.rtcp.as_fd()]));
    }
}

impl Pair {
    fn adopt(address: IpAddr, port: u16, rtp: Option<UdpSocket>, rtcp: Option<UdpSocket>) -> std::io::Result<Pair> {
        let one = |socket: Option<UdpSocket>, port: u16| match socket {
            Some(socket) => {
                socket.set_nonblocking(true)?;
                // It may still be connected to whom its last leg had learned.
                rustix::net::connect_unspec(&socket)?;
                Ok::<_, std::io::Error>(socket)
            }
            None => crate::stock::socket(address, port),
        };
        Ok(Pair { rtp: one(rtp, port)?, rtcp: one(rtcp, port + 1)? })
    }
}
