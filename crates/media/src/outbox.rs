//! What leaves a room, in order, without an allocation for each packet.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;

use baton_time::Mono;

use crate::{Codec, Event, Fate, Port, TAPPED_OCTETS_MAX, Tally, TapId, Tapped};

/// Which socket of a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// The even port.
    Rtp,
    /// The odd port.
    Rtcp,
}

/// Something for the owner of the sockets to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outgoing<'a> {
    /// Send these octets.
    Packet {
        /// From this leg's socket.
        port: Port,
        /// Which of its two.
        channel: Channel,
        /// To there.
        to: SocketAddr,
        /// The datagram.
        bytes: &'a [u8],
    },
    /// The source of a leg is known: connect its RTP socket to it.
    Latch {
        /// The leg.
        port: Port,
        /// Its source.
        to: SocketAddr,
    },
    /// The source of a leg may change: take packets from anywhere again.
    Unlatch {
        /// The leg.
        port: Port,
    },
}

/// Packets, socket wishes and events that a room has put out. Emptied by its owner after each step, and kept for the next one.
#[derive(Debug)]
pub struct Outbox {
    arena: Vec<u8>,
    items: Vec<Item>,
    events: VecDeque<Event>,
    tapped: Vec<Tapped>,
    tally: Tally,
}

#[derive(Debug, Clone)]
enum Item {
    Packet { port: Port, channel: Channel, to: SocketAddr, range: Range<usize> },
    Latch { port: Port, to: SocketAddr },
    Unlatch { port: Port },
}

impl Default for Outbox {
    fn default() -> Self {
        Outbox::new()
    }
}

impl Outbox {
    /// An empty outbox.
    pub fn new() -> Outbox {
        let (arena, items) = (Vec::with_capacity(OCTETS_USUAL), Vec::with_capacity(ITEMS_USUAL));
        let (events, tapped) = (VecDeque::with_capacity(ITEMS_USUAL), Vec::with_capacity(TAPPED_MAX));
        Outbox { arena, items, events, tapped, tally: Tally::default() }
    }

    /// What is to be done, in order.
    pub fn outgoing(&self) -> impl Iterator<Item = Outgoing<'_>> {
        (0..self.len()).filter_map(|index| self.get(index))
    }

    /// How many things are to be done.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// The `index`th thing to be done.
    pub fn get(&self, index: usize) -> Option<Outgoing<'_>> {
        Some(match self.items.get(index)? {
            Item::Packet { port, channel, to, range } => {
                Outgoing::Packet { port: *port, channel: *channel, to: *to, bytes: &self.arena[range.clone()] }
            }
            Item::Latch { port, to } => Outgoing::Latch { port: *port, to: *to },
            Item::Unlatch { port } => Outgoing::Unlatch { port: *port },
        })
    }

    /// Takes the events out, in order.
    pub fn take_events(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.events.drain(..)
    }

    /// Takes the next event out.
    pub fn pop_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes the copies for recordings out, in order.
    pub fn take_tapped(&mut self) -> impl Iterator<Item = Tapped> + '_ {
        self.tapped.drain(..)
    }

    /// Takes the count of packets since it was taken last.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Whether there is nothing to do and to tell.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.events.is_empty()
    }

    /// Forgets everything but the count, and keeps the memory that it took.
    pub fn clear(&mut self) {
        self.clear_outgoing();
        self.events.clear();
        self.tapped.clear();
    }

    /// Forgets what was to be done, and keeps the events.
    pub fn clear_outgoing(&mut self) {
        self.arena.clear();
        self.items.clear();
    }

    /// Counts packets that were thrown away unread after a time in which nobody read.
    pub fn count_flood(&mut self, packets: u64) {
        self.tally.count_many(Fate::Flood, packets);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Copies what a leg says; what nobody takes out is lost, and takes no further memory.
    pub(crate) fn tap(&mut self, tap: TapId, at: Mono, codec: Codec, payload: &[u8]) {
        for octets in payload.chunks(TAPPED_OCTETS_MAX) {
            if self.tapped.len() < TAPPED_MAX {
                self.tapped.push(Tapped::new(tap, at, codec, octets));
            }
        }
    }

    pub(crate) fn count(&mut self, fate: Fate) {
        self.tally.count(fate);
    }

    /// Appends a packet whose octets `write` puts at the end of the arena; says how many they are.
    pub(crate) fn packet(&mut self, port: Port, channel: Channel, to: SocketAddr, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let start = self.arena.len();
        write(&mut self.arena);
        let range = start..self.arena.len();
        self.items.push(Item::Packet { port, channel, to, range: range.clone() });
        range.len()
    }

    pub(crate) fn latch(&mut self, port: Port, to: SocketAddr) {
        self.items.push(Item::Latch { port, to });
    }

    pub(crate) fn unlatch(&mut self, port: Port) {
        self.items.push(Item::Unlatch { port });
    }
}

/// What one step of a room seldom exceeds, in octets and in things to do.
const OCTETS_USUAL: usize = 8_192;
const ITEMS_USUAL: usize = 32;
/// Copies for recordings that one step puts out at most.
const TAPPED_MAX: usize = 16;
