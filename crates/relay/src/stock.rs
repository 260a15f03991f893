//! Ports that are bound ahead of their use, and stay bound from one leg to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;

use parking_lot::Mutex;

/// The two sockets of a leg.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
}

impl Pair {
    fn bind(address: IpAddr, port: u16) -> io::Result<Pair> {
        Ok(Pair { rtp: socket(address, port)?, rtcp: socket(address, port + 1)? })
    }
}

pub(crate) fn socket(address: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(SocketAddr::new(address, port))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv4() {
        rustix::net::sockopt::set_ip_tos(&socket, EXPEDITED)?;
    }
    Ok(socket)
}

/// The pairs that no leg has; each is named by its even port.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    free: Mutex<BTreeMap<u16, Pair>>,
    bound: Mutex<BTreeSet<u16>>,
}

impl Stock {
    /// Binds `wanted` more pairs, or as many as there are.
    pub(crate) fn bind(&self, address: IpAddr, range: RangeInclusive<u16>, wanted: usize) -> Vec<u16> {
        let mut bound = self.bound.lock();
        let mut fresh = Vec::new();
        let (first, last) = (*range.start(), *range.end());
        for port in (first.max(2)..last).filter(|port| port % 2 == 0) {
            if fresh.len() == wanted {
                break;
            }
            if bound.contains(&port) {
                continue;
            }
            if let Ok(pair) = Pair::bind(address, port) {
                self.put(port, pair);
                bound.insert(port);
                fresh.push(port);
            }
        }
        fresh
    }

    /// Puts a pair in that was bound elsewhere.
    pub(crate) fn add(&self, port: u16, pair: Pair) {
        self.bound.lock().insert(port);
        self.put(port, pair);
    }

    /// Whether this pair is bound, in stock or not.
    pub(crate) fn has(&self, port: u16) -> bool {
        self.bound.lock().contains(&port)
    }

    /// Shows a pair that is in stock.
    pub(crate) fn show(&self, port: u16, show: impl FnOnce(&Pair)) {
        if let Some(pair) = self.free.lock().get(&port) {
            show(pair);
        }
    }

    /// Takes a pair out; `None` if it is not there.
    pub(crate) fn take(&self, port: baton_media::Port) -> Option<Pair> {
        self.free.lock().remove(&port.0)
    }

    /// Puts a pair in, or back.
    pub(crate) fn put(&self, port: impl Into<u16>, pair: Pair) {
        self.free.lock().insert(port.into(), pair);
    }

    /// How many pairs are bound, in stock or not.
    pub(crate) fn bound(&self) -> usize {
        self.bound.lock().len()
    }

    /// How many pairs there are.
    pub(crate) fn len(&self) -> usize {
        self.free.lock().len()
    }
}

/// The type of service of voice (RFC 3246, RFC 4594): expedited forwarding.
const EXPEDITED: u8 = 0xB8;
