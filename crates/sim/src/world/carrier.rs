//! The other way for datagrams to travel: over real sockets, while a real clock goes by.

use std::net::SocketAddr;
use std::time::Duration;

use baton_media::Channel;
use baton_party::Input as Cue;
use baton_sip::{Incoming, Transport};
use baton_switchboard::Input;
use baton_time::{Mono, Now};
use bytes::Bytes;

use super::{BATON, BEGINNING, MORNING, Post, World};

/// Real sockets and a real clock. Addresses are those of the world; which sockets stand behind them is the carrier's own affair.
pub trait Carrier {
    /// Sends a datagram; one that cannot be sent is lost.
    fn send(&mut self, from: SocketAddr, to: SocketAddr, bytes: &Bytes);

    /// Waits for datagrams, at most until so much time has gone by since the beginning of the world; yields what came, and how much
    /// time has gone by now.
    fn wait(&mut self, until: Duration) -> (Vec<Arrival>, Duration);
}

/// A datagram that has arrived.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// From where.
    pub from: SocketAddr,
    /// To where.
    pub to: SocketAddr,
    /// What.
    pub bytes: Bytes,
}

impl World {
    /// From now on datagrams travel by `carrier`, and time is its time.
    pub fn carried_by(&mut self, carrier: Box<dyn Carrier>) {
        self.carrier = Some(carrier);
    }

    /// Lets real time go by until `at`, or until something has arrived, and does what is due then. False: nothing carries this world.
    pub(super) fn wait_really(&mut self, at: Mono) -> bool {
        let Some(carrier) = &mut self.carrier else { return false };
        let (arrivals, gone) = carrier.wait(at.since(BEGINNING));
        let now = Now { mono: BEGINNING, wall: MORNING }.after(gone);
        self.go_to(now.mono.max(self.now.mono));
        for Arrival { from, to, bytes } in arrivals {
            self.arrive(from, to, bytes);
        }
        self.step();
        true
    }

    /// Sends a datagram over the real sockets, if there are any.
    pub(super) fn send_really(&mut self, from: SocketAddr, to: SocketAddr, bytes: &Bytes) -> bool {
        self.carrier.as_mut().map(|carrier| carrier.send(from, to, bytes)).is_some()
    }

    fn arrive(&mut self, from: SocketAddr, to: SocketAddr, bytes: Bytes) {
        if to == BATON {
            let incoming = Incoming { transport: Transport::Udp, connection: None, local: BATON, remote: from, bytes };
            return self.deliver(Post::Board(Box::new(Input::Sip(incoming))));
        }
        if to.ip() == BATON.ip() {
            return self.deliver(Post::Room { port: to.port(), channel: Channel::Rtp, from, bytes });
        }
        if let Some(index) = self.parties.iter().position(|party| party.identity().rtp == to) {
            return self.deliver(Post::Party(index, Cue::Rtp { from, bytes }));
        }
        if let Some(index) = self.recipient(to, &bytes) {
            self.deliver(Post::Party(index, Cue::Sip { from, bytes }));
        }
    }
}
