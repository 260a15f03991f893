//! The media threads: they own the RTP sockets and drive the rooms.
//!
//! All legs of a room live on one thread. Commands go in and events come out through bounded rings; a packet's way crosses no lock.
#![forbid(unsafe_code)]

mod adopt;
mod desk;
mod precedence;
mod sockets;
mod stock;
mod wakeup;

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Instant;

use baton_media::{Command, Event, Fate, Port, RoomId, RoomSettings, StreamMark, Tally, Tapped};

use crate::adopt::Marking;
use crate::desk::{Desk, Order};
use crate::stock::Stock;
use crate::wakeup::Bell;

/// How the relay is set up.
#[derive(Debug, Clone)]
pub struct RelaySettings {
    /// The local address that all ports are bound on.
    pub address: IpAddr,
    /// How many media threads; at least 1.
    pub threads: usize,
    /// What all rooms have in common: the music, when a leg is lost, the self-test's sabotage.
    pub rooms: RoomSettings,
    /// The beginning of the process: zero on the clock that events speak of.
    pub epoch: Instant,
}

/// Where events go: called on the media threads, must never block; says whether there was room. What finds none is told again.
pub type Sink = Arc<dyn Fn(Event) -> bool + Send + Sync>;

/// Where copies of what legs say go: called on the media threads, must never block; says whether there was room.
/// What finds none is lost, and counted by whoever gives the sink.
pub type TapSink = Arc<dyn Fn(Tapped) -> bool + Send + Sync>;

/// Where the marks of all streams of a thread go, about once a second: called on the media threads, must never block.
pub type MarkSink = Arc<dyn Fn(Vec<StreamMark>) + Send + Sync>;

/// Why the relay could not be started, or ports not be had.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The system refused a thread, an epoll or a timer.
    #[error("the media threads cannot be started: {0}")]
    System(#[from] std::io::Error),
    /// No further port of the range is free.
    #[error("no further RTP port is free on {address} in {from}-{to}")]
    NoPorts {
        /// Where.
        address: IpAddr,
        /// The first port of the range.
        from: u16,
        /// The last one.
        to: u16,
    },
}

/// A command ring is full: the media threads cannot keep up, refuse new calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the command ring of the media threads is full")]
pub struct Full;

/// The running media threads. Dropping it ends them.
pub struct Relay {
    address: IpAddr,
    stock: Arc<Stock>,
    counters: Arc<Counters>,
    desks: Vec<Access>,
}

/// The way to one media thread.
struct Access {
    orders: Option<SyncSender<Order>>,
    bell: Arc<Bell>,
    /// Commands were left since the bell was rung.
    has_orders: AtomicBool,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Starts the media threads.
    pub fn start(settings: RelaySettings, sink: Sink) -> Result<Relay, RelayError> {
        Relay::start_with_taps(settings, sink, Arc::new(|_| true))
    }

    /// Starts the media threads; what [`Command::Tap`] asks for goes to `taps`.
    pub fn start_with_taps(settings: RelaySettings, sink: Sink, taps: TapSink) -> Result<Relay, RelayError> {
        Relay::start_marking(settings, sink, taps, None)
    }

    /// Starts the media threads; where every stream stands goes to `marks` now and then, so that a later process can go on with it.
    pub fn start_marking(
        settings: RelaySettings,
        sink: Sink,
        taps: TapSink,
        marks: Option<MarkSink>,
    ) -> Result<Relay, RelayError> {
        let (stock, counters) = (Arc::new(Stock::default()), Arc::new(Counters::default()));
        let rooms = Arc::new(settings.rooms.clone());
        let mut desks = Vec::new();
        for number in 0..settings.threads.max(1) {
            let (orders, ring) = sync_channel(ORDERS_MAX);
            let bell = Arc::new(Bell::new()?);
            let shared = (Arc::clone(&stock), Arc::clone(&counters), Arc::clone(&sink), Arc::clone(&taps));
            let mut desk = Desk::new(Arc::clone(&rooms), settings.epoch, ring, Arc::clone(&bell), shared)?;
            desk.marks = marks.clone().map(Marking::new);
            let thread = std::thread::Builder::new().name(format!("media-{number}")).spawn(move || desk.run())?;
            desks.push(Access { orders: Some(orders), bell, has_orders: AtomicBool::new(false), thread: Some(thread) });
        }
        Ok(Relay { address: settings.address, stock, counters, desks })
    }

