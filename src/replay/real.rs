//! Sockets on loopback for a fixture's world, and the clock of this machine.
//!
//! The world has addresses of its own (10.0.0.1 and the like), and they stand in its messages. Each of them is a real address here:
//! 10.0.1.2 is 127.N.1.2, with the same port, so that a capture of the loopback interface shows who speaks to whom. N is another one
//! for each story that plays at the same time.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use baton_sim::{Arrival, Carrier};
use baton_time::Mono;
use bytes::Bytes;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use crate::clock::Clock;

/// The first network that is tried, and how many there are: 127.64.x.x to 127.254.x.x.
const NETWORKS: (u8, u8) = (64, 190);

/// The longest datagram.
const DATAGRAM_MAX: usize = 65_535;

/// Sockets of one story at most: two for each leg, and some.
const SOCKETS_MAX: usize = 512;

/// The network that the next story tries first.
static NEXT: AtomicU8 = AtomicU8::new(0);

/// The sockets of one story.
pub(super) struct Loopback {
    clock: Clock,
    /// When it was first waited for: whatever prepares a story takes none of its time.
    begun: Option<Mono>,
    network: u8,
    poll: Poll,
    events: Events,
    sockets: Vec<(SocketAddr, UdpSocket)>,
    places: BTreeMap<SocketAddr, usize>,
    buffer: Box<[u8]>,
}

impl Loopback {
    /// Takes a network in which nobody speaks at `baton`, an address of the world.
    pub(super) fn open(baton: SocketAddr) -> io::Result<Loopback> {
        let clock = Clock::start();
        let first = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id() as u8);
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for turn in 0..NETWORKS.1 {
            let mut loopback = Loopback {
                clock,
                begun: None,
                network: NETWORKS.0 + first.wrapping_add(turn) % NETWORKS.1,
                poll: Poll::new()?,
                events: Events::with_capacity(64),
                sockets: Vec::new(),
                places: BTreeMap::new(),
                buffer: vec![0; DATAGRAM_MAX].into_boxed_slice(),
            };
            match loopback.place(baton) {
                Ok(_) => return Ok(loopback),
                Err(fault) if fault.kind() == io::ErrorKind::AddrInUse => last = fault,
                Err(fault) => return Err(fault),
            }
        }
        Err(last)
    }

    /// The socket that stands for an address of the world; bound when it is first spoken of.
    fn place(&mut self, address: SocketAddr) -> io::Result<usize> {
        if let Some(place) = self.places.get(&address) {
            return Ok(*place);
        }
        if self.sockets.len() >= SOCKETS_MAX {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let place = self.sockets.len();
        let mut socket = UdpSocket::bind(self.real(address))?;
        self.poll.registry().register(&mut socket, Token(place), Interest::READABLE)?;
        self.sockets.push((address, socket));
        self.places.insert(address, place);
        Ok(place)
    }

    fn real(&self, address: SocketAddr) -> SocketAddr {
        let host = match address.ip() {
            IpAddr::V4(ip) => match ip.octets() {
                [10, _, third, fourth] => [third, fourth],
                [_, _, _, fourth] => [200, fourth],
            },
            IpAddr::V6(_) => [201, 1],
        };
        SocketAddr::new(Ipv4Addr::new(127, self.network, host[0], host[1]).into(), address.port())
    }

    /// Everything that waits at the sockets.
    fn read(&mut self) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        for (to, socket) in &self.sockets {
            while let Ok((length, remote)) = socket.recv_from(&mut self.buffer) {
                let sender = self.sockets.iter().find(|(_, other)| other.local_addr().is_ok_and(|own| own == remote));
                // Nobody else is listened to: the machine's other programs are not in the story.
                if let Some((from, _)) = sender {
                    arrivals.push(Arrival { from: *from, to: *to, bytes: Bytes::copy_from_slice(&self.buffer[..length]) });
                }
            }
        }
        arrivals
    }
}

impl Carrier for Loopback {
    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: &Bytes) {
        let sent = (|| {
            self.place(to)?;
            let from = self.place(from)?;
            self.sockets[from].1.send_to(bytes, self.real(to))
        })();
        if let Err(fault) = sent {
            tracing::debug!(%fault, %from, %to, "a datagram is lost");
        }
    }

    fn wait(&mut self, until: Duration) -> (Vec<Arrival>, Duration) {
        let now = self.clock.now().mono;
        let begun = *self.begun.get_or_insert(now);
        let gone = now.since(begun);
        let nap = until.saturating_sub(gone);
        let mut arrivals = self.read();
        if arrivals.is_empty() && !nap.is_zero() {
            if let Err(fault) = self.poll.poll(&mut self.events, Some(nap)) {
                tracing::debug!(%fault, "the sockets cannot be waited for");
            }
            arrivals = self.read();
        }
        (arrivals, self.clock.now().mono.since(begun))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_go_over_real_sockets_between_addresses_of_the_world() {
        let [baton, caller]: [SocketAddr; 2] = ["10.0.0.1:5060".parse().unwrap(), "10.0.1.1:5060".parse().unwrap()];
        let mut loopback = Loopback::open(baton).unwrap();
        let mut second = Loopback::open(baton).unwrap();
        assert_ne!(loopback.network, second.network, "two stories at the same time have networks of their own");
        loopback.send(caller, baton, &Bytes::from_static(b"hello"));
        let mut arrived = Vec::new();
        for _ in 0..100 {
            arrived.extend(loopback.wait(Duration::from_secs(30)).0);
            if !arrived.is_empty() {
                break;
            }
        }
        let seen: Vec<_> = arrived.iter().map(|arrival| (arrival.from, arrival.to, arrival.bytes.as_ref())).collect();
        assert_eq!(seen, [(caller, baton, b"hello".as_slice())]);
        assert!(second.wait(Duration::ZERO).0.is_empty());
    }

    #[test]
    fn time_goes_by_to_the_instant_that_is_waited_for() {
        let mut loopback = Loopback::open("10.0.0.1:5060".parse().unwrap()).unwrap();
        let (_, gone) = loopback.wait(Duration::from_millis(20));
        assert!(gone >= Duration::from_millis(20));
        assert!(loopback.wait(Duration::ZERO).1 >= gone, "what is past is not waited for");
    }
}
