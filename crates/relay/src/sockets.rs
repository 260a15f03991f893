//! The sockets of a media thread, and the epoll that watches them (level-triggered).

use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

use baton_media::{Channel, Port};
use rustix::event::epoll;

use crate::port_of;
use crate::stock::Pair;

/// The watched sockets of all legs of a thread.
#[derive(Debug)]
pub(crate) struct Sockets {
    epoll: OwnedFd,
    legs: BTreeMap<Port, Leg>,
    ready: Vec<u64>,
}

#[derive(Debug)]
struct Leg {
    pair: Pair,
    connected: Option<SocketAddr>,
}

impl Sockets {
    pub(crate) fn new() -> io::Result<Sockets> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Sockets { epoll, legs: BTreeMap::new(), ready: Vec::with_capacity(READY_MAX) })
    }

    /// Watches something that is no socket of a leg under `token`.
    pub(crate) fn watch(&self, source: impl AsFd, token: u64) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, source, epoll::EventData::new_u64(token), epoll::EventFlags::IN)?)
    }

    /// Waits until something happens; the tokens are then to be had by [`Sockets::ready`].
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        self.ready.clear();
        let mut events = [const { MaybeUninit::uninit() }; READY_MAX];
        match epoll::wait(&self.epoll, &mut events, None) {
            Ok((happened, _)) => {
                self.ready.extend(happened.iter().map(|event| event.data.u64()));
                Ok(())
            }
            Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The token of the `index`th thing that happened: a local port, or what was given to [`Sockets::watch`].
    pub(crate) fn ready(&self, index: usize) -> Option<u64> {
        self.ready.get(index).copied()
    }

    /// Takes a leg's sockets in, empties them of what came before its time, and watches them.
    pub(crate) fn open(&mut self, port: Port, pair: Pair) -> Result<(), Pair> {
        for socket in [&pair.rtp, &pair.rtcp] {
            discard(socket);
        }
        if self.watch(&pair.rtp, port.0.into()).is_err() {
            return Err(pair);
        }
        if self.watch(&pair.rtcp, u64::from(port.0) + 1).is_err() {
            // Closing it would take it out of the epoll as well, but it stays bound.
            epoll::delete(&self.epoll, &pair.rtp).ok();
            return Err(pair);
        }
        self.legs.insert(port, Leg { pair, connected: None });
        Ok(())
    }

    /// Gives a leg's sockets back, open to everybody.
    pub(crate) fn close(&mut self, port: Port) -> Option<Pair> {
        self.unlatch(port);
        let leg = self.legs.remove(&port)?;
        for socket in [&leg.pair.rtp, &leg.pair.rtcp] {
            if let Err(error) = epoll::delete(&self.epoll, socket) {
                tracing::error!(port = port.0, %error, "a socket could not be taken out of the epoll");
            }
        }
        Some(leg.pair)
    }

    /// Takes a datagram from the socket of a local port; `None`: there is none.
    pub(crate) fn receive(&self, local: u16, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let socket = self.socket(port_of(local), if local.is_multiple_of(2) { Channel::Rtp } else { Channel::Rtcp })?;
        loop {
            match socket.recv_from(buffer) {
                Ok(received) => return Some(received),
                // RFC 1122 §4.1.3.3 reports that nobody listened there a while ago; that ends no leg.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }

    /// Throws away what waits on all sockets of a leg; yields how many datagrams that were.
    pub(crate) fn discard_all(&self) -> u64 {
        self.legs.values().map(|leg| discard(&leg.pair.rtp) + discard(&leg.pair.rtcp)).sum()
    }

    /// Sends a datagram; says whether the system took it.
    pub(crate) fn send(&self, port: Port, channel: Channel, to: SocketAddr, bytes: &[u8]) -> bool {
        let Some(leg) = self.legs.get(&port) else { return false };
        let once = || match channel {
            Channel::Rtp if leg.connected == Some(to) => leg.pair.rtp.send(bytes),
            Channel::Rtp => leg.pair.rtp.send_to(bytes, to),
            Channel::Rtcp => leg.pair.rtcp.send_to(bytes, to),
        };
        match once() {
            Ok(_) => true,
            // The error is that of an earlier datagram, and telling it used up this attempt.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => once().is_ok(),
            Err(_) => false,
        }
    }

    /// Connects a leg's RTP socket to its source: the kernel drops everybody else's packets.
    pub(crate) fn latch(&mut self, port: Port, to: SocketAddr) {
        if let Some(leg) = self.legs.get_mut(&port) {
            leg.connected = leg.pair.rtp.connect(to).is_ok().then_some(to);
        }
    }

    /// Opens a leg's RTP socket to everybody.
    pub(crate) fn unlatch(&mut self, port: Port) {
        if let Some(leg) = self.legs.get_mut(&port)
            && leg.connected.take().is_some()
            && let Err(error) = rustix::net::connect_unspec(&leg.pair.rtp)
        {
            tracing::warn!(port = port.0, %error, "a socket stays connected to its old source");
        }
    }

    fn socket(&self, port: Port, channel: Channel) -> Option<&UdpSocket> {
        let pair = &self.legs.get(&port)?.pair;
        Some(match channel {
            Channel::Rtp => &pair.rtp,
            Channel::Rtcp => &pair.rtcp,
        })
    }
}

fn discard(socket: &UdpSocket) -> u64 {
    let mut count = 0;
    while count < DISCARDED_MAX && socket.recv_from(&mut [0; 16]).is_ok() {
        count += 1;
    }
    count
}

/// Sockets told of at one time.
const READY_MAX: usize = 256;
/// Datagrams that are thrown away in one go: more than a receive buffer holds.
const DISCARDED_MAX: u64 = 20_000;