    /// Binds up to `wanted` more pairs of ports (even RTP, odd RTCP) in `range` and keeps them in stock; yields the new even ports.
    ///
    /// Ports that other programs hold are skipped, so that there may be fewer. An error where there is none at all.
    pub fn bind(&self, range: RangeInclusive<u16>, wanted: usize) -> Result<Vec<u16>, RelayError> {
        let (from, to) = (*range.start(), *range.end());
        let bound = self.stock.bind(self.address, range, wanted);
        if bound.is_empty() && wanted > 0 {
            return Err(RelayError::NoPorts { address: self.address, from, to });
        }
        Ok(bound)
    }

    /// How many pairs of ports are in stock.
    pub fn ports_free(&self) -> usize {
        self.stock.len()
    }

    /// How many pairs of ports are bound, in stock or at a leg.
    pub fn ports_bound(&self) -> usize {
        self.stock.bound()
    }

    /// Hands a command to the room's media thread; never blocks.
    pub fn send(&self, command: Command) -> Result<(), Full> {
        let room = command.room();
        self.leave(command)?;
        self.desk_of(room).has_orders.store(true, Ordering::Relaxed);
        self.ring();
        Ok(())
    }

    /// Wakes the media threads that commands were left for which cannot wait.
    pub fn ring(&self) {
        for desk in self.desks.iter().filter(|desk| desk.has_orders.swap(false, Ordering::Relaxed)) {
            desk.bell.ring();
        }
    }

    /// Wakes the media threads that anything was left for and that have not looked since: what can wait is not to wait for ever.
    pub fn ring_for_all(&self) {
        self.desks.iter().for_each(|desk| desk.bell.ring_if_waiting());
    }

    /// Leaves a command with the room's media thread without waking it: that is [`Relay::ring`], which whoever leaves several calls once.
    pub fn leave(&self, command: Command) -> Result<(), Full> {
        let desk = self.desk_of(command.room());
        // A leg that has agreed on nothing yet sends nothing, and nobody is at the far end of one that is closed: a thread that has anything to send is
        // awake every 20 ms.
        let may_wait = matches!(command, Command::Open { .. } | Command::Close { .. } | Command::CloseRoom { .. });
        let pair = match &command {
            Command::Open { port, .. } => self.stock.take(*port),
            Command::Connect { .. }
            | Command::Resume { .. }
            | Command::Scene { .. }
            | Command::SendDigit { .. }
            | Command::Tap { .. }
            | Command::AwaitQuiet { .. }
            | Command::Close { .. }
            | Command::CloseRoom { .. } => None,
        };
        let Some(orders) = &desk.orders else { return Err(Full) };
        match orders.try_send(Order { command, pair }) {
            Ok(()) => {
                desk.bell.leave();
                if !may_wait {
                    desk.has_orders.store(true, Ordering::Relaxed);
                }
                Ok(())
            }
            Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => {
                if let (Command::Open { port, .. }, Some(pair)) = (order.command, order.pair) {
                    self.stock.put(port.0, pair);
                }
                Err(Full)
            }
        }
    }

    fn desk_of(&self, room: RoomId) -> &Access {
        &self.desks[(room.0 % self.desks.len() as u64) as usize]
    }

    /// Packets by fate, all rooms together, since the start.
    pub fn tally(&self) -> Tally {
        self.counters.read()
    }

    /// How often a media thread woke up since the start; an idle relay sleeps.
    pub fn wakes(&self) -> u64 {
        self.counters.wakes.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        for desk in &mut self.desks {
            // A thread ends when its ring has no other end any more.
            desk.orders = None;
            desk.bell.ring();
        }
        for desk in &mut self.desks {
            if let Some(Err(_)) = desk.thread.take().map(JoinHandle::join) {
                tracing::error!("a media thread had panicked");
            }
        }
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("address", &self.address).field("threads", &self.desks.len()).finish_non_exhaustive()
    }
}

/// The tallies of all threads.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    fates: [AtomicU64; Fate::ALL.len()],
    wakes: AtomicU64,
}

impl Counters {
    pub(crate) fn add(&self, tally: &Tally) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        for fate in Fate::ALL {
            let packets = tally.of(fate);
            if packets > 0 {
                self.fates[fate as usize].fetch_add(packets, Ordering::Relaxed);
            }
        }
    }

    fn read(&self) -> Tally {
        let mut tally = Tally::default();
        for fate in Fate::ALL {
            tally.count_many(fate, self.fates[fate as usize].load(Ordering::Relaxed));
        }
        tally
    }
}

/// The even port of a socket that a leg's packets come to.
pub(crate) fn port_of(port: u16) -> Port {
    Port(port & !1)
}

/// Commands that wait for a media thread at most: a burst of some hundred calls.
const ORDERS_MAX: usize = 4_096;

#[cfg(test)]
mod tests;
